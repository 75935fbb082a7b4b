import type { RecordStore } from '../storage/index.js'
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
