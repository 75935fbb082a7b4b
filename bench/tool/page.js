// @ts-check
// The page of all results: docs/benchmarks.md.

import { existsSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { ROOT } from './machine.js'
import { drawPlot } from './plot.js'
import { duration } from './progress.js'
import { Refusal } from './refusal.js'
import { readResults, writeWhole } from './results.js'
import { loadBench, suitesIn } from './suites.js'
import { asMarkdown, cell } from './table.js'

/** @import { Results } from './results.js' */
/** @import { Bench, Check } from './suites.js' */

/**
 * Writes the page of all benches that have results, and its plots into a folder of the page's name beside it.
 *
 * @param {{ suites: string, results: string, page: string }} where
 * @returns {Promise<string[]>} the benches that are on it
 */
export async function writePage({ suites, results: folder, page }) {
  const plotsFolder = page.replace(/\.md$/, '')
  /** @type {string[]} */
  const sections = []
  /** @type {string[]} */
  const names = []
  for (const suite of suitesIn(suites)) {
    const results = readResults(join(folder, `${suite.name}.json`))
    if (results === undefined || results.cases.length === 0) continue
    sections.push(await section(await loadBench(suite), results, page, plotsFolder))
    names.push(suite.name)
  }
  if (sections.length === 0) throw new Refusal(`there are no results in ${folder}: npm run bench -- NAME makes some`)
  const head = [
    '# Benchmarks',
    '',
    'What the benches of this repository measured. This page is made from their results by `node bench/report.js`;',
    '`npm run bench -- all` runs them and makes it. Each figure comes from the command above it, on the machine that is',
    'named beside it. Simulations are the same with the same seed on every machine; what is said in seconds of',
    'computing, operations a second or bytes is not.',
    '',
    ...names.map((name) => `- [${name}](#${name})`),
  ]
  writeWhole(page, `${[head.join('\n'), ...sections].join('\n\n')}\n`)
  return names
}

/**
 * @param {Bench} bench
 * @param {Results} results
 * @param {string} page
 * @param {string} plotsFolder
 */
async function section(bench, results, page, plotsFolder) {
  const { tables = [], plots = [], checks = [], notes = [] } = bench.report(results.cases, { options: results.options })
  const { machine, code } = results
  const seconds = results.cases.reduce((sum, each) => sum + each.seconds, 0)
  const explained = existsSync(join(ROOT, bench.page))
    ? ` [What it measures and how to read it](${relative(dirname(page), join(ROOT, bench.page))}).`
    : ''
  const commit = code.commit === undefined ? '' : `, commit ${code.commit}`
  const parts = [
    `## ${bench.name}`,
    `${bench.summary}${/[.!?]$/.test(bench.summary) ? '' : '.'}${explained}`,
    ['```sh', ...results.commands, '```'].join('\n'),
    `Seed ${results.seed}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, ` +
      `Node ${machine.node}. xorbit ${code.package}${commit}. ${results.finishedAt.slice(0, 10)}, ` +
      `${results.cases.length} cases in ${duration(seconds)}.`,
    ...tables.map(asMarkdown),
  ]
  for (const plot of plots) {
    const file = join(plotsFolder, `${bench.name}-${plot.file}.svg`)
    writeWhole(file, await drawPlot(plot))
    parts.push(`![${plot.title}](${basename(plotsFolder)}/${basename(file)})`)
  }
  if (checks.length > 0) {
    parts.push(`Targets:\n\n${checks.map(checkItem).join('\n')}`)
  }
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'))
  return parts.join('\n\n')
}

/** @param {Check} check */
function checkItem({ name, value, bound, met }) {
  return `- ${met ? 'met' : '**missed**'}: ${name} is ${cell(value)}, target ${bound}`
}
