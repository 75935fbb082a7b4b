import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecentNumbers } from '../../../src/rpc/recent-numbers.js'

const LIFETIME_MS = 160

test('an entry is there for its lifetime and no longer', () => {
  const recent = new RecentNumbers(LIFETIME_MS, 10, 0)
  recent.touch('a', 1_000)
  expect(recent.find('a', 1_160)).toBeGreaterThanOrEqual(0)
  expect(recent.find('a', 1_161)).toBeLessThan(0)
  recent.touch('b', 1_161)
  expect(recent.size).toBe(1)
})

test('touching an entry makes it new', () => {
  const recent = new RecentNumbers(LIFETIME_MS, 2, 0)
  recent.touch('a', 0)
  recent.touch('b', 50)
  recent.touch('a', 90)
  recent.touch('c', 95)
  expect(['a', 'b', 'c'].map((key) => recent.find(key, 95) >= 0)).toEqual([true, false, true])
  expect(recent.find('a', 250)).toBeGreaterThanOrEqual(0)
})

test('the numbers of a new entry are NaN, also where another one was before', () => {
  const recent = new RecentNumbers(LIFETIME_MS, 1, 2)
  const slot = recent.touch('a', 0)
  recent.set(slot, 0, 5)
  recent.set(slot, 1, 6)
  const again = recent.touch('a', 100)
  expect([recent.get(again, 0), recent.get(again, 1)]).toEqual([5, 6])
  const other = recent.touch('b', 100)
  expect([recent.get(other, 0), recent.get(other, 1)]).toEqual([Number.NaN, Number.NaN])
  const third = recent.touch('c', 100)
  expect([recent.get(third, 0), recent.get(third, 1)]).toEqual([Number.NaN, Number.NaN])
  expect([recent.size, recent.find('a', 100), recent.find('b', 100)]).toEqual([1, -1, -1])
})

test('it holds what a list of the latest would, never more than allowed, and nothing that is too old', () => {
  const SIZE_MAX = 4
  const step = fc.record({ touches: fc.boolean(), key: fc.constantFrom(...'abcdefgh'), pauseMs: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const recent = new RecentNumbers(LIFETIME_MS, SIZE_MAX, 1)
      let model: { key: string; value: number; sinceMs: number }[] = []
      let nowMs = 0
      for (const [value, { touches, key, pauseMs }] of steps.entries()) {
        nowMs += pauseMs
        const known = model.find((entry) => entry.key === key && nowMs - entry.sinceMs <= LIFETIME_MS)
        if (touches) {
          const slot = recent.touch(key, nowMs)
          expect(recent.get(slot, 0)).toBe(known ? known.value : Number.NaN)
          recent.set(slot, 0, value)
          model = [...model.filter((entry) => entry.key !== key), { key, value, sinceMs: nowMs }]
          model = model.filter(({ sinceMs }) => nowMs - sinceMs <= LIFETIME_MS).slice(-SIZE_MAX)
          // What is too old takes no memory either.
          expect(recent.size).toBe(model.length)
        } else {
          const slot = recent.find(key, nowMs)
          expect(slot >= 0).toBe(known !== undefined)
          if (known) expect(recent.get(slot, 0)).toBe(known.value)
        }
      }
    }),
  )
})

test('what was there before it shrank and grew is still there, in its order', () => {
  const recent = new RecentNumbers(LIFETIME_MS, 1_000, 1)
  for (let i = 0; i < 1_000; i++) recent.set(recent.touch(`old ${i}`, 0), 0, i)
  expect(Array.from({ length: 1_000 }, (_, i) => recent.get(recent.find(`old ${i}`, 0), 0))).toEqual(
    Array.from({ length: 1_000 }, (_, i) => i),
  )
  for (let i = 0; i < 20; i++) recent.set(recent.touch(`new ${i}`, 100), 0, i)
  recent.touch('last', 200)
  expect(recent.size).toBe(21)
  for (let i = 0; i < 990; i++) recent.touch(`newer ${i}`, 210)
  expect(recent.size).toBe(1_000)
  expect([10, 11, 19].map((i) => recent.find(`new ${i}`, 210) >= 0)).toEqual([false, true, true])
  expect(recent.get(recent.find('new 19', 210), 0)).toBe(19)
  expect(recent.find('last', 210)).toBeGreaterThanOrEqual(0)
})

test('keys that a stranger chose to be found slowly push out each other, nobody else', () => {
  const recent = new RecentNumbers(LIFETIME_MS, 1_000, 0)
  for (let i = 0; i < 500; i++) recent.touch(`honest ${i}`, 0)
  const alike = collisionsOf(500)
  for (const key of alike) recent.touch(key, 0)
  expect(alike.filter((key) => recent.find(key, 0) >= 0).length).toBeLessThan(100)
  expect(recent.find(alike.at(-1) as string, 0)).toBeGreaterThanOrEqual(0)
  let honest = 0
  for (let i = 0; i < 500; i++) if (recent.find(`honest ${i}`, 0) >= 0) honest++
  expect(honest).toBeGreaterThan(490)
})

/** Strings of one FNV-1a hash: the last character makes up for what those before it came to. */
function collisionsOf(count: number): string[] {
  const PRIME = 0x01000193
  const found: string[] = []
  for (let prefix = 0; found.length < count; prefix++) {
    const begun = Math.imul(0x811c9dc5 ^ prefix, PRIME)
    for (let middle = 0; middle < 0x10000; middle++) {
      const hash = Math.imul(begun ^ middle, PRIME)
      if (hash >>> 16 === 0x1234) found.push(String.fromCharCode(prefix, middle, hash & 0xffff))
    }
  }
  return found.slice(0, count)
}
