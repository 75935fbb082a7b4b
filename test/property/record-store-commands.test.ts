import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordStoreLimits, StoredRecord } from '../../src/storage/index.js'
import { MemoryStore } from '../../src/storage/index.js'
import { RECORD_OVERHEAD_BYTES } from '../../src/storage/memory-store.js'

/** What the store should hold, by the plainest means. */
interface Model {
  readonly limits: Required<RecordStoreLimits>
  /** By name, in order of arrival. */
  readonly records: Map<string, StoredRecord>
  /** The sources that have records, in order of their last put. */
  sources: string[]
  isClosed: boolean
}
type Command = fc.Command<Model, MemoryStore>
type Name = Pick<StoredRecord, 'key' | 'kind' | 'slot'>

const ROOMY: RecordStoreLimits = { bytesMax: 1e9, recordsMax: 1e6 }

const nameOf = ({ key, kind, slot }: Name) => `${key} ${kind} ${slot}`
const sourceOf = ({ source }: StoredRecord) => `${source}`
/** All that records consist of, in an order of no meaning. Texts, since comparing arrays takes most of the time. */
const texts = (records: Iterable<StoredRecord>) =>
  Array.from(records, ({ record, storedAtMs, expiresAtMs, source, meta, ...name }) =>
    [nameOf(name), Buffer.from(record).toString('latin1'), storedAtMs, expiresAtMs, source, meta && `[${meta}]`].join(),
  ).sort()
const weigh = ({ key, slot, record, source, meta }: StoredRecord) =>
  RECORD_OVERHEAD_BYTES + key.length + slot.length + record.length + source.length + (meta?.length ?? 0)
const total = (records: readonly StoredRecord[]) => records.reduce((sum, record) => sum + weigh(record), 0)
const ofSource = (records: readonly StoredRecord[], source: string) =>
  records.filter((record) => sourceOf(record) === source)

/** What the rules of eviction leave, by weighing everything each time. Undefined stands for `full`. */
function afterPut({ limits, records, sources }: Model, added: StoredRecord): StoredRecord[] | undefined {
  let all = [...[...records.values()].filter((other) => nameOf(other) !== nameOf(added)), added]
  if (ofSource(all, sourceOf(added)).length > limits.recordsPerSourceMax) {
    const replaced = records.get(nameOf(added))
    if (!replaced || sourceOf(replaced) !== sourceOf(added)) return undefined
  }
  const latestFirst = [sourceOf(added), ...sources.filter((source) => source !== sourceOf(added)).reverse()]
  while (all.length > limits.recordsMax || total(all) > limits.bytesMax) {
    const weights = latestFirst.map((source) => total(ofSource(all, source)))
    const heaviest = latestFirst[weights.indexOf(Math.max(...weights))] as string
    const own = ofSource(all, heaviest)
    const soonestMs = Math.min(...own.map(({ expiresAtMs }) => expiresAtMs))
    const victim = own.find(({ expiresAtMs }) => expiresAtMs === soonestMs)
    if (victim === added) return undefined
    all = all.filter((other) => other !== victim)
  }
  return all
}

/** Makes the model hold these records, which arrived in this order. */
function become(model: Model, records: readonly StoredRecord[], lastPutBy?: string): void {
  model.records.clear()
  for (const record of records) model.records.set(nameOf(record), record)
  const order = model.sources.filter((source) => source !== lastPutBy)
  if (lastPutBy !== undefined) order.push(lastPutBy)
  model.sources = order.filter((source) => ofSource(records, source).length > 0)
}

/** What must hold after each command, whatever the model says. */
function checkBounds({ limits }: Model, store: MemoryStore): void {
  const { records, bytes, fill } = store.stats()
  expect(records).toBeLessThanOrEqual(limits.recordsMax)
  expect(bytes).toBeLessThanOrEqual(limits.bytesMax)
  expect(fill).toBeGreaterThanOrEqual(0)
  expect(fill).toBeLessThanOrEqual(1)
}

/** The store's own records are the model's, and no source has more than its share. */
function checkContents(model: Model, store: MemoryStore): void {
  const held = [...store.entries()]
  expect(texts(held)).toEqual(texts(model.records.values()))
  expect(store.stats()).toMatchObject({ records: held.length, bytes: total(held) })
  for (const source of new Set(held.map(sourceOf))) {
    expect(ofSource(held, source).length).toBeLessThanOrEqual(model.limits.recordsPerSourceMax)
  }
}

/** No source that lost a record for this one was lighter than the source of this one. */
function checkEvicted(before: readonly StoredRecord[], store: MemoryStore, added: StoredRecord): void {
  const after = [...store.entries()]
  const names = new Set(after.map(nameOf))
  const evicted = before.filter((record) => !names.has(nameOf(record)))
  const weight = total(ofSource(after, sourceOf(added)))
  for (const source of new Set(evicted.map(sourceOf))) {
    const largestBytes = Math.max(...ofSource(evicted, source).map(weigh))
    expect(total(ofSource(after, source)) + largestBytes).toBeGreaterThanOrEqual(weight)
  }
}

/**
 * A command: `act` on an open store, then the checks that hold after each. On a closed store it fails, except for
 * stats and close.
 */
function command(text: () => string, act: (model: Model, store: MemoryStore) => void, outlivesClose = false): Command {
  return {
    check: () => true,
    run(model, store) {
      if (model.isClosed && !outlivesClose) {
        expect(() => act(model, store)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
      } else {
        act(model, store)
      }
      checkBounds(model, store)
      if (!model.isClosed) checkContents(model, store)
    },
    toString: text,
  }
}

function put(model: Model, store: MemoryStore, record: StoredRecord): void {
  const outcome = store.put(record)
  const before = [...model.records.values()]
  const expected = afterPut(model, record)
  expect(outcome).toBe(expected ? 'stored' : 'full')
  checkEvicted(before, store, record)
  if (expected) become(model, expected, sourceOf(record))
}

/** Removes what `isGone` says from the model; says how many there were. */
function removeFrom(model: Model, isGone: (record: StoredRecord) => boolean): number {
  const before = [...model.records.values()]
  const after = before.filter((record) => !isGone(record))
  become(model, after)
  return before.length - after.length
}

const oneByte = (max: number) => fc.nat(max).map((value) => Uint8Array.of(value))
const timeMs = fc.integer({ min: 0, max: 9 })
const name = { key: oneByte(5), kind: fc.nat(2), slot: fc.constantFrom(new Uint8Array(0), Uint8Array.of(1)) }
const source = oneByte(3)
const contents = {
  // Few lengths, so that sources weigh the same; some as heavy as several others, so that a refusal comes after evictions.
  record: fc
    .tuple(fc.constantFrom(0, 0, 0, 30, 31, 3 * RECORD_OVERHEAD_BYTES), fc.nat(255))
    .map(([length, fill]) => new Uint8Array(length).fill(fill)),
  storedAtMs: timeMs,
  expiresAtMs: timeMs,
  meta: fc.constantFrom(undefined, undefined, undefined, new Uint8Array(0), Uint8Array.of(7)),
}
const withoutNothing = <T extends { meta: Uint8Array | undefined }>({ meta, ...rest }: T) =>
  meta ? { ...rest, meta } : rest

const puts = fc
  .record({ ...name, ...contents, source })
  .map(withoutNothing)
  .map((record) =>
    command(
      () => `put ${fc.stringify(record)}`,
      (model, store) => put(model, store, record),
    ),
  )

/** Replaces a record that is there, if any is; without a source it keeps its own. */
const replacements = (from: fc.Arbitrary<{ source?: Uint8Array }>) =>
  fc.tuple(fc.nat(1_000), fc.record(contents).map(withoutNothing), from).map(([at, part, by]): Command => {
    const act = (model: Model, store: MemoryStore) => {
      const { key, kind, slot, source } = [...model.records.values()][at % model.records.size] as StoredRecord
      put(model, store, { key, kind, slot, source, ...part, ...by })
    }
    const text = () => `replace the ${at}th by ${fc.stringify({ ...part, ...by })}`
    return { ...command(text, act), check: ({ records }) => records.size > 0 }
  })

const deletions = fc.record(name).map((gone) =>
  command(
    () => `delete ${fc.stringify(gone)}`,
    (model, store) => {
      const wasThere = store.delete(gone.key, gone.kind, gone.slot)
      expect(wasThere).toBe(removeFrom(model, (record) => nameOf(record) === nameOf(gone)) > 0)
    },
  ),
)

const lists = fc.record({ key: name.key, kind: name.kind }).map(({ key, kind }) =>
  command(
    () => `list ${fc.stringify({ key, kind })}`,
    (model, store) => {
      const found = store.list(key, kind)
      const expected = [...model.records.values()].filter((one) => one.kind === kind && `${one.key}` === `${key}`)
      expect(texts(found)).toEqual(texts(expected))
    },
  ),
)

/** Reads some entries, deletes a record that is there, and reads the rest. */
const entries = fc.tuple(fc.nat(6), fc.nat(1_000)).map(([count, at]) =>
  command(
    () => `${count} entries, delete the ${at}th, entries`,
    (model, store) => {
      const expected = new Map(model.records)
      const read: StoredRecord[] = []
      const rest = store.entries()
      for (let next = rest.next(); !next.done; next = rest.next()) {
        read.push(next.value)
        if (read.length !== count) continue
        const gone = [...model.records.values()][at % model.records.size] as StoredRecord
        if (!read.some((record) => nameOf(record) === nameOf(gone))) expected.delete(nameOf(gone))
        store.delete(gone.key, gone.kind, gone.slot)
        removeFrom(model, (record) => record === gone)
      }
      expect(texts(read)).toEqual(texts(expected.values()))
    },
  ),
)

const expiries = timeMs.map((nowMs) =>
  command(
    () => `removeExpired ${nowMs}`,
    (model, store) => {
      const count = store.removeExpired(nowMs)
      expect(count).toBe(removeFrom(model, ({ expiresAtMs }) => expiresAtMs <= nowMs))
    },
  ),
)

const stats = fc.constant(
  command(
    () => 'stats',
    ({ limits, records }, store) => {
      const all = [...records.values()]
      const shares = [
        [all.length, limits.recordsMax],
        [total(all), limits.bytesMax],
      ].map(([held, max]) => (max ? (held as number) / max : 1))
      expect(store.stats()).toEqual({ records: all.length, bytes: total(all), fill: Math.max(...shares) })
    },
    true,
  ),
)

const closing = fc.constant(
  command(
    () => 'close',
    (model, store) => {
      store.close()
      model.isClosed = true
      become(model, [])
    },
    true,
  ),
)

const commands = fc.commands(
  [
    fc.oneof(
      { weight: 60, arbitrary: puts },
      { weight: 20, arbitrary: replacements(fc.constant({})) },
      { weight: 20, arbitrary: replacements(fc.record({ source })) },
      { weight: 15, arbitrary: deletions },
      { weight: 15, arbitrary: lists },
      { weight: 10, arbitrary: entries },
      { weight: 8, arbitrary: expiries },
      { weight: 8, arbitrary: stats },
      { weight: 1, arbitrary: closing },
    ),
  ],
  { maxCommands: 100 },
)

/** Runs sequences of commands on a store and a model of these limits. */
function compare(limits: fc.Arbitrary<RecordStoreLimits>, numRuns: number): void {
  fc.assert(
    fc.property(limits, commands, (given, sequence) => {
      const setup = (): { model: Model; real: MemoryStore } => ({
        model: {
          limits: { recordsPerSourceMax: given.recordsMax, ...given },
          records: new Map(),
          sources: [],
          isClosed: false,
        },
        real: new MemoryStore(given),
      })
      fc.modelRun(setup, sequence)
    }),
    { numRuns },
  )
}

test('without reaching its limits, the store holds what a plain Map holds', () => {
  compare(fc.constant(ROOMY), 200)
})

test('at its limits, it refuses and evicts exactly what the rules name and never exceeds them', () => {
  const limits = {
    // Just what so many of the smallest records take.
    bytesMax: fc.constantFrom(0, 3, 5, 8, 12, 1e6).map((count) => count * (RECORD_OVERHEAD_BYTES + 2)),
    recordsMax: fc.constantFrom(0, 1, 2, 3, 5, 8, 12, 1e6),
  }
  compare(
    fc.oneof(
      fc.record(limits),
      fc.record({ ...limits, recordsPerSourceMax: fc.nat(5) }),
      // More than recordsMax, so that a source that is alone displaces its own.
      fc.record({ ...limits, recordsPerSourceMax: fc.constant(100) }),
    ),
    2_000,
  )
})
