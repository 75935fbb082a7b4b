// @ts-check
import { createDht, MemoryStore, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'
import { eachOf } from './each-of.js'

/** @import { Dht, Transport } from 'xorbit' */

/** How many nodes join at once. */
const JOINS_AT_ONCE = 8

/**
 * What a node keeps at most. All of them share the memory of one machine, and one publisher is the source of all that
 * they keep: the limits of a node by itself would only limit the file.
 */
const STORE_LIMITS = { bytesMax: 2 ** 40, recordsMax: 2 ** 32 }

/**
 * @typedef {object} Node
 * @property {Dht} dht
 * @property {Transport} transport its UDP socket
 * @property {MemoryStore} storage what it keeps for others
 * @property {string} address
 */

/** Nodes with a UDP socket each on 127.0.0.1, all in this process. The first is the one that newcomers are told of. */
export class Network {
  /** @type {Node[]} */
  nodes = []
  /** @type {Dht[]} */
  #opened = []
  #signal

  /** @param {AbortSignal} signal ends whatever is under way */
  constructor(signal) {
    this.#signal = signal
  }

  /** The one address that newcomers are given. */
  get bootstrap() {
    return this.nodes[0]?.address ?? ''
  }

  /**
   * Starts nodes until there are that many.
   *
   * @param {number} count
   * @param {(done: number) => void} onProgress
   */
  async grow(count, onProgress) {
    if (this.nodes.length === 0) await this.join()
    await eachOf(Array.from({ length: count - this.nodes.length }), JOINS_AT_ONCE, async () => {
      await this.join()
      onProgress(this.nodes.length)
    })
  }

  /** Starts one node. It knows nothing but the bootstrap address. */
  async join() {
    const transport = udp({ host: '127.0.0.1' })
    const storage = new MemoryStore(STORE_LIMITS)
    const dht = createDht({ transport, storage, bootstrap: this.nodes.length === 0 ? [] : [this.bootstrap] })
    this.#opened.push(dht)
    const { address } = await dht.start({ signal: this.#signal })
    const node = { dht, transport, storage, address }
    this.nodes.push(node)
    return node
  }

  /**
   * Random nodes.
   *
   * @param {number[]} spared the indices of those that must not be among them
   * @param {number} count
   */
  someBut(spared, count) {
    const candidates = this.nodes.filter((_, index) => !spared.includes(index))
    for (let i = candidates.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1))
      const swapped = /** @type {Node} */ (candidates[i])
      candidates[i] = /** @type {Node} */ (candidates[j])
      candidates[j] = swapped
    }
    return candidates.slice(0, count)
  }

  /**
   * Closes the sockets of nodes behind their backs: from one moment to the next nobody hears of them again, as
   * when the power fails. `dht.close()` is not called.
   *
   * @param {Node[]} victims
   */
  async kill(victims) {
    await Promise.all(victims.map(({ transport }) => transport.close()))
  }

  /**
   * How many of the nodes keep a record, by its key in hexadecimal digits. Their stores are looked at, nobody is asked.
   *
   * @param {Node[]} nodes
   */
  holders(nodes) {
    /** @type {Map<string, number>} */
    const counts = new Map()
    for (const { storage } of nodes) {
      for (const { key } of storage.entries()) counts.set(toHex(key), (counts.get(toHex(key)) ?? 0) + 1)
    }
    return counts
  }

  /** What all nodes together sent so far. */
  traffic() {
    let datagrams = 0
    let bytes = 0
    for (const { dht } of this.nodes) {
      const { datagramsSent, bytesSent } = dht.stats()
      datagrams += datagramsSent
      bytes += bytesSent
    }
    return { datagrams, bytes }
  }

  /** Closes every node, the killed ones too, so that no timer of theirs is left. */
  async close() {
    await Promise.all(this.#opened.map((dht) => dht.close()))
  }
}
