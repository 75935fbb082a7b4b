import type { NodeId } from '../keyspace/index.js'
import type { TableEntry } from '../routing/index.js'
import type { IncomingRequest, Reply } from '../rpc/index.js'
import type { FindNodeParams, FindNodeResult } from '../wire/index.js'
import { usableEntriesFor } from './contact-filter.js'
import type { NodeContext } from './node-context.js'

/** What a FIND_NODE result holds beside the packed contacts, in bytes. */
const FIND_NODE_FIXED_BYTES = 3

export function findNode(
  node: NodeContext,
  { target, skip }: FindNodeParams,
  request: IncomingRequest,
  reply: Reply<FindNodeResult>,
): void {
  const contacts = nearestFor(node, target, skip, request)
  reply.result({ contacts: node.packer.pack(contacts, request.roomBytes - FIND_NODE_FIXED_BYTES).bytes })
}

/**
 * The contacts to name to a requester: the nearest that it can use, none that failed lately. The one of them that
 * was silent for longest is asked for a sign of life when that is long ago, because a reply full of dead contacts
 * costs the asker dearly (Jimenez et al. 2011), and a far contact in place of a near one costs it more.
 */
export function nearestFor(node: NodeContext, target: NodeId, skip: number, request: IncomingRequest): TableEntry[] {
  const { clock, config, table } = node
  const usable = usableEntriesFor(node.transport, table, request)
  const nearest = table.nearest(target, config.k + skip, (entry) => entry.failures === 0 && usable(entry))
  const found = skip === 0 ? nearest : nearest.slice(skip)
  const seenSinceMs = clock.now() - config.verifiedWithinMs
  let stalest: TableEntry | undefined
  for (const entry of found) {
    if (entry.lastSeenMs < (stalest?.lastSeenMs ?? seenSinceMs)) stalest = entry
  }
  if (stalest) node.verify(stalest)
  return found
}
