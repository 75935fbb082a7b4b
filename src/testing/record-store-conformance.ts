import type { MaybePromise, RecordStore, RecordStoreLimits, StoredRecord } from '../storage/index.js'
import type { ConformanceTest } from './conformance.js'
import { assert } from './conformance.js'
import {
  boundsBytes,
  boundsRecords,
  boundsSources,
  boundsSourcesByDefault,
  evictsHeaviest,
  isFullWithoutRoom,
  measuresFill,
  refusesGiants,
  survivesFlood,
} from './record-store-limit-checks.js'
import {
  assertHolds,
  assertSameRecords,
  bytesOf,
  collected,
  failure,
  HOUR_MS,
  NOW_MS,
  sample,
} from './stored-records.js'

/** How {@link recordStoreConformance} gets at the store that it checks. */
export interface RecordStoreConformanceOptions {
  /** A new, empty store with these limits. The tests close it. */
  create(limits: RecordStoreLimits): MaybePromise<RecordStore>

  /**
   * For a store that outlives its process: opens again what the store that `create` returned last, closed by now, left behind.
   *
   * @defaultValue none: whether records last is not checked
   */
  reopen?(limits: RecordStoreLimits): MaybePromise<RecordStore>
}

type Check = (store: RecordStore, limits: RecordStoreLimits) => Promise<void>

/** Limits that no test reaches unless it means to. */
const ROOMY: RecordStoreLimits = { bytesMax: 64 * 2 ** 20, recordsMax: 10_000 }

/**
 * Every promise of {@link RecordStore} as a test, for any test runner.
 *
 * @example
 * ```ts
 * for (const { name, run } of recordStoreConformance({ create: (limits) => new MemoryStore(limits) })) test(name, run)
 * ```
 */
export function recordStoreConformance(options: RecordStoreConformanceOptions): ConformanceTest[] {
  const checks: [name: string, limits: RecordStoreLimits, check: Check][] = [
    ['a record comes back with exactly its bytes, times and source', ROOMY, roundTrip],
    ['a record without meta comes back without, empty arrays come back empty', ROOMY, optionalParts],
    ['arrays that are views or change later are copied', ROOMY, copiesWhatItKeeps],
    ['a record of the same key, kind and slot is replaced', ROOMY, replaces],
    ['list finds only records of that key and kind', ROOMY, listsOneKeyAndKind],
    ['names whose bytes could run together are told apart', ROOMY, namesDoNotCollide],
    ['delete removes one record and says whether it was there', ROOMY, deletes],
    ['entries names every record once', ROOMY, listsEntries],
    ['entries may be read while the store changes', ROOMY, entriesDuringChanges],
    ['removeExpired removes what expired by then, and nothing else', ROOMY, removesExpired],
    ['writes take effect in the order of their calls', ROOMY, keepsOrder],
    ['stats follow what is stored', ROOMY, countsRecords],
    ['arguments out of range are refused', ROOMY, refusesBadArguments],
    ['never more than recordsMax records', { ...ROOMY, recordsMax: 10 }, boundsRecords],
    ['never more than bytesMax bytes', { ...ROOMY, bytesMax: 50_000 }, boundsBytes],
    ['never more than recordsPerSourceMax records of one source', { ...ROOMY, recordsPerSourceMax: 5 }, boundsSources],
    ['one source may have recordsMax records by default', { ...ROOMY, recordsMax: 10 }, boundsSourcesByDefault],
    ['fill follows the records where they are nearer to their limit', { ...ROOMY, recordsMax: 20 }, measuresFill],
    ['fill follows the bytes where they are nearer to their limit', { ...ROOMY, bytesMax: 100_000 }, measuresFill],
    ['a store for no records is full', { ...ROOMY, recordsMax: 0 }, isFullWithoutRoom],
    ['a store for no bytes is full', { ...ROOMY, bytesMax: 0 }, isFullWithoutRoom],
    [
      'a record that can never fit is refused, and the one it would replace stays',
      { ...ROOMY, bytesMax: 20_000 },
      refusesGiants,
    ],
    ['the heaviest source makes room, with what expires soonest', { ...ROOMY, recordsMax: 10 }, evictsHeaviest],
    ['a flood from one source leaves the records of lighter ones', { ...ROOMY, recordsMax: 60 }, survivesFlood],
    ['close is idempotent, and other calls fail after it', ROOMY, closes],
  ]
  const tests = checks.map(([name, limits, check]) => ({
    name,
    async run() {
      const store = await options.create(limits)
      try {
        await check(store, limits)
      } finally {
        await store.close()
      }
    },
  }))
  const { create, reopen } = options
  if (!reopen) return tests
  const run = async () => {
    const first = await create(ROOMY)
    await first.put(sample(1, { meta: bytesOf(9) }))
    const { records, bytes } = first.stats()
    await first.close()
    const second = await reopen(ROOMY)
    try {
      await assertHolds(second, [sample(1, { meta: bytesOf(9) })])
      assert(second.stats().records === records && second.stats().bytes === bytes, 'stats differ after reopening')
      assert((await second.removeExpired(NOW_MS + HOUR_MS)) === 1, 'the expiry was lost by reopening')
    } finally {
      await second.close()
    }
  }
  return [...tests, { name: 'what was stored lasts beyond close', run }]
}

async function roundTrip(store: RecordStore): Promise<void> {
  const record = sample(1, {
    kind: 255,
    slot: bytesOf(...Array.from({ length: 255 }, (_, i) => i)),
    record: Uint8Array.from({ length: 1_200 }, (_, i) => i % 256),
    storedAtMs: NOW_MS + 0.125,
    expiresAtMs: NOW_MS + HOUR_MS + 0.5,
    source: bytesOf(0, 255),
    meta: bytesOf(0, 1, 128, 255),
  })
  assert((await store.list(record.key, record.kind)).length === 0, 'a new store is not empty')
  assert((await store.put(record)) === 'stored', 'put into an empty store is not `stored`')
  await assertHolds(store, [record])
}

async function optionalParts(store: RecordStore): Promise<void> {
  const none = new Uint8Array(0)
  const records = [
    sample(1, { slot: none, record: none, source: none }),
    sample(2, { meta: none }),
    sample(3, { expiresAtMs: 0, storedAtMs: 0 }),
    sample(4, { expiresAtMs: -1 }),
  ]
  for (const record of records) await store.put(record)
  await assertHolds(store, records)
}

async function copiesWhatItKeeps(store: RecordStore): Promise<void> {
  const expected = sample(1, { slot: bytesOf(5, 6), meta: bytesOf(7) })
  const frame = new Uint8Array(200).fill(0xaa)
  let at = 3
  const view = (bytes: Uint8Array) => {
    frame.set(bytes, at)
    at += bytes.length
    return frame.subarray(at - bytes.length, at)
  }
  const { key, slot, record, source } = expected
  const given = {
    ...expected,
    key: view(key),
    slot: view(slot),
    record: view(record),
    source: view(source),
    meta: view(bytesOf(7)),
  }
  const pending = store.put(given)
  frame.fill(0x55)
  await pending
  await assertHolds(store, [expected])
  const [found] = await store.list(key, expected.kind)
  assert(found !== undefined && found.record.buffer !== frame.buffer, 'the record shares memory with what was put')
}

async function replaces(store: RecordStore): Promise<void> {
  const later = sample(1, {
    record: bytesOf(9, 9),
    storedAtMs: NOW_MS + 1,
    expiresAtMs: NOW_MS + 2 * HOUR_MS,
    source: bytesOf(8),
    meta: bytesOf(1),
  })
  await store.put(sample(1))
  assert((await store.put(later)) === 'stored', 'a replacement is not `stored`')
  await assertHolds(store, [later])
  assert((await store.removeExpired(NOW_MS + HOUR_MS)) === 0, 'the replaced expiry still counts')
  const sooner = sample(1, { record: new Uint8Array(0), storedAtMs: NOW_MS - 1, expiresAtMs: NOW_MS + 5 })
  await store.put(sooner)
  await assertHolds(store, [sooner])
  assert((await store.removeExpired(NOW_MS + 5)) === 1, 'an expiry that came nearer does not count')
}

async function listsOneKeyAndKind(store: RecordStore): Promise<void> {
  const mine = [1, 2, 3].map((slot) => sample(1, { kind: 2, slot: bytesOf(slot) }))
  for (const record of [...mine, sample(1, { kind: 1 }), sample(2, { kind: 2 })]) await store.put(record)
  assertSameRecords(await store.list(sample(1).key, 2), mine)
  assert((await store.list(sample(1).key, 0)).length === 0, 'list found records of another kind')
  assert((await store.list(bytesOf(77), 2)).length === 0, 'list found records of another key')
}

async function namesDoNotCollide(store: RecordStore): Promise<void> {
  const records: StoredRecord[] = []
  for (const [key, kind, slot] of [
    [[1], 1, [1]],
    [[1], 1, [1, 1]],
    [[1, 1], 1, []],
    [[1], 1, []],
    [[1], 0, [1]],
    [[0], 1, [1]],
    [[1], 1, [0, 1]],
    [[255], 255, [255]],
    [[0x2f, 0x2f], 0x2f, []],
  ] as const) {
    records.push(sample(0, { key: bytesOf(...key), kind, slot: bytesOf(...slot), record: bytesOf(records.length) }))
  }
  for (const record of records) await store.put(record)
  await assertHolds(store, records)
}

async function deletes(store: RecordStore): Promise<void> {
  const [one, other] = [sample(1, { slot: bytesOf(1) }), sample(1, { slot: bytesOf(2) })]
  await store.put(one)
  await store.put(other)
  assert((await store.delete(one.key, one.kind, one.slot)) === true, 'delete of a record is not true')
  await assertHolds(store, [other])
  assert((await store.delete(one.key, one.kind, one.slot)) === false, 'a second delete is not false')
  assert((await store.delete(other.key, 99, other.slot)) === false, 'delete took a record of another kind')
  await store.put(one)
  await assertHolds(store, [one, other])
}

async function listsEntries(store: RecordStore): Promise<void> {
  assert((await collected(store)).length === 0, 'a new store has entries')
  const records = Array.from({ length: 50 }, (_, i) => sample(i % 20, { kind: i % 3, slot: bytesOf(i) }))
  for (const record of records) await store.put(record)
  assertSameRecords(await collected(store), records)
}

async function entriesDuringChanges(store: RecordStore): Promise<void> {
  const count = 40
  for (let i = 0; i < count; i++) await store.put(sample(i))
  const seen: number[] = []
  for await (const { key } of store.entries()) {
    const number = key[0] as number
    seen.push(number)
    assert(seen.length <= 4 * count, 'entries does not end while the store changes')
    // Of each pair, only the one that came first stays; and records come and go.
    if (number < count && !seen.includes(number ^ 1)) await store.delete(sample(number ^ 1).key, 0, sample(0).slot)
    if (number < count) await store.put(sample(number, { record: bytesOf(1) }))
    await store.put(sample(100 + (seen.length % 40)))
  }
  const early = seen.filter((number) => number < count)
  assert(new Set(seen).size === seen.length, 'entries named one record twice')
  assert(early.length >= count / 2, `entries named ${early.length} of ${count / 2} records that stayed`)
  for await (const { key } of store.entries()) {
    // Leaving early must leave nothing locked.
    await store.delete(key, 0, sample(0).slot)
    break
  }
  await store.put(sample(200))
}

async function removesExpired(store: RecordStore): Promise<void> {
  const order = [5, 1, 9, 3, 7, 2, 8, 4, 6, 0]
  for (const i of order) await store.put(sample(i, { expiresAtMs: NOW_MS + i, source: bytesOf(i % 3) }))
  const [found] = await store.list(sample(0).key, 0)
  assert(found !== undefined, 'an expired record went before removeExpired')
  assert((await store.removeExpired(NOW_MS - 1)) === 0, 'something expired before its time')
  assert((await store.removeExpired(NOW_MS + 3)) === 4, 'expiresAtMs <= nowMs does not count as expired')
  assert((await store.removeExpired(NOW_MS + 3)) === 0, 'something expired twice')
  await assertHolds(
    store,
    [4, 5, 6, 7, 8, 9].map((i) => sample(i, { expiresAtMs: NOW_MS + i, source: bytesOf(i % 3) })),
  )
  assert((await store.removeExpired(NOW_MS + 100)) === 6, 'not everything expired in the end')
  await assertHolds(store, [])
}

async function keepsOrder(store: RecordStore): Promise<void> {
  const { key, kind, slot } = sample(1)
  const [, , deleted, , , expired, listed] = await Promise.all([
    store.put(sample(1, { record: bytesOf(1) })),
    store.put(sample(1, { record: bytesOf(2) })),
    store.delete(key, kind, slot),
    store.put(sample(1, { record: bytesOf(3) })),
    store.put(sample(2, { expiresAtMs: NOW_MS - 1 })),
    store.removeExpired(NOW_MS),
    store.list(key, kind),
  ])
  assert(deleted === true, 'delete did not see the put before it')
  assert(expired === 1, 'removeExpired did not see the put before it')
  assertSameRecords(listed, [sample(1, { record: bytesOf(3) })])
  await assertHolds(store, [sample(1, { record: bytesOf(3) })])
}

async function countsRecords(store: RecordStore): Promise<void> {
  const empty = store.stats()
  assert(empty.records === 0 && empty.bytes === 0, 'a new store counts records or bytes')
  await store.put(sample(1, { record: new Uint8Array(100) }))
  const one = store.stats()
  assert(one.records === 1 && one.bytes >= 100, `${one.bytes} bytes for a record of 100`)
  await store.put(sample(1, { record: new Uint8Array(300) }))
  const larger = store.stats()
  assert(larger.records === 1 && larger.bytes >= one.bytes + 200, 'a replacement is not counted')
  await store.put(sample(2))
  assert(store.stats().records === 2, 'a second record is not counted')
  await store.delete(sample(1).key, 0, sample(1).slot)
  await store.removeExpired(NOW_MS + 2 * HOUR_MS)
  const none = store.stats()
  assert(none.records === 0 && none.bytes === 0, `${none.bytes} bytes are left when all is removed`)
}

async function refusesBadArguments(store: RecordStore): Promise<void> {
  const bad: [string, Partial<StoredRecord>][] = [
    ['an empty key', { key: new Uint8Array(0) }],
    ['a key of 256 bytes', { key: new Uint8Array(256) }],
    ['a slot of 256 bytes', { slot: new Uint8Array(256) }],
    ...[-1, 256, 0.5, Number.NaN].map((kind): [string, Partial<StoredRecord>] => [`kind ${kind}`, { kind }]),
    ['an expiry of NaN', { expiresAtMs: Number.NaN }],
    ['an expiry of Infinity', { expiresAtMs: Number.POSITIVE_INFINITY }],
  ]
  for (const [what, part] of bad) {
    const error = await failure(() => store.put(sample(1, part)))
    assert(error instanceof RangeError, `${what} is no RangeError but ${error}`)
  }
  await assertHolds(store, [])
}

async function closes(store: RecordStore): Promise<void> {
  const { key, kind, slot } = sample(1)
  await store.put(sample(1))
  await Promise.all([store.close(), store.close()])
  await store.close()
  store.stats()
  const calls: [string, () => unknown][] = [
    ['put', () => store.put(sample(1))],
    ['list', () => store.list(key, kind)],
    ['delete', () => store.delete(key, kind, slot)],
    ['removeExpired', () => store.removeExpired(NOW_MS)],
    ['entries', () => collected(store)],
  ]
  for (const [name, call] of calls) assert((await failure(call)) !== undefined, `${name} works after close`)
}
