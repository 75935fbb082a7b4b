import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mapKey } from '../../src/keyspace/index.js'
import { decodeCursor, encodeCursor, inOrderOf } from '../../src/node/samples.js'
import type { StoredRecord } from '../../src/storage/index.js'
import { SeededRandom } from '../../src/testing/index.js'

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

function storedIn(slot: Uint8Array): StoredRecord {
  const NONE = new Uint8Array(0)
  return { key: new Uint8Array(32), kind: 64, slot, record: slot, storedAtMs: 0, expiresAtMs: 1, source: NONE }
}

test('a cursor is read as it was written', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 0xffff }), (seed, skip) => {
      expect(decodeCursor(encodeCursor({ seed, skip }))).toEqual({ seed, skip })
    }),
  )
})

test('pages of one seed bring every record exactly once, in whatever order the store lists them', () => {
  const slots = fc.uniqueArray(fc.uint8Array({ maxLength: 40 }), { selector: mapKey, maxLength: 60 })
  const pageSizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })
  fc.assert(
    fc.property(slots, seeds, pageSizes, fc.integer(), (all, seed, sizes, order) => {
      const random = new SeededRandom(order)
      const came: string[] = []
      for (let i = 0; came.length < all.length; i++) {
        const listed = all.map((slot) => ({ slot, at: random.float() })).sort((a, b) => a.at - b.at)
        const size = sizes[i % sizes.length] as number
        const page = inOrderOf(
          seed,
          listed.map(({ slot }) => storedIn(slot)),
        ).slice(came.length, came.length + size)
        came.push(...page.map(({ slot }) => mapKey(slot)))
      }
      expect(came.sort()).toEqual(all.map(mapKey).sort())
    }),
  )
})

describe('over all seeds each record is about equally likely to come first', () => {
  const COUNT = 40
  const ROUNDS = 4_000
  /** 39 degrees of freedom: 72 is exceeded once in a thousand times. */
  const CHI_SQUARE_MAX = 72.1

  test.each<[string, (i: number, random: SeededRandom) => Uint8Array]>([
    ['of random slots', (_i, random) => random.bytes(32)],
    ['of slots that count up', (i) => Uint8Array.of(0, 0, 0, i, ...new Uint8Array(28))],
    ['of slots of one byte', (i) => Uint8Array.of(i)],
    [
      'of slots that differ in their first bit and last of 8 bytes',
      (i) => Uint8Array.of(i & 1 ? 128 : 0, 0, 0, 0, 0, 0, 0, i),
    ],
    ['of slots of different lengths', (i) => new Uint8Array(i)],
  ])('%s', (_what, slotOf) => {
    const random = new SeededRandom('fair')
    const all = Array.from({ length: COUNT }, (_, i) => storedIn(slotOf(i, random)))
    const [firsts, lasts] = [new Map<string, number>(), new Map<string, number>()]
    for (let round = 0; round < ROUNDS; round++) {
      const ordered = inOrderOf(random.int(2 ** 32), all)
      for (const [counts, stored] of [
        [firsts, ordered[0]],
        [lasts, ordered.at(-1)],
      ] as const) {
        const name = mapKey(stored!.slot)
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    }
    for (const counts of [firsts, lasts]) {
      const expected = ROUNDS / COUNT
      const chiSquare = all
        .map(({ slot }) => ((counts.get(mapKey(slot)) ?? 0) - expected) ** 2 / expected)
        .reduce((a, b) => a + b)
      expect(chiSquare).toBeLessThan(CHI_SQUARE_MAX)
    }
  })
})
