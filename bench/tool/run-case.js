// @ts-check
// Runs one case in a process of its own.

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Interrupted, onInterruption } from './interruption.js'

/** @import { Order, Told } from './case.js' */
/** @import { Progress } from './suites.js' */

const CASE = fileURLToPath(new URL('case.js', import.meta.url))

/**
 * @param {Order} order
 * @param {{ nodeArgs: string[], progress: Progress }} context
 * @returns {Promise<unknown>} what the case came to, even when the run was interrupted since; rejects with what went
 *   wrong, or with Interrupted
 */
export function runCase(order, { nodeArgs, progress }) {
  return new Promise((resolve, reject) => {
    // What a case prints must not get between the tables.
    const child = fork(CASE, [], { execArgv: nodeArgs, stdio: ['ignore', 2, 2, 'ipc'] })
    /** @type {{ result: unknown } | { error: string } | undefined} */
    let outcome
    let isInterrupted = false
    const forget = onInterruption(() => {
      isInterrupted = true
      child.kill('SIGKILL')
    })
    child.on('message', (message) => {
      const told = /** @type {Told} */ (message)
      if ('progress' in told) progress(told.progress, told.share)
      else outcome = told
    })
    child.on('error', (error) => {
      outcome ??= { error: error.message }
    })
    child.on('close', (code, signal) => {
      forget()
      if (outcome && 'result' in outcome) return resolve(outcome.result)
      if (isInterrupted) return reject(new Interrupted())
      const end = signal ? `was killed by ${signal}` : `ended with exit code ${code}`
      return reject(new Error(outcome?.error ?? `its process ${end} before it had a result`))
    })
    child.send(order, (error) => {
      if (error) outcome ??= { error: error.message }
    })
  })
}
