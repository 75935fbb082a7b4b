// @ts-check
// One case: a network of one system is formed in this process, and everything that is compared is measured on it.

import { setTimeout as sleep } from 'node:timers/promises'
import { Meter } from './meter.js'
import { createNetwork } from './network.js'
import { percentile, randomFrom, recallOf, round } from './numbers.js'

/** Nodes that all others begin with, and that are never killed: an application chooses them to last. */
const BOOTSTRAP_NODES = 3
/** How many join at once, and how many lookups run at once where the throughput is measured. */
const AT_ONCE = 16
/** How long a network that was formed is given to come to rest. */
const REST_MS_MAX = 90_000
/** So long nothing must have been sent: what a newcomer does at leisure is part of its joining. */
const REST_QUIET_MS = 3000
/** An operation that takes longer has failed. */
const OPERATION_MS_MAX = 30_000
/** How many reasons of failures are told. */
const FAILURES_MAX = 5
/** Why operations failed, so that a mistake in this program is seen. @type {Set<string>} */
const failures = new Set()
const TARGET_BYTES = 32
const VALUE_BYTES = 100

/**
 * @typedef {object} Case
 * @property {string} system
 * @property {number} nodes
 * @property {number} delayMs - added to each message
 * @property {number} deadShare - how many of the nodes are killed after the network was formed
 *
 * @typedef {object} Amounts
 * @property {number} lookups
 * @property {number} puts
 * @property {number} gets
 * @property {number} partSeconds - a part of the measurement ends after so long, however many are done
 * @property {number} idleSeconds - for how long the traffic is measured that nobody asked for
 * @property {number} seed
 *
 * @typedef {Awaited<ReturnType<typeof measure>>} Figures
 */

/**
 * @param {Case} theCase
 * @param {Amounts} amounts
 * @param {(text: string, share?: number) => void} progress
 */
export async function measure(theCase, amounts, progress) {
  failures.clear()
  const meter = new Meter(theCase.delayMs)
  const network = await createNetwork(theCase.system, meter)
  const random = randomFrom(amounts.seed)
  const some = () => Math.floor(random() * theCase.nodes)
  const bytes = (/** @type {number} */ length) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
  /** @type {Set<number>} */
  const dead = new Set()
  const living = () => {
    for (;;) {
      const index = some()
      if (!dead.has(index)) return index
    }
  }

  progress(`forming a network of ${theCase.nodes} nodes`, 0)
  const forming = await form(theCase.nodes, network, meter)

  /** @type {{ key: Uint8Array, value: Uint8Array, putter: number }[]} */
  const stored = []
  const deadNodes = Math.min(Math.round(theCase.deadShare * theCase.nodes), theCase.nodes - BOOTSTRAP_NODES)
  if (deadNodes > 0) {
    progress('storing what is got after the deaths', 0.2)
    await together(amounts.gets, amounts.partSeconds, async () => {
      const putter = some()
      const value = bytes(VALUE_BYTES)
      const { key } = await network.put(putter, value)
      stored.push({ key, value, putter })
    })
    while (dead.size < deadNodes) {
      const index = living()
      if (index >= BOOTSTRAP_NODES) dead.add(index)
    }
    await Promise.all([...dead].map((index) => network.kill(index)))
  }

  progress('idle', 0.25)
  await meter.quiet()
  const idle = await share(meter, () => sleep(1000 * amounts.idleSeconds))
  /** @param {number} count @param {() => Promise<unknown>} action */
  const inTurn = (count, action) => oneByOne(count, amounts.partSeconds, meter, idle, action)

  /** A living node that neither put a value nor holds it, if there is any. @param {Uint8Array} key @param {number} putter */
  const getterOf = async (key, putter) => {
    const first = some()
    for (let i = 0; i < theCase.nodes; i++) {
      const index = (first + i) % theCase.nodes
      if (!dead.has(index) && index !== putter && !(await network.holds(index, key))) return index
    }
    return undefined
  }
  const getStored = async () => {
    progress('gets', 0.75)
    const wanted = []
    for (const { key, value, putter } of stored.slice(0, amounts.gets)) {
      const getter = await getterOf(key, putter)
      if (getter !== undefined) wanted.push({ key, value, getter })
    }
    return inTurn(wanted.length, async () => {
      const { key, value, getter } = /** @type {{ key: Uint8Array, value: Uint8Array, getter: number }} */ (
        wanted.shift()
      )
      const found = await network.get(getter, key)
      if (found === undefined || Buffer.compare(found, value) !== 0) throw new Error('the value was not found')
    })
  }
  // Among the dead first of all, as every request after it lets a table heal.
  const getAmongTheDead = deadNodes === 0 ? undefined : await getStored()

  /** @type {{ asker: number, target: Uint8Array, found: Uint8Array[] }[]} */
  const lookedUp = []
  const lookUp = async () => {
    const asker = living()
    const target = bytes(TARGET_BYTES).subarray(0, network.idOf(asker).length)
    const lookup = { asker, target, found: /** @type {Uint8Array[]} */ ([]) }
    lookedUp.push(lookup)
    lookup.found = await network.lookUp(asker, target)
  }
  progress('lookups one at a time', 0.3)
  const lookup = await inTurn(amounts.lookups, lookUp)
  progress('lookups, 16 at a time', 0.5)
  const many = await together(amounts.lookups, amounts.partSeconds, lookUp)

  progress('puts', 0.55)
  let acknowledgements = 0
  const put = await inTurn(amounts.puts, async () => {
    const putter = living()
    const value = bytes(VALUE_BYTES)
    const { key, acknowledgements: heard } = await network.put(putter, value)
    acknowledgements += heard
    if (deadNodes === 0) stored.push({ key, value, putter })
  })

  const get = getAmongTheDead ?? (await getStored())

  progress('looking who was to be found', 0.95)
  const ids = Array.from({ length: theCase.nodes }, (_, index) => index)
    .filter((index) => !dead.has(index))
    .map((index) => ({ index, id: network.idOf(index) }))
  let recall = 0
  for (const { asker, target, found } of lookedUp) {
    const others = ids.filter(({ index }) => index !== asker).map(({ id }) => id)
    recall += recallOf(found, others, await network.placeOf(target), network.k)
  }
  return {
    forming,
    idleMessagesPerSecond: round(1000 * idle.messagesPerMs),
    recall: Number((recall / lookedUp.length).toFixed(6)),
    lookup,
    together: many,
    put: { ...put, acknowledgements: round(acknowledgements / put.count) },
    get,
    failures: [...failures],
  }
}

/**
 * @param {number} nodes
 * @param {import('./network.js').PeerNetwork} network
 * @param {Meter} meter
 */
async function form(nodes, network, meter) {
  const before = memory()
  const begun = meter.reading()
  for (let index = 0; index < BOOTSTRAP_NODES; index++) await network.join(index, true)
  let next = BOOTSTRAP_NODES
  const joining = async () => {
    while (next < nodes) await network.join(next++, false)
  }
  await Promise.all(Array.from({ length: network.joinsAtOnce ?? AT_ONCE }, joining))
  const joined = meter.reading()
  const seconds = (joined.atMs - begun.atMs) / 1000
  await meter.quiet(REST_MS_MAX, REST_QUIET_MS)
  const { messages, bytes } = meter.reading()
  const after = memory()
  return {
    seconds: round(seconds),
    messagesPerJoin: round((joined.messages - begun.messages) / nodes),
    messagesPerJoinAtRest: round((messages - begun.messages) / nodes),
    bytesPerJoin: Math.round((bytes - begun.bytes) / nodes),
    rssBytesPerNode: Math.round((after.rss - before.rss) / nodes),
    heapBytesPerNode: Math.round((after.heapUsed - before.heapUsed) / nodes),
  }
}

/** What the process takes, after what is no longer needed was given back, where the process may ask for that. */
function memory() {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage()
}

/** @typedef {{ messagesPerMs: number, bytesPerMs: number }} Traffic */

/**
 * What is sent while something else goes on.
 *
 * @param {Meter} meter
 * @param {() => Promise<unknown>} meanwhile
 * @returns {Promise<Traffic>}
 */
async function share(meter, meanwhile) {
  const begun = meter.reading()
  await meanwhile()
  const ended = meter.reading()
  const elapsedMs = ended.atMs - begun.atMs
  return {
    messagesPerMs: (ended.messages - begun.messages) / elapsedMs,
    bytesPerMs: (ended.bytes - begun.bytes) / elapsedMs,
  }
}

/**
 * Operations one at a time, each after the traffic of the one before has ended; without what an idle network sends.
 *
 * @param {number} countMax
 * @param {number} seconds
 * @param {Meter} meter
 * @param {Traffic} idle
 * @param {() => Promise<unknown>} action
 */
async function oneByOne(countMax, seconds, meter, idle, action) {
  /** @type {number[]} */
  const timesMs = []
  let failed = 0
  await meter.quiet()
  const begun = meter.reading()
  while (timesMs.length < countMax && performance.now() - begun.atMs < 1000 * seconds) {
    const startMs = performance.now()
    if (!(await succeeds(action))) failed++
    timesMs.push(performance.now() - startMs)
    await meter.quiet()
  }
  const ended = meter.reading()
  const elapsedMs = ended.atMs - begun.atMs
  const count = Math.max(1, timesMs.length)
  return {
    count: timesMs.length,
    failed,
    p50Ms: percentile(timesMs, 0.5),
    p95Ms: percentile(timesMs, 0.95),
    p99Ms: percentile(timesMs, 0.99),
    messages: round(Math.max(0, ended.messages - begun.messages - idle.messagesPerMs * elapsedMs) / count),
    bytes: Math.round(Math.max(0, ended.bytes - begun.bytes - idle.bytesPerMs * elapsedMs) / count),
  }
}

/**
 * Operations several at a time, as fast as they end.
 *
 * @param {number} countMax
 * @param {number} seconds
 * @param {() => Promise<unknown>} action
 */
async function together(countMax, seconds, action) {
  const begunMs = performance.now()
  const begunCpu = process.cpuUsage()
  /** @type {number[]} */
  const timesMs = []
  let begun = 0
  let failed = 0
  const working = async () => {
    while (begun < countMax && performance.now() - begunMs < 1000 * seconds) {
      begun++
      const startMs = performance.now()
      if (!(await succeeds(action))) failed++
      timesMs.push(performance.now() - startMs)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, working))
  const { user, system } = process.cpuUsage(begunCpu)
  return {
    count: begun,
    failed,
    p50Ms: percentile(timesMs, 0.5),
    p95Ms: percentile(timesMs, 0.95),
    p99Ms: percentile(timesMs, 0.99),
    perSecond: round((1000 * begun) / (performance.now() - begunMs)),
    cpuMs: round((user + system) / 1000 / begun),
  }
}

/**
 * @param {() => Promise<unknown>} action
 * @returns {Promise<boolean>} false when it failed, or took too long
 */
async function succeeds(action) {
  const late = new AbortController()
  try {
    const isDone = action().then(() => true)
    return await Promise.race([isDone, sleep(OPERATION_MS_MAX, false, { signal: late.signal })])
  } catch (error) {
    if (failures.size < FAILURES_MAX) failures.add(String(error))
    return false
  } finally {
    late.abort()
  }
}
