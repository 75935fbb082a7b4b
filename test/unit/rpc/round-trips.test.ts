import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RoundTrips } from '../../../src/rpc/round-trips.js'

const OPTIONS = { softTimeoutMinMs: 10, softTimeoutMaxMs: 1_000, softTimeoutFirstMs: 300 }

test('an answer is late after 300 ms until a round trip was measured', () => {
  expect(new RoundTrips(OPTIONS).softTimeoutMs('a', 0)).toBe(300)
})

test('after one round trip an answer is late after twice as long', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  roundTrips.measured('a', 50, 0)
  expect(roundTrips.softTimeoutMs('a', 0)).toBe(100)
  expect(roundTrips.smoothedMs('a', 0)).toBe(50)
})

test('a contact that was never measured is judged by the pooled round trip', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  roundTrips.measured('a', 50, 0)
  roundTrips.measured('b', 100, 0)
  // Plain means at first: srtt = (50 + 100) / 2, rttvar = (12.5 + 50) / 2.
  expect(roundTrips.softTimeoutMs('c', 0)).toBe(75 + 2 * 31.25)
  expect(roundTrips.softTimeoutMs('a', 0)).toBe(100)
  expect(roundTrips.softTimeoutMs('b', 0)).toBe(200)
  expect(roundTrips.smoothedMs('c', 0)).toBeUndefined()
})

test('a delay is told as a multiple of the pooled round trip, or of 40 ms where that is less', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  expect(roundTrips.relative('a', 0)).toBe(0)
  roundTrips.measured('a', 10, 0)
  expect(roundTrips.relative('a', 0)).toBe(0.25)
  expect(roundTrips.relative('never measured', 0)).toBe(0.25)
  roundTrips.measured('b', 190, 0)
  expect(roundTrips.relative('a', 0)).toBe(0.1)
  expect(roundTrips.relative('b', 0)).toBe(1.9)
  expect(roundTrips.relative('never measured', 0)).toBe(1)
})

test('of an address that was not measured, half as long again as the slowest of the last answers is waited for', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  expect(roundTrips.patienceMs('stranger', 0)).toBe(0)
  roundTrips.measured('far', 400, 0)
  for (let i = 1; i < 256; i++) roundTrips.measured(`near ${i}`, 20, 0)
  expect(roundTrips.patienceMs('stranger', 0)).toBe(600)
  expect(roundTrips.patienceMs('far', 0)).toBe(0)
  roundTrips.measured('another', 20, 0)
  expect(roundTrips.patienceMs('stranger', 0)).toBe(30)
})

test('a few near contacts in a row hardly move the pooled round trip', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  for (let i = 0; i < 100; i++) roundTrips.measured(`far ${i}`, i % 2 ? 100 : 200, 0)
  const beforeMs = roundTrips.softTimeoutMs('stranger', 0)
  for (let i = 0; i < 5; i++) roundTrips.measured(`near ${i}`, 20, 0)
  expect(roundTrips.softTimeoutMs('stranger', 0)).toBeGreaterThan(0.9 * beforeMs)
})

test('the round trips of one address are smoothed as RFC 6298 says', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  roundTrips.measured('a', 50, 0)
  roundTrips.measured('a', 100, 0)
  // rttvar = 3/4 * 12.5 + 1/4 * 50, srtt = 7/8 * 50 + 1/8 * 100.
  expect(roundTrips.softTimeoutMs('a', 0)).toBe(56.25 + 4 * 21.875)
})

test('a round trip is forgotten after an hour, the pooled one is not', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  roundTrips.measured('a', 20, 0)
  roundTrips.measured('b', 200, 0)
  expect(roundTrips.smoothedMs('a', 3_600_000)).toBe(20)
  expect(roundTrips.smoothedMs('a', 3_600_001)).toBeUndefined()
  expect(roundTrips.softTimeoutMs('a', 3_600_001)).toBe(110 + 2 * 92.5)
})

test('what is remembered of addresses is bounded: the one measured longest ago goes', () => {
  const roundTrips = new RoundTrips(OPTIONS)
  for (let i = 0; i <= 4096; i++) roundTrips.measured(`address ${i}`, 20, i)
  expect(roundTrips.smoothedMs('address 0', 4096)).toBeUndefined()
  expect(roundTrips.smoothedMs('address 1', 4096)).toBe(20)
})

test('the soft time-out stays within its bounds, whatever was measured, and 10 ms above a steady round trip', () => {
  const measured = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.double({ min: 0, max: 1e6, noNaN: true })))
  fc.assert(
    fc.property(measured, fc.double({ min: 11, max: 999, noNaN: true }), (all, steadyMs) => {
      const roundTrips = new RoundTrips(OPTIONS)
      for (const [address, ms] of all) {
        roundTrips.measured(address, ms, 0)
        for (const other of ['a', 'b', 'c']) {
          expect(roundTrips.softTimeoutMs(other, 0)).toBeGreaterThanOrEqual(10)
          expect(roundTrips.softTimeoutMs(other, 0)).toBeLessThanOrEqual(1_000)
        }
      }
      for (let i = 0; i < 400; i++) roundTrips.measured('a', steadyMs, 0)
      expect(roundTrips.softTimeoutMs('a', 0)).toBeCloseTo(Math.min(1_000, steadyMs + 10), 3)
    }),
  )
})
