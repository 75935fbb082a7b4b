import { expect, onTestFinished } from 'vitest'
import { runProgram } from '../../../src/cli/program.js'
import type { EndSignal, OutputStream } from '../../../src/cli/surroundings.js'

/** How long a test waits for something that should come at once, in ms. */
const PATIENCE_MS = 10_000

/** How a run differs from one without a terminal, without input and without settings. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What stdin has: bytes and texts, one part each; a promise for what comes later, or never. */
  readonly stdin?: readonly (string | Uint8Array | Promise<never>)[]
  /** Which streams are terminals. */
  readonly terminals?: readonly ('stdin' | 'stdout' | 'stderr')[]
}

/** What a run printed, and how it ended. */
export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly bytes: Uint8Array
}

/** A run under way. */
export interface Run {
  readonly ended: Promise<Ended>
  /** Sends the program a signal. */
  signal(signal: EndSignal): void
  /** Waits until what was printed matches. */
  until(pattern: RegExp, stream?: 'stdout' | 'stderr'): Promise<RegExpMatchArray>
}

/** Runs the program in this process, over real sockets. */
export function start(argv: readonly string[], options: RunOptions = {}): Run {
  const { env = {}, stdin = [], terminals = [] } = options
  const listeners = new Set<(signal: EndSignal) => void>()
  const stdout = new Collected(terminals.includes('stdout'))
  const stderr = new Collected(terminals.includes('stderr'))
  const run = runProgram({
    argv,
    env,
    stdin: Object.assign(partsOf(stdin), { isTTY: terminals.includes('stdin') }),
    stdout,
    stderr,
    onSignal(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  })
  const signal = (name: EndSignal): void => {
    for (const listener of listeners) listener(name)
  }
  const ended = run.then((status) => {
    expect(listeners.size).toBe(0)
    return { status, stdout: stdout.text, stderr: stderr.text, bytes: stdout.bytes }
  })
  ended.catch(() => {})
  onTestFinished(async () => {
    signal('SIGTERM')
    await ended.catch(() => {})
  })
  return {
    ended,
    signal,
    until: (pattern, stream = 'stdout') => (stream === 'stdout' ? stdout : stderr).until(pattern),
  }
}

/** Runs the program to its end. */
export function xorbit(argv: readonly string[], options?: RunOptions): Promise<Ended> {
  return start(argv, options).ended
}

/** Runs a node on loopback. @returns its address, and what ends it */
export async function node(...argv: string[]): Promise<Run & { address: string }> {
  const run = start(['node', '--port', '0', '--host', '127.0.0.1', ...argv])
  const [, address = ''] = await run.until(/^listening at (\S+)$/m)
  return { ...run, address }
}

/** A network of two nodes. @returns arguments for who is to use it */
export async function network(): Promise<string[]> {
  const first = await node()
  const second = await node('--bootstrap', first.address)
  await second.until(/^joined, 1 contact$/m)
  return ['--bootstrap', second.address, '--host', '127.0.0.1']
}

async function* partsOf(parts: NonNullable<RunOptions['stdin']>): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : await part
}

class Collected implements OutputStream {
  readonly isTTY: boolean
  #parts: Uint8Array[] = []
  #waiting: (() => void)[] = []

  constructor(isTTY: boolean) {
    this.isTTY = isTTY
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes)
  }

  write(data: string | Uint8Array, done: () => void): void {
    this.#parts.push(typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data))
    for (const look of this.#waiting.splice(0)) look()
    queueMicrotask(done)
  }

  until(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${pattern} was not printed:\n${this.text}`)), PATIENCE_MS)
      const look = (): void => {
        const found = this.text.match(pattern)
        if (!found) {
          this.#waiting.push(look)
          return
        }
        clearTimeout(timer)
        resolve(found)
      }
      look()
    })
  }
}
