#!/usr/bin/env node
import process from 'node:process'
import { runProgram } from './program.js'
import type { EndSignal } from './surroundings.js'

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

// Who writes is told of what fails. A node is not to end because its log can't be written.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

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
})

/**
 * npx passes SIGTERM on to the shell that it started, and not to the program: without this a node would go on without
 * anybody who knows of it. The shell ends before the program in no other case.
 */
function onEndOfNpx(ended: () => void): () => void {
  const { npm_command: command, npm_lifecycle_event: event } = process.env
  if (command !== 'exec' || event !== 'npx') return () => {}
  const { ppid } = process
  const timer = setInterval(() => {
    if (process.ppid === ppid) return
    clearInterval(timer)
    ended()
  }, NPX_INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
