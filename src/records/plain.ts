import type { NodeId } from '../keyspace/index.js'
import { hash, sameBytes } from '../keyspace/index.js'
import { copy } from './bytes.js'

/** The first byte of a record that holds a value as it is. */
export const FORM_PLAIN = 0

/** The longest value of one record, in bytes. */
export const VALUE_BYTES_MAX = 880

/** The record of a value that fits one, and the key it belongs to: SHA-256 of the value. */
export function encodeImmutable(value: Uint8Array): { key: NodeId; record: Uint8Array } {
  const record = new Uint8Array(1 + value.length)
  record[0] = FORM_PLAIN
  record.set(value, 1)
  return { key: hash(value), record }
}

/** A copy of the value in a valid record of form 0. */
export function immutableValue(record: Uint8Array): Uint8Array {
  return copy(record, 1)
}

/** Whether the value of a record of form 0 is the one of that key. */
export function isPlain(key: NodeId, record: Uint8Array): boolean {
  return record.length <= 1 + VALUE_BYTES_MAX && sameBytes(hash(record.subarray(1)), key)
}
