import { parseArgs } from 'node:util'
import { fromHex, keyOf } from '../index.js'
import type { Command, OptionSpecs } from './command.js'
import { shown } from './formats.js'
import { UsageError } from './status.js'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** What Node's timers take at most: 24 days. */
const TIMER_SECONDS_MAX = 2_147_483

/** Options whose value may be nothing. */
const MAY_BE_EMPTY = ['text', 'data', 'salt']

/** By the names of the options. */
type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** What the user gave, read as what it should be; what can't be read is a `UsageError`. */
export class Given {
  readonly operands: readonly string[]
  readonly #values: Values

  constructor(operands: readonly string[], values: Values) {
    this.operands = operands
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    // Most often of a variable of the shell that is not set.
    if (value === '' && !MAY_BE_EMPTY.includes(name)) throw new UsageError(`--${name} is empty`)
    return typeof value === 'string' ? value : undefined
  }

  /** Of an option that may be given several times. */
  texts(name: string): string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
  }

  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : integer(`--${name}`, text, min, max)
  }

  /** A sequence number. */
  bigint(name: string): bigint | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!/^\d{1,20}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${quoted(text)}`)
    return BigInt(text)
  }

  /** A time: seconds, or a number with one of the units s, m, h and d. */
  durationMs(name: string, min = 1, max: number = TIMER_SECONDS_MAX): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text) ?? []
    const seconds = Number(digits) * (UNITS[unit] as number)
    if (!(seconds >= min && seconds <= max)) {
      throw new UsageError(
        `--${name} must be a time from ${min} s to ${max} s, such as 90, 90s, 30m, 12h or 2d, not ${quoted(text)}`,
      )
    }
    return seconds * 1000
  }

  /** UTF-8 bytes of a text, with a limit. */
  bytes(name: string, max: number): Uint8Array | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const bytes = new TextEncoder().encode(text)
    if (bytes.length > max) throw new UsageError(`--${name} must have at most ${max} bytes, not ${bytes.length}`)
    return bytes
  }
}

/**
 * Reads the arguments of a command.
 *
 * @param specs - all options that it takes
 * @throws UsageError
 */
export function readArguments(argv: readonly string[], command: Command, specs: OptionSpecs): Given {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { value, short, multiple = false }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple, ...(short && { short }) },
    ]),
  )
  let parsed: { values: Values; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's own words say what is wrong; the rest of them is about calling parseArgs.
    const [sentence = 'wrong arguments'] = (error as Error).message.split(/\.(?:\s|$)/)
    throw new UsageError(sentence, { cause: error })
  }
  if (parsed.values.help !== true) checkOperands(parsed.positionals, command)
  return new Given(parsed.positionals, parsed.values)
}

function checkOperands(operands: readonly string[], { name, operands: wanted }: Command): void {
  const missing = wanted.slice(operands.length).find(({ isOptional }) => !isOptional)
  if (missing) throw new UsageError(`${name} needs ${missing.name}`)
  if (operands.length > wanted.length) {
    const takes = wanted.length === 0 ? 'nothing' : wanted.map(({ name }) => name).join(' and ')
    throw new UsageError(
      `${name} takes ${takes} beside options; ${quoted(operands[wanted.length] as string)} is too much`,
    )
  }
}

/** A key: 64 hex digits. */
export function keyFrom(what: string, text: string): Uint8Array {
  if (!isHexKey(text)) throw new UsageError(`${what} must be 64 hex digits, not ${quoted(text)}`)
  return fromHex(text.toLowerCase())
}

/** A point of the key space: 64 hex digits, else the hash of the text. */
export function pointFrom(text: string): Uint8Array {
  return isHexKey(text) ? fromHex(text.toLowerCase()) : keyOf(text)
}

/** A whole number from min to max. */
export function integer(what: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= min && number <= max)) {
    throw new UsageError(`${what} must be a whole number from ${min} to ${max}, not ${quoted(text)}`)
  }
  return number
}

function isHexKey(text: string): boolean {
  return /^[0-9a-f]{64}$/i.test(text)
}

/** What a user gave, short and without what a terminal obeys. */
export function quoted(text: string): string {
  return shown(JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text))
}
