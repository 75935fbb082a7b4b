import type { NodeId } from '../keyspace/index.js'
import { hash, sameBytes } from '../keyspace/index.js'
import { compareBytes, copy } from './bytes.js'
import type { RecordKind } from './record-kind.js'
import { KindCode } from './record-kind.js'

/** The first byte of a record that holds a value as it is. */
const FORM_PLAIN = 0

/** The longest value of an immutable record, in bytes. */
export const VALUE_BYTES_MAX = 880

/** Immutable records: a form byte, then a value whose SHA-256 is the key. */
export const immutableKind: RecordKind = {
  code: KindCode.immutable,
  name: 'immutable',
  recordBytesMax: 1 + VALUE_BYTES_MAX,
  slotsPerKeyMax: 1,
  isRelayed: true,
  isFirstEnough: true,
  isValid(key, record) {
    if (record.length < 1 || record.length > 1 + VALUE_BYTES_MAX || record[0] !== FORM_PLAIN) return false
    return sameBytes(hash(record.subarray(1)), key)
  },
  // Two valid records of one key are equal. The greater of any two keeps the promises for other bytes too.
  merge: (a, b) => (compareBytes(a, b) >= 0 ? a : b),
}

/** The record of a value, and the key it belongs to. */
export function encodeImmutable(value: Uint8Array): { key: NodeId; record: Uint8Array } {
  const record = new Uint8Array(1 + value.length)
  record[0] = FORM_PLAIN
  record.set(value, 1)
  return { key: hash(value), record }
}

/** A copy of the value in a valid record. */
export function immutableValue(record: Uint8Array): Uint8Array {
  return copy(record, 1)
}
