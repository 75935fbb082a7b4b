import { describe, expect, test } from 'vitest'
import type { NodeId } from '../../../src/keyspace/index.js'
import { idInRegion, sameBytes } from '../../../src/keyspace/index.js'
import { encodeImmutable } from '../../../src/records/index.js'
import type { StoredRecord } from '../../../src/storage/index.js'
import { TOKENS } from '../../../src/wire/index.js'
import { RawPeer } from '../rpc/raw-peer.js'
import type { LabOptions } from './holder-fixture.js'
import { HOUR_MS, Holder, held, laterStore, MINUTE_MS, openLab, SECOND_MS, START_MS, signed } from './holder-fixture.js'

const { key: KEY, record: RECORD } = encodeImmutable(Uint8Array.of(1, 2, 3))
const K = 5

/**
 * A node next to the key, with `nearer` contacts nearer to it and the rest of the holders farther away; no others are
 * in the table.
 */
async function setUp({
  nearer = 0,
  holders: count = 4,
  ...options
}: LabOptions & { nearer?: number; holders?: number } = {}) {
  const id = idInRegion(KEY, 100, new Uint8Array(32))
  const lab = await openLab({ k: K, id, ...options })
  const { simulator, node, storage, immutable } = lab
  const holderAt = async (sharedBits: number): Promise<Holder> => {
    const holderId: NodeId = idInRegion(KEY, sharedBits, simulator.random.bytes(32))
    return new Holder(await RawPeer.on(simulator.host(), holderId))
  }
  const holders: Holder[] = []
  for (let i = 0; i < count; i++) {
    const holder = await holderAt(i < nearer ? 120 + i : 20 + i)
    node.table.answered(holder.contact)
    holders.push(holder)
  }
  const keep = (changes: Partial<StoredRecord> = {}) =>
    storage.put(held(immutable, KEY, RECORD, { storedAtMs: START_MS - 2 * HOUR_MS, ...changes }))
  const stores = () => holders.map(({ stored }) => stored.length)
  const own = () => storage.list(KEY, 0)[0]
  lab.parts.repair.start()
  return { ...lab, holders, holderAt, keep, stores, own }
}

describe('repair', () => {
  test('stores what nobody stored within the hour at the k nearest, between 45 and 75 minutes after the start', async () => {
    const { simulator, holders, keep, stores, own, node } = await setUp()
    keep()
    await simulator.advance(45 * MINUTE_MS - SECOND_MS)
    expect(stores()).toEqual([0, 0, 0, 0])
    await simulator.advance(31 * MINUTE_MS)
    expect(stores()).toEqual([1, 1, 1, 1])
    const leftSeconds = (START_MS + 24 * HOUR_MS - node.clock.wallNow()) / SECOND_MS
    for (const { stored } of holders) {
      expect(stored).toMatchObject([{ record: RECORD, isCached: false, cas: undefined }])
      expect(stored[0]!.ttlSeconds).toBeGreaterThanOrEqual(Math.floor(leftSeconds))
      expect(stored[0]!.ttlSeconds).toBeLessThan(leftSeconds + 31 * 60)
    }
    expect(node.counters.passedOn).toBe(4)
    // What we stored ourselves counts as heard of.
    expect(own()!.storedAtMs).toBeGreaterThan(START_MS)
    expect(own()!.expiresAtMs).toBe(START_MS + 24 * HOUR_MS)
  })

  test('carries what a life has left, which never grows over many repairs', async () => {
    const { simulator, holders, keep, own } = await setUp()
    const endsAtMs = START_MS + 24 * HOUR_MS
    keep({ expiresAtMs: endsAtMs })
    for (const holder of holders) {
      holder.store = ({ ttlSeconds }) => {
        expect(START_MS + simulator.nowMs + ttlSeconds * SECOND_MS).toBeLessThanOrEqual(endsAtMs + 20)
        return { ttlSeconds }
      }
    }
    await simulator.advance(23 * HOUR_MS)
    expect(holders[0]!.stored.length).toBeGreaterThan(10)
    expect(own()!.expiresAtMs).toBe(endsAtMs)
    const before = holders[0]!.stored.length
    await simulator.advance(10 * HOUR_MS)
    expect(holders[0]!.stored.length - before).toBeLessThanOrEqual(1)
  })

  test('of what a wrong clock wrote lends it 48 h at most, and nobody passes it on afterwards', async () => {
    const { simulator, holders, keep, own } = await setUp()
    keep({ expiresAtMs: START_MS + 9_999 * HOUR_MS })
    await simulator.advance(76 * MINUTE_MS)
    const endsAtMs = own()!.expiresAtMs
    expect(endsAtMs).toBeLessThanOrEqual(START_MS + 76 * MINUTE_MS + 48 * HOUR_MS)
    await simulator.advance(47 * HOUR_MS)
    for (const { stored } of holders) {
      expect(stored[0]!.ttlSeconds).toBeGreaterThan(47 * 3_600)
      for (const { ttlSeconds } of stored) expect(ttlSeconds).toBeLessThanOrEqual(48 * 3_600)
    }
    expect(own()!.expiresAtMs).toBe(endsAtMs)
    await simulator.advance(endsAtMs - START_MS - simulator.nowMs)
    for (const holder of holders) holder.stored.length = 0
    await simulator.advance(10 * HOUR_MS)
    expect(holders.flatMap(({ stored }) => stored)).toEqual([])
  })

  test('counts as heard of only what some holder took', async () => {
    const { simulator, holders, keep, storage, mutable, own } = await setUp()
    keep()
    const { key, record } = signed(3n)
    storage.put(held(mutable, key, record, { storedAtMs: START_MS - 2 * HOUR_MS }))
    for (const [i, holder] of holders.entries()) {
      holder.store = ({ kind, ttlSeconds }) => (kind === mutable.code || i > 0 ? 'ERR_STORE_FULL' : { ttlSeconds })
    }
    await simulator.advance(76 * MINUTE_MS)
    for (const { stored } of holders) expect(stored.length).toBeGreaterThanOrEqual(2)
    expect(own()!.storedAtMs).toBeGreaterThan(START_MS)
    expect(storage.list(key, 1)[0]!.storedAtMs).toBe(START_MS - 2 * HOUR_MS)
  })

  test('that was cut off leaves its records due for the next round', async () => {
    // Rounds that come sooner than an hour after one another: what was heard of would not be due.
    const { simulator, holders, keep, own, node, stores } = await setUp()
    keep()
    const before = holders.map(({ peer }) => peer.onRequest)
    for (const holder of holders) holder.die()
    await simulator.advance(76 * MINUTE_MS)
    expect(node.counters.lookups).toBeGreaterThan(0)
    expect(own()!.storedAtMs).toBe(START_MS - 2 * HOUR_MS)
    for (const [i, { peer, contact }] of holders.entries()) {
      peer.onRequest = before[i]!
      node.table.answered(contact)
    }
    await simulator.advance(76 * MINUTE_MS)
    expect(Math.min(...stores())).toBeGreaterThan(0)
    expect(own()!.storedAtMs).toBeGreaterThan(START_MS)
  })

  test('of a mutable record too, and of all records in one sweep', async () => {
    const { simulator, holders, keep, storage, mutable } = await setUp()
    keep()
    const { key, record } = signed(3n)
    storage.put(held(mutable, key, record, { storedAtMs: START_MS - 2 * HOUR_MS }))
    await simulator.advance(76 * MINUTE_MS)
    for (const { stored } of holders) expect(stored.map(({ kind }) => kind).sort()).toEqual([0, 1])
  })

  test.each<[string, LabOptions & { nearer?: number; holders?: number }, Partial<StoredRecord>]>([
    ['of a client', { client: true }, {}],
    ['when it is switched off', { repair: false }, {}],
    ['of a key that k nodes are nearer to', { nearer: K, holders: K + 2 }, {}],
    ['of what a reader cached', {}, { meta: Uint8Array.of(1) }],
    ['of what ends within a minute', {}, { expiresAtMs: START_MS + 46 * MINUTE_MS }],
    ['of a kind that is not relayed', {}, { kind: 2 }],
    ['of a kind that is not known', {}, { kind: 99 }],
  ])('does nothing %s', async (_what, options, changes) => {
    const { simulator, keep, stores } = await setUp(options)
    keep(changes)
    await simulator.advance(4 * HOUR_MS)
    expect(Math.max(...stores())).toBe(0)
  })

  test('leaves out what another holder stored within the hour, as long as that happens', async () => {
    const { simulator, keep, stores } = await setUp({ nearer: 3 })
    for (let i = 0; i < 40; i++) {
      keep({ storedAtMs: START_MS + simulator.nowMs })
      await simulator.advance(15 * MINUTE_MS)
    }
    expect(stores()).toEqual([0, 0, 0, 0])
  })

  test('is not left out twice running by the nearest three', async () => {
    for (const nearer of [0, 2]) {
      const { simulator, keep, stores } = await setUp({ nearer })
      for (let i = 0; i < 40; i++) {
        keep({ storedAtMs: START_MS + simulator.nowMs })
        await simulator.advance(15 * MINUTE_MS)
      }
      // In ten hours there are 8 to 13 turns; every other one is due.
      expect(stores()[0]).toBeGreaterThanOrEqual(4)
      expect(stores()[0]).toBeLessThanOrEqual(7)
    }
  })

  test('does not bring back what was replaced meanwhile', async () => {
    const { simulator, storage, mutable, holders } = await setUp()
    const { key, record } = signed(3n)
    storage.put(held(mutable, key, record, { storedAtMs: START_MS - 2 * HOUR_MS }))
    for (const holder of holders) {
      holder.tokens = ({ keys }) => {
        storage.put(held(mutable, key, signed(4n).record, { expiresAtMs: START_MS + 5 * HOUR_MS }))
        return { tokens: keys.map(() => ({ token: holder.token, heldSeq: undefined })) }
      }
    }
    await simulator.advance(76 * MINUTE_MS)
    expect(storage.list(key, 1)).toMatchObject([{ record: signed(4n).record, expiresAtMs: START_MS + 5 * HOUR_MS }])
  })

  test('works with a store that answers later, and stop ends it there too', async () => {
    for (const isStopped of [false, true]) {
      const { simulator, keep, stores, parts, node } = await setUp({ storage: laterStore() })
      keep()
      if (isStopped) {
        const { entries } = node.store
        node.store.entries = () => {
          queueMicrotask(() => parts.repair.stop())
          return entries.call(node.store)
        }
      }
      await simulator.advance(76 * MINUTE_MS)
      expect(stores()).toEqual(new Array(4).fill(isStopped ? 0 : 1))
    }
  })

  test('whose store fails goes on the next time', async () => {
    const { simulator, keep, stores, node } = await setUp()
    keep()
    const { entries } = node.store
    node.store.entries = () => {
      throw new Error('the disk is broken')
    }
    await simulator.advance(76 * MINUTE_MS)
    expect(stores()).toEqual([0, 0, 0, 0])
    node.store.entries = () => entries.call(node.store)
    await simulator.advance(76 * MINUTE_MS)
    expect(Math.max(...stores())).toBeGreaterThan(0)
  })

  test('that is stopped during its sweep sends nothing more', async () => {
    const { simulator, keep, stores, parts, holders, node } = await setUp()
    keep()
    for (const holder of holders) {
      holder.tokens = ({ keys }) => {
        parts.repair.stop()
        return { tokens: keys.map(() => ({ token: holder.token, heldSeq: undefined })) }
      }
    }
    await simulator.advance(9 * HOUR_MS)
    expect([stores(), node.rpc.pendingCalls]).toEqual([[0, 0, 0, 0], 0])
  })
})

describe('a newcomer', () => {
  const come = async (options: LabOptions & { nearer?: number; holders?: number } = {}, sharedBits = 150) => {
    const opened = await setUp(options)
    const newcomer = await opened.holderAt(sharedBits)
    opened.keep({ storedAtMs: START_MS })
    const enter = async () => {
      opened.node.table.answered(newcomer.contact)
      await opened.simulator.advance(30 * SECOND_MS)
    }
    return { ...opened, newcomer, enter }
  }

  test('that is one of the k nearest gets the record from the nearest holder, a moment later, with what its life has left', async () => {
    const { newcomer, enter, stores, node } = await come()
    await enter()
    expect(newcomer.stored).toMatchObject([{ record: RECORD, isCached: false, ttlSeconds: 24 * 3_600 - 6 }])
    expect(stores()).toEqual([0, 0, 0, 0])
    expect(node.counters.passedOn).toBe(1)
  })

  test('that is farther than we, but one of the k nearest, gets it too', async () => {
    const { newcomer, enter } = await come({}, 60)
    await enter()
    expect(newcomer.stored).toHaveLength(1)
  })

  test('gets nothing from a holder that another one is nearer than', async () => {
    for (const sharedBits of [150, 60]) {
      const { newcomer, enter } = await come({ nearer: 1 }, sharedBits)
      await enter()
      expect([newcomer.stored, newcomer.tokensAsked]).toEqual([[], []])
    }
  })

  test('that is none of the k nearest gets nothing', async () => {
    const { newcomer, enter } = await come({ holders: 8 }, 5)
    await enter()
    expect(newcomer.tokensAsked).toEqual([])
  })

  test('gets only what it lacks', async () => {
    const { newcomer, enter, storage, mutable } = await come()
    const { key, record } = signed(3n)
    // Of a key that nobody is nearer to than the newcomer and we.
    storage.put(held(mutable, key, record))
    newcomer.tokens = ({ kind, keys }) => ({
      tokens: keys.map(() => ({ token: newcomer.token, heldSeq: kind === 0 ? 0n : undefined })),
    })
    await enter()
    expect(newcomer.stored.filter(({ kind }) => kind === 0)).toEqual([])
  })

  test.each<[string, LabOptions, Partial<StoredRecord>]>([
    ['from a client', { client: true }, {}],
    ['where repair is switched off', { repair: false }, {}],
    ['of what a reader cached', {}, { meta: Uint8Array.of(1) }],
    ['of a kind that is not relayed', {}, { kind: 2 }],
    ['of what ends within a minute', {}, { expiresAtMs: START_MS + MINUTE_MS }],
  ])('gets nothing %s', async (_what, options, changes) => {
    const { newcomer, enter, keep, storage } = await come(options)
    storage.delete(KEY, 0, new Uint8Array(0))
    keep(changes)
    await enter()
    expect(newcomer.peer.requests(TOKENS)).toEqual([])
  })

  test('gets each record once when several come at once', async () => {
    const { newcomer, enter, node, holderAt, simulator } = await come()
    const second = await holderAt(160)
    node.table.answered(second.contact)
    await enter()
    await simulator.advance(60 * SECOND_MS)
    expect([newcomer.stored.length, second.stored.length]).toEqual([1, 1])
    expect(sameBytes(newcomer.stored[0]!.token, newcomer.token)).toBe(true)
  })

  test('gets nothing after stop', async () => {
    const { newcomer, enter, parts, node, holderAt, simulator } = await come()
    node.table.answered((await holderAt(160)).contact)
    parts.repair.stop()
    await enter()
    await simulator.advance(9 * HOUR_MS)
    expect(newcomer.peer.requests(TOKENS)).toEqual([])
  })
})
