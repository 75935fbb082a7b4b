import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { expect, test } from 'vitest'
import type { MemoryStore, RecordStoreLimits, StoredRecord } from '../../src/storage/index.js'
import { MemoryStore as Model } from '../../src/storage/index.js'
import type { LevelStore } from '../../src/storage/level.js'
import { openLevelStore } from '../../src/storage/level.js'
import { LEVEL_OVERHEAD_BYTES } from '../../src/storage/level-load.js'
import { RECORD_OVERHEAD_BYTES } from '../../src/storage/memory-store.js'

type Action =
  | { readonly do: 'put'; readonly record: StoredRecord }
  | { readonly do: 'delete' | 'list'; readonly record: StoredRecord }
  | { readonly do: 'expire'; readonly nowMs: number }
  | { readonly do: 'settle' | 'reopen' }

/** All that a record consists of. */
const textOf = ({ key, kind, slot, record, storedAtMs, expiresAtMs, source, meta }: StoredRecord) =>
  [key, kind, slot, record.length, record[0], storedAtMs, expiresAtMs, source, meta && `[${meta}]`].join(' ')
const textsOf = (records: Iterable<StoredRecord>) => Array.from(records, textOf).sort()

async function all(store: LevelStore): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  for await (const record of store.entries()) records.push(record)
  return records
}

const oneByte = (max: number) => fc.nat(max).map((value) => Uint8Array.of(value))
const record: fc.Arbitrary<StoredRecord> = fc
  .record({
    key: oneByte(7),
    kind: fc.nat(1),
    slot: fc.constantFrom(new Uint8Array(0), Uint8Array.of(1)),
    // Short, so that a source with more records is the heavier one whatever the two stores add to each.
    record: fc.tuple(fc.nat(60), fc.nat(255)).map(([length, fill]) => new Uint8Array(length).fill(fill)),
    storedAtMs: fc.nat(9),
    expiresAtMs: fc.nat(30),
    source: oneByte(3),
    meta: fc.constantFrom(undefined, new Uint8Array(0), Uint8Array.of(7)),
  })
  .map(({ meta, ...rest }) => (meta ? { ...rest, meta } : rest))

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: record.map((one): Action => ({ do: 'put', record: one })) },
  { weight: 3, arbitrary: record.map((one): Action => ({ do: 'delete', record: one })) },
  { weight: 3, arbitrary: record.map((one): Action => ({ do: 'list', record: one })) },
  { weight: 1, arbitrary: fc.nat(15).map((nowMs): Action => ({ do: 'expire', nowMs })) },
  { weight: 2, arbitrary: fc.constant<Action>({ do: 'settle' }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: 'reopen' }) },
)

const limits: fc.Arbitrary<RecordStoreLimits> = fc.oneof(
  fc.constant({ bytesMax: 1e9, recordsMax: 1e6 }),
  fc.record({ bytesMax: fc.constant(1e9), recordsMax: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ bytesMax: fc.constant(1e9), recordsMax: fc.constant(12), recordsPerSourceMax: fc.nat(4) }),
)

/** What a store in memory is that was filled anew, in the order of the last puts. */
function refilled(given: RecordStoreLimits, model: MemoryStore, order: readonly string[]): MemoryStore {
  const nameOf = ({ key, kind, slot }: StoredRecord) => `${key} ${kind} ${slot}`
  const records = [...model.entries()].sort((a, b) => order.lastIndexOf(nameOf(a)) - order.lastIndexOf(nameOf(b)))
  const next = new Model(given)
  for (const one of records) next.put(one)
  return next
}

test('the store on a disk answers as the one in memory does, also after it is opened again', async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(action, { maxLength: 60 }), async (given, actions) => {
      const level = new MemoryLevel<string, string>()
      let store = await openLevelStore(level, given)
      let model: MemoryStore = new Model(given)
      const order: string[] = []
      let pending: Promise<void>[] = []
      const settle = async () => {
        await Promise.all(pending)
        pending = []
        expect(textsOf(await all(store))).toEqual(textsOf(model.entries()))
        const { records, bytes } = model.stats()
        const overheads = RECORD_OVERHEAD_BYTES - LEVEL_OVERHEAD_BYTES
        expect(store.stats()).toMatchObject({ records, bytes: bytes - records * overheads })
      }
      const same = <T>(actual: T | Promise<T>, expected: T) => {
        pending.push(Promise.resolve(actual).then((value) => expect(value).toEqual(expected)))
      }
      for (const one of actions) {
        if (one.do === 'put') {
          const { key, kind, slot } = one.record
          const outcome = model.put(one.record)
          if (outcome === 'stored') order.push(`${key} ${kind} ${slot}`)
          same(store.put(one.record), outcome)
        } else if (one.do === 'delete') {
          const { key, kind, slot } = one.record
          same(store.delete(key, kind, slot), model.delete(key, kind, slot))
        } else if (one.do === 'list') {
          const { key, kind } = one.record
          // What is written meanwhile may be seen, so it is looked at before.
          await Promise.all(pending)
          expect(textsOf(await store.list(key, kind))).toEqual(textsOf(model.list(key, kind)))
        } else if (one.do === 'expire') {
          same(store.removeExpired(one.nowMs), model.removeExpired(one.nowMs))
        } else {
          await settle()
          if (one.do === 'settle') continue
          await store.close()
          store = await openLevelStore(level, given)
          expect(store.report).toMatchObject({ corrupt: 0, missing: 0, evicted: 0, isComplete: true })
          model = refilled(given, model, order)
        }
      }
      await settle()
      await store.close()
      expect(store.dropped).toBe(0)
    }),
    { numRuns: 300 },
  )
})
