import { describe, expect, test } from 'vitest'
import type { Contact, Dht } from '../../../src/index.js'
import {
  DhtError,
  generateKeyPair,
  keyOf,
  LARGE_VALUE_BYTES_MAX,
  PEER_DATA_BYTES_MAX,
  SALT_BYTES_MAX,
  VALUE_BYTES_MAX,
} from '../../../src/index.js'
import { PAYLOAD_BYTES_MAX } from '../../../src/wire/index.js'
import type { Member } from './network.js'
import { bytes, contactOf, failure, grow, newcomer, simulate } from './network.js'
import { count, tally } from './tally-kind.js'

const KEY = keyOf('some key')
const KEYS = generateKeyPair({ seed: KEY })
const OTHER_KEYS = generateKeyPair({ seed: keyOf('other keys') })
const NO_BYTES = [undefined, null, 'text', 7, {}, [1, 2, 3], new ArrayBuffer(32), new DataView(new ArrayBuffer(32))]
const NO_KEYS = [bytes(0), bytes(31), bytes(33), bytes(64)]
const NO_OPTIONS = [null, 7, 'text', true, new AbortController().signal, { signal: undefined, retries: 3 }]
const NO_SIGNALS = [null, 7, {}, new AbortController(), new EventTarget()]
const NO_ADDRESSES = ['', 'nowhere', '203.0.113.7', '203.0.113.7:0', '203.0.113.7:65536', '[::1:7400', '::1:7400']
const NO_HOSTS = ['0.0.0.0:7400', '255.255.255.255:7400', '224.0.0.1:7400', '[ff02::1]:7400']
const NO_CALLEES = [undefined, null, 7, {}, { id: KEY }, { id: KEY, address: 7 }, { id: 'id', address: '9.9.9.9:9' }]
const NO_KEY_PAIRS = [
  ...[undefined, null, 7, 'keys', {}, [], KEY],
  { publicKey: KEYS.publicKey },
  { secretKey: KEYS.secretKey },
  { publicKey: 'key', secretKey: KEYS.secretKey },
  { publicKey: OTHER_KEYS.publicKey, secretKey: KEYS.secretKey },
  { publicKey: KEYS.secretKey, secretKey: KEYS.publicKey },
]
const NO_SEQS = [null, 7, '7', true, {}]
const NO_FLAGS = [null, 0, 1, 'yes', {}]
const NO_METHODS = [undefined, null, 7, {}, Symbol('method')]
const NO_METHOD_NAMES = ['', 'm'.repeat(33), 'ü'.repeat(17)]

type Untyped = { [K in keyof Dht]: (...values: unknown[]) => unknown }
type Call = readonly [name: string, call: (dht: Untyped, peer: Contact) => unknown, error: unknown]

const waiting: Record<string, (dht: Untyped, peer: Contact, options: unknown) => unknown> = {
  start: (dht, _peer, options) => dht.start(options),
  put: (dht, _peer, options) => dht.put(bytes(3), options),
  get: (dht, _peer, options) => dht.get(KEY, options),
  publish: (dht, _peer, options) => dht.publish(KEYS, bytes(3), options),
  resolve: (dht, _peer, options) => dht.resolve(KEYS.publicKey, options),
  announce: (dht, _peer, options) => dht.announce(KEY, options),
  locate: (dht, _peer, options) => locate(dht, KEY, options),
  storeRecord: (dht, _peer, options) => dht.storeRecord(tally, KEY, count(KEY, 1, 1), options),
  findRecords: (dht, _peer, options) => dht.findRecords(tally, KEY, options),
  findNode: (dht, _peer, options) => dht.findNode(KEY, options),
  ping: (dht, peer, options) => dht.ping(peer, options),
  request: (dht, peer, options) => dht.request(peer, 'echo', bytes(3), options),
}

/** A locate throws at once where its arguments are wrong, and only then. */
async function locate(dht: Untyped, topic: unknown, options?: unknown): Promise<unknown> {
  return (dht.locate(topic, options) as AsyncIterator<unknown>).next()
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'object' && value !== null) return `${value.constructor.name} ${JSON.stringify(value, texts)}`
  return String(value)
}

/** For JSON, which knows no bigint. */
function texts(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}

/** Calls with one wrong option each. */
function withOptions(
  name: string,
  options: Record<string, readonly unknown[]>,
  error: unknown,
  call: (dht: Untyped, options: unknown) => unknown,
): Call[] {
  return Object.entries(options).flatMap(([option, values]) =>
    values.map((value): Call => {
      return [`${name} ${option}: ${shown(value)}`, (dht) => call(dht, { [option]: value }), error]
    }),
  )
}

const publish = (dht: Untyped, options: unknown): unknown => dht.publish(KEYS, bytes(3), options)
const announce = (dht: Untyped, options: unknown): unknown => dht.announce(KEY, options)
const TOO_LARGE = expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' })
const NO_LIFETIMES = [0, -1, 999, 48 * 3_600_000 + 1, Number.NaN, Number.POSITIVE_INFINITY]
const NO_BYTES_OPTION = NO_BYTES.slice(1)

/** The calls of store and locate. */
const recordCalls: Call[] = [
  ...NO_KEY_PAIRS.map((keys): Call => [`publish ${shown(keys)}`, (dht) => dht.publish(keys, bytes(3)), TypeError]),
  ...NO_KEY_PAIRS.slice(1).map(
    (keys): Call => [`announce ${shown(keys)}`, (dht) => announce(dht, { keys }), TypeError],
  ),
  ...NO_KEYS.flatMap((key): Call[] => [
    [`publish publicKey ${shown(key)}`, (dht) => dht.publish({ ...KEYS, publicKey: key }, bytes(3)), RangeError],
    [`publish secretKey ${shown(key)}`, (dht) => dht.publish({ ...KEYS, secretKey: key }, bytes(3)), RangeError],
    [`resolve ${shown(key)}`, (dht) => dht.resolve(key), RangeError],
    [`announce ${shown(key)}`, (dht) => dht.announce(key), RangeError],
    [`locate ${shown(key)}`, (dht) => locate(dht, key), RangeError],
    [`storeRecord ${shown(key)}`, (dht) => dht.storeRecord(tally, key, bytes(34)), RangeError],
    [`findRecords ${shown(key)}`, (dht) => dht.findRecords(tally, key), RangeError],
  ]),
  ...NO_BYTES.flatMap((value): Call[] => [
    [`publish value ${shown(value)}`, (dht) => dht.publish(KEYS, value), TypeError],
    [`resolve ${shown(value)}`, (dht) => dht.resolve(value), TypeError],
    [`announce ${shown(value)}`, (dht) => dht.announce(value), TypeError],
    [`locate ${shown(value)}`, (dht) => locate(dht, value), TypeError],
    [`storeRecord key ${shown(value)}`, (dht) => dht.storeRecord(tally, value, bytes(34)), TypeError],
    [`storeRecord record ${shown(value)}`, (dht) => dht.storeRecord(tally, KEY, value), TypeError],
    [`findRecords ${shown(value)}`, (dht) => dht.findRecords(tally, value), TypeError],
  ]),
  ['publish one byte too many', (dht) => dht.publish(KEYS, bytes(VALUE_BYTES_MAX + 1)), TOO_LARGE],
  ...withOptions('publish', { salt: NO_BYTES_OPTION, seq: NO_SEQS, cas: NO_SEQS }, TypeError, publish),
  ...withOptions('publish', { lifetimeMs: [null, '5000', 5000n], republish: NO_FLAGS }, TypeError, publish),
  ...withOptions(
    'publish',
    { salt: [bytes(SALT_BYTES_MAX + 1)], seq: [-1n, 0n, 2n ** 64n], cas: [-1n, 2n ** 64n], lifetimeMs: NO_LIFETIMES },
    RangeError,
    publish,
  ),
  ['publish seq as cas', (dht) => publish(dht, { seq: 3n, cas: 3n }), RangeError],
  ['publish seq below cas', (dht) => publish(dht, { seq: 2n, cas: 3n }), RangeError],
  ...withOptions('resolve', { salt: NO_BYTES_OPTION }, TypeError, (dht, options) => dht.resolve(KEY, options)),
  ...withOptions('resolve', { salt: [bytes(SALT_BYTES_MAX + 1)] }, RangeError, (dht, options) =>
    dht.resolve(KEY, options),
  ),
  ...withOptions('announce', { port: [null, '80', 80n, true], data: NO_BYTES_OPTION }, TypeError, announce),
  ...withOptions('announce', { port: [0, -1, 65_536, 80.5, Number.NaN] }, RangeError, announce),
  ...withOptions('announce', { data: [bytes(PEER_DATA_BYTES_MAX + 1)] }, TOO_LARGE, announce),
  ...[
    (dht: Untyped, options: unknown) => dht.put(bytes(3), options),
    (dht: Untyped, options: unknown) => dht.storeRecord(tally, KEY, count(KEY, 1, 1), options),
  ].flatMap((call) => [
    ...withOptions('store', { lifetimeMs: [null, '5000', 5000n], republish: NO_FLAGS }, TypeError, call),
    ...withOptions('store', { lifetimeMs: NO_LIFETIMES }, RangeError, call),
    ...withOptions('store', { salt: [bytes(3)], cas: [1n], port: [80] }, TypeError, call),
  ]),
]

const calls: Call[] = [
  ...recordCalls,
  ...NO_BYTES.map((value): Call => [`put ${shown(value)}`, (dht) => dht.put(value), TypeError]),
  ...[null, true, 'f', {}].flatMap((onProgress): Call[] => [
    [`put onProgress ${shown(onProgress)}`, (dht) => dht.put(bytes(3), { onProgress }), TypeError],
    [`put of parts, onProgress ${shown(onProgress)}`, (dht) => dht.put(bytes(3000), { onProgress }), TypeError],
    [`get onProgress ${shown(onProgress)}`, (dht) => dht.get(KEY, { onProgress }), TypeError],
  ]),
  ['put of parts, acknowledgements', (dht) => dht.put(bytes(3000), { acknowledgements: 21 }), RangeError],
  ['put of parts, lifetimeMs', (dht) => dht.put(bytes(3000), { lifetimeMs: 1 }), RangeError],
  ...NO_BYTES.map((value): Call => [`get ${shown(value)}`, (dht) => dht.get(value), TypeError]),
  ...NO_BYTES.map((value): Call => [`findNode ${shown(value)}`, (dht) => dht.findNode(value), TypeError]),
  ...NO_KEYS.map((key): Call => [`get ${shown(key)}`, (dht) => dht.get(key), RangeError]),
  ...NO_KEYS.map((key): Call => [`findNode ${shown(key)}`, (dht) => dht.findNode(key), RangeError]),
  ...NO_KEYS.map((id): Call => [`ping id ${shown(id)}`, (dht, { address }) => dht.ping({ id, address }), RangeError]),
  [
    'put one byte too many',
    (dht) => dht.put(bytes(LARGE_VALUE_BYTES_MAX + 1)),
    expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' }),
  ],
  [
    'request one byte too many',
    (dht, peer) => dht.request(peer, 'echo', bytes(PAYLOAD_BYTES_MAX + 1)),
    expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' }),
  ],
  ...NO_CALLEES.map((to): Call => [`ping ${shown(to)}`, (dht) => dht.ping(to), TypeError]),
  ...NO_CALLEES.map((to): Call => [`request ${shown(to)}`, (dht) => dht.request(to, 'echo'), TypeError]),
  ...[...NO_ADDRESSES, ...NO_HOSTS].flatMap((address): Call[] => [
    [`ping ${address}`, (dht) => dht.ping(address), TypeError],
    [`ping a contact at ${address}`, (dht) => dht.ping({ id: KEY, address }), TypeError],
    [`request ${address}`, (dht) => dht.request(address, 'echo'), TypeError],
  ]),
  ...NO_METHODS.map((name): Call => [`request method ${shown(name)}`, (dht, to) => dht.request(to, name), TypeError]),
  ...NO_METHOD_NAMES.map((name): Call => [`request '${name}'`, (dht, to) => dht.request(to, name), RangeError]),
  ...NO_BYTES.slice(1).map(
    (value): Call => [`request payload ${shown(value)}`, (dht, to) => dht.request(to, 'echo', value), TypeError],
  ),
  ...Object.entries(waiting).flatMap(([name, call]) => [
    ...NO_OPTIONS.map((options): Call => [`${name} options ${shown(options)}`, callWith(call, options), TypeError]),
    ...NO_SIGNALS.map((signal): Call => [`${name} signal ${shown(signal)}`, callWith(call, { signal }), TypeError]),
  ]),
]

function callWith(call: (dht: Untyped, peer: Contact, options: unknown) => unknown, options: unknown): Call[1] {
  return (dht, peer) => call(dht, peer, options)
}

/** What a call rejected with; fails when it throws or returns no promise. */
async function rejection(returned: unknown): Promise<unknown> {
  expect(returned).toBeInstanceOf(Promise)
  return (returned as Promise<unknown>).then(
    () => expect.fail('it resolved'),
    (error: unknown) => error,
  )
}

test('a wrong argument rejects with its documented error, and no datagram leaves for it', async () => {
  await simulate('wrong arguments', async (simulator) => {
    const [member, peer] = (await grow(simulator, 4, () => ({ records: [tally] }))) as [Member, Member]
    const sentBefore = simulator.stats.sent
    for (const [name, call, expected] of calls) {
      if (name.startsWith('start ')) continue
      const error = await rejection(call(member.dht as unknown as Untyped, contactOf(peer)))
      if (typeof expected === 'function') expect(error, name).toBeInstanceOf(expected)
      else expect(error, name).toEqual(expected)
      if (!(error instanceof DhtError))
        expect((error as Error).message, name).not.toMatch(/undefined|is not a function|annot|BigInt/)
    }
    await simulator.delay(5000)
    expect(simulator.stats.sent).toBe(sentBefore)
    expect(member.dht.stats().pendingCalls).toBe(0)
  })
})

test('start with wrong options rejects, sends nothing, and a right one may follow', async () => {
  await simulate('wrong start', async (simulator) => {
    const [peer] = (await grow(simulator, 1)) as [Member]
    const { dht } = newcomer(simulator, { bootstrap: [peer.host.address] })
    for (const [name, call] of calls.filter(([name]) => name.startsWith('start '))) {
      expect(await rejection(call(dht as unknown as Untyped, contactOf(peer))), name).toBeInstanceOf(TypeError)
    }
    expect(dht.stats().datagramsSent).toBe(0)
    expect((await dht.start()).contacts).toBe(1)
  })
})

test('a signal that was aborted before rejects every call with its reason, and no datagram leaves', async () => {
  await simulate('aborted before', async (simulator) => {
    const [member, peer] = (await grow(simulator, 4, () => ({ records: [tally] }))) as [Member, Member]
    const sentBefore = simulator.stats.sent
    for (const reason of [new Error('enough'), 'enough', null, 0]) {
      const signal = AbortSignal.abort(reason)
      for (const [name, call] of Object.entries(waiting)) {
        const dht = (name === 'start' ? newcomer(simulator).dht : member.dht) as unknown as Untyped
        expect(await rejection(call(dht, contactOf(peer), { signal })), name).toBe(reason)
      }
    }
    await simulator.delay(5000)
    expect(simulator.stats.sent).toBe(sentBefore)
  })
})

describe.each([
  ['before start', 'ERR_NOT_STARTED'],
  ['while the transport opens', 'ERR_NOT_STARTED'],
  ['after close', 'ERR_CLOSED'],
] as const)('%s', (when, code) => {
  test(`every call rejects with ${code}, and no datagram leaves`, async () => {
    await simulate(when, async (simulator) => {
      const [peer] = (await grow(simulator, 2)) as [Member]
      const { dht } = newcomer(simulator, { bootstrap: [peer.host.address], records: [tally] })
      const starting = when === 'while the transport opens' ? dht.start() : undefined
      if (when === 'after close') {
        await dht.start()
        await dht.close()
      }
      const sentBefore = dht.stats().datagramsSent
      const refused = Object.entries(waiting).filter(([name]) => name !== 'start' || code === 'ERR_CLOSED')
      // All at once: one after the other they would find the transport open.
      const failures = refused.map(([, call]) =>
        failure(call(dht as unknown as Untyped, contactOf(peer), {}) as Promise<unknown>, code),
      )
      expect(dht.stats().datagramsSent).toBe(sentBefore)
      expect(dht.stats().pendingCalls).toBe(0)
      await Promise.all(failures)
      await starting
    })
  })
})

test('locate says at once what is wrong, not in the loop', async () => {
  await simulate('locate at once', async (simulator) => {
    const untyped = newcomer(simulator).dht as unknown as Untyped
    for (const topic of NO_BYTES) expect(() => untyped.locate(topic), shown(topic)).toThrow(TypeError)
    for (const topic of NO_KEYS) expect(() => untyped.locate(topic), shown(topic)).toThrow(RangeError)
    for (const options of NO_OPTIONS) expect(() => untyped.locate(KEY, options), shown(options)).toThrow(TypeError)
    for (const signal of NO_SIGNALS) expect(() => untyped.locate(KEY, { signal }), shown(signal)).toThrow(TypeError)
  })
})

test('handle and on take functions and names only, and say so at once', async () => {
  await simulate('handle', async (simulator) => {
    const { dht } = newcomer(simulator)
    const untyped = dht as unknown as Untyped
    for (const name of NO_METHODS) expect(() => untyped.handle(name, () => undefined)).toThrow(TypeError)
    for (const name of NO_METHOD_NAMES) expect(() => untyped.handle(name, () => undefined)).toThrow(RangeError)
    for (const handler of [undefined, null, 'echo', {}]) {
      expect(() => untyped.handle('echo', handler)).toThrow(TypeError)
      expect(() => untyped.on('joined', handler)).toThrow(TypeError)
    }
    const stop = dht.handle('echo', (payload) => payload)
    expect(() => dht.handle('echo', (payload) => payload)).toThrow(RangeError)
    stop()
    dht.handle('echo', (payload) => payload)
    // The first one's end must not end the second.
    stop()
    expect(() => dht.handle('echo', (payload) => payload)).toThrow(RangeError)
  })
})

test('a bootstrap address that cannot be read ends start with a TypeError, sends nothing and closes the node', async () => {
  await simulate('junk bootstrap', async (simulator) => {
    const [peer] = (await grow(simulator, 1)) as [Member]
    for (const junk of [...NO_ADDRESSES, ...NO_HOSTS]) {
      const { dht } = newcomer(simulator, { bootstrap: [peer.host.address, junk] })
      expect(await rejection(dht.start()), junk).toBeInstanceOf(TypeError)
      await failure(dht.get(KEY), 'ERR_CLOSED')
      await simulator.delay(3000)
      expect(dht.stats().datagramsSent, junk).toBe(0)
    }
  })
})

test('what a call was given is copied: changing it afterwards changes nothing', async () => {
  await simulate('copied', async (simulator) => {
    const id = bytes(32, 99)
    const bootstrap: string[] = []
    const first = newcomer(simulator, { id, bootstrap })
    id.fill(0)
    bootstrap.push('nowhere')
    await first.dht.start()
    expect(first.dht.id).toEqual(bytes(32, 99))

    const { dht } = newcomer(simulator, { bootstrap: [first.host.address] })
    await dht.start()
    const value = bytes(100)
    const putting = dht.put(value)
    value.fill(0)
    const { key } = await putting
    expect(key).toEqual(keyOf(bytes(100)))

    const reader = newcomer(simulator, { bootstrap: [first.host.address] })
    await reader.dht.start()
    const wanted = new Uint8Array(key)
    const getting = reader.dht.get(wanted)
    wanted.fill(0)
    expect((await getting)?.value).toEqual(bytes(100))

    const target = first.dht.id
    const finding = dht.findNode(target)
    target.fill(0)
    expect((await finding).closest[0]?.id).toEqual(first.dht.id)

    const contact = { id: first.dht.id, address: first.host.address }
    const pinging = dht.ping(contact)
    contact.id.fill(0)
    expect((await pinging).id).toEqual(first.dht.id)

    first.dht.handle('echo', (payload) => payload)
    const payload = bytes(10)
    const asking = dht.request(first.host.address, 'echo', payload)
    payload.fill(0)
    expect(await asking).toEqual(bytes(10))
  })
})

test('what a call gave belongs to the application: changing it does not change the node', async () => {
  await simulate('not aliased', async (simulator) => {
    const members = await grow(simulator, 6)
    const [member, peer] = members as [Member, Member]
    const { dht } = member
    dht.on('contactAdded', (contact) => contact.id.fill(0))
    peer.dht.handle('spoil', (payload, { from }) => {
      payload.fill(0)
      from.id.fill(0)
      return bytes(3)
    })
    const late = newcomer(simulator, { bootstrap: [member.host.address] })
    await late.dht.start()
    await simulator.delay(1000)
    const ids = (): string[] =>
      dht
        .contacts()
        .map(({ id, address }) => `${address} ${id}`)
        .sort()
    const before = ids()
    expect(before).toHaveLength(6)
    expect(before).toContain(`${late.host.address} ${late.dht.id}`)
    const ownId = dht.id

    const { key, storedAt } = await dht.put(bytes(5))
    const found = await late.dht.get(key)
    const { closest } = await dht.findNode(dht.id)
    const pong = await dht.ping({ id: peer.dht.id, address: peer.host.address })
    await late.dht.request(peer.host.address, 'spoil', bytes(3))
    const contacts = [...storedAt, ...closest, ...dht.contacts()]
    expect(contacts.map((contact) => Object.keys(contact).join())).toEqual(contacts.map(() => 'id,address'))
    for (const { id } of [...contacts, pong]) id.fill(0)
    key.fill(0)
    found?.value.fill(0)
    dht.id.fill(0)
    ;(dht.stats().dropped as { malformed: number }).malformed = 1e9
    await simulator.delay(1000)

    expect(ids()).toEqual(before)
    expect(dht.id).toEqual(ownId)
    expect(dht.stats().dropped.malformed).toBe(0)
    expect((await late.dht.get(keyOf(bytes(5))))?.value).toEqual(bytes(5))
    expect((await dht.get(keyOf(bytes(5))))?.value).toEqual(bytes(5))
    const stranger = newcomer(simulator)
    await stranger.dht.start()
    await stranger.dht.request(peer.host.address, 'spoil', bytes(3))
    await simulator.delay(1000)
    expect(peer.dht.contacts()).toContainEqual(contactOf(stranger))
    expect(peer.dht.stats().dropped.wrongId).toBe(0)
    expect(peer.dht.contacts().some(({ id }) => id.every((byte) => byte === 0))).toBe(false)
  })
})
