import { expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { keyOf } from '../../../src/keyspace/index.js'
import type { DeliveryEvents, Parcel } from '../../../src/node/deliver.js'
import { deliver } from '../../../src/node/deliver.js'
import type { RecordKind } from '../../../src/records/index.js'
import { encodeImmutable } from '../../../src/records/index.js'
import { count, tally } from '../dht/tally-kind.js'
import type { Holder } from './holder-fixture.js'
import { HOUR_MS, openLab, signed } from './holder-fixture.js'

/** What became of each parcel: `taken`, or a code, as often as it was told. */
interface Told {
  readonly settled: Map<Parcel, (DhtErrorCode | 'taken')[]>
  sent: number
  done: number
}

async function setUp() {
  const lab = await openLab({ k: 4, records: [tally] })
  const [holder] = (await lab.holdersNear(keyOf('here'), 1)) as [Holder]
  const parcelsOf = (kind: RecordKind, count: number): Parcel[] =>
    Array.from({ length: count }, (_, i) => ({
      ...(kind === lab.mutable
        ? signed(BigInt(i + 1), 1, Uint8Array.of(i))
        : encodeImmutable(Uint8Array.of(i, i >> 8))),
      kind,
      lifetimeMs: () => HOUR_MS,
    }))
  const start = (parcels: readonly Parcel[], evenIfHeld = true, onSettled = (_told: Told): void => {}) => {
    const told: Told = { settled: new Map(), sent: 0, done: 0 }
    const events: DeliveryEvents = {
      evenIfHeld,
      sent: () => void told.sent++,
      settled(parcel, error) {
        told.settled.set(parcel, [...(told.settled.get(parcel) ?? []), error?.code ?? 'taken'])
        onSettled(told)
      },
      done: () => void told.done++,
    }
    return { told, cancel: deliver(lab.node, holder.contact, parcels, events) }
  }
  return { ...lab, holder, parcelsOf, start }
}

/** How often each outcome was told; fails where one parcel was settled twice. */
function countOf({ settled }: Told): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcomes of settled.values()) {
    expect(outcomes).toHaveLength(1)
    counts[outcomes[0]!] = (counts[outcomes[0]!] ?? 0) + 1
  }
  return counts
}

test('asks for the tokens of 32 keys of one kind at once, and stores each record with its token', async () => {
  const { simulator, holder, parcelsOf, start, immutable, mutable } = await setUp()
  const parcels = [...parcelsOf(immutable, 40), ...parcelsOf(mutable, 5)]
  // Mixed: batches are by kind all the same.
  parcels.reverse()
  holder.tokens = ({ keys }) => ({ tokens: keys.map((key) => ({ token: key.slice(0, 5), heldSeq: undefined })) })
  const { told } = start(parcels)
  await simulator.advance(20_000)
  expect(holder.tokensAsked.map(({ kind, keys }) => [kind, keys.length])).toEqual([
    [1, 5],
    [0, 32],
    [0, 8],
  ])
  expect(told).toMatchObject({ sent: 45, done: 1 })
  expect(countOf(told)).toEqual({ taken: 45 })
  expect(holder.stored).toHaveLength(45)
  for (const { key, kind, token, record, ttlSeconds, isCached, cas } of holder.stored) {
    expect(token).toEqual(key.slice(0, 5))
    expect({ ttlSeconds, isCached, cas }).toEqual({ ttlSeconds: 3600, isCached: false, cas: undefined })
    expect(parcels.find((parcel) => parcel.key.every((byte, i) => byte === key[i]))).toMatchObject({
      record,
      kind: { code: kind },
    })
  }
})

test('sends at most 8 records at once', async () => {
  const { simulator, holder, parcelsOf, start, immutable, node } = await setUp()
  let most = 0
  holder.store = ({ ttlSeconds }) => {
    most = Math.max(most, node.rpc.pendingCalls)
    return { ttlSeconds }
  }
  start(parcelsOf(immutable, 32))
  await simulator.advance(5_000)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(8)
})

test('a holder that answers for fewer keys is asked for the rest', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  holder.tokens = ({ keys }) => ({ tokens: keys.slice(0, 13).map(() => ({ token: holder.token, heldSeq: undefined })) })
  const { told } = start(parcelsOf(immutable, 40))
  await simulator.advance(20_000)
  expect(holder.tokensAsked.map(({ keys }) => keys.length)).toEqual([32, 19, 6, 8])
  expect(countOf(told)).toEqual({ taken: 40 })
  expect(told.done).toBe(1)
})

test('a holder that answers for more keys than it was asked gets what there is', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  const token = { token: Uint8Array.of(1), heldSeq: undefined }
  holder.tokens = () => ({ tokens: new Array(32).fill(token) })
  const { told } = start(parcelsOf(immutable, 3))
  await simulator.advance(5_000)
  expect(countOf(told)).toEqual({ taken: 3 })
  expect([holder.stored.length, told.done]).toEqual([3, 1])
})

test('what a holder gives no tokens for is not taken', async () => {
  const { simulator, holder, parcelsOf, start, immutable, mutable } = await setUp()
  holder.tokens = ({ kind, keys }) => ({
    tokens: kind === 0 ? [] : keys.map(() => ({ token: holder.token, heldSeq: undefined })),
  })
  const { told } = start([...parcelsOf(immutable, 3), ...parcelsOf(mutable, 2)])
  await simulator.advance(5_000)
  expect(told.done).toBe(1)
  const { taken, ...refused } = countOf(told)
  expect(taken).toBe(2)
  expect(Object.values(refused)).toEqual([3])
})

test('a dead holder is given up when it was asked for tokens twice, and all that was left is told', async () => {
  const { simulator, holder, parcelsOf, start, immutable, mutable } = await setUp()
  holder.die()
  const { told } = start([...parcelsOf(immutable, 70), ...parcelsOf(mutable, 3)])
  await simulator.advance(4_500)
  expect(countOf(told)).toEqual({ ERR_TIMEOUT: 73 })
  expect([told.sent, told.done]).toEqual([0, 1])
  expect(holder.peer.requests().length).toBeLessThanOrEqual(4)
})

test('a request for tokens that gets lost costs the holder nothing: it is asked once more', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  let lost = 0
  holder.tokens = ({ keys }) => {
    const tokens = keys.map(() => ({ token: holder.token, heldSeq: undefined }))
    // The request and its resend, of every other batch.
    return holder.tokensAsked.length % 4 < 3 && lost++ >= 0 ? undefined : { tokens }
  }
  const { told } = start(parcelsOf(immutable, 70))
  await simulator.advance(60_000)
  expect(lost).toBeGreaterThan(1)
  expect(countOf(told)).toEqual({ taken: 70 })
})

test('a holder that takes no more requests for now gets the rest after a pause', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  // Twenty a second, of whatever sort.
  let left = 20
  const take = <T>(answer: T): T | 'ERR_RATE_LIMITED' => (left-- > 0 ? answer : 'ERR_RATE_LIMITED')
  const refill = (): void => {
    left = 20
    simulator.host().clock.after(1_000, refill)
  }
  refill()
  holder.store = ({ ttlSeconds }) => take({ ttlSeconds })
  holder.tokens = ({ keys }) => take({ tokens: keys.map(() => ({ token: holder.token, heldSeq: undefined })) })
  const { told } = start(parcelsOf(immutable, 100))
  await simulator.advance(30_000)
  expect(countOf(told)).toEqual({ taken: 100 })
})

test('a holder that gives tokens but never takes a STORE for now is given up soon, however many are left', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  holder.store = () => 'ERR_RATE_LIMITED'
  const { told } = start(parcelsOf(immutable, 400))
  await simulator.advance(10_000)
  expect(countOf(told)).toEqual({ ERR_RATE_LIMITED: 400 })
  expect(told.done).toBe(1)
  expect(told.sent).toBeLessThan(40)
})

test('a holder that gives tokens but never answers a STORE is left after four in a row, and the rest is told', async () => {
  const { simulator, holder, parcelsOf, start, immutable, mutable } = await setUp()
  holder.store = () => undefined
  const { told } = start([...parcelsOf(immutable, 70), ...parcelsOf(mutable, 5)])
  await simulator.advance(60_000)
  expect(countOf(told)).toEqual({ ERR_TIMEOUT: 75 })
  // Four at once, and three that began before the fourth of these was silent; each is sent twice.
  expect(told).toMatchObject({ sent: 14, done: 1 })
  expect(new Set(holder.stored.map(({ key }) => String(key))).size).toBe(7)
  expect(holder.tokensAsked).toHaveLength(1)
})

test('a holder that answers every fourth STORE is not left', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  const parcels = parcelsOf(immutable, 12)
  const answered = new Set(parcels.filter((_, i) => i % 4 === 0).map(({ key }) => String(key)))
  holder.store = ({ key, ttlSeconds }) => (answered.has(String(key)) ? { ttlSeconds } : undefined)
  const { told } = start(parcels)
  await simulator.advance(60_000)
  expect(new Set(holder.stored.map(({ key }) => String(key))).size).toBe(12)
  expect(countOf(told)).toEqual({ ERR_TIMEOUT: 9, taken: 3 })
  expect(told.done).toBe(1)
})

test('a refusal is told with its code', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  holder.store = () => 'ERR_STORE_FULL'
  const { told } = start(parcelsOf(immutable, 2))
  await simulator.advance(5_000)
  expect(countOf(told)).toEqual({ ERR_STORE_FULL: 2 })
})

test.each([
  [true, 6],
  [false, 3],
])('with evenIfHeld %s, of what the holder has or has newer %i of 6 are sent', async (evenIfHeld, stored) => {
  const { simulator, holder, parcelsOf, start, immutable, mutable } = await setUp()
  const parcels = [...parcelsOf(mutable, 4), ...parcelsOf(immutable, 2)]
  // Sequence numbers 1 to 4: it has newer, the same, an older one, none; and one of two immutable ones.
  const heldSeqs = [9n, 2n, 2n, undefined]
  holder.tokens = ({ kind, keys }) => ({
    tokens: keys.map((_key, i) => ({ token: holder.token, heldSeq: kind === 1 ? heldSeqs[i] : [0n, undefined][i] })),
  })
  const { told } = start(parcels, evenIfHeld)
  await simulator.advance(5_000)
  expect(countOf(told)).toEqual({ taken: stored })
  expect([holder.stored.length, told.done]).toEqual([stored, 1])
})

test('no parcels are done at once', async () => {
  const { start } = await setUp()
  expect(start([]).told).toEqual({ settled: new Map(), sent: 0, done: 1 })
})

test('all that is held already is done without a STORE', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  holder.tokens = ({ keys }) => ({ tokens: keys.map(() => ({ token: holder.token, heldSeq: 0n })) })
  const { told } = start(parcelsOf(immutable, 70), false)
  await simulator.advance(5_000)
  expect([told.settled.size, told.done, holder.stored.length]).toEqual([0, 1, 0])
})

test('the remaining lifetime is that of the moment when the record is sent, rounded down', async () => {
  const { simulator, holder, parcelsOf, start, immutable, node } = await setUp()
  const endsAtMs = node.clock.now() + 10_000
  start(parcelsOf(immutable, 1).map((parcel) => ({ ...parcel, lifetimeMs: () => endsAtMs - node.clock.now() })))
  await simulator.advance(2_000)
  expect(holder.stored).toMatchObject([{ ttlSeconds: 9 }])
})

test('what has no second left is not relayed', async () => {
  const { simulator, holder, parcelsOf, start, immutable } = await setUp()
  const [live, dying, dead] = parcelsOf(immutable, 3) as [Parcel, Parcel, Parcel]
  const { told } = start([live, { ...dying, lifetimeMs: () => 999 }, { ...dead, lifetimeMs: () => -5 }])
  await simulator.advance(5_000)
  expect(holder.stored.map(({ record }) => record)).toEqual([live.record])
  expect(told.done).toBe(1)
})

test.each([
  ['at once', 0],
  ['while tokens are asked for', 5],
  ['while records are stored', 25],
])('a delivery that is cancelled %s sends and tells nothing more', async (_when, afterMs) => {
  const { simulator, holder, parcelsOf, start, immutable, node } = await setUp()
  const { told, cancel } = start(parcelsOf(immutable, 64))
  await simulator.advance(afterMs)
  cancel()
  const before = { sent: told.sent, settled: told.settled.size }
  await simulator.advance(30_000)
  expect({ sent: told.sent, settled: told.settled.size }).toEqual(before)
  expect([told.done, node.rpc.pendingCalls]).toEqual([0, 0])
  expect(holder.stored.length).toBeLessThanOrEqual(8)
})

test('of a kind with many records a key, who holds one of them does not hold the others', async () => {
  const { simulator, holder, start, node } = await setUp()
  const key = keyOf('tally')
  const kind = node.kinds.get(tally.code)!
  const parcels = [1, 2].map((slot) => ({ key, kind, record: count(key, slot, 1), lifetimeMs: () => HOUR_MS }))
  holder.tokens = ({ keys }) => ({ tokens: keys.map(() => ({ token: holder.token, heldSeq: 0n })) })
  const { told } = start(parcels, false)
  await simulator.advance(5_000)
  expect(countOf(told)).toEqual({ taken: 2 })
})
