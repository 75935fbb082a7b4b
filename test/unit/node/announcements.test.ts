import { describe, expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import type { Contact } from '../../../src/keyspace/index.js'
import { keyOf } from '../../../src/keyspace/index.js'
import type { StoredAt } from '../../../src/node/index.js'
import { RunningAnnouncement } from '../../../src/node/index.js'
import { readPeer } from '../../../src/records/index.js'
import type { StoreParams } from '../../../src/wire/index.js'
import type { Holder, LabOptions } from './holder-fixture.js'
import { begin, HOUR_MS, KEYS, MINUTE_MS, openLab } from './holder-fixture.js'

const TOPIC = keyOf('topic')
const LIFETIME_MS = HOUR_MS

async function setUp(options: LabOptions = {}) {
  const lab = await openLab({ k: 4, ...options })
  const holders = (await lab.holdersNear(TOPIC, 4)) as [Holder, Holder, Holder, Holder]
  const failed: DhtErrorCode[] = []
  const peer = { topic: TOPIC, keys: KEYS, port: 4000, data: Uint8Array.of(7), lifetimeMs: LIFETIME_MS }
  const announcement = new RunningAnnouncement(lab.node, lab.peer, peer, { failed: ({ code }) => failed.push(code) })
  const { simulator } = lab
  const start = async () => {
    const { outcome, cancel } = begin<StoredAt>((done) => announcement.start(done))
    await simulator.advance(5_000)
    return { outcome, cancel }
  }
  const stop = async () => {
    const removed: Contact[][] = []
    const cancel = announcement.stop((removedAt) => removed.push(removedAt))
    await simulator.advance(5_000)
    return { removed, cancel }
  }
  const stores = () => holders.map(({ stored }) => stored.length)
  return { ...lab, holders, announcement, failed, start, stop, stores }
}

/** What a STORE says, as its holder would keep it. */
function fieldsOf({ record, token }: StoreParams) {
  return readPeer(Uint8Array.of(...record, token.length, ...token, 1))
}

describe('an announcement', () => {
  test('is a record of its own for each holder, valid there and nowhere else', async () => {
    const { holders, peer, start } = await setUp()
    const { outcome } = await start()
    expect(outcome).toMatchObject({ calls: 1, result: { storedAt: holders.map(({ contact }) => contact) } })
    for (const [i, { stored, peer: at, token }] of holders.entries()) {
      const [params] = stored as [StoreParams]
      expect(params).toMatchObject({ key: TOPIC, kind: 2, ttlSeconds: 3600, isCached: false, token })
      const context = { token, observed: Uint8Array.of(4, 1, 2, 3, 4, 5, 6) }
      expect(peer.accept!(TOPIC, params.record, { holder: at.id, ...context })).toBeDefined()
      const other = holders[(i + 1) % 4] as Holder
      expect(peer.accept!(TOPIC, params.record, { holder: other.peer.id, ...context })).toBeUndefined()
      expect(fieldsOf(params)).toMatchObject({ port: 4000, lifetimeSeconds: 3600, data: Uint8Array.of(7) })
    }
  })

  test('is renewed at half of its lifetime with a higher number, until it is stopped', async () => {
    const { holders, start, simulator, announcement, stores } = await setUp()
    await start()
    await simulator.advance(LIFETIME_MS / 2 - 10_000)
    expect(stores()).toEqual([1, 1, 1, 1])
    await simulator.advance(10_000)
    expect(stores()).toEqual([2, 2, 2, 2])
    await simulator.advance(LIFETIME_MS)
    const seqs = holders[0].stored.map((params) => fieldsOf(params).seq)
    expect(seqs).toHaveLength(4)
    expect([...seqs].sort((a, b) => Number(a - b))).toEqual(seqs)
    expect(new Set(seqs).size).toBe(4)
    announcement.abandon()
    await simulator.advance(4 * LIFETIME_MS)
    expect(stores()).toEqual([4, 4, 4, 4])
  })

  test('has a higher number each time, though the wall clock stands still', async () => {
    const { holders, start, simulator, node, announcement } = await setUp()
    const frozen = node.clock.wallNow()
    node.clock.wallNow = () => frozen
    await start()
    await simulator.advance(2 * LIFETIME_MS)
    const seqs = holders[0].stored.map((params) => fieldsOf(params).seq)
    expect(new Set(seqs).size).toBe(5)
    expect(seqs).toEqual([...seqs].sort((a, b) => Number(a - b)))
    announcement.abandon()
  })

  test('whose first attempt fails is not renewed', async () => {
    const { holders, start, simulator, failed } = await setUp()
    for (const holder of holders) holder.store = () => 'ERR_STORE_FULL'
    expect((await start()).outcome.error?.code).toBe('ERR_NOT_STORED')
    await simulator.advance(4 * LIFETIME_MS)
    expect([holders[0].stored.length, failed.length]).toEqual([1, 0])
  })

  test('whose renewal fails tells so each time, tries again soon, and goes on', async () => {
    const { holders, start, simulator, failed, announcement, stores } = await setUp()
    await start()
    const { store } = holders[0]
    for (const holder of holders) holder.store = () => 'ERR_STORE_FULL'
    await simulator.advance(LIFETIME_MS / 2)
    expect(failed).toEqual(['ERR_NOT_STORED'])
    await simulator.advance(LIFETIME_MS / 16 + 1_000)
    expect(failed).toHaveLength(2)
    for (const holder of holders) holder.store = store
    await simulator.advance(LIFETIME_MS / 16 + 1_000)
    expect([failed.length, stores()]).toEqual([2, [4, 4, 4, 4]])
    await simulator.advance(LIFETIME_MS / 2)
    expect(stores()).toEqual([5, 5, 5, 5])
    announcement.abandon()
  })

  test('that is cancelled while it starts is neither told nor renewed', async () => {
    for (const afterMs of [0, 5, 25]) {
      const { announcement, simulator, node, stores } = await setUp()
      const { outcome, cancel } = begin<StoredAt>((done) => announcement.start(done))
      await simulator.advance(afterMs)
      cancel()
      announcement.abandon()
      expect(node.rpc.pendingCalls).toBe(0)
      const before = Math.max(...stores())
      await simulator.advance(4 * LIFETIME_MS)
      expect([outcome.calls, Math.max(...stores()) <= before + 1]).toEqual([0, true])
    }
  })

  test('that is abandoned during a renewal sends nothing more', async () => {
    const { announcement, start, simulator, node, holders, failed } = await setUp()
    await start()
    holders[0].findValue = () => {
      announcement.abandon()
      return {}
    }
    await simulator.advance(4 * LIFETIME_MS)
    expect(holders.map(({ stored }) => stored.length)).toEqual([1, 1, 1, 1])
    expect([node.rpc.pendingCalls, failed]).toEqual([0, []])
  })
})

describe('stop()', () => {
  test('sends every holder a tombstone with a higher number, under a token of its own', async () => {
    const { holders, start, stop, simulator } = await setUp()
    await start()
    const { removed } = await stop()
    expect(removed).toHaveLength(1)
    expect(removed[0]!.map(({ address }) => address).sort()).toEqual(
      holders.map(({ contact }) => contact.address).sort(),
    )
    for (const { asked, stored, token } of holders) {
      expect(asked.at(-1)).toMatchObject({ want: 0, key: TOPIC })
      const [first, last] = stored as [StoreParams, StoreParams]
      expect(last.token).toEqual(token)
      expect(fieldsOf(last).lifetimeSeconds).toBe(0)
      expect(fieldsOf(last).seq).toBeGreaterThan(fieldsOf(first).seq)
    }
    await simulator.advance(4 * LIFETIME_MS)
    expect(holders[0].stored).toHaveLength(2)
  })

  test('reaches whoever may have a record: those of earlier renewals, and those that did not answer', async () => {
    const { holders, start, stop, simulator, holdersNear, node } = await setUp()
    holders[3].store = () => undefined
    await start()
    // Another one comes nearer, and the farthest is not asked any more.
    const [fresh] = (await holdersNear(TOPIC, 1)) as [Holder]
    node.table.remove(holders[0].peer.id)
    node.table.answered(fresh.contact)
    await simulator.advance(LIFETIME_MS / 2)
    holders[3].store = ({ ttlSeconds }) => ({ ttlSeconds })
    const { removed } = await stop()
    expect(removed[0]!.length).toBeGreaterThanOrEqual(4)
    expect(fieldsOf(holders[3].stored.at(-1)!).lifetimeSeconds).toBe(0)
    expect(fieldsOf(fresh.stored.at(-1)!).lifetimeSeconds).toBe(0)
  })

  test('leaves out whose record has expired by now', async () => {
    const { holders, start, stop, simulator, announcement } = await setUp()
    await start()
    announcement.abandon()
    await simulator.advance(LIFETIME_MS + MINUTE_MS)
    expect((await stop()).removed).toEqual([[]])
    expect(holders.map(({ stored }) => stored.length)).toEqual([1, 1, 1, 1])
  })

  test('counts as removed only where the tombstone was taken, and ends once all have answered or failed', async () => {
    const { holders, start, stop } = await setUp()
    await start()
    holders[0].die()
    holders[1].store = () => 'ERR_STORE_FULL'
    holders[2].findValue = () => 'ERR_REMOTE'
    const { removed } = await stop()
    expect(removed).toMatchObject([[{ address: holders[3].contact.address }]])
  })

  test('of what nobody was sent ends at once', async () => {
    const { stop, holders } = await setUp()
    expect((await stop()).removed).toEqual([[]])
    expect(holders[0].peer.heard).toEqual([])
  })

  test.each([0, 5, 25])('that is cancelled after %i ms sends and tells nothing more', async (afterMs) => {
    const { start, simulator, announcement, node, holders } = await setUp()
    await start()
    const removed: unknown[] = []
    const cancel = announcement.stop((removedAt) => removed.push(removedAt))
    await simulator.advance(afterMs)
    cancel()
    expect(node.rpc.pendingCalls).toBe(0)
    await simulator.advance(4 * LIFETIME_MS)
    expect(removed).toEqual([])
    expect(holders.every(({ stored }) => stored.length <= 2)).toBe(true)
  })
})
