// @ts-check
// What the command line says, and how benches read their options.

import { parseArgs } from 'node:util'
import { Refusal } from './refusal.js'

/** @import { ParseArgsConfig } from 'node:util' */
/** @import { Bench } from './suites.js' */
/** @typedef {{ seed: string, results: string | undefined, suites: string | undefined, fresh: boolean, quick: boolean, json: boolean, help: boolean, list: boolean }} CommonOptions */

/** @type {Record<keyof CommonOptions, { type: 'string' | 'boolean', default?: string | boolean, help: string }>} */
const COMMON = {
  list: { type: 'boolean', default: false, help: 'lists the benches, and runs none' },
  help: { type: 'boolean', default: false, help: 'shows this, or the options of a bench' },
  seed: { type: 'string', default: '1', help: 'decides every random number of a simulation' },
  results: { type: 'string', help: 'folder of the results (default bench/results; with --quick bench/results/quick)' },
  suites: { type: 'string', help: 'folder of the benches (default bench/suites)' },
  fresh: { type: 'boolean', default: false, help: 'runs all cases again, those included that have results' },
  quick: { type: 'boolean', default: false, help: 'small sizes: shows that it works, measures nothing' },
  json: { type: 'boolean', default: false, help: 'prints the results as JSON instead of tables; of all, by bench' },
}

/**
 * @param {readonly string[]} args - without the name of the bench
 * @param {Bench} [bench]
 * @returns {{ common: CommonOptions, own: Record<string, string> }} the bench's own options with their defaults
 */
export function readArguments(args, bench) {
  const owner = bench ? `the bench ${bench.name}` : 'bench/run.js'
  const ownOptions = bench?.options ?? {}
  /** @type {NonNullable<ParseArgsConfig['options']>} */
  const known = {}
  for (const [name, { type, default: value }] of Object.entries(COMMON)) {
    known[name] = { type, ...(value !== undefined && { default: value }) }
  }
  for (const name of Object.keys(ownOptions)) known[name] = { type: 'string' }
  const values = parse(args, known, owner)
  /** @type {Record<string, string>} */
  const own = {}
  for (const [name, { value, quick }] of Object.entries(ownOptions)) {
    own[name] = String(values[name] ?? (values.quick ? (quick ?? value) : value))
  }
  return { common: /** @type {CommonOptions} */ (/** @type {unknown} */ (values)), own }
}

/**
 * @param {readonly string[]} args
 * @param {NonNullable<ParseArgsConfig['options']>} options
 * @param {string} owner
 */
function parse(args, options, owner) {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const name = /'(-[^' ]*)/.exec(message)?.[1]
      const all = Object.keys(options).map((each) => `--${each}`)
      throw new Refusal(`${owner} has no option ${name}; it has ${all.join(', ')}`, { cause: error })
    }
    throw new Refusal(`${owner}: ${message}`, { cause: error })
  }
}

/** @param {Bench} [bench] */
export function helpText(bench) {
  const lines = bench
    ? [`npm run bench -- ${bench.name} [options]`, '', bench.summary, `More: ${bench.page}`]
    : [
        'npm run bench -- NAME [options]    runs one bench, or goes on with it where it was interrupted',
        'npm run bench -- all [options]     runs them all, then writes docs/benchmarks.md',
        'npm run bench -- --list            lists them',
        'npm run bench -- NAME --help       says what the options of one are',
      ]
  const own = Object.entries(bench?.options ?? {}).map(([name, { help, value }]) => [
    `--${name} ${value}`,
    `${help} (default ${value})`,
  ])
  const common = Object.entries(COMMON).map(([name, { type, help }]) => [
    type === 'string' ? `--${name} ${name === 'seed' ? 1 : 'DIR'}` : `--${name}`,
    help,
  ])
  const rows = [...own, ...common]
  const width = Math.min(30, Math.max(...rows.map(([option = '']) => option.length)))
  return [...lines, '', ...rows.map(([option = '', help]) => `  ${option.padEnd(width)}  ${help}`)].join('\n')
}

/**
 * The numbers of an option, by commas.
 * @param {Record<string, string>} options
 * @param {string} name
 * @param {{ min?: number, max?: number, isWhole?: boolean }} [bounds]
 * @returns {number[]}
 */
export function readNumbers(options, name, { min = 0, max = Number.MAX_SAFE_INTEGER, isWhole = true } = {}) {
  return readWords(options, name).map((word) => {
    const number = Number(word)
    if (number >= min && number <= max && (!isWhole || Number.isInteger(number))) return number
    const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`
    throw new Refusal(`--${name} takes ${isWhole ? 'whole numbers' : 'numbers'} ${range}, not '${word}'`)
  })
}

/**
 * The one number of an option.
 * @param {Record<string, string>} options
 * @param {string} name
 * @param {{ min?: number, max?: number, isWhole?: boolean }} [bounds]
 */
export function readNumber(options, name, bounds) {
  const [number, ...more] = readNumbers(options, name, bounds)
  if (number === undefined || more.length > 0) throw new Refusal(`--${name} takes one number`)
  return number
}

/**
 * The words of an option, by commas.
 * @param {Record<string, string>} options
 * @param {string} name
 * @param {readonly string[]} [known]
 */
export function readWords(options, name, known) {
  const words = (options[name] ?? '').split(',').map((word) => word.trim())
  const unknown = words.find((word) => word === '' || (known && !known.includes(word)))
  if (unknown !== undefined) {
    throw new Refusal(`--${name} takes ${known ? known.join(', ') : 'a list by commas'}, not '${unknown}'`)
  }
  return words
}
