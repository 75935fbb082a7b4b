import { describe, expect, test } from 'vitest'
import type { Dht, Transport } from '../../../src/index.js'
import { createDht } from '../../../src/index.js'
import { encodeImmutable, VALUE_BYTES_MAX } from '../../../src/records/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import type { SimulatedHost } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import type { FindValueResult, Message, Method } from '../../../src/wire/index.js'
import {
  ADDRESS_BYTES_MAX,
  appMethod,
  createCodec,
  createContactPacker,
  DATAGRAM_BYTES_MAX,
  ERROR_TEXT_MAX,
  FIND_NODE,
  FIND_VALUE,
  METHOD_NAME_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  PING,
  RECORD_BYTES_MAX,
  REFLECTION_FACTOR,
  responseOverheadBytes,
  SECONDS_MAX,
  STORE,
  TID_BYTES,
  TID_BYTES_MAX,
  TOKEN_BYTES_MAX,
  TOKENS,
  TOKENS_KEYS_MAX,
} from '../../../src/wire/index.js'
import { countUp } from './raw.js'

const K = 20
const IPV6_ADDRESS_BYTES = 19
const codec = createCodec('sizes')
const KEY = countUp(32)
const U64_MAX = 2n ** 64n - 1n
const NONE = new Uint8Array(0)
const LONGEST_APP = appMethod('m'.repeat(METHOD_NAME_BYTES_MAX))

describe('the largest message', () => {
  /** What our own node sends: its transaction ids and flags. */
  function request<P, R>(method: Method<P, R>, params: P): number {
    const header = { tid: countUp(TID_BYTES), flags: 7, sender: KEY }
    const message: Message = { type: 'request', ...header, method: method.code, params: method.writeParams(params) }
    return codec.encode(message, method.paddedBytes).length
  }
  /** To whoever asks with the longest transaction id. */
  function response<P, R>(method: Method<P, R>, result: R, observedBytes = ADDRESS_BYTES_MAX): number {
    const header = { tid: countUp(TID_BYTES_MAX), flags: 7, sender: KEY, observed: countUp(observedBytes) }
    return codec.encode({ type: 'response', ...header, result: method.writeResult(result) }).length
  }
  function error(text: string): number {
    const header = { tid: countUp(TID_BYTES_MAX), flags: 7, sender: KEY, observed: countUp(ADDRESS_BYTES_MAX) }
    return codec.encode({ type: 'error', ...header, code: 65_535, text }).length
  }
  const payload = countUp(PAYLOAD_BYTES_MAX)
  const record = countUp(RECORD_BYTES_MAX)
  const toKeep = { key: KEY, kind: 255, token: countUp(TOKEN_BYTES_MAX), record, ttlSeconds: SECONDS_MAX }
  const store = { ...toKeep, cas: U64_MAX, isCached: false }
  const cached = { ...toKeep, cas: undefined, isCached: true }
  const find = { key: KEY, kind: 255, want: 1000, minSeq: U64_MAX, cursor: countUp(64) }
  const one = { records: [record], recordsLeft: 65_535, ttlsSeconds: [SECONDS_MAX] }
  const found = { token: countUp(8), heldSeq: U64_MAX, contacts: NONE, leftOut: K, ...one }
  const keys = Array.from({ length: TOKENS_KEYS_MAX }, () => KEY)
  const tokens = keys.map(() => ({ token: countUp(8), heldSeq: U64_MAX }))
  const twenty = countUp(K * (32 + IPV6_ADDRESS_BYTES))

  test.each([
    ['a PING request', 56, request(PING, {})],
    ['a PING response', 133, response(PING, {})],
    ['a FIND_NODE request', 400, request(FIND_NODE, { target: KEY, skip: 1000 })],
    ['a FIND_VALUE request', 424, request(FIND_VALUE, find)],
    ['a STORE request', 1196, request(STORE, store)],
    ['one of a cached copy', 1188, request(STORE, cached)],
    ['one with both options', 1198, request(STORE, { ...store, isCached: true })],
    ['a STORE response', 138, response(STORE, { ttlSeconds: SECONDS_MAX })],
    ["a request of an app's method", 1092, request(LONGEST_APP, { payload })],
    ["a response of an app's method", 1136, response(LONGEST_APP, { payload })],
    ['an error', 439, error('€'.repeat(ERROR_TEXT_MAX + 1))],
    ['a FIND_NODE response with 20 IPv6 contacts', 1111, response(FIND_NODE, { contacts: twenty }, IPV6_ADDRESS_BYTES)],
    ['one to an address of 64 bytes', 1156, response(FIND_NODE, { contacts: twenty })],
    ['a FIND_VALUE response with the largest record', 1174, response(FIND_VALUE, found, IPV6_ADDRESS_BYTES)],
    [
      'one with 20 IPv6 contacts instead',
      1136,
      response(FIND_VALUE, { ...found, records: [], ttlsSeconds: [], contacts: twenty }, IPV6_ADDRESS_BYTES),
    ],
    ['a TOKENS request with 32 keys', 1149, request(TOKENS, { kind: 255, keys })],
    ['a TOKENS response with 32 tokens of 8 bytes', 776, response(TOKENS, { tokens })],
  ])('%s takes %i bytes and fits', (_what, expected, actual) => {
    expect(actual).toBe(expected)
    expect(actual).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
  })

  test('a STORE of an implementation with flags of five bytes fills the datagram exactly', () => {
    const header = { tid: countUp(TID_BYTES), flags: 2 ** 32 - 1, sender: KEY }
    const message: Message = { type: 'request', ...header, method: 3, params: STORE.writeParams(store) }
    expect(codec.encode(message)).toHaveLength(DATAGRAM_BYTES_MAX)
  })

  test('a TOKENS request and its answer fit, of another implementation too, but for tokens of 32 bytes', () => {
    const header = { tid: countUp(TID_BYTES_MAX), flags: 2 ** 32 - 1, sender: KEY }
    const params = TOKENS.writeParams({ kind: 255, keys })
    const asked = codec.encode({ type: 'request', ...header, method: TOKENS.code, params })
    expect(asked.length).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
    const longest = { token: countUp(TOKEN_BYTES_MAX), heldSeq: U64_MAX }
    expect(response(TOKENS, { tokens: keys.map(() => longest) })).toBeGreaterThan(DATAGRAM_BYTES_MAX)
    expect(response(TOKENS, { tokens: Array.from({ length: 23 }, () => longest) })).toBeLessThan(DATAGRAM_BYTES_MAX)
  })

  test('the answer to a stranger’s FIND_VALUE may fill a datagram, as the largest record needs', () => {
    const allowedBytes = REFLECTION_FACTOR * request(FIND_VALUE, find) - 64
    expect(allowedBytes).toBe(1208)
    expect(allowedBytes).toBeGreaterThanOrEqual(DATAGRAM_BYTES_MAX)
    // Padding to 400 bytes, as other requests have it, would be too little.
    const largest = response(FIND_VALUE, found, IPV6_ADDRESS_BYTES)
    expect(largest).toBeGreaterThan(REFLECTION_FACTOR * request(FIND_NODE, { target: KEY, skip: 0 }) - 64)
    expect(largest).toBeLessThanOrEqual(allowedBytes)
  })

  test('the answer to a stranger’s TOKENS request fits three times its length, however many keys it names', () => {
    for (let count = 1; count <= TOKENS_KEYS_MAX; count++) {
      const asked = { kind: 0, keys: keys.slice(0, count) }
      const answered = { tokens: tokens.slice(0, count) }
      const allowedBytes = REFLECTION_FACTOR * request(TOKENS, asked) - 64
      expect(response(TOKENS, answered)).toBeLessThanOrEqual(Math.min(allowedBytes, DATAGRAM_BYTES_MAX))
    }
  })

  test('a PING fits what is kept back for it of a stranger’s allowance', () => {
    expect(request(PING, {})).toBeLessThanOrEqual(64)
  })
})

/** A transport whose addresses take 64 bytes on the wire. */
function withLongAddresses(transport: Transport): Transport {
  return {
    maxDatagramBytes: transport.maxDatagramBytes,
    start: (onDatagram) => transport.start(onDatagram),
    send: (to, bytes) => transport.send(to, bytes),
    encodeAddress(address) {
      const bytes = new Uint8Array(ADDRESS_BYTES_MAX)
      bytes.set([16, ADDRESS_BYTES_MAX - 2, ...new TextEncoder().encode(address)])
      return bytes
    },
    decodeAddress: (bytes) => new TextDecoder().decode(bytes.subarray(2, bytes.indexOf(0, 2))),
    resolve: (name, options) => transport.resolve(name, options),
    describe: (address) => transport.describe(address),
    close: () => transport.close(),
  }
}

/** A node with contacts and records, and a stranger who asks it by hand. */
class Scene {
  readonly simulator = new Simulator({ seed: 'sizes', latency: fixedLatency(20) })
  readonly #hosts: SimulatedHost[] = []
  readonly #wrap: (transport: Transport) => Transport
  readonly storage = new MemoryStore({ bytesMax: 1e6, recordsMax: 100 })
  readonly #replies: Uint8Array[] = []
  readonly stranger: SimulatedHost
  #nodes: Dht[] = []

  constructor(wrap = (transport: Transport) => transport) {
    this.#wrap = wrap
    this.stranger = this.#host()
  }

  #host(): SimulatedHost {
    const host = this.simulator.host({ address: `[2001:db8:${(this.#hosts.length + 1).toString(16)}::1]:7400` })
    this.#hosts.push(host)
    return host
  }

  async start(): Promise<void> {
    await this.stranger.transport.start((_from, bytes) => this.#replies.push(new Uint8Array(bytes)))
    for (let i = 0; i < 25; i++) {
      const { transport, clock, randomBytes } = this.#host()
      const storage = i === 0 ? { storage: this.storage } : {}
      const bootstrap = i === 0 ? [] : [this.node.address as string]
      const options = { transport: this.#wrap(transport), clock, randomBytes, bootstrap, network: 'sizes' }
      const node = createDht({ ...options, ...storage })
      this.#nodes.push(node)
      await node.start()
    }
    await this.simulator.delay(5000)
    expect(this.node.contacts().length).toBeGreaterThanOrEqual(K)
  }

  get node(): Dht {
    return this.#nodes[0] as Dht
  }

  hold(key: Uint8Array, record: Uint8Array): void {
    const storedAtMs = this.#hosts[1]!.clock.wallNow()
    const times = { storedAtMs, expiresAtMs: storedAtMs + 3_600_000 }
    this.storage.put({ key, kind: 0, slot: NONE, record, source: NONE, ...times })
  }

  /** The stranger answers the ping that its first request brought, which proves its address. */
  async prove(): Promise<void> {
    await this.ask(FIND_NODE, { target: KEY, skip: 0 }, TID_BYTES)
    const pings = this.#replies.map((bytes) => codec.decode(bytes)).filter(({ type }) => type === 'request')
    expect(pings).toHaveLength(1)
    const { tid } = pings[0] as { tid: Uint8Array }
    const header = { tid, flags: 6, sender: countUp(32, 7), observed: countUp(19) }
    this.stranger.transport.send(this.node.address as string, codec.encode({ type: 'response', ...header, result: [] }))
    await this.simulator.delay(1000)
  }

  /** The answer to a request, and how long the two datagrams were. */
  async ask<P, R>(method: Method<P, R>, params: P, tidBytes: number, padToBytes = method.paddedBytes) {
    this.#replies.length = 0
    const header = { tid: countUp(tidBytes), flags: 6, sender: countUp(32, 7) }
    const request = codec.encode(
      { type: 'request', ...header, method: method.code, params: method.writeParams(params) },
      padToBytes,
    )
    const requestBytes = request.length
    this.stranger.transport.send(this.node.address as string, request)
    await this.simulator.delay(1000)
    const datagram = this.#replies.find((bytes) => codec.decode(bytes).type === 'response')
    const pingBytes = this.#replies.find((bytes) => codec.decode(bytes).type === 'request')?.length ?? 0
    const message = datagram && codec.decode(datagram)
    const result = message?.type === 'response' ? method.readResult(message.result) : undefined
    const contacts = createContactPacker(this.stranger.transport)
    return { result, requestBytes, replyBytes: datagram?.length ?? 0, pingBytes, contacts }
  }

  async run(work: (scene: Scene) => Promise<void>): Promise<void> {
    await this.simulator.run(async () => {
      await this.start()
      await work(this)
      await Promise.all(this.#nodes.map((node) => node.close()))
    })
  }
}

const find = (key: Uint8Array, want = 1) => ({ key, kind: 0, want, minSeq: 0n, cursor: NONE })
const LARGEST = encodeImmutable(countUp(VALUE_BYTES_MAX))

describe('a node among IPv6 addresses', () => {
  test.each([TID_BYTES, TID_BYTES_MAX])('names 20 contacts to a stranger with a tid of %i bytes', async (tidBytes) => {
    await new Scene().run(async (scene) => {
      const asked = await scene.ask(FIND_NODE, { target: KEY, skip: 0 }, tidBytes)
      expect(asked.contacts.unpack(asked.result?.contacts ?? NONE, 100).contacts).toHaveLength(K)
      expect(asked.requestBytes).toBe(400)
      expect(asked.replyBytes).toBe(1091 + tidBytes)
      expect(asked.pingBytes).toBeGreaterThan(0)
      expect(asked.replyBytes + asked.pingBytes).toBeLessThanOrEqual(3 * asked.requestBytes)
    })
  })

  test('cuts its answer to a short request of a stranger to three times its length', async () => {
    await new Scene().run(async (scene) => {
      const asked = await scene.ask(FIND_NODE, { target: KEY, skip: 0 }, TID_BYTES, 200)
      expect(asked.requestBytes).toBe(200)
      const { length } = asked.contacts.unpack(asked.result?.contacts ?? NONE, 100).contacts
      expect(length).toBe(8)
      expect(asked.replyBytes + asked.pingBytes).toBeLessThanOrEqual(600)
    })
  })

  test('names 20 contacts beside the token of a value that it does not hold', async () => {
    await new Scene().run(async (scene) => {
      const asked = await scene.ask(FIND_VALUE, find(KEY), TID_BYTES)
      expect(asked.contacts.unpack(asked.result?.contacts ?? NONE, 100).contacts).toHaveLength(K)
      expect(asked.result).toMatchObject({ records: [], leftOut: 0 })
      expect(asked.replyBytes + asked.pingBytes).toBeLessThanOrEqual(3 * asked.requestBytes)
    })
  })

  test.each([
    ['a stranger', TID_BYTES, false],
    ['a stranger', TID_BYTES_MAX, false],
    ['a proven asker', TID_BYTES, true],
    ['a proven asker', TID_BYTES_MAX, true],
  ])(
    'gives %s with a tid of %i bytes the largest value and the contacts that fit',
    async (_who, tidBytes, isProven) => {
      await new Scene().run(async (scene) => {
        scene.hold(LARGEST.key, LARGEST.record)
        if (isProven) await scene.prove()
        const asked = await scene.ask(FIND_VALUE, find(LARGEST.key), tidBytes)
        const { records, leftOut, contacts } = asked.result as FindValueResult
        expect(records).toEqual([LARGEST.record])
        const { length } = asked.contacts.unpack(contacts, 100).contacts
        expect(length).toBeGreaterThanOrEqual(isProven ? 3 : 2)
        expect(length + leftOut).toBe(K)
        expect(asked.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
      })
    },
  )

  test.each([
    ['a stranger', false],
    ['a proven asker', true],
  ])('gives %s the largest record of all, whatever the tid', async (_who, isProven) => {
    await new Scene().run(async (scene) => {
      scene.hold(KEY, countUp(RECORD_BYTES_MAX))
      if (isProven) await scene.prove()
      for (const tidBytes of [TID_BYTES, TID_BYTES_MAX]) {
        const asked = await scene.ask(FIND_VALUE, find(KEY), tidBytes)
        expect(asked.requestBytes).toBe(424)
        expect(asked.result).toMatchObject({ records: [countUp(RECORD_BYTES_MAX)], leftOut: K, recordsLeft: 0 })
        expect(asked.result?.ttlsSeconds).toHaveLength(1)
        expect(asked.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
        expect(asked.replyBytes + asked.pingBytes).toBeLessThanOrEqual(3 * asked.requestBytes)
      }
    })
  })

  test.each([1, TOKENS_KEYS_MAX])('gives a stranger the tokens of %i keys', async (count) => {
    await new Scene().run(async (scene) => {
      scene.hold(LARGEST.key, LARGEST.record)
      const keys = [LARGEST.key, ...Array.from({ length: count - 1 }, (_, i) => countUp(32, i))]
      const asked = await scene.ask(TOKENS, { kind: 0, keys }, TID_BYTES_MAX)
      expect(asked.result?.tokens.map(({ heldSeq }) => heldSeq)).toEqual([0n, ...Array(count - 1).fill(undefined)])
      expect(asked.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
      expect(asked.replyBytes + asked.pingBytes).toBeLessThanOrEqual(3 * asked.requestBytes)
    })
  })
})

describe('a node among addresses of 64 bytes', () => {
  test('fills a datagram with contacts and gives the largest value', async () => {
    await new Scene(withLongAddresses).run(async (scene) => {
      scene.hold(LARGEST.key, LARGEST.record)
      await scene.prove()
      const nodes = await scene.ask(FIND_NODE, { target: KEY, skip: 0 }, TID_BYTES_MAX)
      expect(nodes.result?.contacts).toHaveLength(11 * (32 + ADDRESS_BYTES_MAX))
      expect(nodes.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
      const value = await scene.ask(FIND_VALUE, find(LARGEST.key), TID_BYTES_MAX)
      expect(value.result).toMatchObject({ records: [LARGEST.record] })
      expect(value.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
    })
  })

  test('the largest record of all fits where tid and address take at most 54 bytes together', () => {
    const room = (tidBytes: number, addressBytes: number) =>
      DATAGRAM_BYTES_MAX - responseOverheadBytes(tidBytes, addressBytes)
    // The record and its lifetime; then token, sequence number, the headers of three lists and two counts.
    const needed = RECORD_BYTES_MAX + 3 + 5 + (10 + 9 + 3 * 3 + 2 * 3)
    expect(room(TID_BYTES, 54 - TID_BYTES)).toBe(needed)
    expect(room(TID_BYTES_MAX, IPV6_ADDRESS_BYTES)).toBeGreaterThan(needed)
  })
})
