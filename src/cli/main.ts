#!/usr/bin/env node
import { fstatSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { runProgram } from './program.js'
import { UsageError } from './status.js'
import type { EndSignal } from './surroundings.js'

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

// Who writes is told of what fails. A node is not to end because its log can't be written.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

/** How long the process may take to end by itself once the program has, in ms. */
const LAST_MS = 500

/** How often it is looked whether npx is still there, in ms. */
const NPX_INTERVAL_MS = 200

let isStdinUsed = false
let lastSignal: EndSignal | undefined

void runProgram({
  argv: process.argv.slice(2),
  env: process.env,
  get stdin() {
    isStdinUsed = true
    return isFolder(0) ? noInput() : process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal(listener) {
    const off = (): void => {
      for (const signal of SIGNALS) process.off(signal, once)
    }
    const once = (signal: EndSignal): void => {
      // A second one finds no listener, and ends the process at once.
      off()
      lastSignal = signal
      listener(signal)
    }
    for (const signal of SIGNALS) process.on(signal, once)
    const offNpx = onEndOfNpx(() => once('SIGTERM'))
    return () => {
      off()
      offNpx()
    }
  },
}).then((status) => {
  process.exitCode = status
  // A terminal or pipe that was asked for input, and gave none, would keep the process.
  if (isStdinUsed) process.stdin.destroy()
  // So would a pipe whose other side is not there, or does not read. Who was told to end by a signal ends by it, now that
  // nobody listens any more: while a file is being opened even process.exit() waits.
  setTimeout(() => (lastSignal ? process.kill(process.pid, lastSignal) : process.exit()), LAST_MS).unref()
})

/**
 * npx passes SIGTERM on to the shell that it started, and not to the program: without this a node would go on without
 * anybody who knows of it.
 */
function onEndOfNpx(ended: () => void): () => void {
  if (!isOfNpx(process.env)) return () => {}
  const { ppid } = process
  const look = (): void => {
    if (process.ppid === ppid && !isLeft) return
    clearInterval(timer)
    ended()
  }
  // npx may have gone before this program was loaded.
  const isLeft = !isParentOfNpx(ppid)
  const timer = setInterval(look, NPX_INTERVAL_MS)
  timer.unref()
  queueMicrotask(look)
  return () => clearInterval(timer)
}

/** Whether npx started this program itself, and nothing that started it in its turn or goes on without it. */
function isOfNpx({ npm_command: command, npm_lifecycle_script: script = '' }: NodeJS.ProcessEnv): boolean {
  return command === 'exec' && /^['"]?xorbit['"]?(?:\s|$)/.test(script) && !/[;&|\n]/.test(script)
}

/** Whether this process is npx, or the shell that it starts: not who takes over the orphans. */
function isParentOfNpx(pid: number): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ')
    return /\bxorbit\b|\bnpx\b|\bnpm\b/.test(line)
  } catch {
    // Elsewhere than on Linux orphans go to the first process.
    return pid !== 1
  }
}

/** Node reads a folder as if it were empty. */
function isFolder(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isDirectory()
  } catch {
    // It is closed, which is as good as nothing.
    return false
  }
}

// biome-ignore lint/correctness/useYield: there is nothing to give
async function* noInput(): AsyncGenerator<Uint8Array> {
  throw new UsageError("stdin is a folder, which can't be read")
}
