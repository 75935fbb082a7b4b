import { describe, expect, test } from 'vitest'
import type { Contact, Dht, RecordStore, Refused } from '../../../src/index.js'
import { DhtError, distance, generateKeyPair, keyOf, MemoryStore, toHex } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, contactOf, failure, grow, idsOf, kill, newcomer, ONE_WAY_MS, simulate } from './network.js'
import { count, tally } from './tally-kind.js'

const NO_ROOM = { bytesMax: 0, recordsMax: 0 }
const KEY = keyOf('a key')
const ROUND_TRIP_MS = 2 * ONE_WAY_MS

/** A store whose disk is broken. */
function brokenStore(): RecordStore {
  const fail = (): never => {
    throw new Error('the disk is broken')
  }
  const store = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
  return Object.assign(store, { list: fail, put: fail })
}

/** The members' ids, nearest to the key first, as a naive model sorts them. */
function nearestFirst(members: readonly Member[], key: Uint8Array): string[] {
  const order = ({ dht }: Member): string => toHex(distance(dht.id, key))
  return [...members].sort((a, b) => (order(a) < order(b) ? -1 : 1)).map(({ dht }) => toHex(dht.id))
}

describe('put and get', () => {
  test.each([0, 1, 2, 879, 880])('a value of %i bytes comes back as it was', async (length) => {
    await simulate(`value of ${length}`, async (simulator) => {
      const members = await grow(simulator, 12, () => ({ k: 3 }))
      const value = bytes(length)
      const { key, storedAt } = await members[1]!.dht.put(value)
      expect(key).toEqual(keyOf(value))
      expect(storedAt.length).toBeGreaterThan(0)
      for (const { dht } of members) expect((await dht.get(key))?.value).toEqual(value)
    })
  })

  test('put says who stored: exactly those that did, nearest to the key first', async () => {
    await simulate('who stored', async (simulator) => {
      const members = await grow(simulator, 9, (i) => (i % 2 ? { storage: new MemoryStore(NO_ROOM) } : {}))
      const { key, storedAt } = await members[0]!.dht.put(bytes(100))
      const expected = members.filter((_, i) => i > 0 && i % 2 === 0)
      expect(idsOf(storedAt)).toEqual(nearestFirst(expected, key))
      for (const { dht } of expected) expect(dht.stats().storage.records).toBe(1)
    })
  })

  test.each<[string, (dht: Dht) => Promise<{ storedAt: Contact[]; refused: Refused[] }>]>([
    ['put', (dht) => dht.put(bytes(100))],
    ['publish', (dht) => dht.publish(generateKeyPair({ seed: bytes(32) }), bytes(100))],
    ['storeRecord', (dht) => dht.storeRecord(tally, KEY, count(KEY, 1, 1))],
    ['announce', (dht) => dht.announce(KEY)],
  ])('%s says who refused, and why', async (name, store) => {
    await simulate(`who refused ${name}`, async (simulator) => {
      const members = await grow(simulator, 6, (i) => {
        return { records: [tally], ...(i === 2 && { storage: new MemoryStore(NO_ROOM) }) }
      })
      const { storedAt, refused } = await store(members[0]!.dht)
      expect(storedAt).toHaveLength(4)
      expect(refused).toEqual([{ ...contactOf(members[2]!), error: expect.any(DhtError) }])
      expect(refused[0]?.error.code).toBe('ERR_STORE_FULL')
      refused[0]?.id.fill(0)
      expect(idsOf(members[0]!.dht.contacts())).toContain(toHex(members[2]!.dht.id))
      kill([members[2]!])
      const again = await grow(simulator, 3, () => ({ records: [tally] }))
      expect((await store(again[0]!.dht)).refused).toEqual([])
    })
  })

  test('k nodes store, the nearest to the key', async () => {
    await simulate('k nodes', async (simulator) => {
      const members = await grow(simulator, 15, () => ({ k: 4 }))
      const { key, storedAt } = await members[3]!.dht.put(bytes(100), { acknowledgements: 4 })
      const others = members.filter((_, i) => i !== 3)
      expect(idsOf(storedAt)).toEqual(nearestFirst(others, key).slice(0, 4))
    })
  })

  test.each([
    ['ERR_STORE_FULL', () => new MemoryStore(NO_ROOM)],
    ['ERR_REMOTE', brokenStore],
  ] as const)('a put that every store refuses is ERR_NOT_STORED, its cause %s', async (code, storage) => {
    await simulate(`nobody stores ${code}`, async (simulator) => {
      const members = await grow(simulator, 6, (i) => (i === 1 ? {} : { storage: storage() }))
      const error = await failure(members[1]!.dht.put(bytes(100)), 'ERR_NOT_STORED')
      expect(error.cause).toMatchObject({ code })
    })
  })

  test('a broken store of our own keeps no value from being put and got', async () => {
    await simulate('own store broken', async (simulator) => {
      const members = await grow(simulator, 4, (i) => (i === 1 ? { storage: brokenStore() } : {}))
      const { key, storedAt } = await members[1]!.dht.put(bytes(100))
      expect(storedAt).toHaveLength(3)
      expect((await members[1]!.dht.get(key))?.value).toEqual(bytes(100))
    })
  })

  test('an own copy is got without asking anybody', async () => {
    await simulate('own copy', async (simulator) => {
      const members = await grow(simulator, 4)
      const { dht } = members[1]!
      const { key } = await dht.put(bytes(100))
      const sentBefore = simulator.stats.sent
      expect(await dht.get(key)).toEqual({ value: bytes(100), parts: 1, hops: 0, messages: 0, elapsedMs: 0 })
      expect(simulator.stats.sent).toBe(sentBefore)
      kill(members.filter((_, i) => i !== 1))
      expect((await dht.get(key))?.value).toEqual(bytes(100))
    })
  })

  test('a client keeps nothing for others, not even its own values', async () => {
    await simulate('client', async (simulator) => {
      const members = await grow(simulator, 4)
      const { dht } = newcomer(simulator, { client: true, bootstrap: [members[0]!.host.address] })
      await dht.start()
      const { key, storedAt } = await dht.put(bytes(100), { acknowledgements: 20 })
      expect(storedAt).toHaveLength(4)
      expect(dht.stats().storage.records).toBe(0)
      expect((await dht.get(key))?.messages).toBeGreaterThan(0)
      for (const member of members) expect(idsOf(member.dht.contacts())).not.toContain(toHex(dht.id))
    })
  })
})

describe('absence', () => {
  const ABSENT = keyOf('nobody put this')

  test('a key that nobody stored under is undefined', async () => {
    await simulate('absent', async (simulator) => {
      for (const { dht } of await grow(simulator, 12)) expect(await dht.get(ABSENT)).toBeUndefined()
    })
  })

  test('with an empty table it is ERR_NO_CONTACTS, not undefined', async () => {
    await simulate('alone', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 1)) as [Member]
      await failure(dht.get(ABSENT), 'ERR_NO_CONTACTS')
      await failure(dht.findNode(ABSENT), 'ERR_NO_CONTACTS')
      await failure(dht.put(bytes(3)), 'ERR_NO_CONTACTS')
    })
  })

  test.each([
    [4, 'undefined'],
    [8, 'ERR_TIMEOUT'],
    [11, 'ERR_TIMEOUT'],
  ] as const)('when %i of the 11 nearest are dead it is %s', async (deadCount, outcome) => {
    await simulate(`dead ${deadCount}`, async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 12)) as [Member, ...Member[]]
      kill(others.slice(0, deadCount))
      const getting = dht.get(ABSENT)
      if (outcome === 'undefined') expect(await getting).toBeUndefined()
      else await failure(getting, outcome)
    })
  })

  test('when nobody at all answers, put and findNode are ERR_TIMEOUT', async () => {
    await simulate('all dead', async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 6)) as [Member, ...Member[]]
      kill(others)
      await failure(dht.put(bytes(3)), 'ERR_TIMEOUT')
      await failure(dht.findNode(ABSENT), 'ERR_TIMEOUT')
    })
  })

  test('a value is found though most of its holders are dead', async () => {
    await simulate('few holders left', async (simulator) => {
      const members = await grow(simulator, 12)
      const { key } = await members[1]!.dht.put(bytes(100))
      const late = newcomer(simulator, { bootstrap: [members[0]!.host.address] })
      await late.dht.start()
      kill(members.slice(0, 10))
      expect((await late.dht.get(key))?.value).toEqual(bytes(100))
    })
  })

  test('a value that nobody stores again is gone after its lifetime, and kept until then', async () => {
    await simulate('lifetime', async (simulator) => {
      const members = await grow(simulator, 4, () => ({ valueLifetimeMs: 60_000 }))
      const { key } = await members[1]!.dht.put(bytes(100), { republish: false })
      await simulator.delay(55_000)
      expect((await members[2]!.dht.get(key))?.value).toEqual(bytes(100))
      await simulator.delay(10_000)
      expect(await members[2]!.dht.get(key)).toBeUndefined()
      await simulator.delay(60_000)
      for (const { dht } of members) expect(dht.stats().storage.records).toBe(0)
    })
  })
})

describe('costs', () => {
  test('messages counts exactly the requests that were sent, and elapsedMs the time that passed', async () => {
    await simulate('costs', async (simulator) => {
      const members = await grow(simulator, 40, () => ({ k: 5 }))
      const { dht, host } = members[7]!
      const measure = async <T extends { hops: number; messages: number; elapsedMs: number }>(
        call: () => Promise<T>,
      ) => {
        let requests = 0
        simulator.setFilter((datagram) => {
          // Shorter ones are the pings of admission, which no call of the application pays for.
          if (datagram.from === host.address && datagram.bytes.length > 100) requests++
          return true
        })
        const startedAtMs = simulator.nowMs
        const result = await call()
        simulator.setFilter(undefined)
        expect(result.messages).toBe(requests)
        expect(result.elapsedMs).toBeCloseTo(simulator.nowMs - startedAtMs, 3)
        expect(result.elapsedMs).toBeGreaterThanOrEqual(result.hops * ROUND_TRIP_MS)
        expect(result.hops).toBeGreaterThanOrEqual(1)
        await simulator.delay(5000)
        return result
      }
      const { messages } = await measure(() => dht.findNode(keyOf('a point')))
      expect(messages).toBeGreaterThanOrEqual(5)
      const { key, storedAt, ...putCosts } = await measure(() => dht.put(bytes(100)))
      expect(putCosts.messages).toBeGreaterThanOrEqual(2 * storedAt.length)
      const reader = members.find((member) => !idsOf(storedAt).includes(toHex(member.dht.id)) && member.dht !== dht)!
      const found = await reader.dht.get(key)
      expect(found?.hops).toBeGreaterThanOrEqual(1)
      expect(found?.messages).toBeGreaterThanOrEqual(found?.hops as number)
      expect(found?.elapsedMs).toBeGreaterThanOrEqual(ROUND_TRIP_MS)
    })
  })

  test('findNode gives the k nearest that live, nearest first, the own node left out', async () => {
    await simulate('findNode', async (simulator) => {
      const members = await grow(simulator, 40, () => ({ k: 5 }))
      const { dht } = members[7]!
      const others = members.filter((member) => member.dht !== dht)
      for (const target of [dht.id, members[9]!.dht.id, keyOf('a point')]) {
        const { closest } = await dht.findNode(target)
        expect(idsOf(closest)).toEqual(nearestFirst(others, target).slice(0, 5))
      }
    })
  })
})
