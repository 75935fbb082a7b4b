import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/platform/clock.js'
import type { Deadline } from '../../../src/rpc/deadlines.js'
import { Deadlines } from '../../../src/rpc/deadlines.js'
import { Simulator } from '../../../src/testing/index.js'

interface Waiting extends Deadline {
  readonly name: string
}

function waiting(name: string): Waiting {
  return { name, dueMs: 0, order: 0, place: -1 }
}

/** Deadlines on virtual time; what was due is kept with its time, and so is how many timers were set. */
function open(onDue: (due: Waiting) => void = () => {}) {
  const simulator = new Simulator({ seed: 1 })
  const { clock } = simulator.host()
  const startMs = clock.now()
  const log: string[] = []
  const timers = { set: 0, cancelled: 0 }
  const counting: Clock = {
    ...{ now: () => clock.now(), wallNow: () => clock.wallNow() },
    after(delayMs, callback) {
      timers.set++
      const cancel = clock.after(delayMs, callback)
      return () => {
        timers.cancelled++
        cancel()
      }
    },
  }
  const deadlines: Deadlines<Waiting> = new Deadlines(counting, (due) => {
    log.push(`${Math.round(clock.now() - startMs)} ${due.name}`)
    onDue(due)
  })
  const set = (each: Waiting, delayMs: number): Waiting => {
    deadlines.set(each, clock.now(), delayMs)
    return each
  }
  return { simulator, deadlines, set, log, timers }
}

describe('order', () => {
  test('each is due at its time, whatever the order in which they were set', async () => {
    const { simulator, set, log, deadlines } = open()
    for (const delayMs of [70, 20, 50, 90, 10]) set(waiting(`after ${delayMs}`), delayMs)
    await simulator.advance(100)
    expect(log).toEqual(['10 after 10', '20 after 20', '50 after 50', '70 after 70', '90 after 90'])
    expect(deadlines.size).toBe(0)
  })

  test('equal ones are due in the order in which they were set', async () => {
    const { simulator, set, log } = open()
    const names = [...'abcdefghij']
    for (const name of names) set(waiting(name), 30)
    await simulator.advance(100)
    expect(log).toEqual(names.map((name) => `30 ${name}`))
  })

  test('setting one again moves it', async () => {
    const { simulator, set, log } = open()
    const moved = set(waiting('moved'), 10)
    set(waiting('other'), 20)
    set(moved, 30)
    await simulator.advance(100)
    expect(log).toEqual(['20 other', '30 moved'])
  })

  test('it does what a sorted list would, whatever is set and cancelled', async () => {
    const step = fc.record({ cancels: fc.boolean(), which: fc.nat(9), delayMs: fc.nat(40), pauseMs: fc.nat(15) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { simulator, deadlines, log, set } = open()
        const all = Array.from({ length: 10 }, (_, i) => waiting(String(i)))
        let model: { name: string; dueMs: number }[] = []
        const expected: string[] = []
        let nowMs = 0
        const pass = async (ms: number): Promise<void> => {
          nowMs += ms
          model.sort((a, b) => a.dueMs - b.dueMs)
          const due = model.filter(({ dueMs }) => dueMs <= nowMs)
          model = model.filter(({ dueMs }) => dueMs > nowMs)
          expected.push(...due.map(({ name, dueMs }) => `${dueMs} ${name}`))
          await simulator.advance(ms)
        }
        for (const { cancels, which, delayMs, pauseMs } of steps) {
          const each = all[which]!
          model = model.filter(({ name }) => name !== each.name)
          if (cancels) deadlines.cancel(each)
          else {
            set(each, delayMs + 1)
            model.push({ name: each.name, dueMs: nowMs + delayMs + 1 })
          }
          expect(deadlines.size).toBe(model.length)
          await pass(pauseMs)
          expect(log).toEqual(expected)
        }
        await pass(100)
        expect(log).toEqual(expected)
      }),
      { numRuns: 200 },
    )
  })
})

describe('one timer', () => {
  test('serves all', async () => {
    const { simulator, set, timers } = open()
    for (let i = 0; i < 100; i++) set(waiting('w'), 50)
    expect(timers).toEqual({ set: 1, cancelled: 0 })
    await simulator.advance(100)
    expect(timers).toEqual({ set: 1, cancelled: 0 })
  })

  test('is set anew for a sooner one, and goes on to the first that is left when its own was called off', async () => {
    const { simulator, set, deadlines, log, timers } = open()
    set(waiting('late'), 90)
    const sooner = set(waiting('sooner'), 20)
    expect(timers).toEqual({ set: 2, cancelled: 1 })
    deadlines.cancel(sooner)
    expect(timers).toEqual({ set: 2, cancelled: 1 })
    await simulator.advance(100)
    expect(log).toEqual(['90 late'])
    expect(timers).toEqual({ set: 3, cancelled: 1 })
  })

  test('is called off when all are', async () => {
    const { simulator, set, deadlines, log, timers } = open()
    const first = set(waiting('first'), 10)
    set(waiting('second'), 20)
    deadlines.clear()
    expect([deadlines.size, timers.cancelled]).toEqual([0, 1])
    deadlines.cancel(first)
    await simulator.advance(100)
    expect(log).toEqual([])
    set(first, 10)
    await simulator.advance(100)
    expect(log).toEqual(['110 first'])
  })
})

describe('whoever is told', () => {
  test('may call others off that are due at the same moment', async () => {
    const others = [...'bcd'].map(waiting)
    const opened = open(({ name }) => {
      if (name === 'a') for (const other of others) if (other.name !== 'c') opened.deadlines.cancel(other)
    })
    opened.set(waiting('a'), 10)
    for (const other of others) opened.set(other, 10)
    await opened.simulator.advance(100)
    expect(opened.log).toEqual(['10 a', '10 c'])
  })

  test('may set itself and others, sooner or later than the rest', async () => {
    const opened = open((due) => {
      if (due.name === 'a' && opened.log.length === 1) {
        opened.set(due, 5)
        opened.set(waiting('at once'), 0)
        opened.set(waiting('soon'), 3)
      }
    })
    opened.set(waiting('a'), 10)
    opened.set(waiting('rest'), 20)
    await opened.simulator.advance(100)
    expect(opened.log).toEqual(['10 a', '10 at once', '13 soon', '15 a', '20 rest'])
  })

  test('loses nobody else when it throws', async () => {
    const callbacks: (() => void)[] = []
    const told: string[] = []
    let nowMs = 0
    const manual: Clock = {
      ...{ now: () => nowMs, wallNow: () => nowMs },
      after(_delayMs, callback) {
        callbacks.push(callback)
        return () => {}
      },
    }
    const deadlines = new Deadlines<Waiting>(manual, ({ name }) => {
      told.push(name)
      if (name === 'faulty') throw new Error('a fault')
    })
    deadlines.set(waiting('faulty'), nowMs, 10)
    deadlines.set(waiting('next'), nowMs, 10)
    nowMs += 10
    expect(() => callbacks.pop()?.()).toThrow('a fault')
    callbacks.pop()?.()
    expect(told).toEqual(['faulty', 'next'])
  })
})
