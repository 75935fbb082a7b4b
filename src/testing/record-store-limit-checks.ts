import type { RecordStore, RecordStoreLimits } from '../storage/index.js'
import { assert } from './conformance.js'
import { assertHolds, assertSameRecords, bytesOf, collected, HOUR_MS, NOW_MS, sample } from './stored-records.js'

/** `recordsMax` of 10 holds under pressure, and the room is used. */
export async function boundsRecords(store: RecordStore): Promise<void> {
  for (let i = 0; i < 100; i++) {
    await store.put(sample(i, { source: bytesOf(i % 7) }))
    const { records } = store.stats()
    assert(records <= 10, `${records} records where 10 are allowed`)
  }
  assert((await collected(store)).length === store.stats().records, 'stats and entries differ')
  assert(store.stats().records === 10, 'a store under pressure is not full')
}

/** With `recordsPerSourceMax` of 5 and room for more, a sixth record of one source changes nothing, whatever it is. */
export async function boundsSources(store: RecordStore): Promise<void> {
  const [source, other] = [bytesOf(1), bytesOf(1, 0)]
  const own = [0, 1, 2, 3, 4].map((i) => sample(i, { source, expiresAtMs: NOW_MS + i }))
  const others = [10, 11, 12, 13].map((i) => sample(i, { source: other }))
  for (const record of [...own, ...others])
    assert((await store.put(record)) === 'stored', 'a source with room is refused')

  for (const i of [20, 10]) {
    const outcome = await store.put(sample(i, { source }))
    assert(outcome === 'full', 'a source got more than recordsPerSourceMax records')
    await assertHolds(store, [...own, ...others])
  }
  const renewed = sample(0, { source, record: new Uint8Array(500) })
  assert((await store.put(renewed)) === 'stored', 'a source with all its records may not replace one of them')
  await assertHolds(store, [renewed, ...own.slice(1), ...others])

  // One goes to the other source, one is deleted, one expires: room for three again.
  const taken = sample(0, { source: other })
  assert((await store.put(taken)) === 'stored', 'a source with room may not take over a record')
  await store.delete(sample(4).key, 0, sample(4).slot)
  await store.removeExpired(NOW_MS + 1)
  const added = [20, 21, 22].map((i) => sample(i, { source }))
  for (const record of added) assert((await store.put(record)) === 'stored', 'a source that lost records has no room')
  for (const part of [{ source }, { source: other }]) {
    assert((await store.put(sample(30, part))) === 'full', 'records that changed or went were counted wrongly')
  }
  await assertHolds(store, [...own.slice(2, 4), ...added, ...others, taken])
}

/** With `recordsMax` of 10 and no `recordsPerSourceMax`, one source gets all ten and no more. */
export async function boundsSourcesByDefault(store: RecordStore): Promise<void> {
  const records = Array.from({ length: 10 }, (_, i) => sample(i))
  for (const record of records) assert((await store.put(record)) === 'stored', 'one source may not have all the room')
  const later = sample(11, { expiresAtMs: NOW_MS + 2 * HOUR_MS })
  assert((await store.put(later)) === 'full', 'recordsPerSourceMax is not recordsMax by default')
  await assertHolds(store, records)
}

/** `fill` is 0 at first, then what is nearer to its limit, records or bytes. */
export async function measuresFill(store: RecordStore, { bytesMax, recordsMax }: RecordStoreLimits): Promise<void> {
  const check = () => {
    const { records, bytes, fill } = store.stats()
    const expected = Math.max(records / recordsMax, bytes / bytesMax)
    assert(Math.abs(fill - expected) < 1e-9, `fill is ${fill} instead of ${expected}`)
  }
  check()
  for (let i = 0; i < 30; i++) {
    await store.put(sample(i, { source: bytesOf(i % 7), record: new Uint8Array(i * 30) }))
    check()
  }
  for (let i = 0; i < 30; i++) {
    await store.delete(sample(i).key, 0, sample(i).slot)
    check()
  }
  assert(store.stats().fill === 0, 'fill is not 0 when all is removed')
}

/** With a limit of 0, it is full from the beginning. */
export async function isFullWithoutRoom(store: RecordStore): Promise<void> {
  assert(store.stats().fill === 1, `fill is ${store.stats().fill} instead of 1 where there is no room at all`)
  assert((await store.put(sample(1))) === 'full', 'a record is not `full` where there is no room at all')
  await assertHolds(store, [])
}

/** `bytesMax` of 50,000 holds under pressure. */
export async function boundsBytes(store: RecordStore): Promise<void> {
  for (let i = 0; i < 200; i++) {
    await store.put(sample(i % 150, { source: bytesOf(i % 7), record: new Uint8Array((i * 37) % 1_000) }))
    const { bytes } = store.stats()
    assert(bytes <= 50_000, `${bytes} bytes where 50,000 are allowed`)
  }
  const all = await collected(store)
  const own = all.reduce((sum, { key, record }) => sum + key.length + record.length, 0)
  assert(store.stats().bytes >= own, 'stats count less than the records themselves')
  assert(own > 0, 'a store under pressure is empty')
}

/** With `bytesMax` of 20,000, a larger record changes nothing. */
export async function refusesGiants(store: RecordStore): Promise<void> {
  await store.put(sample(1))
  await store.put(sample(2, { source: bytesOf(2) }))
  for (const i of [1, 3]) {
    const outcome = await store.put(sample(i, { record: new Uint8Array(20_001) }))
    assert(outcome === 'full', 'a record larger than the store is not `full`')
    await assertHolds(store, [sample(1), sample(2, { source: bytesOf(2) })])
  }
}

/** With `recordsMax` of 10, a light newcomer displaces the heaviest source's next to expire. */
export async function evictsHeaviest(store: RecordStore): Promise<void> {
  const heavy = [3, 1, 2, 5, 4, 6].map((i) => sample(i, { source: bytesOf(1), expiresAtMs: NOW_MS + i }))
  const light = [7, 8, 9, 10].map((i) => sample(i, { source: bytesOf(2), expiresAtMs: NOW_MS }))
  for (const record of [...heavy, ...light]) await store.put(record)
  const newcomer = sample(11, { source: bytesOf(3), expiresAtMs: NOW_MS })
  assert((await store.put(newcomer)) === 'stored', 'a light source found no room beside a heavy one')
  await assertHolds(store, [...heavy.filter(({ expiresAtMs }) => expiresAtMs > NOW_MS + 1), ...light, newcomer])
}

/** With `recordsMax` of 60, a flood displaces only itself. */
export async function survivesFlood(store: RecordStore): Promise<void> {
  const honest = Array.from({ length: 20 }, (_, i) => sample(i, { source: bytesOf(1, i % 10) }))
  for (const record of honest) await store.put(record)
  for (let i = 0; i < 200; i++) {
    await store.put(sample(50 + i, { source: bytesOf(2), expiresAtMs: NOW_MS + 2 * HOUR_MS + i }))
  }
  const held = (await collected(store)).filter(({ source }) => source[0] === 1)
  assertSameRecords(held, honest)
}
