import { hash } from '../keyspace/index.js'
import type { StoredRecord } from './record-store.js'

// What is on the disk. The key of an entry begins with the version of this layout and a letter:
//
//   1 'r' | length of key | key | kind | slot   a record
//   1 'h'                                       how many records there are, the sum of their checksums, and flags
//   1 'i'                                       the node's id and secret key
//   1 'c'                                       its contacts
//
// Its value begins with 8 bytes of the SHA-256 of the key and the rest of the value: LevelDB does not check its own
// checksums when it reads. Numbers are big-endian.

/** Goes up when entries change their form; those of other versions are left alone. */
const LAYOUT_VERSION = 1

const RECORD = 0x72
const HEADER = 0x68
const IDENTITY = 0x69
const CONTACTS = 0x63

/** Bytes of a checksum. */
export const CHECKSUM_BYTES = 8

/** What a record's value has beside source, meta and the record itself: checksum, two times, order, flags, two lengths. */
const RECORD_FIXED_BYTES = CHECKSUM_BYTES + 3 * 8 + 1 + 2 * 4

const HAS_META = 1

const HAS_IDENTITY = 1
const IS_CLOSED = 2

/** Bytes of the header's value: checksum, two numbers, the sum, flags. */
const HEADER_BYTES = CHECKSUM_BYTES + 3 * 8 + 1

/** The keys of the entries that there is one of. */
export const HEADER_KEY: Uint8Array = Uint8Array.of(LAYOUT_VERSION, HEADER)
export const IDENTITY_KEY: Uint8Array = Uint8Array.of(LAYOUT_VERSION, IDENTITY)
export const CONTACTS_KEY: Uint8Array = Uint8Array.of(LAYOUT_VERSION, CONTACTS)

/** What all keys of records begin with. */
export const RECORD_PREFIX: Uint8Array = Uint8Array.of(LAYOUT_VERSION, RECORD)

/** What a key names. */
export type Sort = 'record' | 'header' | 'identity' | 'contacts' | 'unknown'

const SORTS: ReadonlyMap<number, Sort> = new Map([
  [RECORD, 'record'],
  [HEADER, 'header'],
  [IDENTITY, 'identity'],
  [CONTACTS, 'contacts'],
])

/** Which sort of entry a key is of: `unknown` for those of another version or of somebody else. */
export function sortOf(levelKey: Uint8Array): Sort {
  const sort = levelKey[0] === LAYOUT_VERSION ? (SORTS.get(levelKey[1] as number) ?? 'unknown') : 'unknown'
  return sort === 'record' || levelKey.length === 2 ? sort : 'unknown'
}

/** A record's name, and when it was put. */
export interface NamedRecord {
  readonly stored: StoredRecord
  /** The number of the put. */
  readonly order: number
}

/** What should be there. */
export interface Header {
  readonly records: number
  /** The number of the batch. */
  readonly batch: number
  /** Of all records' checksums, the exclusive or: tells an older version from the last one. */
  readonly sum: Checksum
  /** Whether the node's id or secret key is kept. */
  readonly hasIdentity: boolean
  /** Whether it was written by closing the store, after everything else. */
  readonly isClosed: boolean
}

/** A checksum as two whole numbers of 32 bits. */
export interface Checksum {
  readonly high: number
  readonly low: number
}

/** The level key of a record. `place` and `slot` as the ledger has them: one character each byte, kind first. */
export function recordKey(place: string, slot: string): Uint8Array {
  const keyBytes = place.length - 1
  const levelKey = new Uint8Array(2 + 1 + keyBytes + 1 + slot.length)
  levelKey.set(RECORD_PREFIX)
  levelKey[2] = keyBytes
  for (let i = 0; i < keyBytes; i++) levelKey[3 + i] = place.charCodeAt(i + 1)
  levelKey[3 + keyBytes] = place.charCodeAt(0)
  for (let i = 0; i < slot.length; i++) levelKey[4 + keyBytes + i] = slot.charCodeAt(i)
  return levelKey
}

/** The value of a record. */
export function encodeRecord(levelKey: Uint8Array, stored: StoredRecord, order: number): Uint8Array {
  const { record, source, meta, storedAtMs, expiresAtMs } = stored
  const metaBytes = meta?.length ?? 0
  const value = new Uint8Array(RECORD_FIXED_BYTES + source.length + metaBytes + record.length)
  const view = new DataView(value.buffer)
  let at = CHECKSUM_BYTES
  for (const number of [storedAtMs, expiresAtMs, order]) {
    view.setFloat64(at, number)
    at += 8
  }
  view.setUint8(at, meta ? HAS_META : 0)
  view.setUint32(at + 1, source.length)
  view.setUint32(at + 5, metaBytes)
  at = RECORD_FIXED_BYTES
  value.set(source, at)
  if (meta) value.set(meta, at + source.length)
  value.set(record, at + source.length + metaBytes)
  return seal(levelKey, value)
}

/** Reads a record; undefined when anything in it is not as it was written. The result shares no memory with `value`. */
export function decodeRecord(levelKey: Uint8Array, value: Uint8Array): NamedRecord | undefined {
  if (value.length < RECORD_FIXED_BYTES || !isIntact(levelKey, value)) return undefined
  const keyBytes = levelKey[2] ?? 0
  if (keyBytes === 0 || levelKey.length < 4 + keyBytes) return undefined
  const view = viewOf(value)
  let at = CHECKSUM_BYTES
  const [storedAtMs, expiresAtMs, order] = [at, at + 8, at + 16].map((offset) => view.getFloat64(offset))
  at += 24
  const hasMeta = (view.getUint8(at) & HAS_META) !== 0
  const [sourceBytes, metaBytes] = [view.getUint32(at + 1), view.getUint32(at + 5)]
  at = RECORD_FIXED_BYTES
  if (at + sourceBytes + metaBytes > value.length) return undefined
  // Not all databases hand out arrays of their own.
  const copy = new Uint8Array(value)
  const source = copy.subarray(at, at + sourceBytes)
  const meta = copy.subarray(at + sourceBytes, at + sourceBytes + metaBytes)
  const name = new Uint8Array(levelKey)
  const stored: StoredRecord = {
    key: name.subarray(3, 3 + keyBytes),
    kind: name[3 + keyBytes] as number,
    slot: name.subarray(4 + keyBytes),
    record: copy.subarray(at + sourceBytes + metaBytes),
    storedAtMs: storedAtMs as number,
    expiresAtMs: expiresAtMs as number,
    source,
    ...(hasMeta && { meta }),
  }
  return { stored, order: order as number }
}

/** The value of the header. */
export function encodeHeader({ records, batch, sum, hasIdentity, isClosed }: Header): Uint8Array {
  const value = new Uint8Array(HEADER_BYTES)
  const view = new DataView(value.buffer)
  view.setFloat64(8, records)
  view.setFloat64(16, batch)
  view.setInt32(24, sum.high)
  view.setInt32(28, sum.low)
  view.setUint8(32, (hasIdentity ? HAS_IDENTITY : 0) | (isClosed ? IS_CLOSED : 0))
  return seal(HEADER_KEY, value)
}

/** Reads the header; undefined when it is not as it was written. */
export function decodeHeader(value: Uint8Array): Header | undefined {
  if (value.length !== HEADER_BYTES || !isIntact(HEADER_KEY, value)) return undefined
  const view = viewOf(value)
  const flags = view.getUint8(32)
  return {
    records: view.getFloat64(8),
    batch: view.getFloat64(16),
    sum: { high: view.getInt32(24), low: view.getInt32(28) },
    hasIdentity: (flags & HAS_IDENTITY) !== 0,
    isClosed: (flags & IS_CLOSED) !== 0,
  }
}

/** The checksum that a sealed value begins with. */
export function checksumOf(value: Uint8Array): Checksum {
  const view = viewOf(value)
  return { high: view.getInt32(0), low: view.getInt32(4) }
}

/** Writes the checksum of a value into its first bytes. */
export function seal(levelKey: Uint8Array, value: Uint8Array): Uint8Array {
  value.set(digestOf(levelKey, value).subarray(0, CHECKSUM_BYTES))
  return value
}

/** Whether a value is as it was sealed. */
export function isIntact(levelKey: Uint8Array, value: Uint8Array): boolean {
  if (value.length < CHECKSUM_BYTES) return false
  const digest = digestOf(levelKey, value)
  for (let i = 0; i < CHECKSUM_BYTES; i++) if (digest[i] !== value[i]) return false
  return true
}

/** With the length of the key, so that no two pairs of key and value run together alike. */
function digestOf(levelKey: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + levelKey.length + value.length - CHECKSUM_BYTES)
  new DataView(bytes.buffer).setUint16(0, levelKey.length)
  bytes.set(levelKey, 2)
  bytes.set(value.subarray(CHECKSUM_BYTES), 2 + levelKey.length)
  return hash(bytes)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
