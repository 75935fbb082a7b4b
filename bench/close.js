// @ts-check
// How long it takes from close() to the end of the process by itself, idle and in the middle of 100 lookups, and
// what became of every call that was open. `node bench/close.js [runs]`; works on 127.0.0.1 only.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDht, keyOf } from 'xorbit'
import { udp } from 'xorbit/udp'

const NODES = 20
const SILENT_NODES = 5
const LOOKUPS = 100
/** Long enough for answers to come and for calls to the silent nodes to be overdue. */
const LOOKUP_MS = 15
const RUNS = 5
const EXIT_LIMIT_MS = 30_000

/** @typedef {'idle' | 'busy'} Scene */
/** @typedef {{ closingAtMs: number, closeMs: number, inFlight: number, outcomes: Record<string, number> }} Told */

const scene = process.argv[2]
if (scene === 'idle' || scene === 'busy') await closeNetwork(scene)
else await measure(scene === undefined ? RUNS : Number(scene))

/**
 * The parent: starts a process for each measurement and sees it end.
 *
 * @param {number} runs
 */
async function measure(runs) {
  for (const what of /** @type {const} */ (['idle', 'busy'])) {
    for (let run = 0; run < runs; run++) {
      const { told, exitAtMs, code } = await runOnce(what)
      const isOk = code === 0 && Object.values(told.outcomes).reduce((sum, count) => sum + count, 0) === expected(what)
      if (!isOk) process.exitCode = 1
      console.log(
        `close ${what}: ${NODES} nodes closed in ${told.closeMs.toFixed(1)} ms, process ended by itself ` +
          `${(exitAtMs - told.closingAtMs).toFixed(1)} ms after close() with code ${code}; ` +
          `${told.inFlight} calls in flight, ${expected(what)} lookups settled: ${JSON.stringify(told.outcomes)}` +
          `${isOk ? '' : ' WRONG'}`,
      )
    }
  }
}

/** @param {Scene} what */
function expected(what) {
  return what === 'busy' ? LOOKUPS : 0
}

/**
 * @param {Scene} what
 * @returns {Promise<{ told: Told, exitAtMs: number, code: number | null }>}
 */
async function runOnce(what) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const killer = setTimeout(() => child.kill('SIGKILL'), EXIT_LIMIT_MS)
  let exitAtMs = 0
  child.once('exit', () => {
    exitAtMs = Date.now()
  })
  const [code] = /** @type {[number | null]} */ (await once(child, 'close'))
  clearTimeout(killer)
  if (output === '') throw new Error(`the process told nothing and ended with ${code}`)
  return { told: JSON.parse(output), exitAtMs, code }
}

/**
 * The child: starts a network, closes it, and tells when.
 *
 * @param {Scene} what
 */
async function closeNetwork(what) {
  const transports = Array.from({ length: NODES }, () => udp({ host: '127.0.0.1' }))
  /** @type {import('xorbit').Dht[]} */
  const nodes = []
  for (const transport of transports) {
    const [first] = nodes
    const node = createDht({ transport, bootstrap: first?.address ? [first.address] : [] })
    await node.start()
    nodes.push(node)
  }
  while (pendingCalls(nodes) > 0) await sleep(1)
  /** @type {Record<string, number>} */
  const outcomes = {}
  if (what === 'busy') {
    await Promise.all(transports.slice(-SILENT_NODES).map((transport) => transport.close()))
    for (let i = 0; i < LOOKUPS; i++) {
      const node = /** @type {import('xorbit').Dht} */ (nodes[i % (NODES - SILENT_NODES)])
      node.findNode(keyOf(`target ${i}`)).then(
        () => count(outcomes, 'found'),
        (error) => count(outcomes, error.code ?? String(error)),
      )
    }
    await sleep(LOOKUP_MS)
  }
  const inFlight = pendingCalls(nodes)
  const closingAtMs = Date.now()
  const startedAtMs = performance.now()
  await Promise.all(nodes.map((node) => node.close()))
  const closeMs = performance.now() - startedAtMs
  process.stdout.write(JSON.stringify({ closingAtMs, closeMs, inFlight, outcomes }))
}

/** @param {import('xorbit').Dht[]} nodes */
function pendingCalls(nodes) {
  return nodes.reduce((sum, node) => sum + node.stats().pendingCalls, 0)
}

/**
 * @param {Record<string, number>} outcomes
 * @param {string} outcome
 */
function count(outcomes, outcome) {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
}
