import { describe, expect, test } from 'vitest'
import { keyOf } from '../../../src/keyspace/index.js'
import type { FoundRecord, FoundRecords } from '../../../src/node/index.js'
import { getRecord, resolveRecords } from '../../../src/node/index.js'
import { decodeCursor } from '../../../src/node/samples.js'
import type { Search, SearchResult } from '../../../src/node/search-all.js'
import { searchAll } from '../../../src/node/search-all.js'
import type { RecordKind } from '../../../src/records/index.js'
import { encodeImmutable } from '../../../src/records/index.js'
import { count, countsOf, tally } from '../dht/tally-kind.js'
import type { Holder, LabOptions } from './holder-fixture.js'
import { begin, held, laterStore, openLab, START_MS, signed, storeWith } from './holder-fixture.js'

const { key: KEY } = signed(1n)
const { key: VALUE_KEY, record: VALUE } = encodeImmutable(Uint8Array.of(1, 2, 3))
const TALLY_KEY = keyOf('tally')

async function setUp(key = KEY, { holders: count = 4, ...options }: LabOptions & { holders?: number } = {}) {
  const lab = await openLab({ k: 4, records: [tally], ...options })
  const holders = (await lab.holdersNear(key, count)) as [Holder, Holder, Holder, Holder]
  const tallies = lab.node.kinds.get(tally.code)!
  const resolve = async (kind: RecordKind, forMs = 20_000) => {
    const { outcome } = begin<FoundRecords>((done) => resolveRecords(lab.node, key, kind, done))
    await lab.simulator.advance(forMs)
    expect(outcome.calls).toBe(1)
    return outcome
  }
  const search = (kind: RecordKind, wantsMore = (): boolean => true, onFound = (_search: Search): void => {}) => {
    const found: Uint8Array[] = []
    const results: SearchResult[] = []
    const running = searchAll(lab.node, key, kind, {
      found(record) {
        found.push(record)
        onFound(running)
        return true
      },
      wantsMore,
      done: (result) => results.push(result),
    })
    return { found, results, running }
  }
  return { ...lab, holders, tallies, resolve, search }
}

/** Lets a holder serve these records page by page, in their order. */
function serve(holder: Holder, records: readonly Uint8Array[], perPage: number): void {
  holder.findValue = ({ cursor }) => {
    const { skip } = decodeCursor(cursor)!
    const page = records.slice(skip, skip + perPage)
    const recordsLeft = Math.max(0, records.length - skip - page.length)
    return { heldSeq: 0n, records: page, recordsLeft, ttlsSeconds: page.map(() => 60) }
  }
}

function tallyOf(from: number, to: number, counter = 1): Uint8Array[] {
  return Array.from({ length: to - from }, (_, i) => count(TALLY_KEY, from + i, counter))
}

describe('the record that wins', () => {
  test('is the highest that any of the holders shows', async () => {
    const { holders, mutable, resolve } = await setUp()
    holders[0].holds(mutable, signed(3n).record)
    holders[1].holds(mutable, signed(5n, 1).record)
    holders[2].holds(mutable, signed(5n, 2).record)
    expect((await resolve(mutable)).result?.records).toEqual([signed(5n, 2).record])
  })

  test('may be our own, and what is expired or not valid there is none', async () => {
    const { holders, mutable, resolve, storage } = await setUp()
    holders[0].holds(mutable, signed(3n).record)
    storage.put(held(mutable, KEY, signed(9n).record))
    expect((await resolve(mutable)).result?.records).toEqual([signed(9n).record])
    // What is lower need not be sent.
    for (const { asked } of holders) expect(asked).toMatchObject([{ minSeq: 9n }])
    storage.put(held(mutable, KEY, signed(9n).record, { expiresAtMs: START_MS }))
    expect((await resolve(mutable)).result?.records).toEqual([signed(3n).record])
    const forged = signed(9n).record.slice()
    forged[50]! ^= 1
    storage.put(held(mutable, KEY, forged))
    expect((await resolve(mutable)).result?.records).toEqual([signed(3n).record])
  })

  test('is found though the own store fails', async () => {
    const list = () => Promise.reject(new Error('the disk is broken'))
    const { holders, mutable, resolve } = await setUp(KEY, { storage: storeWith(laterStore(), { list }) })
    holders[0].holds(mutable, signed(3n).record)
    expect((await resolve(mutable)).result?.records).toEqual([signed(3n).record])
  })

  test('is none, which is no error, when most answered without; too few answers are ERR_TIMEOUT', async () => {
    const { holders, mutable, resolve } = await setUp()
    holders[0].die()
    expect(await resolve(mutable)).toMatchObject({ error: undefined, result: { records: [] } })
    const silent = await setUp()
    for (const holder of silent.holders.slice(0, 3)) holder.die()
    expect((await silent.resolve(silent.mutable)).error?.code).toBe('ERR_TIMEOUT')
    expect((await (await setUp(KEY, { holders: 0 })).resolve(mutable)).error?.code).toBe('ERR_NO_CONTACTS')
  })

  test('is not moved by a claim without a record, nor by records that are not valid', async () => {
    const { holders, mutable, resolve, node } = await setUp()
    const forged = signed(90n).record.slice()
    forged[50]! ^= 1
    holders[0].findValue = () => ({ heldSeq: 99n })
    holders[1].findValue = () => ({ heldSeq: 90n, records: [forged, signed(7n, 1, Uint8Array.of(1)).record] })
    holders[2].holds(mutable, signed(3n).record)
    expect((await resolve(mutable)).result?.records).toEqual([signed(3n).record])
    expect(node.counters.invalidRecords).toBe(2)
    expect(holders[0].stored).toEqual([])
  })

  test('of each slot is one of all that the holders have', async () => {
    const { holders, tallies, resolve } = await setUp(TALLY_KEY)
    serve(holders[0], [count(TALLY_KEY, 1, 5), count(TALLY_KEY, 2, 5)], 9)
    serve(holders[1], [count(TALLY_KEY, 1, 9), count(TALLY_KEY, 3, 1)], 9)
    expect(countsOf((await resolve(tallies)).result!.records)).toEqual({ 1: 9, 2: 5, 3: 1 })
  })
})

describe('read repair', () => {
  test('stores the winner at those that lag, with what its life has left, and at no others', async () => {
    const { holders, mutable, resolve, node } = await setUp()
    holders[0].holds(mutable, signed(5n).record, 1_234)
    holders[1].holds(mutable, signed(3n).record, 9_999)
    holders[3].holds(mutable, signed(5n).record, 77)
    await resolve(mutable)
    const expected = { record: signed(5n).record, ttlSeconds: 1_234, isCached: false, cas: undefined }
    expect(holders[1].stored).toMatchObject([{ ...expected, token: holders[1].token }])
    expect(holders[2].stored).toMatchObject([{ ...expected, token: holders[2].token }])
    expect([holders[0].stored, holders[3].stored]).toEqual([[], []])
    expect(node.counters.passedOn).toBe(2)
  })

  test('does nothing where all agree, or nothing was found', async () => {
    const { holders, mutable, resolve } = await setUp()
    await resolve(mutable)
    for (const holder of holders) holder.holds(mutable, signed(5n).record)
    await resolve(mutable)
    expect(holders.flatMap(({ stored }) => stored)).toEqual([])
  })

  test('that fails changes nothing for the reader, who does not wait for it', async () => {
    const { holders, mutable, resolve } = await setUp()
    holders[0].holds(mutable, signed(5n).record)
    holders[1].store = () => 'ERR_STORE_FULL'
    holders[2].store = () => undefined
    const { result, error } = await resolve(mutable, 60)
    expect(error).toBeUndefined()
    expect(result).toMatchObject({ records: [signed(5n).record], elapsedMs: 20 })
    expect(holders[1].stored).toHaveLength(1)
  })

  test('is not done of a record whose holder does not say how long it lives', async () => {
    const { holders, mutable, resolve } = await setUp()
    holders[0].findValue = () => ({ heldSeq: 5n, records: [signed(5n).record] })
    expect((await resolve(mutable)).result?.records).toHaveLength(1)
    expect(holders.flatMap(({ stored }) => stored)).toEqual([])
  })

  test('is not done of a kind that is not relayed, nor at those that have more than they sent', async () => {
    const { holders, resolve, tallies, immutable } = await setUp(TALLY_KEY)
    serve(holders[0], [count(TALLY_KEY, 1, 5)], 9)
    await resolve({ ...tallies, isRelayed: false })
    expect(holders.flatMap(({ stored }) => stored)).toEqual([])
    // It sends the same one again and again, and may have the other as well.
    holders[1].findValue = () => ({ heldSeq: 0n, records: [count(TALLY_KEY, 2, 5)], recordsLeft: 3, ttlsSeconds: [60] })
    await resolve(tallies)
    expect(holders.map(({ stored }) => stored.length)).toEqual([1, 0, 2, 2])
    expect(immutable.isRelayed).toBe(true)
  })

  test('sends nothing new to a full holder, and to others as many as they have room for', async () => {
    const { holders, tallies, resolve } = await setUp(TALLY_KEY)
    expect(tallies.slotsPerKeyMax).toBe(16)
    serve(holders[0], tallyOf(0, 16), 16)
    serve(holders[1], tallyOf(16, 26), 16)
    // One that the full holder has too, and that wins.
    serve(holders[2], [count(TALLY_KEY, 0, 9)], 16)
    expect((await resolve(tallies)).result?.records).toHaveLength(26)
    expect(holders.map(({ stored }) => stored.length)).toEqual([1, 6, 15, 16])
    expect(holders[0].stored).toMatchObject([{ record: count(TALLY_KEY, 0, 9) }])
  })

  test('does not send hundreds of datagrams at once because a liar has many records', async () => {
    const kind: RecordKind = { ...tally, slotsPerKeyMax: 300, slot: (record) => record.slice(32, 34) }
    const { holders, resolve, simulator } = await setUp(TALLY_KEY, { records: [kind] })
    const many = Array.from({ length: 300 }, (_, i) => Uint8Array.of(...TALLY_KEY, i >> 8, i & 0xff))
    serve(holders[0], many, 16)
    let most = 0
    let lastMs = -1
    let atOnce = 0
    simulator.setFilter(() => {
      atOnce = simulator.nowMs === lastMs ? atOnce + 1 : 1
      lastMs = simulator.nowMs
      most = Math.max(most, atOnce)
      return true
    })
    await resolve(kind, 60_000)
    expect(most).toBeLessThan(200)
  })
})

describe('pages', () => {
  test('of several holders bring each slot once, each page of one seed', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    serve(holders[0], tallyOf(0, 10), 3)
    serve(holders[1], tallyOf(4, 14).reverse(), 3)
    const { found, results } = search(tallies)
    await simulator.advance(20_000)
    expect(countsOf(found)).toEqual(Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i, 1])))
    expect(found).toHaveLength(14)
    expect(results).toHaveLength(1)
    const cursors = holders[0].asked.map(({ cursor }) => decodeCursor(cursor)!)
    expect(new Set(cursors.map(({ seed }) => seed)).size).toBe(1)
    expect(cursors.map(({ skip }) => skip).slice(0, 3)).toEqual([0, 3, 6])
    expect(results[0]!.pages).toBe(holders.reduce((sum, { asked }) => sum + asked.length - 1, 0))
  })

  test('of another holder have another seed', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    search(tallies)
    await simulator.advance(5_000)
    expect(new Set(holders.map(({ asked }) => decodeCursor(asked[0]!.cursor)!.seed)).size).toBe(4)
  })

  test('are asked for until four in a row bring nothing new', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    for (const holder of holders.slice(0, 2)) serve(holder, tallyOf(0, 16), 1)
    holders[1].findValue = ({ cursor }) => {
      const { skip } = decodeCursor(cursor)!
      return { heldSeq: 0n, records: [count(TALLY_KEY, skip % 2, 1)], recordsLeft: 60 }
    }
    const { results } = search(tallies)
    await simulator.advance(30_000)
    expect(results).toHaveLength(1)
    expect(holders[0].asked.length).toBe(16)
    expect(holders[1].asked.length).toBeLessThanOrEqual(6)
  })

  test('of new records without end are cut off at twice what the kind allows', async () => {
    const { holders, search, simulator } = await setUp(TALLY_KEY)
    const kind: RecordKind = { ...tally, slotsPerKeyMax: 20, slot: (record) => record.slice(32, 34) }
    let made = 0
    holders[0].findValue = () => ({
      heldSeq: 0n,
      records: Array.from({ length: 8 }, () => Uint8Array.of(...TALLY_KEY, made >> 8, made++ & 0xff)),
      recordsLeft: 65_535,
    })
    const { found, results } = search(kind)
    await simulator.advance(60_000)
    expect(results).toHaveLength(1)
    expect(found).toHaveLength(40)
    expect(holders[0].asked).toHaveLength(5)
  })

  test('of a holder that says it has more but sends none end at once', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    for (const holder of holders) holder.findValue = () => ({ heldSeq: 0n, recordsLeft: 65_535 })
    const { results } = search(tallies)
    await simulator.advance(60_000)
    expect(results).toHaveLength(1)
    expect(holders.map(({ asked }) => asked.length)).toEqual([2, 2, 2, 2])
  })

  test('of invalid records count as fruitless', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    holders[0].findValue = () => ({ heldSeq: 0n, records: [VALUE], recordsLeft: 9 })
    const { results, found } = search(tallies)
    await simulator.advance(60_000)
    expect([results.length, found.length, holders[0].asked.length]).toEqual([1, 0, 5])
  })

  test('of a holder that dies end with what there is', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    serve(holders[0], tallyOf(0, 10), 4)
    const page = holders[0].findValue
    holders[0].findValue = (params) => (decodeCursor(params.cursor)!.skip > 0 ? undefined : page(params))
    const { results, found } = search(tallies)
    await simulator.advance(60_000)
    expect([results.length, found.length]).toEqual([1, 4])
  })

  test('wait while no more are wanted, and go on with resume', async () => {
    const { holders, tallies, search, simulator } = await setUp(TALLY_KEY)
    serve(holders[0], tallyOf(0, 10), 2)
    let wants = false
    const { results, found, running } = search(tallies, () => wants)
    await simulator.advance(60_000)
    expect([results.length, found.length]).toEqual([0, 2])
    running.resume()
    await simulator.advance(60_000)
    expect(found).toHaveLength(2)
    wants = true
    running.resume()
    await simulator.advance(60_000)
    expect([results.length, found.length]).toEqual([1, 10])
    running.resume()
    expect(results).toHaveLength(1)
  })

  test('are asked for of no holder that claims to have more of a kind with one record a key', async () => {
    const { holders, mutable, resolve } = await setUp()
    for (const holder of holders) {
      holder.findValue = () => ({ heldSeq: 5n, records: [signed(5n).record], recordsLeft: 60_000, ttlsSeconds: [60] })
    }
    const { result } = await resolve(mutable)
    expect(result).toMatchObject({ records: [signed(5n).record], messages: 4 })
    expect(holders.map(({ asked }) => asked.length)).toEqual([1, 1, 1, 1])
  })

  test('that there are none of need nobody who wants them', async () => {
    const { tallies, search, simulator } = await setUp(TALLY_KEY)
    const { results } = search(tallies, () => false)
    await simulator.advance(5_000)
    expect(results).toHaveLength(1)
  })
})

describe('stop()', () => {
  test.each([
    ['at once', 0],
    ['during the lookup', 5],
    ['during the pages', 25],
  ])('%s cancels all of it', async (_when, afterMs) => {
    const { holders, tallies, search, simulator, node } = await setUp(TALLY_KEY)
    serve(holders[0], tallyOf(0, 16), 2)
    const { running, results, found } = search(tallies)
    await simulator.advance(afterMs)
    const before = found.length
    running.stop()
    running.resume()
    expect(node.rpc.pendingCalls).toBe(0)
    await simulator.advance(20_000)
    expect(results).toEqual([])
    expect(found).toHaveLength(before)
  })

  test('within found ends it too', async () => {
    const { holders, tallies, search, simulator, node } = await setUp(TALLY_KEY)
    serve(holders[0], tallyOf(0, 16), 2)
    const { results } = search(tallies, undefined, (running) => running.stop())
    await simulator.advance(20_000)
    expect(results).toEqual([])
    expect(holders[0].asked).toHaveLength(1)
    expect(node.rpc.pendingCalls).toBe(0)
  })

  test('while the own store is read asks nobody', async () => {
    const { holders, mutable, search, simulator } = await setUp(KEY, { storage: laterStore() })
    const { running, results } = search(mutable)
    running.stop()
    await simulator.advance(5_000)
    expect(results).toEqual([])
    expect(holders.flatMap(({ asked }) => asked)).toEqual([])
  })
})

describe('a value that any holder answers', () => {
  const get = async (options: LabOptions = {}) => {
    const opened = await setUp(VALUE_KEY, options)
    const start = () => begin<FoundRecord>((done) => getRecord(opened.node, VALUE_KEY, opened.immutable, done))
    return { ...opened, start }
  }

  test('is cached at the nearest node that had none, once, with what its life has left', async () => {
    const { holders, immutable, start, simulator, node } = await get({ alpha: 4 })
    holders[3].holds(immutable, VALUE, 500)
    // Those without it answer first.
    const { outcome } = start()
    await simulator.advance(5_000)
    expect(outcome).toMatchObject({ calls: 1, result: { record: VALUE } })
    expect(holders.map(({ stored }) => stored.length)).toEqual([1, 0, 0, 0])
    expect(holders[0].stored).toMatchObject([
      { isCached: true, ttlSeconds: 500, record: VALUE, token: holders[0].token },
    ])
    expect(node.counters.passedOn).toBe(1)
  })

  test('is not cached where its holder does not say how long it lives, nor where nobody lacked it', async () => {
    const { holders, start, simulator } = await get()
    for (const holder of holders.slice(1)) holder.findValue = () => ({ heldSeq: 0n, records: [VALUE] })
    start()
    await simulator.advance(5_000)
    expect(holders.flatMap(({ stored }) => stored)).toEqual([])
  })

  test('in our own store costs nothing; an expired one is asked for', async () => {
    const { holders, immutable, start, simulator, storage } = await get()
    storage.put(held(immutable, VALUE_KEY, VALUE))
    expect(start().outcome).toEqual({
      calls: 1,
      error: undefined,
      result: { record: VALUE, hops: 0, messages: 0, elapsedMs: 0 },
    })
    storage.put(held(immutable, VALUE_KEY, VALUE, { expiresAtMs: START_MS }))
    start()
    await simulator.advance(5_000)
    expect(holders.every(({ asked }) => asked.length === 1)).toBe(true)
  })

  test('is not a tombstone of the own store: that is passed over, and the network asked', async () => {
    const { holders, immutable, node, simulator, storage } = await get()
    const kind: RecordKind = { ...immutable, isTombstone: () => true }
    storage.put(held(immutable, VALUE_KEY, VALUE))
    const { outcome } = begin<FoundRecord>((done) => getRecord(node, VALUE_KEY, kind, done))
    expect(outcome.calls).toBe(0)
    await simulator.advance(5_000)
    expect(outcome).toMatchObject({ calls: 1, error: undefined, result: { record: undefined } })
    expect(holders.map(({ asked }) => asked.length)).toEqual([1, 1, 1, 1])
  })

  test('that is cancelled while the own store is read asks nobody', async () => {
    const { holders, start, simulator } = await get({ storage: laterStore() })
    const { outcome, cancel } = start()
    cancel()
    await simulator.advance(5_000)
    expect(outcome.calls).toBe(0)
    expect(holders.flatMap(({ asked }) => asked)).toEqual([])
  })
})
