import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StoredRecord } from '../../src/storage/index.js'
import { MemoryStore } from '../../src/storage/index.js'
import { RECORD_OVERHEAD_BYTES } from '../../src/storage/memory-store.js'

type Step =
  | { readonly put: StoredRecord }
  | { readonly remove: Pick<StoredRecord, 'key' | 'kind' | 'slot'> }
  | { readonly expireAtMs: number }
  | { readonly list: Pick<StoredRecord, 'key' | 'kind'> }

const oneByte = (max: number) => fc.nat(max).map((value) => Uint8Array.of(value))
const length = (max: number) => fc.nat(max).map((bytes) => new Uint8Array(bytes).fill(bytes))
const name = { key: oneByte(5), kind: fc.nat(2), slot: fc.oneof(fc.constant(new Uint8Array(0)), oneByte(3)) }
const stored: fc.Arbitrary<StoredRecord> = fc
  .record({
    ...name,
    // Some as heavy as several others, so that a refusal comes after evictions.
    record: fc.oneof({ weight: 3, arbitrary: length(500) }, { weight: 1, arbitrary: length(9_000) }),
    storedAtMs: fc.nat(100),
    expiresAtMs: fc.nat(100),
    source: oneByte(4),
    meta: fc.option(fc.uint8Array({ maxLength: 4 }), { nil: undefined }),
  })
  .map(({ meta, ...rest }) => (meta ? { ...rest, meta } : rest))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: stored.map((put) => ({ put })) },
  { weight: 2, arbitrary: fc.record(name).map((remove) => ({ remove })) },
  { weight: 1, arbitrary: fc.nat(100).map((expireAtMs) => ({ expireAtMs })) },
  { weight: 2, arbitrary: fc.record({ key: name.key, kind: name.kind }).map((list) => ({ list })) },
)
const steps = fc.array(step, { maxLength: 120 })

const nameOf = ({ key, kind, slot }: Pick<StoredRecord, 'key' | 'kind' | 'slot'>) => `${key} ${kind} ${slot}`
const sorted = (records: Iterable<StoredRecord>) => [...records].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
const weigh = ({ key, slot, record, source, meta }: StoredRecord) =>
  RECORD_OVERHEAD_BYTES + key.length + slot.length + record.length + source.length + (meta?.length ?? 0)
const total = (records: Iterable<StoredRecord>) => [...records].reduce((sum, record) => sum + weigh(record), 0)

/** What the rules of eviction say, by sorting everything each time. Undefined stands for `full`. */
function afterPut(before: readonly StoredRecord[], record: StoredRecord, bytesMax: number, recordsMax: number) {
  // Order in the array is the order of arrival.
  let all = [...before.filter((other) => nameOf(other) !== nameOf(record)), record]
  while (all.length > recordsMax || total(all) > bytesMax) {
    const weight = (source: Uint8Array) => total(all.filter((other) => `${other.source}` === `${source}`))
    const heaviest = Math.max(...all.map(({ source }) => weight(source)))
    const gives = weight(record.source) === heaviest ? record.source : undefined
    const candidates = all.filter(({ source }) => (gives ? `${source}` === `${gives}` : weight(source) === heaviest))
    // Ties between other sources are the store's choice: the model leaves such cases out.
    if (new Set(candidates.map(({ source }) => `${source}`)).size > 1) return 'tie' as const
    const soonest = Math.min(...candidates.map(({ expiresAtMs }) => expiresAtMs))
    const victim = candidates.find(({ expiresAtMs }) => expiresAtMs === soonest)
    if (victim === record) return undefined
    all = all.filter((other) => other !== victim)
  }
  return all
}

test('without reaching its limits, the store holds what a plain Map holds', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const store = new MemoryStore({ bytesMax: 1e9, recordsMax: 1e6 })
      const model = new Map<string, StoredRecord>()
      for (const action of sequence) {
        if ('put' in action) {
          expect(store.put(action.put)).toBe('stored')
          model.set(nameOf(action.put), action.put)
        } else if ('remove' in action) {
          const { key, kind, slot } = action.remove
          expect(store.delete(key, kind, slot)).toBe(model.delete(nameOf(action.remove)))
        } else if ('list' in action) {
          const { key, kind } = action.list
          const expected = [...model.values()].filter((record) => record.kind === kind && `${record.key}` === `${key}`)
          expect(sorted(store.list(key, kind))).toEqual(sorted(expected))
        } else {
          const expired = [...model].filter(([, { expiresAtMs }]) => expiresAtMs <= action.expireAtMs)
          for (const [known] of expired) model.delete(known)
          expect(store.removeExpired(action.expireAtMs)).toBe(expired.length)
        }
        expect(store.stats()).toEqual({ records: model.size, bytes: total(model.values()) })
      }
      expect(sorted(store.entries())).toEqual(sorted(model.values()))
    }),
    { numRuns: 300 },
  )
})

test('at its limits, it evicts exactly what the rules name and never exceeds them', () => {
  const limits = fc.record({ bytesMax: fc.nat(20_000), recordsMax: fc.nat(12) })
  fc.assert(
    fc.property(limits, steps, ({ bytesMax, recordsMax }, sequence) => {
      const store = new MemoryStore({ bytesMax, recordsMax })
      let model: readonly StoredRecord[] = []
      for (const action of sequence) {
        if ('put' in action) {
          const expected = afterPut(model, action.put, bytesMax, recordsMax)
          const outcome = store.put(action.put)
          if (expected === 'tie') {
            const now = new Map([...store.entries()].map((record) => [nameOf(record), record]))
            const order = [...model.filter((other) => nameOf(other) !== nameOf(action.put)), action.put]
            model = outcome === 'full' ? model : order.filter((record) => now.has(nameOf(record)))
          } else {
            expect(outcome).toBe(expected ? 'stored' : 'full')
            model = expected ?? model
          }
        } else if ('remove' in action) {
          store.delete(action.remove.key, action.remove.kind, action.remove.slot)
          model = model.filter((record) => nameOf(record) !== nameOf(action.remove))
        } else if ('expireAtMs' in action) {
          store.removeExpired(action.expireAtMs)
          model = model.filter(({ expiresAtMs }) => expiresAtMs > action.expireAtMs)
        }
        expect(store.stats()).toEqual({ records: model.length, bytes: total(model) })
        expect(model.length).toBeLessThanOrEqual(recordsMax)
        expect(total(model)).toBeLessThanOrEqual(bytesMax)
        expect(sorted(store.entries())).toEqual(sorted(model))
      }
    }),
    { numRuns: 300 },
  )
})

test('a flood from one source leaves at least 99 % of the others’ records', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 50, max: 250 }),
      fc.integer({ min: 10, max: 60 }),
      fc.integer({ min: 0, max: 1_000 }),
      fc.nat(1_000_000),
      (honestCount, sourceCount, floodBytes, seed) => {
        const honest = Array.from({ length: honestCount }, (_, i) =>
          sample(i, 2 + (i % sourceCount), 1 + ((i * 7919 + seed) % 900), 50),
        )
        // Room for the honest and a little: what the flood gets on top must not come from them.
        const store = new MemoryStore({
          bytesMax: Math.ceil(total(honest) * 1.2),
          recordsMax: Math.ceil(honestCount * 1.2),
        })
        const flood = Array.from({ length: honestCount * 5 }, (_, i) => sample(10_000 + i, 1, floodBytes, 100 + i))
        for (let i = 0; i < flood.length; i++) {
          if (i % 5 === 0) store.put(honest[i / 5] as StoredRecord)
          store.put(flood[i] as StoredRecord)
        }
        const kept = [...store.entries()].filter(({ source }) => source[0] !== 1).length
        expect(kept).toBeGreaterThanOrEqual(0.99 * honestCount)
      },
    ),
    { numRuns: 100 },
  )
})

function sample(number: number, source: number, length: number, expiresAtMs: number): StoredRecord {
  const key = Uint8Array.of(number >> 8, number & 255)
  const record = new Uint8Array(length)
  return { key, kind: 0, slot: new Uint8Array(0), record, storedAtMs: 0, expiresAtMs, source: Uint8Array.of(source) }
}
