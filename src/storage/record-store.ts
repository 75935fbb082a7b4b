import type { NodeStateStore } from './node-state.js'

/** A value now or later: a store in memory answers plainly, one on a disk when the write is durable. */
export type MaybePromise<T> = T | Promise<T>

/**
 * A record as a holder keeps it. `key`, `kind` and `slot` together name it: a store has at most one record of a name.
 * Everything in it is read-only, for the store as for its users.
 */
export interface StoredRecord {
  /** The key that it is found under, 1 to 255 bytes. */
  readonly key: Uint8Array
  /** What sort of record it is, 0 to 255: immutable, mutable, peer ... A store only compares it. */
  readonly kind: number
  /** Tells apart the records of one key and kind, for example a peer's public key; empty where there is only one. At most 255 bytes. */
  readonly slot: Uint8Array
  /** The record itself. Whether it is valid is decided elsewhere; a store never looks inside. */
  readonly record: Uint8Array
  /** When it was last stored, by its publisher or by another holder, in `Clock.wallNow()` milliseconds. A store only keeps it. */
  readonly storedAtMs: number
  /** From when on it is expired, in `Clock.wallNow()` milliseconds; finite. */
  readonly expiresAtMs: number
  /**
   * Who is charged for it: the network of who stored it first, as `Transport.describe` gives it. A record that is
   * stored again unchanged should keep its source. Else a flooder could take over others' records by repeating
   * them, and have them evicted in place of its own.
   */
  readonly source: Uint8Array
  /** The holder's own notes beside the record. */
  readonly meta?: Uint8Array
}

/** What became of a record: `full` means that the store left everything as it was. */
export type PutOutcome = 'stored' | 'full'

/** How much a store may hold. */
export interface RecordStoreLimits {
  /** Bytes, as `stats` counts them: what the records really take, not only their own length. */
  readonly bytesMax: number
  /** Records of all keys together. */
  readonly recordsMax: number
  /**
   * Records of one source. What would be one more is refused, and nothing is evicted for it, neither another's record
   * nor its own. So a flood from one network ends before it costs anybody anything: it neither fills the store, which
   * would have the holder refuse others, nor wears out a disk by displacing its own records over and over.
   *
   * @defaultValue `recordsMax`: one source may have all the room, as on a LAN where all nodes share one network
   */
  readonly recordsPerSourceMax?: number
}

/**
 * Where a node keeps others' records. Bytes only: `records/` decides what is valid, `node/` what is wanted.
 * `recordStoreConformance` of `xorbit/testing` checks an implementation.
 *
 * Every store keeps these promises:
 * - It copies what it is given; later changes of those arrays don't reach it. What it returns is read-only.
 * - Writes take effect in the order of their calls, and reads see every write that was called before them.
 * - It is bounded by {@link RecordStoreLimits} at any moment. When it is full, the source that takes the most bytes
 *   loses its records first, those that expire soonest before others; never does a lighter source's record make
 *   room for a heavier one's, the new record counted.
 * - It removes records only when told to, or to make room; expired ones stay until `removeExpired`.
 * - Calls fail when its medium does, by throwing or rejecting; a wrong argument is a `RangeError`.
 */
export interface RecordStore {
  /** Where the node keeps its id, its keys and its contacts; a store that ends with the process has none. */
  readonly nodeState?: NodeStateStore

  /** The records of one key and kind, in no particular order, expired ones included; none when there are none. */
  list(key: Uint8Array, kind: number): MaybePromise<readonly StoredRecord[]>

  /**
   * Adds a record or replaces the one of its name. It may evict others.
   *
   * A source that has `recordsPerSourceMax` records can only replace its own: a new name is refused, and so is that
   * of another source's record.
   *
   * @returns `full` when there was no room that it may take; then a record that it should have replaced is still there
   */
  put(record: StoredRecord): MaybePromise<PutOutcome>

  /** Removes a record; false when there was none. */
  delete(key: Uint8Array, kind: number, slot: Uint8Array): MaybePromise<boolean>

  /**
   * All records. The store may change meanwhile: what is there from beginning to end comes exactly once, what is
   * removed before its turn does not come, and what is added may or may not.
   */
  entries(): Iterable<StoredRecord> | AsyncIterable<StoredRecord>

  /**
   * Removes every record with `expiresAtMs <= nowMs`, at a cost that follows their number, not that of all records.
   *
   * Where they are many, a store may remove them in steps, so that it does not keep the process busy for long: until
   * all are gone, reads may still give some, and what is put that is expired already may go with them.
   *
   * @returns how many it removed
   */
  removeExpired(nowMs: number): MaybePromise<number>

  /** What it holds now. `bytes` counts what `bytesMax` limits. */
  stats(): {
    /** How many records there are. */
    readonly records: number
    /** What they take. */
    readonly bytes: number
    /**
     * How full it is, from 0 (empty) to 1, by the limit that is nearer: the larger one of `records / recordsMax` and
     * `bytes / bytesMax`, where a limit of 0 counts as reached. With little room left, a holder may refuse keys that
     * it is too far from.
     */
    readonly fill: number
  }

  /** Ends it, after all writes that were called. Idempotent. Afterwards every call but this one and `stats` fails. */
  close(): MaybePromise<void>
}
