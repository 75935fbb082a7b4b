import { describe, expect, test } from 'vitest'
import type { NodeId } from '../../../src/keyspace/index.js'
import { keyOf } from '../../../src/keyspace/index.js'
import { encodeCursor } from '../../../src/node/samples.js'
import { systemSignatures } from '../../../src/platform/system.js'
import { encodeImmutable, encodePeer } from '../../../src/records/index.js'
import type { FindValueParams, FindValueResult, StoreParams, TokensResult } from '../../../src/wire/index.js'
import { errorCode, errorNumber, FIND_VALUE, STORE, TOKENS } from '../../../src/wire/index.js'
import { tally } from '../dht/tally-kind.js'
import type { RawPeer } from '../rpc/raw-peer.js'
import { exchange } from '../rpc/raw-peer.js'
import type { LabOptions } from './holder-fixture.js'
import { held, laterStore, NETWORK, NO_BYTES, openLab, signed, storeWith } from './holder-fixture.js'

const { key: KEY, record: RECORD } = encodeImmutable(Uint8Array.of(1, 2, 3))
const TOPIC = keyOf('topic')

async function setUp(options: LabOptions = {}) {
  const lab = await openLab(options)
  const { simulator, host, stranger } = lab
  const asker = await stranger()
  const find = async (changes: Partial<FindValueParams> = {}, from: RawPeer = asker): Promise<FindValueResult> => {
    const params = { key: KEY, kind: 0, want: 64, minSeq: 0n, cursor: NO_BYTES, ...changes }
    const reply = await exchange(simulator, from, host.address, FIND_VALUE, params)
    if (reply?.type !== 'response') throw new Error(`no result: ${reply?.text}`)
    return FIND_VALUE.readResult(reply.result)!
  }
  const tokens = async (keys: readonly NodeId[], kind = 0, from: RawPeer = asker, says = {}): Promise<TokensResult> => {
    const reply = await exchange(simulator, from, host.address, TOKENS, { kind, keys }, says)
    if (reply?.type !== 'response') throw new Error(`no result: ${reply?.text}`)
    return TOKENS.readResult(reply.result)!
  }
  /** `stored`, or the code that came over the wire. */
  const store = async (changes: Partial<StoreParams>, from: RawPeer = asker): Promise<string> => {
    const params = { key: KEY, kind: 0, record: RECORD, ttlSeconds: 60, cas: undefined, isCached: false, ...changes }
    const token = changes.token ?? (await tokens([params.key], 0, from)).tokens[0]!.token
    const reply = await exchange(simulator, from, host.address, STORE, { ...params, token })
    return reply?.type === 'error' ? errorCode(reply.code) : 'stored'
  }
  return { ...lab, asker, find, tokens, store }
}

/** A peer record for this node, as it is sent. */
function peerRecord(holder: NodeId, token: Uint8Array, seed: number, lifetimeSeconds = 600, topic = TOPIC): Uint8Array {
  const keys = systemSignatures.generate(new Uint8Array(32).fill(seed))
  const content = { network: NETWORK, topic, keys, seq: 5n, lifetimeSeconds, port: 0, data: NO_BYTES, holder, token }
  return encodePeer(content, systemSignatures)
}

describe('TOKENS', () => {
  test('gives a token for each key, in their order, which is that of FIND_VALUE', async () => {
    const { tokens, find } = await setUp()
    const keys = ['a', 'b', 'c'].map((name) => keyOf(name))
    const issued = (await tokens(keys)).tokens.map(({ token }) => token)
    for (const [i, key] of keys.entries()) expect((await find({ key })).token).toEqual(issued[i])
    expect(new Set(issued.map(String)).size).toBe(3)
  })

  test('gives tokens that are good for their own key, from the host that asked', async () => {
    const { tokens, store, stranger } = await setUp()
    const [mine, other] = (await tokens([KEY, TOPIC])).tokens.map(({ token }) => token) as [Uint8Array, Uint8Array]
    expect(await store({ token: other })).toBe('ERR_BAD_TOKEN')
    expect(await store({ token: mine }, await stranger())).toBe('ERR_BAD_TOKEN')
    expect(await store({ token: mine })).toBe('stored')
  })

  test('tells what is held: the number, 0 without one, nothing for none or for an unknown kind', async () => {
    const { tokens, storage, mutable, immutable } = await setUp()
    const { key, record } = signed(7n)
    storage.put(held(mutable, key, record))
    storage.put(held(immutable, KEY, RECORD))
    const seqs = async (keys: NodeId[], kind: number) => (await tokens(keys, kind)).tokens.map(({ heldSeq }) => heldSeq)
    expect(await seqs([KEY, key], 1)).toEqual([undefined, 7n])
    expect(await seqs([KEY, key], 0)).toEqual([0n, undefined])
    expect(await seqs([KEY, key], 99)).toEqual([undefined, undefined])
  })

  test('counts neither tombstones nor what is expired', async () => {
    const { tokens, storage, node, host, mutable, store } = await setUp()
    const { key, record } = signed(7n)
    storage.put(held(mutable, key, record, { expiresAtMs: host.clock.wallNow() }))
    expect((await tokens([key], 1)).tokens[0]!.heldSeq).toBeUndefined()
    const token = (await tokens([TOPIC], 2)).tokens[0]!.token
    expect(await store({ key: TOPIC, kind: 2, token, record: peerRecord(node.id, token, 1, 0) })).toBe('stored')
    expect((await tokens([TOPIC], 2)).tokens[0]!.heldSeq).toBeUndefined()
    expect(storage.stats().records).toBe(2)
    expect(await store({ key: TOPIC, kind: 2, token, record: peerRecord(node.id, token, 2) })).toBe('stored')
    expect((await tokens([TOPIC], 2)).tokens[0]!.heldSeq).toBeDefined()
  })

  test('leaves out the last ones that an unproven address may not get', async () => {
    const { tokens } = await setUp()
    const keys = Array.from({ length: 32 }, (_, i) => keyOf(`key ${i}`))
    expect((await tokens(keys)).tokens).toHaveLength(32)
    const [one] = (await tokens(keys.slice(0, 1))).tokens
    expect(one).toBeDefined()
  })

  test('for one key 32 times reads the store once, and gives 32 tokens', async () => {
    const inner = laterStore()
    let lists = 0
    const list: typeof inner.list = (...args) => {
      lists++
      return inner.list(...args)
    }
    const { tokens, find } = await setUp({ storage: storeWith(inner, { list }) })
    const issued = (await tokens(new Array(32).fill(KEY))).tokens
    expect(lists).toBe(1)
    const { token } = await find()
    expect(issued).toEqual(new Array(32).fill({ token, heldSeq: undefined }))
    lists = 0
    expect((await tokens([KEY, TOPIC, KEY, TOPIC])).tokens).toHaveLength(4)
    expect(lists).toBe(2)
  })

  test.each(['now', 'later'])('of a store that fails %s is an ERR_REMOTE, once', async (when) => {
    const fail = () => {
      if (when === 'now') throw new Error('the disk is broken')
      return Promise.reject(new Error('the disk is broken'))
    }
    const { store: _, simulator, host, asker, storage } = await setUp()
    const failing = await setUp({ storage: storeWith(storage, { list: fail }) })
    const tid = failing.asker.ask(failing.host.address, TOKENS, { kind: 0, keys: [KEY, TOPIC, keyOf('x')] })
    await failing.simulator.advance(1_000)
    expect(failing.asker.repliesTo(tid)).toMatchObject([{ type: 'error', code: 5, text: 'the store failed' }])
    expect(await exchange(simulator, asker, host.address, TOKENS, { kind: 0, keys: [KEY] })).toMatchObject({
      type: 'response',
    })
  })

  test('of a store that answers later is the same', async () => {
    const { tokens } = await setUp({ storage: laterStore() })
    expect((await tokens([KEY, TOPIC])).tokens).toHaveLength(2)
  })
})

describe('FIND_VALUE', () => {
  test.each<[string, Partial<FindValueParams>, number]>([
    ['a lower minimal number', { minSeq: 6n }, 1],
    ['the number held as the minimal one', { minSeq: 7n }, 1],
    ['a higher minimal number', { minSeq: 8n }, 0],
    ['none wanted', { want: 0 }, 0],
  ])('of a mutable record with %s', async (_what, changes, count) => {
    const { find, storage, mutable } = await setUp()
    const { key, record } = signed(7n)
    storage.put(held(mutable, key, record))
    const { records, heldSeq, recordsLeft, ttlsSeconds } = await find({ key, kind: 1, ...changes })
    expect(records).toEqual(new Array(count).fill(record))
    expect({ heldSeq, recordsLeft, ttls: ttlsSeconds.length }).toEqual({ heldSeq: 7n, recordsLeft: 0, ttls: count })
  })

  test('tells for how many seconds a record is kept, rounded down', async () => {
    const { find, storage, immutable, host } = await setUp()
    // What arrives after 10 ms.
    storage.put(held(immutable, KEY, RECORD, { expiresAtMs: host.clock.wallNow() + 10 + 2_999 }))
    expect((await find()).ttlsSeconds).toEqual([2])
  })

  test('of an unknown kind brings a token that is good, and nothing else', async () => {
    const { find, store } = await setUp()
    const { token, ...rest } = await find({ kind: 99 })
    expect(rest).toMatchObject({ heldSeq: undefined, records: [], recordsLeft: 0, ttlsSeconds: [] })
    expect(await store({ token })).toBe('stored')
  })

  test('of a store that fails is refused, but not where none are wanted', async () => {
    const list = () => Promise.reject(new Error('the disk is broken'))
    const { find } = await setUp({ storage: storeWith(laterStore(), { list }) })
    await expect(find()).rejects.toThrow('the store failed')
    expect(await find({ want: 0 })).toMatchObject({ records: [], heldSeq: undefined, recordsLeft: 0 })
  })

  test('sends each record of a full key once over the pages of one seed, and tells how many are left', async () => {
    const { find, storage, node, peer } = await setUp()
    const slots = 23
    for (let i = 0; i < slots; i++) {
      const sent = peerRecord(node.id, Uint8Array.of(1), i + 1)
      storage.put(held(peer, TOPIC, Uint8Array.of(...sent, 1, 1, 4, 41, 0, 0, i, 1, 1)))
    }
    const seen = new Set<string>()
    for (let skip = 0, left = slots; left > 0; ) {
      const { records, recordsLeft } = await find({ key: TOPIC, kind: 2, cursor: encodeCursor({ seed: 5, skip }) })
      expect(records.length).toBeGreaterThan(0)
      skip += records.length
      expect(recordsLeft).toBe(slots - skip)
      for (const record of records) seen.add(String(record))
      left = recordsLeft
    }
    expect(seen.size).toBe(slots)
    expect((await find({ key: TOPIC, kind: 2, want: 2 })).recordsLeft).toBe(slots - 2)
    const beyond = await find({ key: TOPIC, kind: 2, cursor: encodeCursor({ seed: 5, skip: slots + 9 }) })
    expect(beyond).toMatchObject({ records: [], recordsLeft: 0 })
  })

  test('sends at most 64 records, however small they are and however many are wanted', async () => {
    const { find, storage, node } = await setUp({ records: [{ ...tally, slotsPerKeyMax: 100, isValid: () => true }] })
    const kind = { ...node.kinds.get(tally.code)!, slot: (record: Uint8Array) => record }
    for (let i = 0; i < 80; i++) storage.put(held(kind, TOPIC, Uint8Array.of(i)))
    const { records, recordsLeft } = await find({ key: TOPIC, kind: tally.code, want: 1_000 })
    expect([records.length, recordsLeft]).toEqual([64, 16])
  })

  test('with a cursor of another form sends a sample of its own, another one each time', async () => {
    const { find, storage, node, peer } = await setUp()
    for (let i = 0; i < 20; i++) {
      const sent = peerRecord(node.id, Uint8Array.of(1), i + 1)
      storage.put(held(peer, TOPIC, Uint8Array.of(...sent, 1, 1, 4, 41, 0, 0, i, 1, 1)))
    }
    const firsts = new Set<string>()
    for (let i = 0; i < 12; i++) {
      const { records } = await find({ key: TOPIC, kind: 2, want: 1, cursor: new Uint8Array(i % 6) })
      firsts.add(String(records[0]))
    }
    expect(firsts.size).toBeGreaterThan(3)
  })

  test('hands out no tombstones', async () => {
    const { find, store, node } = await setUp()
    const { token } = await find({ key: TOPIC, kind: 2 })
    await store({ key: TOPIC, kind: 2, token, record: peerRecord(node.id, token, 1, 0) })
    expect(await find({ key: TOPIC, kind: 2 })).toMatchObject({ records: [], heldSeq: undefined, recordsLeft: 0 })
  })
})

describe('STORE', () => {
  test('that 64 others of its key wait before is refused with ERR_RATE_LIMITED, and all of these are stored', async () => {
    const inner = laterStore()
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const list: typeof inner.list = async (...args) => {
      if (isGated) await gate
      return inner.list(...args)
    }
    let isGated = false
    const storage = storeWith(inner, { list })
    const { simulator, host, asker, tokens } = await setUp({ storage, requestsPerSecondMax: 1_000_000 })
    const { token } = (await tokens([KEY])).tokens[0]!
    isGated = true
    const params = { key: KEY, kind: 0, token, record: RECORD, ttlSeconds: 60, cas: undefined, isCached: false }
    const tids = Array.from({ length: 66 }, () => asker.ask(host.address, STORE, params))
    await simulator.advance(100)
    const repliesNow = tids.map((tid) => asker.repliesTo(tid))
    expect(repliesNow.slice(0, 65)).toEqual(new Array(65).fill([]))
    expect(repliesNow[65]).toMatchObject([{ type: 'error', code: errorNumber('ERR_RATE_LIMITED') }])
    release()
    await simulator.advance(1_000)
    const types = tids.map((tid) => asker.repliesTo(tid).map(({ type }) => type))
    expect(types).toEqual([...new Array(65).fill(['response']), ['error']])
  })

  test('refuses a kind that is not known, and a record that is longer than its kind allows', async () => {
    const { store, storage } = await setUp()
    expect(await store({ kind: 99 })).toBe('ERR_INVALID_RECORD')
    expect(await store({ record: new Uint8Array(882) })).toBe('ERR_INVALID_RECORD')
    expect(storage.stats().records).toBe(0)
  })

  test('of a mutable record: each refusal has its code', async () => {
    const { store, storage } = await setUp()
    const { key } = signed(1n)
    const put = (seq: bigint, value: number, cas?: bigint) =>
      store({ key, kind: 1, record: signed(seq, value).record, cas })
    expect(await put(5n, 5)).toBe('stored')
    expect(await put(5n, 5)).toBe('stored')
    expect(await put(5n, 5, 3n)).toBe('stored')
    expect(await put(4n, 9)).toBe('ERR_SEQ_TOO_LOW')
    expect(await put(5n, 4)).toBe('ERR_SEQ_CONFLICT')
    expect(await put(6n, 1, 4n)).toBe('ERR_CAS_MISMATCH')
    expect(await put(6n, 1, 0n)).toBe('ERR_CAS_MISMATCH')
    expect(await put(6n, 1, 5n)).toBe('stored')
    const forged = signed(9n).record.slice()
    forged[40]! ^= 1
    expect(await store({ key, kind: 1, record: forged })).toBe('ERR_INVALID_RECORD')
    expect(storage.list(key, 1)).toMatchObject([{ record: signed(6n, 1).record }])
  })

  test('of a far key at a nearly full node is refused with ERR_TOO_FAR', async () => {
    const { store, holdersNear } = await setUp({ k: 2, config: { nearlyFull: 0 } })
    await holdersNear(KEY, 2)
    expect(await store({})).toBe('ERR_TOO_FAR')
  })

  test('of a peer record made for another node, with another token or under another topic is refused', async () => {
    const { store, tokens, node } = await setUp()
    const other = keyOf('other')
    const issued = (await tokens([TOPIC, other], 2)).tokens.map(({ token }) => token)
    const [token, second] = issued as [Uint8Array, Uint8Array]
    const put = (record: Uint8Array, key = TOPIC, given = token) => store({ key, kind: 2, token: given, record })
    const fine = peerRecord(node.id, token, 1)
    expect(await put(peerRecord(other, token, 1))).toBe('ERR_INVALID_RECORD')
    expect(await put(peerRecord(node.id, second, 1))).toBe('ERR_INVALID_RECORD')
    expect(await put(fine, other, second)).toBe('ERR_INVALID_RECORD')
    expect(await put(Uint8Array.of(...fine, 1, 1, 1))).toBe('ERR_INVALID_RECORD')
    expect(await put(fine)).toBe('stored')
  })

  test('of a peer record that was taken from another node is refused: nobody else can store it', async () => {
    const { store, tokens, node, find, stranger } = await setUp()
    const token = (await tokens([TOPIC], 2)).tokens[0]!.token
    expect(await store({ key: TOPIC, kind: 2, token, record: peerRecord(node.id, token, 1) })).toBe('stored')
    const [kept] = (await find({ key: TOPIC, kind: 2 })).records as [Uint8Array]
    const thief = await stranger()
    const { token: stolen } = await find({ key: TOPIC, kind: 2 }, thief)
    for (const record of [kept, kept.slice(0, 111)]) {
      expect(await store({ key: TOPIC, kind: 2, token: stolen, record }, thief)).toBe('ERR_INVALID_RECORD')
    }
  })

  test('keeps a peer record for its own lifetime, not for the one that is asked for', async () => {
    const { store, tokens, node, storage, host } = await setUp()
    const token = (await tokens([TOPIC], 2)).tokens[0]!.token
    await store({ key: TOPIC, kind: 2, token, record: peerRecord(node.id, token, 1, 600), ttlSeconds: 5 })
    const [stored] = storage.list(TOPIC, 2)
    expect(stored!.expiresAtMs - stored!.storedAtMs).toBe(600_000)
    expect(stored!.storedAtMs).toBeLessThanOrEqual(host.clock.wallNow())
  })

  test('with the mark of a cached copy is a real one for kinds that have several versions', async () => {
    const { store, storage } = await setUp()
    const { key, record } = signed(1n)
    await store({ key, kind: 1, record, isCached: true, ttlSeconds: 7_200 })
    await store({ isCached: true, ttlSeconds: 7_200 })
    const [[mutable], [immutable]] = [storage.list(key, 1), storage.list(KEY, 0)]
    expect(mutable!.meta).toBeUndefined()
    expect(mutable!.expiresAtMs - mutable!.storedAtMs).toBe(7_200_000)
    expect(immutable!.meta).toBeDefined()
    expect(immutable!.expiresAtMs - immutable!.storedAtMs).toBe(3_600_000)
  })

  test.each([
    ['list', 'ERR_REMOTE'],
    ['put', 'ERR_REMOTE'],
  ])('of a store whose %s fails is an %s', async (name, code) => {
    const fail = () => Promise.reject(new Error('the disk is broken'))
    const { find, store } = await setUp({ storage: storeWith(laterStore(), { [name]: fail }) })
    expect(await store({ token: (await find({ want: 0 })).token })).toBe(code)
  })

  test('charges the network where limits by network apply, elsewhere the address alone', async () => {
    const [limited, free] = [await setUp({ limitedScopes: ['public'] }), await setUp()]
    for (const { store } of [limited, free]) await store({})
    const { transport } = limited.host
    expect(limited.storage.list(KEY, 0)).toMatchObject([{ source: transport.describe(limited.asker.address).group }])
    expect(free.storage.list(KEY, 0)).toMatchObject([{ source: transport.encodeAddress(free.asker.address) }])
  })
})
