import { afterEach, expect, test, vi } from 'vitest'
import { DhtError } from '../../../src/errors.js'
import type { SimulatedHostOptions, SimulatorOptions } from '../../../src/testing/index.js'
import { fixedLatency, SimulationError, Simulator } from '../../../src/testing/index.js'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
})

/** Twenty hosts that pass random datagrams on for a virtual minute. */
async function chatter(options: SimulatorOptions, meddle?: (simulator: Simulator) => void): Promise<Simulator> {
  const simulator = new Simulator({
    lossRate: 0.1,
    duplicateRate: 0.05,
    reorderRate: 0.1,
    reorderMs: 300,
    jitterMs: 9,
    ...options,
  })
  const hosts = Array.from({ length: 20 }, (_, i) => simulator.host({ clockRate: i % 2 ? 1 : 1.01 }))
  await simulator.run(async () => {
    for (const { transport, random, clock } of hosts) {
      await transport.start((from, { length }) => {
        if (random.chance(0.5)) clock.after(random.float() * 100, () => transport.send(from, random.bytes(length)))
      })
      const beat = () => {
        transport.send(random.pick(hosts).address, random.bytes(random.int(100)))
        clock.after(1000 * random.float(), beat)
      }
      beat()
    }
    meddle?.(simulator)
    await simulator.delay(60_000)
  })
  return simulator
}

test('one seed gives one trace, another seed another', async () => {
  const first = await chatter({ seed: 'a' })
  const second = await chatter({ seed: 'a' })
  expect(second.digest()).toBe(first.digest())
  expect(second.stats).toEqual(first.stats)
  expect(second.events).toBe(first.events)
  expect((await chatter({ seed: 'b' })).digest()).not.toBe(first.digest())
})

test('the trace of a seed is the same on every engine', async () => {
  expect((await chatter({ seed: 'every engine' })).digest()).toBe(
    '89ae0f1ce2f02b2acd587b03c49702836204722bc7038742c271d4ead21ac0b0',
  )
})

test('a trace shows a single other byte', async () => {
  const digests = new Set<string>()
  for (const byte of [1, 2]) {
    const simulator = await chatter({ seed: 'a' })
    const { transport } = simulator.host()
    await transport.start(() => {})
    transport.send('9.9.9.9:9', Uint8Array.of(byte))
    digests.add(simulator.digest())
  }
  expect(digests.size).toBe(2)
})

test('a digest can be had at any time and changes nothing', async () => {
  const asked = await chatter({ seed: 'a' }, (simulator) => {
    for (let i = 1; i < 60; i++) simulator.after(1000 * i, () => void simulator.digest())
  })
  expect(asked.digest()).toBe((await chatter({ seed: 'a' })).digest())
})

test('without a trace there is no digest, and nothing else differs', async () => {
  const untraced = await chatter({ seed: 'a', trace: false })
  expect(() => untraced.digest()).toThrow('without a trace')
  expect(untraced.stats).toEqual((await chatter({ seed: 'a' })).stats)
})

test('a host draws the same numbers whatever the others draw', () => {
  const quiet = new Simulator({ seed: 1 })
  const busy = new Simulator({ seed: 1 })
  quiet.host()
  busy.host().randomBytes(1000)
  busy.random.bytes(1000)
  expect(busy.host().randomBytes(32)).toEqual(quiet.host().randomBytes(32))
})

test('run drives time until its work settled, and returns its value', async () => {
  const simulator = new Simulator({ seed: 1 })
  simulator.after(5000, () => expect.unreachable())
  const value = await simulator.run(async () => {
    await simulator.delay(1500)
    return 'value'
  })
  expect(value).toBe('value')
  expect(simulator.nowMs).toBe(1500)
  expect(await simulator.run(() => 7)).toBe(7)
})

test('advance runs what is due until then, and no more', async () => {
  const simulator = new Simulator({ seed: 1 })
  const fired: number[] = []
  for (const atMs of [10, 20, 20.5, 21]) simulator.after(atMs, () => fired.push(atMs))
  await simulator.advance(20.5)
  expect(fired).toEqual([10, 20, 20.5])
  expect(simulator.nowMs).toBe(20.5)
  expect(() => simulator.advance(-1)).toThrow(RangeError)
})

test('whatever awaits an event runs before the next one, through any number of promises', async () => {
  const simulator = new Simulator({ seed: 1 })
  const log: string[] = []
  const deep = async (depth: number): Promise<void> => {
    if (depth > 0) await deep(depth - 1)
    await Promise.all([undefined, new Promise<void>((resolve) => queueMicrotask(resolve))])
  }
  for (let i = 0; i < 100; i++) {
    simulator.after(1, () => {
      log.push(`event ${i}`)
      void deep(20).then(() => log.push(`after ${i}`))
    })
  }
  await simulator.run(() => simulator.delay(2))
  expect(log).toEqual(Array.from({ length: 100 }, (_, i) => [`event ${i}`, `after ${i}`]).flat())
})

test('without setImmediate it takes turns by messages', async () => {
  vi.stubGlobal('setImmediate', undefined)
  vi.resetModules()
  const { Simulator: Fresh } = await import('../../../src/testing/index.js')
  const simulator = new Fresh({ seed: 1 })
  const log: number[] = []
  for (let i = 0; i < 100; i++) {
    simulator.after(1, () => {
      log.push(i)
      void Promise.resolve()
        .then(() => undefined)
        .then(() => log.push(i))
    })
  }
  await simulator.run(() => simulator.delay(2))
  expect(log).toEqual(Array.from({ length: 100 }, (_, i) => [i, i]).flat())
})

test('what the work rejects with passes through, and tells seed and time', async () => {
  const simulator = new Simulator({ seed: 'reproduce me' })
  const failure = new DhtError('ERR_TIMEOUT', 'too slow')
  const work = simulator.run(async () => {
    await simulator.delay(10)
    throw failure
  })
  await expect(work).rejects.toBe(failure)
  expect(failure).toMatchObject({ simulation: { seed: 'reproduce me', atMs: 10, events: 1 } })
  await expect(simulator.run(() => Promise.reject('no error'))).rejects.toBe('no error')
  await expect(
    simulator.run(() => {
      throw new TypeError('at once')
    }),
  ).rejects.toThrow(TypeError)
})

test('what a callback throws rejects the run, with seed and cause, and the simulation can go on', async () => {
  const simulator = new Simulator({ seed: 'reproduce me' })
  const cause = new TypeError('broken')
  const fail = () => {
    throw cause
  }
  simulator.after(5, fail)
  const error = await simulator.run(() => simulator.delay(10)).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SimulationError)
  expect(error).toMatchObject({ reason: 'callback', seed: 'reproduce me', atMs: 5, events: 1, cause })
  expect(String(error)).toContain("a callback threw: broken (seed 'reproduce me', 5 virtual ms, 1 events)")
  simulator.after(1, fail)
  await expect(simulator.advance(10)).rejects.toThrow(SimulationError)
  await simulator.advance(10)
})

test('a deadlock is reported', async () => {
  const simulator = new Simulator({ seed: 'reproduce me' })
  const work = simulator.run(async () => {
    await simulator.delay(3)
    await new Promise(() => {})
  })
  await expect(work).rejects.toMatchObject({ reason: 'deadlock', seed: 'reproduce me', atMs: 3, events: 1 })
})

test('a run that takes too much virtual time is stopped', async () => {
  const simulator = new Simulator({ seed: 1 })
  const work = simulator.run(() => simulator.delay(1001), { limitMs: 1000 })
  await expect(work).rejects.toMatchObject({ reason: 'limit', atMs: 1000 })
  await expect(simulator.run(() => simulator.delay(1000), { limitMs: 1000 })).resolves.toBeUndefined()
  await expect(simulator.run(() => simulator.delay(3_600_001))).rejects.toMatchObject({ reason: 'limit' })
})

test('time that stands still is reported', async () => {
  const simulator = new Simulator({ seed: 1 })
  const again = (): void => void simulator.after(0, again)
  again()
  await expect(simulator.run(() => simulator.delay(1))).rejects.toMatchObject({ reason: 'livelock' })
})

test('only one at a time may drive', async () => {
  const simulator = new Simulator({ seed: 1 })
  const nested = simulator.run(() => simulator.run(() => 1))
  await expect(nested).rejects.toThrow('driven already')
  await expect(simulator.run(() => simulator.advance(1))).rejects.toThrow('driven already')
  const first = simulator.run(() => simulator.delay(1))
  await expect(simulator.run(() => 1)).rejects.toThrow('driven already')
  await first
})

test.each([
  { lossRate: 1.1 },
  { duplicateRate: -0.1 },
  { reorderRate: Number.NaN },
  { jitterMs: -1 },
  { maxDatagramBytes: 1199 },
  { resolveMs: -1 },
])('the options %o are refused', (options) => {
  expect(() => new Simulator({ seed: 1, latency: fixedLatency(1), ...options })).toThrow(RangeError)
})

test('a simulator without options or without a seed is a TypeError', () => {
  const create = Simulator as unknown as new (options?: unknown) => Simulator
  expect(() => new create()).toThrow(new TypeError('Simulator takes an object of options'))
  expect(() => new create(7)).toThrow(new TypeError('Simulator takes an object of options'))
  expect(() => new create(null)).toThrow(new TypeError('Simulator takes an object of options'))
  expect(() => new create({})).toThrow(new TypeError('seed must be a string or a number'))
})

test('an option that does not exist is a TypeError with its name', () => {
  const options = { seed: 1, lossrate: 0.1 } as SimulatorOptions
  expect(() => new Simulator(options)).toThrow(new TypeError('Simulator has no option lossrate'))
  const simulator = new Simulator({ seed: 1 })
  const hostOptions = { adress: '41.9.9.9:1' } as SimulatedHostOptions
  expect(() => simulator.host(hostOptions)).toThrow(new TypeError('host has no option adress'))
  expect(() => simulator.host(7 as SimulatedHostOptions)).toThrow(new TypeError('host takes an object of options'))
  expect(simulator.host().address).toBe('41.0.0.7:7400')
})

test('an option that is undefined is not given', async () => {
  const none: Required<Omit<SimulatorOptions, 'seed'>> = {
    latency: undefined,
    trace: undefined,
    poison: undefined,
    maxDatagramBytes: undefined,
    resolveMs: undefined,
    jitterMs: undefined,
    lossRate: undefined,
    duplicateRate: undefined,
    reorderRate: undefined,
    reorderMs: undefined,
  }
  const noneOfHost: Required<SimulatedHostOptions> = { address: undefined, wallSkewMs: undefined, clockRate: undefined }
  const [given, plain] = [new Simulator({ seed: 1, ...none }), new Simulator({ seed: 1 })]
  expect(given.faults).toEqual(plain.faults)
  const [host, plainHost] = [given.host(noneOfHost), plain.host()]
  expect(host.address).toBe(plainHost.address)
  expect(host.clock.now()).toBe(plainHost.clock.now())
  expect(given.digest()).toBe(plain.digest())
})
