// @ts-check
// Runs benches: each case in a process of its own, results kept as they come, tables and plots at the end. A run that
// was interrupted goes on where it stopped when it is started again.
//
//   npm run bench -- --list
//   npm run bench -- NAME [--seed 1] [--results DIR] [--fresh] [--quick] [--json] [options of the bench]
//   npm run bench -- all [--seed 1] [--results DIR] [--fresh] [--quick] [--json]
//
// Exits with 1 when a case failed, 2 when it does not understand, 130 when it was interrupted.

import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { catchSignals, endIfInterrupted, Interrupted } from './tool/interruption.js'
import { ROOT } from './tool/machine.js'
import { helpText, readArguments } from './tool/options.js'
import { writePage } from './tool/page.js'
import { drawPlot } from './tool/plot.js'
import { createProgress, duration } from './tool/progress.js'
import { Refusal } from './tool/refusal.js'
import { openResults, writeWhole } from './tool/results.js'
import { runCase } from './tool/run-case.js'
import { loadBench, missingPackages, SUITES_FOLDER, suiteNamed, suitesIn } from './tool/suites.js'
import { reportText } from './tool/table.js'

/** @import { CommonOptions } from './tool/options.js' */
/** @import { Bench, BenchCase, Suite } from './tool/suites.js' */
/** @typedef {ReturnType<typeof openResults>} Kept */

const progress = createProgress(process.stderr)
catchSignals()

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof Refusal) {
    progress.say(error.message)
    process.exitCode = 2
  } else if (error instanceof Interrupted) {
    progress.say('interrupted; the same command goes on from here')
    process.exitCode = 130
  } else {
    throw error
  }
}

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code
 */
async function main(args) {
  const [name, ...rest] = args
  if (name === undefined || name.startsWith('-')) {
    const { common } = readArguments(args)
    if (!(await hasTold(common))) console.log(helpText())
    return common.list || common.help ? 0 : 2
  }
  if (name === 'all') {
    const { common } = readArguments(rest)
    return (await hasTold(common)) ? 0 : runAll(common)
  }
  const suite = suiteNamed(foldersOf(readFolders(rest)).suites, name)
  const bench = await loadBench(suite)
  const { common, own } = readArguments(rest, bench)
  if (await hasTold(common, bench)) return 0
  const missing = missingPackages(suite)
  if (missing) throw new Refusal(missing)
  const { told, exitCode } = await runBench(suite, bench, common, own)
  if (common.json) printJson(told)
  return exitCode
}

/**
 * Whoever asks what there is wants nothing run.
 * @param {CommonOptions} common
 * @param {Bench} [bench]
 * @returns {Promise<boolean>} whether that was all
 */
async function hasTold(common, bench) {
  if (common.help) console.log(helpText(bench))
  else if (common.list) await list(foldersOf(common).suites)
  return common.help || common.list
}

/** @param {unknown} value */
function printJson(value) {
  console.log(JSON.stringify(value, undefined, 2))
}

/**
 * The options of a bench are known once it is loaded, and where it is once one of them is read.
 * @param {readonly string[]} args
 */
function readFolders(args) {
  const given = args.findIndex((arg) => arg === '--suites' || arg.startsWith('--suites='))
  const { common } = readArguments(
    given < 0 ? [] : args.slice(given, args[given] === '--suites' ? given + 2 : given + 1),
  )
  return common
}

/** @param {CommonOptions} common */
function foldersOf({ suites, results, quick }) {
  return {
    suites: suites === undefined ? SUITES_FOLDER : resolve(suites),
    // Small sizes must not take the place of what took hours.
    results: results === undefined ? join(ROOT, 'bench', 'results', quick ? 'quick' : '') : resolve(results),
  }
}

/** @param {string} folder */
async function list(folder) {
  const suites = suitesIn(folder)
  const width = Math.max(0, ...suites.map(({ name }) => name.length))
  for (const suite of suites) {
    const summary = await loadBench(suite).then(
      (bench) => bench.summary,
      (error) => error.message,
    )
    console.log(`${suite.name.padEnd(width)}  ${summary}`)
  }
}

/** @param {CommonOptions} common */
async function runAll(common) {
  const folders = foldersOf(common)
  /** @type {Record<string, unknown>} */
  const told = {}
  let exitCode = 0
  for (const suite of suitesIn(folders.suites)) {
    const missing = missingPackages(suite)
    if (missing) {
      progress.say(`left out: ${missing}`)
      continue
    }
    try {
      const bench = await loadBench(suite)
      const { own } = readArguments(common.quick ? ['--quick'] : [], bench)
      const outcome = await runBench(suite, bench, common, own)
      told[suite.name] = outcome.told
      exitCode = Math.max(exitCode, outcome.exitCode)
    } catch (error) {
      // One that can't be loaded is no reason to leave out the others.
      if (!(error instanceof Refusal)) throw error
      progress.say(error.message)
      exitCode = 1
    }
  }
  // Only what was measured in full belongs beside the documents.
  const isOwn = common.results === undefined && common.suites === undefined && !common.quick
  const page = isOwn ? join(ROOT, 'docs', 'benchmarks.md') : join(folders.results, 'benchmarks.md')
  endIfInterrupted()
  await writePage({ ...folders, page })
  progress.say(`written: ${page}`)
  if (common.json) printJson(told)
  return exitCode
}

/**
 * @param {Suite} suite
 * @param {Bench} bench
 * @param {CommonOptions} common
 * @param {Record<string, string>} own
 * @returns {Promise<{ told: object, exitCode: number }>} what `--json` prints of it
 */
async function runBench(suite, bench, common, own) {
  const { results: folder } = foldersOf(common)
  const { seed, fresh } = common
  const cases = bench.cases({ ...own, seed })
  const twice = cases.find(({ id }, i) => cases.findIndex((each) => each.id === id) !== i)
  if (twice) throw new Refusal(`${bench.name} has two cases '${twice.id}': is a number given twice?`)
  const kept = openResults(join(folder, `${bench.name}.json`), suite, bench, { seed, own, fresh, say: progress.say })
  const failed = await runCases(suite, bench, cases, kept, { seed, options: own })
  const results = kept.all(cases)
  const report = bench.report(results.cases, { options: own })
  const plots = results.cases.length > 0 ? (report.plots ?? []) : []
  for (const plot of plots) {
    endIfInterrupted()
    writeWhole(join(folder, `${bench.name}-${plot.file}.svg`), await drawPlot(plot))
  }
  if (!common.json && results.cases.length > 0)
    console.log(`\n${bench.name}: ${bench.summary}\n\n${reportText(report)}`)
  if (plots.length > 0) progress.say(`${plots.length} plots in ${dirname(join(folder, 'plot'))}`)
  for (const { id, reason } of failed) progress.say(`FAILED ${bench.name} ${id}: ${reason}`)
  return { told: { ...results, report, failed }, exitCode: failed.length > 0 ? 1 : 0 }
}

/**
 * @param {Suite} suite
 * @param {Bench} bench
 * @param {readonly BenchCase[]} cases
 * @param {Kept} kept
 * @param {{ seed: string, options: Record<string, string> }} context
 */
async function runCases(suite, bench, cases, kept, { seed, options }) {
  /** @type {{ id: string, reason: string }[]} */
  const failed = []
  const open = cases.filter((theCase) => !kept.has(theCase))
  if (open.length < cases.length) {
    progress.say(`${bench.name}: ${cases.length - open.length} of ${cases.length} cases have results already`)
  }
  for (const [i, theCase] of open.entries()) {
    endIfInterrupted()
    const what = `[${cases.length - open.length + i + 1}/${cases.length}] ${bench.name} ${theCase.id}`
    const startedAtMs = performance.now()
    const seconds = () => (performance.now() - startedAtMs) / 1000
    const show = (/** @type {string} */ text, /** @type {number | undefined} */ share) => {
      const percent = share === undefined ? '' : ` ${Math.round(100 * share)} %`
      progress.show(`${what}: ${text}${percent}, ${duration(seconds())}`)
    }
    show('begins', undefined)
    try {
      const order = { suite, theCase, seed, options }
      const result = await runCase(order, { nodeArgs: bench.nodeArgs ?? [], progress: show })
      kept.keep(theCase, result, seconds())
      progress.say(`${what}: done in ${duration(seconds())}`)
    } catch (error) {
      if (error instanceof Interrupted) throw error
      const reason = error instanceof Error ? error.message : String(error)
      failed.push({ id: theCase.id, reason })
      progress.say(`${what}: failed after ${duration(seconds())}`)
    }
  }
  endIfInterrupted()
  return failed
}
