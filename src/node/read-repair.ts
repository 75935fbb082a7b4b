import type { NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { ReceivedRecord } from './lookups.js'
import type { NodeContext } from './node-context.js'
import { Running } from './running.js'
import type { Holder, SearchResult } from './search-all.js'
import type { RecordToStore, StoreTarget } from './store-at.js'
import { storeOne } from './store-at.js'

/** A reader that found much does not send it all in one moment. */
const STORES_AT_ONCE = 32

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
  const queue: { storing: RecordToStore; target: StoreTarget }[] = []
  for (const contact of outcome.closest) {
    const holder = holders.get(mapKey(contact.id))
    // Who has more than it sent may have this too.
    if (!holder || holder.recordsLeft > 0) continue
    let room = kind.slotsPerKeyMax - holder.records.size
    for (const [slot, found] of best) {
      if (found.lifetimeMs < 1000 || !lags(kind, holder, slot, found)) continue
      // A full one would have to evict another for each, and would lack that the next time.
      if (!holder.records.has(slot) && kind.slotsPerKeyMax > 1 && room-- <= 0) continue
      const { record, lifetimeMs } = found
      queue.push({ storing: { key, kind, lifetimeMs }, target: { contact, token: holder.token, record } })
    }
  }
  new Running().each(queue, STORES_AT_ONCE, ({ storing, target }, ended) =>
    storeOne(node, storing, target, sent, ended),
  )
}

/** Whether a holder has less than what was found. */
function lags(kind: RecordKind, { heldSeq, records }: Holder, slot: string, { record }: ReceivedRecord): boolean {
  const held = records.get(slot)
  if (held) return !sameBytes(kind.merge(held, record), held)
  if (heldSeq === undefined || kind.slotsPerKeyMax > 1) return true
  // It has one, which it was not asked for or which did not fit.
  return kind.seq !== undefined && heldSeq < kind.seq(record)
}
