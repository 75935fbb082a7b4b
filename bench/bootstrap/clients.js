// @ts-check
// Clients of one bootstrap node, each with a socket of its own, in one process: `fork('clients.js', [address, clients,
// requests a second, seed])`. They begin when they are told 'go', stop at 'stop', tell what they counted at 'sample', and
// end with their parent. In each minute a tenth of them leaves and others come, with ports and ids of their own.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDht } from 'xorbit'
import { randomFrom } from '../peers/numbers.js'
import { countingUdp, noTraffic } from './counting.js'
import { startInGroups, startNode } from './start.js'

/** @typedef {'ping' | 'findNode' | 'get' | 'put' | 'announce'} Kind */
/** @import { Dht } from 'xorbit' */
/** @import { Traffic } from './counting.js' */
/** @typedef {{ calls: number, answered: number, refused: number, timeouts: number, cancelled: number, resends: number, late: number }} Counts */
/** @typedef {Counts & { pending: number, replaced: number, traffic: Traffic, operations: Record<Kind, number>, failures: Record<string, number> }} ClientsSample */
/** @typedef {{ dht: Dht, underWay: number }} Client what it has begun and not ended */

/** What each hundred of operations is made of. @type {readonly (readonly [Kind, number])[]} */
const MIX = [
  ['ping', 30],
  ['findNode', 30],
  ['get', 25],
  ['put', 10],
  ['announce', 5],
]
/** Stored one after the other, again and again: so all are there after half a minute, and memory may not grow any more. */
const VALUES = 4_096
const VALUE_BYTES_MAX = 880
/** Each client announces itself under these, one after the other. */
const TOPICS = 4
const TICK_MS = 5
const MINUTE_MS = 60_000
/** Of all clients in a minute. */
const REPLACED_SHARE = 0.1
/** How long one that leaves waits for what is still on its way to it. */
const LEAVING_MS_MAX = 5_000

const [address = '', ...numbers] = process.argv.slice(2)
const [count = 0, rate = 0, seed = 0] = numbers.map(Number)
const random = randomFrom(seed)
const below = (/** @type {number} */ max) => Math.floor(random() * max)

/** Of all that were ever there. @type {Traffic} */
const traffic = noTraffic()
/** What those that have left counted. */
let left = noCounts()
let replaced = 0
/** @type {Set<Client>} */
const leaving = new Set()
/** @type {Client[]} */
const clients = (await startInGroups(count, createClient)).map((dht) => ({ dht, underWay: 0 }))

/** @type {(Uint8Array | undefined)[]} */
const keys = Array.from({ length: VALUES })
/** @type {Record<Kind, number>} */
const operations = { ping: 0, findNode: 0, get: 0, put: 0, announce: 0 }
/** @type {Record<string, number>} */
const failures = {}
/** What came before they were told to begin. */
let joining = totals()

/** @type {Record<Kind, (client: Dht, number: number) => Promise<unknown>>} */
const OPERATIONS = {
  ping: (client) => client.ping(String(address)),
  findNode: (client) => client.findNode(bytesOf(32)),
  // One that is stored, as far as there is one; else one that nobody has.
  get: (client) => client.get(keys[below(VALUES)] ?? bytesOf(32)),
  put: async (client) => {
    const which = operations.put % VALUES
    const { key } = await client.put(valueAt(which), { republish: false })
    keys[which] = key
  },
  announce: (client, number) => client.announce(topicOf((number + below(TOPICS)) % count), { port: 4_000 + number }),
}

let isRunning = false
process.on('message', (/** @type {'go' | 'stop' | 'sample'} */ what) => {
  if (what === 'go') joining = totals()
  if (what === 'stop') isRunning = false
  // Before the first request goes out.
  process.send?.(sample())
  if (what !== 'go') return
  run()
  replaceSome()
})
process.on('disconnect', async () => {
  isRunning = false
  await Promise.all([...clients, ...leaving].map(({ dht }) => dht.close()))
  process.exit()
})
process.send?.('ready')

/** Begins operations when they are due, whether or not those before have ended: a slow node gets no fewer. */
async function run() {
  isRunning = true
  const startMs = performance.now()
  let begun = 0
  // Some take two requests or more: how many each takes is seen from what was sent.
  while (isRunning) {
    const requestsEach = begun > 0 ? Math.max(0.5, totals().calls - joining.calls) / begun : 1
    const due = ((performance.now() - startMs) * rate) / 1_000 / requestsEach
    while (begun < due) begin(begun++)
    await sleep(TICK_MS)
  }
}

/** @param {number} number */
async function begin(number) {
  const client = /** @type {Client} */ (clients[number % count])
  const kind = kindAt(below(100))
  operations[kind]++
  client.underWay++
  await OPERATIONS[kind](client.dht, number % count).catch(fail)
  client.underWay--
}

/** @param {Error & { code?: unknown }} error */
function fail(error) {
  const code = String(error.code ?? error)
  failures[code] = (failures[code] ?? 0) + 1
}

function createClient() {
  return createDht({
    transport: countingUdp(address, traffic, { knowsOnlyNode: true }),
    bootstrap: [address],
    client: true,
  })
}

/** One after the other, evenly over the minute. */
async function replaceSome() {
  const pauseMs = MINUTE_MS / (count * REPLACED_SHARE)
  const startMs = performance.now()
  while (isRunning) {
    await sleep(Math.max(0, startMs + (replaced + 1) * pauseMs - performance.now()))
    if (!isRunning) return
    const dht = createClient()
    await startNode(dht).catch(fail)
    const [old] = clients.splice(replaced % count, 1, { dht, underWay: 0 })
    replaced++
    if (old) leave(old)
  }
}

/** @param {Client} client */
async function leave(client) {
  leaving.add(client)
  const endMs = performance.now() + LEAVING_MS_MAX
  const isAwaited = () => client.underWay > 0 || client.dht.stats().pendingCalls > 0
  // A reply to who has given it up, or to a second attempt, may come later.
  do await sleep(LEAVING_MS_MAX / 5)
  while (isAwaited() && performance.now() < endMs)
  left = sumOf(left, countsOf(client.dht))
  leaving.delete(client)
  await client.dht.close()
}

/** @param {number} point @returns {Kind} */
function kindAt(point) {
  let end = 0
  for (const [kind, share] of MIX) {
    end += share
    if (point < end) return kind
  }
  return 'ping'
}

/** @returns {Counts} */
function noCounts() {
  return { calls: 0, answered: 0, refused: 0, timeouts: 0, cancelled: 0, resends: 0, late: 0 }
}

/** @param {Dht} dht @returns {Counts} */
function countsOf(dht) {
  const { calls, responses, errorReplies, timeouts, cancelled, resends, dropped } = dht.stats()
  const answered = responses + errorReplies
  return { calls, answered, refused: errorReplies, timeouts, cancelled, resends, late: dropped.unmatched }
}

/** @param {Counts} one @param {Counts} other @param {1 | -1} [sign] @returns {Counts} */
function sumOf(one, other, sign = 1) {
  const sum = noCounts()
  for (const name of /** @type {(keyof Counts)[]} */ (Object.keys(sum))) sum[name] = one[name] + sign * other[name]
  return sum
}

function totals() {
  return [...clients, ...leaving].reduce((sum, { dht }) => sumOf(sum, countsOf(dht)), left)
}

/** @returns {ClientsSample} */
function sample() {
  const pending = [...clients, ...leaving].reduce((sum, { dht }) => sum + dht.stats().pendingCalls, 0)
  return { ...sumOf(totals(), joining, -1), pending, replaced, traffic, operations, failures }
}

/** @param {number} length */
function bytesOf(length) {
  return Uint8Array.from({ length }, () => below(256))
}

/** The value of that number, always the same. @param {number} which */
function valueAt(which) {
  const own = randomFrom(seed * VALUES + which)
  return Uint8Array.from({ length: 1 + Math.floor(own() * VALUE_BYTES_MAX) }, () => own() * 256)
}

/** @param {number} which */
function topicOf(which) {
  const own = randomFrom(-1 - which)
  return Uint8Array.from({ length: 32 }, () => own() * 256)
}
