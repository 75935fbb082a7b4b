#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { runProgram } from './program.js'
import { Interrupted, statusOf } from './status.js'
import type { EndSignal } from './surroundings.js'

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

// Who writes is told of what fails. A node is not to end because its log can't be written.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

/** How long what is left to do after a signal may take, in ms. */
const LAST_MS = 200

/** How often it is looked whether npx is still there, in ms. */
const NPX_INTERVAL_MS = 200

let isStdinUsed = false

void runProgram({
  argv: process.argv.slice(2),
  env: process.env,
  get stdin() {
    isStdinUsed = true
    return process.stdin
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
  // So would a pipe that can't be opened for want of another side, for which even process.exit() waits: who was told to
  // end by a signal ends by it, now that nobody listens any more.
  const signal = SIGNALS.find((name) => statusOf(new Interrupted(name)) === status)
  if (signal) setTimeout(() => process.kill(process.pid, signal), LAST_MS).unref()
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
