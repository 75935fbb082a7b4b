import type { Given } from './arguments.js'
import type { Output } from './output.js'
import type { EndSignal, Surroundings } from './surroundings.js'

/** An option of a command. */
export interface OptionSpec {
  /** What stands for its value in the help; a flag has none. */
  readonly value?: string
  /** One letter. */
  readonly short?: string
  /** Whether it may be given several times. */
  readonly multiple?: boolean
  /** What it does. */
  readonly says: string
}

/** Options by their names. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** How a command is called. */
export interface Call {
  readonly given: Given
  readonly output: Output
  readonly surroundings: Surroundings
  /** Aborted by the first signal that the program gets, with an `Interrupted`, or when `--timeout` is over. */
  readonly signal: AbortSignal
  /** Resolves with the first signal that the program gets: for commands that end that way, and well. */
  readonly ended: Promise<EndSignal>
}

/** A command of the program. */
export interface Command {
  readonly name: string
  /** What it takes beside options, as the help shows it. */
  readonly operands: readonly Operand[]
  /** One line. */
  readonly summary: string
  /** Further lines of its help. */
  readonly details: readonly string[]
  readonly options: OptionSpecs
  /** Command lines that work, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[]
  /** @returns the exit status */
  run(call: Call): Promise<number>
}

/** What a command takes beside options. */
export interface Operand {
  readonly name: string
  readonly isOptional?: boolean
}
