import type { NodeId } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'
import { repairLagging } from './read-repair.js'
import { searchAll } from './search-all.js'

/** The records of a key. */
export interface FoundRecords extends Costs {
  /** One for each slot: what all that the k nearest hold merge to. */
  readonly records: Uint8Array[]
}

/**
 * Finds what the k nearest and we hold under a key, merged. Holders that lag are brought up to it behind the reader's
 * back. Nothing is found, which is no error, only when more than half of the k nearest answered.
 *
 * @returns cancels it
 */
export function resolveRecords(node: NodeContext, key: NodeId, kind: RecordKind, done: Done<FoundRecords>): () => void {
  if (node.table.size === 0) return refuse(done)
  const search = searchAll(node, key, kind, {
    done(result) {
      const { best, elapsedMs, outcome, pages } = result
      const { conclusive, hops, messages } = outcome
      if (best.size === 0 && !conclusive) return done(inconclusive(outcome), undefined)
      const records = [...best.values()].map(({ record }) => record)
      done(undefined, { records, hops, messages: messages + pages, elapsedMs })
      repairLagging(node, key, kind, result)
    },
  })
  return search.stop
}
