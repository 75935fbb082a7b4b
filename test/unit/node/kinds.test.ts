import { describe, expect, test } from 'vitest'
import { kindsByCode } from '../../../src/node/kinds.js'
import type { RecordKind } from '../../../src/records/index.js'
import { FIND_VALUE, STORE, TOKENS } from '../../../src/wire/index.js'
import { exchange } from '../rpc/raw-peer.js'
import { held, openLab } from './holder-fixture.js'

const KEY = new Uint8Array(32).fill(3)
const RECORD = Uint8Array.of(1, 2, 3)

/** A kind that takes everything. */
const fine: RecordKind = {
  ...{ code: 64, name: 'fine', recordBytesMax: 10, slotsPerKeyMax: 4, isRelayed: true, isFirstEnough: false },
  isValid: () => true,
  merge: (a) => a,
}

const raise = (): never => {
  throw new Error('not today')
}

/** Members that throw, or whose answers make no sense. */
const FAULTS: [string, Partial<Record<keyof RecordKind, unknown>>][] = [
  ['isValid throws', { isValid: raise }],
  ['isValid says something truthy', { isValid: () => 1 }],
  ['isValid promises', { isValid: () => Promise.resolve(true) }],
  ['slot throws', { slot: raise }],
  ['slot is no bytes', { slot: () => 'slot' }],
  ['slot is none', { slot: () => undefined }],
  ['slot is too long', { slot: () => new Uint8Array(256) }],
  ['seq throws', { seq: raise }],
  ['seq is a number', { seq: () => 1 }],
  ['seq is negative', { seq: () => -1n }],
  ['seq is too large', { seq: () => 2n ** 64n }],
  ['seq is none', { seq: () => undefined }],
  ['lifetimeMs throws', { lifetimeMs: raise }],
  ['lifetimeMs is negative', { lifetimeMs: () => -1 }],
  ['lifetimeMs is not a number', { lifetimeMs: () => Number.NaN }],
  ['lifetimeMs is a bigint', { lifetimeMs: () => 5n }],
  ['lifetimeMs is none', { lifetimeMs: () => undefined }],
  ['isTombstone throws', { isTombstone: raise }],
  ['accept throws', { accept: raise }],
  ['accept gives no bytes', { accept: () => 'record' }],
  ['accept gives nothing', { accept: () => new Uint8Array(0) }],
  ['accept gives too much', { accept: () => new Uint8Array(11) }],
]

function guarded(changes: Partial<Record<keyof RecordKind, unknown>>): RecordKind {
  return kindsByCode([{ ...fine, ...changes } as RecordKind]).get(64)!
}

describe('a record is invalid, and nothing is thrown, where of its kind', () => {
  test.each(FAULTS)('%s', (_what, changes) => {
    const kind = guarded(changes)
    const context = { holder: KEY, token: RECORD, observed: RECORD }
    const isAccepted = kind.accept ? kind.accept(KEY, RECORD, context) !== undefined : kind.isValid(KEY, RECORD, KEY)
    expect(isAccepted).toBe(false)
  })

  test.each(FAULTS)(
    '%s: a STORE of it is refused with ERR_INVALID_RECORD, and the node lives on',
    async (_what, changes) => {
      const { simulator, host, storage, stranger } = await openLab({
        config: { records: [{ ...fine, ...changes } as RecordKind] },
      })
      const asker = await stranger()
      const find = { key: KEY, kind: 64, want: 9, minSeq: 0n, cursor: new Uint8Array(0) }
      const found = await exchange(simulator, asker, host.address, FIND_VALUE, find)
      const { token } = FIND_VALUE.readResult(found?.type === 'response' ? found.result : [])!
      const params = { key: KEY, kind: 64, token, record: RECORD, ttlSeconds: 60, cas: undefined, isCached: false }
      expect(await exchange(simulator, asker, host.address, STORE, params)).toMatchObject({ type: 'error', code: 17 })
      expect(storage.stats().records).toBe(0)
      expect(await exchange(simulator, asker, host.address, TOKENS, { kind: 64, keys: [KEY] })).toMatchObject({
        type: 'response',
      })
    },
  )
})

describe('merge', () => {
  test.each([
    ['throws', raise],
    ['gives no bytes', () => 'merged'],
    ['gives nothing', () => new Uint8Array(0)],
    ['gives too much', () => new Uint8Array(11)],
  ])('that %s keeps the first record', (_what, merge) => {
    expect(guarded({ merge }).merge(RECORD, Uint8Array.of(9))).toBe(RECORD)
  })

  test('gives what the kind gives', () => {
    expect(guarded({ merge: (_a: unknown, b: unknown) => b }).merge(RECORD, Uint8Array.of(9))).toEqual(Uint8Array.of(9))
  })
})

test('all that a sound kind says is passed on, with its own `this`', () => {
  class Sound implements RecordKind {
    code = 65
    name = 'sound'
    recordBytesMax = 10
    slotsPerKeyMax = 4
    lifetimeMaxMs = 5_000
    isRelayed = false
    isFirstEnough = true
    readonly #first = 1
    isValid = (_key: Uint8Array, record: Uint8Array) => record[0] === this.#first
    merge(a: Uint8Array) {
      return a[0] === this.#first ? a : RECORD
    }
    slot(record: Uint8Array) {
      return record.slice(0, this.#first)
    }
    seq(record: Uint8Array) {
      return BigInt(record[this.#first]!)
    }
    lifetimeMs() {
      return this.#first
    }
    isTombstone() {
      return this.#first === 1
    }
    accept(_key: Uint8Array, record: Uint8Array) {
      return Uint8Array.of(...record, this.#first)
    }
  }
  const kind = kindsByCode([new Sound()]).get(65)!
  expect(kind).toMatchObject({ code: 65, name: 'sound', lifetimeMaxMs: 5_000, isRelayed: false, isFirstEnough: true })
  expect(kind.isValid(KEY, RECORD, KEY)).toBe(true)
  expect([kind.slot!(RECORD), kind.seq!(RECORD), kind.lifetimeMs!(RECORD), kind.isTombstone!(RECORD)]).toEqual([
    Uint8Array.of(1),
    2n,
    1,
    true,
  ])
  const context = { holder: KEY, token: RECORD, observed: RECORD }
  expect(kind.accept!(KEY, RECORD, context)).toEqual(Uint8Array.of(1, 2, 3, 1))
  expect(kind.merge(RECORD, KEY)).toBe(RECORD)
})

test('a kind without optional members has none afterwards', () => {
  const kind = guarded({})
  for (const name of ['slot', 'seq', 'accept', 'lifetimeMs', 'isTombstone', 'lifetimeMaxMs'] as const) {
    expect(name in kind).toBe(false)
  }
})

test('records that an earlier version of a kind left in the store do not end the node', async () => {
  const changed = { ...fine, seq: raise, isTombstone: raise, slot: raise, lifetimeMs: raise }
  const { simulator, host, storage, stranger } = await openLab({ config: { records: [changed] } })
  storage.put(held(fine, KEY, RECORD))
  const asker = await stranger()
  const find = { key: KEY, kind: 64, want: 9, minSeq: 0n, cursor: new Uint8Array(0) }
  const reply = await exchange(simulator, asker, host.address, FIND_VALUE, find)
  expect(reply?.type).toBeDefined()
  expect((await exchange(simulator, asker, host.address, TOKENS, { kind: 64, keys: [KEY] }))?.type).toBeDefined()
})
