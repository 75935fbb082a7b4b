import { describe, expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { sameBytes } from '../../../src/keyspace/index.js'
import type { Published } from '../../../src/node/index.js'
import { publish } from '../../../src/node/index.js'
import type { Holder, LabOptions } from './holder-fixture.js'
import { begin, HOUR_MS, held, KEYS, laterStore, NO_BYTES, openLab, signed } from './holder-fixture.js'

const { key: KEY } = signed(1n)
const SEQ_MAX = 2n ** 64n - 1n

/** Values in the order in which they win. */
const [LESSER, OURS, GREATER] = [1, 2, 3]

interface Asked {
  readonly seq?: bigint
  readonly cas?: bigint
  readonly lastSeq?: bigint
}

/** A node with this many holders; with fewer than k it is a holder too. */
async function setUp({ holders: count = 5, ...options }: LabOptions & { holders?: number } = {}) {
  const lab = await openLab({ k: 5, ...options })
  const holders = await lab.holdersNear(KEY, count)
  const start = ({ seq, cas, lastSeq }: Asked = {}) => {
    const publication = { keys: KEYS, value: Uint8Array.of(OURS), salt: NO_BYTES, seq, cas, lifetimeMs: HOUR_MS }
    return begin<Published>((done) => publish(lab.node, lab.mutable, publication, lastSeq, done))
  }
  const run = async (asked: Asked = {}) => {
    const { outcome } = start(asked)
    await lab.simulator.advance(20_000)
    expect(outcome.calls).toBe(1)
    expect(lab.node.rpc.pendingCalls).toBe(0)
    return outcome
  }
  return { ...lab, holders, start, run }
}

/** Lets a holder refuse what is stored, and from then on show what it has, if anything. */
function contest(holder: Holder, code: DhtErrorCode, record?: Uint8Array): void {
  holder.store = () => {
    const seq = BigInt(record?.[104] ?? 0)
    holder.findValue = ({ minSeq }) =>
      record && seq >= minSeq ? { records: [record], heldSeq: seq, ttlsSeconds: [60] } : {}
    return code
  }
}

function storedBy(holders: readonly Holder[]): (Uint8Array | undefined)[] {
  return holders.map(({ stored }) => stored.at(-1)?.record)
}

describe('the sequence number', () => {
  test('goes on from the highest that the holders show', async () => {
    const { holders, run, mutable } = await setUp()
    holders[1]!.holds(mutable, signed(4n).record)
    holders[3]!.holds(mutable, signed(7n).record)
    const { result } = await run()
    expect(result).toMatchObject({ seq: 8n, key: KEY, record: signed(8n, OURS).record })
    expect(result!.storedAt).toMatchObject(holders.map(({ contact }) => contact))
    for (const { stored } of holders) {
      expect(stored).toMatchObject([
        { record: signed(8n, OURS).record, ttlSeconds: 3600, cas: undefined, isCached: false },
      ])
    }
  })

  test('is 1 where nothing is held, and goes on from our own store and from what we published before', async () => {
    expect((await (await setUp()).run()).result?.seq).toBe(1n)
    const own = await setUp({ holders: 4 })
    own.storage.put(held(own.mutable, KEY, signed(20n).record))
    expect((await own.run({ lastSeq: 5n })).result?.seq).toBe(21n)
    expect((await (await setUp()).run({ lastSeq: 30n })).result?.seq).toBe(31n)
  })

  test('does not go on from what is expired in our store', async () => {
    const { storage, mutable, run } = await setUp({ holders: 4 })
    storage.put(held(mutable, KEY, signed(20n).record, { expiresAtMs: 1 }))
    expect((await run()).result?.seq).toBe(1n)
  })

  test('that is only claimed, or signed by somebody else, counts for nothing', async () => {
    const { holders, run, node } = await setUp()
    const forged = signed(50n).record.slice()
    forged[50]! ^= 1
    holders[0]!.findValue = () => ({ heldSeq: 99n })
    holders[1]!.findValue = () => ({ heldSeq: 50n, records: [forged] })
    expect((await run()).result?.seq).toBe(1n)
    expect(node.counters.invalidRecords).toBe(1)
  })

  test('that is given is the one, and records below it are not asked for', async () => {
    const { holders, run, mutable } = await setUp()
    holders[2]!.holds(mutable, signed(7n).record)
    expect((await run({ seq: 40n })).result?.seq).toBe(40n)
    for (const { asked } of holders) expect(asked).toMatchObject([{ want: 1, minSeq: 40n }])
  })

  test('that we outbid anyway is not asked for', async () => {
    const { holders, run } = await setUp()
    await run({ lastSeq: 8n })
    for (const { asked } of holders) expect(asked).toMatchObject([{ minSeq: 9n }])
  })

  test.each<[bigint, number, DhtErrorCode]>([
    [6n, OURS, 'ERR_SEQ_TOO_LOW'],
    [7n, OURS, 'ERR_SEQ_CONFLICT'],
  ])('%i that is given below the 7 held, or with a value that loses, is not even sent', async (seq, _value, code) => {
    const { holders, run, mutable } = await setUp()
    holders[2]!.holds(mutable, signed(7n, GREATER).record)
    expect((await run({ seq })).error?.code).toBe(code)
    expect(storedBy(holders)).toEqual(holders.map(() => undefined))
  })

  test('beyond the highest of all is refused', async () => {
    const { holders, run, mutable } = await setUp()
    holders[2]!.findValue = () => ({ heldSeq: SEQ_MAX, records: [signed(SEQ_MAX).record] })
    expect((await run()).error?.code).toBe('ERR_SEQ_TOO_LOW')
    expect((await run({ lastSeq: SEQ_MAX })).error?.code).toBe('ERR_SEQ_TOO_LOW')
    expect(mutable.seq!(signed(SEQ_MAX).record)).toBe(SEQ_MAX)
  })
})

describe('who can store', () => {
  test('nobody in the table is ERR_NO_CONTACTS, nobody who answers ERR_TIMEOUT, nobody who stores ERR_NOT_STORED', async () => {
    expect((await (await setUp({ holders: 0 })).run()).error?.code).toBe('ERR_NO_CONTACTS')
    const silent = await setUp()
    for (const holder of silent.holders) holder.die()
    expect((await silent.run()).error?.code).toBe('ERR_TIMEOUT')
    const full = await setUp()
    for (const holder of full.holders) holder.store = () => 'ERR_STORE_FULL'
    const { error } = await full.run()
    expect(error?.code).toBe('ERR_NOT_STORED')
    expect((error?.cause as { code: string } | undefined)?.code).toBe('ERR_STORE_FULL')
  })

  test('one holder that stores is enough', async () => {
    const { holders, run } = await setUp()
    for (const holder of holders.slice(1)) holder.store = () => undefined
    expect((await run()).result?.storedAt).toMatchObject([holders[0]!.contact])
  })
})

describe('a holder that refuses because of another record', () => {
  test.each<DhtErrorCode>(['ERR_SEQ_TOO_LOW', 'ERR_SEQ_CONFLICT', 'ERR_CAS_MISMATCH'])(
    'with %s and shows none is passed over',
    async (code) => {
      const { holders, run } = await setUp()
      contest(holders[0]!, code)
      const { result } = await run()
      expect(result?.storedAt).toMatchObject(holders.slice(1).map(({ contact }) => contact))
    },
  )

  test('and shows one that loses against ours is passed over', async () => {
    const { holders, run } = await setUp()
    contest(holders[0]!, 'ERR_SEQ_TOO_LOW', signed(4n, GREATER).record)
    expect((await run({ lastSeq: 9n })).result?.seq).toBe(10n)
  })

  test('and does not answer then is passed over', async () => {
    const { holders, run } = await setUp()
    holders[0]!.store = () => {
      holders[0]!.die()
      return 'ERR_SEQ_TOO_LOW'
    }
    expect((await run()).result?.storedAt).toHaveLength(4)
  })

  test.each<[string, bigint, DhtErrorCode]>([
    ['a higher number', 9n, 'ERR_SEQ_TOO_LOW'],
    ['a greater value of the same number', 1n, 'ERR_SEQ_CONFLICT'],
  ])('and shows one with %s ends it, though all others stored', async (_what, seq, code) => {
    const { holders, run } = await setUp()
    // The refusal itself is not believed, only what is shown.
    contest(holders[4]!, 'ERR_SEQ_TOO_LOW', signed(seq, GREATER).record)
    const { error } = await run()
    expect(error?.code).toBe(code)
    expect(error?.cause).toBeDefined()
  })
})

describe('our own copy', () => {
  test('is kept before anybody is sent one, where we are one of the k nearest', async () => {
    const { holders, run, storage } = await setUp({ holders: 4 })
    const seen: number[] = []
    for (const holder of holders) {
      holder.store = ({ ttlSeconds }) => {
        seen.push(storage.list(KEY, 1).length)
        return { ttlSeconds }
      }
    }
    await run()
    expect(seen).toEqual([1, 1, 1, 1])
    expect(storage.list(KEY, 1)).toMatchObject([{ record: signed(1n, OURS).record, source: NO_BYTES }])
  })

  test.each<[string, LabOptions & { holders: number }]>([
    ['k others are nearer', { holders: 5 }],
    ['the node is a client', { holders: 3, client: true }],
  ])('is none where %s', async (_what, options) => {
    const { run, storage } = await setUp(options)
    expect((await run()).result?.seq).toBe(1n)
    expect(storage.stats().records).toBe(0)
  })

  test('is dropped when publishing failed', async () => {
    const { holders, run, storage } = await setUp({ holders: 4 })
    contest(holders[0]!, 'ERR_SEQ_TOO_LOW', signed(9n).record)
    expect((await run()).error?.code).toBe('ERR_SEQ_TOO_LOW')
    expect(storage.stats().records).toBe(0)
  })

  test('that was there before is not dropped by a failure', async () => {
    const { holders, run, storage, mutable } = await setUp({ holders: 4 })
    const { record } = signed(5n, OURS)
    storage.put(held(mutable, KEY, record))
    for (const holder of holders) holder.store = () => 'ERR_STORE_FULL'
    expect((await run({ seq: 5n })).error?.code).toBe('ERR_NOT_STORED')
    expect(storage.list(KEY, 1)).toMatchObject([{ record }])
  })

  test.each<[DhtErrorCode, bigint, bigint | undefined]>([
    ['ERR_SEQ_TOO_LOW', 50n, undefined],
    ['ERR_SEQ_CONFLICT', 1n, undefined],
    ['ERR_CAS_MISMATCH', 3n, 0n],
  ])('that meets another one which came meanwhile ends it with %s', async (code, seq, cas) => {
    const { holders, start, simulator, storage, mutable } = await setUp({ holders: 4 })
    const { outcome } = start(cas === undefined ? {} : { cas })
    storage.put(held(mutable, KEY, signed(seq, GREATER).record))
    await simulator.advance(5_000)
    expect(outcome).toMatchObject({ calls: 1, error: { code } })
    expect(storedBy(holders)).toEqual(holders.map(() => undefined))
    expect(storage.list(KEY, 1)).toMatchObject([{ record: signed(seq, GREATER).record }])
  })

  test('that the store fails to keep or has no room for costs only this copy', async () => {
    const { run, node } = await setUp({ holders: 4 })
    node.store.put = () => 'full'
    expect((await run()).result?.storedAt).toHaveLength(4)
    node.store.put = () => {
      throw new Error('the disk is broken')
    }
    node.store.list = () => {
      throw new Error('the disk is broken')
    }
    expect((await run()).result?.storedAt).toHaveLength(4)
  })
})

describe('a compare-and-swap', () => {
  test('asks every holder for its record, whatever its number, and tells each what is expected', async () => {
    const { holders, run, mutable } = await setUp()
    holders[0]!.holds(mutable, signed(7n).record)
    expect((await run({ cas: 7n, lastSeq: 3n })).result?.seq).toBe(8n)
    for (const { asked, stored } of holders) {
      expect(asked).toMatchObject([{ want: 1, minSeq: 0n }])
      expect(stored).toMatchObject([{ cas: 7n }])
    }
  })

  test.each<[string, bigint | undefined, bigint]>([
    ['another number', 7n, 6n],
    ['a record, and none was expected', 7n, 0n],
    ['none, and one was expected', undefined, 7n],
  ])('that meets %s sends nothing', async (_what, seq, cas) => {
    const { holders, run, mutable } = await setUp()
    if (seq !== undefined) for (const holder of holders) holder.holds(mutable, signed(seq).record)
    expect((await run({ cas })).error?.code).toBe('ERR_CAS_MISMATCH')
    expect(storedBy(holders)).toEqual(holders.map(() => undefined))
  })

  test('of 0 succeeds where nothing is held', async () => {
    expect((await (await setUp()).run({ cas: 0n })).result?.seq).toBe(1n)
  })

  test('that most holders refuse for a rival of the same number fails, whatever the order says', async () => {
    for (const rival of [LESSER, GREATER]) {
      const { holders, run, mutable } = await setUp()
      for (const holder of holders) holder.holds(mutable, signed(7n).record)
      for (const holder of holders.slice(0, 3)) contest(holder, 'ERR_CAS_MISMATCH', signed(8n, rival).record)
      expect((await run({ cas: 7n })).error?.code).toBe('ERR_CAS_MISMATCH')
    }
  })

  test('that more than half took wins, and outbids a rival that comes first in the order', async () => {
    const { holders, run, mutable } = await setUp()
    for (const holder of holders) holder.holds(mutable, signed(7n).record)
    for (const holder of holders.slice(0, 2)) {
      holder.store = ({ cas, ttlSeconds }) => {
        holder.holds(mutable, signed(8n, GREATER).record)
        return cas === undefined ? { ttlSeconds } : 'ERR_CAS_MISMATCH'
      }
    }
    const { result } = await run({ cas: 7n })
    expect(result?.seq).toBe(9n)
    expect(result?.record).toEqual(signed(9n, OURS).record)
    expect(result?.storedAt).toHaveLength(5)
    expect(storedBy(holders)).toEqual(holders.map(() => signed(9n, OURS).record))
  })

  test('that more than half took wins against a rival that comes later in the order without another word', async () => {
    const { holders, run, mutable } = await setUp()
    for (const holder of holders) holder.holds(mutable, signed(7n).record)
    for (const holder of holders.slice(0, 2)) contest(holder, 'ERR_CAS_MISMATCH', signed(8n, LESSER).record)
    const { result } = await run({ cas: 7n })
    expect(result).toMatchObject({ seq: 8n, storedAt: holders.slice(2).map(({ contact }) => contact) })
  })

  test('that most refuse because they lag is stored there all the same', async () => {
    const { holders, run, mutable } = await setUp()
    holders[0]!.holds(mutable, signed(7n).record)
    for (const holder of holders.slice(1)) {
      holder.holds(mutable, signed(3n).record)
      holder.store = ({ cas, ttlSeconds }) => (cas === undefined ? { ttlSeconds } : 'ERR_CAS_MISMATCH')
    }
    const { result } = await run({ cas: 7n })
    expect(result).toMatchObject({ seq: 8n })
    expect(result!.storedAt).toHaveLength(5)
  })

  test.each([
    ['a number far above was given', { cas: 7n, seq: 100n }],
    ['we remember a higher one', { cas: 7n, lastSeq: 50n }],
  ])('does not undo a rival that most holders took meanwhile, though %s', async (_what, asked) => {
    const { holders, run, mutable } = await setUp()
    for (const holder of holders) holder.holds(mutable, signed(7n).record)
    for (const holder of holders) {
      holder.store = ({ cas, ttlSeconds }) => {
        holder.holds(mutable, signed(8n, GREATER).record)
        return cas === undefined ? { ttlSeconds } : 'ERR_CAS_MISMATCH'
      }
    }
    expect((await run(asked)).error?.code).toBe('ERR_CAS_MISMATCH')
    expect(holders.every(({ stored }) => stored.every(({ cas }) => cas === 7n))).toBe(true)
  })

  test('that half of the holders or fewer took is ERR_NOT_STORED', async () => {
    const { holders, run } = await setUp({ holders: 4, k: 4 })
    for (const holder of holders.slice(2)) holder.store = () => 'ERR_STORE_FULL'
    expect((await run({ cas: 0n })).error?.code).toBe('ERR_NOT_STORED')
  })
})

describe('stop()', () => {
  const stages: [string, number][] = [
    ['at once', 0],
    ['during the lookup', 5],
    ['while it is stored', 25],
    ['while rivals are asked', 45],
  ]
  test.each(stages)('%s: nothing more is sent or told', async (_when, afterMs) => {
    const { holders, start, simulator, node } = await setUp()
    contest(holders[0]!, 'ERR_SEQ_TOO_LOW', signed(9n).record)
    const { outcome, cancel } = start()
    await simulator.advance(afterMs)
    expect(outcome.calls).toBe(0)
    cancel()
    expect(node.rpc.pendingCalls).toBe(0)
    const heard = () => holders.map(({ peer }) => peer.heard.length)
    await simulator.advance(30)
    const before = heard()
    await simulator.advance(20_000)
    expect(heard()).toEqual(before)
    expect(outcome.calls).toBe(0)
  })

  test('while the own store is read or written begins nothing more', async () => {
    for (const turns of [1, 50]) {
      const { holders, start, simulator } = await setUp({ holders: 4, storage: laterStore(undefined, turns) })
      const { outcome, cancel } = start()
      cancel()
      await simulator.advance(20_000)
      expect(outcome.calls).toBe(0)
      expect(holders.every(({ peer }) => peer.heard.length === 0)).toBe(true)
    }
  })

  test('while the own copy is written sends nothing', async () => {
    const { holders, start, simulator, node } = await setUp({ holders: 4, storage: laterStore() })
    const { put } = node.store
    let isWritten = false
    const { outcome, cancel } = start()
    node.store.put = (record) => {
      isWritten = true
      cancel()
      return put(record)
    }
    await simulator.advance(20_000)
    expect([isWritten, outcome.calls]).toEqual([true, 0])
    expect(storedBy(holders)).toEqual(holders.map(() => undefined))
  })

  test('tells nothing after the end, and leaves what was stored', async () => {
    const { start, simulator, storage } = await setUp({ holders: 4 })
    const { outcome, cancel } = start()
    await simulator.advance(5_000)
    cancel()
    await simulator.advance(5_000)
    expect(outcome).toMatchObject({ calls: 1, error: undefined })
    expect(storage.list(KEY, 1).map(({ record }) => sameBytes(record, signed(1n, OURS).record))).toEqual([true])
  })
})

test('costs count every datagram, and the time until the last answer', async () => {
  const { holders, run } = await setUp()
  contest(holders[0]!, 'ERR_SEQ_TOO_LOW')
  const { result } = await run()
  // 20 ms each: the lookup of four and of the fifth, the STOREs and the proof.
  expect(result).toMatchObject({ messages: 5 + 5 + 1, elapsedMs: 80, hops: 1 })
})
