import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StoredRecord } from '../../src/storage/index.js'
import { MemoryStore } from '../../src/storage/index.js'

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
        const roomy = new MemoryStore({ bytesMax: 1e9, recordsMax: honestCount })
        for (const record of honest) roomy.put(record)
        // Room for the honest and a little: what the flood gets on top must not come from them.
        const store = new MemoryStore({
          bytesMax: Math.ceil(roomy.stats().bytes * 1.2),
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
