import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import process from 'node:process'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Dht, DhtStats, Transport } from '../../src/index.js'
import { createDht, DhtError, generateKeyPair, sign } from '../../src/index.js'
import { keyOf } from '../../src/keyspace/index.js'
import { resolveOptions } from '../../src/options.js'
import { encodeImmutable, encodeMutable, encodePeer } from '../../src/records/index.js'
import type { RpcCounters } from '../../src/rpc/index.js'
import { Rpc } from '../../src/rpc/index.js'
import type { SimulatedHost } from '../../src/testing/index.js'
import { fixedLatency, SeededRandom, Simulator } from '../../src/testing/index.js'
import { udp } from '../../src/transport/udp.js'
import type { Method } from '../../src/wire/index.js'
import {
  appMethod,
  createCodec,
  createContactPacker,
  FIND_NODE,
  FIND_VALUE,
  networkTag,
  PING,
  STORE,
  TOKENS,
} from '../../src/wire/index.js'
import { heapBytes } from '../heap.js'
import type { Part } from './hostile-bytes.js'
import { EVERY_TYPE, joined, mutated, nested, randomTree, unfolding, write } from './hostile-bytes.js'
import type { Makings, Named } from './hostile-messages.js'
import { placesIn, replies, requests, strangeRequests, withPart } from './hostile-messages.js'

const NETWORK = 'hostile'
const HOSTILE_PEERS = 8
const HONEST_NODES = 12
const LARGEST_UDP = 65_507
const BATCH = 250
const HEAP_GROWTH_MAX = 48 * 2 ** 20

const codec = createCodec(NETWORK)
const { key, record } = encodeImmutable(new TextEncoder().encode('kept'))
const { publicKey, ...secret } = generateKeyPair({ seed: key })
const forged = { network: networkTag(NETWORK), keys: { publicKey, ...secret }, seq: 7n }
/** Well signed, but of another key and for another holder. */
const signedRecords = {
  signed: encodeMutable({ ...forged, salt: new Uint8Array(3), value: key }, { sign }).record,
  peer: encodePeer(
    { ...forged, topic: key, lifetimeSeconds: 60, port: 1, data: key, holder: key, token: key.slice(0, 8) },
    { sign },
  ),
}

/** How many datagrams of each class were delivered. */
const delivered = new Map<string, number>()
const unhandled: unknown[] = []
const onUnhandled = (reason: unknown): void => void unhandled.push(reason)

function count(name: string): void {
  delivered.set(name, (delivered.get(name) ?? 0) + 1)
}

const droppedIn = ({ dropped }: RpcCounters): number => Object.values(dropped).reduce((sum, number) => sum + number, 0)

/** Every datagram was a request, ended a call, or was dropped for a reason. */
function expectAllCounted(counters: RpcCounters): void {
  const { datagramsReceived, requests, responses, errorReplies } = counters
  expect(requests + responses + errorReplies + droppedIn(counters)).toBe(datagramsReceived)
}

beforeAll(() => {
  process.on('unhandledRejection', onUnhandled)
  process.on('uncaughtException', onUnhandled)
})

afterAll(() => {
  process.off('unhandledRejection', onUnhandled)
  process.off('uncaughtException', onUnhandled)
})

/** A node among honest and hostile ones, whose socket is in our hands. */
class Scene {
  readonly random = new SeededRandom('hostile')
  readonly simulator = new Simulator({ seed: 'hostile', latency: fixedLatency(5), trace: false })
  readonly #host = this.simulator.host()
  readonly #attacker = this.simulator.host({ address: '10.9.1.1:7400' })
  readonly #peers = Array.from({ length: HOSTILE_PEERS }, (_, i) => ({
    address: `10.9.0.${i + 1}:7400`,
    id: keyOf(`hostile ${i}`),
  }))
  readonly #honest: Dht[] = []
  #onDatagram: (from: string, bytes: Uint8Array) => void = () => {}
  #node: Dht | undefined
  #makings: Makings | undefined
  /** The datagrams that came to the node. */
  arrived = 0
  /** What a hostile peer answers; undefined for nothing. */
  reply: (request: Uint8Array, peer: number) => Uint8Array | undefined = () => undefined
  /** Whether some replies come from another address than was asked. */
  repliesFromElsewhere = false

  get node(): Dht {
    return this.#node as Dht
  }

  get makings(): Makings {
    return this.#makings as Makings
  }

  get stats(): DhtStats {
    return this.node.stats()
  }

  #transport({ transport, clock }: SimulatedHost): Transport {
    const places = new Map(this.#peers.map(({ address }, peer) => [address, peer]))
    return {
      maxDatagramBytes: transport.maxDatagramBytes,
      start: (onDatagram) => {
        this.#onDatagram = onDatagram
        return transport.start((from, bytes) => this.deliver(from, bytes))
      },
      send: (to, bytes) => {
        const peer = places.get(to)
        const reply = peer === undefined ? undefined : this.reply(new Uint8Array(bytes), peer)
        const from = this.repliesFromElsewhere && this.random.chance(0.02) ? this.anyAddress() : to
        if (reply) clock.after(1, () => this.deliver(from, reply))
        if (peer === undefined) transport.send(to, bytes)
      },
      encodeAddress: (address) => transport.encodeAddress(address),
      decodeAddress: (bytes) => transport.decodeAddress(bytes),
      resolve: (name, options) => transport.resolve(name, options),
      describe: (address) => transport.describe(address),
      close: () => transport.close(),
    }
  }

  /** Hands the node a datagram, and destroys it afterwards. */
  deliver(from: string, bytes: Uint8Array): void {
    this.arrived++
    this.#onDatagram(from, bytes)
    bytes.fill(0xc1)
  }

  async start(): Promise<void> {
    for (let i = 0; i < HONEST_NODES; i++) {
      const { transport, clock, randomBytes } = this.simulator.host()
      const bootstrap = this.#honest.length > 0 ? [this.#honest[0]!.address as string] : []
      const node = createDht({ transport, clock, randomBytes, bootstrap, network: NETWORK })
      await node.start()
      this.#honest.push(node)
    }
    this.reply = (request, peer) => this.honestReply(request, peer)
    const { clock, randomBytes } = this.#host
    const bootstrap = [this.#honest[0]!.address as string]
    const transport = this.#transport(this.#host)
    this.#node = createDht({ transport, clock, randomBytes, bootstrap, network: NETWORK })
    this.node.handle('echo', (payload) => payload)
    this.node.handle('fails', () => Promise.reject(new Error('as it should')))
    await this.node.start()
    for (const { address } of this.#peers) await this.node.ping(address)
    await this.#honest[1]!.put(new TextEncoder().encode('kept'))
    await this.simulator.delay(5000)
    this.#makings = { ...this.#basics(this.#peers[0]!.id), token: await this.#token() }
    expect(this.node.contacts()).toHaveLength(HONEST_NODES + HOSTILE_PEERS)
  }

  #basics(sender: Uint8Array): Omit<Makings, 'token'> {
    const { bytes } = createContactPacker(this.#host.transport).pack(this.#peers, 1000)
    return { network: networkTag(NETWORK), sender, key, record, contacts: bytes, ...signedRecords }
  }

  /** The token that lets the attacker's host store the record. */
  async #token(): Promise<Uint8Array> {
    let token: Uint8Array | undefined
    const { transport } = this.#attacker
    await transport.start((_from, bytes) => {
      const message = codec.decode(bytes)
      if (message.type === 'response') token = FIND_VALUE.readResult(message.result)?.token
    })
    const [, , find] = requests({ ...this.#basics(keyOf('attacker')), token: key }, key.slice(0, 8))
    transport.send(this.#host.address, write(find!.elements))
    await this.simulator.delay(1000)
    return token as Uint8Array
  }

  /** An honest answer of a hostile peer. */
  honestReply(request: Uint8Array, peer: number): Uint8Array | undefined {
    const message = codec.decode(request)
    if (message.type !== 'request') return undefined
    const makings = { ...this.#basics(this.#peers[peer]!.id), token: key.slice(0, 8) }
    return write(replies(makings, message.tid, message.method)[0]!.elements)
  }

  /** Any address that a datagram may claim to come from. */
  anyAddress(): string {
    const { random } = this
    switch (random.int(5)) {
      case 0:
        return this.#attacker.address
      case 1:
        return random.pick(this.#peers).address
      case 2:
        return random.pick(this.#honest).address as string
      case 3:
        return `[2001:db8:${random.int(65_536).toString(16)}::1]:${1 + random.int(65_535)}`
      default:
        return `10.${random.int(256)}.${random.int(256)}.${random.int(256)}:7400`
    }
  }

  /** Hands the node all datagrams of a class, in batches, so that time passes. */
  async attack(name: string, datagrams: Iterable<Uint8Array>, from = () => this.anyAddress()): Promise<void> {
    let number = 0
    for (const datagram of datagrams) {
      count(name)
      this.deliver(from(), datagram)
      if (++number % BATCH === 0) await this.simulator.delay(20)
    }
    await this.simulator.delay(20)
    expect(this.stats.datagramsReceived).toBe(this.arrived)
    expectAllCounted(this.stats)
  }

  get attackerAddress(): string {
    return this.#attacker.address
  }

  get peers(): readonly { address: string; id: Uint8Array }[] {
    return this.#peers
  }

  /** The node is as it was: it holds what it held, and does what it should. */
  async expectUnharmed(): Promise<void> {
    this.repliesFromElsewhere = false
    this.reply = (request, peer) => this.honestReply(request, peer)
    await this.simulator.delay(30_000)
    const { stats, node } = this
    expect(stats.pendingCalls).toBe(0)
    expect(stats.contacts).toBeLessThanOrEqual(HONEST_NODES + HOSTILE_PEERS)
    expect(stats.storage.records).toBeGreaterThanOrEqual(1)
    const kept = await node.get(key)
    expect(new TextDecoder().decode(kept?.value)).toBe('kept')
    expect(kept?.messages).toBe(0)
    const honest = this.#honest[2] as Dht
    expect((await honest.ping(node.address as string)).id).toEqual(node.id)
    const put = await node.put(Uint8Array.of(1, 2, 3))
    expect((await honest.get(put.key))?.value).toEqual(Uint8Array.of(1, 2, 3))
    const other = await honest.put(Uint8Array.of(4, 5, 6))
    expect((await node.get(other.key))?.value).toEqual(Uint8Array.of(4, 5, 6))
    expect(unhandled).toEqual([])
  }

  async close(): Promise<void> {
    await Promise.all([this.node, ...this.#honest].map((node) => node.close()))
  }
}

/** Valid messages of every kind; the replies match no call. */
function allMessages(makings: Makings, tid: Uint8Array): Named[] {
  const methods = [0, 1, 2, 3, 4, 'echo']
  return [
    ...requests(makings, tid),
    ...strangeRequests(makings, tid),
    ...methods.flatMap((method) => replies(makings, tid, method).slice(0, 1)),
    replies(makings, tid, 0)[1]!,
  ]
}

/** Draws from the messages, each time with another transaction id. */
function sampler(random: SeededRandom, messages: readonly Named[]): () => Uint8Array {
  const datagrams = messages.map(({ elements }) => write(elements))
  return () => {
    const datagram = random.pick(datagrams).slice()
    // It stands after the heads of the array and of the byte array, version and type.
    datagram.set(random.bytes(8), 5)
    return datagram
  }
}

function* everyFieldOfEveryType(messages: readonly Named[]): Generator<Uint8Array> {
  for (const { elements } of messages) {
    for (const place of placesIn(elements)) {
      for (const value of EVERY_TYPE) yield write(withPart(elements, place, value))
    }
    for (const value of EVERY_TYPE) yield write([...elements, value])
    for (const value of EVERY_TYPE) yield write([...elements.slice(0, 8), joined(Uint8Array.of(0x80)), value])
  }
}

function* everyCut(messages: readonly Named[]): Generator<Uint8Array> {
  for (const { elements } of messages) {
    const datagram = write(elements)
    for (let length = 0; length < datagram.length; length++) {
      yield datagram.slice(0, length)
      yield joined(datagram.subarray(0, length), new Uint8Array(datagram.length - length))
    }
    for (const value of EVERY_TYPE) yield joined(datagram, value)
  }
}

function* everyDepth(head: readonly Part[]): Generator<Uint8Array> {
  for (const kind of ['array', 'map', 'key', 'set', 'record', 'reference'] as const) {
    for (let depth = 1; depth < 1200; depth += depth < 32 ? 1 : 7) {
      const deep = nested(kind, depth)
      yield deep
      yield write([...head, [deep]])
      yield write([...head, [], joined(Uint8Array.of(0x80)), deep])
    }
  }
}

describe('a live node', () => {
  test('is unharmed by hostile datagrams, and counts each of them', async () => {
    const scene = new Scene()
    await scene.simulator.run(
      async () => {
        await scene.start()
        const { makings, random } = scene
        const tid = (): Uint8Array => random.bytes(8)
        const any = sampler(random, allMessages(makings, tid()))
        const anyRequest = sampler(random, requests(makings, tid()))
        function* times(number: number, make: () => Uint8Array): Generator<Uint8Array> {
          for (let i = 0; i < number; i++) yield make()
        }

        await scene.attack(
          'random bytes',
          times(20_000, () => random.bytes(random.int(random.chance(0.1) ? 1500 : 150))),
        )
        await scene.attack(
          'random bytes after the head of a message',
          times(10_000, () => {
            return joined(any().subarray(0, random.int(70)), random.bytes(random.int(150)))
          }),
        )
        const fromAttacker = (): string => (random.chance(0.7) ? scene.attackerAddress : scene.anyAddress())
        await scene.attack(
          'mutated messages',
          times(60_000, () => mutated(random, any(), any())),
          fromAttacker,
        )
        const before = heapBytes()
        await scene.attack('valid messages', times(5000, any), fromAttacker)
        await scene.attack('valid requests of strangers', times(30_000, anyRequest))
        await scene.attack(
          'a flood of valid requests from one host',
          times(3000, anyRequest),
          () => '198.51.100.9:7400',
        )
        const asItself = sampler(random, allMessages({ ...makings, sender: scene.node.id }, tid()))
        await scene.attack('valid messages with the id of the node itself', times(2000, asItself))
        await scene.attack('each field by each type', everyFieldOfEveryType(allMessages(makings, tid())), fromAttacker)
        await scene.attack('cut at each byte', everyCut(allMessages(makings, tid())), fromAttacker)
        await scene.attack(
          'up to 65,507 bytes',
          times(1000, () => {
            const length = 1201 + random.int(LARGEST_UDP - 1200)
            return random.chance(0.5) ? joined(any(), new Uint8Array(length)).slice(0, length) : random.bytes(length)
          }),
        )
        await scene.attack('nested', everyDepth(requests(makings, tid())[0]!.elements.slice(0, 7)))
        const ping = requests(makings, tid())[0]!.elements
        await scene.attack(
          'extension types of the decoder',
          times(40_000, () => {
            const tree = randomTree(random, 5)
            if (random.chance(0.3)) return tree
            if (random.chance(0.5)) return write([...ping, joined(Uint8Array.of(0x80)), tree])
            return write(withPart(ping, random.pick(placesIn(ping)), tree))
          }),
        )
        await scene.attack(
          'references that unfold',
          times(500, () => {
            const unfolded = unfolding(2 + random.int(12), 1 + random.int(8))
            return random.chance(0.5) ? unfolded : joined(unfolded, Uint8Array.of(0))
          }),
        )
        await hostileReplies(scene, 12_000)
        await scene.expectUnharmed()
        expectAllCounted(scene.stats)
        expect(heapBytes() - before).toBeLessThan(HEAP_GROWTH_MAX)
        const { dropped } = scene.stats
        // Every class reached what it aims at.
        for (const [reason, number] of Object.entries(dropped)) {
          expect(number, reason).toBeGreaterThan(0)
        }
        await scene.close()
      },
      { limitMs: 3_600_000 },
    )
  })
})

/** Has the node ask the hostile peers, again and again, until they have sent so many replies. */
async function hostileReplies(scene: Scene, repliesMin: number): Promise<void> {
  const { random, makings, node } = scene
  let sent = 0
  scene.repliesFromElsewhere = true
  scene.reply = (request, peer) => {
    const honest = scene.honestReply(request, peer)
    if (!honest || random.chance(0.3)) return honest
    sent++
    count('replies to pending calls, from a live node’s lookups')
    const message = codec.decode(request)
    if (message.type !== 'request') throw new Error('the node sent something strange')
    const named = replies({ ...makings, sender: scene.peers[peer]!.id }, message.tid, message.method)
    const { elements } = random.chance(0.8) ? named[0]! : named[1]!
    const place = random.pick(placesIn(elements).filter(([at]) => random.chance(0.1) || (at as number) >= 6))
    switch (random.int(3)) {
      case 0:
        return write(withPart(elements, place ?? [7], random.pick(EVERY_TYPE)))
      case 1:
        return write(withPart(elements, place ?? [7], randomTree(random, 3)))
      default:
        return mutated(random, honest, request)
    }
  }
  const settle = (call: Promise<unknown>): Promise<unknown> =>
    call.catch((error: unknown) => {
      expect(error).toBeInstanceOf(DhtError)
    })
  while (sent < repliesMin) {
    const to = random.pick(scene.peers)
    await Promise.all([
      ...[settle(node.findNode(random.bytes(32))), settle(node.get(random.bytes(32)))],
      ...Array.from({ length: 20 }, () => settle(node.ping(random.chance(0.5) ? to : to.address))),
      ...Array.from({ length: 20 }, () => settle(node.request(to, 'echo', random.bytes(20)))),
      ...(random.chance(0.2) ? [settle(node.put(random.bytes(20)))] : []),
      ...(random.chance(0.2) ? [settle(node.resolve(publicKey)), settle(node.locate(random.bytes(32)).next())] : []),
    ])
    // Those that lied themselves out of the table come back.
    await scene.simulator.delay(random.int(100))
  }
}

describe('pending calls', () => {
  const methods = [PING, FIND_NODE, FIND_VALUE, STORE, TOKENS, appMethod('echo')] as unknown as Method<
    unknown,
    unknown
  >[]
  const params: Readonly<Record<string | number, unknown>> = {
    ...{ 0: {}, 1: { target: key, skip: 0 }, echo: { payload: record } },
    ...{ 2: { key, kind: 0, want: 1, minSeq: 0n, cursor: new Uint8Array(0) } },
    ...{ 3: { key, kind: 0, token: key.slice(0, 8), record, ttlSeconds: 60, cas: undefined, isCached: false } },
    ...{ 4: { kind: 0, keys: [key, key] } },
  }
  const peer = { id: keyOf('peer'), address: '203.0.113.1:7400' }

  test.each(methods)('of method $code survive every reply with their tid, and end once', (method) => {
    const { transport, clock, randomBytes } = new Simulator({ seed: 1 }).host()
    let sent: Uint8Array | undefined
    const ownTransport: Transport = {
      maxDatagramBytes: 1472,
      start: (onDatagram) => transport.start(onDatagram),
      send: (_to, bytes) => {
        sent = bytes
      },
      ...{ encodeAddress: (at) => transport.encodeAddress(at), decodeAddress: (at) => transport.decodeAddress(at) },
      ...{ resolve: (name) => transport.resolve(name), describe: (at) => transport.describe(at) },
      close: () => transport.close(),
    }
    const config = resolveOptions({ transport: ownTransport, clock, randomBytes, network: NETWORK })
    const observer = { onAnswer() {}, onSilence() {}, onGivenUp() {}, onWrongId() {}, onNonsense() {}, onRequest() {} }
    const identity = (): { id: Uint8Array; flags: number } => ({ id: config.id, flags: 6 })
    const rpc = new Rpc({ ...config, codec, identity, mayClaim: () => true, observer })
    const random = new SeededRandom(`replies to ${method.code}`)
    const makings = {
      network: networkTag(NETWORK),
      sender: peer.id,
      key,
      record,
      token: key.slice(0, 8),
      ...signedRecords,
    }
    const contacts = new Uint8Array(39 * 8)
    /** After which a call was lost, or ended twice. */
    const faults: Uint8Array[] = []

    /** Calls, and sends the datagram that is made of the call's tid. */
    const answer = (make: (elements: readonly Part[]) => Uint8Array, kind: 0 | 1): void => {
      let ends = 0
      const cancel = rpc.call(method, peer, params[method.code], { done: () => ends++ })
      const request = codec.decode(new Uint8Array(sent as Uint8Array))
      if (request.type !== 'request') throw new Error('no request was sent')
      const { elements } = replies({ ...makings, contacts }, request.tid, method.code)[kind] as Named
      const datagram = make(elements)
      count('replies to pending calls, of each method')
      rpc.receive(peer.address, datagram.slice())
      if (ends + rpc.pendingCalls !== 1) faults.push(datagram)
      cancel()
      if (ends > 1 || rpc.pendingCalls !== 0) faults.push(datagram)
    }

    for (const kind of [0, 1] as const) {
      const { elements } = replies({ ...makings, contacts }, key.slice(0, 8), method.code)[kind] as Named
      const places = placesIn(elements)
      for (const place of places) {
        for (const value of EVERY_TYPE) answer((valid) => write(withPart(valid, place, value)), kind)
      }
      for (let i = 0; i < 1500; i++) {
        answer((valid) => mutated(random, write(valid), sent as Uint8Array), kind)
        const place = random.pick(places)
        answer((valid) => write(withPart(valid, place, randomTree(random, 4))), kind)
      }
      for (let length = 0; length < write(elements).length; length++) {
        answer((valid) => write(valid).slice(0, length), kind)
      }
    }
    answer(write, 0)
    expect(faults).toEqual([])
    expectAllCounted(rpc.counters)
    expect(rpc.counters.responses).toBeGreaterThan(0)
    expect(rpc.counters.errorReplies).toBeGreaterThan(0)
    if (method.code !== 0) expect(rpc.counters.dropped.malformedResult).toBeGreaterThan(0)
    rpc.close()
  })
})

describe('the decoder', () => {
  test('reads an honest message the same after any hostile one', () => {
    const random = new SeededRandom('state')
    const fresh = {
      network: networkTag(NETWORK),
      sender: keyOf('sender'),
      key,
      record,
      token: key.slice(0, 8),
      ...signedRecords,
    }
    const honest = allMessages({ ...fresh, contacts: new Uint8Array(39) }, key.slice(0, 8)).map(({ elements }) =>
      write(elements),
    )
    // Small numbers, because a decoder that kept a definition of a record would take them for its uses.
    const numbers = write([...Array.from({ length: 0x40 }, (_, i) => Uint8Array.of(0x40 + i))])
    honest.push(write([...requests({ ...fresh, contacts: key }, key.slice(0, 8))[0]!.elements.slice(0, 7), [numbers]]))
    const expected = honest.map((datagram) => codec.decode(datagram.slice()))
    for (let i = 0; i < 10_000; i++) {
      count('before an honest message')
      codec.decode(joined(random.chance(0.5) ? Uint8Array.of(0x92) : new Uint8Array(0), randomTree(random, 4)))
      const at = i % honest.length
      const decoded = codec.decode(honest[at]!.slice())
      if (!isDeepStrictEqual(decoded, expected[at])) expect(decoded).toEqual(expected[at])
    }
  })
})

describe('over UDP', () => {
  test('a live node is unharmed by hostile datagrams, and counts each of them', async () => {
    const [node, other] = [udp({ host: '127.0.0.1' }), udp({ host: '127.0.0.1' })].map((transport) =>
      createDht({ transport, network: NETWORK }),
    ) as [Dht, Dht]
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    onTestFinished(async () => {
      socket.close()
      await Promise.all([node.close(), other.close()])
    })
    await Promise.all([node.start(), other.start()])
    await other.ping(node.address as string)
    const port = Number((node.address as string).split(':')[1])
    const random = new SeededRandom('udp')
    const contacts = new Uint8Array(39)
    const makings = {
      network: networkTag(NETWORK),
      sender: keyOf('udp'),
      key,
      record,
      token: contacts,
      contacts,
      ...signedRecords,
    }
    const any = sampler(random, allMessages(makings, random.bytes(8)))
    const make = [
      () => random.bytes(random.int(1300)),
      () => mutated(random, any(), any()),
      () => randomTree(random, 5),
      () => any().slice(0, random.int(100)),
      () => joined(any(), new Uint8Array(1201 + random.int(60_000))),
      any,
    ]

    let sent = 0
    for (let batch = 0; batch < 100; batch++) {
      for (let i = 0; i < 40; i++) {
        count('over UDP')
        socket.send(make[(sent + batch) % make.length]!(), port, '127.0.0.1')
        sent++
      }
      // Loopback loses nothing as long as the receiver keeps up.
      await until(() => (node.stats().transport.datagramsReceived as number) >= sent)
    }
    const stats = node.stats()
    expectAllCounted(stats)
    expect(stats.datagramsReceived).toBeGreaterThanOrEqual(sent)
    expect(stats.transport.callbackErrors).toBeUndefined()
    expect((await other.ping(node.address as string)).id).toEqual(node.id)
    const { key: stored } = await other.put(Uint8Array.of(7))
    expect((await node.get(stored))?.value).toEqual(Uint8Array.of(7))
    expect(unhandled).toEqual([])
  })
})

/** Waits until it is so, at most 2 s. */
async function until(isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 2000
  while (!isSo() && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('at least 200,000 hostile datagrams were delivered', () => {
  const total = [...delivered.values()].reduce((sum, number) => sum + number, 0)
  console.log([...delivered].map(([name, number]) => `${String(number).padStart(8)}  ${name}`).join('\n'))
  console.log(`${String(total).padStart(8)}  in all`)
  expect(total).toBeGreaterThanOrEqual(200_000)
})
