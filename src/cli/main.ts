#!/usr/bin/env node
import process from 'node:process'
import { runProgram } from './program.js'
import type { EndSignal } from './surroundings.js'

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

// Who writes is told of what fails. A node is not to end because its log can't be written.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

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
    return off
  },
}).then((status) => {
  process.exitCode = status
  // A terminal or pipe that was asked for input, and gave none, would keep the process.
  if (isStdinUsed) process.stdin.destroy()
})
