import type { EncodedTree, RecordKind } from '../records/index.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import { putAgain, putParts } from './put-parts.js'
import type { StoredAt } from './put-record.js'
import { putCopies } from './put-record.js'

/** Where a value of several records was stored. */
export interface StoredValue extends StoredAt {
  /** How many holders the record with the fewest has, as far as is known. */
  readonly replicasMin: number
}

/** How a value is to be stored. */
export interface ValueToStore {
  readonly kind: RecordKind
  readonly tree: EncodedTree
  readonly lifetimeMs: number
  /** How many holders must have stored each of its records. */
  readonly acknowledgements: number
}

/**
 * Stores a value of several records: first the parts, then the root, so that whoever finds the root finds the rest.
 *
 * @param onStored - called with the bytes of the value that were stored
 * @returns cancels it; what was stored by then stays
 */
export function putTree(
  node: NodeContext,
  { acknowledgements, kind, lifetimeMs, tree }: ValueToStore,
  onStored: (bytes: number) => void,
  done: Done<StoredValue>,
): () => void {
  const startedAtMs = node.clock.now()
  const parts = tree.parts.map((part) => ({ ...part, kind, lifetimeMs: () => lifetimeMs }))
  let cancelRoot = (): void => {}
  const cancelParts = putParts(node, parts, acknowledgements, onStored, (failure, storedParts) => {
    if (!storedParts) {
      done(failure, undefined)
      return
    }
    const { key, record } = tree.root
    const putRoot = (whenPut: Done<StoredAt>): (() => void) =>
      putCopies(node, { key, kind, lifetimeMs }, record, acknowledgements, whenPut)
    cancelRoot = putAgain(node, putRoot, (error, stored) => {
      if (!stored) {
        done(error, undefined)
        return
      }
      const messages = storedParts.messages + stored.messages
      const elapsedMs = node.clock.now() - startedAtMs
      const replicasMin = Math.min(storedParts.replicasMin, stored.storedAt.length)
      done(undefined, { ...stored, replicasMin, messages, elapsedMs })
    })
  })
  return () => {
    cancelParts()
    cancelRoot()
  }
}
