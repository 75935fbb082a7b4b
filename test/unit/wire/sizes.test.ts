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
  responseOverheadBytes,
  SECONDS_MAX,
  STORE,
  TID_BYTES,
  TID_BYTES_MAX,
  TOKEN_BYTES_MAX,
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
  const store = { key: KEY, kind: 255, token: countUp(TOKEN_BYTES_MAX), record, ttlSeconds: SECONDS_MAX, cas: U64_MAX }
  const find = { key: KEY, kind: 255, want: 1000, minSeq: U64_MAX, cursor: countUp(64) }
  const found = { token: countUp(8), heldSeq: U64_MAX, records: [record], contacts: NONE, leftOut: K }
  const twenty = countUp(K * (32 + IPV6_ADDRESS_BYTES))

  test.each([
    ['a PING request', 56, request(PING, {})],
    ['a PING response', 133, response(PING, {})],
    ['a FIND_NODE request', 400, request(FIND_NODE, { target: KEY, skip: 1000 })],
    ['a FIND_VALUE request', 400, request(FIND_VALUE, find)],
    ['a STORE request', 1196, request(STORE, store)],
    ['a STORE response', 138, response(STORE, { ttlSeconds: SECONDS_MAX })],
    ["a request of an app's method", 1092, request(LONGEST_APP, { payload })],
    ["a response of an app's method", 1136, response(LONGEST_APP, { payload })],
    ['an error', 439, error('€'.repeat(ERROR_TEXT_MAX + 1))],
    ['a FIND_NODE response with 20 IPv6 contacts', 1111, response(FIND_NODE, { contacts: twenty }, IPV6_ADDRESS_BYTES)],
    ['one to an address of 64 bytes', 1156, response(FIND_NODE, { contacts: twenty })],
    ['a FIND_VALUE response with the largest record', 1165, response(FIND_VALUE, found, IPV6_ADDRESS_BYTES)],
    [
      'one with 20 IPv6 contacts instead',
      1132,
      response(FIND_VALUE, { ...found, records: [], contacts: twenty }, IPV6_ADDRESS_BYTES),
    ],
  ])('%s takes %i bytes and fits', (_what, expected, actual) => {
    expect(actual).toBe(expected)
    expect(actual).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
  })

  test('a STORE of an implementation with flags of five bytes fills the datagram exactly', () => {
    const header = { tid: countUp(TID_BYTES), flags: 2 ** 32 - 1, sender: KEY }
    const message: Message = { type: 'request', ...header, method: 3, params: STORE.writeParams(store) }
    expect(codec.encode(message)).toHaveLength(DATAGRAM_BYTES_MAX)
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

  test('gives a proven asker the largest record of all, whatever the tid', async () => {
    await new Scene().run(async (scene) => {
      scene.hold(KEY, countUp(RECORD_BYTES_MAX))
      await scene.prove()
      for (const tidBytes of [TID_BYTES, TID_BYTES_MAX]) {
        const asked = await scene.ask(FIND_VALUE, find(KEY), tidBytes)
        expect(asked.result).toMatchObject({ records: [countUp(RECORD_BYTES_MAX)], leftOut: K })
        expect(asked.replyBytes).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX)
      }
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

  test('the largest record of all fits where tid and address take at most 65 bytes together', () => {
    const room = (tidBytes: number, addressBytes: number) =>
      DATAGRAM_BYTES_MAX - responseOverheadBytes(tidBytes, addressBytes)
    // Token, sequence number, the headers of lists and the count of what is left out, as the handler reckons.
    const needed = RECORD_BYTES_MAX + 3 + 28
    expect(room(TID_BYTES, 65 - TID_BYTES)).toBe(needed)
    expect(room(TID_BYTES_MAX, IPV6_ADDRESS_BYTES)).toBeGreaterThan(needed)
  })
})
