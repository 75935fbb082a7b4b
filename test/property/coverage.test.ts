import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Contact, NodeId } from '../../src/keyspace/index.js'
import { compareDistance, mapKey, nearest } from '../../src/keyspace/index.js'
import { Coverage } from '../../src/node/coverage.js'
import { SeededRandom } from '../../src/testing/index.js'

type Find = (point: NodeId) => Contact[]

interface World {
  readonly k: number
  readonly nodes: readonly Contact[]
  readonly keys: readonly NodeId[]
}

const anyId = fc.uint8Array({ minLength: 32, maxLength: 32 })
/** Up to three others' ids: clusters grow around them. */
const centres = fc.array(anyId, { minLength: 1, maxLength: 3 })

/** An id that shares at least `bits` bits with one of the centres. */
function near(around: readonly NodeId[], bits: fc.Arbitrary<number>): fc.Arbitrary<NodeId> {
  return fc.tuple(fc.constantFrom(...around), anyId, bits).map(([centre, other, shared]) => {
    const id = other.slice()
    for (let bit = 0; bit < shared; bit++) {
      const mask = 0x80 >> (bit & 7)
      id[bit >> 3] = (other[bit >> 3]! & ~mask & id[bit >> 3]!) | (centre[bit >> 3]! & mask)
    }
    return id
  })
}

const worlds: fc.Arbitrary<World> = centres.chain((around) => {
  const clustered = near(around, fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 240, max: 256 })))
  const ids = (id: fc.Arbitrary<NodeId>, maxLength: number) =>
    fc.uniqueArray(id, { selector: mapKey, minLength: 1, maxLength, size: 'max' })
  return fc.record({
    k: fc.integer({ min: 1, max: 20 }),
    nodes: fc
      .oneof(ids(anyId, 400), ids(anyId, 20), ids(clustered, 400), ids(fc.oneof(anyId, clustered), 100))
      .map((all) => all.map((id, i) => ({ id, address: `at-${i}` }))),
    keys: fc.array(fc.oneof(anyId, clustered), { minLength: 1, maxLength: 30 }),
  })
})

/** Looks up what is missing for the key; returns the points. Fails when a point comes twice. */
function settle(coverage: Coverage, key: NodeId, find: Find, seen = new Set<string>()): NodeId[] {
  const points: NodeId[] = []
  for (let point = coverage.missing(key); point !== undefined; point = coverage.missing(key)) {
    if (seen.has(mapKey(point))) expect.fail('a point was returned twice')
    seen.add(mapKey(point))
    points.push(point)
    coverage.add(point, find(point))
  }
  return points
}

function randomIds(random: SeededRandom, count: number): NodeId[] {
  return Array.from({ length: count }, () => random.bytes(32))
}

describe('with lookups that find the true k nearest', () => {
  test('the nearest to every key are the true ones', () => {
    fc.assert(
      fc.property(worlds, ({ k, nodes, keys }) => {
        const coverage = new Coverage(k)
        const seen = new Set<string>()
        for (const key of keys) {
          settle(coverage, key, (point) => nearest(nodes, point, k), seen)
          expect(coverage.nearest(key)).toEqual(nearest(nodes, key, k))
        }
        // What came later took nothing away.
        for (const key of keys) {
          expect(coverage.missing(key)).toBeUndefined()
          expect(coverage.nearest(key)).toEqual(nearest(nodes, key, k))
        }
      }),
      { numRuns: 300 },
    )
  })

  test('whatever was looked up before, a key that misses nothing has its true k nearest', () => {
    fc.assert(
      fc.property(worlds, fc.array(anyId, { maxLength: 100 }), ({ k, nodes, keys }, points) => {
        const coverage = new Coverage(k)
        for (const point of points) coverage.add(point, nearest(nodes, point, k))
        for (const key of keys) {
          if (coverage.missing(key) === undefined) expect(coverage.nearest(key)).toEqual(nearest(nodes, key, k))
        }
      }),
      { numRuns: 300 },
    )
  })

  test('one key costs one lookup, and never many', () => {
    fc.assert(
      fc.property(worlds, ({ k, nodes, keys }) => {
        const coverage = new Coverage(k)
        const costs = keys.map((key) => settle(coverage, key, (point) => nearest(nodes, point, k)).length)
        expect(costs[0]).toBe(1)
        expect(Math.max(...costs)).toBeLessThanOrEqual(64)
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    { nodes: 1000, keys: 2000 },
    { nodes: 1000, keys: 20_000 },
  ])('$keys keys among $nodes nodes take fewer than one lookup for six nodes', ({ nodes: count, keys: keyCount }) => {
    const k = 20
    const random = new SeededRandom('coverage')
    const nodes = randomIds(random, count).map((id, i) => ({ id, address: `at-${i}` }))
    const keys = randomIds(random, keyCount).sort((a, b) => compareDistance(new Uint8Array(32), a, b))
    const coverage = new Coverage(k)
    let lookups = 0
    for (const [i, key] of keys.entries()) {
      lookups += settle(coverage, key, (point) => nearest(nodes, point, k)).length
      if (i % 20 === 0) expect(coverage.nearest(key)).toEqual(nearest(nodes, key, k))
    }
    expect(lookups).toBeLessThan(count / 6)
  })
})

describe('with lookups that miss some', () => {
  test('adding them comes to an end, and the nearest known ones are found', () => {
    fc.assert(
      fc.property(
        worlds,
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        ({ k, nodes, keys }, chance) => {
          const coverage = new Coverage(k)
          const found = new Map<string, Contact>()
          const find: Find = (point) => {
            const dropped = chance.next().value
            const some = nearest(nodes, point, k).filter(() => chance.next().value >= dropped)
            for (const contact of some) found.set(mapKey(contact.id), contact)
            return some
          }
          const seen = new Set<string>()
          for (const key of keys) {
            settle(coverage, key, find, seen)
            expect(coverage.nearest(key)).toEqual(nearest(found.values(), key, k))
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('one that falls short does not hide from the others what it did not find', () => {
    const k = 20
    const random = new SeededRandom('short')
    const nodes = randomIds(random, 500).map((id, i) => ({ id, address: `at-${i}` }))
    const keys = randomIds(random, 1000)
    const coverage = new Coverage(k)
    coverage.add(keys[0]!, nearest(nodes, keys[0]!, k))
    // Shorter than k: taken at their word either would be the whole network.
    coverage.add(keys[1]!, [])
    coverage.add(keys[2]!, nearest(nodes, keys[2]!, k - 1))
    for (const key of keys.slice(3)) {
      settle(coverage, key, (point) => nearest(nodes, point, k))
      expect(coverage.nearest(key)).toEqual(nearest(nodes, key, k))
    }
  })
})
