// @ts-check
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { generateKeyPair, keyOf, toHex } from 'xorbit'
import { amount } from './amount.js'
import { eachOf } from './each-of.js'
import { Network } from './network.js'
import { fetchFile, storeFile } from './stored-file.js'

/** @import { FetchedFile } from './stored-file.js' */
/** @import { Progress } from './progress.js' */

/** How many nodes announce that they have the file. */
const ANNOUNCING = 10

/** How many announcements run at once: more would only overflow the sockets, which one process reads in turn. */
const OPERATIONS_AT_ONCE = 8

/**
 * What a newcomer has that does not know where the file is.
 *
 * @type {FetchedFile}
 */
const NOTHING_FETCHED = { bytes: new Uint8Array(0), missing: [], messages: 0 }

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
 * @property {{ key: string, reason: string }[]} missing the values that did not come back, and why
 * @property {number} nodes
 * @property {number} killed
 * @property {string} bootstrap the one address that every newcomer was given
 * @property {number} values of at most 1 MiB that the file was stored as
 * @property {number} distinctValues values of equal content have one key and are stored once
 * @property {number} pieces of 880 bytes that the values are made of
 * @property {number} parts records that the nodes keep of it: distinct pieces, and the trees that name them
 * @property {string | null} signedPointer where the file is, as the publisher signed it and the newcomer resolved it
 * @property {{ announced: number, located: number }} peers nodes that announced that they have the file
 * @property {Record<'start' | 'store' | 'publish' | 'announce' | 'kill' | 'join' | 'resolve' | 'locate' | 'fetch', number>} phasesMs
 * @property {number} replicasMin how many nodes had confirmed the part with the fewest when its put returned
 * @property {{ stored: Spread, alive: Spread }} replicas nodes that keep a part, before and after the kill
 * @property {Record<string, number>} partsByAlive how many parts have how many holders left
 * @property {{ store: number, fetch: number }} messages request datagrams of the puts and gets, resent ones included
 * @property {{ store: Traffic, fetch: Traffic }} traffic of all nodes
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
    const { ms: startMs } = await timed(() =>
      network.grow(nodes, (done) => progress.show('starting nodes', done, nodes)),
    )

    const [, publisher] = network.nodes
    if (publisher === undefined) throw new Error('a network of one node has no publisher')
    const onStored = (/** @type {number} */ done, /** @type {number} */ of) =>
      progress.show('storing', done, of, amount)
    const beforeStore = network.traffic()
    const { came: stored, ms: storeMs } = await timed(() =>
      storeFile(publisher.dht, bytes, { signal, onProgress: onStored }),
    )
    const storeTraffic = since(network.traffic(), beforeStore)
    // Nothing else was stored yet, so whatever the nodes keep is of the file.
    const parts = new Set(network.holders(network.nodes).keys())

    // Where the file is goes under the publisher's name, and whoever has the file under a topic made of that.
    const keyPair = generateKeyPair()
    const { ms: publishMs } = await timed(() => publisher.dht.publish(keyPair, stored.pointer, { signal }))
    const announcing = network.someBut([0], Math.min(ANNOUNCING, nodes - 1))
    const { ms: announceMs } = await timed(() =>
      eachOf(announcing, OPERATIONS_AT_ONCE, ({ dht }) => dht.announce(topicOf(stored.pointer), { signal })),
    )

    // The publisher is the first to go: from here on only the network has the file.
    const victims = [publisher, ...network.someBut([0, 1], kill - 1)]
    const holders = network.holders(network.nodes)
    progress.show('killing nodes', victims.length, victims.length)
    const { ms: killMs } = await timed(() => network.kill(victims))
    const alive = network.holders(network.nodes.filter((node) => !victims.includes(node)))
    const aliveHolders = [...parts].map((key) => alive.get(key) ?? 0)

    // All that the newcomer gets is one address and the publisher's public key.
    const { came: newcomer, ms: joinMs } = await timed(() => network.join())
    const { came: resolved, ms: resolveMs } = await timed(() =>
      orNothing(newcomer.dht.resolve(keyPair.publicKey, { signal }), signal),
    )
    const pointer = resolved?.value
    const { came: located = 0, ms: locateMs } = await timed(
      async () => pointer && orNothing(countOf(newcomer.dht.locate(topicOf(pointer), { signal })), signal),
    )
    const onFetched = (/** @type {number} */ done) => progress.show('fetching', done, stored.bytes, amount)
    const beforeFetch = network.traffic()
    const { came: fetched, ms: fetchMs } = await timed(async () =>
      pointer ? fetchFile(newcomer.dht, pointer, { signal, onProgress: onFetched }) : NOTHING_FETCHED,
    )
    const fetchTraffic = since(network.traffic(), beforeFetch)

    const sha256 = sha256Of(bytes)
    const fetchedSha256 = pointer !== undefined && fetched.missing.length === 0 ? sha256Of(fetched.bytes) : null
    return {
      complete: fetchedSha256 === sha256,
      file: { name, bytes: bytes.length, sha256 },
      fetched: { bytes: fetched.bytes.length, sha256: fetchedSha256 },
      missing: fetched.missing,
      nodes,
      killed: victims.length,
      bootstrap: network.bootstrap,
      values: stored.values,
      distinctValues: stored.distinctValues,
      pieces: stored.pieces,
      parts: parts.size,
      signedPointer: pointer === undefined ? null : toHex(pointer),
      peers: { announced: announcing.length, located },
      phasesMs: {
        ...{ start: startMs, store: storeMs, publish: publishMs, announce: announceMs, kill: killMs },
        ...{ join: joinMs, resolve: resolveMs, locate: locateMs, fetch: fetchMs },
      },
      replicasMin: Math.min(...stored.puts.map(({ replicasMin }) => replicasMin)),
      replicas: { stored: spread([...parts].map((key) => holders.get(key) ?? 0)), alive: spread(aliveHolders) },
      partsByAlive: countBy(aliveHolders),
      messages: { store: stored.puts.reduce((sum, { messages }) => sum + messages, 0), fetch: fetched.messages },
      traffic: { store: storeTraffic, fetch: fetchTraffic },
      bytesPerSecond: { store: rate(bytes.length, storeMs), fetch: rate(fetched.bytes.length, fetchMs) },
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
 * Who resolved the pointer can ask for those that have the file.
 *
 * @param {Uint8Array} pointer
 */
function topicOf(pointer) {
  return keyOf(`file/${toHex(pointer)}`)
}

/** @param {Uint8Array} bytes */
function sha256Of(bytes) {
  return toHex(createHash('sha256').update(bytes).digest())
}

/**
 * @template T
 * @param {() => Promise<T>} work
 */
async function timed(work) {
  const startedAtMs = performance.now()
  const came = await work()
  return { came, ms: Math.round((performance.now() - startedAtMs) * 10) / 10 }
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
