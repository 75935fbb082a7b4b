import { describe, expect, test } from 'vitest'
import { hash, toHex } from '../../../src/keyspace/index.js'
import {
  createMutableKind,
  encodeMutable,
  mutableKey,
  readMutable,
  SALT_BYTES_MAX,
  VALUE_BYTES_MAX,
} from '../../../src/records/index.js'
import {
  asView,
  flipped,
  forgeMutable,
  joined,
  KEYS,
  MUTABLE,
  NETWORK,
  NONE,
  node,
  OTHER_KEYS,
} from './record-fixture.js'

const kind = createMutableKind({ network: NETWORK, signatures: node })
const holder = new Uint8Array(32)
const isValid = (key: Uint8Array, record: Uint8Array) => kind.isValid(key, record, holder)
const content = { network: NETWORK, keys: KEYS, salt: MUTABLE.salt, seq: 7n, value: MUTABLE.value }

test.each([
  ['short', content],
  ['empty', { ...content, salt: NONE, seq: 0n, value: NONE }],
  [
    'longest',
    { ...content, salt: new Uint8Array(64).fill(9), seq: 2n ** 64n - 1n, value: new Uint8Array(880).fill(8) },
  ],
  ['of a sequence number that no number holds', { ...content, seq: 2n ** 53n + 1n }],
])('a mutable record comes back as it was made: %s', (_, made) => {
  const { key, record } = encodeMutable(made, node)
  const forged = forgeMutable(made)
  expect([toHex(key), toHex(record)]).toEqual([toHex(forged.key), toHex(forged.record)])
  expect(toHex(mutableKey(KEYS.publicKey, made.salt))).toBe(toHex(key))
  expect(isValid(key, record)).toBe(true)
  expect(kind.seq?.(record)).toBe(made.seq)
  const { salt, seq, value } = made
  expect(readMutable(record)).toEqual({ publicKey: KEYS.publicKey, salt, seq, value })
})

test('the limits are those of the protocol: the longest record fills one', () => {
  const { record } = encodeMutable({ ...content, salt: new Uint8Array(64), value: new Uint8Array(880) }, node)
  expect(record.length).toBe(kind.recordBytesMax)
  expect([SALT_BYTES_MAX, VALUE_BYTES_MAX, record.length]).toEqual([64, 880, 1051])
  const { code, name, slotsPerKeyMax, lifetimeMaxMs, isRelayed, isFirstEnough, slot, accept } = kind
  expect({ code, name, slotsPerKeyMax, lifetimeMaxMs, isRelayed, isFirstEnough, slot, accept }).toEqual({
    code: 1,
    name: 'mutable',
    slotsPerKeyMax: 1,
    lifetimeMaxMs: undefined,
    isRelayed: true,
    isFirstEnough: false,
    slot: undefined,
    accept: undefined,
  })
})

test('what is read are copies, also of a Buffer', () => {
  const record = asView(forgeMutable().record)
  const fields = readMutable(record)
  record.fill(0)
  expect(fields).toEqual({ publicKey: KEYS.publicKey, salt: MUTABLE.salt, seq: 7n, value: MUTABLE.value })
  expect(fields.value.constructor).toBe(Uint8Array)
})

test('a Buffer in the midst of another is judged like its bytes', () => {
  const { key, record } = forgeMutable()
  expect(isValid(asView(key), asView(record))).toBe(true)
  expect(kind.seq?.(asView(record))).toBe(7n)
})

test.each([
  ['a salt of 65 bytes', { salt: new Uint8Array(65) }],
  ['a value of 881 bytes', { value: new Uint8Array(881) }],
  ['a sequence number below 0', { seq: -1n }],
  ['a sequence number of 65 bits', { seq: 2n ** 64n }],
  ['a sequence number that is no bigint', { seq: 7 as unknown as bigint }],
  ['a network of 5 bytes', { network: new Uint8Array(5) }],
])('%s is not encoded', (_, part) => {
  expect(() => encodeMutable({ ...content, ...part }, node)).toThrow(RangeError)
})

test('a kind is made for a network of 4 bytes', () => {
  expect(() => createMutableKind({ network: NETWORK.subarray(1), signatures: node })).toThrow(RangeError)
})

describe('a mutable record is invalid', () => {
  test('under another key', () => {
    const { key, record } = forgeMutable()
    for (let i = 0; i < 32; i++) expect(isValid(flipped(key, 8 * i), record)).toBe(false)
    expect(isValid(key.subarray(1), record)).toBe(false)
    expect(isValid(joined(key, NONE, Uint8Array.of(0)), record)).toBe(false)
    expect(isValid(NONE, record)).toBe(false)
    expect(isValid(mutableKey(OTHER_KEYS.publicKey, MUTABLE.salt), record)).toBe(false)
    expect(isValid(mutableKey(KEYS.publicKey, NONE), record)).toBe(false)
    expect(isValid(hash(MUTABLE.value), record)).toBe(false)
  })

  test('with any bit changed', () => {
    const { key, record } = forgeMutable()
    for (let bit = 0; bit < 8 * record.length; bit++) {
      const changed = flipped(record, bit)
      expect(isValid(key, changed), `bit ${bit} under the same key`).toBe(false)
    }
  })

  test('with another public key or salt, under the key that these have', () => {
    const { record } = forgeMutable()
    const stolen = joined(OTHER_KEYS.publicKey, record.subarray(32))
    expect(isValid(mutableKey(OTHER_KEYS.publicKey, MUTABLE.salt), stolen)).toBe(false)
    const moved = flipped(record, 8 * 97)
    expect(isValid(mutableKey(KEYS.publicKey, moved.subarray(97, 101)), moved)).toBe(false)
  })

  test('when it is cut anywhere, or goes on', () => {
    const { key, record } = forgeMutable()
    for (let end = 0; end < record.length; end++) expect(isValid(key, record.subarray(0, end))).toBe(false)
    expect(isValid(key, joined(record, Uint8Array.of(0)))).toBe(false)
  })

  // All of these are signed as they are: only the form or the network is wrong.
  test.each([
    ['in another network', { network: Uint8Array.of(0xaa, 0xbb, 0xcc, 0xde) }],
    ['signed without a network', { network: NONE }],
    ['signed as another kind', { label: 'xorbit/peer/1' }],
    ['signed without the byte 0', { label: 'xorbit/mutable/1' }],
    ['signed for another version', { label: 'xorbit/mutable/2\0' }],
    ['with a salt of 65 bytes', { salt: new Uint8Array(65) }],
    ['with a value of 881 bytes', { value: new Uint8Array(881) }],
    ['with a byte behind the value', { trailing: Uint8Array.of(0) }],
    ['with a value longer than it says', { valueLength: 4 }],
    ['with a value shorter than it says', { valueLength: 6 }],
    ['with a value length that is right only modulo 256', { valueLength: 0x105 }],
  ])('%s', (_, parts) => {
    const { key, record } = forgeMutable(parts)
    expect(isValid(key, record)).toBe(false)
  })

  test('with a salt length that shifts its parts', () => {
    const { record } = forgeMutable({ saltLength: 5 })
    expect(isValid(mutableKey(KEYS.publicKey, record.subarray(97, 102)), record)).toBe(false)
  })
})

test('the signature is looked at last', () => {
  const asked: Uint8Array[] = []
  const verify = (signature: Uint8Array) => asked.push(signature) > 0
  const lazy = createMutableKind({ network: NETWORK, signatures: { verify } })
  const { key, record } = forgeMutable()
  expect(lazy.isValid(flipped(key, 0), record, holder)).toBe(false)
  expect(lazy.isValid(key, record.subarray(1), holder)).toBe(false)
  expect(asked).toEqual([])
  expect(lazy.isValid(key, record, holder)).toBe(true)
  expect(asked).toEqual([record.subarray(32, 96)])
})

test.each([
  ['the higher sequence number', { seq: 8n, value: NONE }, { seq: 7n, value: MUTABLE.value }],
  ['the higher sequence number of 64 bits', { seq: 2n ** 63n }, { seq: 2n ** 63n - 1n }],
  ['at one sequence number, the greater value', { value: Uint8Array.of(2, 0) }, { value: Uint8Array.of(1, 255) }],
  ['at one sequence number, the longer value', { value: Uint8Array.of(0, 0) }, { value: Uint8Array.of(255) }],
])('merge takes %s', (_, winning, losing) => {
  const [winner, loser] = [forgeMutable(winning).record, forgeMutable(losing).record]
  expect(kind.merge(winner, loser)).toBe(winner)
  expect(kind.merge(loser, winner)).toBe(winner)
})

test('merge of records that differ in the signature alone takes the greater one', () => {
  const { record } = forgeMutable()
  for (const bit of [8 * 32, 8 * 95]) {
    const other = flipped(record, bit)
    const greater = toHex(other) > toHex(record) ? other : record
    expect(kind.merge(record, other)).toBe(greater)
    expect(kind.merge(other, record)).toBe(greater)
  }
})
