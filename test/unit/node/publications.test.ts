import { describe, expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { Publications } from '../../../src/node/index.js'
import { encodeImmutable } from '../../../src/records/index.js'
import type { LabOptions } from './holder-fixture.js'
import { HOUR_MS, MINUTE_MS, openLab, signed } from './holder-fixture.js'

const { key: KEY } = signed(1n)
const LIFETIME_MS = 16 * HOUR_MS

async function setUp({ holders: count = 3, ...options }: LabOptions & { holders?: number } = {}) {
  const lab = await openLab({ k: 3, ...options })
  const holders = await lab.holdersNear(KEY, count)
  const failed: { key: Uint8Array; code: DhtErrorCode }[] = []
  const publications = new Publications(lab.node, { failed: (key, { code }) => failed.push({ key, code }) })
  const stores = () => holders.map(({ stored }) => stored.length)
  return { ...lab, holders, publications, failed, stores }
}

describe('what was published', () => {
  test('is stored again at a bit less than half of its lifetime, with its whole lifetime, again and again', async () => {
    const { simulator, publications, holders, stores, mutable, node } = await setUp()
    const { record } = signed(7n)
    publications.add(KEY, mutable, record, LIFETIME_MS)
    await simulator.advance(0.4375 * LIFETIME_MS - 1)
    expect(stores()).toEqual([0, 0, 0])
    await simulator.advance(LIFETIME_MS / 16 + MINUTE_MS)
    expect(stores()).toEqual([1, 1, 1])
    expect(holders[0]!.stored).toMatchObject([
      { record, ttlSeconds: LIFETIME_MS / 1_000, isCached: false, cas: undefined },
    ])
    expect(node.counters.republished).toBe(3)
    await simulator.advance(2 * LIFETIME_MS)
    expect(stores()[0]).toBeGreaterThanOrEqual(5)
    expect(stores()[0]).toBeLessThanOrEqual(6)
    publications.stop()
  })

  test('in one hour goes in one sweep', async () => {
    const { simulator, publications, holders, immutable } = await setUp()
    for (let i = 0; i < 30; i++) {
      const { key, record } = encodeImmutable(Uint8Array.of(i))
      publications.add(key, immutable, record, LIFETIME_MS)
      await simulator.advance(2 * MINUTE_MS)
    }
    await simulator.advance(LIFETIME_MS / 2)
    for (const { stored, tokensAsked } of holders) expect([stored.length, tokensAsked.length]).toEqual([30, 1])
    publications.stop()
  })

  test('with other lifetimes goes in its own time', async () => {
    const { simulator, publications, stores, immutable, mutable } = await setUp()
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    const { key, record } = encodeImmutable(Uint8Array.of(1))
    publications.add(key, immutable, record, HOUR_MS)
    await simulator.advance(HOUR_MS / 2)
    expect(stores()).toEqual([1, 1, 1])
    publications.stop()
  })

  test('is kept here too, where we are a holder', async () => {
    for (const k of [3, 4]) {
      const { simulator, publications, storage, mutable } = await setUp({ k })
      publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
      await simulator.advance(LIFETIME_MS / 2)
      expect(storage.list(KEY, 1)).toHaveLength(k - 3)
      publications.stop()
    }
  })

  test('can be asked for, and forgotten: then it is not stored again', async () => {
    const { simulator, publications, stores, mutable, immutable } = await setUp()
    const { record } = signed(7n)
    publications.add(KEY, mutable, record, LIFETIME_MS)
    expect([publications.size, publications.get(KEY, mutable), publications.get(KEY, immutable)]).toEqual([
      1,
      record,
      undefined,
    ])
    expect(publications.forget(KEY)).toBe(true)
    expect(publications.forget(KEY)).toBe(false)
    expect([publications.size, publications.get(KEY, mutable)]).toEqual([0, undefined])
    await simulator.advance(2 * LIFETIME_MS)
    expect(stores()).toEqual([0, 0, 0])
  })

  test('is replaced by a newer record of its key, which alone is stored', async () => {
    const { simulator, publications, holders, mutable } = await setUp()
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    publications.add(KEY, mutable, signed(2n).record, LIFETIME_MS)
    expect(publications.size).toBe(1)
    await simulator.advance(LIFETIME_MS / 2)
    expect(holders[0]!.stored).toMatchObject([{ record: signed(2n).record }])
    publications.stop()
  })

  test('and is replaced while it is stored again stays replaced, whatever becomes of the old one', async () => {
    const { simulator, publications, holders, failed, mutable } = await setUp()
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    let isReplaced = false
    for (const holder of holders) {
      holder.store = ({ ttlSeconds }) => {
        if (isReplaced) return { ttlSeconds }
        publications.add(KEY, mutable, signed(2n).record, LIFETIME_MS)
        return 'ERR_SEQ_TOO_LOW'
      }
    }
    await simulator.advance(LIFETIME_MS / 2)
    isReplaced = true
    expect(publications.get(KEY, mutable)).toEqual(signed(2n).record)
    expect(failed).toEqual([])
    await simulator.advance(LIFETIME_MS / 2)
    expect(holders[0]!.stored.at(-1)).toMatchObject({ record: signed(2n).record })
    publications.stop()
  })

  test('is not replaced by an older record of its key whose publish ended later', async () => {
    const { simulator, publications, holders, mutable } = await setUp()
    publications.add(KEY, mutable, signed(2n).record, LIFETIME_MS)
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    expect([publications.size, publications.get(KEY, mutable)]).toEqual([1, signed(2n).record])
    await simulator.advance(LIFETIME_MS)
    for (const { stored } of holders) {
      expect(stored.length).toBeGreaterThan(0)
      for (const { record } of stored) expect(record).toEqual(signed(2n).record)
    }
    publications.stop()
  })

  test('falls due in its own time, though an earlier sweep still waits for a slow holder', async () => {
    const { simulator, publications, holders, immutable, mutable } = await setUp({ requestTimeoutMs: MINUTE_MS })
    const { tokens } = holders[0]!
    let sweptAtMs = 0
    holders[0]!.tokens = (params) => {
      if (params.kind === immutable.code) return tokens(params)
      sweptAtMs = simulator.nowMs
      return undefined
    }
    // Due after 43.75 to 50 s, and after 70 to 80 s: too late to go with the first.
    publications.add(KEY, mutable, signed(1n).record, 100_000)
    const { key, record } = encodeImmutable(Uint8Array.of(1))
    publications.add(key, immutable, record, 160_000)
    await simulator.advance(85_000)
    expect(sweptAtMs).toBeGreaterThan(0)
    // The first is still under way, for a minute.
    expect(simulator.nowMs).toBeLessThan(sweptAtMs + MINUTE_MS)
    const later = holders.map(({ stored }) => stored.filter(({ kind }) => kind === immutable.code).length)
    expect(later).toEqual([1, 1, 1])
    publications.stop()
  })

  test('is bounded: the oldest is forgotten', async () => {
    const { publications, mutable, immutable } = await setUp({ config: { publicationsMax: 3 } })
    const all = [1, 2, 3, 4].map((i) => encodeImmutable(Uint8Array.of(i)))
    for (const { key, record } of all.slice(0, 3)) publications.add(key, immutable, record, LIFETIME_MS)
    // What is published again is the youngest.
    publications.add(all[0]!.key, immutable, all[0]!.record, LIFETIME_MS)
    publications.add(all[3]!.key, immutable, all[3]!.record, LIFETIME_MS)
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    expect(publications.size).toBe(3)
    const left = all.map(({ key }) => publications.get(key, immutable) !== undefined)
    expect([...left, publications.get(KEY, mutable) !== undefined]).toEqual([true, false, false, true, true])
    publications.stop()
  })
})

describe('a value of several records', () => {
  const part = (i: number) => encodeImmutable(Uint8Array.of(i >> 8, i))
  const partOf = (i: number) => ({ value: part(10_000 + i).key, ageMs: 0 })

  test('leaves as a whole, but for what another one has', async () => {
    const { publications, immutable } = await setUp({ config: { publicationsMax: 6 } })
    const isThere = (i: number): boolean => publications.get(part(i).key, immutable) !== undefined
    for (const i of [1, 2, 3]) publications.add(part(i).key, immutable, part(i).record, LIFETIME_MS, partOf(1))
    for (const i of [3, 4]) publications.add(part(i).key, immutable, part(i).record, LIFETIME_MS, partOf(2))
    for (const i of [5, 6]) publications.add(part(i).key, immutable, part(i).record, LIFETIME_MS)
    expect(publications.size).toBe(6)
    publications.add(part(7).key, immutable, part(7).record, LIFETIME_MS)
    expect([1, 2, 3, 4, 5, 6, 7].map(isThere)).toEqual([false, false, true, true, true, true, true])
    expect(publications.forget(partOf(1).value)).toBe(false)
    expect(publications.forget(partOf(2).value)).toBe(true)
    expect([3, 4, 5].map(isThere)).toEqual([false, false, true])
    publications.stop()
  })

  test('leaves nothing behind, however many shared a record', async () => {
    const { publications, immutable } = await setUp({ config: { publicationsMax: 100 } })
    for (let i = 1; i <= 1_000; i++) {
      for (const j of [0, i]) publications.add(part(j).key, immutable, part(j).record, LIFETIME_MS, partOf(i))
    }
    expect(publications.size).toBeLessThanOrEqual(100)
    expect(publications.forget(partOf(1).value)).toBe(false)
    let kept = 0
    for (let i = 1; i <= 1_000; i++) if (publications.forget(partOf(i).value)) kept++
    expect(kept).toBeLessThanOrEqual(100)
    expect(publications.size).toBe(0)
    publications.stop()
  })

  test('that is also put by itself, or the other way round, is kept for either', async () => {
    const { publications, immutable } = await setUp()
    const { key, record } = part(1)
    publications.add(key, immutable, record, LIFETIME_MS)
    publications.add(key, immutable, record, LIFETIME_MS, partOf(1))
    publications.delete(key, immutable, record)
    expect(publications.size).toBe(1)
    publications.add(key, immutable, record, LIFETIME_MS)
    publications.delete(key, immutable, record, partOf(1).value)
    expect(publications.size).toBe(1)
    expect(publications.forget(partOf(1).value)).toBe(false)
    expect(publications.forget(key)).toBe(true)
    expect(publications.size).toBe(0)
    publications.stop()
  })

  test('is not given up for a holder that claims to have a newer part: these have no newer ones', async () => {
    const { simulator, publications, holders, failed, immutable } = await setUp()
    for (const holder of holders) holder.store = () => 'ERR_SEQ_TOO_LOW'
    publications.add(part(1).key, immutable, part(1).record, LIFETIME_MS, partOf(1))
    await simulator.advance(LIFETIME_MS)
    expect(failed[0]).toEqual({ key: partOf(1).value, code: 'ERR_SEQ_TOO_LOW' })
    expect(publications.size).toBe(1)
    expect(publications.forget(partOf(1).value)).toBe(true)
    expect(publications.forget(partOf(1).value)).toBe(false)
    publications.stop()
  })

  test('is stored again soon after what was shared with it for less', async () => {
    const { simulator, publications, stores, immutable } = await setUp()
    const { key, record } = part(1)
    publications.add(key, immutable, record, LIFETIME_MS, partOf(1))
    publications.add(key, immutable, record, HOUR_MS, partOf(2))
    await simulator.advance(HOUR_MS / 2)
    expect(stores()).toEqual([1, 1, 1])
    publications.stop()
  })
})

describe('what is not stored again', () => {
  test.each<DhtErrorCode>(['ERR_SEQ_TOO_LOW', 'ERR_SEQ_CONFLICT'])(
    'because most holders say %s is told and dropped',
    async (code) => {
      const { simulator, publications, holders, failed, mutable } = await setUp()
      publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
      for (const holder of holders.slice(1)) holder.store = () => code
      await simulator.advance(LIFETIME_MS / 2)
      expect(failed).toEqual([{ key: KEY, code }])
      expect(publications.size).toBe(0)
    },
  )

  test('by one holder, which says that it has another, stays: others took it', async () => {
    const { simulator, publications, holders, failed, mutable } = await setUp()
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    holders[0]!.store = () => 'ERR_SEQ_TOO_LOW'
    await simulator.advance(LIFETIME_MS / 2)
    expect([failed.length, publications.size]).toEqual([0, 1])
    publications.stop()
  })

  test.each<[DhtErrorCode, DhtErrorCode, DhtErrorCode]>([
    ['ERR_SEQ_TOO_LOW', 'ERR_STORE_FULL', 'ERR_STORE_FULL'],
    ['ERR_STORE_FULL', 'ERR_TOO_FAR', 'ERR_SEQ_CONFLICT'],
  ])(
    'because holders say %s, %s and %s is told with a refusal that is no rival, and tried again: no majority has another',
    async (...codes) => {
      const { simulator, publications, holders, failed, mutable } = await setUp()
      publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
      for (const [i, holder] of holders.entries()) holder.store = () => codes[i]
      await simulator.advance(LIFETIME_MS / 2)
      const told = failed.length
      expect(told).toBeGreaterThanOrEqual(1)
      for (const { code } of failed) expect(['ERR_STORE_FULL', 'ERR_TOO_FAR']).toContain(code)
      expect(publications.size).toBe(1)
      for (const holder of holders) holder.store = ({ ttlSeconds }) => ({ ttlSeconds })
      for (const holder of holders) holder.stored.length = 0
      await simulator.advance(LIFETIME_MS / 16 + MINUTE_MS)
      expect([failed.length, holders.map(({ stored }) => stored.length)]).toEqual([told, [1, 1, 1]])
      publications.stop()
    },
  )

  test('because two of three have another that wins is told with that, whatever the third says', async () => {
    for (const third of ['stored', 'ERR_STORE_FULL'] as const) {
      const { simulator, publications, holders, failed, mutable } = await setUp()
      publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
      // The other refusal is heard first.
      holders[0]!.store = ({ ttlSeconds }) => (third === 'stored' ? { ttlSeconds } : third)
      for (const holder of holders.slice(1)) holder.store = () => 'ERR_SEQ_TOO_LOW'
      await simulator.advance(LIFETIME_MS)
      expect(failed).toEqual([{ key: KEY, code: 'ERR_SEQ_TOO_LOW' }])
      expect(publications.size).toBe(0)
    }
  })

  test.each(['refuses', 'is dead', 'gives no tokens'])(
    'because everybody %s is told, and tried again soon',
    async (how) => {
      const { simulator, publications, holders, failed, mutable, storage } = await setUp({ k: 4 })
      publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
      const before = holders.map(({ store, tokens, peer }) => ({ store, tokens, onRequest: peer.onRequest }))
      for (const holder of holders) {
        if (how === 'refuses') holder.store = () => 'ERR_STORE_FULL'
        else if (how === 'is dead') holder.die()
        else holder.tokens = () => ({ tokens: [] })
      }
      await simulator.advance(LIFETIME_MS / 2 + 5 * MINUTE_MS)
      expect(failed.length).toBeGreaterThanOrEqual(1)
      expect(failed.length).toBeLessThanOrEqual(2)
      expect([publications.size, storage.stats().records]).toEqual([1, 0])
      for (const [i, { store, tokens, onRequest }] of before.entries()) {
        Object.assign(holders[i]!, { store, tokens })
        holders[i]!.peer.onRequest = onRequest
      }
      const told = failed.length
      for (const holder of holders) holder.stored.length = 0
      await simulator.advance(LIFETIME_MS / 16 + 5 * MINUTE_MS)
      expect(holders.map(({ stored }) => stored.length)).toEqual([1, 1, 1])
      expect(failed).toHaveLength(told)
      publications.stop()
    },
  )

  test('because a sweep finds nobody is ERR_TIMEOUT', async () => {
    const { simulator, publications, failed, mutable } = await setUp({ holders: 0 })
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    await simulator.advance(LIFETIME_MS / 2)
    expect(failed).toMatchObject([{ code: 'ERR_TIMEOUT' }])
    publications.stop()
  })
})

test('after stop nothing is stored again, nor during a sweep', async () => {
  const { simulator, publications, stores, mutable, failed, node } = await setUp()
  publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
  publications.stop()
  await simulator.advance(2 * LIFETIME_MS)
  expect(stores()).toEqual([0, 0, 0])
  const other = await setUp()
  other.publications.add(KEY, other.mutable, signed(1n).record, LIFETIME_MS)
  let pending = -1
  other.holders[0]!.tokens = () => {
    other.publications.stop()
    pending = other.node.rpc.pendingCalls
    return { tokens: [{ token: Uint8Array.of(1), heldSeq: undefined }] }
  }
  await other.simulator.advance(2 * LIFETIME_MS)
  expect([pending, other.stores()]).toEqual([0, [0, 0, 0]])
  expect([other.failed, failed, node.rpc.pendingCalls]).toEqual([[], [], 0])
})
