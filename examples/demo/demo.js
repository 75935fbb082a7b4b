// @ts-check
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fromHex, generateKeyPair, keyOf, toHex, VALUE_BYTES_MAX } from 'xorbit'
import { eachOf } from './each-of.js'
import { Network } from './network.js'

/** @import { GetResult, PutResult } from 'xorbit' */
/** @import { Progress } from './progress.js' */

/** How many nodes announce that they have the file. */
const ANNOUNCING = 10

/** How many puts or gets run at once: more would only overflow the sockets, which one process reads in turn. */
const OPERATIONS_AT_ONCE = 8

/**
 * @typedef {object} Spread
 * @property {number} min
 * @property {number} median
 * @property {number} max
 */

/**
 * @typedef {object} Traffic
 * @property {number} datagrams all that nodes sent, requests and replies
 * @property {number} bytes those of the datagrams, without headers of UDP and IP
 */

/**
 * What the demo found. Printed as it is by `--json`.
 *
 * @typedef {object} DemoResult
 * @property {boolean} complete whether every byte came back
 * @property {{ name: string, bytes: number, sha256: string }} file
 * @property {{ bytes: number, sha256: string | null }} fetched the hash is null when a value is missing
 * @property {string[]} missing the keys of values that did not come back
 * @property {number} nodes
 * @property {number} killed
 * @property {string} bootstrap the one address that every newcomer was given
 * @property {number} values
 * @property {number} distinctValues parts of equal content have one key and are stored once
 * @property {string | null} signedHash of the file, as the publisher signed it and the newcomer resolved it
 * @property {{ announced: number, located: number }} peers nodes that announced that they have the file
 * @property {Record<'start' | 'store' | 'publish' | 'announce' | 'kill' | 'join' | 'resolve' | 'locate' | 'fetch', number>} phasesMs
 * @property {{ stored: Spread, alive: Spread } | null} replicas nodes that keep a value, before and after the kill
 * @property {{ put: Spread, get: Spread } | null} messages request datagrams of one operation, resent ones included
 * @property {Record<string, number>} hops how many gets took how many hops
 * @property {{ store: Traffic, fetch: Traffic }} traffic
 * @property {{ store: number, fetch: number }} bytesPerSecond of the file
 */

/** @param {string} path */
export async function readInput(path) {
  return new Uint8Array(await readFile(path))
}

/**
 * @param {{ name: string, bytes: Uint8Array, nodes: number, kill: number, signal: AbortSignal, progress: Progress }} options
 * @returns {Promise<DemoResult>}
 */
export async function runDemo({ name, bytes, nodes, kill, signal, progress }) {
  const network = new Network(signal)
  try {
    const startMs = await timed(() => network.grow(nodes, (done) => progress.show('starting nodes', done, nodes)))

    const parts = split(bytes, VALUE_BYTES_MAX)
    const [, publisher] = network.nodes
    if (publisher === undefined) throw new Error('a network of one node has no publisher')
    /** @type {string[]} */
    const keys = []
    /** @type {Map<string, PutResult>} */
    const puts = new Map()
    /** @type {Map<string, Uint8Array>} */
    const distinct = new Map()
    for (const part of parts) {
      const key = createHash('sha256').update(part).digest('hex')
      keys.push(key)
      distinct.set(key, part)
    }
    const beforeStore = network.traffic()
    const storeMs = await timed(() =>
      eachOf(distinct, OPERATIONS_AT_ONCE, async ([key, part]) => {
        puts.set(key, await publisher.dht.put(part, { signal }))
        progress.show('storing values', puts.size, distinct.size)
      }),
    )
    const storeTraffic = since(network.traffic(), beforeStore)

    // The hash of the file goes under the publisher's name, and whoever has the file under the file's topic.
    const sha256 = sha256Of(bytes)
    const keyPair = generateKeyPair()
    const topic = keyOf(`file/${sha256}`)
    const publishMs = await timed(() => publisher.dht.publish(keyPair, fromHex(sha256), { signal }))
    const announcing = network.someBut([0], Math.min(ANNOUNCING, nodes - 1))
    const announceMs = await timed(() =>
      eachOf(announcing, OPERATIONS_AT_ONCE, ({ dht }) => dht.announce(topic, { signal })),
    )

    // The publisher is the first to go: from here on only the network has the file.
    const victims = [publisher, ...network.someBut([0, 1], kill - 1)]
    progress.show('killing nodes', victims.length, victims.length)
    const killMs = await timed(() => network.kill(victims))

    // All that the newcomer gets is one address, the publisher's public key, and the list of keys.
    /** @type {Awaited<ReturnType<typeof network.join>>} */
    let newcomer
    const joinMs = await timed(async () => {
      newcomer = await network.join()
    })
    /** @type {string | null} */
    let signedHash = null
    const resolveMs = await timed(async () => {
      const resolved = await orNothing(newcomer.dht.resolve(keyPair.publicKey, { signal }), signal)
      if (resolved !== undefined) signedHash = toHex(resolved.value)
    })
    /** @type {number | undefined} */
    let located
    const locateMs = await timed(async () => {
      located = await orNothing(countOf(newcomer.dht.locate(topic, { signal })), signal)
    })
    const beforeFetch = network.traffic()
    /** @type {Map<string, GetResult>} */
    const gets = new Map()
    let asked = 0
    const fetchMs = await timed(() =>
      eachOf(new Set(keys), OPERATIONS_AT_ONCE, async (key) => {
        const found = await orNothing(newcomer.dht.get(fromHex(key), { signal }), signal)
        if (found !== undefined) gets.set(key, found)
        progress.show('fetching values', ++asked, distinct.size)
      }),
    )
    const fetchTraffic = since(network.traffic(), beforeFetch)

    const missing = [...distinct.keys()].filter((key) => !gets.has(key))
    const fetched = join(keys.map((key) => gets.get(key)?.value ?? new Uint8Array(0)))
    const fetchedSha256 = missing.length === 0 ? sha256Of(fetched) : null
    const dead = new Set(victims.map(({ address }) => address))
    const stored = [...puts.values()]
    return {
      complete: fetchedSha256 === sha256 && signedHash === sha256,
      file: { name, bytes: bytes.length, sha256 },
      fetched: { bytes: fetched.length, sha256: fetchedSha256 },
      missing,
      nodes,
      killed: victims.length,
      bootstrap: network.bootstrap,
      values: parts.length,
      distinctValues: distinct.size,
      signedHash,
      peers: { announced: announcing.length, located: located ?? 0 },
      phasesMs: {
        ...{ start: startMs, store: storeMs, publish: publishMs, announce: announceMs, kill: killMs },
        ...{ join: joinMs, resolve: resolveMs, locate: locateMs, fetch: fetchMs },
      },
      replicas:
        stored.length === 0
          ? null
          : {
              stored: spread(stored.map(({ storedAt }) => storedAt.length)),
              alive: spread(stored.map(({ storedAt }) => storedAt.filter(({ address }) => !dead.has(address)).length)),
            },
      messages:
        gets.size === 0
          ? null
          : {
              put: spread(stored.map(({ messages }) => messages)),
              get: spread([...gets.values()].map(({ messages }) => messages)),
            },
      hops: countBy([...gets.values()].map(({ hops }) => hops)),
      traffic: { store: storeTraffic, fetch: fetchTraffic },
      bytesPerSecond: { store: rate(bytes.length, storeMs), fetch: rate(fetched.length, fetchMs) },
    }
  } finally {
    await network.close()
  }
}

/**
 * What can't be had is missing, whatever the reason; only an interruption ends the demo.
 *
 * @template T
 * @param {Promise<T | undefined>} asked
 * @param {AbortSignal} signal
 */
async function orNothing(asked, signal) {
  try {
    return await asked
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}

/** @param {AsyncIterable<unknown>} found */
async function countOf(found) {
  let count = 0
  for await (const _ of found) count++
  return count
}

/**
 * @param {Uint8Array} bytes
 * @param {number} partBytesMax
 */
function split(bytes, partBytesMax) {
  const parts = []
  for (let at = 0; at < bytes.length; at += partBytesMax) parts.push(bytes.subarray(at, at + partBytesMax))
  return parts
}

/** @param {Uint8Array[]} parts */
function join(parts) {
  return new Uint8Array(Buffer.concat(parts))
}

/** @param {Uint8Array} bytes */
function sha256Of(bytes) {
  return toHex(createHash('sha256').update(bytes).digest())
}

/** @param {() => unknown} work */
async function timed(work) {
  const startedAtMs = performance.now()
  await work()
  return Math.round((performance.now() - startedAtMs) * 10) / 10
}

/**
 * @param {Traffic} now
 * @param {Traffic} before
 */
function since(now, before) {
  return { datagrams: now.datagrams - before.datagrams, bytes: now.bytes - before.bytes }
}

/**
 * @param {number[]} numbers
 * @returns {Spread}
 */
function spread(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = (/** @type {number} */ index) => sorted[index] ?? 0
  return { min: at(0), median: at(sorted.length >> 1), max: at(sorted.length - 1) }
}

/** @param {number[]} numbers */
function countBy(numbers) {
  /** @type {Record<string, number>} */
  const counts = {}
  for (const number of numbers) counts[number] = (counts[number] ?? 0) + 1
  return counts
}

/**
 * @param {number} bytes
 * @param {number} ms
 */
function rate(bytes, ms) {
  return ms > 0 ? Math.round((bytes / ms) * 1000) : 0
}
