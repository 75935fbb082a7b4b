#!/usr/bin/env node
import process from 'node:process'
import { isUnread } from './output.js'
import { runProgram } from './program.js'
import type { EndSignal } from './surroundings.js'

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

for (const stream of [process.stdout, process.stderr]) {
  // As after `| head`: whoever read it has enough.
  stream.on('error', (error) => {
    if (!isUnread(error)) throw error
  })
}

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
    const offs = SIGNALS.map((signal) => {
      // A second one finds no listener, and ends the process at once.
      const own = (): void => listener(signal)
      process.once(signal, own)
      return () => process.off(signal, own)
    })
    return () => {
      for (const off of offs) off()
    }
  },
}).then((status) => {
  process.exitCode = status
  // A terminal or pipe that was asked for input, and gave none, would keep the process.
  if (isStdinUsed) process.stdin.destroy()
})
