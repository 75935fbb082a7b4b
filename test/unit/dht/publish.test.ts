import { describe, expect, test } from 'vitest'
import type { KeyPair } from '../../../src/index.js'
import { generateKeyPair, keyOf, MemoryStore, SALT_BYTES_MAX } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, kill, newcomer, simulate } from './network.js'

const SEQ_MAX = 2n ** 64n - 1n

const KEYS = pair(1)

function pair(seed: number): KeyPair {
  return generateKeyPair({ seed: bytes(32, seed) })
}

/** The greater of two values, byte by byte, which wins where both have one sequence number. */
const [LESSER, GREATER] = [Uint8Array.of(1), Uint8Array.of(2)]

describe('publish and resolve', () => {
  test.each([0, 1, 880])('a value of %i bytes is resolved as it was, at every node', async (length) => {
    await simulate(`publish ${length}`, async (simulator) => {
      const members = await grow(simulator, 12, () => ({ k: 4 }))
      const value = bytes(length)
      const published = await members[1]!.dht.publish(KEYS, value)
      expect(published.key).toEqual(keyOf(KEYS.publicKey))
      expect(published.seq).toBe(1n)
      expect(published.storedAt.length).toBeGreaterThanOrEqual(3)
      expect(published.messages).toBeGreaterThanOrEqual(2 * published.storedAt.length)
      for (const { dht } of members) expect(await dht.resolve(KEYS.publicKey)).toMatchObject({ value, seq: 1n })
    })
  })

  test('the next value takes the place of the one before, from whichever node it comes', async () => {
    await simulate('next values', async (simulator) => {
      const members = await grow(simulator, 12, () => ({ k: 4 }))
      for (let i = 1; i <= 6; i++) {
        const { seq } = await members[i]!.dht.publish(KEYS, bytes(10, i))
        expect(seq).toBe(BigInt(i))
        const expected = { value: bytes(10, i), seq }
        for (const { dht } of members.slice(0, 8)) expect(await dht.resolve(KEYS.publicKey)).toMatchObject(expected)
      }
    })
  })

  test('a salt tells apart the values of one key pair', async () => {
    await simulate('salts', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      const salts = [undefined, bytes(1), bytes(SALT_BYTES_MAX)]
      for (const [i, salt] of salts.entries()) {
        const { key, seq } = await a.dht.publish(KEYS, bytes(5, i), { salt })
        expect(key).toEqual(keyOf(Uint8Array.of(...KEYS.publicKey, ...(salt ?? []))))
        expect(seq).toBe(1n)
      }
      for (const [i, salt] of salts.entries()) {
        expect((await b.dht.resolve(KEYS.publicKey, { salt }))?.value).toEqual(bytes(5, i))
      }
      // An empty one is none.
      expect((await b.dht.resolve(KEYS.publicKey, { salt: bytes(0) }))?.value).toEqual(bytes(5, 0))
      expect(await b.dht.resolve(KEYS.publicKey, { salt: bytes(2) })).toBeUndefined()
    })
  })

  test('values of two key pairs have nothing to do with each other', async () => {
    await simulate('two pairs', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      const other = pair(2)
      await a.dht.publish(KEYS, LESSER)
      await a.dht.publish(other, GREATER)
      expect((await b.dht.resolve(KEYS.publicKey))?.value).toEqual(LESSER)
      expect((await b.dht.resolve(other.publicKey))?.value).toEqual(GREATER)
    })
  })
})

describe('sequence numbers', () => {
  test('one that is given is taken, and the next one continues from it', async () => {
    await simulate('explicit seq', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      expect((await a.dht.publish(KEYS, bytes(1), { seq: 1n })).seq).toBe(1n)
      expect((await a.dht.publish(KEYS, bytes(2), { seq: 1000n })).seq).toBe(1000n)
      expect((await b.dht.publish(KEYS, bytes(3))).seq).toBe(1001n)
      expect(await a.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 1001n, value: bytes(3) })
    })
  })

  test('0 is a RangeError: in a compare-and-swap it stands for nothing', async () => {
    await simulate('seq 0', async (simulator) => {
      const [a] = (await grow(simulator, 3)) as [Member]
      const publishing = a.dht.publish(KEYS, bytes(1), { seq: 0n })
      await expect(publishing).rejects.toThrow(RangeError)
      await expect(publishing).rejects.toThrow('seq must be from 1 to 2^64 - 1')
      expect(a.dht.stats().publications).toBe(0)
      expect(await a.dht.resolve(KEYS.publicKey)).toBeUndefined()
    })
  })

  test('one that is too low is ERR_SEQ_TOO_LOW, and changes nothing', async () => {
    await simulate('low seq', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      await a.dht.publish(KEYS, bytes(1), { seq: 10n })
      for (const { dht } of [a, b]) await failure(dht.publish(KEYS, bytes(2), { seq: 9n }), 'ERR_SEQ_TOO_LOW')
      for (const { dht } of [a, b])
        expect(await dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 10n, value: bytes(1) })
    })
  })

  test('the highest of all can be used once, and is the last', async () => {
    await simulate('highest seq', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      expect((await a.dht.publish(KEYS, LESSER, { seq: SEQ_MAX })).seq).toBe(SEQ_MAX)
      for (const { dht } of [a, b]) await failure(dht.publish(KEYS, GREATER), 'ERR_SEQ_TOO_LOW')
      await failure(b.dht.publish(KEYS, GREATER, { cas: SEQ_MAX }), 'ERR_SEQ_TOO_LOW')
      expect(await b.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: SEQ_MAX, value: LESSER })
    })
  })

  test('the same value with the same one may be published again', async () => {
    await simulate('same again', async (simulator) => {
      const [a, b] = (await grow(simulator, 6)) as [Member, Member]
      await a.dht.publish(KEYS, LESSER, { seq: 3n })
      expect((await b.dht.publish(KEYS, LESSER, { seq: 3n })).storedAt).toHaveLength(5)
    })
  })

  test('of two values with one, all nodes choose the same, and the loser is told so', async () => {
    await simulate('equal seq', async (simulator) => {
      const members = await grow(simulator, 8)
      const [a, b] = members as [Member, Member]
      await a.dht.publish(KEYS, LESSER, { seq: 7n })
      expect((await b.dht.publish(KEYS, GREATER, { seq: 7n })).seq).toBe(7n)
      await failure(a.dht.publish(KEYS, LESSER, { seq: 7n }), 'ERR_SEQ_CONFLICT')
      for (const { dht } of members) expect((await dht.resolve(KEYS.publicKey))?.value).toEqual(GREATER)
    })
  })

  test('of two that are published at once with one, all nodes choose the same', async () => {
    await simulate('equal seq at once', async (simulator) => {
      const members = await grow(simulator, 8)
      const [a, b] = members as [Member, Member]
      const [lost, won] = await Promise.allSettled([
        a.dht.publish(KEYS, LESSER, { seq: 7n }),
        b.dht.publish(KEYS, GREATER, { seq: 7n }),
      ])
      expect(won.status).toBe('fulfilled')
      expect(lost).toMatchObject({ status: 'rejected', reason: { code: 'ERR_SEQ_CONFLICT' } })
      for (const { dht } of members) expect((await dht.resolve(KEYS.publicKey))?.value).toEqual(GREATER)
    })
  })
})

describe('compare-and-swap', () => {
  test('publishes where the network holds what is expected, 0 for nothing', async () => {
    await simulate('cas', async (simulator) => {
      const [a, b] = (await grow(simulator, 8)) as [Member, Member]
      expect((await a.dht.publish(KEYS, bytes(1), { cas: 0n })).seq).toBe(1n)
      expect((await b.dht.publish(KEYS, bytes(2), { cas: 1n })).seq).toBe(2n)
      expect((await a.dht.publish(KEYS, bytes(3), { cas: 2n, seq: 10n })).seq).toBe(10n)
      expect(await b.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 10n, value: bytes(3) })
    })
  })

  test.each([0n, 1n, 3n])('with %s where 2 is held is ERR_CAS_MISMATCH, and changes nothing', async (cas) => {
    await simulate(`cas mismatch ${cas}`, async (simulator) => {
      const members = await grow(simulator, 8)
      await members[0]!.dht.publish(KEYS, bytes(1), { seq: 2n })
      for (const { dht } of members) await failure(dht.publish(KEYS, bytes(2), { cas }), 'ERR_CAS_MISMATCH')
      for (const { dht } of members)
        expect(await dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 2n, value: bytes(1) })
    })
  })

  test('where nothing is held, only 0 is right', async () => {
    await simulate('cas of nothing', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 4)) as [Member]
      await failure(dht.publish(KEYS, bytes(1), { cas: 1n }), 'ERR_CAS_MISMATCH')
      expect(await dht.resolve(KEYS.publicKey)).toBeUndefined()
    })
  })

  test.each([1, 2, 3, 4, 5])('of several at once exactly one wins, and all nodes see its value (%i)', async (run) => {
    await simulate(`cas race ${run}`, async (simulator) => {
      const members = await grow(simulator, 12)
      await members[0]!.dht.publish(KEYS, bytes(1))
      const swaps = members.slice(1, 4).map(async ({ dht }, i) => {
        await simulator.delay(i * run * 5)
        return dht.publish(KEYS, bytes(2, i), { cas: 1n })
      })
      const outcomes = await Promise.allSettled(swaps)
      const winners = [...outcomes.keys()].filter((i) => outcomes[i]?.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ERR_CAS_MISMATCH' })
      }
      await simulator.delay(10_000)
      const value = bytes(2, winners[0])
      for (const { dht } of members) expect((await dht.resolve(KEYS.publicKey))?.value).toEqual(value)
    })
  })
})

describe('absence', () => {
  test('of what nobody published is undefined', async () => {
    await simulate('nothing published', async (simulator) => {
      for (const { dht } of await grow(simulator, 6)) expect(await dht.resolve(KEYS.publicKey)).toBeUndefined()
    })
  })

  test('with an empty table it is ERR_NO_CONTACTS', async () => {
    await simulate('publish alone', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 1)) as [Member]
      await failure(dht.resolve(KEYS.publicKey), 'ERR_NO_CONTACTS')
      await failure(dht.publish(KEYS, bytes(1)), 'ERR_NO_CONTACTS')
      expect(dht.stats().publications).toBe(0)
    })
  })

  test('where most of the nearest are dead it is ERR_TIMEOUT', async () => {
    await simulate('most dead', async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 12)) as [Member, ...Member[]]
      kill(others.slice(0, 8))
      await failure(dht.resolve(KEYS.publicKey), 'ERR_TIMEOUT')
      kill(others.slice(8))
      await failure(dht.publish(KEYS, bytes(1)), 'ERR_TIMEOUT')
      expect(dht.stats().publications).toBe(0)
    })
  })

  test('where nobody has room, publish is ERR_NOT_STORED with the cause, and nothing stays behind', async () => {
    await simulate('publish without room', async (simulator) => {
      const members = await grow(simulator, 4, (i) => {
        return i === 0 ? {} : { storage: new MemoryStore({ bytesMax: 0, recordsMax: 0 }) }
      })
      const [{ dht }] = members as [Member]
      const error = await failure(dht.publish(KEYS, bytes(1)), 'ERR_NOT_STORED')
      expect(error.cause).toMatchObject({ code: 'ERR_STORE_FULL' })
      expect(dht.stats()).toMatchObject({ publications: 0, storage: { records: 0 } })
    })
  })

  test('what few holders have is resolved all the same, and the others are brought up to it', async () => {
    await simulate('few holders', async (simulator) => {
      const members = await grow(simulator, 8)
      const [publisher, reader] = members as [Member, Member]
      await publisher.dht.publish(KEYS, LESSER)
      simulator.partition([members.slice(0, 3).map(({ host }) => host)])
      await publisher.dht.publish(KEYS, GREATER)
      simulator.heal()
      kill([publisher])
      expect(await reader.dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 2n, value: GREATER })
      await simulator.delay(5000)
      kill(members.slice(1, 3))
      const { dht } = newcomer(simulator, { bootstrap: [members[7]!.host.address] })
      await dht.start()
      expect(await dht.resolve(KEYS.publicKey)).toMatchObject({ seq: 2n, value: GREATER })
    })
  })
})

test('what publish and resolve were given and gave belongs to the application', async () => {
  await simulate('publish aliases', async (simulator) => {
    const [a, b] = (await grow(simulator, 6)) as [Member, Member]
    const keys = { publicKey: new Uint8Array(KEYS.publicKey), secretKey: new Uint8Array(KEYS.secretKey) }
    const [value, salt] = [bytes(20), bytes(5)]
    const publishing = a.dht.publish(keys, value, { salt })
    for (const given of [keys.publicKey, keys.secretKey, value, salt]) given.fill(0)
    const { key, storedAt } = await publishing
    key.fill(0)
    for (const { id } of storedAt) id.fill(0)
    const publicKey = new Uint8Array(KEYS.publicKey)
    const wanted = bytes(5)
    const resolving = b.dht.resolve(publicKey, { salt: wanted })
    publicKey.fill(0)
    wanted.fill(0)
    const first = await resolving
    expect(first?.value).toEqual(bytes(20))
    first?.value.fill(0)
    expect((await b.dht.resolve(KEYS.publicKey, { salt: bytes(5) }))?.value).toEqual(bytes(20))
    expect((await a.dht.publish(KEYS, bytes(20), { salt: bytes(5) })).seq).toBe(2n)
  })
})
