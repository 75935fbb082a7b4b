import type { Contact } from '../keyspace/index.js'
import type { MaybePromise } from './record-store.js'

/** What a node is from one run to the next. */
export interface NodeState {
  /** Its id, 32 bytes. */
  readonly id: Uint8Array
  /** The secret key, 32 bytes, of the key pair that it announces itself with. */
  readonly secretKey: Uint8Array
  /** Nodes that it knew, whether or not they still live. */
  readonly contacts: readonly Contact[]
}

/** Where a node keeps its own state. A {@link RecordStore} that outlives the process may have one. */
export interface NodeStateStore {
  /** What earlier runs kept, as it was when the store was opened; without what was never kept, or is not intact. */
  readonly loaded: Partial<NodeState>
  /**
   * Keeps what is given in the place of what was kept of it before, and leaves the rest as it is.
   * It copies what it is given, and fails when its medium does.
   */
  save(changes: Partial<NodeState>): MaybePromise<void>
}
