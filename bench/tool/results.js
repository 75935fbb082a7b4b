// @ts-check
// What finished cases came to, kept at once, so that an interrupted run loses one case at most.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { digestOfBench, thisCode, thisMachine } from './machine.js'
import { Refusal } from './refusal.js'

/** @import { Code, Machine } from './machine.js' */
/** @import { Bench, BenchCase, Suite } from './suites.js' */
/** @typedef {{ case: BenchCase, result: any, seconds: number, finishedAt: string }} Entry */
/** @typedef {{ bench: string, revision: number, benchDigest: string, seed: string, options: Record<string, string>, commands: string[], machine: Machine, code: Code, startedAt: string, finishedAt: string, cases: Entry[] }} Results */

/**
 * Goes on with what is there, if it was measured with the same seed and options, of the same code, on this machine.
 * @param {string} file
 * @param {Suite} suite
 * @param {Bench} bench
 * @param {{ seed: string, own: Record<string, string>, fresh: boolean, say: (text: string) => void }} context
 */
export function openResults(file, suite, bench, { seed, own, fresh, say }) {
  const now = new Date().toISOString()
  /** @type {Results} */
  let results = {
    bench: bench.name,
    revision: bench.revision ?? 0,
    benchDigest: digestOfBench(suite),
    seed,
    options: own,
    commands: [],
    machine: thisMachine(),
    code: thisCode(),
    startedAt: now,
    finishedAt: now,
    cases: [],
  }
  const earlier = readResults(file)
  const differs = earlier && differenceOf(bench, earlier, results)
  if (earlier && !fresh && differs === undefined) {
    // Mostly it is a word of a report that was changed, which must not cost the results of hours.
    if (earlier.benchDigest !== results.benchDigest) {
      say(`${bench.name}: the bench was changed since its results were measured; --fresh measures them again`)
    }
    results = { ...earlier, options: own, code: results.code }
  }
  if (earlier && (fresh || differs !== undefined)) {
    renameSync(file, file.replace(/json$/, 'before.json'))
    say(`${bench.name}: begins anew (${differs ?? '--fresh'}); the results until now are kept beside, as .before.json`)
  }
  const command = commandOf(bench, seed, own)
  return {
    /** @param {BenchCase} theCase */
    has: (theCase) => results.cases.some((entry) => isDeepStrictEqual(entry.case, asJson(theCase))),
    /**
     * @param {BenchCase} theCase
     * @param {unknown} result
     * @param {number} seconds
     */
    keep(theCase, result, seconds) {
      const finishedAt = new Date().toISOString()
      const entry = { case: asJson(theCase), result, seconds: Math.round(seconds * 10) / 10, finishedAt }
      // A case of the same name with other settings is out of date.
      results.cases = [...results.cases.filter((each) => each.case.id !== theCase.id), entry]
      results.finishedAt = finishedAt
      // Those of a run that chose other cases stay, so more than one command may be needed to get them all again.
      if (!results.commands.includes(command)) results.commands.push(command)
      writeWhole(file, `${JSON.stringify(results, undefined, 2)}\n`)
    },
    /** @param {readonly BenchCase[]} cases - decide the order; what is kept beyond them comes last */
    all(cases) {
      const rank = new Map(cases.map(({ id }, i) => [id, i]))
      const at = (/** @type {Entry} */ { case: { id } }) => rank.get(id) ?? cases.length
      return { ...results, cases: [...results.cases].sort((a, b) => at(a) - at(b)) }
    },
  }
}

/**
 * @param {string} file
 * @returns {Results | undefined}
 */
export function readResults(file) {
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Refusal(`${file} holds no results: ${/** @type {Error} */ (error).message}`, { cause: error })
  }
}

/**
 * A file is there as a whole or not at all, whenever the process ends.
 * @param {string} file
 * @param {string} text
 */
export function writeWhole(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

/**
 * What measures the same again.
 * @param {Bench} bench
 * @param {string} seed
 * @param {Record<string, string>} options
 */
function commandOf(bench, seed, options) {
  const changed = Object.entries(options).filter(([name, value]) => bench.options[name]?.value !== value)
  const given = [...(seed === '1' ? [] : [['seed', seed]]), ...changed]
  return ['npm run bench --', bench.name, ...given.map(([name, value]) => `--${name} ${value}`)].join(' ')
}

/**
 * @param {Bench} bench
 * @param {Results} a
 * @param {Results} b
 * @returns {string | undefined} the first thing that keeps results of both apart
 */
function differenceOf(bench, a, b) {
  const deciding = (/** @type {Results} */ { options }) =>
    Object.fromEntries(Object.entries(options).filter(([name]) => bench.options[name]?.selects !== true))
  /** @type {[what: string, of: (results: Results) => unknown][]} */
  const all = [
    ['another seed', ({ seed }) => seed],
    ['other options', deciding],
    ['other code', ({ code }) => code.digest],
    ['another revision of the bench', ({ revision }) => revision],
    ['another machine', ({ machine: { cpu, cores, node } }) => [cpu, cores, node]],
  ]
  return all.find(([, of]) => !isDeepStrictEqual(of(a), of(b)))?.[0]
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function asJson(value) {
  return JSON.parse(JSON.stringify(value))
}
