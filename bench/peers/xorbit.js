// @ts-check
// xorbit as its README says, with default options.

import { createDht, udp } from '../self.js'

/** @typedef {import('./network.js').PeerNetwork} PeerNetwork */
/** @typedef {ReturnType<typeof createDht>} Dht */

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
  /** @type {Map<string, Set<string>>} */
  const holders = new Map()
  return {
    k: 20,
    async join(index, isBootstrap) {
      const dht = createDht({ transport: udp({ host: '127.0.0.1', port: 0 }), bootstrap: [...bootstrap] })
      const joined = new Promise((resolve) => dht.on('joined', resolve))
      // It goes on trying by itself when all of its first datagrams got lost.
      await dht.start().catch(() => joined)
      nodes[index] = dht
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
      holders.set(hex(key), new Set(storedAt.map(({ id }) => hex(id))))
      return { key, acknowledgements: storedAt.length }
    },
    async get(asker, key) {
      return (await at(nodes, asker).get(key))?.value
    },
    holds: (index, key) => holders.get(hex(key))?.has(hex(at(nodes, index).id)) ?? false,
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

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
