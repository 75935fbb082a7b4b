import { describe, expect, test } from 'vitest'
import { idInRegion } from '../../../src/keyspace/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { FIND_NODE, Flag, PING } from '../../../src/wire/index.js'
import { exchange, RawPeer } from '../rpc/raw-peer.js'
import { addressesOf, befriend, behave, openNode } from './node-fixture.js'

async function setUp(k = 3) {
  const simulator = new Simulator({ seed: 2, latency: fixedLatency(10) })
  return { simulator, ...(await openNode(simulator, { k, refreshIntervalMs: 86_400_000 })) }
}

describe('who asks', () => {
  test('is asked back, and is in the table once it answered', async () => {
    const { simulator, dht, address } = await setUp()
    const peer = await RawPeer.on(simulator.host())
    peer.onRequest = (request, from) => simulator.after(200, () => peer.answer(from, request, PING, {}))
    peer.ask(address, PING, {})
    await simulator.advance(200)
    expect(dht.contacts()).toEqual([])
    await simulator.advance(100)
    expect(dht.contacts()).toEqual([peer.contact])
  })

  test('is asked back once, and not resent: it may be a victim whose address is forged', async () => {
    const { simulator, dht, address } = await setUp()
    const peer = await RawPeer.on(simulator.host())
    for (let i = 0; i < 10; i++) peer.ask(address, PING, {})
    await simulator.advance(1_900)
    expect(peer.requests(PING)).toHaveLength(1)
    expect(dht.stats()).toMatchObject({ contacts: 0, pendingCalls: 1 })
    await simulator.advance(10_000)
    expect(dht.stats()).toMatchObject({ contacts: 0, pendingCalls: 0, resends: 0 })
  })

  test('as a client is never asked back', async () => {
    const { simulator, dht, address } = await setUp()
    const peer = behave(await RawPeer.on(simulator.host()))
    peer.ask(address, PING, {}, { flags: Flag.client | Flag.ipv4 })
    await simulator.advance(10_000)
    expect(peer.requests()).toEqual([])
    expect(dht.contacts()).toEqual([])
  })

  test('and is in the table already is not asked back', async () => {
    const { simulator, dht, address } = await setUp()
    const [peer] = await befriend(simulator, dht, 1)
    for (let i = 0; i < 10; i++) peer!.ask(address, PING, {})
    await simulator.advance(10_000)
    expect(peer!.requests()).toHaveLength(1)
  })

  test('though a call to it failed lives again, and is named to others once it answered', async () => {
    const { simulator, dht, address } = await setUp()
    const [broken, alive] = await befriend(simulator, dht, 2)
    broken!.onRequest = () => {}
    await simulator.run(async () => {
      const silent = dht.ping(broken!.contact).catch(() => {})
      await simulator.delay(500)
      await dht.ping(alive!.contact)
      await silent
    })
    behave(broken!)
    const named = async (): Promise<number> => {
      const reply = await exchange(simulator, alive!, address, FIND_NODE, { target: dht.id, skip: 0 })
      return reply?.type === 'response' ? (reply.result[0] as Uint8Array).length / 39 : -1
    }
    expect(await named()).toBe(0)
    broken!.ask(address, PING, {})
    await simulator.advance(1_000)
    expect(await named()).toBe(1)
  })

  test('from nowhere does not make a node join anew', async () => {
    const simulator = new Simulator({ seed: 2, latency: fixedLatency(10) })
    const first = await openNode(simulator)
    const { dht, address } = await openNode(simulator, { bootstrap: [first.address] })
    await simulator.advance(60_000)
    const sent: string[] = []
    simulator.setFilter(({ from, to }) => {
      if (from === address) sent.push(to)
      return true
    })
    const attacker = await RawPeer.on(simulator.host())
    attacker.ask(address, PING, {})
    await simulator.advance(30_000)
    // The answer and one ping.
    expect(sent).toEqual([attacker.address, attacker.address])
    expect(dht.stats().isJoined).toBe(true)
  })
})

describe('who answers', () => {
  test('as a client leaves the table', async () => {
    const { simulator, dht } = await setUp()
    const [peer] = await befriend(simulator, dht, 1)
    expect(dht.contacts()).toHaveLength(1)
    peer!.onRequest = (request, from) => peer!.answer(from, request, PING, {}, { flags: Flag.client })
    await simulator.run(() => dht.ping(peer!.contact))
    expect(dht.contacts()).toEqual([])
  })

  test('with nonsense twice in a row leaves the table, even where nobody else answers', async () => {
    const { simulator, dht } = await setUp()
    const [peer] = await befriend(simulator, dht, 1)
    peer!.onRequest = (request, from) => peer!.answerRaw(from, request, ['nonsense'])
    const lookUp = () => simulator.run(() => dht.findNode(dht.id).catch(() => {}))
    await simulator.advance(5_000)
    await lookUp()
    expect(dht.contacts()).toHaveLength(1)
    await lookUp()
    expect(dht.contacts()).toEqual([])
  })

  test('as another node than expected takes the place of the one that was there', async () => {
    const { simulator, host, dht } = await setUp()
    const [peer] = await befriend(simulator, dht, 1)
    const id = host.randomBytes(32)
    peer!.onRequest = (request, from) => peer!.answer(from, request, PING, {}, { id })
    await simulator.run(() => expect(dht.ping(peer!.contact)).rejects.toMatchObject({ code: 'ERR_WRONG_ID' }))
    expect(dht.contacts()).toEqual([{ id, address: peer!.address }])
  })
})

describe('a full bucket', () => {
  test('keeps its contacts while they answer: a newcomer waits', async () => {
    const { simulator, dht } = await setUp()
    const old = await befriend(simulator, dht, 3, 0)
    const before = addressesOf(dht)
    await simulator.advance(120_000)
    const [newcomer] = await befriend(simulator, dht, 1, 0)
    await simulator.advance(10_000)
    expect(addressesOf(dht)).toEqual(before)
    expect(newcomer!.requests(PING)).toHaveLength(1)
    // The one that answered longest ago was asked whether it lives.
    expect(old.map((peer) => peer.requests(PING).length)).toEqual([2, 1, 1])
  })

  test('gives the place of a dead contact to a newcomer, also where nobody else answers meanwhile', async () => {
    const { simulator, dht, address } = await setUp()
    const [dead] = await befriend(simulator, dht, 3, 0)
    dead!.onRequest = () => {}
    await simulator.advance(120_000)
    const [newcomer] = await befriend(simulator, dht, 1, 0)
    for (let minute = 0; minute < 2; minute++) {
      await simulator.advance(61_000)
      newcomer!.ask(address, PING, {})
    }
    await simulator.advance(10_000)
    expect(addressesOf(dht).has(newcomer!.address)).toBe(true)
    expect(addressesOf(dht).has(dead!.address)).toBe(false)
  })

  test('has at most one stranger asked back in a minute, while buckets with a free place go on', async () => {
    const { simulator, dht, address } = await setUp()
    await befriend(simulator, dht, 3, 0)
    let pings = 0
    for (let i = 0; i < 100; i++) {
      const host = simulator.host()
      const stranger = await RawPeer.on(host, idInRegion(dht.id, 0, host.randomBytes(32)))
      stranger.onRequest = () => pings++
      stranger.ask(address, PING, {})
      await simulator.advance(1_000)
    }
    // 100 seconds.
    expect(pings).toBe(2)
    await befriend(simulator, dht, 1, 1)
    expect(dht.contacts()).toHaveLength(4)
  })
})

describe('silence', () => {
  test('of a contact while others answer costs it its place at the second time', async () => {
    const { simulator, dht } = await setUp()
    const [dead, ...others] = await befriend(simulator, dht, 3)
    dead!.onRequest = () => {}
    const callBoth = () =>
      simulator.run(async () => {
        const silent = dht.ping(dead!.contact).catch(() => {})
        await simulator.delay(500)
        await dht.ping(others[0]!.contact)
        await silent
      })
    await callBoth()
    expect(dht.contacts()).toHaveLength(3)
    await callBoth()
    expect(dht.contacts()).toHaveLength(2)
  })

  test('of everybody costs nobody a place, and ends with the pings that look whether they live', async () => {
    const { simulator, dht, address } = await setUp()
    const peers = await befriend(simulator, dht, 6)
    const before = addressesOf(dht)
    expect(before.size).toBeGreaterThan(3)
    await simulator.advance(10_000)
    let sent = 0
    simulator.setFilter(({ from }) => {
      if (from === address) sent++
      return false
    })
    for (let i = 0; i < 20; i++) await simulator.run(() => dht.findNode(peers[0]!.id).catch(() => {}))
    const sentByLookups = sent
    await simulator.advance(600_000)
    expect(addressesOf(dht)).toEqual(before)
    expect(sent - sentByLookups).toBeLessThan(20)
    simulator.setFilter(undefined)
    const found = await simulator.run(() => dht.findNode(peers[0]!.id))
    expect(found.closest.length).toBeGreaterThan(0)
  })
})

test('a dead contact of an idle node leaves, and does not make it join anew again and again', async () => {
  const simulator = new Simulator({ seed: 2, latency: fixedLatency(10) })
  const first = await openNode(simulator)
  const { dht } = await openNode(simulator, { bootstrap: [first.address], refreshIntervalMs: 86_400_000 })
  const [dead] = await befriend(simulator, dht, 6)
  dead!.onRequest = () => {}
  await simulator.advance(60_000)
  const joined: unknown[] = []
  dht.on('joined', (found) => joined.push(found))
  await simulator.run(() => dht.ping(dead!.contact).catch(() => {}))
  await simulator.advance(600_000)
  expect(joined).toEqual([])
  expect(dht.stats().isJoined).toBe(true)
  expect(addressesOf(dht).has(dead!.address)).toBe(false)
  expect(dht.contacts()).toHaveLength(6)
  expect(dead!.requests(PING).length).toBeLessThan(12)
})

test('a contact that a lookup gave up is asked whether it lives, and leaves when it does not', async () => {
  const { simulator, dht } = await setUp(20)
  const [dead, alive, ...others] = await befriend(simulator, dht, 10)
  // Measured, so that what is late is known soon.
  for (const peer of others) await simulator.run(() => dht.ping(peer.contact))
  dead!.onRequest = () => {}
  const { elapsedMs } = await simulator.run(() => dht.findNode(dead!.id))
  expect(elapsedMs).toBeLessThan(1_000)
  // The nearest of all is worth a resend before the lookup ends without it.
  expect(dead!.requests(FIND_NODE)).toHaveLength(2)
  const before = dead!.requests(PING).length
  await simulator.advance(100)
  expect(dead!.requests(PING)).toHaveLength(before + 1)
  for (let i = 0; i < 10; i++) {
    await simulator.run(() => dht.ping(alive!.contact))
    await simulator.advance(500)
  }
  expect(addressesOf(dht).has(dead!.address)).toBe(false)
  expect(dht.contacts()).toHaveLength(9)
})
