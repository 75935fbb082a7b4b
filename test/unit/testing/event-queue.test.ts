import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { QueuedEvent } from '../../../src/testing/event-queue.js'
import { EventQueue, TICK_MS, toTick } from '../../../src/testing/event-queue.js'

/** An event, and when it is to happen as far as the test knows. */
interface Planned extends QueuedEvent {
  atMs: number
}

function event(atMs = 0): Planned {
  return { atMs, order: 0, pending: false, run: () => {} }
}

test('events come by time, those of one moment as they were added, cancelled ones never', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('add' as const), afterMs: fc.nat(5) }),
      fc.record({ do: fc.constant('cancel' as const), which: fc.nat() }),
      fc.record({ do: fc.constant('next' as const) }),
      fc.record({ do: fc.constant('cancelMany' as const), modulus: fc.integer({ min: 1, max: 4 }) }),
    ),
    { maxLength: 400 },
  )
  fc.assert(
    fc.property(steps, (all) => {
      const queue = new EventQueue()
      let model: Planned[] = []
      const ever: Planned[] = []
      for (const step of all) {
        if (step.do === 'add') {
          const added = event(queue.nowMs + step.afterMs)
          queue.add(added, added.atMs)
          model.push(added)
          ever.push(added)
        } else if (step.do === 'cancel') {
          const victim = ever[step.which % Math.max(1, ever.length)]
          if (victim !== undefined) queue.cancel(victim)
          model = model.filter((other) => other !== victim)
        } else if (step.do === 'cancelMany') {
          const matches = (one: QueuedEvent) => one.order % step.modulus === 0
          queue.cancelWhere(matches)
          model = model.filter((one) => !matches(one))
        } else {
          // The model is in order of insertion, and sorting is stable.
          const expected = [...model].sort((a, b) => a.atMs - b.atMs)[0]
          expect(queue.peekMs()).toBe(expected?.atMs)
          expect(queue.next()).toBe(expected)
          model = model.filter((other) => other !== expected)
        }
        expect(queue.size).toBe(model.length)
      }
    }),
  )
})

test('cancelled events do not pile up', () => {
  const queue = new EventQueue()
  for (let i = 0; i < 10; i++) queue.add(event(), 1e6)
  let heapSizeMax = 0
  for (let i = 0; i < 100_000; i++) {
    const timer = event()
    queue.add(timer, i)
    queue.cancel(timer)
    heapSizeMax = Math.max(heapSizeMax, queue.heapSize)
  }
  expect(heapSizeMax).toBeLessThan(200)
  expect(queue.size).toBe(10)
})

test('an event that has happened is cancelled without effect', () => {
  const queue = new EventQueue()
  const first = event()
  queue.add(first, 1)
  queue.add(event(), 2)
  expect(queue.next()).toBe(first)
  queue.cancel(first)
  expect(queue.size).toBe(1)
})

test('time goes in ticks and never back', () => {
  const queue = new EventQueue()
  queue.add(event(), 0.1)
  expect(queue.peekMs()).toBe(toTick(0.1))
  expect(toTick(0.1)).toBeGreaterThanOrEqual(0.1)
  expect((toTick(0.1) / TICK_MS) % 1).toBe(0)
  queue.next()
  queue.skipTo(10)
  queue.skipTo(5)
  queue.add(event(), 1)
  expect(queue.peekMs()).toBe(10)
})

test.each([Number.NaN, Number.POSITIVE_INFINITY])('an event at %s is refused', (atMs) => {
  expect(() => new EventQueue().add(event(), atMs)).toThrow(RangeError)
})
