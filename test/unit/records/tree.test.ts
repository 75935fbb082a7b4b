import { expect, test } from 'vitest'
import { hash, mapKey } from '../../../src/keyspace/index.js'
import type { KeyedRecord } from '../../../src/records/index.js'
import {
  encodeImmutable,
  encodeTree,
  immutableKind,
  immutableValue,
  isTree,
  LARGE_VALUE_BYTES_MAX,
  readTreeNode,
} from '../../../src/records/index.js'

const HOLDER = new Uint8Array(32)

/** Bytes of which no two parts are alike. */
function distinct(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8) * 17 + (i >> 16)) & 0xff)
}

/** The value of a tree, put together from its records alone. */
function madeOf({ record }: KeyedRecord, byKey: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if (!isTree(record)) return immutableValue(record)
  const { children, length } = readTreeNode(record)
  const value = new Uint8Array(length)
  let at = 0
  for (const { key, length: childLength } of children) {
    const child = madeOf({ key, record: byKey.get(mapKey(key)) as Uint8Array }, byKey)
    expect(child.length).toBe(childLength)
    value.set(child, at)
    at += childLength
  }
  expect(at).toBe(length)
  return value
}

test.each([881, 1760, 27 * 880 - 1, 27 * 880, 27 * 880 + 1, 2 * 27 * 880 + 5, LARGE_VALUE_BYTES_MAX])(
  'the records of %i bytes are valid, none longer than a record, and make the value',
  (length) => {
    const value = distinct(length)
    const { root, parts } = encodeTree(value)
    for (const { key, record } of [root, ...parts]) {
      expect(immutableKind.isValid(key, record, HOLDER)).toBe(true)
      expect(record.length).toBeLessThanOrEqual(immutableKind.recordBytesMax)
    }
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(length)
    const byKey = new Map(parts.map(({ key, record }) => [mapKey(key), record]))
    expect(byKey.size).toBe(parts.length)
    expect(madeOf(root, byKey)).toEqual(value)
  },
)

test('parts of equal content are one record, which brings the bytes of all of them', () => {
  const { parts } = encodeTree(new Uint8Array(LARGE_VALUE_BYTES_MAX))
  // Full parts, the last one, full nodes, the last one of them, two on the level below the root.
  expect(parts.map(({ bytes }) => bytes)).toEqual([1191 * 880, 496, 0, 0, 0, 0])
})

test('no value of form 0 has the key of a tree: what the key hashes is longer', () => {
  const { root } = encodeTree(distinct(2000))
  const label = new TextEncoder().encode('xorbit/tree/1')
  const hashed = new Uint8Array(label.length + 880)
  hashed.set(label)
  hashed.set(root.record.subarray(1), label.length)
  expect(hash(hashed)).toEqual(root.key)
  const { key, record } = encodeImmutable(hashed)
  expect(key).toEqual(root.key)
  expect(immutableKind.isValid(key, record, HOLDER)).toBe(false)
  const unfilled = encodeImmutable(hashed.subarray(0, label.length + root.record.length - 1))
  expect(unfilled.key).not.toEqual(root.key)
})

test('a flipped bit anywhere in a node makes it invalid', () => {
  const { root } = encodeTree(distinct(5000))
  for (let bit = 0; bit < root.record.length * 8; bit++) {
    const record = root.record.slice()
    record[bit >> 3]! ^= 1 << (bit & 7)
    expect(immutableKind.isValid(root.key, record, HOLDER)).toBe(false)
  }
})
