import type { NodeId } from '../keyspace/index.js'

/**
 * One kind of what may be stored. Whoever stores a record and whoever reads one asks the same module whether
 * it belongs to the key that was asked for, so no node on the way has to be trusted.
 */
export interface RecordKind {
  /** The kind's number on the wire. */
  readonly code: number
  /** For people. */
  readonly name: string
  /** Whether the record is of this kind's form and belongs to the key. Never throws. */
  isValid(key: NodeId, record: Uint8Array): boolean
}
