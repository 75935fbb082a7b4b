import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toHex } from '../../../src/keyspace/index.js'
import { SeededRandom } from '../../../src/testing/index.js'

/** How often each number below `bound` was drawn. */
function tally(drawn: readonly number[], bound: number): number[] {
  return Array.from({ length: bound }, (_, number) => drawn.filter((one) => one === number).length)
}

test('one seed gives one stream, on every machine', () => {
  // SHA-256(SHA-256('xorbit/simulator/xorbit') | 1 as 64 bits, big-endian), computed elsewhere.
  const random = new SeededRandom('xorbit')
  expect(toHex(random.bytes(8))).toBe('e09dec83564392ca')
  expect(random.float()).toBe(0.7285489520836317)
  expect(random.int(1000)).toBe(194)
})

test('a number is the same seed as its digits, and other seeds are other streams', () => {
  expect(new SeededRandom(7).bytes(40)).toEqual(new SeededRandom('7').bytes(40))
  expect(new SeededRandom(7).bytes(40)).not.toEqual(new SeededRandom(8).bytes(40))
})

test('bytes are the same in one piece and in many', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 20 }), (lengths) => {
      const inPieces = new SeededRandom('pieces')
      const pieces = lengths.flatMap((length) => [...inPieces.bytes(length)])
      expect(pieces).toEqual([...new SeededRandom('pieces').bytes(pieces.length)])
    }),
  )
})

test('a stream does not repeat', () => {
  const random = new SeededRandom(1)
  const blocks = Array.from({ length: 1000 }, () => toHex(random.bytes(32)))
  expect(new Set(blocks).size).toBe(1000)
})

test('a fork does not depend on what was drawn from its origin, nor changes it', () => {
  const a = new SeededRandom('origin')
  const b = new SeededRandom('origin')
  a.bytes(1234)
  expect(a.fork('x').bytes(16)).toEqual(b.fork('x').bytes(16))
  expect(a.fork('x').bytes(16)).not.toEqual(a.fork('y').bytes(16))
  b.bytes(1234)
  expect(a.bytes(16)).toEqual(b.bytes(16))
})

test('floats are uniform from 0 to below 1', () => {
  const random = new SeededRandom('floats')
  const drawn = Array.from({ length: 20_000 }, () => random.float())
  expect(drawn.every((float) => float >= 0 && float < 1)).toBe(true)
  for (const count of tally(
    drawn.map((float) => Math.floor(float * 10)),
    10,
  ))
    expect(Math.abs(count - 2000)).toBeLessThan(200)
})

test('integers reach each number below their bound, equally often', () => {
  const random = new SeededRandom('integers')
  const drawn = Array.from({ length: 12_000 }, () => random.int(6))
  for (const count of tally(drawn, 6)) expect(Math.abs(count - 2000)).toBeLessThan(200)
  expect(random.int(1)).toBe(0)
  expect(random.int(2 ** 32)).toBeLessThan(2 ** 32)
  // A bound of 3/4 of the range would show a bias by the remainder as twice as many below 2^32 / 4.
  let low = 0
  for (let i = 0; i < 3000; i++) if (random.int(3 * 2 ** 30) < 2 ** 30) low++
  expect(Math.abs(low - 1000)).toBeLessThan(150)
})

test.each([0, -1, 1.5, Number.NaN, 2 ** 32 + 1])('int rejects the bound %s', (bound) => {
  expect(() => new SeededRandom(1).int(bound)).toThrow(RangeError)
})

test('chance is certain at 0 and 1, and near its rate between', () => {
  const random = new SeededRandom('chance')
  let hits = 0
  for (let i = 0; i < 10_000; i++) if (random.chance(0.2)) hits++
  expect(Math.abs(hits - 2000)).toBeLessThan(200)
  expect(random.chance(0)).toBe(false)
  expect(random.chance(1)).toBe(true)
})

test('shuffle keeps the items, leaves its input alone, and puts each item everywhere', () => {
  const random = new SeededRandom('shuffle')
  const items = Object.freeze([1, 2, 3, 4])
  const places: number[] = []
  for (let i = 0; i < 4000; i++) {
    const shuffled = random.shuffle(items)
    places.push(shuffled.indexOf(1))
    expect([...shuffled].sort()).toEqual([1, 2, 3, 4])
  }
  for (const count of tally(places, 4)) expect(Math.abs(count - 1000)).toBeLessThan(150)
})

test('pick takes each item, and there must be one', () => {
  const random = new SeededRandom('pick')
  expect(new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c'])))).toEqual(new Set(['a', 'b', 'c']))
  expect(() => random.pick([])).toThrow(RangeError)
})
