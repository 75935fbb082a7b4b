import { describe, expect, test } from 'vitest'
import type { Contact, Dht } from '../../../src/index.js'
import { DhtError, keyOf, VALUE_BYTES_MAX } from '../../../src/index.js'
import { PAYLOAD_BYTES_MAX } from '../../../src/wire/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, newcomer, simulate } from './network.js'

const KEY = keyOf('some key')
const NO_BYTES = [undefined, null, 'text', 7, {}, [1, 2, 3], new ArrayBuffer(32), new DataView(new ArrayBuffer(32))]
const NO_KEYS = [bytes(0), bytes(31), bytes(33), bytes(64)]
const NO_OPTIONS = [null, 7, 'text', true, new AbortController().signal, { signal: undefined, retries: 3 }]
const NO_SIGNALS = [null, 7, {}, new AbortController(), new EventTarget()]
const NO_ADDRESSES = ['', 'nowhere', '203.0.113.7', '203.0.113.7:0', '203.0.113.7:65536', '[::1:7400', '::1:7400']
const NO_HOSTS = ['0.0.0.0:7400', '255.255.255.255:7400', '224.0.0.1:7400', '[ff02::1]:7400']
const NO_CALLEES = [undefined, null, 7, {}, { id: KEY }, { id: KEY, address: 7 }, { id: 'id', address: '9.9.9.9:9' }]
const NO_METHODS = [undefined, null, 7, {}, Symbol('method')]
const NO_METHOD_NAMES = ['', 'm'.repeat(33), 'ü'.repeat(17)]

type Untyped = { [K in keyof Dht]: (...values: unknown[]) => unknown }
type Call = readonly [name: string, call: (dht: Untyped, peer: Contact) => unknown, error: unknown]

const waiting: Record<string, (dht: Untyped, peer: Contact, options: unknown) => unknown> = {
  start: (dht, _peer, options) => dht.start(options),
  put: (dht, _peer, options) => dht.put(bytes(3), options),
  get: (dht, _peer, options) => dht.get(KEY, options),
  findNode: (dht, _peer, options) => dht.findNode(KEY, options),
  ping: (dht, peer, options) => dht.ping(peer, options),
  request: (dht, peer, options) => dht.request(peer, 'echo', bytes(3), options),
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'object' && value !== null) return `${value.constructor.name} ${JSON.stringify(value)}`
  return String(value)
}

const calls: Call[] = [
  ...NO_BYTES.map((value): Call => [`put ${shown(value)}`, (dht) => dht.put(value), TypeError]),
  ...NO_BYTES.map((value): Call => [`get ${shown(value)}`, (dht) => dht.get(value), TypeError]),
  ...NO_BYTES.map((value): Call => [`findNode ${shown(value)}`, (dht) => dht.findNode(value), TypeError]),
  ...NO_KEYS.map((key): Call => [`get ${shown(key)}`, (dht) => dht.get(key), RangeError]),
  ...NO_KEYS.map((key): Call => [`findNode ${shown(key)}`, (dht) => dht.findNode(key), RangeError]),
  ...NO_KEYS.map((id): Call => [`ping id ${shown(id)}`, (dht, { address }) => dht.ping({ id, address }), RangeError]),
  [
    'put one byte too many',
    (dht) => dht.put(bytes(VALUE_BYTES_MAX + 1)),
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

function contactOf({ dht, host }: Member): Contact {
  return { id: dht.id, address: host.address }
}

test('a wrong argument rejects with its documented error, and no datagram leaves for it', async () => {
  await simulate('wrong arguments', async (simulator) => {
    const [member, peer] = (await grow(simulator, 4)) as [Member, Member]
    const sentBefore = simulator.stats.sent
    for (const [name, call, expected] of calls) {
      if (name.startsWith('start ')) continue
      const error = await rejection(call(member.dht as unknown as Untyped, contactOf(peer)))
      if (typeof expected === 'function') expect(error, name).toBeInstanceOf(expected)
      else expect(error, name).toEqual(expected)
      if (!(error instanceof DhtError))
        expect((error as Error).message, name).not.toMatch(/undefined|is not a function/)
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
    const [member, peer] = (await grow(simulator, 4)) as [Member, Member]
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
      const { dht } = newcomer(simulator, { bootstrap: [peer.host.address] })
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
