import { expect, test } from 'vitest'

interface Line {
  readonly length: number
  add(action: () => void): void
}

// Plain JavaScript of the benches, without types of its own.
const folder = new URL('../../bench/peers/', import.meta.url)
const { DelayLine } = (await import(new URL('delay-line.js', folder).href)) as { DelayLine: new (ms: number) => Line }
const { percentile, randomFrom, recallOf } = (await import(new URL('numbers.js', folder).href)) as {
  percentile: (values: number[], share: number) => number | null
  randomFrom: (seed: number) => () => number
  recallOf: (found: Uint8Array[], ids: Uint8Array[], place: Uint8Array, k: number) => number
}

const id = (byte: number) => Uint8Array.of(byte)

test('a delay line keeps the order, and lets nothing through early', async () => {
  const line = new DelayLine(20)
  const begunMs = performance.now()
  const seen: { name: number; atMs: number }[] = []
  const note = (name: number) => () => void seen.push({ name, atMs: performance.now() - begunMs })
  line.add(note(0))
  line.add(note(1))
  expect(line.length).toBe(2)
  await new Promise((resolve) => setTimeout(resolve, 10))
  const addedMs = performance.now() - begunMs
  line.add(note(2))
  while (line.length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(seen.map(({ name }) => name)).toEqual([0, 1, 2])
  expect(seen[0]?.atMs).toBeGreaterThanOrEqual(19)
  expect(seen[2]?.atMs).toBeGreaterThanOrEqual(addedMs + 19)
})

test('what a delay line lets through may add to it', async () => {
  const line = new DelayLine(1)
  await new Promise<void>((resolve) => line.add(() => line.add(resolve)))
  expect(line.length).toBe(0)
})

test('recall is the share of the truly nearest', () => {
  const ids = [1, 2, 3, 4, 128].map(id)
  expect(recallOf([1, 2, 3].map(id), ids, id(0), 3)).toBe(1)
  expect(recallOf([1, 128].map(id), ids, id(0), 2)).toBe(0.5)
  expect(recallOf([], ids, id(0), 20)).toBe(0)
  // Nearest by XOR, not by subtraction: 127 differs from 128 in every bit.
  expect(recallOf([id(128)], [id(128), id(1)], id(127), 1)).toBe(0)
})

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect([0.5, 0.95, 0.99].map((share) => percentile(values, share))).toEqual([51, 96, 100])
  expect(percentile([], 0.5)).toBeNull()
})

test('one seed gives one sequence of numbers', () => {
  const [one, same, other] = [7, 7, 8].map((seed) => Array.from({ length: 5 }, randomFrom(seed)))
  expect(one).toEqual(same)
  expect(one).not.toEqual(other)
  expect(one?.every((number) => number >= 0 && number < 1)).toBe(true)
})
