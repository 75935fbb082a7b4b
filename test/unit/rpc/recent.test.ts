import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Recent } from '../../../src/rpc/index.js'

test('an entry is there for its lifetime and no longer', () => {
  const recent = new Recent<string>(100, 10)
  recent.set('a', 'value', 1_000)
  expect(recent.get('a', 1_100)).toBe('value')
  expect(recent.get('a', 1_101)).toBeUndefined()
  expect(recent.size).toBe(0)
})

test('setting an entry again makes it new', () => {
  const recent = new Recent<number>(100, 2)
  recent.set('a', 1, 0)
  recent.set('b', 2, 50)
  recent.set('a', 3, 90)
  recent.set('c', 4, 95)
  expect([recent.get('a', 190), recent.get('b', 95), recent.get('c', 190)]).toEqual([3, undefined, 4])
})

test('clear forgets everything', () => {
  const recent = new Recent<number>(100, 2)
  recent.set('a', 1, 0)
  recent.clear()
  expect([recent.size, recent.get('a', 0)]).toEqual([0, undefined])
})

test('it holds what a list of the latest would, never more than allowed, and nothing that is too old', () => {
  const LIFETIME_MS = 50
  const SIZE_MAX = 4
  const step = fc.record({
    set: fc.boolean(),
    key: fc.constantFrom(...'abcdefgh'),
    value: fc.nat(),
    pauseMs: fc.nat(20),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = new Recent<number>(LIFETIME_MS, SIZE_MAX)
      let model: { key: string; value: number; sinceMs: number }[] = []
      let nowMs = 0
      for (const { set, key, value, pauseMs } of steps) {
        nowMs += pauseMs
        if (set) {
          recent.set(key, value, nowMs)
          model = [...model.filter((entry) => entry.key !== key), { key, value, sinceMs: nowMs }].slice(-SIZE_MAX)
          expect(recent.size).toBeLessThanOrEqual(SIZE_MAX)
          // Setting sweeps: what is too old takes no memory either.
          expect(recent.size).toBe(model.filter(({ sinceMs }) => nowMs - sinceMs <= LIFETIME_MS).length)
        }
        const known = model.find((entry) => entry.key === key)
        expect(recent.get(key, nowMs)).toBe(known && nowMs - known.sinceMs <= LIFETIME_MS ? known.value : undefined)
      }
    }),
  )
})
