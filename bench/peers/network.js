// @ts-check
// What each system has to offer to be measured, and where to find it.

/**
 * A network of one system, whose nodes all live in this process and have numbers from 0.
 *
 * @typedef {object} PeerNetwork
 * @property {number} k - how many of the nearest a lookup is to find: the default of the system
 * @property {number} [joinsAtOnce] - how many may join at once, where that matters
 * @property {(index: number, isBootstrap: boolean) => Promise<void>} join - makes a node, and resolves when it says that
 *   it has joined; those that join later know the bootstrap nodes, and nobody else
 * @property {(index: number) => Uint8Array} idOf - where a node is in the key space
 * @property {(target: Uint8Array) => Uint8Array | Promise<Uint8Array>} placeOf - where a target is in the key space
 * @property {(asker: number, target: Uint8Array) => Promise<Uint8Array[]>} lookUp - a complete lookup: the ids that it
 *   found, nearest first
 * @property {(asker: number, value: Uint8Array) => Promise<{ key: Uint8Array, acknowledgements: number }>} put
 * @property {(asker: number, key: Uint8Array) => Promise<Uint8Array | undefined>} get - the value, or undefined
 * @property {(index: number, key: Uint8Array) => boolean | Promise<boolean>} holds - whether a node has a copy
 * @property {(index: number) => Promise<void>} kill - closes the sockets of a node without a goodbye
 */

/** Which system is in which file. Each is loaded in a process of its own. */
const SYSTEMS = new Map([
  ['xorbit', './xorbit.js'],
  ['bittorrent-dht', './bittorrent-dht.js'],
  ['hyperdht', './hyperdht.js'],
  ['kad-dht', './kad-dht.js'],
])

export const SYSTEM_NAMES = [...SYSTEMS.keys()]

/**
 * @param {string} system
 * @param {import('./meter.js').Meter} meter
 * @returns {Promise<PeerNetwork>}
 * @throws Error when there is no such system, or its packages are not installed
 */
export async function createNetwork(system, meter) {
  const path = SYSTEMS.get(system)
  if (path === undefined) throw new Error(`there is no system ${system}, only ${SYSTEM_NAMES.join(', ')}`)
  try {
    const { network } = await import(path)
    return await network(meter)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ERR_MODULE_NOT_FOUND') throw error
    const remedy = system === 'xorbit' ? 'npm run build' : 'npm ci --prefix bench/peers'
    throw new Error(`what ${system} needs is missing: ${remedy}`, { cause: error })
  }
}
