// @ts-check
// Writes docs/benchmarks.md, and its plots, from the results that benches left in bench/results.
//
//   node bench/report.js [--results DIR] [--suites DIR] [--page FILE]
//
// Exits with 2 when it does not understand, or has no results.

import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { ROOT } from './tool/machine.js'
import { writePage } from './tool/page.js'
import { Refusal } from './tool/refusal.js'
import { SUITES_FOLDER } from './tool/suites.js'

const USAGE = 'usage: report.js [--results DIR] [--suites DIR] [--page FILE]'

try {
  const options = readOptions()
  if (options.help) {
    console.log(USAGE)
  } else {
    const { results, suites, page } = options
    const names = await writePage({ results: resolve(results), suites: resolve(suites), page: resolve(page) })
    console.log(`${resolve(page)}: ${names.join(', ')}`)
  }
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 2
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        results: { type: 'string', default: join(ROOT, 'bench', 'results') },
        suites: { type: 'string', default: SUITES_FOLDER },
        page: { type: 'string', default: join(ROOT, 'docs', 'benchmarks.md') },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    const [reason] = /** @type {Error} */ (error).message.split('. ')
    throw new Refusal(`${USAGE}; ${reason}`, { cause: error })
  }
}
