import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from '../../../src/rpc/rate-limit.js'

test('a host may ask a burst at once, then as often as the rate says', () => {
  const limit = new RateLimit(10, 20)
  const allowedOf = (count: number, nowMs: number) =>
    Array.from({ length: count }, () => limit.allows('host', nowMs)).filter(Boolean).length
  expect(allowedOf(30, 0)).toBe(20)
  expect(allowedOf(30, 99)).toBe(0)
  expect(allowedOf(30, 1_000)).toBe(10)
  expect(allowedOf(30, 60_000)).toBe(20)
})

test('hosts have an allowance each', () => {
  const limit = new RateLimit(1, 1)
  expect(limit.allows('a', 0)).toBe(true)
  expect(limit.allows('b', 0)).toBe(true)
  expect(limit.allows('a', 0)).toBe(false)
})

test('in no span of time are more requests allowed than the burst and the rate times the span', () => {
  const steps = fc.array(fc.nat(700), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 40 }), (pauses, perSecond, burst) => {
      const limit = new RateLimit(perSecond, burst)
      const allowedAt: number[] = []
      let nowMs = 0
      let refused = false
      for (const pauseMs of pauses) {
        nowMs += pauseMs
        if (limit.allows('host', nowMs)) allowedAt.push(nowMs)
        else refused = true
      }
      allowedAt.forEach((fromMs, first) => {
        allowedAt.forEach((toMs, last) => {
          const most = burst + ((toMs - fromMs) * perSecond) / 1_000
          if (last >= first) expect(last - first + 1).toBeLessThanOrEqual(most + 1e-6)
        })
      })
      // Nor is anybody refused who stayed within the burst.
      if (pauses.length <= burst) expect(refused).toBe(false)
    }),
  )
})

test('8,192 hosts are remembered, of more the one that asked longest ago is forgotten', () => {
  const limit = new RateLimit(1, 1)
  for (let host = 0; host < 8_193; host++) expect(limit.allows(String(host), 0)).toBe(true)
  expect(limit.allows('1', 0)).toBe(false)
  expect(limit.allows('0', 0)).toBe(true)
})
