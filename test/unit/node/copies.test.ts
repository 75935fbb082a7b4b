import { describe, expect, test } from 'vitest'
import type { RecordToKeep, Refusal } from '../../../src/node/copies.js'
import { isCached, keepRecord } from '../../../src/node/copies.js'
import type { NodeContext } from '../../../src/node/node-context.js'
import { Turns } from '../../../src/node/turns.js'
import type { RecordKind } from '../../../src/records/index.js'
import type { RecordStore, StoredRecord } from '../../../src/storage/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import { SeededRandom } from '../../../src/testing/index.js'
import { HOUR_MS, laterStore, NO_BYTES, SECOND_MS, settle, storeWith } from './holder-fixture.js'

const NOW_MS = 1_000_000
const K = 4
const KEY = new Uint8Array(32).fill(1)
const [FIRST, SECOND] = [Uint8Array.of(4, 41, 0, 0), Uint8Array.of(4, 41, 0, 1)]

/** One record a key, which never changes. */
const constant: RecordKind = {
  ...{ code: 70, name: 'constant', recordBytesMax: 100, slotsPerKeyMax: 1, isRelayed: true, isFirstEnough: true },
  isValid: () => true,
  merge: (a) => a,
}

/** Slot, sequence number, anything: the higher number wins, then the later bytes. */
const versioned: RecordKind = {
  ...{ code: 71, name: 'versioned', recordBytesMax: 100, slotsPerKeyMax: 32, isRelayed: true, isFirstEnough: false },
  isValid: () => true,
  slot: (record) => record.slice(0, 1),
  seq: (record) => BigInt(record[1]!),
  merge: (a, b) => (String(a) > String(b) ? a : b),
}

/** A set of small numbers, as bits: a merge is a new record that holds both. */
const union: RecordKind = {
  ...{ code: 72, name: 'union', recordBytesMax: 100, slotsPerKeyMax: 1, isRelayed: true, isFirstEnough: false },
  isValid: () => true,
  merge: (a, b) => Uint8Array.of(a[0]! | b[0]!),
}

interface World {
  readonly nearer?: number
  readonly fill?: number
  readonly store?: RecordStore
  readonly random?: SeededRandom
}

function open({ nearer = 0, fill = 0, store = roomy(), random = new SeededRandom(1) }: World = {}) {
  const clock = { nowMs: NOW_MS }
  const node = {
    clock: { wallNow: () => clock.nowMs },
    config: { k: K, valueLifetimeMaxMs: 48 * HOUR_MS, cachedLifetimeMaxMs: HOUR_MS, nearlyFull: 0.9 },
    table: { countNearer: () => nearer },
    turns: new Turns(),
    randomBytes: (length: number) => random.bytes(length),
    store: storeWith(store, { stats: () => ({ ...store.stats(), fill }) }),
  } as unknown as NodeContext
  const all: (Verdict | undefined)[] = []
  const keep = (kind: RecordKind, record: Uint8Array, changes: Partial<RecordToKeep> = {}): Verdict => {
    const offer = {
      ...{ key: KEY, kind, lifetimeMs: HOUR_MS, source: FIRST, cas: undefined, isCached: false },
      accept: () => record,
      ...changes,
    }
    const verdict: Verdict = { refusal: undefined, lifetimeMs: -1, failed: undefined, calls: 0 }
    const told = (part: Partial<Verdict>): void => void Object.assign(verdict, part, { calls: verdict.calls + 1 })
    const failed = (error: unknown): void => told({ failed: error })
    keepRecord(node, offer, (refusal, lifetimeMs) => told({ refusal, lifetimeMs }), failed)
    all.push(verdict)
    return verdict
  }
  const list = (kind: RecordKind) => store.list(KEY, kind.code) as readonly StoredRecord[]
  return { node, keep, list, clock, store }
}

interface Verdict {
  refusal: Refusal | undefined
  lifetimeMs: number
  failed: unknown
  calls: number
}

function raise(error: Error): never {
  throw error
}

function roomy(): MemoryStore {
  return new MemoryStore({ bytesMax: 2 ** 24, recordsMax: 10_000 })
}

const [OLD, NEW, NEWER] = [Uint8Array.of(0, 1, 5), Uint8Array.of(0, 2, 5), Uint8Array.of(0, 3, 5)]
const [LESSER, GREATER] = [Uint8Array.of(0, 2, 4), Uint8Array.of(0, 2, 6)]

describe('what is kept', () => {
  test('a new record lives from now for its lifetime, charged to who stored it', () => {
    const { keep, list } = open()
    expect(keep(versioned, NEW)).toMatchObject({ refusal: undefined, lifetimeMs: HOUR_MS, calls: 1 })
    const expected = { slot: Uint8Array.of(0), storedAtMs: NOW_MS, expiresAtMs: NOW_MS + HOUR_MS, source: FIRST }
    expect(list(versioned)).toEqual([{ key: KEY, kind: 71, record: NEW, ...expected }])
  })

  test('a newer one takes the place of an older one, with a lifetime and a source of its own', () => {
    const { keep, list } = open()
    keep(versioned, OLD, { lifetimeMs: 40 * HOUR_MS })
    keep(versioned, NEW, { source: SECOND })
    expect(list(versioned)).toMatchObject([{ record: NEW, expiresAtMs: NOW_MS + HOUR_MS, source: SECOND }])
  })

  test.each([
    ['ERR_SEQ_TOO_LOW', OLD],
    ['ERR_SEQ_CONFLICT', LESSER],
  ])('one that loses is refused with %s, and changes nothing', (code, record) => {
    const { keep, list } = open()
    keep(versioned, NEW)
    const before = list(versioned)
    expect(keep(versioned, record, { lifetimeMs: 9 * HOUR_MS }).refusal?.code).toBe(code)
    expect(list(versioned)).toEqual(before)
  })

  test('of two with one sequence number the one that wins the merge is kept, whichever came first', () => {
    const { keep, list } = open()
    keep(versioned, NEW)
    expect(keep(versioned, GREATER).refusal).toBeUndefined()
    expect(list(versioned)).toMatchObject([{ record: GREATER }])
  })

  test('a merge that makes a new record is kept, and the writer is not refused', () => {
    const { keep, list } = open()
    keep(union, Uint8Array.of(1))
    expect(keep(union, Uint8Array.of(2)).refusal).toBeUndefined()
    expect(list(union)).toMatchObject([{ record: Uint8Array.of(3) }])
    expect(keep(union, Uint8Array.of(1)).refusal).toBeUndefined()
    expect(list(union)).toMatchObject([{ record: Uint8Array.of(3) }])
  })

  test('a merged record does not end sooner than what it holds would have', () => {
    const { keep, list } = open()
    keep(union, Uint8Array.of(1), { lifetimeMs: 10 * HOUR_MS })
    keep(union, Uint8Array.of(2), { lifetimeMs: SECOND_MS })
    expect(list(union)).toMatchObject([{ record: Uint8Array.of(3), expiresAtMs: NOW_MS + 10 * HOUR_MS }])
  })

  test('one that is not accepted is refused with ERR_INVALID_RECORD', () => {
    const { keep, list } = open()
    expect(keep(constant, OLD, { accept: () => undefined }).refusal?.code).toBe('ERR_INVALID_RECORD')
    expect(list(constant)).toEqual([])
  })

  test('what is expired does not count: neither as rival, nor for a compare-and-swap, nor as held', () => {
    const store = roomy()
    const near = open({ store })
    near.keep(versioned, NEWER, { lifetimeMs: 10 })
    near.clock.nowMs += 10
    expect(near.keep(versioned, OLD, { cas: 7n }).refusal).toBeUndefined()
    expect(near.list(versioned)).toMatchObject([{ record: OLD }])
    near.clock.nowMs += 2 * HOUR_MS
    const far = open({ store, nearer: K, fill: 1 })
    far.clock.nowMs = near.clock.nowMs
    expect(far.keep(versioned, OLD).refusal?.code).toBe('ERR_TOO_FAR')
  })

  test.each([
    ['list', 'throws'],
    ['put', 'throws'],
    ['list', 'rejects'],
    ['put', 'rejects'],
  ])('a store whose %s %s is told once, and the key is free again', async (name, how) => {
    const broken = new Error('the disk is broken')
    const call = how === 'throws' ? () => raise(broken) : () => Promise.reject(broken)
    const store = roomy()
    let isBroken = true
    const method = (real: 'list' | 'put') =>
      (isBroken && real === name ? call : store[real].bind(store)) as (...args: unknown[]) => never
    const { keep, list } = open({
      store: storeWith(store, { list: (...args) => method('list')(...args), put: (...args) => method('put')(...args) }),
    })
    const verdict = keep(constant, OLD)
    await settle()
    expect(verdict).toMatchObject({ failed: broken, calls: 1 })
    isBroken = false
    const second = keep(constant, OLD)
    await settle()
    expect(second).toMatchObject({ refusal: undefined, calls: 1 })
    expect(list(constant)).toMatchObject([{ record: OLD }])
  })

  test('a full store refuses with ERR_STORE_FULL, and nobody loses its place', () => {
    const store = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 2, recordsPerSourceMax: 2 })
    const { keep, list } = open({ store })
    const narrow = { ...versioned, slotsPerKeyMax: 2 }
    keep(narrow, Uint8Array.of(0, 1))
    keep(narrow, Uint8Array.of(1, 1))
    expect(keep(narrow, Uint8Array.of(2, 1)).refusal?.code).toBe('ERR_STORE_FULL')
    expect(
      list(narrow)
        .map(({ slot }) => slot[0])
        .sort(),
    ).toEqual([0, 1])
  })
})

describe('a compare-and-swap', () => {
  test.each<[string, bigint, string | undefined]>([
    ['the number held', 2n, undefined],
    ['a lower one', 1n, 'ERR_CAS_MISMATCH'],
    ['a higher one', 3n, 'ERR_CAS_MISMATCH'],
    ['0, for none held', 0n, 'ERR_CAS_MISMATCH'],
  ])('with %s', (_what, cas, code) => {
    const { keep, list } = open()
    keep(versioned, NEW)
    expect(keep(versioned, NEWER, { cas }).refusal?.code).toBe(code)
    expect(list(versioned)).toMatchObject([{ record: code ? NEW : NEWER }])
  })

  test('is checked before the order: the mismatch is told, though the number is too low as well', () => {
    const { keep } = open()
    keep(versioned, NEWER)
    expect(keep(versioned, OLD, { cas: 1n }).refusal?.code).toBe('ERR_CAS_MISMATCH')
    expect(keep(versioned, OLD, { cas: 3n }).refusal?.code).toBe('ERR_SEQ_TOO_LOW')
  })

  test.each([0n, 9n])('with %i is met where nothing of the slot is held', (cas) => {
    const { keep } = open()
    keep(versioned, Uint8Array.of(1, 5))
    expect(keep(versioned, NEW, { cas }).refusal).toBeUndefined()
  })

  test('always succeeds for what is held byte by byte, also with a wrong number', () => {
    const { keep, list } = open()
    keep(versioned, NEW)
    expect(keep(versioned, NEW.slice(), { cas: 9n, lifetimeMs: 2 * HOUR_MS })).toMatchObject({ refusal: undefined })
    expect(list(versioned)).toMatchObject([{ record: NEW, expiresAtMs: NOW_MS + 2 * HOUR_MS }])
  })

  test('means nothing for a kind without sequence numbers', () => {
    const { keep } = open()
    keep(union, Uint8Array.of(1))
    expect(keep(union, Uint8Array.of(2), { cas: 9n }).refusal).toBeUndefined()
  })
})

describe('the lifetime', () => {
  test('is at most 48 h, or what the kind allows', () => {
    const { keep } = open()
    expect(keep(constant, OLD, { lifetimeMs: 1e15 }).lifetimeMs).toBe(48 * HOUR_MS)
    const brief = { ...versioned, lifetimeMaxMs: 2 * HOUR_MS }
    expect(keep(brief, OLD, { lifetimeMs: 1e15 }).lifetimeMs).toBe(2 * HOUR_MS)
    const long = { ...union, lifetimeMaxMs: 99 * HOUR_MS }
    expect(keep(long, OLD, { lifetimeMs: 1e15 }).lifetimeMs).toBe(48 * HOUR_MS)
  })

  test('of a kind whose records say it is theirs, not what the writer asks for, and still capped', () => {
    const own = {
      ...versioned,
      isRelayed: false,
      lifetimeMaxMs: 2 * HOUR_MS,
      lifetimeMs: (r: Uint8Array) => r[1]! * HOUR_MS,
    }
    const { keep } = open()
    expect(keep(own, OLD, { lifetimeMs: 5 }).lifetimeMs).toBe(HOUR_MS)
    expect(keep(own, NEWER, { lifetimeMs: 5 }).lifetimeMs).toBe(2 * HOUR_MS)
  })

  test('of a kind that is relayed is never prolonged beyond what a relaying holder asks for', () => {
    const own = { ...versioned, lifetimeMs: () => 10 * HOUR_MS }
    const { keep, clock } = open()
    keep(own, NEW, { lifetimeMs: 10 * HOUR_MS })
    clock.nowMs += 9 * HOUR_MS
    expect(keep(own, NEW, { lifetimeMs: HOUR_MS }).lifetimeMs).toBe(HOUR_MS)
  })

  test('is prolonged by who stores the same again, never shortened; it counts as heard of either way', () => {
    const { keep, list, clock } = open()
    keep(constant, OLD, { lifetimeMs: 2 * HOUR_MS })
    clock.nowMs += 1_000
    expect(keep(constant, OLD, { lifetimeMs: 1 }).lifetimeMs).toBe(2 * HOUR_MS - 1_000)
    expect(list(constant)).toMatchObject([{ expiresAtMs: NOW_MS + 2 * HOUR_MS, storedAtMs: NOW_MS + 1_000 }])
    keep(constant, OLD, { lifetimeMs: 3 * HOUR_MS })
    expect(list(constant)).toMatchObject([{ expiresAtMs: NOW_MS + 1_000 + 3 * HOUR_MS }])
  })

  test('that a wrong clock wrote beyond 48 h is cut to 48 h by who stores the same again, and does not grow from then on', () => {
    const { keep, list, clock, store } = open()
    const written = { key: KEY, kind: constant.code, slot: NO_BYTES, record: OLD, source: FIRST }
    store.put({ ...written, storedAtMs: NOW_MS, expiresAtMs: NOW_MS + 9_999 * HOUR_MS })
    expect(keep(constant, OLD, { lifetimeMs: HOUR_MS }).lifetimeMs).toBe(48 * HOUR_MS)
    clock.nowMs += 10 * HOUR_MS
    expect(keep(constant, OLD, { lifetimeMs: HOUR_MS }).lifetimeMs).toBe(38 * HOUR_MS)
    expect(list(constant)).toMatchObject([{ expiresAtMs: NOW_MS + 48 * HOUR_MS }])
  })

  test("who repeats another one's record is not charged for it", () => {
    const { keep, list } = open()
    keep(constant, OLD)
    keep(constant, OLD, { source: SECOND })
    expect(list(constant)).toMatchObject([{ source: FIRST }])
  })

  test.each([
    ['k - 1 are nearer', K - 1, 1],
    // The straight line from 1 to 1/2.
    ['k are nearer: one beyond', K, 1 - 1 / (2 * K)],
    ['k/2 are beyond', K - 1 + K / 2, 0.75],
    ['k are beyond', 2 * K - 1, 0.5],
    ['3k/2 are beyond', K - 1 + 1.5 * K, 0.375],
    ['2k are beyond', 3 * K - 1, 0.25],
    ['more than all nodes there are', K * 2 ** 40 + K - 1, 2 ** -30],
  ])('is shortened by who stands between: %s', (_what, nearer, share) => {
    const { keep } = open({ nearer })
    const { lifetimeMs } = keep(constant, OLD, { lifetimeMs: 24 * HOUR_MS })
    expect(lifetimeMs).toBe(24 * HOUR_MS * share)
  })

  test('is shortened from what was granted, not from what was asked', () => {
    const { keep } = open({ nearer: 2 * K - 1 })
    expect(keep(constant, OLD, { lifetimeMs: 1e15 }).lifetimeMs).toBe(24 * HOUR_MS)
  })

  test('is not shortened for kinds that are not relayed', () => {
    const { keep } = open({ nearer: 100 * K })
    expect(keep({ ...constant, isRelayed: false }, OLD).lifetimeMs).toBe(HOUR_MS)
  })
})

describe('a nearly full holder', () => {
  test.each<[string, World, RecordKind, string | undefined]>([
    ['refuses a key that k nodes are nearer to', { nearer: K, fill: 0.9 }, constant, 'ERR_TOO_FAR'],
    ['takes a key that fewer are nearer to', { nearer: K - 1, fill: 1 }, constant, undefined],
    ['takes a far key while there is room', { nearer: 9 * K, fill: 0.89 }, constant, undefined],
    ['takes what is not relayed', { nearer: K, fill: 1 }, { ...constant, isRelayed: false }, undefined],
  ])('%s', (_what, world, kind, code) => {
    expect(open(world).keep(kind, OLD).refusal?.code).toBe(code)
  })

  test('still takes what it holds of a far key, and a newer one of it, but no other slot', () => {
    const store = roomy()
    open({ store }).keep(versioned, OLD)
    const { keep } = open({ store, nearer: K, fill: 1 })
    expect(keep(versioned, OLD).refusal).toBeUndefined()
    expect(keep(versioned, NEW).refusal).toBeUndefined()
    expect(keep(versioned, Uint8Array.of(1, 1)).refusal?.code).toBe('ERR_TOO_FAR')
  })
})

describe('a cached copy', () => {
  const cached = { isCached: true, lifetimeMs: 9 * HOUR_MS, source: SECOND }

  test('is marked, and lives for an hour at most', () => {
    const { keep, list } = open()
    expect(keep(constant, OLD, cached).lifetimeMs).toBe(HOUR_MS)
    expect(list(constant).map(isCached)).toEqual([true])
    expect(open().keep(constant, OLD, { ...cached, lifetimeMs: 5_000 }).lifetimeMs).toBe(5_000)
  })

  test('of an hour is shortened as any other by who stands between', () => {
    expect(open({ nearer: 2 * K - 1 }).keep(constant, OLD, cached).lifetimeMs).toBe(HOUR_MS / 2)
  })

  test('never takes the place of a real one, nor marks, shortens or prolongs it', () => {
    const { keep, list } = open()
    keep(constant, OLD, { lifetimeMs: HOUR_MS / 2 })
    const before = list(constant)
    expect(keep(constant, OLD, cached)).toMatchObject({ refusal: undefined, lifetimeMs: HOUR_MS / 2 })
    expect(list(constant)).toEqual(before)
    expect(keep(versioned, OLD).refusal).toBeUndefined()
    expect(keep(versioned, NEW, cached).refusal).toBeUndefined()
    expect(list(versioned)).toMatchObject([{ record: OLD }])
  })

  test('becomes a real one by a real STORE, which keeps who was charged first', () => {
    const { keep, list } = open()
    keep(constant, OLD, cached)
    expect(keep(constant, OLD, { lifetimeMs: 5 * HOUR_MS }).lifetimeMs).toBe(5 * HOUR_MS)
    expect(list(constant).map(isCached)).toEqual([false])
    expect(list(constant)).toMatchObject([{ source: SECOND }])
  })

  test('that is cached again stays one', () => {
    const { keep, list, clock } = open()
    keep(constant, OLD, cached)
    clock.nowMs += HOUR_MS / 2
    expect(keep(constant, OLD, cached).lifetimeMs).toBe(HOUR_MS)
    expect(list(constant).map(isCached)).toEqual([true])
  })
})

describe('a full key', () => {
  const SLOTS = 32
  const fillUp = (world: World, source: (i: number) => Uint8Array) => {
    const opened = open(world)
    for (let i = 0; i < SLOTS; i++) opened.keep(versioned, Uint8Array.of(i, 1), { source: source(i) })
    return opened
  }
  const missing = (list: readonly StoredRecord[]) => {
    const there = new Set(list.map(({ slot }) => slot[0]))
    return Array.from({ length: SLOTS }, (_, i) => i).filter((i) => !there.has(i))
  }

  test('has a newcomer take the place of a random one, each equally likely', () => {
    const random = new SeededRandom('victims')
    const losses = new Array<number>(SLOTS).fill(0)
    const rounds = 800
    for (let round = 0; round < rounds; round++) {
      const { keep, list } = fillUp({ random }, () => NO_BYTES)
      expect(keep(versioned, Uint8Array.of(99, 1), { source: SECOND }).refusal).toBeUndefined()
      const gone = missing(list(versioned))
      expect(gone).toHaveLength(1)
      losses[gone[0]!]!++
    }
    const expected = rounds / SLOTS
    const chiSquare = losses.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // 31 degrees of freedom: 61 is exceeded once in a thousand times.
    expect(chiSquare).toBeLessThan(61.1)
  })

  test.each([
    ['of its own network, where that has a 16th of the slots', 2, true],
    ['of anybody, where its own has less', 1, false],
  ])('has a newcomer take the place %s', (_what, own, isOwn) => {
    const random = new SeededRandom(7)
    const gone = new Set<number>()
    for (let round = 0; round < 60; round++) {
      const { keep, list } = fillUp({ random }, (i) => (i < own ? SECOND : FIRST))
      keep(versioned, Uint8Array.of(99, 1), { source: SECOND })
      gone.add(missing(list(versioned))[0]!)
    }
    if (isOwn) expect([...gone].sort()).toEqual([0, 1])
    else expect(gone.size).toBeGreaterThan(10)
  })

  test('loses nobody when a slot that it has is stored again', () => {
    const { keep, list } = fillUp({}, () => FIRST)
    keep(versioned, Uint8Array.of(3, 9))
    expect(missing(list(versioned))).toEqual([])
  })

  test('is not full of what is expired', () => {
    const { keep, list, clock } = fillUp({}, () => FIRST)
    clock.nowMs += HOUR_MS
    for (let i = 0; i < SLOTS - 1; i++) keep(versioned, Uint8Array.of(100 + i, 1))
    keep(versioned, Uint8Array.of(200, 1))
    expect(list(versioned).filter(({ expiresAtMs }) => expiresAtMs > clock.nowMs)).toHaveLength(SLOTS)
  })
})

describe('a store that answers later', () => {
  test.each([0, 1, 2, 3])('never ends with the older of two records that come at once (%i turns)', async (turns) => {
    const inner = roomy()
    const { keep } = open({ store: laterStore(inner, turns) })
    const verdicts = [keep(versioned, NEWER), keep(versioned, NEW), keep(versioned, OLD), keep(union, OLD)]
    await settle()
    expect(inner.list(KEY, 71)).toMatchObject([{ record: NEWER }])
    expect(verdicts.map(({ refusal }) => refusal?.code)).toEqual([
      undefined,
      'ERR_SEQ_TOO_LOW',
      'ERR_SEQ_TOO_LOW',
      undefined,
    ])
  })

  test('lets only one of two compare-and-swaps that come at once succeed', async () => {
    const inner = roomy()
    const { keep } = open({ store: laterStore(inner) })
    keep(versioned, OLD)
    const verdicts = [keep(versioned, LESSER, { cas: 1n }), keep(versioned, GREATER, { cas: 1n })]
    await settle()
    expect(verdicts.map(({ refusal }) => refusal?.code)).toEqual([undefined, 'ERR_CAS_MISMATCH'])
    expect(inner.list(KEY, 71)).toMatchObject([{ record: LESSER }])
  })
})
