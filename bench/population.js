// @ts-check
// A network whose nodes come and go.

import { join } from './simulation.js'

/** @import { SeededRandom, Simulator } from 'xorbit/testing' */
/** @import { Node, NodeOptions } from './simulation.js' */
/** @typedef {(random: SeededRandom) => number} Sessions draws how long a node stays, in ms */
/**
 * @typedef {object} Population
 * @property {() => Node} pick - one that has joined
 * @property {(node: Node) => Promise<void>} died - when a living one ends
 * @property {() => Node[]} living - those included that have not joined yet
 */

const BOOTSTRAP_NODES = 3

/**
 * The median of an exponential distribution is its mean times ln 2.
 * @param {number} medianMs
 * @returns {Sessions}
 */
export function exponentialSessions(medianMs) {
  const meanMs = medianMs / Math.log(2)
  return (random) => -Math.log(1 - random.float()) * meanMs
}

/**
 * With a shape below 1 many sessions are short and few very long, as those of real networks are.
 * @param {number} medianMs
 * @param {number} shape
 * @returns {Sessions}
 */
export function weibullSessions(medianMs, shape) {
  const scaleMs = medianMs / Math.log(2) ** (1 / shape)
  return (random) => (-Math.log(1 - random.float())) ** (1 / shape) * scaleMs
}

/**
 * From now on each node ends after a session, without a word, and a new one takes its place.
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes - have joined; their sessions begin now
 * @param {{ sessions: Sessions, options?: NodeOptions, onEnd?: (node: Node) => void, onReplaced?: (node: Node) => void }} settings
 *   `options`: of the new ones; `onEnd`: is told of each just before its end; `onReplaced`: of each new one once it has joined
 * @returns {Population}
 */
export function beginChurn(simulator, nodes, { sessions, options, onEnd, onReplaced }) {
  const { random } = simulator
  const joined = [...nodes]
  /** With what tells of their end. @type {Map<Node, Promise<void>>} */
  const living = new Map()
  const begin = (/** @type {Node} */ node) => {
    const sessionMs = Math.round(sessions(random))
    const died = new Promise((/** @type {(end: void) => void} */ resolve) => {
      simulator.after(sessionMs, () => resolve(end(node)))
    })
    living.set(node, died)
  }
  const end = (/** @type {Node} */ node) => {
    onEnd?.(node)
    node.host.kill()
    living.delete(node)
    const at = joined.indexOf(node)
    if (at >= 0) joined.splice(at, 1)
    void replace()
  }
  const replace = async () => {
    const bootstrap = random.shuffle(joined).slice(0, BOOTSTRAP_NODES)
    const addresses = bootstrap.map(({ address }) => address)
    const node = await join(simulator, addresses, options, begin)
    onReplaced?.(node)
    joined.push(node)
  }
  for (const node of joined) begin(node)
  return {
    pick: () => random.pick(joined),
    died: (node) => /** @type {Promise<void>} */ (living.get(node)),
    living: () => [...living.keys()],
  }
}
