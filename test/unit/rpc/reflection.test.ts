import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDht } from '../../../src/dht.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { appMethod, createCodec, FIND_NODE, FIND_VALUE, PING, STORE } from '../../../src/wire/index.js'
import { RawPeer } from './raw-peer.js'

const BYTES_MAX = 1_200

/** A node whose answers are as long as can be: it knows 24 contacts at IPv6 addresses. */
async function talkativeNode() {
  const simulator = new Simulator({ seed: 3, latency: fixedLatency(10) })
  const { transport, clock, randomBytes } = simulator.host()
  const dht = createDht({ transport, clock, randomBytes })
  await simulator.run(() => dht.start())
  const address = dht.address as string
  dht.handle('long', () => new Uint8Array(1_000))
  for (let i = 0; i < 24; i++) {
    const peer = await RawPeer.on(simulator.host({ address: `[2001:db8:0:${i}::7]:7400` }))
    peer.onRequest = (request, from) => peer.answer(from, request, PING, {})
    peer.ask(address, PING, {})
  }
  await simulator.advance(1_000)
  expect(dht.contacts().length).toBeGreaterThan(20)
  return { simulator, dht, address }
}

const id = fc.uint8Array({ minLength: 32, maxLength: 32 })
const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 })
const padding = fc.oneof(fc.constant(0), fc.constant(400), fc.integer({ min: 0, max: BYTES_MAX }))
const tid = fc.uint8Array({ minLength: 1, maxLength: 20 })
const flags = fc.constantFrom(0, 1, 2, 4, 6, 7, 0xffff_ffff)

const target = fc.record({ target: id, skip: fc.nat(10) })
const wanted = fc.record({
  key: id,
  kind: fc.nat(3),
  want: fc.nat(10),
  minSeq: fc.constant(0n),
  cursor: fc.constant(new Uint8Array(0)),
})
const stored = fc.record({
  key: id,
  kind: fc.nat(1),
  token: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  record: bytes,
  ttlSeconds: fc.nat(),
  cas: fc.constant(undefined),
  isCached: fc.boolean(),
})
const question = fc.oneof(
  fc.constant({ method: PING.code, params: [] as unknown[] }),
  target.map((params) => ({ method: FIND_NODE.code, params: FIND_NODE.writeParams(params) })),
  wanted.map((params) => ({ method: FIND_VALUE.code, params: FIND_VALUE.writeParams(params) })),
  stored.map((params) => ({ method: STORE.code, params: STORE.writeParams(params) })),
  bytes.map((payload) => ({ method: 'long', params: appMethod('long').writeParams({ payload }) })),
  fc.constantFrom(1, 2, 3, 'long').map((method) => ({ method, params: ['malformed'] as unknown[] })),
  fc
    .constantFrom(9, 60_000, 'x', 'a method of 32 bytes that is not')
    .map((method) => ({ method, params: [] as unknown[] })),
)
const request = fc.record({
  question,
  id,
  tid,
  flags,
  padding,
  again: fc.boolean(),
  version: fc.constantFrom(1, 1, 1, 2),
})

test('an address that proved nothing gets at most three times the bytes it sent, whatever it asks', async () => {
  const { simulator, address } = await talkativeNode()
  const codec = createCodec('xorbit')
  const seen = { responses: 0, errors: 0, pings: 0, fullest: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async (requests) => {
      // A victim whose address is forged: it never answers.
      const victim = simulator.host()
      await victim.transport.start((_from, datagram) => {
        const { type } = codec.decode(datagram)
        if (type === 'response') seen.responses++
        if (type === 'error') seen.errors++
        if (type === 'request') seen.pings++
      })
      let sentBytes = 0
      let reflectedBytes = 0
      simulator.setFilter(({ from, to, bytes: datagram }) => {
        if (to === victim.address) reflectedBytes += datagram.length
        if (from === victim.address) sentBytes += datagram.length
        return true
      })
      for (const { question, id, tid, flags, padding, again, version } of requests) {
        const datagram = codec.encode({ type: 'request', tid, flags, sender: id, ...question }, padding)
        datagram[1] = version
        if (datagram.length > BYTES_MAX) continue
        for (let i = 0; i < (again ? 2 : 1); i++) victim.transport.send(address, new Uint8Array(datagram))
        await simulator.advance(700)
        expect(reflectedBytes).toBeLessThanOrEqual(3 * sentBytes)
      }
      await simulator.advance(10_000)
      expect(reflectedBytes).toBeLessThanOrEqual(3 * sentBytes)
      if (sentBytes > 0) seen.fullest = Math.max(seen.fullest, reflectedBytes / sentBytes)
    }),
    { numRuns: 300 },
  )
  // All of it happened, and the limit was what cut it.
  expect(seen.responses).toBeGreaterThan(100)
  expect(seen.errors).toBeGreaterThan(100)
  expect(seen.pings).toBeGreaterThan(20)
  expect(seen.fullest).toBeGreaterThan(2.5)
})

test('an honest stranger with a padded request gets all contacts that a datagram holds', async () => {
  const { simulator, address } = await talkativeNode()
  const stranger = await RawPeer.on(simulator.host())
  const tid = stranger.ask(address, FIND_NODE, { target: stranger.id, skip: 0 })
  await simulator.advance(100)
  const [reply] = stranger.repliesTo(tid)
  const contacts = reply?.type === 'response' ? (reply.result[0] as Uint8Array) : new Uint8Array(0)
  expect(contacts.length / (32 + 19)).toBe(20)
})
