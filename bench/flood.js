// @ts-check
// One /24 stores a hundred thousand keys at one node of a network, which others store at too: what the node keeps,
// what it takes, and what the flooder is told. The exit status is 1 when a bound is missed.
//
//   npm run simulate:flood -- --nodes 1000 --keys 100000 --seed 1 --json

import { parseArgs } from 'node:util'
import { keyOf, MemoryStore, toHex } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, print, report } from './simulation.js'

/** @import { Node, Report } from './simulation.js' */
/** @typedef {{ key: Uint8Array, value: Uint8Array }} Value */
/** @typedef {(to: string, method: Method, params: object) => Promise<{ code: string, result: any }>} Ask */
/** @typedef {{ code: number | string, paddedBytes: number, writeParams(params: any): unknown[], readResult(raw: readonly unknown[]): any }} Method */

// Not of the package's interface: a flooder stores at the node that it chose, not where a lookup leads.
/** @type {typeof import('../src/wire/index.js')} */
const { createCodec, errorCode, FIND_VALUE, Flag, STORE, TOKENS } = await import(
  new URL('../dist/wire/index.js', import.meta.url).href
)

const MINUTE_MS = 60_000
const DEFAULT_BYTES_MAX = 64 * 2 ** 20
const IMMUTABLE = 0
/** Keys of one TOKENS request. */
const KEYS_AT_ONCE = 32
/** All the hosts of a /24. Each stays below the 256 requests a second that are served. */
const FLOODERS = 254
const FLOOD_MS = 5 * MINUTE_MS
const ANSWERED_WITHIN_MS = 5_000
const DAY_SECONDS = 86_400
/** Bits that a key shares with the node's id so that it belongs there: of 1,000 nodes the 20 nearest share 6 or so. */
const NEAR_BITS = 6
/** So many of the flooder's keys belong at the node: it takes 64 trials to find one. */
const NEAR_SHARE = 0.1
const HELD_SHARE = 0.99
/** Values that nodes of the network put where the flood comes. */
const PUT_VALUES = 100
const STORED = 'stored'
const SILENCE = 'no answer'

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    keys: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
const keyCount = Number(options.keys)
if (!(nodeCount >= 100) || !(keyCount >= 10_000)) {
  console.error('usage: flood.js [--nodes 1000] [--keys 100000] [--seed 1] [--json], at least 100 nodes and 10000 keys')
  process.exit(2)
}

const simulator = new Simulator({ seed: options.seed })
const smallId = simulator.random.bytes(32)
const SMALL = { bytesMax: 4 * 2 ** 20, recordsMax: 2_000, recordsPerSourceMax: 250 }
let ports = 4_000
/** @type {Report[]} */
const reports = []
await simulator.run(
  async () => {
    const small = { id: smallId, storage: new MemoryStore(SMALL) }
    const { nodes } = await build(simulator, nodeCount, { optionsOf: (i) => (i === 1 ? small : {}) })
    const victim = /** @type {Node} */ (nodes.at(-1))
    const smallVictim = /** @type {Node} */ (nodes.find(({ id }) => toHex(id) === toHex(smallId)))
    const scenarios = [() => floodDefault(nodes, victim), () => floodSmall(smallVictim)]
    for (const scenario of scenarios) {
      const startedAtMs = performance.now()
      const result = await scenario()
      reports.push(result)
      if (!options.json) print(result, (performance.now() - startedAtMs) / 1000)
    }
  },
  { limitMs: 2 * HOUR_MS },
)
if (options.json) console.log(JSON.stringify(reports, undefined, 2))
process.exitCode = reports.some(({ missed }) => missed.length > 0) ? 1 : 0

/**
 * A node with the store that every node has.
 * @param {readonly Node[]} nodes
 * @param {Node} victim
 */
async function floodDefault(nodes, victim) {
  /** @type {Uint8Array[]} */
  const keys = []
  await inBatches(PUT_VALUES, 10, async () => {
    const { key } = await simulator.random.pick(nodes).dht.put(newValue(victim.id, NEAR_BITS, 880).value)
    keys.push(key)
  })
  const { figures, bounds } = await flood(victim, { sources: 400, valuesEach: 20, bytesMax: DEFAULT_BYTES_MAX })
  let found = 0
  await inBatches(keys.length, 10, async (i) => {
    if (await simulator.random.pick(nodes).dht.get(/** @type {Uint8Array} */ (keys[i]))) found++
  })
  const gets = `${found} of ${keys.length} values that nodes had put there are found`
  return report('a flood of a default store', simulator, { ...figures, gets }, [
    ...bounds,
    [found >= HELD_SHARE * keys.length, 'at least 99 % of the values that nodes put are found'],
  ])
}

/**
 * A store that the others nearly fill.
 * @param {Node} victim
 */
async function floodSmall(victim) {
  const { figures, bounds } = await flood(victim, { sources: 350, valuesEach: 5, bytesMax: SMALL.bytesMax })
  const { fill } = victim.dht.stats().storage
  const honest = await openPeer('61.1.1.1')
  const far = await store(honest, victim, [newValue(victim.id, 0, 100)])
  const near = await store(honest, victim, [newValue(victim.id, NEAR_BITS, 100)])
  const later = `with a fill of ${fill.toFixed(2)} another one is told ${far[0]} for a far key, ${near[0]} for a near one`
  return report('a flood of a small store', simulator, { ...figures, later }, [
    ...bounds,
    [fill >= 0.9, 'the store gets nearly full'],
    [far[0] === 'ERR_TOO_FAR', 'a far key is refused by ERR_TOO_FAR when the store is nearly full'],
    [near[0] === 'stored', 'a near key is taken even then'],
  ])
}

/**
 * Others store, then the flood comes.
 * @param {Node} victim
 * @param {{ sources: number, valuesEach: number, bytesMax: number }} settings
 */
async function flood(victim, { sources, valuesEach, bytesMax }) {
  /** @type {{ ask: Ask, values: Value[] }[]} */
  const others = []
  /** @type {Record<string, number>} */
  const toldOthers = {}
  await inBatches(sources, 20, async (i) => {
    const ask = await openPeer(`60.${i >> 8}.${i & 0xff}.1`)
    const values = Array.from({ length: valuesEach }, () => newValue(victim.id, NEAR_BITS, 100))
    count(toldOthers, await store(ask, victim, values))
    others.push({ ask, values })
  })

  const sampled = { samples: 0, bytesMost: 0, fillMost: 0, recordsMost: 0 }
  const sample = () => {
    const { bytes, fill, records } = victim.dht.stats().storage
    sampled.samples++
    sampled.bytesMost = Math.max(sampled.bytesMost, bytes)
    sampled.fillMost = Math.max(sampled.fillMost, fill)
    sampled.recordsMost = Math.max(sampled.recordsMost, records)
  }
  /** @type {{ near: Record<string, number>, far: Record<string, number> }} */
  const told = { near: {}, far: {} }
  const rounds = Math.ceil(keyCount / FLOODERS / KEYS_AT_ONCE)
  const startedAtMs = simulator.nowMs
  let open = keyCount
  await inBatches(FLOODERS, FLOODERS, async (i) => {
    const ask = await openPeer(`52.1.2.${1 + i}`)
    await simulator.delay(simulator.random.int(Math.ceil(FLOOD_MS / rounds)))
    for (let round = 0; round < rounds; round++) {
      const size = Math.min(open, KEYS_AT_ONCE)
      open -= size
      const nearCount = Math.round(NEAR_SHARE * size)
      const values = Array.from({ length: size }, (_, v) => newValue(victim.id, v < nearCount ? NEAR_BITS : 0, 880))
      const codes = await store(ask, victim, values)
      count(told.near, codes.slice(0, nearCount))
      count(told.far, codes.slice(nearCount))
      sample()
      await simulator.delay(FLOOD_MS / rounds)
    }
  })
  const floodMs = simulator.nowMs - startedAtMs

  let held = 0
  await inBatches(others.length, 20, async (i) => {
    const { ask, values } = /** @type {(typeof others)[number]} */ (others[i])
    for (const { key } of values) {
      const params = { key, kind: IMMUTABLE, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
      const { result } = await ask(victim.address, FIND_VALUE, params)
      if (result?.records.length === 1) held++
    }
  })
  const { records, fill } = victim.dht.stats().storage
  const silences = (told.near[SILENCE] ?? 0) + (told.far[SILENCE] ?? 0)
  const stored = toldOthers[STORED] ?? 0
  return {
    figures: {
      others: `${sources} networks, ${stored} of ${sources * valuesEach} values stored, ${held} held after the flood`,
      flood: `${keyCount} keys from ${FLOODERS} hosts of one /24 in ${Math.round(floodMs / 1000)} s`,
      'told, far': told.far,
      'told, near': told.near,
      store: `at most ${sampled.recordsMost} records, ${mebibytes(sampled.bytesMost)} of ${mebibytes(bytesMax)}, fill ${sampled.fillMost.toFixed(2)} in ${sampled.samples} samples`,
      'in the end': `${records} records, fill ${fill.toFixed(2)}`,
    },
    /** @type {[boolean, string][]} */
    bounds: [
      [sampled.bytesMost <= bytesMax, 'the store stays within its bytes'],
      [stored === sources * valuesEach, 'what others store before is taken'],
      [held >= HELD_SHARE * stored, "at least 99 % of the others' values are still held"],
      [silences === 0, 'every refusal has a code'],
    ],
  }
}

/**
 * A bare socket that is a client of the network.
 * @param {string} ip
 * @returns {Promise<Ask>}
 */
async function openPeer(ip) {
  const { transport, randomBytes } = simulator.host({ address: `${ip}:${ports++}` })
  const codec = createCodec('xorbit')
  const sender = randomBytes(32)
  /** @type {Map<string, (message: import('../src/wire/index.js').Message) => void>} */
  const open = new Map()
  await transport.start((_from, bytes) => {
    const message = codec.decode(new Uint8Array(bytes))
    if (message.type === 'response' || message.type === 'error') open.get(toHex(message.tid))?.(message)
  })
  return (to, method, params) =>
    new Promise((resolve) => {
      const tid = randomBytes(8)
      const settle = (/** @type {{ code: string, result: any }} */ told) => {
        cancel()
        open.delete(toHex(tid))
        resolve(told)
      }
      const cancel = simulator.after(ANSWERED_WITHIN_MS, () => settle({ code: SILENCE, result: undefined }))
      open.set(toHex(tid), (message) => {
        if (message.type === 'error') settle({ code: errorCode(message.code), result: undefined })
        else if (message.type === 'response') settle({ code: STORED, result: method.readResult(message.result) })
      })
      const flags = Flag.ipv4 | Flag.client
      const written = method.writeParams(params)
      const request = {
        type: /** @type {const} */ ('request'),
        tid,
        flags,
        sender,
        method: method.code,
        params: written,
      }
      transport.send(to, codec.encode(request, method.paddedBytes))
    })
}

/**
 * Stores values at one node: what it says to each.
 * @param {Ask} ask
 * @param {Node} node
 * @param {readonly Value[]} values - at most 32
 * @returns {Promise<string[]>}
 */
async function store(ask, { address }, values) {
  if (values.length === 0) return []
  const keys = values.map(({ key }) => key)
  const { code, result } = await ask(address, TOKENS, { kind: IMMUTABLE, keys })
  if (!result) return values.map(() => code)
  const told = values.map(async ({ key, value }, i) => {
    const token = result.tokens[i]?.token ?? new Uint8Array(0)
    const record = Uint8Array.of(0, ...value)
    const params = { key, kind: IMMUTABLE, token, record, ttlSeconds: DAY_SECONDS, cas: undefined, isCached: false }
    return (await ask(address, STORE, params)).code
  })
  return Promise.all(told)
}

/**
 * A value whose key shares so many bits with the id.
 * @param {Uint8Array} id
 * @param {number} bits - at most 8
 * @param {number} bytes
 * @returns {Value}
 */
function newValue(id, bits, bytes) {
  const value = simulator.random.bytes(bytes)
  const view = new DataView(value.buffer, value.byteOffset)
  for (let trial = 0; ; trial++) {
    view.setUint32(0, trial)
    const key = keyOf(value)
    const difference = /** @type {number} */ (key[0]) ^ /** @type {number} */ (id[0])
    // Far ones are in the other half.
    if (bits === 0 ? difference >= 0x80 : difference >> (8 - bits) === 0) return { key, value }
  }
}

/**
 * @param {Record<string, number>} counts
 * @param {readonly string[]} names
 */
function count(counts, names) {
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
}

/** @param {number} bytes */
function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
