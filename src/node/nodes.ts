import { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { lookUpNodes } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { refuse } from './outcome.js'

/** Nodes that were found. */
export interface FoundNodes extends Costs {
  /** The nearest that answered, at most k, nearest first. */
  readonly closest: Contact[]
}

/**
 * Finds the k nodes nearest to a point of the key space.
 *
 * @returns cancels it
 */
export function findNodes(node: NodeContext, target: NodeId, done: Done<FoundNodes>): () => void {
  if (node.table.size === 0) return refuse(done)
  const run = lookUpNodes(node, target, ({ answered, closest, hops, messages, elapsedMs }) => {
    if (answered === 0) done(new DhtError('ERR_TIMEOUT', 'nobody answered'), undefined)
    else done(undefined, { closest, hops, messages, elapsedMs })
  })
  return run.stop
}
