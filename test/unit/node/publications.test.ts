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

  test('because there is nobody in the table is ERR_NO_CONTACTS', async () => {
    const { simulator, publications, failed, mutable } = await setUp({ holders: 0 })
    publications.add(KEY, mutable, signed(1n).record, LIFETIME_MS)
    await simulator.advance(LIFETIME_MS / 2)
    expect(failed).toMatchObject([{ code: 'ERR_NO_CONTACTS' }])
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
