import type { NodeId } from '../keyspace/index.js'

/** The codes of the protocol's own kinds. */
export const KindCode: { readonly immutable: 0; readonly mutable: 1; readonly peer: 2 } = {
  immutable: 0,
  mutable: 1,
  peer: 2,
}

/** The lowest code that an application may give to a kind of its own; those below belong to the protocol. */
export const APP_KIND_CODE_MIN = 64

/** The highest code of a kind: it is one byte. */
export const KIND_CODE_MAX = 255

/** What a holder knows of a STORE that it is asked for. */
export interface StoreContext {
  /** The holder's own id. */
  readonly holder: NodeId
  /** The write token that came with the record, and is valid. */
  readonly token: Uint8Array
  /** The writer's address as the holder sees it, encoded. */
  readonly observed: Uint8Array
}

/**
 * One kind of what may be stored. Whoever stores a record and whoever reads one asks the same module whether
 * it belongs to the key that was asked for, so no node on the way has to be trusted. All members are pure: the same
 * bytes give the same answer at every node and at any time, and none throws, whatever the bytes are.
 *
 * A key holds one record for each *slot*. Of two records of one slot {@link RecordKind.merge} makes one, in a way
 * that does not depend on the order: so nodes that saw the same records hold the same, whoever stored them when.
 * `recordKindConformance` of `xorbit/testing` checks an implementation.
 */
export interface RecordKind {
  /** The kind's number on the wire: 64 to 255 for an application's own. */
  readonly code: number
  /** For people. */
  readonly name: string
  /** The longest record of this kind, in bytes; at most 1,051. */
  readonly recordBytesMax: number
  /** How many slots of one key a holder keeps; beyond, a newcomer takes the place of a random one. */
  readonly slotsPerKeyMax: number
  /** The longest that a holder keeps a record of this kind, in ms; at most 48 h, which is the default. */
  readonly lifetimeMaxMs?: number
  /** Whether holders pass records on: repair them hourly, and hand them to newcomers that are closer to the key. */
  readonly isRelayed: boolean
  /**
   * Whether the first valid record is the answer, because a key can't have another one: a search ends with it, and
   * nodes on the way may cache it. Otherwise a search asks all of the k nearest and merges what they have.
   */
  readonly isFirstEnough: boolean
  /**
   * Whether the record is of this kind's form and belongs to the key.
   *
   * @param holder - the id of the node that keeps it, for kinds whose records are made for one holder
   */
  isValid(key: NodeId, record: Uint8Array, holder: NodeId): boolean
  /** Tells apart the records of one key; at most 255 bytes. Without this a key has one record. */
  slot?(record: Uint8Array): Uint8Array
  /** The sequence number of a valid record, 0 to 2^64 - 1, where the kind has them; it never falls in a merge. */
  seq?(record: Uint8Array): bigint
  /**
   * The one record that two valid ones of one key and slot make: one of the two, or a new one that holds both.
   * Commutative, associative and idempotent. Where the kind has sequence numbers, a writer whose record is not what
   * comes out is told so.
   */
  merge(a: Uint8Array, b: Uint8Array): Uint8Array
  /**
   * What a holder keeps and hands out of a record that it is asked to store; undefined refuses it. By default the
   * record itself, if it is valid. For records that are made for one holder each: an application's own kinds are sent
   * to all holders alike, and have none.
   */
  accept?(key: NodeId, record: Uint8Array, context: StoreContext): Uint8Array | undefined
  /** The lifetime that a valid record itself asks for, in ms; by default the one that its writer asks for. */
  lifetimeMs?(record: Uint8Array): number
  /** Whether a valid record only says that there is none any more: it is kept, but never handed out. */
  isTombstone?(record: Uint8Array): boolean
}
