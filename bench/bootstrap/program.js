// @ts-check
// The program's own node, with a data folder and its metrics, in a process of its own; or one with a limit in force.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { udp } from 'xorbit/udp'
import { limitedTo } from './limits.js'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Taken } from './collector.js' */
/** @typedef {Taken & { metrics: ReadonlyMap<string, number> }} NodeSample */
/** @typedef {{ requestsPerSecondMax: number, limitedScopes: readonly string[], scope: string }} Limits */
/** @typedef {{ child: ChildProcess, address: string, limits: Limits, sample(): Promise<NodeSample> }} ProgramNode */

const { resolveOptions } = await import(new URL('../../dist/options.js', import.meta.url).href)
const LIMITED = fileURLToPath(new URL('limited.js', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/**
 * @param {string} folder
 * @param {(child: ChildProcess) => void} adopt - is given the process at once, before it listens
 * @param {number} [requestsPerSecondMax] - of one host, which is then in force on the loopback too; the program has no
 *   option for that
 * @returns {Promise<ProgramNode>}
 */
export async function startProgram(folder, adopt, requestsPerSecondMax) {
  const { XORBIT_BOOTSTRAP: _, ...env } = process.env
  const args = ['node', '--port', '0', '--host', '127.0.0.1', '--metrics', '0', '--data-folder', folder]
  const [file, ...all] =
    requestsPerSecondMax === undefined
      ? [PROGRAM, ...args, '--stats', '0', '--quiet', '--json']
      : [LIMITED, folder, String(requestsPerSecondMax)]
  const child = fork(file, all, {
    execArgv: ['--expose-gc', '--import', new URL('collector.js', import.meta.url).href],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env,
  })
  adopt(child)
  const { address, metrics } = await eventOf(child, 'listening')
  const transport = udp()
  // What is decided where nothing is said.
  const decided = resolveOptions({ transport, ...(requestsPerSecondMax && limitedTo(requestsPerSecondMax)) })
  return {
    child,
    address,
    limits: {
      requestsPerSecondMax: decided.requestsPerSecondMax,
      limitedScopes: decided.limitedScopes,
      scope: transport.describe(address).scope,
    },
    async sample() {
      const answer = once(child, 'message')
      child.send('sample')
      const [taken] = /** @type {[Taken]} */ (await answer)
      const response = await fetch(`${metrics}/metrics`)
      return { ...taken, metrics: numbersIn(await response.text()) }
    },
  }
}

/** @param {ChildProcess} child @param {string} name */
async function eventOf(child, name) {
  const lines = createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) })
  for await (const line of lines) {
    const event = JSON.parse(line)
    if (event.event === name) {
      // What comes later is of no interest, and must not stop the program when the pipe is full.
      child.stdout?.resume()
      return event
    }
  }
  throw new Error(`the program ended before it was ${name}`)
}

/** Each name with its labels, as it is written. @param {string} text */
function numbersIn(text) {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]))
}
