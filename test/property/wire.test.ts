import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Contact } from '../../src/keyspace/index.js'
import { Simulator } from '../../src/testing/index.js'
import type { Message, Method } from '../../src/wire/index.js'
import {
  appMethod,
  createCodec,
  createContactPacker,
  FIND_NODE,
  FIND_VALUE,
  PING,
  responseOverheadBytes,
  STORE,
  TOKENS,
} from '../../src/wire/index.js'

const codec = createCodec('test')
const { transport } = new Simulator({ seed: 1 }).host()

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
const id = bytes(32, 32)
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const header = { tid: bytes(1, 20), flags: u32, sender: id }
const name = fc.string({ minLength: 1, maxLength: 8, unit: 'binary' })
/** Anything that msgpack carries as it is. */
const value: fc.Arbitrary<unknown> = fc.letrec((self) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
    fc.bigInt({ min: 2n ** 60n, max: 2n ** 64n - 1n }),
    fc.string({ maxLength: 20 }),
    bytes(0, 40),
    fc.array(self('any'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.nat(200), self('any')), { maxLength: 3 }).map((entries) => new Map(entries)),
  ),
})).any
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('request' as const),
    ...header,
    method: fc.oneof(fc.nat(65_535), name),
    params: fc.array(value, { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant('response' as const),
    ...header,
    observed: bytes(1, 64),
    result: fc.array(value, { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant('error' as const),
    ...header,
    observed: bytes(1, 64),
    code: fc.nat(65_535),
    text: fc.string({ maxLength: 100 }),
  }),
)

test('what was encoded is decoded to the same message', () => {
  fc.assert(
    fc.property(message, (original) => {
      // As it arrives: what the codec gives for sending is a Buffer on Node.
      const datagram = new Uint8Array(codec.encode(original))
      if (datagram.length <= 1200) expect(codec.decode(datagram)).toEqual(original)
      else expect(codec.decode(datagram)).toEqual({ type: 'unreadable', reason: 'oversize' })
    }),
    { numRuns: 1000 },
  )
})

test('padding brings a request to its length and changes nothing else', () => {
  const request = message.filter(({ type }) => type === 'request')
  fc.assert(
    fc.property(request, fc.nat(1200), (original, padToBytes) => {
      const plain = codec.encode(original)
      const padded = codec.encode(original, padToBytes)
      const missing = padToBytes - plain.length
      const surplus = missing <= 0 ? -missing : missing < 4 ? 4 - missing : missing === 260 ? 1 : 0
      expect(padded.length).toBe(padToBytes + surplus)
      if (padded.length <= 1200) {
        expect(codec.decode(new Uint8Array(padded))).toEqual(codec.decode(new Uint8Array(plain)))
      }
    }),
    { numRuns: 1000 },
  )
})

/** Writes a message with the params or the result, and reads them out of its bytes, which it destroys afterwards. */
function throughTheWire(raw: unknown[], read: (raw: readonly unknown[]) => unknown): unknown {
  const header = { tid: new Uint8Array(8), flags: 0, sender: new Uint8Array(32) }
  const datagram = codec.encode({ type: 'request', ...header, method: 0, params: raw })
  const decoded = codec.decode(datagram)
  const result = decoded.type === 'request' ? read(decoded.params) : decoded
  datagram.fill(0xc1)
  return result
}

const CASES: readonly [
  what: string,
  method: Method<never, never>,
  params: fc.Arbitrary<unknown>,
  fc.Arbitrary<unknown>,
][] = [
  ['PING', PING as unknown as Method<never, never>, fc.constant({}), fc.constant({})],
  [
    'FIND_NODE',
    FIND_NODE as Method<never, never>,
    fc.record({ target: id, skip: fc.nat(1000) }),
    fc.record({ contacts: bytes(0, 900) }),
  ],
  [
    'FIND_VALUE',
    FIND_VALUE as Method<never, never>,
    fc.record({ key: id, kind: fc.nat(255), want: fc.nat(1000), minSeq: u64, cursor: bytes(0, 64) }),
    fc.record({
      token: bytes(1, 32),
      heldSeq: fc.option(u64, { nil: undefined }),
      records: fc.array(bytes(1, 100), { maxLength: 5 }),
      contacts: bytes(0, 200),
      leftOut: fc.nat(1000),
      recordsLeft: fc.nat(65_535),
      ttlsSeconds: fc.array(u32, { maxLength: 40 }),
    }),
  ],
  [
    'STORE',
    STORE as Method<never, never>,
    fc.record({
      key: id,
      kind: fc.nat(255),
      token: bytes(0, 32),
      record: bytes(1, 900),
      ttlSeconds: u32,
      cas: fc.option(u64, { nil: undefined }),
      isCached: fc.boolean(),
    }),
    fc.record({ ttlSeconds: u32 }),
  ],
  [
    'TOKENS',
    TOKENS as Method<never, never>,
    fc.record({ kind: fc.nat(255), keys: fc.array(id, { minLength: 1, maxLength: 32 }) }),
    fc.record({
      tokens: fc.array(fc.record({ token: bytes(1, 20), heldSeq: fc.option(u64, { nil: undefined }) }), {
        maxLength: 32,
      }),
    }),
  ],
  [
    "an app's method",
    appMethod('app') as Method<never, never>,
    fc.record({ payload: bytes(0, 1000) }),
    fc.record({ payload: bytes(0, 1000) }),
  ],
]

test.each(CASES)('params and results of %s come back as they were, as copies', (_what, method, params, result) => {
  fc.assert(
    fc.property(params, result, (asked, answered) => {
      expect(throughTheWire(method.writeParams(asked as never), method.readParams)).toEqual(asked)
      expect(throughTheWire(method.writeResult(answered as never), method.readResult)).toEqual(answered)
    }),
    { numRuns: 300 },
  )
})

test('the room of a response is never overestimated, and never underestimated by more than 4 bytes', () => {
  const element = fc.oneof(bytes(0, 255), fc.nat(255), fc.string({ maxLength: 20 }))
  const packedBytes = (result: unknown[]) => codec.encode({ ...empty, result }).length - codec.encode(empty).length
  const empty = {
    type: 'response' as const,
    tid: new Uint8Array(1),
    flags: 0,
    sender: new Uint8Array(32),
    observed: new Uint8Array(1),
    result: [],
  }
  fc.assert(
    fc.property(
      fc.record({ ...header, observed: bytes(1, 64) }),
      fc.array(element, { maxLength: 15 }),
      (fields, result) => {
        const datagram = codec.encode({ type: 'response', ...fields, result })
        const overheadBytes = datagram.length - packedBytes(result)
        const estimate = responseOverheadBytes(fields.tid.length, fields.observed.length)
        expect(estimate).toBeGreaterThanOrEqual(overheadBytes)
        expect(estimate - overheadBytes).toBeLessThanOrEqual(4)
      },
    ),
    { numRuns: 500 },
  )
})

const ipv4 = fc
  .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((ip) => Uint8Array.of(4, ...ip, 0, 7))
const ipv6 = bytes(13, 13).map((low) => Uint8Array.of(6, 0x20, 1, 0xd, ...low, 0, 7))
const address = fc.oneof(ipv4, ipv6).map((encoded) => transport.decodeAddress(encoded))
const contacts: fc.Arbitrary<Contact[]> = fc.array(fc.record({ id, address }), { maxLength: 30 })

test('packed contacts are the longest beginning of the list that fits, and come back as they were', () => {
  const packer = createContactPacker(transport)
  fc.assert(
    fc.property(contacts, fc.nat(1200), (all, roomBytes) => {
      const sizes = all.map((contact) => 32 + transport.encodeAddress(contact.address).length)
      let [fitting, length] = [0, 0]
      for (; fitting < all.length && length + sizes[fitting]! <= roomBytes; fitting++) length += sizes[fitting]!
      const { bytes, count } = packer.pack(all, roomBytes)
      expect({ count, length: bytes.length }).toEqual({ count: fitting, length })
      expect(packer.unpack(bytes, 100)).toEqual({ contacts: all.slice(0, fitting), count: fitting })
    }),
    { numRuns: 500 },
  )
})

test('any bytes unpack to contacts that can be packed again', () => {
  const packer = createContactPacker(transport)
  // Bytes that look like contacts more often than random ones do.
  const chunk = fc.oneof(
    bytes(0, 80),
    fc.tuple(id, ipv4).map(([a, b]) => Uint8Array.of(...a, ...b)),
  )
  const noise = fc.array(chunk, { maxLength: 12 }).map((chunks) => Uint8Array.from(chunks.flatMap((part) => [...part])))
  fc.assert(
    fc.property(noise, fc.nat(40), (hostile, countMax) => {
      const { contacts, count } = packer.unpack(hostile, countMax)
      expect(count).toBeLessThanOrEqual(countMax)
      expect(contacts.length).toBeLessThanOrEqual(count)
      expect(packer.unpack(packer.pack(contacts, 10_000).bytes, 100).contacts).toEqual(contacts)
    }),
    { numRuns: 1000 },
  )
})

test('any bytes are a message or are not, and never an exception', () => {
  const noise = fc.oneof(
    bytes(0, 1300),
    fc.tuple(message, fc.nat(1200), fc.nat(255)).map(([original, at, byte]) => {
      const datagram = new Uint8Array(codec.encode(original))
      datagram[at % datagram.length] = byte
      return datagram
    }),
  )
  fc.assert(
    fc.property(noise, (hostile) => {
      expect(['request', 'response', 'error', 'unreadable', 'unknownVersion']).toContain(codec.decode(hostile).type)
    }),
    { numRuns: 3000 },
  )
})
