import { describe, expect, test } from 'vitest'
import type { PutOutcome, RecordStore, RecordStoreLimits, StoredRecord } from '../../src/storage/index.js'
import { MemoryStore } from '../../src/storage/index.js'
import { recordStoreConformance } from '../../src/testing/record-store-conformance.js'

/** A store that answers later, one call after the other, as one on a disk does. */
class SlowStore implements RecordStore {
  readonly inner: RecordStore
  #last: Promise<unknown> = Promise.resolve()

  constructor(inner: RecordStore) {
    this.inner = inner
  }
  #later<T>(call: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(call)
    this.#last = result.catch(() => {})
    return result
  }
  list(key: Uint8Array, kind: number) {
    return this.#later(() => this.inner.list(key, kind))
  }
  put(record: StoredRecord) {
    const copy = structuredClone(record)
    return this.#later(() => this.inner.put(copy))
  }
  delete(key: Uint8Array, kind: number, slot: Uint8Array) {
    return this.#later(() => this.inner.delete(key, kind, slot))
  }
  async *entries() {
    yield* await this.#later(() => this.inner.entries())
  }
  removeExpired(nowMs: number) {
    return this.#later(() => this.inner.removeExpired(nowMs))
  }
  stats() {
    return this.inner.stats()
  }
  close() {
    return this.#later(() => this.inner.close())
  }
}

describe('the memory store keeps what a record store promises', () => {
  for (const { name, run } of recordStoreConformance({ create: (limits) => new MemoryStore(limits) })) test(name, run)
})

describe('the suite takes a store that answers with promises', () => {
  let left: StoredRecord[] = []
  const create = async (limits: RecordStoreLimits) => {
    left = []
    return remembering(new MemoryStore(limits))
  }
  const remembering = (inner: MemoryStore) => {
    const store = new SlowStore(inner)
    const close = store.close.bind(store)
    let closed: Promise<void> | undefined
    store.close = () => {
      closed ??= (async () => {
        for await (const record of store.entries()) left.push(record)
        await close()
      })()
      return closed
    }
    return store
  }
  const reopen = async (limits: RecordStoreLimits) => {
    const inner = new MemoryStore(limits)
    for (const record of left) inner.put(record)
    return new SlowStore(inner)
  }
  for (const { name, run } of recordStoreConformance({ create, reopen })) test(name, run)
})

describe('the suite notices a store that', () => {
  const broken: Record<string, (limits: RecordStoreLimits) => RecordStore> = {
    'keeps the arrays it is given': (limits) => {
      const kept: StoredRecord[] = []
      return changed(limits, {
        put: (record) => (kept.push(record) ? 'stored' : 'full'),
        list: () => kept,
        entries: () => kept,
      })
    },
    'has no limits': () => new MemoryStore({ bytesMax: 1e9, recordsMax: 1e9 }),
    'refuses when full instead of evicting': (limits) => {
      const roomy = new MemoryStore({ bytesMax: 1e9, recordsMax: 1e9 })
      return changed(limits, {
        put: (record) => (roomy.stats().records >= limits.recordsMax ? 'full' : roomy.put(record)),
        list: (key, kind) => roomy.list(key, kind),
        entries: () => roomy.entries(),
        stats: () => roomy.stats(),
      })
    },
    'never expires anything': (limits) => changed(limits, { removeExpired: () => 0 }),
    'drops meta': (limits) => {
      const inner = new MemoryStore(limits)
      return changed(limits, {
        put: ({ meta: _, ...record }): PutOutcome => inner.put(record),
        list: (key, kind) => inner.list(key, kind),
        entries: () => inner.entries(),
        stats: () => inner.stats(),
      })
    },
    'works on after close': (limits) => changed(limits, { close: () => {} }),
  }
  test.each(Object.entries(broken))('%s', async (_, create) => {
    expect(await failing(create)).not.toEqual([])
  })

  const ofSource = 'never more than recordsPerSourceMax records of one source'
  const byDefault = 'one source may have recordsMax records by default'
  const byRecords = 'fill follows the records where they are nearer to their limit'
  const byBytes = 'fill follows the bytes where they are nearer to their limit'
  const noRecords = 'a store for no records is full'
  const noBytes = 'a store for no bytes is full'
  const ignores: [string, (limits: RecordStoreLimits) => RecordStore, noticed: string[]][] = [
    [
      'ignores recordsPerSourceMax',
      (limits) => new MemoryStore({ ...limits, recordsPerSourceMax: 1e6 }),
      [ofSource, byDefault],
    ],
    ['evicts for a source that has its share', evictingForOneMore, [ofSource, byDefault]],
    [
      'knows recordsPerSourceMax only where it is given',
      (limits) => new MemoryStore({ recordsPerSourceMax: 1e6, ...limits }),
      [byDefault],
    ],
    [
      'refuses a source with its share even what it replaces',
      (limits) => {
        const inner = new MemoryStore(limits)
        const refuses = ({ source }: StoredRecord) =>
          [...inner.entries()].filter((other) => `${other.source}` === `${source}`).length >=
          (limits.recordsPerSourceMax ?? limits.recordsMax)
        return changed(limits, { put: (record) => (refuses(record) ? 'full' : inner.put(record)) }, inner)
      },
      [ofSource],
    ],
    ['is always empty by its fill', (limits) => filled(limits, () => 0), [byRecords, byBytes, noRecords, noBytes]],
    [
      'takes only the records into its fill',
      (limits) => filled(limits, ({ records }) => (limits.recordsMax ? records / limits.recordsMax : 1)),
      [byBytes, noBytes],
    ],
    [
      'takes only the bytes into its fill',
      (limits) => filled(limits, ({ bytes }) => (limits.bytesMax ? bytes / limits.bytesMax : 1)),
      [byRecords, noRecords],
    ],
    [
      'divides by limits of 0',
      (limits) =>
        filled(limits, ({ records, bytes }) => Math.max(records / limits.recordsMax, bytes / limits.bytesMax)),
      [noRecords, noBytes],
    ],
  ]
  test.each(ignores)('%s', async (_, create, noticed) => {
    expect(await failing(create)).toEqual(noticed)
  })

  async function failing(create: (limits: RecordStoreLimits) => RecordStore): Promise<string[]> {
    const tests = recordStoreConformance({ create })
    const outcomes = await Promise.allSettled(tests.map(({ run }) => run()))
    return tests.flatMap(({ name }, i) => (outcomes[i]?.status === 'rejected' ? [name] : []))
  }

  function filled(limits: RecordStoreLimits, fill: (stats: { records: number; bytes: number }) => number): RecordStore {
    const inner = new MemoryStore(limits)
    return changed(limits, { stats: () => ({ ...inner.stats(), fill: fill(inner.stats()) }) }, inner)
  }

  /** Keeps `recordsPerSourceMax` by dropping what expires soonest, where it should refuse. */
  function evictingForOneMore(limits: RecordStoreLimits): RecordStore {
    const inner = new MemoryStore(limits)
    const put = (record: StoredRecord): PutOutcome => {
      if (inner.put(record) === 'stored') return 'stored'
      const own = [...inner.entries()].filter(({ source }) => `${source}` === `${record.source}`)
      const [first] = own.sort((a, b) => a.expiresAtMs - b.expiresAtMs)
      if (first === undefined || own.length < (limits.recordsPerSourceMax ?? limits.recordsMax)) return 'full'
      inner.delete(first.key, first.kind, first.slot)
      return inner.put(record)
    }
    return changed(limits, { put }, inner)
  }

  function changed(
    limits: RecordStoreLimits,
    part: Partial<RecordStore>,
    inner: RecordStore = new MemoryStore(limits),
  ): RecordStore {
    return {
      list: (key, kind) => inner.list(key, kind),
      put: (record) => inner.put(record),
      delete: (key, kind, slot) => inner.delete(key, kind, slot),
      entries: () => inner.entries(),
      removeExpired: (nowMs) => inner.removeExpired(nowMs),
      stats: () => inner.stats(),
      close: () => inner.close(),
      ...part,
    }
  }
})
