import { mapKey } from '../keyspace/index.js'
import type { Candidate, Ledger } from './ledger.js'
import { fieldBytesOf, placeOf } from './ledger.js'
import type { LevelDatabase } from './level-database.js'
import { isDamage } from './level-database.js'
import type { Checksum, Header, NamedRecord } from './level-layout.js'
import { checksumOf, decodeHeader, decodeRecord, recordKey, sortOf } from './level-layout.js'
import { decodeContacts, decodeIdentity } from './level-node-state.js'
import { scan } from './level-scan.js'
import type { NodeState } from './node-state.js'
import type { StoredRecord } from './record-store.js'

/**
 * What a record takes beside the bytes of its fields, which are on the disk. Measured with 65,536 records on Node 20:
 * its places in the ledger, in memory, 690 without slot and 730 with one, 560 more for a source's only record; on the
 * disk 57 more than its fields, once LevelDB has compacted them.
 */
export const LEVEL_OVERHEAD_BYTES = 768

/** What the index keeps of a record whose bytes are on the disk. */
export interface OnDisk extends Checksum {
  /** The bytes themselves, until they are written. */
  value: Uint8Array | undefined
}

/** What was found when a database was opened. */
export interface LevelReport {
  /** How many records are kept. */
  readonly records: number
  /** Entries that were not as they had been written. They are dropped. */
  readonly corrupt: number
  /** Records that should be there and are not, corrupt ones not counted; 0 also where that can't be known. */
  readonly missing: number
  /** Records that were dropped because the limits are lower now. */
  readonly evicted: number
  /** Entries of another version of the layout, or of somebody else. They are left alone. */
  readonly unknown: number
  /** Parts of the database that could not be read. */
  readonly unreadable: number
  /** Whether the node's id and secret key should be there and are not. */
  readonly isIdentityLost: boolean
  /**
   * Whether the store was closed when it was used last, or is new. Else its process has ended before it: nothing that
   * was acknowledged is lost by that. But if the end of LevelDB's log was damaged since, that can't be told from it.
   */
  readonly wasClosed: boolean
  /**
   * Whether every record is there, in its last version, and the node's id and secret key. Else part of the log may be
   * lost: then records may be missing, or be older than the last version that was acknowledged.
   */
  readonly isComplete: boolean
}

/** What was read from a database. */
export interface Loaded {
  readonly report: LevelReport
  /** Entries that are to be deleted. */
  readonly useless: readonly Uint8Array[]
  readonly state: Partial<NodeState>
  /** The number of the last batch. */
  readonly batch: number
  readonly sum: Checksum
}

/** Reads all that is intact into an empty ledger, and evicts what is over the limits. */
export async function load(database: LevelDatabase, ledger: Ledger<OnDisk>): Promise<Loaded> {
  const useless: Uint8Array[] = []
  let [corrupt, unknown, high, low] = [0, 0, 0, 0]
  let isIdentityCorrupt = false
  let header: Header | undefined
  let state: Partial<NodeState> = {}
  const visit = (key: Uint8Array, value: Uint8Array): boolean => {
    const sort = sortOf(key)
    if (sort === 'record') {
      const named = decodeRecord(key, value)
      if (named) {
        const candidate = candidateOf(named, value)
        if (!ledger.find(candidate.place, candidate.slot)) ledger.load(candidate, named.order)
        return true
      }
    } else if (sort === 'header') {
      header = decodeHeader(value)
      if (header) return true
    } else if (sort === 'identity' || sort === 'contacts') {
      const found = sort === 'identity' ? decodeIdentity(value) : contactsOf(value)
      if (found) {
        state = { ...state, ...found }
        return true
      }
    } else if (sort === 'unknown') {
      unknown++
      return false
    }
    corrupt++
    isIdentityCorrupt ||= sort === 'identity'
    useless.push(new Uint8Array(key))
    return false
  }
  const unreadable = await scan(database, visit, isDamage)
  for (const { held } of ledger.all()) {
    high ^= held.high
    low ^= held.low
  }
  const found = ledger.size
  const hasIdentity = state.id !== undefined || state.secretKey !== undefined
  const isIdentityLost = !hasIdentity && (header?.hasIdentity ?? isIdentityCorrupt)
  const wasClosed = header?.isClosed ?? (found + corrupt + unreadable === 0 && !hasIdentity)
  const isComplete =
    corrupt + unreadable === 0 &&
    !isIdentityLost &&
    (header ? header.records === found && header.sum.high === high && header.sum.low === low : found === 0)
  const missing = header ? Math.max(0, header.records - found - corrupt) : 0
  const evicted = ledger.trim()
  for (const { place, slot, held } of evicted) {
    useless.push(recordKey(place, slot))
    high ^= held.high
    low ^= held.low
  }
  const counts = { records: ledger.size, corrupt, missing, evicted: evicted.length, unknown, unreadable }
  const report = { ...counts, isIdentityLost, wasClosed, isComplete }
  return { report, useless, state, batch: header?.batch ?? 0, sum: { high, low } }
}

/** How much room a record takes, as `bytesMax` counts. */
export function weightOf(stored: StoredRecord): number {
  return fieldBytesOf(stored) + LEVEL_OVERHEAD_BYTES
}

function candidateOf({ stored }: NamedRecord, value: Uint8Array): Candidate<OnDisk> {
  return {
    place: placeOf(stored.key, stored.kind),
    slot: mapKey(stored.slot),
    expiresAtMs: stored.expiresAtMs,
    bytes: weightOf(stored),
    source: stored.source,
    hold: () => ({ ...checksumOf(value), value: undefined }),
  }
}

function contactsOf(value: Uint8Array): Partial<NodeState> | undefined {
  const contacts = decodeContacts(value)
  return contacts && { contacts }
}
