import { describe, expect, test } from 'vitest'
import { DhtError } from '../../../src/errors.js'
import type { StoredRecord } from '../../../src/storage/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import { RECORD_OVERHEAD_BYTES } from '../../../src/storage/memory-store.js'

const ROOMY = { bytesMax: 64 * 2 ** 20, recordsMax: 65_536 }

function record(number: number, part: Partial<StoredRecord> = {}): StoredRecord {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(0, number)
  return {
    key,
    kind: 0,
    slot: new Uint8Array(0),
    record: new Uint8Array(10).fill(number),
    storedAtMs: 0,
    expiresAtMs: 1_000,
    source: Uint8Array.of(1),
    ...part,
  }
}
const from = (source: number, expiresAtMs = 1_000) => ({ source: Uint8Array.of(source), expiresAtMs })
const held = (store: MemoryStore) =>
  [...store.entries()].map(({ key }) => new DataView(key.buffer).getUint32(0)).sort((a, b) => a - b)

describe('what a record weighs', () => {
  test('is the bytes of all its fields and the overhead', () => {
    const store = new MemoryStore(ROOMY)
    store.put(
      record(1, {
        slot: new Uint8Array(3),
        record: new Uint8Array(100),
        source: new Uint8Array(4),
        meta: new Uint8Array(5),
      }),
    )
    expect(store.stats().bytes).toBe(32 + 3 + 100 + 4 + 5 + RECORD_OVERHEAD_BYTES)
  })

  test('includes the overhead, so that a flood of tiny records is no way around bytesMax', () => {
    const store = new MemoryStore({ bytesMax: 100_000, recordsMax: 65_536 })
    for (let i = 0; i < 1_000; i++) store.put(record(i, { record: new Uint8Array(0) }))
    expect(store.stats().records).toBeLessThan(100_000 / RECORD_OVERHEAD_BYTES)
  })
})

describe('a full store', () => {
  test('takes from the heaviest source what expires soonest, and the older one of equals', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 5 })
    for (const [number, expiresAtMs] of [
      [1, 30],
      [2, 20],
      [3, 20],
    ] as const)
      store.put(record(number, from(1, expiresAtMs)))
    store.put(record(4, from(2, 1)))
    store.put(record(5, from(2, 1)))
    expect(store.put(record(6, from(3)))).toBe('stored')
    expect(held(store)).toEqual([1, 3, 4, 5, 6])
  })

  test('makes a source that is the heaviest displace its own records', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 4 })
    for (const number of [1, 2, 3]) store.put(record(number, from(1, number)))
    store.put(record(4, from(2, 0)))
    expect(store.put(record(5, from(1, 9)))).toBe('stored')
    expect(held(store)).toEqual([2, 3, 4, 5])
  })

  test('refuses a record of the heaviest source that would expire before all its others', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 3, recordsPerSourceMax: 4 })
    for (const number of [1, 2, 3]) store.put(record(number, from(1, 10 + number)))
    expect(store.put(record(4, from(1, 10)))).toBe('full')
    expect(held(store)).toEqual([1, 2, 3])
    expect(store.put(record(4, from(1, 11)))).toBe('stored')
    expect(held(store)).toEqual([2, 3, 4])
  })

  test('lets no newcomer displace sources that are as light as it is', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 3 })
    for (const number of [1, 2, 3]) store.put(record(number, from(number)))
    for (let number = 4; number < 50; number++) expect(store.put(record(number, from(number, 1e9)))).toBe('full')
    expect(held(store)).toEqual([1, 2, 3])
  })

  test('evicts as many as a large record needs', () => {
    const store = new MemoryStore({ bytesMax: 20 * (RECORD_OVERHEAD_BYTES + 43), recordsMax: 100 })
    for (let number = 0; number < 20; number++) store.put(record(number, from(number < 18 ? 1 : 2, 100 + number)))
    expect(store.put(record(99, { ...from(3), record: new Uint8Array(3 * RECORD_OVERHEAD_BYTES) }))).toBe('stored')
    expect(held(store)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 99])
  })

  test('is left exactly as it was by a refused record, however many were out already', () => {
    const store = new MemoryStore({ bytesMax: 10 * (RECORD_OVERHEAD_BYTES + 43), recordsMax: 100 })
    for (let number = 0; number < 10; number++) store.put(record(number, from(number < 7 ? 1 : number, 100)))
    const before = { held: held(store), stats: store.stats() }
    // As heavy as five and a half: lighter than source 1 until two of its seven records are out.
    const giant = { record: new Uint8Array(4.5 * RECORD_OVERHEAD_BYTES + 5.5 * 43) }
    expect(store.put(record(99, { ...from(7), ...giant }))).toBe('full')
    expect(store.put(record(4, { ...from(7), ...giant }))).toBe('full')
    expect(store.put(record(4, { ...from(1, 1), ...giant }))).toBe('full')
    expect({ held: held(store), stats: store.stats() }).toEqual(before)
    expect(store.list(record(4).key, 0)).toEqual([record(4, from(1, 100))])
    expect(store.removeExpired(100)).toBe(10)
    expect(store.stats()).toEqual({ records: 0, bytes: 0, fill: 0 })
  })

  test('remembers nothing of a refused record, not even that its source asked last', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 4 })
    for (const number of [1, 2]) store.put(record(number, from(1, 10)))
    for (const number of [3, 4]) store.put(record(number, from(2, 10)))
    expect(store.put(record(5, from(1, 9)))).toBe('full')
    expect(store.put(record(6, from(3)))).toBe('stored')
    expect(held(store)).toEqual([1, 2, 4, 6])
  })

  test('of no room at all refuses everything', () => {
    expect(new MemoryStore({ bytesMax: 0, recordsMax: 5 }).put(record(1))).toBe('full')
    expect(new MemoryStore({ bytesMax: 1e6, recordsMax: 0 }).put(record(1))).toBe('full')
    expect(new MemoryStore({ ...ROOMY, recordsPerSourceMax: 0 }).put(record(1))).toBe('full')
  })
})

describe('a source with recordsPerSourceMax records', () => {
  const limits = { ...ROOMY, recordsPerSourceMax: 2 }

  test('gets no more, whatever it displaces, and may replace its own', () => {
    const store = new MemoryStore(limits)
    for (const number of [1, 2]) store.put(record(number, from(1, 10)))
    store.put(record(3, from(2)))
    expect(store.put(record(4, from(1, 99)))).toBe('full')
    expect(store.put(record(3, from(1, 99)))).toBe('full')
    expect(store.put(record(1, from(1, 5)))).toBe('stored')
    expect([1, 2, 3].flatMap((number) => store.list(record(number).key, 0))).toEqual([
      record(1, from(1, 5)),
      record(2, from(1, 10)),
      record(3, from(2)),
    ])
  })

  test('has room again when another source takes one over, or one goes', () => {
    const store = new MemoryStore(limits)
    for (const number of [1, 2]) store.put(record(number, from(1, 10)))
    expect(store.put(record(1, from(2)))).toBe('stored')
    expect(store.put(record(3, from(1, 5)))).toBe('stored')
    expect(store.put(record(4, from(1)))).toBe('full')
    store.removeExpired(5)
    expect(store.put(record(4, from(1)))).toBe('stored')
    store.delete(record(2).key, 0, record(2).slot)
    expect(store.put(record(5, from(1)))).toBe('stored')
    expect(held(store)).toEqual([1, 4, 5])
  })

  test('displaces its own soonest when that number is more than the store holds', () => {
    const store = new MemoryStore({ ...ROOMY, recordsMax: 3, recordsPerSourceMax: 4 })
    for (const number of [1, 2, 3, 4, 5]) expect(store.put(record(number, from(1, number)))).toBe('stored')
    expect(held(store)).toEqual([3, 4, 5])
  })
})

describe('fill', () => {
  test('is by records or bytes, whichever limit is nearer', () => {
    const store = new MemoryStore({ bytesMax: 10 * (RECORD_OVERHEAD_BYTES + 43), recordsMax: 8 })
    expect(store.stats().fill).toBe(0)
    store.put(record(1))
    expect(store.stats().fill).toBe(1 / 8)
    store.put(record(2, { record: new Uint8Array(10 + 3 * (RECORD_OVERHEAD_BYTES + 43)) }))
    expect(store.stats().fill).toBe(5 / 10)
    store.delete(record(2).key, 0, record(2).slot)
    for (const number of [2, 3, 4, 5, 6, 7, 8]) store.put(record(number))
    expect(store.stats().fill).toBe(1)
  })

  test('is 1 where a limit is 0', () => {
    expect(new MemoryStore({ ...ROOMY, recordsMax: 0 }).stats().fill).toBe(1)
    expect(new MemoryStore({ ...ROOMY, bytesMax: 0 }).stats().fill).toBe(1)
  })
})

test('a record that is replaced by another source weighs on that one', () => {
  const store = new MemoryStore({ ...ROOMY, recordsMax: 3 })
  for (const number of [1, 2]) store.put(record(number, from(1)))
  store.put(record(3, from(2, 5)))
  store.put(record(1, from(2, 9)))
  expect(store.put(record(4, from(3)))).toBe('stored')
  expect(held(store)).toEqual([1, 2, 4])
})

test('an iteration sees the new version of a record that is replaced before its turn', () => {
  const store = new MemoryStore(ROOMY)
  for (const number of [1, 2]) store.put(record(number))
  const entries = store.entries()
  entries.next()
  store.put(record(2, { record: Uint8Array.of(99) }))
  expect(entries.next().value?.record).toEqual(Uint8Array.of(99))
})

test('after close it is empty and says ERR_CLOSED', () => {
  const store = new MemoryStore(ROOMY)
  store.put(record(1))
  store.close()
  expect(store.stats()).toEqual({ records: 0, bytes: 0, fill: 0 })
  expect(() => store.put(record(1))).toThrow(DhtError)
  expect(() => store.list(record(1).key, 0)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
})

test('limits that are no whole numbers are a RangeError', () => {
  for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, undefined]) {
    expect(() => new MemoryStore({ ...ROOMY, bytesMax: bad as number })).toThrow(RangeError)
    expect(() => new MemoryStore({ ...ROOMY, recordsMax: bad as number })).toThrow(RangeError)
    if (bad !== undefined) expect(() => new MemoryStore({ ...ROOMY, recordsPerSourceMax: bad })).toThrow(RangeError)
  }
})

test('a flood of 100,000 records costs no search through the others', () => {
  const store = new MemoryStore(ROOMY)
  for (let i = 0; i < 30_000; i++) store.put(record(i, from(2 + (i % 200))))
  const start = performance.now()
  for (let i = 0; i < 100_000; i++)
    store.put(record(100_000 + i, { ...from(1, 2_000), slot: Uint8Array.of(i & 255, i >> 8) }))
  for (let i = 0; i < 10_000; i++) store.removeExpired(0)
  // About 0.5 s; with one pass over the records for each put it would be minutes.
  expect(performance.now() - start).toBeLessThan(20_000)
  expect(held(store).filter((number) => number < 100_000).length).toBe(30_000)
})

test('a flood of one source ends at recordsPerSourceMax and costs no other source a record', () => {
  const store = new MemoryStore({ ...ROOMY, recordsPerSourceMax: 8_192 })
  const honest = Array.from({ length: 10_000 }, (_, i) =>
    record(i, { source: Uint8Array.of(i % 2, (i >> 1) % 250), expiresAtMs: 1_000 + i }),
  )
  for (const one of honest) store.put(one)
  const fillBefore = store.stats().fill
  let refused = 0
  let bytesMost = 0
  for (let i = 0; i < 100_000; i++) {
    const outcome = store.put(record(100_000 + i, { source: Uint8Array.of(9), expiresAtMs: 1e6 + i }))
    if (outcome === 'full') refused++
    bytesMost = Math.max(bytesMost, store.stats().bytes)
  }
  expect(refused).toBe(100_000 - 8_192)
  expect(bytesMost).toBeLessThanOrEqual(ROOMY.bytesMax)
  expect(store.stats().records).toBe(10_000 + 8_192)
  expect(held(store).slice(0, 10_000)).toEqual(honest.map((_, i) => i))
  expect(new Set([...store.entries()].map(({ source }) => `${source}`)).size).toBe(501)
  // Others still find a store that is far from full.
  expect(fillBefore).toBeLessThan(0.2)
  expect(store.stats().fill).toBeLessThan(0.4)
  expect(store.put(record(50_000, from(77, 1)))).toBe('stored')
})

test('one key with very many slots stays fast', () => {
  const store = new MemoryStore(ROOMY)
  const start = performance.now()
  for (let i = 0; i < 40_000; i++) store.put(record(1, { slot: Uint8Array.of(i & 255, i >> 8) }))
  for (let i = 0; i < 40_000; i++) store.delete(record(1).key, 0, Uint8Array.of(i & 255, i >> 8))
  expect(performance.now() - start).toBeLessThan(20_000)
  expect(store.stats().records).toBe(0)
})
