import type { Address, NodeId } from '../keyspace/index.js'
import { sameBytes } from '../keyspace/index.js'

/**
 * Decides which ids an address may claim; it is asked on every message. Today any but our own, so ids can be
 * chosen freely: ids bound to public addresses (the idea of BEP 42) are a change of this module alone.
 */
export type IdPolicy = (id: NodeId, address: Address) => boolean

/** Any id but our own. */
export function anyIdButOurs(ownId: NodeId): IdPolicy {
  return (id) => !sameBytes(id, ownId)
}
