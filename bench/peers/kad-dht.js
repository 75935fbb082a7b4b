// @ts-check
// libp2p hosts with kad-dht as its README says for a DHT in a private network: TCP, noise, yamux, identify, ping.

import './with-resolvers.js'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { identify } from '@libp2p/identify'
import { kadDHT, removePublicAddressesMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

/** Names our records; kad-dht keeps no records without a validator for their name. */
const PREFIX = 'bench'
/** A node whose first look at its own surroundings failed does not say so, and is a node all the same. */
const JOIN_MS_MAX = 30_000

/**
 * @param {import('./meter.js').Meter} meter
 * @returns {Promise<import('./network.js').PeerNetwork>}
 */
export async function network(meter) {
  meter.watchStreams()
  /** @type {any[]} */
  const nodes = []
  /** @type {Uint8Array[]} */
  const ids = []
  /** @type {any[]} */
  const bootstrap = []
  return {
    k: 20,
    // Everyone connects to everyone: with more at once they are late for their own time-outs, and miss each other.
    joinsAtOnce: 2,
    async join(index, isBootstrap) {
      const node = /** @type {any} */ (await createNode())
      nodes[index] = node
      ids[index] = sha256(node.peerId.toMultihash().bytes)
      if (bootstrap.length > 0) {
        const joined = once(node, 'kad-dht:query:self', { signal: AbortSignal.timeout(JOIN_MS_MAX) }).catch(() => {})
        await Promise.allSettled(bootstrap.map((address) => node.dial(address)))
        await joined
      }
      if (isBootstrap) bootstrap.push(node.getMultiaddrs()[0])
    },
    idOf: (index) => /** @type {Uint8Array} */ (ids[index]),
    placeOf: sha256,
    async lookUp(asker, target) {
      const found = []
      for await (const event of nodes[asker].services.dht.getClosestPeers(target)) {
        if (event.name === 'FINAL_PEER') found.push(sha256(event.peer.id.toMultihash().bytes))
      }
      return found
    },
    async put(putter, value) {
      const key = Buffer.from(`/${PREFIX}/${sha256(value).toString('hex')}`)
      let acknowledgements = 0
      for await (const event of nodes[putter].services.dht.put(key, value)) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE' && event.record) acknowledgements++
      }
      return { key, acknowledgements }
    },
    async get(getter, key) {
      for await (const event of nodes[getter].services.dht.get(key)) if (event.name === 'VALUE') return event.value
    },
    async holds(index, key) {
      try {
        await nodes[index].services.dht.contentFetching.getLocal(key)
        return true
      } catch (error) {
        if (/** @type {Error} */ (error).name === 'NotFoundError') return false
        throw error
      }
    },
    async kill(index) {
      // Destroys the TCP sockets, so that nothing is left to say goodbye on. The system tells the other ends, which
      // for a machine that loses its power it would not.
      for (const connection of nodes[index].getConnections()) connection.abort(new Error('killed'))
      await nodes[index].stop()
    },
  }
}

function createNode() {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // All nodes share one IP address, of which each would take only five connections a second.
    connectionManager: { inboundConnectionThreshold: Number.POSITIVE_INFINITY },
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: '/xorbit-bench/kad/1.0.0',
        clientMode: false,
        peerInfoMapper: removePublicAddressesMapper,
        validators: { [PREFIX]: async () => {} },
        selectors: { [PREFIX]: () => 0 },
      }),
    },
  })
}

/** @param {Uint8Array} bytes */
function sha256(bytes) {
  return createHash('sha256').update(bytes).digest()
}
