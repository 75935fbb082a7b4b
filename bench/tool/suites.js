// @ts-check
// The benches: what one is, where they are, and how they are loaded.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Refusal } from './refusal.js'

/**
 * An option of a bench, always a string.
 * @typedef {object} BenchOption
 * @property {string} value - the default
 * @property {string} [quick] - what `--quick` makes of it where it is not given
 * @property {string} help
 * @property {boolean} [selects] - it only says which cases there are: a case that is left has the result it had before
 */
/** @typedef {{ id: string, [name: string]: any }} BenchCase */
/** @typedef {{ case: BenchCase, result: any }} CaseResult */
/** @typedef {{ title: string, columns: string[], rows: (string | number)[][] }} Table */
/** @typedef {{ name: string, points: [x: number | string, y: number][], dashed?: boolean }} Series */
/**
 * @typedef {object} Plot
 * @property {string} file - name of the file, without its ending
 * @property {string} title
 * @property {'line' | 'bar'} kind
 * @property {string} [xName]
 * @property {string} [yName]
 * @property {boolean} [xLog]
 * @property {boolean} [yLog]
 * @property {string[]} [categories] - of bars: points name one of these, or its index; else each x is one
 * @property {Series[]} series
 */
/** @typedef {{ name: string, value: number | string, bound: string, met: boolean }} Check */
/** @typedef {{ tables?: Table[], plots?: Plot[], checks?: Check[], notes?: string[] }} BenchReport */
/** @typedef {(text: string, share?: number) => void} Progress */
/**
 * What a file of `bench/suites` exports by default.
 * @typedef {object} Bench
 * @property {string} name
 * @property {string} summary - one line
 * @property {string} page - its explanation, from the repository's root
 * @property {Record<string, BenchOption>} options
 * @property {string[]} [nodeArgs] - for the process of each case
 * @property {number} [revision] - raised when `run` measures something else, so that older results do not count
 * @property {(options: Record<string, string>) => BenchCase[]} cases
 * @property {(theCase: BenchCase, context: { seed: string, options: Record<string, string>, progress: Progress }) => Promise<unknown>} run
 *   returns plain JSON
 * @property {(results: CaseResult[], context: { options: Record<string, string> }) => BenchReport} report
 */
/** @typedef {{ name: string, file: string }} Suite */

export const SUITES_FOLDER = fileURLToPath(new URL('../suites/', import.meta.url))

/**
 * @param {string} folder
 * @returns {Suite[]} by name
 */
export function suitesIn(folder) {
  if (!existsSync(folder)) throw new Refusal(`there is no folder of benches ${folder}`)
  return readdirSync(folder)
    .filter((file) => file.endsWith('.js'))
    .sort()
    .map((file) => ({ name: file.slice(0, -'.js'.length), file: join(folder, file) }))
}

/**
 * @param {string} folder
 * @param {string} name
 */
export function suiteNamed(folder, name) {
  const suites = suitesIn(folder)
  const suite = suites.find((each) => each.name === name)
  if (suite) return suite
  throw new Refusal(`there is no bench '${name}'; there are: all, ${suites.map((each) => each.name).join(', ')}`)
}

/**
 * @param {Suite} suite
 * @returns {Promise<Bench>}
 */
export async function loadBench({ name, file }) {
  /** @type {Bench | undefined} */
  let bench
  try {
    bench = (await import(pathToFileURL(file).href)).default
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    // What is missing most often is dist/, as the benches measure the built package.
    const advice = code === 'ERR_MODULE_NOT_FOUND' ? '; has the package been built (npm run build)?' : ''
    throw new Refusal(`the bench ${name} can't be loaded: ${message}${advice}`, { cause: error })
  }
  const isWhole = [bench?.cases, bench?.run, bench?.report].every((member) => typeof member === 'function')
  if (!bench || !isWhole || bench.name !== name) {
    throw new Refusal(`bench/suites/${name}.js must export a bench of the name ${name} by default`)
  }
  return bench
}

/**
 * A bench with packages of its own has them in a folder of its name beside the suites, where they may not be installed.
 * @param {Suite} suite
 * @returns {string | undefined} what is missing
 */
export function missingPackages({ name, file }) {
  const home = join(file, '..', '..', name)
  if (!existsSync(join(home, 'package.json')) || existsSync(join(home, 'node_modules'))) return undefined
  return `${name} needs packages of its own: npm ci --prefix bench/${name}`
}
