import type { RecordStore, StoredRecord } from '../storage/index.js'
import { assert, assertSameBytes } from './conformance.js'

/** When the samples were stored: with a fraction, since clocks have them. */
export const NOW_MS = 1_700_000_000_000.25

/** How long the samples live. */
export const HOUR_MS = 3_600_000

/** These bytes. */
export function bytesOf(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values)
}

/** A record whose key begins with `number`. */
export function sample(number: number, part: Partial<StoredRecord> = {}): StoredRecord {
  const key = new Uint8Array(32)
  key[0] = number
  return {
    key,
    kind: 0,
    slot: new Uint8Array(0),
    record: bytesOf(number, 2, 3),
    storedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + HOUR_MS,
    source: bytesOf(4, 192, 0, 2),
    ...part,
  }
}

/** What `entries` names. */
export async function collected(store: RecordStore): Promise<StoredRecord[]> {
  const all: StoredRecord[] = []
  for await (const record of store.entries()) all.push(record)
  return all
}

/** What a call throws or rejects with; undefined when it does neither. */
export async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error ?? new Error('it failed without a reason')
  }
  return undefined
}

/** Checks that `entries`, `list` and `stats` agree on exactly these records. */
export async function assertHolds(store: RecordStore, expected: readonly StoredRecord[]): Promise<void> {
  assertSameRecords(await collected(store), expected)
  for (const record of expected) {
    const listed = await store.list(record.key, record.kind)
    const own = expected.filter((other) => other.kind === record.kind && textOf(other.key) === textOf(record.key))
    assertSameRecords(listed, own)
  }
  const { records } = store.stats()
  assert(records === expected.length, `stats count ${records} records instead of ${expected.length}`)
}

/** Checks that both hold the same records, in any order. */
export function assertSameRecords(actual: readonly StoredRecord[], expected: readonly StoredRecord[]): void {
  assert(actual.length === expected.length, `${actual.length} records instead of ${expected.length}`)
  const byName = new Map(actual.map((record) => [nameOf(record), record]))
  for (const record of expected) {
    const found = byName.get(nameOf(record))
    assert(found !== undefined, `no record of the name ${nameOf(record)}`)
    for (const field of ['key', 'slot', 'record', 'source'] as const) {
      assert(found[field] instanceof Uint8Array, `${field} is no Uint8Array`)
      assertSameBytes(found[field], record[field], field)
    }
    for (const field of ['kind', 'storedAtMs', 'expiresAtMs'] as const) {
      assert(found[field] === record[field], `${field} is ${found[field]} instead of ${record[field]}`)
    }
    assert((found.meta === undefined) === (record.meta === undefined), 'meta came or went')
    if (found.meta && record.meta) assertSameBytes(found.meta, record.meta, 'meta')
  }
}

function nameOf({ key, kind, slot }: StoredRecord): string {
  return `${textOf(key)} ${kind} ${textOf(slot)}`
}

function textOf(bytes: Uint8Array): string {
  return bytes.join()
}
