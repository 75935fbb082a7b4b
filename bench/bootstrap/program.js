// @ts-check
// The program's own node, with a data folder and its metrics, in a process of its own.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { udp } from 'xorbit/udp'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Taken } from './collector.js' */
/** @typedef {Taken & { metrics: ReadonlyMap<string, number> }} NodeSample */
/** @typedef {{ requestsPerSecondMax: number, limitedScopes: readonly string[], scope: string }} Limits */
/** @typedef {{ child: ChildProcess, address: string, limits: Limits, sample(): Promise<NodeSample> }} ProgramNode */

const { resolveOptions } = await import(new URL('../../dist/options.js', import.meta.url).href)
const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** @param {string} folder @returns {Promise<ProgramNode>} */
export async function startProgram(folder) {
  const { XORBIT_BOOTSTRAP: _, ...env } = process.env
  const args = ['node', '--port', '0', '--host', '127.0.0.1', '--metrics', '0', '--data-folder', folder]
  const child = fork(PROGRAM, [...args, '--stats', '0', '--quiet', '--json'], {
    execArgv: ['--expose-gc', '--import', new URL('collector.js', import.meta.url).href],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env,
  })
  const { address, metrics } = await eventOf(child, 'listening')
  const transport = udp()
  // What is decided where nothing is said.
  const { requestsPerSecondMax, limitedScopes } = resolveOptions({ transport })
  return {
    child,
    address,
    limits: { requestsPerSecondMax, limitedScopes, scope: transport.describe(address).scope },
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
