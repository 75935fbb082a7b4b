import { DhtError } from '../index.js'
import { quoted, readArguments } from './arguments.js'
import type { Command } from './command.js'
import { announceCommand } from './commands/announce.js'
import { findNodeCommand } from './commands/find-node.js'
import { getCommand } from './commands/get.js'
import { keygenCommand } from './commands/keygen.js'
import { locateCommand } from './commands/locate.js'
import { nodeCommand } from './commands/node.js'
import { pingCommand } from './commands/ping.js'
import { publishCommand } from './commands/publish.js'
import { putCommand } from './commands/put.js'
import { resolveCommand } from './commands/resolve.js'
import { commandHelp, programHelp } from './help.js'
import { describeError, Output, toJson } from './output.js'
import { COMMON_OPTIONS } from './session.js'
import { Interrupted, STATUS, statusOf, UsageError } from './status.js'
import type { EndSignal, Surroundings } from './surroundings.js'
import { version } from './version.js'

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  nodeCommand,
  putCommand,
  getCommand,
  keygenCommand,
  publishCommand,
  resolveCommand,
  announceCommand,
  locateCommand,
  findNodeCommand,
  pingCommand,
]

/** Runs the program to its end. @returns the exit status */
export async function runProgram(surroundings: Surroundings): Promise<number> {
  const { argv, stdout, stderr } = surroundings
  const [name = '--help', ...rest] = argv
  const plain = new Output(stdout, stderr, { json: false, quiet: false })
  if (name === '--help' || name === '-h' || name === 'help') {
    const asked = COMMANDS.find((command) => command.name === rest[0])
    if (rest[0] !== undefined && !asked) return unknownCommand(rest[0], plain)
    await plain.bytes(encode(asked ? commandHelp(asked, optionsOf(asked)) : programHelp(COMMANDS)))
    // Who gave nothing at all may not know that there are commands.
    return argv.length === 0 ? STATUS.misused : STATUS.done
  }
  if (name === '--version') {
    await plain.line(version())
    return STATUS.done
  }
  const command = COMMANDS.find((one) => one.name === name)
  return command ? runCommand(command, rest, surroundings, plain) : unknownCommand(name, plain)
}

function unknownCommand(name: string, output: Output): number {
  output.warn(`xorbit: there is no command ${quoted(name)}; xorbit --help names them`)
  return STATUS.misused
}

async function runCommand(
  command: Command,
  argv: readonly string[],
  surroundings: Surroundings,
  plain: Output,
): Promise<number> {
  const { stdout, stderr } = surroundings
  const specs = optionsOf(command)
  // Before the arguments are known to be right, they can't say how errors are to be told.
  let output = argv.includes('--json') ? new Output(stdout, stderr, { json: true, quiet: false }) : plain
  const interrupt = new AbortController()
  let end: (signal: EndSignal) => void = () => {}
  const ended = new Promise<EndSignal>((resolve) => {
    end = resolve
  })
  let timer: NodeJS.Timeout | undefined
  const offSignal = surroundings.onSignal((signal) => {
    end(signal)
    interrupt.abort(new Interrupted(signal))
  })
  try {
    const given = readArguments(argv, command, specs)
    if (given.flag('help')) {
      await plain.bytes(encode(commandHelp(command, specs)))
      return STATUS.done
    }
    const { signal } = interrupt
    output = new Output(stdout, stderr, { json: given.flag('json'), quiet: given.flag('quiet'), signal })
    const timeoutMs = given.durationMs('timeout')
    if (timeoutMs !== undefined) {
      const late = new DhtError('ERR_TIMEOUT', `not done after ${timeoutMs / 1000} s`)
      timer = setTimeout(() => interrupt.abort(late), timeoutMs)
    }
    return await command.run({ given, output, surroundings, signal, ended })
  } catch (error) {
    tell(error, command, output)
    return statusOf(error)
  } finally {
    clearTimeout(timer)
    offSignal()
  }
}

function tell(error: unknown, { name }: Command, output: Output): void {
  if (error instanceof Interrupted) return
  if (!(error instanceof Error)) {
    output.warn(`xorbit ${name}: ${String(error)}`)
  } else if (output.isJson) {
    output.warn(toJson({ error: describeError(error) }))
  } else {
    const { code, message } = describeError(error)
    output.warn(`xorbit ${name}: ${message}${code ? ` (${code})` : ''}`)
    if (error instanceof UsageError) output.warn(`xorbit ${name} --help tells what it takes`)
  }
}

function optionsOf(command: Command): Command['options'] {
  return { ...command.options, ...COMMON_OPTIONS }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
