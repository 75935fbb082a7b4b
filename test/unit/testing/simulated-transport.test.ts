import { expect, test } from 'vitest'
import { DhtError } from '../../../src/errors.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { transportConformance } from '../../../src/testing/transport-conformance.js'

function pair(options = {}) {
  const simulator = new Simulator({ seed: 1, latency: fixedLatency(10), ...options })
  return { simulator, a: simulator.host(), b: simulator.host() }
}

for (const seed of [1, 2]) {
  const simulator = new Simulator({ seed, lossRate: seed === 1 ? 0 : 0.1 })
  const rules = transportConformance({
    create: () => simulator.host().transport,
    createAt: (address) => simulator.host({ address }).transport,
    sibling: (address) => address.replace(/\d+$/, '9999'),
    turn: () => simulator.advance(20),
    quietTurns: 50,
  })
  for (const { name, run } of rules) test(`conformance, seed ${seed}: ${name}`, run)
}

test('hosts have public addresses, each in a /24 of its own', () => {
  const simulator = new Simulator({ seed: 1 })
  simulator.host({ address: '41.0.1.7:7400' })
  const hosts = Array.from({ length: 600 }, () => simulator.host())
  const described = hosts.map(({ transport, address }) => transport.describe(address))
  expect(hosts[0]?.address).toBe('41.0.0.7:7400')
  expect(hosts[1]?.address).toBe('41.0.2.7:7400')
  expect(new Set(described.map(({ group }) => group.join())).size).toBe(600)
  expect(new Set(described.map(({ scope }) => scope))).toEqual(new Set(['public']))
})

test('a chosen address gets its one spelling, and a datagram finds it under any', async () => {
  const { simulator, a } = pair()
  const host = simulator.host({ address: '[2001:DB8:0::1]:7400' })
  expect(host.address).toBe('[2001:db8::1]:7400')
  const received: unknown[] = []
  await host.transport.start((from, bytes) => received.push([from, [...bytes]]))
  await a.transport.start(() => {})
  a.transport.send('[2001:0db8::0001]:7400', Uint8Array.of(7))
  await simulator.advance(10)
  expect(received).toEqual([[a.address, [7]]])
  expect(host.transport.encodeAddress(host.address).length).toBe(19)
  expect(a.transport.encodeAddress(a.address)).toEqual(Uint8Array.of(4, 41, 0, 0, 7, 7400 >> 8, 7400 & 0xff))
})

test.each(['junk', '1.2.3.4', '0.0.0.0:1', '255.255.255.255:1', 'example.org:1', '1.2.3.4:0'])(
  'no host can be at %s',
  (address) => {
    expect(() => new Simulator({ seed: 1 }).host({ address })).toThrow(TypeError)
  },
)

test('a handler gets a copy of its own, which is overwritten when it returned', async () => {
  for (const poison of [true, false]) {
    const { simulator, a, b } = pair({ duplicateRate: 1, poison })
    const kept: Uint8Array[] = []
    const copied: number[][] = []
    await b.transport.start((_from, bytes) => {
      kept.push(bytes)
      copied.push([...bytes])
    })
    await a.transport.start(() => {})
    const sent = Uint8Array.of(1, 2, 3)
    a.transport.send(b.address, sent)
    sent.fill(9)
    await simulator.advance(10)
    expect(copied).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    expect(kept[0]?.buffer).not.toBe(kept[1]?.buffer)
    expect(kept.map((bytes) => [...bytes])).toEqual(
      poison
        ? [
            [0xc1, 0xc1, 0xc1],
            [0xc1, 0xc1, 0xc1],
          ]
        : copied,
    )
  }
})

test('what a handler received can be sent on', async () => {
  const { simulator, a, b } = pair()
  const echoed: number[][] = []
  await b.transport.start((from, bytes) => b.transport.send(from, bytes))
  await a.transport.start((_from, bytes) => echoed.push([...bytes]))
  a.transport.send(b.address, Uint8Array.of(5, 6))
  await simulator.advance(20)
  expect(echoed).toEqual([[5, 6]])
})

test('a datagram that is too long is counted and dropped', async () => {
  const { simulator, a, b } = pair({ maxDatagramBytes: 1200 })
  const lengths: number[] = []
  await b.transport.start((_from, bytes) => lengths.push(bytes.length))
  await a.transport.start(() => {})
  for (const length of [1200, 1201]) a.transport.send(b.address, new Uint8Array(length))
  await simulator.advance(10)
  expect(lengths).toEqual([1200])
  expect(simulator.stats).toMatchObject({ sent: 1, oversized: 1 })
  expect(a.transport.stats?.()).toMatchObject({ datagramsSent: 1, sendErrorTooLong: 1 })
})

test('an address is in use while a transport is open there', async () => {
  const simulator = new Simulator({ seed: 1 })
  const first = simulator.host({ address: '41.9.9.9:1' })
  const second = simulator.host({ address: '41.9.9.9:1' })
  await first.transport.start(() => {})
  await expect(second.transport.start(() => {})).rejects.toMatchObject({ code: 'ERR_ADDRESS_IN_USE' })
  // Closing the one that failed leaves the other open.
  await second.transport.close()
  await expect(simulator.host({ address: '41.9.9.9:1' }).transport.start(() => {})).rejects.toThrow(DhtError)
  await first.transport.close()
  await expect(simulator.host({ address: '41.9.9.9:1' }).transport.start(() => {})).resolves.toBe('41.9.9.9:1')
})

test('a transport opens once', async () => {
  const { a } = pair()
  await a.transport.start(() => {})
  await expect(a.transport.start(() => {})).rejects.toMatchObject({ code: 'ERR_TRANSPORT' })
  await a.transport.close()
  await expect(a.transport.start(() => {})).rejects.toMatchObject({ code: 'ERR_CLOSED' })
})

test('a datagram that arrives after close is not delivered', async () => {
  const { simulator, a, b } = pair()
  await b.transport.start(() => expect.unreachable())
  await a.transport.start(() => {})
  a.transport.send(b.address, Uint8Array.of(1))
  await b.transport.close()
  await simulator.advance(100)
  expect(simulator.stats.unreachable).toBe(1)
})

test('a name resolves, after a while, to its addresses with the port that was asked for', async () => {
  const { simulator, a } = pair()
  simulator.name('Bootstrap.example', ['41.0.0.7', '41.0.1.7:1', '[2001:db8::1]:1', '2001:db8::1'])
  await simulator.run(async () => {
    const found = await a.transport.resolve('bootstrap.EXAMPLE:7400')
    expect(found).toEqual(['41.0.0.7:7400', '41.0.1.7:7400', '[2001:db8::1]:7400'])
    expect(simulator.nowMs).toBe(20)
    expect(await a.transport.resolve('unknown.example:7400')).toEqual([])
    expect(await a.transport.resolve('203.0.113.7:7400')).toEqual(['203.0.113.7:7400'])
    simulator.name('bootstrap.example', [])
    expect(await a.transport.resolve('bootstrap.example:7400')).toEqual([])
  })
  expect(() => simulator.name('bootstrap.example', ['other.example'])).toThrow(TypeError)
})

test.each(['', 'no-port.example', 'a b:1', '1.2.3.4:0', '0.0.0.0:5', '[junk]:1'])(
  '%j does not resolve but is refused',
  async (name) => {
    await expect(pair().a.transport.resolve(name)).rejects.toThrow(TypeError)
  },
)

test('a resolve is aborted at once, with the reason', async () => {
  const { simulator, a } = pair()
  const reason = new Error('enough')
  await simulator.run(async () => {
    const controller = new AbortController()
    simulator.after(5, () => controller.abort(reason))
    await expect(a.transport.resolve('slow.example:1', { signal: controller.signal })).rejects.toBe(reason)
    expect(simulator.nowMs).toBe(5)
  })
})
