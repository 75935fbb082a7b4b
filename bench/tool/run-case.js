// @ts-check
// Runs one case in a process of its own.

import { fork } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/** @import { Order, Told } from './case.js' */
/** @import { Progress } from './suites.js' */

const CASE = fileURLToPath(new URL('case.js', import.meta.url))
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM'])

/** The user ended the run. */
export class Interrupted extends Error {}

/**
 * @param {Order} order
 * @param {{ nodeArgs: string[], progress: Progress }} context
 * @returns {Promise<unknown>} what the case came to; rejects with what went wrong
 */
export function runCase(order, { nodeArgs, progress }) {
  return new Promise((resolve, reject) => {
    // What a case prints must not get between the tables.
    const child = fork(CASE, [], { execArgv: nodeArgs, stdio: ['ignore', 2, 2, 'ipc'] })
    /** @type {{ result: unknown } | { error: string } | undefined} */
    let outcome
    let isInterrupted = false
    const interrupt = () => {
      isInterrupted = true
      child.kill('SIGKILL')
    }
    for (const signal of SIGNALS) process.on(signal, interrupt)
    child.on('message', (message) => {
      const told = /** @type {Told} */ (message)
      if ('progress' in told) progress(told.progress, told.share)
      else outcome = told
    })
    child.on('error', (error) => {
      outcome ??= { error: error.message }
    })
    child.on('close', (code, signal) => {
      for (const each of SIGNALS) process.off(each, interrupt)
      if (isInterrupted) return reject(new Interrupted())
      if (outcome && 'result' in outcome) return resolve(outcome.result)
      const end = signal ? `was killed by ${signal}` : `ended with exit code ${code}`
      return reject(new Error(outcome?.error ?? `its process ${end} before it had a result`))
    })
    child.send(order, (error) => {
      if (error) outcome ??= { error: error.message }
    })
  })
}
