import { describe, expect, test } from 'vitest'
import type { DhtEvents, KeyPair } from '../../../src/index.js'
import { createDht, generateKeyPair, MemoryStore } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, changed, grow, kill, newcomer, ONE_WAY_MS, simulate, simulateToTheEnd } from './network.js'

const MINUTE_MS = 60_000
const LIFETIME_MS = 10 * MINUTE_MS
const KEYS: KeyPair = generateKeyPair({ seed: bytes(32) })

/** The failures that a node tells from now on. */
function failuresOf({ dht }: Member): DhtEvents['republishFailed'][] {
  const failures: DhtEvents['republishFailed'][] = []
  dht.on('republishFailed', (event) => failures.push(event))
  return failures
}

describe('a published value', () => {
  test('is kept alive by its node beyond its lifetime, and is gone without it', async () => {
    await simulate('published', async (simulator) => {
      const [publisher, reader] = (await grow(simulator, 6)) as [Member, Member]
      await publisher.dht.publish(KEYS, bytes(5), { lifetimeMs: LIFETIME_MS })
      await simulator.delay(4 * LIFETIME_MS)
      expect(await reader.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 1n, value: bytes(5) })
      kill([publisher])
      await simulator.delay(LIFETIME_MS)
      expect(await reader.dht.resolve(KEYS.publicKey)).toBeUndefined()
    })
  })

  test('is one publication, however often it changes, and the newest is what is stored again', async () => {
    await simulate('newest', async (simulator) => {
      const [publisher, reader] = (await grow(simulator, 6)) as [Member, Member]
      const failures = failuresOf(publisher)
      for (let i = 1; i <= 4; i++) await publisher.dht.publish(KEYS, bytes(5, i), { lifetimeMs: LIFETIME_MS })
      expect(publisher.dht.stats().publications).toBe(1)
      await publisher.dht.publish(KEYS, bytes(5), { salt: bytes(1), lifetimeMs: LIFETIME_MS })
      expect(publisher.dht.stats().publications).toBe(2)
      await simulator.delay(3 * LIFETIME_MS)
      expect(await reader.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 4n, value: bytes(5, 4) })
      expect(failures).toEqual([])
    })
  })

  test('that replaces one without being stored again itself is not undone by the earlier one', async () => {
    await simulate('not undone', async (simulator) => {
      const [publisher, reader] = (await grow(simulator, 6)) as [Member, Member]
      await publisher.dht.publish(KEYS, bytes(1), { lifetimeMs: LIFETIME_MS })
      await publisher.dht.publish(KEYS, bytes(2), { lifetimeMs: LIFETIME_MS, republish: false })
      expect(publisher.dht.stats().publications).toBe(0)
      await simulator.delay(LIFETIME_MS + MINUTE_MS)
      expect(await reader.dht.resolve(KEYS.publicKey)).toBeUndefined()
    })
  })

  test('continues its sequence though the network has forgotten it', async () => {
    await simulate('forgotten', async (simulator) => {
      const [first] = (await grow(simulator, 3, () => ({ repair: false }))) as [Member]
      // A client keeps no copy of its own, which would remind it.
      const publisher = newcomer(simulator, { client: true, bootstrap: [first.host.address] })
      await publisher.dht.start()
      await publisher.dht.publish(KEYS, bytes(1), { seq: 41n })
      simulator.partition([[publisher.host]])
      await simulator.delay(25 * 60 * MINUTE_MS)
      simulator.heal()
      expect(await publisher.dht.resolve(KEYS.publicKey)).toBeUndefined()
      expect((await publisher.dht.publish(KEYS, bytes(2))).seq).toBe(42n)
    })
  })
})

describe('republishFailed', () => {
  test('is told when another value has its place, which is then left alone', async () => {
    await simulate('superseded', async (simulator) => {
      const [first, second, reader] = (await grow(simulator, 6)) as [Member, Member, Member]
      const failures = failuresOf(first)
      const { key } = await first.dht.publish(KEYS, bytes(1), { lifetimeMs: LIFETIME_MS })
      await second.dht.publish(KEYS, bytes(2), { lifetimeMs: LIFETIME_MS })
      await simulator.delay(3 * LIFETIME_MS)
      expect(failures).toEqual([{ key, error: expect.objectContaining({ code: 'ERR_SEQ_TOO_LOW' }) }])
      expect(first.dht.stats().publications).toBe(0)
      expect(second.dht.stats().publications).toBe(1)
      expect(await reader.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 2n, value: bytes(2) })
    })
  })

  test('is told when nobody can be reached, and the next attempt follows by itself', async () => {
    await simulate('unreachable', async (simulator) => {
      const [publisher, reader] = (await grow(simulator, 5)) as [Member, Member]
      const failures = failuresOf(publisher)
      const { key } = await publisher.dht.put(bytes(10), { lifetimeMs: LIFETIME_MS })
      simulator.partition([[publisher.host]])
      await simulator.delay(LIFETIME_MS)
      expect(failures.length).toBeGreaterThanOrEqual(2)
      for (const failure of failures) expect(failure.key).toEqual(key)
      failures[0]?.key.fill(0)
      expect(publisher.dht.stats().publications).toBe(1)
      simulator.heal()
      await publisher.dht.ping(reader.host.address)
      await simulator.delay(LIFETIME_MS)
      expect((await reader.dht.get(key))?.value).toEqual(bytes(10))
    })
  })

  test('is told with the refusal when no holder has room any more', async () => {
    await simulate('no room any more', async (simulator) => {
      let isFull = false
      const members = await grow(simulator, 4, (i) => {
        const store = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
        const put = store.put.bind(store)
        return i === 0 ? {} : { storage: Object.assign(store, { put: (r: never) => (isFull ? 'full' : put(r)) }) }
      })
      const [publisher] = members as [Member]
      const failures = failuresOf(publisher)
      await publisher.dht.put(bytes(10), { lifetimeMs: LIFETIME_MS })
      isFull = true
      await simulator.delay(LIFETIME_MS)
      expect(failures.map(({ error }) => error.code)).toContain('ERR_STORE_FULL')
    })
  })
})

test('close ends all that is stored again, and leaves no timer', async () => {
  await simulateToTheEnd('published and closed', async (simulator) => {
    const members = await grow(simulator, 5)
    for (const [i, { dht }] of members.entries()) {
      await dht.put(bytes(10, i), { lifetimeMs: LIFETIME_MS })
      await dht.publish(KEYS, bytes(10), { salt: bytes(1, i), lifetimeMs: LIFETIME_MS })
    }
    expect(members.map(({ dht }) => dht.stats().publications)).toEqual([2, 2, 2, 2, 2])
    await simulator.delay(3 * LIFETIME_MS)
    await Promise.all(members.map(({ dht }) => dht.close()))
    expect(members.map(({ dht }) => dht.stats().publications)).toEqual([0, 0, 0, 0, 0])
  })
})

test.each(['put', 'publish'] as const)('a close in the turn in which a %s succeeds leaves no timer', async (name) => {
  await simulateToTheEnd(`closed at once after ${name}`, async (simulator) => {
    const [peer] = (await grow(simulator, 1)) as [Member]
    const { transport, clock, randomBytes } = simulator.host()
    let isStoring = false
    const start: typeof transport.start = (onDatagram) =>
      transport.start((from, datagram) => {
        onDatagram(from, datagram)
        // As a listener of an event might, before what awaits the call goes on.
        if (isStoring && dht.stats().pendingCalls === 0) dht.close()
      })
    const bootstrap = [peer.host.address]
    const dht = createDht({ transport: changed(transport, { start }), clock, randomBytes, bootstrap })
    await dht.start()
    await simulator.delay(5000)
    const storing = name === 'put' ? dht.put(bytes(10)) : dht.publish(KEYS, bytes(10))
    await simulator.delay(2.5 * ONE_WAY_MS)
    isStoring = true
    await storing
    expect(peer.dht.stats().storage.records).toBe(1)
    expect(dht.stats().publications).toBe(0)
    await peer.dht.close()
  })
})

describe('stats', () => {
  test('tell of publications, of lookups, and how full the store is', async () => {
    await simulate('stats', async (simulator) => {
      const members = await grow(simulator, 4, () => ({
        storage: new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 8 }),
      }))
      const [{ dht }, holder] = members as [Member, Member]
      expect(dht.stats()).toMatchObject({ publications: 0, storage: { records: 0, bytes: 0, fill: 0 } })
      const { lookups } = dht.stats()
      for (let i = 0; i < 4; i++) await dht.put(bytes(20, i))
      expect(dht.stats()).toMatchObject({ publications: 4, lookups: lookups + 4, storage: { records: 4, fill: 0.5 } })
      expect(holder.dht.stats()).toMatchObject({ publications: 0, storage: { records: 4, fill: 0.5 } })
      await dht.findNode(bytes(32))
      expect(dht.stats().lookups).toBe(lookups + 5)
    })
  })
})
