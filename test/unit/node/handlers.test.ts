import { describe, expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import type { NodeId } from '../../../src/keyspace/index.js'
import { idInRegion, nearest } from '../../../src/keyspace/index.js'
import type { DhtOptions } from '../../../src/options.js'
import { encodeImmutable } from '../../../src/records/index.js'
import type { RecordStore } from '../../../src/storage/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import type { FindValueResult, StoreParams, StoreResult } from '../../../src/wire/index.js'
import { errorCode, FIND_NODE, FIND_VALUE, Flag, PING, STORE } from '../../../src/wire/index.js'
import type { Says } from '../rpc/raw-peer.js'
import { exchange, RawPeer } from '../rpc/raw-peer.js'
import { befriend, openNode, packed } from './node-fixture.js'

const HOUR_S = 3_600
const { key: KEY, record: RECORD } = encodeImmutable(Uint8Array.of(1, 2, 3))
const ROOMY = { bytesMax: 2 ** 20, recordsMax: 100 }

async function setUp(options: Partial<DhtOptions> = {}) {
  const simulator = new Simulator({ seed: 5, latency: fixedLatency(10) })
  const storage = new MemoryStore(ROOMY)
  const { dht, host, address } = await openNode(simulator, { storage, ...options })
  const peer = await RawPeer.on(simulator.host())
  const ask = async (asker = peer, key: NodeId = KEY, want = 1): Promise<FindValueResult> => {
    const params = { key, kind: 0, want, minSeq: 0n, cursor: new Uint8Array(0) }
    const reply = await exchange(simulator, asker, address, FIND_VALUE, params)
    if (reply?.type !== 'response') throw new Error(`no result: ${reply?.text}`)
    return FIND_VALUE.readResult(reply.result)!
  }
  const store = async (
    changes: Partial<StoreParams> = {},
    asker = peer,
    says: Says = {},
  ): Promise<StoreResult | DhtErrorCode | undefined> => {
    const { token } = await ask(asker)
    const params = {
      key: KEY,
      kind: 0,
      token,
      record: RECORD,
      ttlSeconds: HOUR_S,
      cas: undefined,
      isCached: false,
      ...changes,
    }
    const reply = await exchange(simulator, asker, address, STORE, params, says)
    if (reply?.type === 'error') return errorCode(reply.code)
    return reply && STORE.readResult(reply.result)
  }
  return { simulator, storage, dht, host, address, peer, ask, store }
}

describe('STORE', () => {
  test('keeps a record of its key under a token, and FIND_VALUE returns it', async () => {
    const { store, ask, storage, peer, host } = await setUp()
    expect((await ask()).records).toEqual([])
    expect(await store()).toEqual({ ttlSeconds: HOUR_S })
    expect((await ask()).records).toEqual([RECORD])
    expect(storage.list(KEY, 0)).toMatchObject([{ source: host.transport.describe(peer.address).group }])
    // Only the token and contacts were asked for.
    expect((await ask(peer, KEY, 0)).records).toEqual([])
  })

  test.each<[string, Partial<StoreParams>, DhtErrorCode]>([
    ['a record whose hash is not its key', { record: Uint8Array.of(0, 1, 2, 4) }, 'ERR_INVALID_RECORD'],
    ['a record of another form', { record: Uint8Array.of(1, 1, 2, 3) }, 'ERR_INVALID_RECORD'],
    ['an unknown kind of record', { kind: 9 }, 'ERR_INVALID_RECORD'],
    ['a record that is too long', { record: new Uint8Array(882) }, 'ERR_INVALID_RECORD'],
    ['no token', { token: new Uint8Array(0) }, 'ERR_BAD_TOKEN'],
    ['a guessed token', { token: new Uint8Array(8) }, 'ERR_BAD_TOKEN'],
    ['a token of another key', { key: new Uint8Array(32) }, 'ERR_BAD_TOKEN'],
  ])('refuses %s', async (_what, changes, code) => {
    const { store, storage } = await setUp()
    expect(await store(changes)).toBe(code)
    expect(storage.stats().records).toBe(0)
  })

  test('refuses what its store has no room for', async () => {
    const { store, ask } = await setUp({ storage: new MemoryStore({ bytesMax: 100, recordsMax: 100 }) })
    expect(await store()).toBe('ERR_STORE_FULL')
    expect((await ask()).records).toEqual([])
  })

  test('clamps the lifetime to 48 h, and to a second at least', async () => {
    const { simulator, store, storage, host } = await setUp()
    expect(await store({ ttlSeconds: 0 })).toEqual({ ttlSeconds: 1 })
    await simulator.advance(100_000)
    expect(await store({ ttlSeconds: 0xffff_ffff })).toEqual({ ttlSeconds: 48 * HOUR_S })
    const [kept] = storage.list(KEY, 0)
    expect(kept!.expiresAtMs - host.clock.wallNow()).toBeLessThanOrEqual(48 * HOUR_S * 1_000)
    expect(kept!.expiresAtMs - host.clock.wallNow()).toBeGreaterThan(47 * HOUR_S * 1_000)
  })

  test('of the same record again keeps who is charged, and prolongs its life but never shortens it', async () => {
    const { simulator, store, storage, peer, host } = await setUp()
    const second = await RawPeer.on(simulator.host())
    await store({ ttlSeconds: HOUR_S })
    const [first] = storage.list(KEY, 0)
    await store({ ttlSeconds: 60 }, second)
    const [again] = storage.list(KEY, 0)
    expect(again).toEqual({ ...first, storedAtMs: expect.any(Number) })
    // It counts as heard of.
    expect(again!.storedAtMs).toBeGreaterThan(first!.storedAtMs)
    await store({ ttlSeconds: 2 * HOUR_S }, second)
    const [later] = storage.list(KEY, 0)
    expect(later!.expiresAtMs).toBeGreaterThan(first!.expiresAtMs + HOUR_S * 1_000)
    expect(later!.source).toEqual(host.transport.describe(peer.address).group)
  })

  test('shows that the address is no forged one: the next answer may be longer', async () => {
    const { simulator, dht, address, peer, store } = await setUp()
    await befriend(simulator, dht, 20)
    const target = { target: KEY, skip: 0 }
    const contactsOf = async (): Promise<number> => {
      const reply = await exchange(simulator, peer, address, FIND_NODE, target, { paddedBytes: 0 })
      return reply?.type === 'response' ? (reply.result[0] as Uint8Array).length / 39 : -1
    }
    expect(await contactsOf()).toBeLessThan(5)
    await store()
    expect(await contactsOf()).toBe(20)
  })
})

describe('lifetimes', () => {
  test('an expired record is not returned, and soon leaves the store', async () => {
    const { simulator, store, ask, storage } = await setUp()
    await store({ ttlSeconds: 5 })
    expect((await ask()).records).toEqual([RECORD])
    await simulator.advance(5_000)
    expect((await ask()).records).toEqual([])
    await simulator.advance(60_000)
    expect(storage.stats().records).toBe(0)
  })

  test('a record is there until its lifetime ends', async () => {
    const { simulator, store, ask } = await setUp()
    await store({ ttlSeconds: HOUR_S })
    await simulator.advance(HOUR_S * 1_000 - 10_000)
    expect((await ask()).records).toEqual([RECORD])
    await simulator.advance(10_000)
    expect((await ask()).records).toEqual([])
  })
})

describe('FIND_NODE and FIND_VALUE', () => {
  test('name the nearest contacts, nearest first, and never the asker', async () => {
    const { simulator, dht, host, address, ask } = await setUp({ k: 8 })
    const friends = await befriend(simulator, dht, 12)
    expect((await ask()).contacts).toEqual(packed(host, nearest(dht.contacts(), KEY, 8)))
    const asker = friends[0]!
    const others = dht.contacts().filter((contact) => contact.address !== asker.address)
    const reply = await exchange(simulator, asker, address, FIND_NODE, { target: asker.id, skip: 3 })
    const expected = nearest(others, asker.id, 11).slice(3)
    expect(reply?.type === 'response' && reply.result[0]).toEqual(packed(host, expected))
  })

  test('name the nearest, none that failed last, and ask the one not heard of for 15 minutes for a sign of life', async () => {
    const { simulator, dht, host, address, peer } = await setUp({ k: 2, refreshIntervalMs: 24 * HOUR_S * 1_000 })
    const [old, failed] = await befriend(simulator, dht, 2, 0)
    await simulator.advance(16 * 60_000)
    const [fresh] = await befriend(simulator, dht, 1, 3)
    failed!.onRequest = () => {}
    await simulator.run(() => dht.ping(failed!.contact).catch(() => {}))
    // Another answers meanwhile, or nothing would tell a dead contact from a dead network.
    const failing = simulator.run(async () => {
      const silent = dht.ping(failed!.contact).catch(() => {})
      await simulator.delay(100)
      await dht.ping(fresh!.contact)
      await silent
    })
    await failing
    const near = idInRegion(dht.id, 0, new Uint8Array(32))
    const pings = () => [old, fresh].map((contact) => contact!.requests(PING).length)
    const [toOld, toFresh] = pings() as [number, number]
    const reply = await exchange(simulator, peer, address, FIND_NODE, { target: near, skip: 0 })
    expect(reply?.type === 'response' && reply.result[0]).toEqual(packed(host, [old!.contact, fresh!.contact]))
    expect(pings()).toEqual([toOld + 1, toFresh])
    // Now it was heard of.
    await exchange(simulator, peer, address, FIND_NODE, { target: near, skip: 0 })
    expect(pings()).toEqual([toOld + 1, toFresh])
  })

  test('tell how many contacts the records left no room for, and FIND_NODE brings those', async () => {
    const simulator = new Simulator({ seed: 5, latency: fixedLatency(10) })
    const { dht, address, host } = await openNode(simulator)
    await befriend(simulator, dht, 20)
    const { key, record } = encodeImmutable(new Uint8Array(880))
    const peer = await RawPeer.on(simulator.host())
    const params = { key, kind: 0, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
    const findValue = async () => {
      const reply = await exchange(simulator, peer, address, FIND_VALUE, params)
      return FIND_VALUE.readResult(reply?.type === 'response' ? reply.result : [])!
    }
    const { token, leftOut: none } = await findValue()
    expect(none).toBe(0)
    const stored = { key, kind: 0, token, record, ttlSeconds: 60, cas: undefined, isCached: false }
    expect(await exchange(simulator, peer, address, STORE, stored)).toMatchObject({ type: 'response' })
    const { records, contacts, leftOut } = await findValue()
    const count = contacts.length / 39
    expect(records).toEqual([record])
    expect(leftOut).toBe(20 - count)
    expect(count).toBeGreaterThan(0)
    const rest = await exchange(simulator, peer, address, FIND_NODE, { target: key, skip: count })
    const all = nearest(dht.contacts(), key, 20)
    const restOf = (rest?.type === 'response' ? rest.result[0] : undefined) as Uint8Array
    // Skip counts from the nearest, so the two answers together name the k nearest.
    expect(Uint8Array.of(...contacts, ...restOf.subarray(0, leftOut * 39))).toEqual(packed(host, all))
  })

  test('name contacts of the families that the asker speaks', async () => {
    const { simulator, dht, host, address, peer } = await setUp()
    const [v4] = await befriend(simulator, dht, 1)
    const [v6] = await befriend(simulator, dht, 1, undefined, () => simulator.host({ address: '[2001:db8::1]:7400' }))
    const named = async (flags: number) => {
      const reply = await exchange(simulator, peer, address, FIND_NODE, { target: v4!.id, skip: 0 }, { flags })
      return reply?.type === 'response' ? reply.result[0] : undefined
    }
    expect(await named(Flag.ipv4 | Flag.client)).toEqual(packed(host, [v4!.contact]))
    expect(await named(Flag.ipv6 | Flag.client)).toEqual(packed(host, [v6!.contact]))
    expect(await named(Flag.client)).toEqual(new Uint8Array(0))
  })

  test('never tell a public asker of private contacts', async () => {
    const { simulator, dht, host, address, peer } = await setUp()
    const [homely] = await befriend(simulator, dht, 1, 0, () => simulator.host({ address: '192.168.0.9:7400' }))
    const [open] = await befriend(simulator, dht, 1)
    const named = async (asker: RawPeer) => {
      const reply = await exchange(simulator, asker, address, FIND_NODE, { target: homely!.id, skip: 0 })
      return reply?.type === 'response' ? reply.result[0] : undefined
    }
    expect(await named(peer)).toEqual(packed(host, [open!.contact]))
    const neighbour = await RawPeer.on(simulator.host({ address: '192.168.0.10:7400' }))
    expect(await named(neighbour)).toEqual(packed(host, [homely!.contact, open!.contact]))
  })
})

/** A store that answers later, and on demand not at all. */
class DistantStore implements RecordStore {
  readonly inner = new MemoryStore(ROOMY)
  failing = new Set<string>()
  #later<T>(name: string, work: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      if (this.failing.has(name)) throw new Error('the disk is broken')
      return work()
    })
  }
  list = (...args: Parameters<MemoryStore['list']>) => this.#later('list', () => this.inner.list(...args))
  put = (...args: Parameters<MemoryStore['put']>) => this.#later('put', () => this.inner.put(...args))
  delete = (...args: Parameters<MemoryStore['delete']>) => this.#later('delete', () => this.inner.delete(...args))
  entries = () => this.inner.entries()
  removeExpired = (nowMs: number) => this.#later('removeExpired', () => this.inner.removeExpired(nowMs))
  stats = () => this.inner.stats()
  close = () => this.#later('close', () => this.inner.close())
}

describe('a store that answers later', () => {
  test('serves as one in memory does', async () => {
    const storage = new DistantStore()
    const { simulator, store, ask } = await setUp({ storage })
    expect(await store({ ttlSeconds: 60 })).toEqual({ ttlSeconds: 60 })
    expect((await ask()).records).toEqual([RECORD])
    await simulator.advance(120_000)
    expect(storage.stats().records).toBe(0)
  })

  test.each(['list', 'put'])(
    'is told to the asker as ERR_REMOTE when its %s fails, and no more of it',
    async (name) => {
      const storage = new DistantStore()
      const { simulator, store, address, peer, dht } = await setUp({ storage })
      storage.failing.add(name)
      if (name === 'put') {
        expect(await store()).toBe('ERR_REMOTE')
      } else {
        const params = { key: KEY, kind: 0, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
        const reply = await exchange(simulator, peer, address, FIND_VALUE, params)
        expect(reply).toMatchObject({ type: 'error', text: 'the store failed' })
        expect(reply?.type === 'error' && errorCode(reply.code)).toBe('ERR_REMOTE')
      }
      expect(await exchange(simulator, peer, address, PING, {})).toMatchObject({ type: 'response' })
      expect(dht.stats().requests).toBeGreaterThan(0)
    },
  )

  test('that throws at once, and that fails to remove what is expired, leaves the node as it is', async () => {
    const broken = new MemoryStore(ROOMY)
    broken.list = () => {
      throw new Error('the disk is broken')
    }
    broken.removeExpired = () => {
      throw new Error('the disk is broken')
    }
    const { simulator, address, peer } = await setUp({ storage: broken })
    const params = { key: KEY, kind: 0, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
    expect(await exchange(simulator, peer, address, FIND_VALUE, params)).toMatchObject({ text: 'the store failed' })
    await simulator.advance(300_000)
    expect(await exchange(simulator, peer, address, PING, {})).toMatchObject({ type: 'response' })
  })
})
