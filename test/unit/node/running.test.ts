import { describe, expect, test } from 'vitest'
import { Running } from '../../../src/node/running.js'

const NOTHING = (): void => {}

/** Begins all items, of which each ends when it is told to. */
function begin(count: number, max: number) {
  const running = new Running()
  const begun: number[] = []
  const cancelled: number[] = []
  const ends: (() => void)[] = []
  const state = { done: 0 }
  running.each(
    Array.from({ length: count }, (_, i) => i),
    max,
    (item, ended) => {
      begun.push(item)
      ends[item] = ended
      return () => cancelled.push(item)
    },
    () => void state.done++,
  )
  return { running, begun, cancelled, ends, state }
}

test('what is cancelled begins nothing any more, also when one of those that it cancels ends', () => {
  const running = new Running()
  const begun: number[] = []
  const ends: (() => void)[] = []
  const start = (item: number, ended: () => void): (() => void) => {
    begun.push(item)
    ends.push(ended)
    return ended
  }
  let done = 0
  running.each([1, 2, 3, 4], 2, start, () => void done++)
  running.cancelAll()
  for (const end of ends) end()
  running.begin((ended) => start(5, ended))
  running.each([6], 1, start, () => void done++)
  expect([begun, done]).toEqual([[1, 2], 0])
})

test('what is cancelled while it begins is cancelled as soon as it has begun', () => {
  const running = new Running()
  let cancelled = 0
  running.begin(() => {
    running.cancelAll()
    return () => void cancelled++
  })
  expect(cancelled).toBe(1)
})

describe('each', () => {
  test('begins the items in their order, at most so many at once', () => {
    const { begun, ends, state } = begin(6, 2)
    expect(begun).toEqual([0, 1])
    ends[1]!()
    expect(begun).toEqual([0, 1, 2])
    ends[2]!()
    ends[0]!()
    expect(begun).toEqual([0, 1, 2, 3, 4])
    ends[3]!()
    ends[4]!()
    expect([begun, state.done]).toEqual([[0, 1, 2, 3, 4, 5], 0])
    ends[5]!()
    expect(state.done).toBe(1)
  })

  test('begins all where there is room for all, and is done when the last has ended', () => {
    const { begun, ends, state } = begin(3, 10)
    expect(begun).toEqual([0, 1, 2])
    for (const i of [2, 0]) ends[i]!()
    expect(state.done).toBe(0)
    ends[1]!()
    expect(state.done).toBe(1)
  })

  test.each([1, 3, 20_000])('of 10,000 items that end at once does not nest, %i at once, and is done once', (max) => {
    const order: number[] = []
    let depth = 0
    let deepest = 0
    let done = 0
    const start = (item: number, ended: () => void): (() => void) => {
      depth++
      deepest = Math.max(deepest, depth)
      order.push(item)
      ended()
      depth--
      return NOTHING
    }
    const items = Array.from({ length: 10_000 }, (_, i) => i)
    new Running().each(items, max, start, () => void done++)
    expect(order).toEqual(items)
    expect([deepest, done]).toEqual([1, 1])
  })

  test('goes on with items that end at once after one that ended later', () => {
    const log: (number | string)[] = []
    let endFirst = NOTHING
    new Running().each(
      [0, 1, 2, 3],
      1,
      (item, ended) => {
        log.push(item)
        if (item === 0) endFirst = ended
        else ended()
        return NOTHING
      },
      () => log.push('done'),
    )
    expect(log).toEqual([0])
    endFirst()
    expect(log).toEqual([0, 1, 2, 3, 'done'])
  })

  test('is done once, though the last item ends twice', () => {
    const { ends, state } = begin(2, 2)
    for (const i of [0, 1, 1]) ends[i]!()
    expect(state.done).toBe(1)
  })

  test('of no items is done at once, once', () => {
    expect(begin(0, 4).state.done).toBe(1)
  })

  test('that is cancelled in the middle cancels what is open, begins nothing more and is not done', () => {
    const { running, begun, cancelled, ends, state } = begin(6, 3)
    ends[1]!()
    running.cancelAll()
    expect([begun, cancelled]).toEqual([
      [0, 1, 2, 3],
      [0, 2, 3],
    ])
    running.cancelAll()
    expect(cancelled).toHaveLength(3)
    expect(state.done).toBe(0)
  })

  test('shares its cancel with what was begun beside it', () => {
    const { running, cancelled } = begin(2, 2)
    let isCancelled = false
    running.begin(() => () => {
      isCancelled = true
    })
    running.cancelAll()
    expect([cancelled, isCancelled]).toEqual([[0, 1], true])
  })
})

describe('begin', () => {
  test('of what ends at once or later leaves nothing to cancel', () => {
    const running = new Running()
    let cancels = 0
    let endLater = NOTHING
    running.begin((ended) => {
      ended()
      return () => void cancels++
    })
    running.begin((ended) => {
      endLater = ended
      return () => void cancels++
    })
    endLater()
    running.cancelAll()
    expect(cancels).toBe(0)
  })
})
