// @ts-check
// hyperdht, nodes made as by its own testnet.js: persistent ones that can be reached. Values by immutablePut.

import { createRequire } from 'node:module'
import HyperDht from 'hyperdht'

/**
 * @param {import('./meter.js').Meter} meter
 * @returns {Promise<import('./network.js').PeerNetwork>}
 */
export async function network(meter) {
  // Not a dependency of ours: the very copy that hyperdht uses is to be watched.
  const requireAsHyperdht = createRequire(createRequire(import.meta.url).resolve('hyperdht'))
  meter.watchUdx(requireAsHyperdht('udx-native/lib/socket.js'))
  /** @type {any[]} */
  const nodes = []
  /** @type {{ host: string, port: number }[]} */
  const bootstrap = []
  return {
    k: 20,
    async join(index, isBootstrap) {
      const node = new HyperDht({
        host: '127.0.0.1',
        ephemeral: false,
        firewalled: false,
        bootstrap: [...bootstrap],
      })
      await node.fullyBootstrapped()
      nodes[index] = node
      if (isBootstrap) bootstrap.push({ host: '127.0.0.1', port: node.address().port })
    },
    idOf: (index) => nodes[index].table.id,
    placeOf: (key) => key,
    async lookUp(asker, target) {
      const query = nodes[asker].findNode(Buffer.from(target))
      await query.finished()
      return query.closestReplies.map((/** @type {{ from: { id: Uint8Array } }} */ { from }) => from.id)
    },
    async put(putter, value) {
      const { hash } = await nodes[putter].immutablePut(Buffer.from(value))
      // It tells whom it asked to store the value, not who did: the copies are counted.
      const acknowledgements = nodes.filter((node) => isHeldBy(node, hash)).length
      return { key: hash, acknowledgements }
    },
    async get(getter, key) {
      return (await nodes[getter].immutableGet(Buffer.from(key)))?.value
    },
    holds: (index, key) => isHeldBy(nodes[index], key),
    // Sends nothing where no server listens: it closes the sockets and ends the timers.
    kill: (index) => nodes[index].destroy({ force: true }),
  }
}

/**
 * @param {any} node
 * @param {Uint8Array} key
 */
function isHeldBy(node, key) {
  return node._persistent !== null && Boolean(node._persistent.immutables.get(Buffer.from(key).toString('hex')))
}
