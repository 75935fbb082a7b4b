import type { NodeId } from './node-id.js'

/**
 * Where a node can be reached. Opaque: only the transport that made it reads it, for UDP for example
 * `'203.0.113.7:7400'` or `'[2001:db8::1]:7400'`. One place has one spelling, so that strings compare.
 */
export type Address = string

/** A node as others know it. */
export interface Contact {
  /** The node's id. */
  readonly id: NodeId
  /** Where it was last reached, or is said to be reachable. */
  readonly address: Address
}
