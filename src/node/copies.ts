import { sameBytes } from '../keyspace/index.js'
import type { StoredRecord } from '../storage/index.js'
import type { NodeContext } from './node-context.js'

/** Immutable records: one a key. */
const NO_SLOT = new Uint8Array(0)

/** A record that is to be kept. */
export interface RecordToKeep {
  readonly key: Uint8Array
  readonly kind: number
  readonly record: Uint8Array
  readonly lifetimeMs: number
  /** Who is charged for it. */
  readonly source: Uint8Array
}

/** The copy to put into the store, given what it holds of the key: lifetimes are capped here. */
export function copyToKeep(
  { clock, config }: NodeContext,
  { key, kind, record, lifetimeMs, source }: RecordToKeep,
  held: readonly StoredRecord[],
): StoredRecord {
  const nowMs = clock.wallNow()
  const expiresAtMs = nowMs + Math.min(lifetimeMs, config.valueLifetimeMaxMs)
  const same = held.find((other) => sameBytes(other.record, record))
  return {
    key,
    kind,
    slot: NO_SLOT,
    record,
    storedAtMs: same?.storedAtMs ?? nowMs,
    // Whoever stores the same again may prolong its life, never shorten it.
    expiresAtMs: Math.max(same?.expiresAtMs ?? 0, expiresAtMs),
    // Else a flooder could take over others' records by repeating them.
    source: same?.source ?? source,
  }
}
