// @ts-check
// Thousands of peers under one topic: how many a locate finds, how soon, at what cost, how fairly, and what becomes of
// those that leave. The exit status is 1 when a bound is missed.
//
//   npm run simulate:topic -- --nodes 1000 --peers 10000 --hours 2 --seed 1 --json

import { parseArgs } from 'node:util'
import { generateKeyPair, keyOf, toHex } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, K, percentiles, print, report, trueNearest } from './simulation.js'

/** @import { Announcement } from 'xorbit' */
/** @import { Node, Report } from './simulation.js' */
/** @typedef {{ node: Node, announcement: Announcement, name: string }} Peer */

const MINUTE_MS = 60_000
const ANNOUNCING_AT_ONCE = 200
const READERS = 5
/** Locates that stop early, and after how many peers. */
const SHORT_LOCATES = 1_000
const SHORT_PEERS = 20
/** On how many machines all peers die, and on how many they leave with goodbye. */
const DYING = 20
const LEAVING = 20
/** The record kind of peers. */
const PEER_CODE = 2
/** What a holder keeps of one topic. */
const PEERS_MAX = 1_024
/** How many times as often as the mean peer the most frequent one may come. */
const FAIR_MOST = 10

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    peers: { type: 'string', default: '10000' },
    hours: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
const peerCount = Number(options.peers)
const hours = Number(options.hours)
if (!(nodeCount >= 100) || !(peerCount >= nodeCount) || !(hours >= 2)) {
  console.error('usage: topic.js [--nodes 1000] [--peers 10000] [--hours 2] [--seed 1] [--json]')
  console.error('at least 100 nodes, as many peers, 2 hours')
  process.exit(2)
}

const topic = keyOf('a topic')
const wanted = wantedOf(peerCount)

const startedAtMs = performance.now()
const simulator = new Simulator({ seed: options.seed })
const result = await simulator.run(manyPeers, { limitMs: (hours + 2) * HOUR_MS })
if (options.json) console.log(JSON.stringify([result], undefined, 2))
else print(result, (performance.now() - startedAtMs) / 1000)
process.exitCode = result.missed.length > 0 ? 1 : 0

/** @returns {Promise<Report>} */
async function manyPeers() {
  const { nodes } = await build(simulator, nodeCount)
  progress('joined')
  const { peers, announcing } = await announceAll(nodes)
  progress('announced', announcing)
  const holders = trueNearest(nodes, topic)
  const kept = holders.map(({ dht }) => dht.stats().storage.records)
  const [keptLeast, keptMost] = [Math.min(...kept), Math.max(...kept)]

  const full = await locateFromSeveral(nodes)
  progress('located', { count: full.count, firstMs: full.firstMs, messages: full.messages })
  const fair = await locateShortly(nodes)
  progress('located shortly', fair)

  // Neither holders nor their stand-ins: who holds the topic is not what this is about.
  const near = new Set(nearest(nodes, 3 * K))
  const others = simulator.random.shuffle(nodes.filter((node) => !near.has(node)))
  const dying = new Set(others.slice(0, DYING))
  const dead = new Set(peers.filter(({ node }) => dying.has(node)).map(({ name }) => name))
  const leaving = peers.filter(({ node }) => others.slice(DYING, DYING + LEAVING).includes(node))
  const left = new Set(leaving.map(({ name }) => name))
  for (const { host } of dying) host.kill()
  const diedAtMs = simulator.nowMs
  const alive = nodes.filter(({ host }) => host.isAlive)
  const wantedLater = wantedOf(peers.length - dead.size - left.size)
  const removedAt = await Promise.all(leaving.map(({ announcement }) => announcement.stop()))

  /** @type {Record<string, string>} */
  const later = {}
  /** @type {Awaited<ReturnType<typeof locateFromSeveral>>[]} */
  const checks = []
  for (const afterMs of [0, 5 * MINUTE_MS, HOUR_MS + 2 * MINUTE_MS, hours * HOUR_MS]) {
    await simulator.delay(Math.max(0, diedAtMs + afterMs - simulator.nowMs))
    const check = await locateFromSeveral(alive)
    checks.push(check)
    const found = check.found
    later[`${Math.round(afterMs / MINUTE_MS)} minutes on`] =
      `${check.count.least} to ${check.count.most} peers, ${found.size} in all; of ${dead.size} dead ` +
      `${among(found, dead)}, of ${left.size} that left ${among(found, left)}`
    progress(`${afterMs / MINUTE_MS} minutes on`, later)
  }
  const [atOnce, soon, ...afterLife] = /** @type {[typeof full, typeof full, ...typeof full[]]} */ (checks)
  return report(
    `${peerCount} peers of one topic at ${nodeCount} nodes`,
    simulator,
    {
      announcing,
      holders: `keep ${keptLeast} to ${keptMost} peers each`,
      located: `${full.count.least} to ${full.count.most} peers, ${full.found.size} by ${READERS} readers together`,
      'first peer': full.firstMs,
      findNode: full.lookupMs,
      'all peers': full.elapsedMs,
      messages: full.messages,
      fairness: fair.words,
      goodbyes: `${left.size} peers left, removed at ${percentiles(removedAt.map((r) => r.removedAt.length)).p50} holders`,
      ...later,
    },
    [
      [full.count.least >= wanted, `every locate finds ${wanted} peers`],
      [checks.every(({ count }) => count.least >= wantedLater), `every later locate finds ${wantedLater} peers`],
      [full.isFirstSoon, 'the first peer comes within one lookup'],
      [keptLeast >= wanted && keptMost <= PEERS_MAX, `holders keep ${wanted} to ${PEERS_MAX} peers`],
      [fair.most <= FAIR_MOST * fair.mean, `no peer comes ${FAIR_MOST} times as often as the mean`],
      [checks.every(({ found }) => among(found, left) === 0), 'who said goodbye is gone at once'],
      [among(atOnce.found, dead) > 0 && among(soon.found, dead) > 0, 'who died is named until its lifetime ends'],
      [afterLife.every(({ found }) => among(found, dead) === 0), 'who died is gone after its lifetime'],
    ],
  )
}

/**
 * How many of so many a locate must find: of fewer than a holder keeps, nearly all.
 * @param {number} count
 */
function wantedOf(count) {
  return Math.min(1_000, Math.floor(0.95 * count))
}

/** @param {readonly Node[]} nodes */
async function announceAll(nodes) {
  /** @type {Peer[]} */
  const peers = []
  /** @type {number[]} */
  const ms = []
  /** @type {number[]} */
  const messages = []
  await inBatches(peerCount, ANNOUNCING_AT_ONCE, async (i) => {
    const node = /** @type {Node} */ (nodes[i % nodes.length])
    const keys = generateKeyPair({ seed: simulator.random.bytes(32) })
    const announcement = await node.dht.announce(topic, { keys, port: 1 + (i % 65_535) })
    ms.push(announcement.elapsedMs)
    messages.push(announcement.messages)
    peers.push({ node, announcement, name: toHex(keys.publicKey) })
  })
  return { peers, announcing: { ms: percentiles(ms), messages: percentiles(messages) } }
}

/** @param {readonly Node[]} nodes */
async function locateFromSeveral(nodes) {
  const counts = []
  const costs = { first: noNumbers(), lookup: noNumbers(), elapsed: noNumbers(), messages: noNumbers() }
  /** @type {Set<string>} */
  const found = new Set()
  for (let i = 0; i < READERS; i++) {
    const node = simulator.random.pick(nodes)
    const before = sentBy(node)
    const startedAtMs = simulator.nowMs
    /** @type {Set<string>} */
    const names = new Set()
    let firstMs = Number.POSITIVE_INFINITY
    for await (const { publicKey } of node.dht.locate(topic)) {
      if (names.size === 0) firstMs = simulator.nowMs - startedAtMs
      names.add(toHex(publicKey))
    }
    costs.elapsed.push(simulator.nowMs - startedAtMs)
    costs.messages.push(sentBy(node) - before)
    costs.first.push(firstMs)
    costs.lookup.push((await node.dht.findNode(topic)).elapsedMs)
    counts.push(names.size)
    for (const name of names) found.add(name)
  }
  return {
    found,
    count: { least: Math.min(...counts), most: Math.max(...counts) },
    isFirstSoon: costs.first.every((ms, i) => ms <= /** @type {number} */ (costs.lookup[i])),
    firstMs: percentiles(costs.first),
    lookupMs: percentiles(costs.lookup),
    elapsedMs: percentiles(costs.elapsed),
    messages: percentiles(costs.messages),
  }
}

/**
 * How often each peer comes among the first.
 * @param {readonly Node[]} nodes
 */
async function locateShortly(nodes) {
  /** @type {Map<string, number>} */
  const times = new Map()
  await inBatches(SHORT_LOCATES, 20, async () => {
    let left = SHORT_PEERS
    for await (const { publicKey } of simulator.random.pick(nodes).dht.locate(topic)) {
      const name = toHex(publicKey)
      times.set(name, (times.get(name) ?? 0) + 1)
      if (--left === 0) break
    }
  })
  const total = [...times.values()].reduce((sum, count) => sum + count, 0)
  // Fair among those that some holder has: full holders have the peers that announced last, rather than all.
  const held = heldPeers(nodes)
  const mean = total / held
  const all = [...times.values(), ...Array.from({ length: Math.max(0, held - times.size) }, () => 0)]
  const { p50, p99, max } = percentiles(all)
  const words =
    `${SHORT_LOCATES} locates of ${SHORT_PEERS}: a peer came ${mean.toFixed(1)} times on average, ` +
    `${p50} in the middle, p99 ${p99}, at most ${max}; ${times.size} of the ${held} that are held came`
  return { mean, most: max, words }
}

/**
 * How many peers the holders have, all together.
 * @param {readonly Node[]} nodes
 */
function heldPeers(nodes) {
  const slots = trueNearest(nodes, topic).flatMap(({ storage }) => storage.list(topic, PEER_CODE))
  return new Set(slots.map(({ slot }) => toHex(slot))).size
}

/**
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
function nearest(nodes, count) {
  /** @type {Node[]} */
  const found = []
  while (found.length < count)
    found.push(
      ...trueNearest(
        nodes.filter((node) => !found.includes(node)),
        topic,
      ),
    )
  return found
}

/** @param {Node} node */
function sentBy({ dht }) {
  const { calls, resends } = dht.stats()
  return calls + resends
}

/** @returns {number[]} */
function noNumbers() {
  return []
}

/**
 * @param {ReadonlySet<string>} found
 * @param {ReadonlySet<string>} names
 */
function among(found, names) {
  return [...names].filter((name) => found.has(name)).length
}

/**
 * @param {string} what
 * @param {object} [figures]
 */
function progress(what, figures) {
  if (options.json) return
  const seconds = Math.round((performance.now() - startedAtMs) / 1000)
  console.error(`${seconds} s: ${what} ${figures ? JSON.stringify(figures) : ''}`)
}
