import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Simulator, VIRTUAL_EPOCH_MS } from '../../../src/testing/index.js'

test('each clock starts somewhere else and runs at its own rate', async () => {
  const simulator = new Simulator({ seed: 1 })
  const steady = simulator.host()
  const fast = simulator.host({ clockRate: 1.5 })
  const [steadyStart, fastStart] = [steady.clock.now(), fast.clock.now()]
  expect(steadyStart).not.toBe(fastStart)
  await simulator.advance(1000)
  expect(steady.clock.now() - steadyStart).toBe(1000)
  expect(fast.clock.now() - fastStart).toBeCloseTo(1500, 5)
})

test('a timer fires when its own clock shows the time, never before, and hardly after', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 10 }),
      async (clockRate, delaysMs) => {
        const simulator = new Simulator({ seed: 2 })
        const host = simulator.host({ clockRate })
        await simulator.run(
          async () => {
            for (const delayMs of delaysMs) {
              const dueMs = host.clock.now() + delayMs
              await new Promise<void>((resolve) => host.clock.after(delayMs, resolve))
              expect(host.clock.now()).toBeGreaterThanOrEqual(dueMs)
              expect(host.clock.now() - dueMs).toBeLessThan(0.001 * clockRate + 1e-6)
            }
          },
          { limitMs: 1e10 },
        )
      },
    ),
    { numRuns: 50 },
  )
})

test('a timer of 0, of less or of NaN is due at once, in an event of its own; one of Infinity never', async () => {
  const simulator = new Simulator({ seed: 1 })
  const { clock } = simulator.host()
  const fired: number[] = []
  for (const delayMs of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) clock.after(delayMs, () => fired.push(delayMs))
  expect(fired).toEqual([])
  await simulator.advance(0)
  expect(fired).toEqual([0, -5, Number.NaN])
})

test('a cancelled timer does not fire, and cancelling late or twice does nothing', async () => {
  const simulator = new Simulator({ seed: 1 })
  const { clock } = simulator.host()
  const fired: string[] = []
  const cancelFirst = clock.after(10, () => fired.push('first'))
  const cancelSecond = clock.after(10, () => fired.push('second'))
  cancelFirst()
  cancelFirst()
  await simulator.advance(10)
  cancelSecond()
  expect(fired).toEqual(['second'])
})

test('wall clocks differ by their skew', async () => {
  const simulator = new Simulator({ seed: 1 })
  const host = simulator.host()
  const ahead = simulator.host({ wallSkewMs: 86_400_000 })
  await simulator.advance(1000.5)
  expect(host.clock.wallNow()).toBe(VIRTUAL_EPOCH_MS + 1000)
  expect(ahead.clock.wallNow() - host.clock.wallNow()).toBe(86_400_000)
})

test('a wall clock may jump ahead at once; back, it stands until the time comes again', async () => {
  const simulator = new Simulator({ seed: 1 })
  const host = simulator.host()
  const monotonic = host.clock.now()
  host.setWallSkew(5000)
  expect(host.clock.wallNow()).toBe(VIRTUAL_EPOCH_MS + 5000)
  host.setWallSkew(0)
  await simulator.advance(3000)
  expect(host.clock.wallNow()).toBe(VIRTUAL_EPOCH_MS + 5000)
  await simulator.advance(3000)
  expect(host.clock.wallNow()).toBe(VIRTUAL_EPOCH_MS + 6000)
  expect(host.clock.now() - monotonic).toBe(6000)
})

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('a clock can not run at the rate %s', (clockRate) => {
  expect(() => new Simulator({ seed: 1 }).host({ clockRate })).toThrow(RangeError)
})
