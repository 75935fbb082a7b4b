import { describe, expect, test } from 'vitest'
import type { Dht, DhtOptions, ValueProgress } from '../../../src/index.js'
import { DhtError, keyOf, LARGE_VALUE_BYTES_MAX, MemoryStore } from '../../../src/index.js'
import type { KeyedRecord } from '../../../src/records/index.js'
import { encodeImmutable, encodeTree } from '../../../src/records/index.js'
import type { Simulator } from '../../../src/testing/index.js'
import type { Member } from './network.js'
import { failure, grow, kill, newcomer, simulate } from './network.js'

const HOUR_MS = 3_600_000
const IMMUTABLE = 0

/** Bytes that no other seed has, and of which no two parts are alike. */
function random(simulator: Simulator, length: number): Uint8Array {
  return simulator.random.bytes(length)
}

/** Members whose stores the test can look into. */
async function growWithStores(
  simulator: Simulator,
  count: number,
  options: Partial<DhtOptions> = {},
): Promise<{ members: Member[]; stores: MemoryStore[] }> {
  const stores: MemoryStore[] = []
  const members = await grow(simulator, count, () => {
    const storage = new MemoryStore({ bytesMax: 2 ** 24, recordsMax: 10_000 })
    stores.push(storage)
    return { ...options, storage }
  })
  return { members, stores }
}

/** Puts records where a reader looks for them, as whoever made them up could. */
function plant(stores: readonly MemoryStore[], records: readonly KeyedRecord[]): void {
  for (const store of stores) {
    for (const { key, record } of records) {
      const source = new Uint8Array(4)
      store.put({ key, kind: IMMUTABLE, slot: new Uint8Array(0), record, source, storedAtMs: 0, expiresAtMs: 1e15 })
    }
  }
}

function remove(stores: readonly MemoryStore[], key: Uint8Array): void {
  for (const store of stores) store.delete(key, IMMUTABLE, new Uint8Array(0))
}

/** A node of a tree that says of its children whatever the test wants. */
function treeNode(level: number, length: number, children: readonly Uint8Array[]): KeyedRecord {
  const record = new Uint8Array(6 + 32 * children.length)
  record.set([1, level])
  new DataView(record.buffer).setUint32(2, length)
  children.forEach((child, i) => {
    record.set(child, 6 + 32 * i)
  })
  const hashed = new Uint8Array(893)
  hashed.set(new TextEncoder().encode('xorbit/tree/1'))
  hashed.set(record.subarray(1), 13)
  return { key: keyOf(hashed), record }
}

describe('a value of several records', () => {
  test.each([881, 1760, 27 * 880, 27 * 880 + 1, 60_000])(
    'of %i bytes comes back as it was, to everybody',
    async (length) => {
      await simulate(`large ${length}`, async (simulator) => {
        const members = await grow(simulator, 12, () => ({ k: 4 }))
        const value = random(simulator, length)
        const { root, parts } = encodeTree(value)
        const stored = await members[1]!.dht.put(value)
        expect(stored).toMatchObject({ key: root.key, parts: 1 + parts.length })
        expect(stored.replicasMin).toBeGreaterThanOrEqual(3)
        expect(stored.storedAt.length).toBeGreaterThanOrEqual(3)
        for (const { dht } of [members[0]!, members[1]!, members[7]!]) {
          const found = await dht.get(stored.key)
          expect(found?.value).toEqual(value)
          expect(found?.parts).toBe(stored.parts)
        }
      })
    },
  )

  test('of 1 MiB is taken, of a byte more it is refused before anything is sent', async () => {
    await simulate('a byte more', async (simulator) => {
      const [, member] = (await grow(simulator, 2)) as [Member, Member]
      const sentBefore = simulator.stats.sent
      await failure(member.dht.put(new Uint8Array(LARGE_VALUE_BYTES_MAX + 1)), 'ERR_VALUE_TOO_LARGE')
      expect(simulator.stats.sent).toBe(sentBefore)
      // Of zeros, which takes a few records only.
      const { key, parts } = await member.dht.put(new Uint8Array(LARGE_VALUE_BYTES_MAX))
      expect(parts).toBe(7)
      expect((await newcomerOf(simulator, member)).dht).toBeDefined()
      expect((await member.dht.get(key))?.value).toEqual(new Uint8Array(LARGE_VALUE_BYTES_MAX))
    })
  })

  test('is told of as it is stored and as it comes: never less than before, to the end', async () => {
    await simulate('progress', async (simulator) => {
      const members = await grow(simulator, 8)
      const value = random(simulator, 30_000)
      const puts: ValueProgress[] = []
      const { key } = await members[1]!.dht.put(value, { onProgress: (progress) => puts.push(progress) })
      const gets: ValueProgress[] = []
      const reader = await newcomerOf(simulator, members[0]!)
      await reader.dht.get(key, { onProgress: (progress) => gets.push(progress) })
      for (const told of [puts, gets]) {
        expect(told.length).toBeGreaterThan(30)
        expect(told.every(({ bytesTotal }) => bytesTotal === 30_000)).toBe(true)
        expect(told.every(({ bytes }, i) => bytes >= (told[i - 1]?.bytes ?? 0))).toBe(true)
        expect(told.at(-1)?.bytes).toBe(30_000)
        // Only the last one says that all is there.
        expect(told.filter(({ bytes }) => bytes === 30_000)).toHaveLength(1)
      }
      expect(gets[0]?.bytes).toBe(0)
    })
  })

  test('takes fewer messages than its parts put one by one', async () => {
    await simulate('fewer messages', async (simulator) => {
      const members = await grow(simulator, 40)
      const value = random(simulator, 50 * 880)
      const whole = await members[1]!.dht.put(value)
      let singly = 0
      for (let at = 0; at < value.length; at += 880) {
        singly += (await members[2]!.dht.put(value.subarray(at, at + 880))).messages
      }
      expect(whole.messages).toBeLessThan(0.9 * singly)
    })
  })

  test('of which one part is nowhere is an error that names it, not a value with a hole', async () => {
    await simulate('a missing part', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 6)
      const { root, parts } = encodeTree(random(simulator, 5000))
      const missing = parts[2]!
      plant(stores, [root, ...parts])
      remove(stores, missing.key)
      const error = await failure(members[1]!.dht.get(root.key), 'ERR_INCOMPLETE')
      expect(error.message).toContain('880 bytes of 5000 from 1760 on')
      // It is the same where a node of the tree is missing, and is mended as soon as it is back.
      plant(stores, [missing])
      expect((await members[1]!.dht.get(root.key))?.value.length).toBe(5000)
    })
  })

  test('of which nobody can be asked for the parts any more is an error with its cause', async () => {
    await simulate('parts out of reach', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 6)
      const { root, parts } = encodeTree(random(simulator, 5000))
      plant([stores[1]!], [root])
      plant(stores.slice(2), parts)
      kill(members.filter((_, i) => i !== 1))
      const error = await failure(members[1]!.dht.get(root.key), 'ERR_INCOMPLETE')
      expect(error.cause).toBeInstanceOf(DhtError)
    })
  })

  test.each<[string, (value: Uint8Array) => KeyedRecord[]]>([
    [
      'a part shorter than its node says',
      (value) => {
        const [a, b] = [encodeImmutable(value.subarray(0, 100)), encodeImmutable(value.subarray(100, 200))]
        return [treeNode(1, 980, [a.key, b.key]), a, b]
      },
    ],
    [
      'a node where a part should be',
      (value) => {
        const { root, parts } = encodeTree(value)
        return [treeNode(1, 2640, [root.key, ...parts.slice(1).map(({ key }) => key)]), root, ...parts]
      },
    ],
    [
      'a part where a node should be',
      (value) => {
        const part = encodeImmutable(value.subarray(0, 880))
        return [treeNode(2, 880, [part.key]), part]
      },
    ],
    [
      'one part in two places of different size',
      (value) => {
        const part = encodeImmutable(value.subarray(0, 880))
        return [treeNode(1, 900, [part.key, part.key]), part]
      },
    ],
  ])('with %s is malformed', async (_, make) => {
    await simulate('malformed', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 3)
      const [root, ...parts] = make(random(simulator, 2640)) as [KeyedRecord, ...KeyedRecord[]]
      plant(stores.slice(1), [root, ...parts])
      await failure(members[0]!.dht.get(root.key), 'ERR_MALFORMED_VALUE')
    })
  })

  test('that says it has more than 1 MiB is refused before its parts are asked for', async () => {
    await simulate('too large', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 3)
      const child = random(simulator, 32)
      const huge = treeNode(6, 2 ** 32 - 1, new Array(1).fill(child) as Uint8Array[])
      plant(stores.slice(1), [huge])
      await failure(members[0]!.dht.get(huge.key), 'ERR_VALUE_TOO_LARGE')
    })
  })

  test('of one part a thousand times over is fetched once, and a deep tree of one child each too', async () => {
    await simulate('repeated', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 3)
      const part = encodeImmutable(random(simulator, 10))
      let node: KeyedRecord = part
      const nodes: KeyedRecord[] = [part]
      for (let level = 1; level <= 6; level++) {
        node = treeNode(level, 10, [node.key])
        nodes.push(node)
      }
      plant(stores.slice(1), nodes)
      const found = await members[0]!.dht.get(node.key)
      expect(found).toMatchObject({ parts: 7, value: part.record.subarray(1) })
      const zeros = encodeTree(new Uint8Array(LARGE_VALUE_BYTES_MAX))
      plant(stores.slice(1), [zeros.root, ...zeros.parts])
      expect((await members[0]!.dht.get(zeros.root.key))?.messages).toBeLessThan(40)
    })
  })
})

describe('an abort', () => {
  test.each([0, 45, 90, 200, 400])('ends a put after %i ms at once, and nothing follows', async (delayMs) => {
    await simulate(`abort put ${delayMs}`, async (simulator) => {
      const members = await grow(simulator, 20)
      const { dht } = members[1]!
      const abort = new AbortController()
      const value = random(simulator, 200_000)
      const put = dht.put(value, { signal: abort.signal })
      const ended = put.catch((error: unknown) => error)
      await simulator.delay(delayMs)
      abort.abort(new Error('enough'))
      const startedAtMs = simulator.nowMs
      expect(await ended).toEqual(new Error('enough'))
      expect(simulator.nowMs - startedAtMs).toBe(0)
      expect(dht.stats().pendingCalls).toBe(0)
      expect(dht.stats().publications).toBe(0)
      const sentBefore = dht.stats().calls
      await simulator.delay(5000)
      expect(dht.stats().calls - sentBefore).toBeLessThan(5)
    })
  })

  test.each([0, 45, 90, 200])('ends a get after %i ms at once', async (delayMs) => {
    await simulate(`abort get ${delayMs}`, async (simulator) => {
      const members = await grow(simulator, 20)
      const { key } = await members[1]!.dht.put(random(simulator, 200_000))
      const reader = await newcomerOf(simulator, members[0]!)
      const abort = new AbortController()
      const ended = reader.dht.get(key, { signal: abort.signal }).catch((error: unknown) => error)
      await simulator.delay(delayMs)
      abort.abort(new Error('enough'))
      expect(await ended).toEqual(new Error('enough'))
      expect(reader.dht.stats().pendingCalls).toBe(0)
    })
  })

  test.each([0, 1, 20])('of who is told of a get, at the %i-th time, ends it there', async (times) => {
    await simulate(`abort when told of a get ${times}`, async (simulator) => {
      const members = await grow(simulator, 20)
      const { key } = await members[1]!.dht.put(random(simulator, 100_000))
      const { dht } = await newcomerOf(simulator, members[0]!)
      const abort = new AbortController()
      let told = 0
      const onProgress = (): void => {
        if (told++ === times) abort.abort(new Error('enough'))
      }
      await expect(dht.get(key, { signal: abort.signal, onProgress })).rejects.toThrow('enough')
      const callsBefore = dht.stats().calls
      await simulator.delay(10_000)
      expect(told).toBe(times + 1)
      expect(dht.stats().calls - callsBefore).toBeLessThan(5)
    })
  })

  test.each([0, 1, 20])('of who is told of a put, at the %i-th time, ends it there', async (times) => {
    await simulate(`abort when told of a put ${times}`, async (simulator) => {
      const members = await grow(simulator, 40)
      const { dht } = members[1]!
      const abort = new AbortController()
      let told = 0
      const onProgress = (): void => {
        if (told++ === times) abort.abort(new Error('enough'))
      }
      const put = dht.put(random(simulator, 100_000), { signal: abort.signal, onProgress })
      await expect(put).rejects.toThrow('enough')
      const callsBefore = dht.stats().calls
      await simulator.delay(10_000)
      expect(told).toBe(times + 1)
      // Pings of late contacts, and no more.
      expect(dht.stats().calls - callsBefore).toBeLessThan(10)
    })
  })

  test('closing the node ends either with ERR_CLOSED', async () => {
    await simulate('close', async (simulator) => {
      const members = await grow(simulator, 20)
      const { key } = await members[1]!.dht.put(random(simulator, 100_000))
      const reader = await newcomerOf(simulator, members[0]!)
      const get = failure(reader.dht.get(key), 'ERR_CLOSED')
      const put = failure(reader.dht.put(random(simulator, 100_000)), 'ERR_CLOSED')
      await simulator.delay(100)
      await reader.dht.close()
      await Promise.all([get, put])
    })
  })
})

describe('a value of several records that was put', () => {
  test('is stored again, all of it, until it is forgotten', async () => {
    await simulate('stored again', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 8)
      const { dht } = members[1]!
      const value = random(simulator, 5000)
      const { key, parts } = await dht.put(value, { lifetimeMs: HOUR_MS })
      expect(dht.stats().publications).toBe(parts)
      await simulator.delay(3 * HOUR_MS)
      for (const store of stores) expect(store.stats().records).toBe(parts)
      expect(dht.forget(encodeTree(value).parts[0]!.key)).toBe(false)
      expect(dht.forget(key)).toBe(true)
      expect(dht.forget(key)).toBe(false)
      expect(dht.stats().publications).toBe(0)
      await simulator.delay(2 * HOUR_MS)
      for (const store of stores) expect(store.stats().records).toBe(0)
    })
  })

  test('shares parts with another: forgetting one of them keeps the other whole', async () => {
    await simulate('shared parts', async (simulator) => {
      const { members } = await growWithStores(simulator, 5)
      const { dht } = members[1]!
      const one = random(simulator, 4400)
      const other = new Uint8Array([...one, 1, 2, 3])
      const first = await dht.put(one)
      const second = await dht.put(other)
      const part = await dht.put(one.subarray(0, 880))
      expect(dht.stats().publications).toBe(first.parts + 2)
      expect(dht.forget(first.key)).toBe(true)
      expect(dht.stats().publications).toBe(second.parts)
      expect(dht.forget(second.key)).toBe(true)
      expect(dht.stats().publications).toBe(1)
      expect(dht.forget(part.key)).toBe(true)
      expect(dht.stats().publications).toBe(0)
    })
  })

  test('keeps what it shares with another alive where that one lasts less', async () => {
    await simulate('shared with a shorter life', async (simulator) => {
      const { members, stores } = await growWithStores(simulator, 6)
      const { dht } = members[1]!
      const long = random(simulator, 4400)
      const { key } = await dht.put(long, { lifetimeMs: 24 * HOUR_MS })
      // The holders forget it, as those do that come in the places of others.
      for (const store of stores) for (const { key } of [...store.entries()]) remove([store], key)
      await dht.put(long.subarray(0, 1760), { lifetimeMs: HOUR_MS, republish: true })
      for (const { key, record } of encodeTree(long).parts.slice(2)) plant(stores, [{ key, record }])
      plant(stores, [encodeTree(long).root])
      for (let hours = 0; hours < 6; hours += 0.5) {
        await simulator.delay(0.5 * HOUR_MS)
        expect((await members[3]!.dht.get(key))?.value).toEqual(long)
      }
    })
  })

  test('without republish is not stored again', async () => {
    await simulate('republish false', async (simulator) => {
      const [, { dht }] = (await grow(simulator, 3)) as [Member, Member]
      const value = random(simulator, 3000)
      await dht.put(value)
      expect(dht.stats().publications).toBe(5)
      await dht.put(value, { republish: false })
      expect(dht.stats().publications).toBe(0)
    })
  })

  test('and can not be stored again is told of once, by its own key', async () => {
    await simulate('fails once', async (simulator) => {
      const members = await grow(simulator, 4)
      const { dht } = members[1]!
      const failed: Uint8Array[] = []
      dht.on('republishFailed', ({ key }) => failed.push(key))
      const { key } = await dht.put(random(simulator, 5000), { lifetimeMs: HOUR_MS })
      kill(members.filter((_, i) => i !== 1))
      await simulator.delay(0.6 * HOUR_MS)
      expect(failed.length).toBeGreaterThan(0)
      expect(failed.every((each) => each.join() === key.join())).toBe(true)
      expect(failed.length).toBeLessThan(6)
    })
  })
})

describe('holders', () => {
  test('without room are refused: put says so where nobody has any', async () => {
    await simulate('no room', async (simulator) => {
      const members = await grow(simulator, 5, (i) => {
        return i === 0 ? {} : { storage: new MemoryStore({ bytesMax: 0, recordsMax: 0 }) }
      })
      const error = await failure(members[0]!.dht.put(random(simulator, 3000)), 'ERR_NOT_STORED')
      expect(error.cause).toMatchObject({ code: 'ERR_STORE_FULL' })
      // One that has room is enough, and it shows how many have.
      const { dht } = await newcomerOf(simulator, members[0]!)
      const stored = await dht.put(random(simulator, 3000))
      expect(stored.replicasMin).toBe(1)
    })
  })
})

async function newcomerOf(
  simulator: Simulator,
  { host }: Member,
  options: Partial<DhtOptions> = {},
): Promise<{ dht: Dht }> {
  const member = newcomer(simulator, { bootstrap: [host.address], ...options })
  await member.dht.start()
  return member
}
