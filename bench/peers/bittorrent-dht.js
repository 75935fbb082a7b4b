// @ts-check
// bittorrent-dht with the options of its README's examples, on 127.0.0.1. Values are immutable items of BEP 44.

import { once } from 'node:events'
import Dht from 'bittorrent-dht'

/**
 * @param {import('./meter.js').Meter} meter
 * @returns {Promise<import('./network.js').PeerNetwork>}
 */
export async function network(meter) {
  meter.watchDatagrams()
  /** @type {any[]} */
  const nodes = []
  /** @type {string[]} */
  const bootstrap = []
  return {
    k: 20,
    async join(index, isBootstrap) {
      const node = new Dht({ bootstrap: bootstrap.length > 0 ? [...bootstrap] : false })
      // Such as a reply that came after its time-out; without a listener nothing would be different.
      node.on('warning', () => {})
      const ready = once(node, 'ready')
      node.listen(0, '127.0.0.1')
      await once(node, 'listening')
      await ready
      nodes[index] = node
      if (isBootstrap) bootstrap.push(`127.0.0.1:${node.address().port}`)
    },
    idOf: (index) => nodes[index].nodeId,
    placeOf: (key) => key,
    async lookUp(asker, target) {
      const infoHash = Buffer.from(target)
      const node = nodes[asker]
      await new Promise((resolve, reject) => {
        node.lookup(infoHash, (/** @type {Error | null} */ error) => (error ? reject(error) : resolve(undefined)))
      })
      // Where it keeps those that answered, for the announce or put that usually follows.
      const answered = node._tables.peek(infoHash.toString('hex'))
      return answered.closest(infoHash, 20).map((/** @type {{ id: Uint8Array }} */ { id }) => id)
    },
    put(putter, value) {
      return new Promise((resolve, reject) => {
        nodes[putter].put({ v: Buffer.from(value) }, (/** @type {Error | null} */ error, key, acknowledgements) =>
          error ? reject(error) : resolve({ key, acknowledgements }),
        )
      })
    },
    get(getter, key) {
      return new Promise((resolve, reject) => {
        nodes[getter].get(key, (/** @type {Error | null} */ error, /** @type {{ v: Uint8Array } | null} */ found) =>
          error ? reject(error) : resolve(found?.v),
        )
      })
    },
    holds: (index, key) => nodes[index]._values.peek(Buffer.from(key).toString('hex')) !== undefined,
    // Sends nothing: it closes the socket and ends the timers.
    kill: (index) => new Promise((resolve) => nodes[index].destroy(resolve)),
  }
}
