// @ts-check
// Writes docs/benchmarks.md, and its plots, from the results that benches left in bench/results.
//
//   node bench/report.js [--results DIR] [--suites DIR] [--page FILE]

import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { ROOT } from './tool/machine.js'
import { writePage } from './tool/page.js'
import { Refusal } from './tool/refusal.js'
import { SUITES_FOLDER } from './tool/suites.js'

const { values: options } = parseArgs({
  options: {
    results: { type: 'string', default: join(ROOT, 'bench', 'results') },
    suites: { type: 'string', default: SUITES_FOLDER },
    page: { type: 'string', default: join(ROOT, 'docs', 'benchmarks.md') },
  },
})
const [results, suites, page] = /** @type {[string, string, string]} */ (
  [options.results, options.suites, options.page].map((path) => resolve(path))
)
try {
  const names = await writePage({ results, suites, page })
  console.log(`${page}: ${names.join(', ')}`)
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 1
}
