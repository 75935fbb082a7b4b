import { describe, expect, test } from 'vitest'
import type { QueryReply } from '../../../src/index.js'
import { DhtError, keyOf, toHex } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, contactOf, failure, grow, idsOf, kill, newcomer, ONE_WAY_MS, simulate } from './network.js'

const TARGET = keyOf('a point of the key space')
const LOAD = 'app/load'

async function all(replies: AsyncIterable<QueryReply>): Promise<QueryReply[]> {
  const found: QueryReply[] = []
  for await (const reply of replies) found.push(reply)
  return found
}

function handleAll(members: readonly Member[], answer: (index: number) => Uint8Array): void {
  members.forEach(({ dht }, index) => {
    dht.handle(LOAD, () => answer(index))
  })
}

describe('query', () => {
  test('brings the answer of each of the k nearest, once, and gives its handlers payload and target', async () => {
    await simulate('query', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 6 }))
      const seen: string[] = []
      members.forEach(({ dht }, index) => {
        dht.handle(LOAD, (payload, { from, target }) => {
          seen.push(`${payload.length} ${toHex(from.id)} ${target && toHex(target)}`)
          return Uint8Array.of(index)
        })
      })
      const asker = members[9]!
      const replies = await all(asker.dht.query(TARGET, LOAD, bytes(5)))
      const { closest } = await asker.dht.findNode(TARGET)
      expect(closest).toHaveLength(6)
      expect(idsOf(replies.map(({ from }) => from))).toEqual(expect.arrayContaining(idsOf(closest)))
      for (const { from, payload } of replies) expect(from).toEqual(contactOf(members[payload[0]!]!))
      expect(new Set(replies.map(({ payload }) => payload[0])).size).toBe(replies.length)
      expect(new Set(seen)).toEqual(new Set([`5 ${toHex(asker.dht.id)} ${toHex(TARGET)}`]))
      expect(seen).toHaveLength(replies.length)
    })
  })

  test('finds its way over nodes that do not handle it, and past handlers that fail', async () => {
    await simulate('query few', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 6 }))
      const { closest } = await members[9]!.dht.findNode(TARGET)
      const near = members.filter(({ dht }) => idsOf(closest).includes(toHex(dht.id)))
      handleAll(near.slice(0, 2), (index) => {
        if (index === 0) throw new Error('no')
        return Uint8Array.of(index)
      })
      const replies = await all(members[9]!.dht.query(TARGET, LOAD))
      expect(replies).toEqual([{ from: contactOf(near[1]!), payload: Uint8Array.of(1) }])
    })
  })

  test('goes on where an answer leaves no room for contacts', async () => {
    await simulate('query long', async (simulator) => {
      const members = await grow(simulator, 40, () => ({ k: 8 }))
      handleAll(members, (index) => bytes(1_000, index))
      const replies = await all(members[9]!.dht.query(TARGET, LOAD, bytes(1_000)))
      const { closest } = await members[9]!.dht.findNode(TARGET)
      expect(idsOf(replies.map(({ from }) => from))).toEqual(expect.arrayContaining(idsOf(closest)))
      for (const { payload } of replies) expect(payload).toHaveLength(1_000)
    })
  })

  test('waits for handlers that take their time', async () => {
    await simulate('query slow', async (simulator) => {
      const members = await grow(simulator, 30)
      members.forEach(({ dht }, index) => {
        dht.handle(LOAD, async () => {
          await simulator.delay(100 + 45 * index)
          return Uint8Array.of(index)
        })
      })
      const { dht } = members[9]!
      const replies = await all(dht.query(TARGET, LOAD))
      const { closest } = await dht.findNode(TARGET)
      expect(idsOf(replies.map(({ from }) => from))).toEqual(expect.arrayContaining(idsOf(closest)))
    })
  })

  test('begins with the first next, and ends with the loop that is left', async () => {
    await simulate('query left', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 6 }))
      handleAll(members, () => bytes(1))
      const { dht } = members[9]!
      const before = dht.stats().lookups
      const replies = dht.query(TARGET, LOAD)
      await simulator.delay(1000)
      expect(dht.stats().lookups).toBe(before)
      for await (const _ of replies) break
      expect(dht.stats().lookups).toBe(before + 1)
      expect(dht.stats().pendingCalls).toBe(0)
      expect(await replies.next()).toEqual({ value: undefined, done: true })
    })
  })

  test('of a lost network is ERR_TIMEOUT, of an empty table ERR_NO_CONTACTS, and of a closed node ERR_CLOSED', async () => {
    await simulate('query lost', async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 6)) as [Member, ...Member[]]
      const alone = newcomer(simulator)
      await alone.dht.start()
      await failure(all(alone.dht.query(TARGET, LOAD)), 'ERR_NO_CONTACTS')
      kill(others)
      await failure(all(dht.query(TARGET, LOAD)), 'ERR_TIMEOUT')
      const closing = all(dht.query(TARGET, LOAD))
      await simulator.delay(5)
      await dht.close()
      await failure(closing, 'ERR_CLOSED')
    })
  })

  test('says at once what is wrong with its arguments', async () => {
    await simulate('query wrong', async (simulator) => {
      const { dht } = newcomer(simulator)
      expect(() => dht.query(bytes(31), LOAD)).toThrow(RangeError)
      expect(() => dht.query('x' as never, LOAD)).toThrow(TypeError)
      expect(() => dht.query(TARGET, '')).toThrow(RangeError)
      expect(() => dht.query(TARGET, 7 as never)).toThrow(TypeError)
      expect(() => dht.query(TARGET, LOAD, bytes(1_001))).toThrow(DhtError)
      expect(() => dht.query(TARGET, LOAD, bytes(1), { paths: 3 } as never)).toThrow(TypeError)
    })
  })
})

describe('concurrent gets of one key', () => {
  test('are served by one lookup, and each caller gets a value of its own', async () => {
    await simulate('shared get', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 4 }))
      const { key } = await members[3]!.dht.put(bytes(100))
      await simulator.delay(1000)
      const { dht } = members.find((member) => member.dht.stats().storage.records === 0)!
      const before = dht.stats().lookups
      const started = simulator.nowMs
      const first = dht.get(key)
      await simulator.delay(10)
      const [one, two, ...others] = await Promise.all([first, ...Array.from({ length: 5 }, () => dht.get(key))])
      expect(dht.stats().lookups).toBe(before + 1)
      expect(one!.elapsedMs).toBe(simulator.nowMs - started)
      expect(two!.elapsedMs).toBe(one!.elapsedMs - 10)
      one!.value.fill(0)
      for (const found of [two, ...others]) expect(found!.value).toEqual(bytes(100))
      await dht.get(key)
      expect(dht.stats().lookups).toBe(before + 2)
    })
  })

  test('begun after a put of this node find what it put, though an older one looks in vain', async () => {
    await simulate('read your writes', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 4 }))
      const { dht } = members[9]!
      const value = bytes(100, 7)
      const key = keyOf(value)
      // So slow that the first get still waits when the put is done.
      const [slow] = (await dht.findNode(key)).closest
      const isHeld = ({ from, to }: { from: string; to: string }) => from === slow!.address && to === dht.address
      simulator.setFilter((datagram) => !isHeld(datagram))
      const first = dht.get(key).catch(() => undefined)
      await simulator.delay(ONE_WAY_MS * 3)
      await dht.put(value, { acknowledgements: 1 })
      expect((await dht.get(key))?.value).toEqual(value)
      await first
    })
  })

  test('go on when one of the callers gives up, and end with the last', async () => {
    await simulate('shared get aborted', async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 8)) as [Member, ...Member[]]
      kill(others)
      const [a, b] = [new AbortController(), new AbortController()]
      const gets = [a, b].map(({ signal }) => dht.get(TARGET, { signal }))
      const outcomes = Promise.allSettled(gets)
      await simulator.delay(5)
      a.abort()
      expect(dht.stats().pendingCalls).toBeGreaterThan(0)
      b.abort()
      expect(dht.stats().pendingCalls).toBe(0)
      for (const outcome of await outcomes) expect(outcome.status).toBe('rejected')
      await failure(dht.get(TARGET), 'ERR_TIMEOUT')
    })
  })
})
