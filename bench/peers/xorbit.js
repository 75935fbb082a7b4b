// @ts-check
// xorbit as its README says, with default options.

import { createDht, MemoryStore, udp } from '../self.js'

/** @typedef {import('./network.js').PeerNetwork} PeerNetwork */
/** @typedef {ReturnType<typeof createDht>} Dht */

/** Those of the store that a node makes itself, which can't be asked what it holds. */
const DEFAULT_LIMITS = { bytesMax: 64 * 2 ** 20, recordsMax: 65_536, recordsPerSourceMax: 8_192 }
/** The kind of record that put stores. */
const IMMUTABLE = 0

/**
 * @param {import('./meter.js').Meter} meter
 * @returns {Promise<PeerNetwork>}
 */
export async function network(meter) {
  meter.watchDatagrams()
  /** @type {Dht[]} */
  const nodes = []
  /** @type {string[]} */
  const bootstrap = []
  /** @type {MemoryStore[]} */
  const stores = []
  return {
    k: 20,
    async join(index, isBootstrap) {
      const storage = new MemoryStore(DEFAULT_LIMITS)
      const dht = createDht({ transport: udp({ host: '127.0.0.1', port: 0 }), bootstrap: [...bootstrap], storage })
      const joined = new Promise((resolve) => dht.on('joined', resolve))
      // It goes on trying by itself when all of its first datagrams got lost.
      await dht.start().catch(() => joined)
      nodes[index] = dht
      stores[index] = storage
      if (isBootstrap) bootstrap.push(/** @type {string} */ (dht.address))
    },
    idOf: (index) => at(nodes, index).id,
    placeOf: (key) => key,
    async lookUp(asker, target) {
      const { closest } = await at(nodes, asker).findNode(target)
      return closest.map(({ id }) => id)
    },
    async put(asker, value) {
      const { key, storedAt } = await at(nodes, asker).put(value)
      return { key, acknowledgements: storedAt.length }
    },
    async get(asker, key) {
      return (await at(nodes, asker).get(key))?.value
    },
    holds: (index, key) => /** @type {MemoryStore} */ (stores[index]).list(key, IMMUTABLE).length > 0,
    // Nobody is told of the end of a node: see the documentation of close().
    kill: (index) => at(nodes, index).close(),
  }
}

/**
 * @param {Dht[]} nodes
 * @param {number} index
 */
function at(nodes, index) {
  return /** @type {Dht} */ (nodes[index])
}
