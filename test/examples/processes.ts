import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { afterAll, expect, onTestFinished, TestRunner } from 'vitest'
import type { Ended } from '../unit/examples/programs.js'
import { bundleProgram } from '../unit/examples/programs.js'

/** How long a test waits for a line, or for an end, in ms: only what went wrong takes as long. */
const WAIT_MS_MAX = 30_000

/** How long a process lives at most, in ms, even where nobody is left to kill it. */
const LIFE_MS_MAX = 120_000

/** Loaded into each process before its program: a test that is itself killed leaves nothing behind. */
export const END_IN_TIME: string = `data:text/javascript,setTimeout(()=>process.kill(process.pid,'SIGKILL'),${LIFE_MS_MAX}).unref()`

/** A folder of examples that are run as they are, from the root or absolute; without it the sources are bundled. */
const EXAMPLES: string | undefined = process.env.XORBIT_EXAMPLES

const bundles = mkdtempSync(join(tmpdir(), 'xorbit-examples-'))
const files = new Map<string, Promise<string>>()
const running = new Set<Program>()

const killAll = (): void => {
  for (const program of running) program.kill('SIGKILL')
}
process.on('exit', killAll)
afterAll(async () => {
  killAll()
  await Promise.all([...running].map(({ ended }) => ended))
  process.off('exit', killAll)
  rmSync(bundles, { recursive: true, force: true })
})

/**
 * A folder for one test, removed after it.
 *
 * @returns its absolute path
 */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-example-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An example as a process of its own. What it prints is collected from its start on. */
export class Program {
  /** What became of it; resolves when it has ended and all of its output is here. A killed one has no status. */
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  readonly #name: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #watchers = new Set<() => void>()
  /** Where on stdout and stderr the line ended that was last waited for. */
  readonly #read = { stdout: 0, stderr: 0 }

  constructor(name: string, child: ChildProcessWithoutNullStreams) {
    this.#name = name
    this.#child = child
    running.add(this)
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        this[stream] += text
        this.#look()
      })
    }
    // It may end while something is written to it.
    child.stdin.on('error', () => {})
    this.ended = new Promise((ended) => {
      child.once('error', (error) => {
        this.stderr += String(error)
      })
      child.once('close', (status) => {
        running.delete(this)
        ended({ status, stdout: this.stdout, stderr: this.stderr })
        this.#look()
      })
    })
  }

  /** Waits for text that was printed at any time since the start, or will be. Rejects when the program ends without. */
  waitFor(pattern: RegExp | string, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpMatchArray> {
    return this.#find(pattern, stream, () => 0)
  }

  /** Waits for text that comes after what was last waited for. */
  waitForNext(pattern: RegExp | string, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpMatchArray> {
    return this.#find(pattern, stream, () => this.#read[stream])
  }

  /** Waits for its end, for some seconds only: one that goes on is a failure. */
  async end(): Promise<Ended> {
    await this.#until(() => !running.has(this), 'its end')
    return this.ended
  }

  /** Writes a line to its stdin. */
  type(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Ends its stdin. */
  typeEnd(): void {
    this.#child.stdin.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async #find(pattern: RegExp | string, stream: 'stdout' | 'stderr', from: () => number): Promise<RegExpMatchArray> {
    const wanted = typeof pattern === 'string' ? new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : pattern
    let found: RegExpMatchArray | null = null
    await this.#until(() => {
      // Of whole lines: the rest of one may still be on its way.
      const lines = this[stream].slice(0, this[stream].lastIndexOf('\n') + 1)
      found = lines.slice(from()).match(wanted)
      if (found) this.#read[stream] = from() + (found.index as number) + found[0].length
      return found !== null
    }, `${wanted} on ${stream}`)
    return found as unknown as RegExpMatchArray
  }

  #until(isReached: () => boolean, wanted: string): Promise<void> {
    return new Promise((done, reject) => {
      const fail = (why: string): void => {
        finish()
        reject(new Error(`${why}: ${this.#name}, waited for ${wanted}\n${this.#output()}`))
      }
      const look = (): void => {
        if (isReached()) {
          finish()
          done()
        } else if (!running.has(this)) fail('it has ended')
      }
      const timer = setTimeout(() => fail('too late'), WAIT_MS_MAX)
      const finish = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(look)
      }
      this.#watchers.add(look)
      look()
    })
  }

  #look(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  #output(): string {
    return `--- stdout\n${this.stdout}--- stderr\n${this.stderr}---`
  }
}

/**
 * Starts an example. It is killed at the end of the test that started it, or of the file where that was no test.
 *
 * @param path - from the folder of examples on, such as `names.js`
 */
export async function start(path: string, args: readonly string[] = []): Promise<Program> {
  const file = await fileOf(path)
  const child = spawn(process.execPath, ['--import', END_IN_TIME, file, ...args], {
    stdio: 'pipe',
    // Nothing of the surroundings: an example reads no environment, and what the test runner sets is not for it.
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
  })
  const program = new Program(`${path} ${args.join(' ')}`, child)
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => end(program))
  return program
}

/** Runs an example to its end, without anything on stdin. */
export async function run(path: string, args: readonly string[] = []): Promise<Ended> {
  const program = await start(path, args)
  program.typeEnd()
  return program.end()
}

/** Kills some, without a word, and waits until they are gone. */
export async function end(...programs: readonly Program[]): Promise<void> {
  for (const program of programs) program.kill('SIGKILL')
  await Promise.all(programs.map(({ ended }) => ended))
}

/** Expects that an example tells wrong arguments by status and usage, and says nothing on stdout. */
export async function expectUsage(path: string, args: readonly string[]): Promise<void> {
  const { status, stdout, stderr } = await run(path, args)
  expect(stderr).toMatch(/^usage: /m)
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
}

/** Expects that an example explains itself when asked to. */
export async function expectHelp(path: string): Promise<void> {
  const { status, stdout, stderr } = await run(path, ['--help'])
  expect(stdout).toMatch(/^usage: /)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

function fileOf(path: string): Promise<string> {
  if (EXAMPLES !== undefined) return Promise.resolve(resolve(EXAMPLES, path))
  let file = files.get(path)
  if (file === undefined) {
    const outfile = join(bundles, `${path.replaceAll('/', '-')}.mjs`)
    file = bundleProgram(`import './examples/${path}'`, outfile).then(() => outfile)
    files.set(path, file)
  }
  return file
}
