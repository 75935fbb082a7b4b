import { expect, test } from 'vitest'
import type { SimulatedHost, SimulatorOptions } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'

const SENT = 10_000

interface Arrival {
  readonly number: number
  readonly atMs: number
}

async function listen(host: SimulatedHost, simulator: Simulator): Promise<Arrival[]> {
  const arrivals: Arrival[] = []
  await host.transport.start((_from, bytes) => {
    arrivals.push({ number: new DataView(bytes.buffer).getUint32(0), atMs: simulator.nowMs })
  })
  return arrivals
}

function numbered(number: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

/** Sends many datagrams, one each millisecond, under the faults. */
async function sendMany(options: Partial<SimulatorOptions>): Promise<{ simulator: Simulator; arrivals: Arrival[] }> {
  const simulator = new Simulator({ seed: 'many', latency: fixedLatency(50), ...options })
  const [sender, receiver] = [simulator.host(), simulator.host()]
  await sender.transport.start(() => {})
  const arrivals = await listen(receiver, simulator)
  for (let i = 0; i < SENT; i++) simulator.after(i, () => sender.transport.send(receiver.address, numbered(i)))
  await simulator.advance(SENT + 10_000)
  const { stats } = simulator
  expect(stats.sent).toBe(SENT)
  expect(stats.delivered).toBe(arrivals.length)
  expect(stats.sent + stats.duplicated).toBe(
    stats.delivered + stats.lost + stats.partitioned + stats.filtered + stats.unreachable,
  )
  return { simulator, arrivals }
}

test('without faults every datagram arrives once, in order, after its latency', async () => {
  const { simulator, arrivals } = await sendMany({})
  expect(arrivals).toEqual(Array.from({ length: SENT }, (_, number) => ({ number, atMs: number + 50 })))
  expect(simulator.stats.bytesSent).toBe(4 * SENT)
})

test('datagrams are lost at the rate that was asked for', async () => {
  const { simulator, arrivals } = await sendMany({ lossRate: 0.2 })
  expect(Math.abs(simulator.stats.lost - 0.2 * SENT)).toBeLessThan(0.02 * SENT)
  expect(arrivals.length).toBe(SENT - simulator.stats.lost)
})

test('all are lost at a rate of 1', async () => {
  expect((await sendMany({ lossRate: 1 })).arrivals).toEqual([])
})

test('datagrams are doubled at the rate that was asked for', async () => {
  const { simulator, arrivals } = await sendMany({ duplicateRate: 0.1 })
  expect(Math.abs(simulator.stats.duplicated - 0.1 * SENT)).toBeLessThan(0.015 * SENT)
  expect(arrivals.length).toBe(SENT + simulator.stats.duplicated)
  expect(new Set(arrivals.map(({ number }) => number)).size).toBe(SENT)
})

test('datagrams are held back at the rate that was asked for, and overtaken', async () => {
  const { simulator, arrivals } = await sendMany({ reorderRate: 0.1, reorderMs: 100 })
  expect(Math.abs(simulator.stats.reordered - 0.1 * SENT)).toBeLessThan(0.015 * SENT)
  const late = arrivals.filter(({ number, atMs }) => atMs > number + 50)
  expect(late.length).toBe(simulator.stats.reordered)
  expect(Math.max(...late.map(({ number, atMs }) => atMs - number - 50))).toBeLessThanOrEqual(100)
  expect(arrivals.some(({ number }, i) => i > 0 && number < (arrivals[i - 1] as Arrival).number)).toBe(true)
})

test('jitter delays each datagram by up to its bound, evenly', async () => {
  const { arrivals } = await sendMany({ jitterMs: 8 })
  const jitters = arrivals.map(({ number, atMs }) => atMs - number - 50)
  expect(Math.min(...jitters)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...jitters)).toBeLessThanOrEqual(8)
  expect(Math.abs(jitters.reduce((sum, jitter) => sum + jitter, 0) / SENT - 4)).toBeLessThan(0.2)
})

test('faults can be changed on the way', async () => {
  const simulator = new Simulator({ seed: 1, duplicateRate: 0.5 })
  simulator.setFaults({ lossRate: 1 })
  expect(simulator.faults).toMatchObject({ lossRate: 1, duplicateRate: 0.5, jitterMs: 0 })
  expect(() => simulator.setFaults({ lossRate: 2 })).toThrow(RangeError)
})

/** Three listening hosts, 50 ms apart. */
async function three() {
  const simulator = new Simulator({ seed: 1, latency: fixedLatency(50) })
  const hosts = [simulator.host(), simulator.host(), simulator.host()] as const
  const arrivals = await Promise.all(hosts.map((host) => listen(host, simulator)))
  /** Lets everybody send to everybody else; who received from whom shows in the counts. */
  const round = async () => {
    for (const list of arrivals) list.length = 0
    for (const [number, from] of hosts.entries()) {
      for (const to of hosts) if (to !== from) from.transport.send(to.address, numbered(number))
    }
    await simulator.advance(1000)
    return arrivals.map((list) => list.map(({ number }) => number).sort())
  }
  return { simulator, hosts, arrivals, round }
}

test('a partition stops what crosses it, until it is healed; unnamed hosts are one side', async () => {
  const { simulator, hosts, round } = await three()
  expect(await round()).toEqual([
    [1, 2],
    [0, 2],
    [0, 1],
  ])
  simulator.partition([[hosts[0]]])
  expect(await round()).toEqual([[], [2], [1]])
  expect(simulator.stats.partitioned).toBe(4)
  simulator.partition([[hosts[0], hosts[1]], [hosts[2]]])
  expect(await round()).toEqual([[1], [0], []])
  simulator.heal()
  expect(await round()).toEqual([
    [1, 2],
    [0, 2],
    [0, 1],
  ])
  expect(() => simulator.partition([[hosts[0]], [hosts[0]]])).toThrow(TypeError)
})

test('a partition takes what is on its way', async () => {
  const { simulator, hosts, arrivals } = await three()
  hosts[0].transport.send(hosts[1].address, numbered(9))
  await simulator.advance(20)
  simulator.partition([[hosts[0]]])
  await simulator.advance(100)
  expect(arrivals[1]).toEqual([])
  expect(simulator.stats.partitioned).toBe(1)
})

test('a filter sees every datagram and drops those that it refuses', async () => {
  const { simulator, hosts, round } = await three()
  const seen: string[] = []
  simulator.setFilter(({ from, to, bytes }) => {
    seen.push(`${from} ${to} ${bytes.length}`)
    return to !== hosts[0].address
  })
  expect(await round()).toEqual([[], [0, 2], [0, 1]])
  expect(seen).toContain(`${hosts[1].address} ${hosts[2].address} 4`)
  expect(simulator.stats.filtered).toBe(2)
  simulator.setFilter(undefined)
  expect(await round()).toEqual([
    [1, 2],
    [0, 2],
    [0, 1],
  ])
})

test('a killed host is silent: no timer, no datagram to it or from it, and nobody is told', async () => {
  const { simulator, hosts, arrivals } = await three()
  const [victim, other] = hosts
  const fired: string[] = []
  victim.clock.after(100, () => fired.push('timer'))
  other.clock.after(100, () => fired.push('other'))
  victim.transport.send(other.address, numbered(1))
  other.transport.send(victim.address, numbered(2))
  victim.kill()
  victim.transport.send(other.address, numbered(3))
  victim.clock.after(1, () => fired.push('after death'))
  let isSettled = false
  const settle = () => {
    isSettled = true
  }
  victim.transport.start(() => {}).then(settle, settle)
  victim.transport.resolve('example.org:1').then(settle, settle)
  await simulator.advance(1000)
  expect(victim.isAlive).toBe(false)
  expect(fired).toEqual(['other'])
  expect(arrivals[0]).toEqual([])
  // What it sent while it lived is the network's.
  expect(arrivals[1]?.map(({ number }) => number)).toEqual([1])
  expect(simulator.stats.unreachable).toBe(1)
  expect(isSettled).toBe(false)
  await victim.transport.close()
})

test('a machine that starts again has its address, its place and its side, but other random numbers', async () => {
  const simulator = new Simulator({ seed: 1 })
  const [old, other] = [simulator.host(), simulator.host()]
  const oldArrivals = await listen(old, simulator)
  await other.transport.start(() => {})
  other.transport.send(old.address, numbered(1))
  await simulator.advance(2000)
  simulator.partition([[old], [other]])
  old.kill()
  const renewed = simulator.host({ address: old.address })
  const arrivals = await listen(renewed, simulator)
  other.transport.send(old.address, numbered(2))
  await simulator.advance(2000)
  expect(arrivals).toEqual([])
  simulator.heal()
  other.transport.send(old.address, numbered(3))
  await simulator.advance(2000)
  expect(arrivals).toEqual([{ number: 3, atMs: 4000 + (oldArrivals[0] as Arrival).atMs }])
  expect(renewed.randomBytes(8)).not.toEqual(old.randomBytes(8))
})
