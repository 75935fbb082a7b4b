import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LatencyModel } from '../../../src/testing/index.js'
import {
  fixedLatency,
  internetLatency,
  regionalLatency,
  SeededRandom,
  uniformLatency,
} from '../../../src/testing/index.js'

const models: [string, LatencyModel][] = [
  ['fixed', fixedLatency(50)],
  ['uniform', uniformLatency({ minMs: 10, maxMs: 90 })],
  ['internet', internetLatency()],
]

test.each(models)('%s latency is the same both ways, to the last bit', (_name, model) => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      const placeOfA = model.place(a, new SeededRandom(a))
      const placeOfB = model.place(b, new SeededRandom(b))
      expect(model.oneWayMs(placeOfA, placeOfB)).toBe(model.oneWayMs(placeOfB, placeOfA))
      expect(model.oneWayMs(placeOfA, placeOfB)).toBeGreaterThanOrEqual(0)
    }),
  )
})

/** Sorted one-way delays of many pairs. */
function delays(model: LatencyModel): number[] {
  const random = new SeededRandom('delays')
  const places = Array.from({ length: 400 }, (_, i) => model.place(`${i}`, random.fork(`${i}`)))
  const all = places.flatMap((a, i) => places.slice(i + 1).map((b) => model.oneWayMs(a, b)))
  return all.sort((a, b) => a - b)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] as number
}

test('uniform latency is uniform over pairs', () => {
  const all = delays(uniformLatency({ minMs: 10, maxMs: 90 }))
  for (const share of [0.1, 0.25, 0.5, 0.75, 0.9]) {
    expect(Math.abs(quantile(all, share) - (10 + 80 * share))).toBeLessThan(3)
  }
})

test('the internet model has round trips as the synthetic five regions of the design', () => {
  const all = delays(internetLatency()).map((oneWayMs) => 2 * oneWayMs)
  expect(Math.abs(quantile(all, 0.5) - 148)).toBeLessThan(12)
  expect(Math.abs(quantile(all, 0.9) - 288)).toBeLessThan(20)
  expect(Math.abs(quantile(all, 0.99) - 438)).toBeLessThan(40)
})

test('hosts of one region are nearer to each other', () => {
  const model = regionalLatency({
    rttMs: [
      [20, 200],
      [200, 20],
    ],
    shares: [1, 1],
    accessMs: [
      [0, 0],
      [1, 0],
    ],
    pathFactor: [1, 1],
  })
  expect(new Set(delays(model))).toEqual(new Set([10, 100]))
})

test('wrong parameters are refused', () => {
  expect(() => fixedLatency(-1)).toThrow(RangeError)
  expect(() => fixedLatency(Number.NaN)).toThrow(RangeError)
  expect(() => uniformLatency({ minMs: 5, maxMs: 4 })).toThrow(RangeError)
  const regions = { shares: [1, 1], accessMs: [[0, 0] as const, [1, 1] as const], pathFactor: [1, 1] as const }
  expect(() => regionalLatency({ ...regions, rttMs: [[1]] })).toThrow(RangeError)
  const asymmetric = [
    [1, 2],
    [3, 1],
  ]
  expect(() => regionalLatency({ ...regions, rttMs: asymmetric })).toThrow(RangeError)
  expect(() => regionalLatency({ ...regions, shares: [1], rttMs: [[1]], accessMs: [[0.5, 1]] })).toThrow(RangeError)
})
