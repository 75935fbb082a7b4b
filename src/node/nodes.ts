import { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { lookUpNodes } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { refuse } from './outcome.js'
import type { StepListener } from './trace.js'

/** Nodes that were found. */
export interface FoundNodes extends Costs {
  /** The nearest that answered, at most k, nearest first. */
  readonly closest: Contact[]
}

/**
 * Finds the k nodes nearest to a point of the key space.
 *
 * @param told - of each question that ended
 * @returns cancels it
 */
export function findNodes(
  node: NodeContext,
  target: NodeId,
  told: StepListener | undefined,
  done: Done<FoundNodes>,
): () => void {
  if (node.table.size === 0) return refuse(done)
  const ended = ({ answered, closest, hops, messages, elapsedMs }: LookupOutcome): void => {
    if (answered === 0) done(new DhtError('ERR_TIMEOUT', 'nobody answered'), undefined)
    else done(undefined, { closest, hops, messages, elapsedMs })
  }
  const run = lookUpNodes(node, target, ended, undefined, told)
  return run.stop
}
