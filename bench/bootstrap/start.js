// @ts-check
// Starts nodes, not all at once.

import { DhtError } from 'xorbit'

/** @import { Dht } from 'xorbit' */

const AT_ONCE = 20

/** @param {number} count @param {() => Dht} create @returns {Promise<Dht[]>} */
export async function startInGroups(count, create) {
  /** @type {Dht[]} */
  const nodes = []
  while (nodes.length < count) {
    const more = Array.from({ length: Math.min(AT_ONCE, count - nodes.length) }, create)
    await Promise.all(more.map(startNode))
    nodes.push(...more)
  }
  return nodes
}

/**
 * One whose first attempt got no answer goes on trying by itself: where the rate limit is in force that is no failure.
 * @param {Dht} node
 */
export async function startNode(node) {
  try {
    await node.start()
  } catch (error) {
    if (!(error instanceof DhtError) || error.code !== 'ERR_BOOTSTRAP_FAILED') throw error
  }
}
