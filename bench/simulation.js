// @ts-check
// What the scripts that simulate whole networks share: networks, costs, reports.

import { createDht, MemoryStore } from 'xorbit'

/** @import { Dht, DhtOptions } from 'xorbit' */
/** @import { SimulatedHost, Simulator } from 'xorbit/testing' */
/** @typedef {{ host: SimulatedHost, dht: Dht, storage: MemoryStore, id: Uint8Array, address: string }} Node */
/** @typedef {Partial<DhtOptions> & { storage?: MemoryStore }} NodeOptions */
/** @typedef {{ ms: number[], messages: number[], hops: number[] }} Costs */
/** @typedef {{ scenario: string, seed: string, digest: string, figures: Record<string, unknown>, missed: string[] }} Report */

export const K = 20
export const HOUR_MS = 3_600_000
const JOINING_AT_ONCE = 50
/** Those of a node's own store. */
const STORE_LIMITS = { bytesMax: 64 * 2 ** 20, recordsMax: 65_536, recordsPerSourceMax: 8_192 }

/**
 * A network that joined through one node and came to rest.
 * @param {Simulator} simulator
 * @param {number} count
 * @param {{ optionsOf?: (i: number) => NodeOptions, onJoined?: (joined: number) => void }} [settings] - options of the
 *   node that joins as i-th; who is told how many have joined
 */
export async function build(simulator, count, { optionsOf, onJoined } = {}) {
  /** @type {Node[]} */
  const nodes = []
  /** @type {number[]} */
  const joinMs = []
  const add = async (/** @type {number} */ i, /** @type {string[]} */ bootstrap) => {
    const startedAtMs = simulator.nowMs
    const node = await join(simulator, bootstrap, optionsOf?.(i))
    joinMs.push(simulator.nowMs - startedAtMs)
    nodes.push(node)
  }
  await add(0, [])
  const bootstrap = nodes.map(({ address }) => address)
  while (nodes.length < count) {
    const joined = nodes.length
    const batch = Math.min(JOINING_AT_ONCE, count - joined)
    await Promise.all(Array.from({ length: batch }, (_, i) => add(joined + i, bootstrap)))
    onJoined?.(nodes.length)
  }
  await simulator.delay(60_000)
  const stats = nodes.map(({ dht }) => dht.stats())
  const joining = {
    nodes: nodes.length,
    ms: percentiles(joinMs),
    requests: percentiles(stats.map(({ calls, resends }) => calls + resends)),
    contacts: percentiles(stats.map(({ contacts }) => contacts)),
  }
  return { nodes, joining }
}

/**
 * A node on a machine of its own, once it has joined.
 * @param {Simulator} simulator
 * @param {readonly string[]} bootstrap
 * @param {NodeOptions} [options]
 * @param {(node: Node) => void} [begun] - gets the node before it joins
 * @returns {Promise<Node>}
 */
export async function join(simulator, bootstrap, options = {}, begun) {
  const host = simulator.host()
  const { transport, clock, randomBytes } = host
  const storage = options.storage ?? new MemoryStore(STORE_LIMITS)
  const dht = createDht({ transport, clock, randomBytes, bootstrap, ...options, storage })
  const node = { host, dht, storage, id: dht.id, address: host.address }
  begun?.(node)
  const joined = new Promise((resolve) => dht.on('joined', resolve))
  // A bad network may take several attempts: the node goes on by itself.
  await dht.start().catch(() => joined)
  return node
}

/**
 * @param {readonly Node[]} nodes
 * @param {Uint8Array} target
 * @param {Node} [asker] - left out, as nobody finds himself
 * @param {number} [count]
 */
export function trueNearest(nodes, target, asker, count = K) {
  const wanted = prefixOf(target)
  // Nearest first. Four bytes decide but for a few nodes, which makes it fast enough for networks of any size.
  /** @type {{ node: Node, prefix: number }[]} */
  const nearest = []
  for (const node of nodes) {
    const prefix = (prefixOf(node.id) ^ wanted) >>> 0
    if (node === asker || (nearest.length === count && prefix > /** @type {any} */ (nearest[count - 1]).prefix))
      continue
    const isNearer = (/** @type {{ node: Node, prefix: number }} */ other) =>
      prefix === other.prefix ? compareDistance(target, node.id, other.node.id) < 0 : prefix < other.prefix
    const at = nearest.findIndex(isNearer)
    nearest.splice(at < 0 ? nearest.length : at, 0, { node, prefix })
    if (nearest.length > count) nearest.pop()
  }
  return nearest.map(({ node }) => node)
}

/** @param {Uint8Array} id */
function prefixOf(id) {
  // An id has 32 bytes.
  const byte = (/** @type {number} */ i) => /** @type {number} */ (id[i])
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0
}

/**
 * @param {Uint8Array} target
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
function compareDistance(target, a, b) {
  for (const [i, byte] of a.entries()) {
    const other = /** @type {number} */ (b[i])
    const wanted = /** @type {number} */ (target[i])
    if (byte !== other) return (byte ^ wanted) - (other ^ wanted)
  }
  return 0
}

/**
 * Does something so many times, so many at once.
 * @param {number} count
 * @param {number} atOnce
 * @param {(i: number) => Promise<void>} act
 */
export async function inBatches(count, atOnce, act) {
  for (let i = 0; i < count; i += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - i) }, (_, j) => act(i + j)))
  }
}

/** @returns {Costs} */
export function noCosts() {
  return { ms: [], messages: [], hops: [] }
}

/**
 * @param {Costs} costs
 * @param {{ elapsedMs: number, messages: number, hops: number }} cost
 */
export function note(costs, { elapsedMs, messages, hops }) {
  costs.ms.push(elapsedMs)
  costs.messages.push(messages)
  costs.hops.push(hops)
}

/** @param {Costs} costs */
export function summary({ ms, messages, hops }) {
  return { ms: percentiles(ms), messages: percentiles(messages), hops: percentiles(hops) }
}

/** @param {readonly number[]} values */
export function percentiles(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (/** @type {number} */ share) => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
    return Math.round(value * 10) / 10
  }
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/**
 * @param {string} scenario
 * @param {Simulator} simulator
 * @param {Record<string, unknown>} figures
 * @param {readonly [holds: boolean, bound: string][]} bounds
 * @returns {Report}
 */
export function report(scenario, simulator, figures, bounds) {
  const missed = bounds.filter(([holds]) => !holds).map(([, bound]) => bound)
  return { scenario, seed: simulator.seed, digest: simulator.digest(), figures, missed }
}

/**
 * @param {Report} report
 * @param {number} seconds - on this machine's clock
 */
export function print({ scenario, seed, digest, figures, missed }, seconds) {
  console.log(`\n${scenario} (seed ${seed}, ${seconds.toFixed(1)} s of computing)`)
  for (const [name, figure] of Object.entries(figures)) console.log(`  ${name.padEnd(13)} ${inWords(figure)}`)
  console.log(`  digest        ${digest}`)
  for (const bound of missed) console.log(`  MISSED        ${bound}`)
}

/**
 * @param {unknown} figure
 * @returns {string}
 */
function inWords(figure) {
  if (typeof figure !== 'object' || figure === null) return String(figure)
  if ('p50' in figure && 'p99' in figure) return `${figure.p50} (p99 ${figure.p99})`
  return Object.entries(figure)
    .map(([name, value]) => `${name} ${inWords(value)}`)
    .join(', ')
}
