// @ts-check
// What it costs to store thousands of values again. One node puts them, which takes a lookup each; half of their lifetime
// later it republishes them in one sweep. The exit status is 1 when a bound is missed.
//
//   npm run simulate:sweep -- --nodes 1000 --keys 20000 --seed 1 --json

import { parseArgs } from 'node:util'
import { Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, K, print, trueNearest } from './simulation.js'

/** @import { Dht } from 'xorbit' */
/** @import { Node } from './simulation.js' */
/** @typedef {{ lookups: number, requests: number, resends: number, republished: number }} Counts */

const LIFETIME_MS = 4 * HOUR_MS
/** All are due at about one time, if putting them takes minutes. */
const PUTS_AT_ONCE = 100
const POLL_MS = 5_000
/** A sweep begins with lookups, at most so long before its first STORE. */
const LEAD_MS = 300_000
/** A sweep that sends nothing for so long is over. */
const QUIET_MS = 120_000
const KEYS_CHECKED_MAX = 2_000
const IMMUTABLE = 0

const LOOKUPS_SHARE_MAX = 0.1
const REQUESTS_PER_PAIR_MAX = 1.1
const STORED_SHARE_MIN = 0.999

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    keys: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
const keyCount = Number(options.keys)
if (!Number.isInteger(nodeCount) || !Number.isInteger(keyCount) || nodeCount <= K || keyCount < 1) {
  console.error('usage: sweep.js [--nodes 1000] [--keys 20000] [--seed 1] [--json]')
  process.exit(2)
}

const startedAtMs = performance.now()
const simulator = new Simulator({ seed: options.seed, trace: false, poison: false })
const result = await simulator.run(putAndRepublish, { limitMs: 12 * HOUR_MS })
if (options.json) console.log(JSON.stringify(result, undefined, 2))
else print(result, wallSeconds())
process.exitCode = result.missed.length > 0 ? 1 : 0

async function putAndRepublish() {
  // Without repair, only the sweep prolongs what is stored.
  const { nodes } = await build(simulator, nodeCount, { optionsOf: () => ({ repair: false }) })
  const publisher = simulator.random.pick(nodes)
  progress('the network stands')

  const beforePuts = countsOf(publisher.dht)
  const keys = await putAll(publisher.dht)
  const puts = difference(beforePuts, countsOf(publisher.dht))
  const putsExpireAtMs = publisher.host.clock.wallNow() + LIFETIME_MS
  progress(`${keys.length} values are put`)

  const sweep = await nextSweep(publisher.dht)
  progress('they are republished')
  const checked = simulator.random.shuffle(keys).slice(0, KEYS_CHECKED_MAX)
  const pairs = keys.length * K
  const storedShare = prolongedShare(nodes, publisher, checked, putsExpireAtMs)
  const lookupsShare = sweep.lookups / puts.lookups
  const requestsPerPair = sweep.requests / pairs
  const rounded = (/** @type {number} */ share) => Math.round(share * 1e5) / 1e5
  /** @type {[boolean, string][]} */
  const bounds = [
    [lookupsShare <= LOOKUPS_SHARE_MAX, 'the sweep must save at least 90 % of the lookups'],
    [requestsPerPair <= REQUESTS_PER_PAIR_MAX, 'the sweep may cost at most 1.1 requests for each key and holder'],
    [storedShare >= STORED_SHARE_MIN, 'at least 99.9 % of the true holders must keep the value for longer'],
  ]
  return {
    scenario: `${keys.length} values, ${nodeCount} nodes`,
    seed: simulator.seed,
    digest: 'none: without a trace',
    figures: {
      puts: { ...puts, 'requests per key and holder': rounded(puts.requests / pairs) },
      sweep: { ...sweep, 'requests per key and holder': rounded(requestsPerPair) },
      'lookups of the sweep': `${rounded(100 * lookupsShare)} % of those of the puts`,
      'prolonged at': `${rounded(100 * storedShare)} % of the ${K} true holders of ${checked.length} keys`,
    },
    missed: bounds.filter(([holds]) => !holds).map(([, bound]) => bound),
  }
}

/** @param {Dht} dht */
async function putAll(dht) {
  /** @type {Uint8Array[]} */
  const keys = []
  await inBatches(keyCount, PUTS_AT_ONCE, async () => {
    const { key } = await dht.put(simulator.random.bytes(32), { lifetimeMs: LIFETIME_MS })
    keys.push(key)
  })
  return keys
}

/**
 * Waits until the publisher has stored everything again.
 * @param {Dht} dht
 */
async function nextSweep(dht) {
  const lead = [countsOf(dht)]
  while (countsOf(dht).republished === 0) {
    await simulator.delay(POLL_MS)
    lead.push(countsOf(dht))
    if (lead.length > LEAD_MS / POLL_MS) lead.shift()
  }
  const [before] = /** @type {[Counts]} */ (lead)
  let after = countsOf(dht)
  for (let quietMs = 0; quietMs < QUIET_MS; quietMs += POLL_MS) {
    await simulator.delay(POLL_MS)
    const now = countsOf(dht)
    if (now.republished === after.republished) continue
    after = now
    quietMs = 0
  }
  return difference(before, after)
}

/**
 * Which share of the true holders keeps its value for longer than the put alone could make it.
 * @param {readonly Node[]} nodes
 * @param {Node} publisher
 * @param {readonly Uint8Array[]} keys
 * @param {number} putsExpireAtMs
 */
function prolongedShare(nodes, publisher, keys, putsExpireAtMs) {
  let prolonged = 0
  for (const key of keys) {
    for (const { storage } of trueNearest(nodes, key, publisher)) {
      if (storage.list(key, IMMUTABLE).some(({ expiresAtMs }) => expiresAtMs > putsExpireAtMs)) prolonged++
    }
  }
  return prolonged / (keys.length * K)
}

/**
 * @param {Dht} dht
 * @returns {Counts}
 */
function countsOf(dht) {
  const { calls, resends, lookups, republished } = dht.stats()
  return { lookups, requests: calls + resends, resends, republished }
}

/**
 * @param {Counts} before
 * @param {Counts} after
 * @returns {Counts}
 */
function difference(before, after) {
  return {
    lookups: after.lookups - before.lookups,
    requests: after.requests - before.requests,
    resends: after.resends - before.resends,
    republished: after.republished - before.republished,
  }
}

/** @param {string} what */
function progress(what) {
  console.error(`${what} (${wallSeconds().toFixed(0)} s, ${(simulator.nowMs / HOUR_MS).toFixed(2)} virtual hours)`)
}

function wallSeconds() {
  return (performance.now() - startedAtMs) / 1000
}
