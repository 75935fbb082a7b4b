import { describe, expect, test } from 'vitest'
import { sharedPrefixBits } from '../../../src/keyspace/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { createCodec, FIND_NODE } from '../../../src/wire/index.js'
import { RawPeer } from '../rpc/raw-peer.js'
import { addressesOf, behave, nodeOn, openNetwork, openNode, targetOf } from './node-fixture.js'

const NOWHERE = '41.99.0.1:7400'

function simulation(): Simulator {
  const simulator = new Simulator({ seed: 4, latency: fixedLatency(10) })
  // A machine that is off.
  simulator.host({ address: NOWHERE })
  return simulator
}

/** When the node tried to reach an address, resends left out. */
function attemptsAt(simulator: Simulator, node: string, address: string): number[] {
  const times: number[] = []
  simulator.setFilter(({ from, to }) => {
    if (from === node && to === address && simulator.nowMs - (times.at(-1) ?? -1e9) > 1_000) times.push(simulator.nowMs)
    return true
  })
  return times
}

function fromText(bytes: string): Uint8Array {
  return Uint8Array.from(bytes.split(',').map(Number))
}

const BOOTSTRAP_FAILED = { code: 'ERR_BOOTSTRAP_FAILED' }

describe('joining', () => {
  test('without bootstrap addresses a node is the first of a network', async () => {
    const simulator = simulation()
    const host = simulator.host()
    const dht = nodeOn(host)
    expect(await simulator.run(() => dht.start())).toMatchObject({ address: host.address, contacts: 0 })
    expect(dht.stats()).toMatchObject({ isJoined: true, datagramsSent: 0 })
  })

  test('one bootstrap address of several that lives is enough, and those that do not cost no time', async () => {
    const simulator = simulation()
    const first = await openNode(simulator)
    const dht = nodeOn(simulator.host(), { bootstrap: [NOWHERE, '41.99.0.2:7400', first.address, 'unknown.example:1'] })
    const { elapsedMs, contacts } = await simulator.run(() => dht.start())
    expect(contacts).toBe(1)
    expect(elapsedMs).toBeLessThan(200)
  })

  test('a DNS name is a bootstrap address, and all addresses behind it are asked', async () => {
    const simulator = simulation()
    const [a, b] = [await openNode(simulator), await openNode(simulator)]
    simulator.name('bootstrap.example', [NOWHERE, a.address, b.address])
    const { dht } = await openNode(simulator, { bootstrap: ['bootstrap.example:7400'] })
    await simulator.advance(5_000)
    expect(addressesOf(dht)).toEqual(new Set([a.address, b.address]))
  })

  test('its own address among the bootstrap addresses is not asked', async () => {
    const simulator = simulation()
    const first = await openNode(simulator)
    const host = simulator.host()
    const dht = nodeOn(host, { bootstrap: [host.address, first.address] })
    const toItself = attemptsAt(simulator, host.address, host.address)
    await simulator.run(() => dht.start())
    const alone = simulator.host()
    const lonely = nodeOn(alone, { bootstrap: [alone.address] })
    const toAlone = attemptsAt(simulator, alone.address, alone.address)
    await simulator.run(() => expect(lonely.start()).rejects.toMatchObject(BOOTSTRAP_FAILED))
    await simulator.advance(60_000)
    expect([toItself, toAlone]).toEqual([[], []])
  })

  test('looks up the own id first, then at leisure the regions of which it still knows hardly anybody', async () => {
    const simulator = simulation()
    const [first] = await openNetwork(simulator, 40, { k: 3 })
    const targets: string[] = []
    const host = simulator.host()
    simulator.setFilter(({ from, bytes }) => {
      const message = createCodec('xorbit').decode(new Uint8Array(bytes))
      if (from === host.address && message.type === 'request' && message.method === FIND_NODE.code) {
        targets.push(targetOf(message)!.join())
      }
      return true
    })
    const { dht } = await openNode(simulator, { k: 3, bootstrap: [first!.address] }, host)
    const knownIn = (region: number): number =>
      dht.contacts().filter(({ id }) => sharedPrefixBits(dht.id, id) === region).length
    await simulator.advance(2_400)
    expect(new Set(targets)).toEqual(new Set([dht.id.join()]))
    const before = [0, 1, 2].map(knownIn)
    await simulator.advance(60_000)
    const regions = [...new Set(targets)].slice(1).map((target) => sharedPrefixBits(dht.id, fromText(target)))
    expect(regions).toEqual([...regions].sort((a, b) => a - b))
    for (const region of [0, 1, 2]) {
      if (before[region] === 0) expect(regions).toContain(region)
      else expect(regions).not.toContain(region)
      expect(knownIn(region)).toBeGreaterThan(0)
    }
    expect(before).toContain(0)
  })

  test('a bootstrap node that knows nobody and answers first does not keep us from the others', async () => {
    for (const lateMs of [0, 200]) {
      const simulator = simulation()
      const nodes = await openNetwork(simulator, 12)
      const empty = behave(await RawPeer.on(simulator.host()))
      const relay = nodes[0]!.address
      const host = simulator.host()
      if (lateMs > 0) {
        // The first answer of the other gets lost.
        const untilMs = simulator.nowMs + lateMs
        simulator.setFilter(({ from, to }) => from !== relay || to !== host.address || simulator.nowMs > untilMs)
      }
      const { dht } = await openNode(simulator, { bootstrap: [empty.address, relay] }, host)
      await simulator.advance(5_000)
      expect(dht.contacts()).toHaveLength(13)
    }
  })

  test('two nodes that have each other as bootstrap find each other, whoever starts first', async () => {
    for (const pauseMs of [0, 5, 500, 5_000]) {
      const simulator = simulation()
      const [a, b] = [simulator.host(), simulator.host()]
      const first = nodeOn(a, { bootstrap: [b.address] })
      const second = nodeOn(b, { bootstrap: [a.address] })
      await simulator.run(async () => {
        const started = first.start().catch(() => {})
        await simulator.delay(pauseMs)
        await second.start()
        await started
      })
      await simulator.advance(10_000)
      expect(first.contacts()).toEqual([{ id: second.id, address: b.address }])
      expect(second.contacts()).toEqual([{ id: first.id, address: a.address }])
      expect([first.stats().isJoined, second.stats().isJoined]).toEqual([true, true])
    }
  })
})

describe('a bootstrap node that does not answer', () => {
  test('is told after the call, and the node stays open and has no contacts', async () => {
    const simulator = simulation()
    const dht = nodeOn(simulator.host(), { bootstrap: [NOWHERE] })
    const failures: unknown[] = []
    dht.on('bootstrapFailed', (error) => failures.push(error))
    await simulator.run(() => expect(dht.start()).rejects.toMatchObject(BOOTSTRAP_FAILED))
    expect(simulator.nowMs).toBeLessThan(2_100)
    expect(failures).toMatchObject([BOOTSTRAP_FAILED])
    await simulator.run(() => expect(dht.get(dht.id)).rejects.toMatchObject({ code: 'ERR_NO_CONTACTS' }))
  })

  test('is asked again with growing pauses, up to a minute, and for ever', async () => {
    const simulator = simulation()
    const host = simulator.host()
    const dht = nodeOn(host, { bootstrap: [NOWHERE] })
    const times = attemptsAt(simulator, host.address, NOWHERE)
    await simulator.run(() => dht.start().catch(() => {}))
    await simulator.advance(24 * 3_600_000)
    // From the end of one attempt, 2 s after its begin, to the next.
    const pauses = times.slice(1).map((time, i) => time - (times[i] as number) - 2_000)
    pauses.forEach((pauseMs, i) => {
      const full = Math.min(60_000, 1_000 * 2 ** i)
      expect(pauseMs).toBeGreaterThanOrEqual(full / 2 - 1)
      expect(pauseMs).toBeLessThanOrEqual(full + 1)
    })
    expect(24 * 3_600_000 - (times.at(-1) as number)).toBeLessThan(63_000)
    expect(new Set(pauses.slice(10).map(Math.round)).size).toBeGreaterThan(50)
  })

  test('is not asked again by nodes at the same moment', async () => {
    const simulator = simulation()
    const hosts = Array.from({ length: 20 }, () => simulator.host())
    const second: number[] = []
    const count = new Map<string, number>()
    simulator.setFilter(({ from }) => {
      const sent = (count.get(from) ?? 0) + 1
      count.set(from, sent)
      // The first attempt is two datagrams.
      if (sent === 3) second.push(Math.round(simulator.nowMs))
      return true
    })
    const all = hosts.map((host) => nodeOn(host, { bootstrap: [NOWHERE] }))
    await simulator.run(() => Promise.all(all.map((dht) => dht.start().catch(() => {}))))
    await simulator.advance(3_000)
    expect(second).toHaveLength(20)
    expect(new Set(second).size).toBeGreaterThan(10)
  })

  test('is joined through as soon as it comes up', async () => {
    const simulator = simulation()
    const late = simulator.host()
    const dht = nodeOn(simulator.host(), { bootstrap: [late.address] })
    const joined: unknown[] = []
    dht.on('joined', (found) => joined.push(found))
    await simulator.run(() => dht.start().catch(() => {}))
    await simulator.advance(600_000)
    expect(dht.stats().isJoined).toBe(false)
    await openNode(simulator, {}, late)
    await simulator.advance(63_000)
    expect(joined).toMatchObject([{ contacts: 1 }])
    expect(dht.stats().isJoined).toBe(true)
  })

  test('is no obstacle once another node has found us: we join through that one', async () => {
    const simulator = simulation()
    const host = simulator.host()
    const dht = nodeOn(host, { bootstrap: [NOWHERE] })
    await simulator.run(() => dht.start().catch(() => {}))
    await simulator.advance(300_000)
    const others = await openNetwork(simulator, 5)
    expect(dht.stats().isJoined).toBe(false)
    const finder = await openNode(simulator, { bootstrap: [host.address, others[0]!.address] })
    await simulator.advance(5_000)
    expect(dht.stats().isJoined).toBe(true)
    expect(addressesOf(dht)).toEqual(new Set([...others, finder].map((node) => node.address)))
  })

  test('is asked no more once the node is closed', async () => {
    const simulator = simulation()
    const host = simulator.host()
    const dht = nodeOn(host, { bootstrap: [NOWHERE, 'slow.example:1'] })
    await simulator.run(() => dht.start().catch(() => {}))
    await simulator.run(() => dht.close())
    const { sent } = simulator.stats
    await simulator.advance(600_000)
    expect(simulator.stats.sent).toBe(sent)
  })
})
