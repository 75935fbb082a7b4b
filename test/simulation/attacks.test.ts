import { describe, expect, test } from 'vitest'
import { createDht } from '../../src/dht.js'
import type { Address } from '../../src/keyspace/index.js'
import { idInRegion, sharedPrefixBits, toHex } from '../../src/keyspace/index.js'
import { encodeImmutable } from '../../src/records/index.js'
import { MemoryStore } from '../../src/storage/index.js'
import type { SimulatedHost } from '../../src/testing/index.js'
import { fixedLatency, SeededRandom, Simulator } from '../../src/testing/index.js'
import { udp } from '../../src/transport/udp.js'
import type { FindValueResult } from '../../src/wire/index.js'
import { createCodec, errorCode, FIND_NODE, FIND_VALUE, Flag, PING, STORE } from '../../src/wire/index.js'
import {
  addressesOf,
  answerHonestly,
  befriend,
  behave,
  nodeOn,
  openNetwork,
  openNode,
  packed,
} from '../unit/node/node-fixture.js'
import type { Says } from '../unit/rpc/raw-peer.js'
import { exchange, RawPeer } from '../unit/rpc/raw-peer.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A FIND_VALUE result that only lets the asker store. */
const NOTHING: FindValueResult = {
  token: Uint8Array.of(1),
  heldSeq: undefined,
  records: [],
  contacts: new Uint8Array(0),
  leftOut: 0,
  recordsLeft: 0,
  ttlsSeconds: [],
}

function simulation(seed = 1): Simulator {
  return new Simulator({ seed, latency: fixedLatency(20) })
}

/** An id that is nearer to the target than any random one. */
function beside(target: Uint8Array, distance = 1): Uint8Array {
  return target.map((byte, i) => (i === 31 ? byte ^ distance : byte))
}

/** Counts the datagrams from one address by where they go, those to addresses where nobody is left out. */
function watch(simulator: Simulator, from: Address): Map<Address, number> {
  const sent = new Map<Address, number>()
  simulator.setFilter((datagram) => {
    if (datagram.from === from) sent.set(datagram.to, (sent.get(datagram.to) ?? 0) + 1)
    return true
  })
  return sent
}

describe('a forged reply', () => {
  const FORGERIES: [string, 'wrongAddress' | 'unmatched' | 'wrongId' | 'foreignNetwork' | 'refusedId'][] = [
    ['from another port', 'wrongAddress'],
    ['with another transaction id', 'unmatched'],
    ['under another id', 'wrongId'],
    ['under our own id', 'refusedId'],
    ['of another network', 'foreignNetwork'],
  ]

  test.each(FORGERIES)('%s is not accepted but counted, and the lookup goes on', async (_what, reason) => {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 10)
    const victim = nodes[4]!
    const [evil] = await befriend(simulator, victim.dht, 1)
    const accomplice = await RawPeer.on(simulator.host({ address: evil!.address.replace(/\d+$/, '9999') }), evil!.id)
    // Whoever believes the reply asks this one next.
    const canaryHost = simulator.host()
    const canary = await RawPeer.on(canaryHost, beside(evil!.id))
    const contacts = packed(canaryHost, [canary.contact])
    let replies = 0
    const lies: Record<string, Says> = {
      unmatched: { tid: new Uint8Array(8) },
      refusedId: { id: victim.dht.id },
      foreignNetwork: { network: 'another' },
    }
    evil!.onRequest = (request, from) => {
      if (request.method !== FIND_NODE.code) return
      const liar = reason === 'wrongAddress' ? accomplice : evil!
      // Another one each time: who sticks to one id is a node of that id, and is asked under it.
      const lie = reason === 'wrongId' ? { id: beside(evil!.id, 2 + replies++) } : lies[reason]
      liar.answer(from, request, FIND_NODE, { contacts }, lie)
    }
    const found = await simulator.run(() => victim.dht.findNode(evil!.id))
    await simulator.advance(5_000)
    expect(found.closest.map(({ address }) => address).sort()).toEqual(
      nodes.flatMap(({ address }) => (address === victim.address ? [] : [address])).sort(),
    )
    expect(canary.heard).toEqual([])
    const { dropped } = victim.dht.stats()
    expect(dropped[reason]).toBeGreaterThan(0)
  })

  test('with a guessed transaction id hits nothing, however many are sent while a call waits', async () => {
    const simulator = simulation()
    const { dht, address } = await openNode(simulator)
    const [silent] = await befriend(simulator, dht, 1)
    silent!.onRequest = (request, from) => {
      for (let guess = 0; guess < 20_000; guess++) {
        const tid = new Uint8Array(8)
        new DataView(tid.buffer).setUint32(guess & 4, guess)
        silent!.answer(from, request, PING, {}, { tid })
      }
    }
    await simulator.run(() => expect(dht.ping(silent!.contact)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' }))
    // The request and its resend.
    expect(dht.stats().dropped.unmatched).toBe(40_000)
    expect(address).toBe(dht.address)
  })
})

describe('values', () => {
  test('whose hash is not the key are never returned: get goes on and finds an honest copy', async () => {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 26)
    const value = Uint8Array.of(1, 2, 3)
    const { key, storedAt } = await simulator.run(() => nodes[3]!.dht.put(value))
    const reader = nodes.find(({ dht }) => dht.stats().storage.records === 0)!
    const { record: lie } = encodeImmutable(Uint8Array.of(6, 6, 6))
    for (let i = 0; i < 3; i++) {
      const liar = await RawPeer.on(simulator.host(), beside(key, i + 1))
      liar.onRequest = (request, from) => {
        if (request.method !== FIND_VALUE.code) return answerHonestly(liar, request, from)
        const records = [lie, Uint8Array.of(9), new Uint8Array(1_000)]
        liar.answer(from, request, FIND_VALUE, { ...NOTHING, records })
      }
      for (const { address } of nodes) liar.ask(address, PING, {})
    }
    await simulator.advance(5_000)
    // The nearest of the honest holders are gone, so that the liars are asked first.
    const nearest = new Set(storedAt.slice(0, 10).map(({ address }) => address))
    for (const { host } of nodes) if (nearest.has(host.address)) host.kill()
    const found = await simulator.run(() => reader.dht.get(key))
    expect(found?.value).toEqual(value)
    expect(reader.dht.stats().invalidRecords).toBe(9)
  })

  test('that only liars have are not there', async () => {
    const simulator = simulation()
    const { dht } = await openNode(simulator)
    const liars = await befriend(simulator, dht, 3)
    for (const liar of liars) {
      liar.onRequest = (request, from) => {
        liar.answer(from, request, FIND_VALUE, { ...NOTHING, records: [Uint8Array.of(0, 7)] })
      }
    }
    expect(await simulator.run(() => dht.get(new Uint8Array(32)))).toBeUndefined()
    expect(dht.stats().invalidRecords).toBe(3)
  })

  test('are stored under a token of this host, for this key, of the last minutes alone', async () => {
    const simulator = simulation()
    const storage = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
    const { address } = await openNode(simulator, { storage })
    const own = encodeImmutable(Uint8Array.of(1))
    const other = encodeImmutable(Uint8Array.of(2))
    const peer = await RawPeer.on(simulator.host({ address: '41.50.0.1:1000' }))
    const samePlace = await RawPeer.on(simulator.host({ address: '41.50.0.1:2000' }))
    const neighbour = await RawPeer.on(simulator.host({ address: '41.50.0.2:1000' }))
    const tokenOf = async (asker: RawPeer): Promise<Uint8Array> => {
      const params = { key: own.key, kind: 0, want: 0, minSeq: 0n, cursor: new Uint8Array(0) }
      const reply = await exchange(simulator, asker, address, FIND_VALUE, params)
      return FIND_VALUE.readResult(reply?.type === 'response' ? reply.result : [])!.token
    }
    const store = async (asker: RawPeer, token: Uint8Array, { key, record }: typeof own) => {
      const params = { key, kind: 0, token, record, ttlSeconds: 60, cas: undefined, isCached: false }
      const reply = await exchange(simulator, asker, address, STORE, params)
      return reply?.type === 'error' ? errorCode(reply.code) : reply?.type
    }
    const token = await tokenOf(peer)
    expect(await store(peer, token, other)).toBe('ERR_BAD_TOKEN')
    expect(await store(neighbour, token, own)).toBe('ERR_BAD_TOKEN')
    expect(storage.stats().records).toBe(0)
    expect(await store(samePlace, token, own)).toBe('response')
    await simulator.advance(4 * MINUTE_MS)
    expect(await store(peer, token, own)).toBe('response')
    await simulator.advance(7 * MINUTE_MS)
    expect(await store(peer, token, own)).toBe('ERR_BAD_TOKEN')
  })
})

describe('400 pings with 400 ids from one socket', () => {
  test('leave nothing behind', async () => {
    const simulator = simulation()
    const { dht, address } = await openNode(simulator)
    const friends = await befriend(simulator, dht, 5)
    const before = addressesOf(dht)
    const attacker = await RawPeer.on(simulator.host())
    for (let i = 0; i < 400; i++) attacker.ask(address, PING, {}, { id: simulator.random.bytes(32) })
    await simulator.advance(100)
    // One socket is asked back once, whatever it calls itself.
    expect(attacker.requests(PING)).toHaveLength(1)
    await simulator.advance(10_000)
    expect(attacker.requests(PING)).toHaveLength(1)
    expect(addressesOf(dht)).toEqual(before)
    expect(dht.stats()).toMatchObject({ contacts: friends.length, pendingCalls: 0, storage: { records: 0 } })
    // Nor is there any memory of it that keeps an honest node out.
    await befriend(simulator, dht, 1)
    expect(dht.stats().contacts).toBe(friends.length + 1)
  })

  test('that answers under each of them get one place', async () => {
    const simulator = simulation()
    const { dht, address } = await openNode(simulator)
    const attacker = await RawPeer.on(simulator.host())
    for (let i = 0; i < 400; i++) {
      const id = simulator.random.bytes(32)
      attacker.onRequest = (request, from) => attacker.answer(from, request, PING, {}, { id })
      attacker.ask(address, PING, {}, { id })
      await simulator.advance(100)
    }
    expect(dht.stats()).toMatchObject({ contacts: 1, pendingCalls: 0 })
  })

  test('leave nothing behind over UDP', async () => {
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }), requestTimeoutMs: 200 })
    const transport = udp({ host: '127.0.0.1' })
    try {
      const { address } = await dht.start()
      const random = new SeededRandom('udp')
      const attacker = await RawPeer.open(transport, random.bytes(32))
      for (let i = 0; i < 400; i++) attacker.ask(address, PING, {}, { id: random.bytes(32) })
      const until = async (isSo: () => boolean): Promise<void> => {
        while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      await until(() => attacker.requests(PING).length > 0)
      await until(() => dht.stats().pendingCalls === 0)
      const { requests, timeouts } = dht.stats()
      expect(requests).toBeGreaterThan(0)
      expect(timeouts).toBeGreaterThan(0)
      expect(attacker.requests(PING).length).toBeLessThanOrEqual(timeouts)
      expect(timeouts).toBeLessThan(20)
      expect(dht.contacts()).toEqual([])
      expect(dht.stats().storage.records).toBe(0)
    } finally {
      await transport.close()
      await dht.close()
    }
  })
})

describe('a stranger under the id of a contact', () => {
  async function impostorAndContact() {
    const simulator = simulation()
    const node = await openNode(simulator, { refreshIntervalMs: DAY_MS })
    const [known] = await befriend(simulator, node.dht, 4)
    const impostor = behave(await RawPeer.on(simulator.host(), known!.id))
    const claim = async () => {
      impostor.ask(node.address, PING, {})
      await simulator.advance(MINUTE_MS + 1_000)
    }
    return { simulator, known: known!, impostor, claim, ...node }
  }

  test('does not take its place while it lives, however often it claims it', async () => {
    const { dht, known, impostor, claim } = await impostorAndContact()
    for (let i = 0; i < 20; i++) {
      await claim()
      expect(addressesOf(dht).has(known.address)).toBe(true)
      expect(addressesOf(dht).has(impostor.address)).toBe(false)
    }
    // The claim was looked into: the impostor lives, and so does the one that was there.
    expect(impostor.requests(PING).length).toBeGreaterThan(10)
    expect(known.requests(PING).length).toBeGreaterThan(10)
  })

  test('nor when somebody else names it at its address', async () => {
    const { simulator, host, dht, known, impostor } = await impostorAndContact()
    const [evil] = await befriend(simulator, dht, 1)
    const contacts = packed(host, [impostor.contact])
    evil!.onRequest = (request, from) => answerHonestly(evil!, request, from, contacts)
    await simulator.run(() => dht.findNode(evil!.id))
    await simulator.advance(10_000)
    expect(addressesOf(dht).has(known.address)).toBe(true)
    expect(addressesOf(dht).has(impostor.address)).toBe(false)
  })

  test('has its place once it is dead: the node has moved', async () => {
    const { dht, known, impostor, claim } = await impostorAndContact()
    known.onRequest = () => {}
    for (let i = 0; i < 3; i++) await claim()
    expect(addressesOf(dht).has(known.address)).toBe(false)
    expect(addressesOf(dht).has(impostor.address)).toBe(true)
  })
})

describe('a flood of requests from strangers that never answer', () => {
  async function flood(region: (dhtId: Uint8Array, random: Uint8Array) => Uint8Array) {
    const simulator = simulation()
    const node = await openNode(simulator, { k: 4, refreshIntervalMs: DAY_MS })
    for (const bits of [0, 1]) await befriend(simulator, node.dht, 4, bits)
    const before = node.dht.contacts()
    expect(before).toHaveLength(8)
    const strangers = await Promise.all(Array.from({ length: 200 }, () => RawPeer.on(simulator.host())))
    let pings = 0
    let atOnceMost = 0
    for (const stranger of strangers) stranger.onRequest = () => pings++
    const startMs = simulator.nowMs
    for (let round = 0; round < 90; round++) {
      for (const stranger of strangers) {
        const id = region(node.dht.id, simulator.random.bytes(32))
        if (round % 2) stranger.ask(node.address, PING, {}, { id })
        else stranger.ask(node.address, FIND_NODE, { target: id, skip: 0 }, { id })
      }
      await simulator.advance(2_000)
      atOnceMost = Math.max(atOnceMost, node.dht.stats().pendingCalls)
    }
    expect(node.dht.contacts()).toEqual(before)
    await simulator.advance(5_000)
    expect(node.dht.stats().pendingCalls).toBe(0)
    return { pings, atOnceMost, minutes: (simulator.nowMs - startMs) / MINUTE_MS }
  }

  test('displaces nobody, and has one stranger a full bucket and minute asked back', async () => {
    const { pings, minutes } = await flood((id, random) => idInRegion(id, (random[0] as number) & 1, random))
    expect(pings).toBeGreaterThanOrEqual(2)
    expect(pings).toBeLessThanOrEqual(2 * Math.ceil(minutes))
  })

  test('displaces nobody either where buckets have free places, and has 32 asked back at a time', async () => {
    const { atOnceMost, pings } = await flood((id, random) => idInRegion(id, 2, random))
    expect(atOnceMost).toBeGreaterThan(10)
    expect(atOnceMost).toBeLessThanOrEqual(32)
    expect(pings).toBeLessThanOrEqual(32 * 95)
  })
})

describe('a poisoned FIND_NODE reply', () => {
  interface Scene {
    readonly simulator: Simulator
    readonly host: SimulatedHost
    readonly target: Uint8Array
    readonly ownId: Uint8Array
  }

  async function poisoned(contactsOf: (scene: Scene) => Uint8Array, k = 20) {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 8, { k })
    const victim = nodes[2]!
    const [evil] = await befriend(simulator, victim.dht, 1)
    const target = evil!.id
    const contacts = contactsOf({ simulator, host: victim.host, target, ownId: victim.dht.id })
    expect(contacts.length).toBeLessThan(1_120)
    evil!.onRequest = (request, from) => answerHonestly(evil!, request, from, contacts)
    const sent = watch(simulator, victim.address)
    const found = await simulator.run(() => victim.dht.findNode(target))
    const honest = new Set([...nodes.map(({ address }) => address), evil!.address])
    const strangers = [...sent].filter(([address]) => !honest.has(address))
    return { simulator, victim, evil: evil!, nodes, found, sent, strangers, target }
  }
  /** As many contacts as a reply holds. */
  const many = Array.from({ length: 28 }, (_, i) => i)

  test('makes us ask at most 2k of those that it names', async () => {
    const { strangers } = await poisoned(({ host, simulator, target }) => {
      const hosts = many.map((i) => simulator.host({ address: `41.77.${i}.1:1` }))
      return packed(
        host,
        hosts.map(({ address }, i) => ({ id: beside(target, i + 1), address })),
      )
    }, 3)
    expect(strangers.length).toBeGreaterThan(0)
    expect(strangers.length).toBeLessThanOrEqual(6)
  })

  test('that names one address under many ids makes us ask there once a lookup', async () => {
    const victimOfAll = '41.0.200.7:7400'
    const simulator = simulation()
    const bystander = await RawPeer.on(simulator.host({ address: victimOfAll }))
    const { dht, host } = await openNode(simulator)
    const evils = await befriend(simulator, dht, 5)
    for (const [n, evil] of evils.entries()) {
      const contacts = many.map((i) => ({ id: beside(evil.id, i + 30 * n + 1), address: victimOfAll }))
      evil.onRequest = (request, from) => answerHonestly(evil, request, from, packed(host, contacts))
    }
    for (let lookup = 1; lookup <= 3; lookup++) {
      await simulator.run(() => dht.findNode(evils[0]!.id))
      const calls = new Set(bystander.requests().map(({ tid }) => toHex(tid)))
      expect(calls.size).toBeLessThanOrEqual(lookup)
      expect(calls.size).toBeGreaterThan(0)
      expect(bystander.requests().length).toBeLessThanOrEqual(2 * lookup)
    }
    expect(addressesOf(dht).has(victimOfAll)).toBe(false)
  })

  test('that names ourselves or places that nobody can be at makes us send nothing there', async () => {
    const at = (a: number, b: number, c: number, d: number, port = 7400) => [4, a, b, c, d, port >> 8, port & 0xff]
    const { simulator, strangers, found, sent, victim } = await poisoned(({ simulator, host, target, ownId }) => {
      const own = host.transport.encodeAddress(host.address)
      const places = [at(0, 0, 0, 0), at(255, 255, 255, 255), at(224, 0, 0, 1), at(41, 1, 1, 1, 0), at(127, 0, 0, 1)]
      places.push(at(10, 0, 0, 1), at(192, 168, 1, 1), at(172, 16, 0, 1), at(169, 254, 0, 1))
      for (const place of places.slice(4)) simulator.host({ address: `${place.slice(1, 5).join('.')}:7400` })
      const named = places.map((place, i) => [...beside(target, i + 1), ...place])
      return Uint8Array.from([...ownId, ...own, ...named.flat()])
    })
    expect(strangers).toEqual([])
    expect(sent.has(victim.address)).toBe(false)
    expect(simulator.stats.unreachable).toBe(0)
    expect(found.closest).toHaveLength(8)
  })

  test('that names the farthest of all, or one /24 alone, keeps no honest node from being found', async () => {
    for (const far of [true, false]) {
      const { found, nodes, victim } = await poisoned(({ host, target }) => {
        const flipped = target.map((byte) => byte ^ 0xff)
        return packed(
          host,
          many.map((i) => ({ id: beside(far ? flipped : target, i + 1), address: `41.88.8.${i + 1}:1` })),
        )
      })
      const addresses = new Set(found.closest.map(({ address }) => address))
      for (const { address } of nodes) expect(addresses.has(address)).toBe(address !== victim.address)
    }
  })

  test('that is cut short or holds rubbish counts for what can be read of it', async () => {
    const { found } = await poisoned(({ host, target }) =>
      packed(host, [{ id: beside(target), address: '41.99.9.9:1' }]).fill(77, 32, 33),
    )
    expect(found.closest).toHaveLength(8)
  })
})

test('two hosts in two networks get ten places each in a table, and two each in a bucket', async () => {
  const simulator = simulation()
  const { dht, address } = await openNode(simulator)
  for (const network of ['41.60.0', '41.61.0']) {
    for (let port = 1; port <= 200; port++) {
      const host = simulator.host({ address: `${network}.1:${port}` })
      // Spread over the buckets, so that it is not those that are full.
      behave(await RawPeer.on(host, idInRegion(dht.id, port % 40, host.randomBytes(32)))).ask(address, PING, {})
      await simulator.advance(700)
    }
  }
  const inBucket = new Map<string, number>()
  const inTable = new Map<string, number>()
  for (const { id, address } of dht.contacts()) {
    const network = address.slice(0, 7)
    const bucket = `${network} ${sharedPrefixBits(dht.id, id)}`
    inTable.set(network, (inTable.get(network) ?? 0) + 1)
    inBucket.set(bucket, (inBucket.get(bucket) ?? 0) + 1)
  }
  expect([...inTable]).toEqual([
    ['41.60.0', 10],
    ['41.61.0', 10],
  ])
  expect(Math.max(...inBucket.values())).toBeLessThanOrEqual(2)
})

test('two hosts that aim at one bucket get two places each there, and an honest node the others', async () => {
  const simulator = simulation()
  const { dht, address } = await openNode(simulator, { k: 6 })
  for (const network of ['41.60.0', '41.61.0']) {
    for (let port = 1; port <= 20; port++) {
      const host = simulator.host({ address: `${network}.1:${port}` })
      behave(await RawPeer.on(host, idInRegion(dht.id, 0, host.randomBytes(32)))).ask(address, PING, {})
      await simulator.advance(700)
    }
  }
  expect(dht.contacts()).toHaveLength(4)
  await befriend(simulator, dht, 2, 0)
  expect(dht.contacts()).toHaveLength(6)
})

describe('a bad time', () => {
  test('cut off from everybody for ten minutes, a busy node keeps its contacts and works again at once', async () => {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 12)
    const value = Uint8Array.of(4, 2)
    const { key } = await simulator.run(() => nodes[1]!.dht.put(value))
    const cut = await openNode(simulator, { bootstrap: [nodes[0]!.address] })
    await simulator.advance(10_000)
    const before = addressesOf(cut.dht)
    expect(before.size).toBe(12)
    simulator.partition([[cut.host]])
    const endMs = simulator.nowMs + 10 * MINUTE_MS
    const { sent } = simulator.stats
    while (simulator.nowMs < endMs) {
      await simulator.run(() => expect(cut.dht.get(cut.dht.id)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' }))
      await simulator.advance(5_000)
    }
    expect(addressesOf(cut.dht)).toEqual(before)
    expect(cut.dht.stats().isJoined).toBe(false)
    // No storm: some 90 lookups of 12 contacts, and the attempts to join, with their resends.
    expect(simulator.stats.sent - sent).toBeLessThan(5_000)
    simulator.heal()
    const found = await simulator.run(() => cut.dht.get(key))
    expect(found?.value).toEqual(value)
    await simulator.advance(MINUTE_MS + 5_000)
    expect(cut.dht.stats().isJoined).toBe(true)
    expect(addressesOf(cut.dht)).toEqual(before)
  })

  test('a node whose contacts all died joins anew through the bootstrap node', async () => {
    const simulator = simulation()
    const old = await openNetwork(simulator, 6)
    const { dht } = await openNode(simulator, { bootstrap: [old[0]!.address] })
    await simulator.advance(10_000)
    expect(dht.contacts()).toHaveLength(6)
    for (const { host } of old) host.kill()
    const first = await openNode(simulator, {}, simulator.host({ address: old[0]!.address }))
    for (let i = 0; i < 5; i++) await openNode(simulator, { bootstrap: [first.address] })
    // It notices at the latest when it refreshes.
    await simulator.advance(80 * MINUTE_MS)
    const found = await simulator.run(() => dht.findNode(dht.id))
    expect(found.closest).toHaveLength(6)
    expect(dht.stats()).toMatchObject({ isJoined: true })
    // Nor does it go on looking for those that are dead.
    expect(dht.stats().calls).toBeLessThan(100)
  })

  test('clocks that are a day wrong change nothing for routing, tokens and lifetimes', async () => {
    const simulator = simulation()
    const skews = [0, DAY_MS, -DAY_MS, 400 * DAY_MS]
    const first = await openNode(simulator)
    const nodes = [first]
    for (let i = 1; i < 10; i++) {
      const host = simulator.host({ wallSkewMs: skews[i % 4] as number })
      nodes.push(await openNode(simulator, { bootstrap: [first.address] }, host))
    }
    await simulator.advance(10_000)
    for (const { dht } of nodes) expect(dht.contacts()).toHaveLength(9)
    const value = Uint8Array.of(2, 4)
    const { key, storedAt } = await simulator.run(() =>
      nodes[1]!.dht.put(value, { republish: false, acknowledgements: 20 }),
    )
    expect(storedAt).toHaveLength(9)
    for (const { dht } of nodes) expect((await simulator.run(() => dht.get(key)))?.value).toEqual(value)
    await simulator.advance(23 * HOUR_MS)
    for (const { dht } of nodes) expect(dht.stats().storage.records).toBe(1)
    await simulator.advance(1.1 * HOUR_MS)
    for (const { dht } of nodes) expect(dht.stats().storage.records).toBe(0)
  })

  test('a clock that jumps back a day loses no value, and one that jumps ahead costs the own copies alone', async () => {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 8)
    const value = Uint8Array.of(2, 4)
    const { key } = await simulator.run(() => nodes[1]!.dht.put(value, { republish: false }))
    nodes[2]!.host.setWallSkew(-DAY_MS)
    nodes[3]!.host.setWallSkew(DAY_MS)
    await simulator.advance(10 * MINUTE_MS)
    expect(nodes.map(({ dht }) => dht.stats().storage.records)).toEqual([1, 1, 1, 0, 1, 1, 1, 1])
    expect((await simulator.run(() => nodes[3]!.dht.get(key)))?.value).toEqual(value)
    for (const { dht } of nodes) expect(dht.contacts()).toHaveLength(7)
    const { storedAt } = await simulator.run(() =>
      nodes[2]!.dht.put(Uint8Array.of(1), { republish: false, acknowledgements: 20 }),
    )
    expect(storedAt).toHaveLength(7)
    // Not for ever: the lifetime, and the day that the clock stood still.
    await simulator.advance(48 * HOUR_MS + 10 * MINUTE_MS)
    expect(nodes.map(({ dht }) => dht.stats().storage.records)).toEqual(nodes.map(() => 0))
  })

  test('the first two nodes of a network find each other, though each asks before it believes', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const simulator = new Simulator({ seed, latency: fixedLatency(20), lossRate: 0.2 })
      const a = await openNode(simulator)
      const host = simulator.host()
      const b = nodeOn(host, { bootstrap: [a.address] })
      await simulator.run(() => b.start().catch(() => {}))
      await simulator.advance(2 * MINUTE_MS)
      expect(b.contacts()).toEqual([{ id: a.dht.id, address: a.address }])
      // The ping back is not resent; the next request brings the next one.
      await simulator.run(() => b.findNode(a.dht.id).catch(() => {}))
      await simulator.advance(80 * MINUTE_MS)
      expect(a.dht.contacts()).toEqual([{ id: b.id, address: host.address }])
    }
  })
})

describe('a client', () => {
  async function networkWithClient() {
    const simulator = simulation()
    const nodes = await openNetwork(simulator, 8)
    const client = await openNode(simulator, { client: true, bootstrap: [nodes[0]!.address] })
    await simulator.advance(10_000)
    return { simulator, nodes, client }
  }

  test('puts and gets, and enters no table', async () => {
    const { simulator, nodes, client } = await networkWithClient()
    expect(client.dht.contacts()).toHaveLength(8)
    const own = Uint8Array.of(1)
    const { key, storedAt } = await simulator.run(() => client.dht.put(own, { acknowledgements: 20 }))
    expect(storedAt).toHaveLength(8)
    expect((await simulator.run(() => nodes[3]!.dht.get(key)))?.value).toEqual(own)
    const others = Uint8Array.of(2)
    const stored = await simulator.run(() => nodes[4]!.dht.put(others))
    expect((await simulator.run(() => client.dht.get(stored.key)))?.value).toEqual(others)
    await simulator.run(() => nodes[5]!.dht.ping(client.address))
    for (const { dht } of nodes) expect(addressesOf(dht).has(client.address)).toBe(false)
  })

  test('is given nothing to keep, and keeps nothing itself', async () => {
    const { simulator, nodes, client } = await networkWithClient()
    const received: (number | string)[] = []
    simulator.setFilter(({ to, bytes }) => {
      const message = createCodec('xorbit').decode(new Uint8Array(bytes))
      if (to === client.address && message.type === 'request') received.push(message.method)
      return true
    })
    for (let i = 0; i < 10; i++) await simulator.run(() => nodes[i % 8]!.dht.put(Uint8Array.of(i)))
    await simulator.run(() => client.dht.put(Uint8Array.of(99)))
    await simulator.advance(2 * HOUR_MS)
    expect(received).toEqual([])
    expect(client.dht.stats().storage.records).toBe(0)
  })

  test('answers pings, and ERR_UNKNOWN_METHOD to all that is looked for', async () => {
    const { simulator, client } = await networkWithClient()
    const peer = behave(await RawPeer.on(simulator.host()))
    const pong = await exchange(simulator, peer, client.address, PING, {})
    expect(pong).toMatchObject({ type: 'response' })
    expect((pong?.flags ?? 0) & Flag.client).toBe(Flag.client)
    const key = new Uint8Array(32)
    const wanted = { key, kind: 0, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
    const stored = {
      key,
      kind: 0,
      token: new Uint8Array(8),
      record: Uint8Array.of(0),
      ttlSeconds: 1,
      cas: undefined,
      isCached: false,
    }
    const replies = [
      await exchange(simulator, peer, client.address, FIND_NODE, { target: key, skip: 0 }),
      await exchange(simulator, peer, client.address, FIND_VALUE, wanted),
      await exchange(simulator, peer, client.address, STORE, stored),
    ]
    expect(replies.map((reply) => reply?.type === 'error' && errorCode(reply.code))).toEqual(
      replies.map(() => 'ERR_UNKNOWN_METHOD'),
    )
  })
})
