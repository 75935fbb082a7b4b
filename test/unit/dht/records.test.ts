import { describe, expect, test } from 'vitest'
import type { RecordKind } from '../../../src/index.js'
import { keyOf, toHex } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, idsOf, kill, newcomer, simulate } from './network.js'
import { count, countsOf, tally } from './tally-kind.js'

const KEY = keyOf('a tally')
const RECORDS = { records: [tally] }
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

describe('storeRecord and findRecords', () => {
  test('what was stored is found by every node, one record for each slot', async () => {
    await simulate('own kind', async (simulator) => {
      const members = await grow(simulator, 10, () => ({ ...RECORDS, k: 4 }))
      for (let slot = 0; slot < 5; slot++) {
        const { storedAt, messages } = await members[slot]!.dht.storeRecord(tally, KEY, count(KEY, slot, 10 + slot))
        expect(storedAt.length).toBeGreaterThanOrEqual(3)
        expect(messages).toBeGreaterThanOrEqual(2 * storedAt.length)
      }
      for (const { dht } of members) {
        const { records, ...costs } = await dht.findRecords(tally, KEY)
        expect(countsOf(records)).toEqual({ 0: 10, 1: 11, 2: 12, 3: 13, 4: 14 })
        expect(Object.keys(costs).sort()).toEqual(['elapsedMs', 'hops', 'messages'])
      }
    })
  })

  test('records of one slot are merged, whoever stored which first', async () => {
    await simulate('merged', async (simulator) => {
      const members = await grow(simulator, 8, () => RECORDS)
      const [a, b, c] = members as [Member, Member, Member]
      await a.dht.storeRecord(tally, KEY, count(KEY, 1, 5))
      await b.dht.storeRecord(tally, KEY, count(KEY, 1, 9))
      // Where a kind has no sequence numbers, who comes too late is not told.
      const late = await c.dht.storeRecord(tally, KEY, count(KEY, 1, 7), { acknowledgements: 20 })
      expect(late.storedAt).toHaveLength(7)
      for (const { dht } of members) expect(countsOf((await dht.findRecords(tally, KEY)).records)).toEqual({ 1: 9 })
    })
  })

  test('what different holders have is merged by the reader', async () => {
    await simulate('merged by the reader', async (simulator) => {
      const members = await grow(simulator, 8, () => ({ ...RECORDS, repair: false }))
      const [a, b] = [members[0]!, members[7]!]
      simulator.partition([members.slice(0, 4).map(({ host }) => host)])
      await a.dht.storeRecord(tally, KEY, count(KEY, 1, 5))
      await a.dht.storeRecord(tally, KEY, count(KEY, 2, 5))
      await b.dht.storeRecord(tally, KEY, count(KEY, 2, 6))
      await b.dht.storeRecord(tally, KEY, count(KEY, 3, 6))
      simulator.heal()
      const reader = newcomer(simulator, { ...RECORDS, client: true, bootstrap: [a.host.address, b.host.address] })
      await reader.dht.start()
      expect(countsOf((await reader.dht.findRecords(tally, KEY)).records)).toEqual({ 1: 5, 2: 6, 3: 6 })
    })
  })

  test('of a kind where the first is enough, one is found, and an own copy without asking anybody', async () => {
    await simulate('first is enough', async (simulator) => {
      const only: RecordKind = { ...tally, slotsPerKeyMax: 1, isFirstEnough: true }
      const [a, b] = (await grow(simulator, 8, () => ({ records: [only] }))) as [Member, Member]
      await a.dht.storeRecord(only, KEY, count(KEY, 1, 1))
      const own = await b.dht.findRecords(only, KEY)
      expect(own).toEqual({ records: [count(KEY, 1, 1)], hops: 0, messages: 0, elapsedMs: 0 })
      const client = newcomer(simulator, { records: [only], client: true, bootstrap: [a.host.address] })
      await client.dht.start()
      expect((await client.dht.findRecords(only, KEY)).records).toEqual([count(KEY, 1, 1)])
      const absent = await client.dht.findRecords(only, keyOf('another'))
      expect(absent.records).toEqual([])
      expect(absent.messages).toBeGreaterThan(0)
    })
  })

  test('of a key under which there is nothing are none', async () => {
    await simulate('no records', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 5, () => RECORDS)) as [Member]
      expect((await dht.findRecords(tally, KEY)).records).toEqual([])
    })
  })

  test('with nobody to ask they are ERR_NO_CONTACTS, and where most are dead ERR_TIMEOUT', async () => {
    await simulate('nobody to ask', async (simulator) => {
      const [alone] = (await grow(simulator, 1, () => RECORDS)) as [Member]
      await failure(alone.dht.findRecords(tally, KEY), 'ERR_NO_CONTACTS')
      await failure(alone.dht.storeRecord(tally, KEY, count(KEY, 1, 1)), 'ERR_NO_CONTACTS')
      const [{ dht }, ...others] = (await grow(simulator, 6, () => RECORDS)) as [Member, ...Member[]]
      kill(others.slice(1))
      await failure(dht.findRecords(tally, KEY), 'ERR_TIMEOUT')
    })
  })

  test('only nodes that have the kind keep its records', async () => {
    await simulate('kind unknown', async (simulator) => {
      const members = await grow(simulator, 8, (i) => (i < 4 ? RECORDS : {}))
      const { storedAt } = await members[0]!.dht.storeRecord(tally, KEY, count(KEY, 1, 1))
      expect(idsOf(storedAt).sort()).toEqual(
        members
          .slice(1, 4)
          .map(({ dht }) => toHex(dht.id))
          .sort(),
      )
      const strangers = await grow(simulator, 3, (i) => (i === 0 ? RECORDS : {}))
      const error = await failure(strangers[0]!.dht.storeRecord(tally, KEY, count(KEY, 1, 1), {}), 'ERR_NOT_STORED')
      expect(error.cause).toMatchObject({ code: 'ERR_INVALID_RECORD' })
    })
  })

  test('a kind that is not one of the options is a TypeError, and one of the protocol is too', async () => {
    await simulate('strange kind', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 3, () => RECORDS)) as [Member]
      for (const kind of [undefined, null, {}, 64, 'tally', { ...tally }, { ...tally, code: 1 }]) {
        for (const calling of [
          dht.storeRecord(kind as RecordKind, KEY, count(KEY, 1, 1)),
          dht.findRecords(kind as RecordKind, KEY),
        ]) {
          await expect(calling).rejects.toThrow(TypeError)
          await expect(calling).rejects.toThrow("'records'")
        }
      }
    })
  })

  test('a record that is not valid for the key is a TypeError, and one that is too long ERR_VALUE_TOO_LARGE', async () => {
    await simulate('invalid record', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 3, () => RECORDS)) as [Member]
      const sentBefore = simulator.stats.sent
      for (const record of [count(keyOf('another'), 1, 1), bytes(0), KEY]) {
        await expect(dht.storeRecord(tally, KEY, record)).rejects.toThrow('not valid for the key')
        await expect(dht.storeRecord(tally, KEY, record)).rejects.toThrow(TypeError)
      }
      const longest = count(KEY, 1, 1, tally.recordBytesMax - 34)
      await failure(dht.storeRecord(tally, KEY, Uint8Array.of(...longest, 0)), 'ERR_VALUE_TOO_LARGE')
      expect(simulator.stats.sent).toBe(sentBefore)
      expect((await dht.storeRecord(tally, KEY, longest)).storedAt).toHaveLength(2)
      expect((await dht.findRecords(tally, KEY)).records).toEqual([longest])
    })
  })

  test('a kind whose members throw makes records invalid, and ends no node', async () => {
    await simulate('kind that throws', async (simulator) => {
      const thrower: RecordKind = {
        ...tally,
        isValid() {
          throw new Error('isValid failed')
        },
      }
      const members = await grow(simulator, 4, (i) => ({ records: [i < 2 ? tally : thrower] }))
      const { storedAt } = await members[0]!.dht.storeRecord(tally, KEY, count(KEY, 1, 1))
      expect(idsOf(storedAt)).toEqual([toHex(members[1]!.dht.id)])
      await expect(members[3]!.dht.storeRecord(thrower, KEY, count(KEY, 1, 1))).rejects.toThrow(TypeError)
      expect((await members[3]!.dht.findRecords(thrower, KEY)).records).toEqual([])
      expect((await members[3]!.dht.ping(members[0]!.host.address)).id).toEqual(members[0]!.dht.id)
    })
  })
})

describe('what a node stores is stored again by itself', () => {
  const LIFETIME_MS = 10 * MINUTE_MS
  const store = {
    put: (dht: Member['dht'], options: object) => dht.put(bytes(50), options),
    storeRecord: (dht: Member['dht'], options: object) => dht.storeRecord(tally, KEY, count(KEY, 1, 1), options),
  }
  const recordsOf = (members: readonly Member[]): number[] => members.map(({ dht }) => dht.stats().storage.records)

  test.each(Object.entries(store))('%s: beyond its lifetime, for as long as the node is open', async (name, call) => {
    await simulate(`republish ${name}`, async (simulator) => {
      const members = await grow(simulator, 6, () => RECORDS)
      const [publisher, ...others] = members as [Member, ...Member[]]
      await call(publisher.dht, { lifetimeMs: LIFETIME_MS })
      expect(publisher.dht.stats()).toMatchObject({ publications: 1, republished: 0 })
      await simulator.delay(5 * LIFETIME_MS)
      expect(recordsOf(others)).toEqual([1, 1, 1, 1, 1])
      expect(publisher.dht.stats().republished).toBeGreaterThanOrEqual(5 * 9)
      await publisher.dht.close()
      await simulator.delay(LIFETIME_MS + MINUTE_MS)
      expect(recordsOf(others)).toEqual([0, 0, 0, 0, 0])
    })
  })

  test.each(Object.entries(store))('%s: not where it is told not to', async (name, call) => {
    await simulate(`no republish ${name}`, async (simulator) => {
      const members = await grow(simulator, 6, () => RECORDS)
      await call(members[0]!.dht, { lifetimeMs: LIFETIME_MS, republish: false })
      expect(members[0]!.dht.stats().publications).toBe(0)
      await simulator.delay(LIFETIME_MS - MINUTE_MS)
      expect(recordsOf(members)).toEqual([1, 1, 1, 1, 1, 1])
      await simulator.delay(2 * MINUTE_MS)
      expect(recordsOf(members)).toEqual([0, 0, 0, 0, 0, 0])
    })
  })

  test('each slot of a key that one node stored is', async () => {
    await simulate('republish slots', async (simulator) => {
      const members = await grow(simulator, 4, () => ({ ...RECORDS, valueLifetimeMs: LIFETIME_MS }))
      const [publisher, reader] = members as [Member, Member]
      for (const slot of [1, 2, 3]) await publisher.dht.storeRecord(tally, KEY, count(KEY, slot, 1))
      await simulator.delay(3 * LIFETIME_MS)
      expect(countsOf((await reader.dht.findRecords(tally, KEY)).records)).toEqual({ 1: 1, 2: 1, 3: 1 })
    })
  })

  test('storeRecord that is told not to ends the renewal of its own slot only', async () => {
    await simulate('republish ends for one slot', async (simulator) => {
      const members = await grow(simulator, 4, () => ({ ...RECORDS, valueLifetimeMs: LIFETIME_MS }))
      const [publisher, reader] = members as [Member, Member]
      for (const slot of [1, 2, 3]) await publisher.dht.storeRecord(tally, KEY, count(KEY, slot, 1))
      await publisher.dht.storeRecord(tally, KEY, count(KEY, 2, 2), { republish: false })
      expect(publisher.dht.stats().publications).toBe(2)
      await simulator.delay(3 * LIFETIME_MS)
      expect(countsOf((await reader.dht.findRecords(tally, KEY)).records)).toEqual({ 1: 1, 3: 1 })
    })
  })

  test('the lifetime of the node is the default, and the one of a call goes before it', async () => {
    await simulate('lifetimes', async (simulator) => {
      const members = await grow(simulator, 3, () => ({ ...RECORDS, valueLifetimeMs: LIFETIME_MS }))
      const [{ dht }, reader] = members as [Member, Member]
      const long = await dht.put(bytes(1), { republish: false, lifetimeMs: 48 * HOUR_MS })
      const short = await dht.put(bytes(2), { republish: false, lifetimeMs: 1000 })
      const usual = await dht.put(bytes(3), { republish: false })
      await simulator.delay(1500)
      expect(await reader.dht.get(short.key)).toBeUndefined()
      expect(await reader.dht.get(usual.key)).toBeDefined()
      await simulator.delay(LIFETIME_MS)
      expect(await reader.dht.get(usual.key)).toBeUndefined()
      await simulator.delay(40 * HOUR_MS)
      expect(await reader.dht.get(long.key)).toBeDefined()
    })
  })

  test('a node without repair passes nothing on, and stores its own again all the same', async () => {
    await simulate('no repair', async (simulator) => {
      const members = await grow(simulator, 5, (i) => ({ repair: i !== 1, valueLifetimeMs: 6 * HOUR_MS }))
      const [publisher, keeper] = members as [Member, Member]
      await publisher.dht.put(bytes(10))
      await simulator.delay(2.5 * HOUR_MS)
      const late = newcomer(simulator, { bootstrap: [publisher.host.address] })
      await late.dht.start()
      await simulator.delay(2 * HOUR_MS)
      expect(late.dht.stats().storage.records).toBe(1)
      expect(keeper.dht.stats()).toMatchObject({ passedOn: 0, storage: { records: 1 } })
      const own = await keeper.dht.put(bytes(20), { lifetimeMs: LIFETIME_MS })
      await simulator.delay(3 * LIFETIME_MS)
      expect((await late.dht.get(own.key))?.value).toEqual(bytes(20))
    })
  })
})

describe('forget', () => {
  test('ends that a value is stored again; it is kept until its lifetime ends', async () => {
    await simulate('forget', async (simulator) => {
      const [{ dht }, reader] = (await grow(simulator, 4, () => RECORDS)) as [Member, Member]
      const { key } = await dht.put(bytes(10), { lifetimeMs: 10 * MINUTE_MS })
      const wanted = new Uint8Array(key)
      expect(dht.forget(wanted)).toBe(true)
      expect(dht.forget(key)).toBe(false)
      expect(dht.stats().publications).toBe(0)
      await simulator.delay(9 * MINUTE_MS)
      expect(await reader.dht.get(key)).toBeDefined()
      await simulator.delay(2 * MINUTE_MS)
      expect(await reader.dht.get(key)).toBeUndefined()
    })
  })

  test('ends it for every record of the key', async () => {
    await simulate('forget slots', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 4, () => RECORDS)) as [Member]
      for (const slot of [1, 2]) await dht.storeRecord(tally, KEY, count(KEY, slot, 1), { lifetimeMs: 10 * MINUTE_MS })
      expect(dht.forget(KEY)).toBe(true)
      expect(dht.stats().publications).toBe(0)
      await simulator.delay(11 * MINUTE_MS)
      expect((await dht.findRecords(tally, KEY)).records).toEqual([])
    })
  })

  test('of a key that this node did not store is false', async () => {
    await simulate('forget nothing', async (simulator) => {
      const [a, b] = (await grow(simulator, 3)) as [Member, Member]
      const { key } = await a.dht.put(bytes(10))
      expect(b.dht.forget(key)).toBe(false)
      expect(newcomer(simulator).dht.forget(key)).toBe(false)
    })
  })

  test.each([undefined, null, 'key', [1], new ArrayBuffer(32)])('of %o is a TypeError', async (key) => {
    await simulate('forget wrongly', async (simulator) => {
      expect(() => newcomer(simulator).dht.forget(key as never)).toThrow(TypeError)
      expect(() => newcomer(simulator).dht.forget(bytes(31))).toThrow(RangeError)
    })
  })
})
