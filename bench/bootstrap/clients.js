// @ts-check
// Clients of one bootstrap node, each with a socket of its own, in one process: `fork('clients.js', [address, clients,
// requests a second, seed])`. They begin when they are told 'go', stop at 'stop', tell what they counted at 'sample', and
// end with their parent.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'
import { randomFrom } from '../peers/numbers.js'

/** @typedef {'ping' | 'findNode' | 'get' | 'put' | 'announce'} Kind */
/** @typedef {{ calls: number, answered: number, refused: number, lost: number, cancelled: number, resends: number, pending: number, operations: Record<Kind, number>, failures: Record<string, number> }} ClientsSample */

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
const STARTED_AT_ONCE = 20

const [address, ...numbers] = process.argv.slice(2)
const [count = 0, rate = 0, seed = 0] = numbers.map(Number)
const random = randomFrom(seed)
const below = (/** @type {number} */ max) => Math.floor(random() * max)

/** @type {import('xorbit').Dht[]} */
const clients = []
while (clients.length < count) {
  const more = Array.from({ length: Math.min(STARTED_AT_ONCE, count - clients.length) }, () =>
    createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [String(address)], client: true }),
  )
  await Promise.all(more.map((client) => client.start()))
  clients.push(...more)
}

/** @type {(Uint8Array | undefined)[]} */
const keys = Array.from({ length: VALUES })
/** @type {Record<Kind, number>} */
const operations = { ping: 0, findNode: 0, get: 0, put: 0, announce: 0 }
/** @type {Record<string, number>} */
const failures = {}
/** What came before they were told to begin. */
let joining = totals()

/** @type {Record<Kind, (client: import('xorbit').Dht, number: number) => Promise<unknown>>} */
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
process.on('message', async (/** @type {'go' | 'stop' | 'sample'} */ what) => {
  if (what === 'go') {
    joining = totals()
    run()
  }
  if (what === 'stop') isRunning = false
  process.send?.(sample())
})
process.on('disconnect', async () => {
  isRunning = false
  await Promise.all(clients.map((client) => client.close()))
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
function begin(number) {
  const client = /** @type {import('xorbit').Dht} */ (clients[number % count])
  const kind = kindAt(below(100))
  operations[kind]++
  OPERATIONS[kind](client, number % count).catch((error) => {
    const code = String(error.code ?? error)
    failures[code] = (failures[code] ?? 0) + 1
  })
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

function totals() {
  const sum = { calls: 0, answered: 0, refused: 0, lost: 0, cancelled: 0, resends: 0, pending: 0 }
  for (const client of clients) {
    const { calls, responses, errorReplies, timeouts, cancelled, resends, pendingCalls } = client.stats()
    sum.calls += calls
    sum.answered += responses + errorReplies
    sum.refused += errorReplies
    sum.lost += timeouts
    sum.cancelled += cancelled
    sum.resends += resends
    sum.pending += pendingCalls
  }
  return sum
}

/** @returns {ClientsSample} */
function sample() {
  const now = totals()
  return {
    calls: now.calls - joining.calls,
    answered: now.answered - joining.answered,
    refused: now.refused - joining.refused,
    lost: now.lost - joining.lost,
    cancelled: now.cancelled - joining.cancelled,
    resends: now.resends - joining.resends,
    pending: now.pending,
    operations,
    failures,
  }
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
