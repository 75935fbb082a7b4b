import { expect, test } from 'vitest'
import { copyToKeep } from '../../../src/node/copies.js'
import type { NodeContext } from '../../../src/node/node-context.js'
import type { StoredRecord } from '../../../src/storage/index.js'

const NOW_MS = 1_000_000
const HOUR_MS = 3_600_000
const node = {
  clock: { wallNow: () => NOW_MS, now: () => 5, after: () => () => {} },
  config: { valueLifetimeMaxMs: 48 * HOUR_MS },
} as unknown as NodeContext

const KEY = new Uint8Array(32).fill(1)
const RECORD = Uint8Array.of(0, 1, 2)
const [FIRST, SECOND] = [Uint8Array.of(4, 41, 0, 0), Uint8Array.of(4, 41, 0, 1)]

function keep(lifetimeMs: number, held: readonly StoredRecord[] = [], source = FIRST, record = RECORD): StoredRecord {
  return copyToKeep(node, { key: KEY, kind: 0, record, lifetimeMs, source }, held)
}

test('a new record lives from now for its lifetime, charged to who stored it', () => {
  expect(keep(HOUR_MS)).toEqual({
    key: KEY,
    kind: 0,
    slot: new Uint8Array(0),
    record: RECORD,
    storedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + HOUR_MS,
    source: FIRST,
  })
})

test('no lifetime is longer than 48 h', () => {
  expect(keep(1e15).expiresAtMs).toBe(NOW_MS + 48 * HOUR_MS)
})

test('storing the same again prolongs its life and never shortens it', () => {
  const held = { ...keep(HOUR_MS), storedAtMs: 7 }
  expect(keep(2 * HOUR_MS, [held])).toMatchObject({ storedAtMs: 7, expiresAtMs: NOW_MS + 2 * HOUR_MS })
  expect(keep(1, [held])).toMatchObject({ storedAtMs: 7, expiresAtMs: NOW_MS + HOUR_MS })
})

test("who repeats another one's record is not charged for it", () => {
  expect(keep(HOUR_MS, [keep(HOUR_MS)], SECOND).source).toEqual(FIRST)
})

test('another record of the key is a new one', () => {
  const held = { ...keep(40 * HOUR_MS), storedAtMs: 7 }
  expect(keep(HOUR_MS, [held], SECOND, Uint8Array.of(0, 9))).toMatchObject({
    storedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + HOUR_MS,
    source: SECOND,
  })
})
