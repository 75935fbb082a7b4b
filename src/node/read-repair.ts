import type { NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { ReceivedRecord } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Holder, SearchResult } from './search-all.js'
import { storeOne } from './store-at.js'

const IGNORE = (): void => {}

/**
 * Brings the holders that lag up to what a search found. Nobody waits for it, and nothing comes of its failures: the
 * reader has its answer.
 */
export function repairLagging(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  { best, holders, outcome }: SearchResult,
): void {
  if (!kind.isRelayed) return
  const sent = (): void => {
    node.counters.passedOn++
  }
  for (const contact of outcome.closest) {
    const holder = holders.get(mapKey(contact.id))
    // Who has more than it sent may have this too.
    if (!holder || holder.recordsLeft > 0) continue
    for (const [slot, found] of best) {
      if (found.lifetimeMs < 1000 || !lags(kind, holder, slot, found)) continue
      const { record, lifetimeMs } = found
      storeOne(node, { key, kind, lifetimeMs }, { contact, token: holder.token, record }, sent, IGNORE)
    }
  }
}

/** Whether a holder has less than what was found. */
function lags(kind: RecordKind, { heldSeq, records }: Holder, slot: string, { record }: ReceivedRecord): boolean {
  const held = records.get(slot)
  if (held) return !sameBytes(kind.merge(held, record), held)
  if (heldSeq === undefined || kind.slotsPerKeyMax > 1) return true
  // It has one, which it was not asked for or which did not fit.
  return kind.seq !== undefined && heldSeq < kind.seq(record)
}
