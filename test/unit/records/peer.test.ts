import { describe, expect, test } from 'vitest'
import { hash, toHex } from '../../../src/keyspace/index.js'
import {
  createPeerKind,
  encodePeer,
  PEER_DATA_BYTES_MAX,
  PEER_LIFETIME_MAX_MS,
  readPeer,
} from '../../../src/records/index.js'
import type { Some } from './record-fixture.js'
import {
  asView,
  flipped,
  forgePeer,
  joined,
  KEYS,
  NETWORK,
  NONE,
  node,
  OTHER_KEYS,
  PEER,
  text,
} from './record-fixture.js'

const kind = createPeerKind({ network: NETWORK, signatures: node })
const { topic, holder, token, observed } = PEER
const isValid = (record: Uint8Array, parts: { key?: Uint8Array; of?: Uint8Array } = {}) =>
  kind.isValid(parts.key ?? topic, record, parts.of ?? holder)
const accept = (sent: Uint8Array, parts: Some<typeof PEER> = {}) =>
  kind.accept?.(parts.topic ?? topic, sent, { holder, token, observed, ...parts })
const content = {
  network: NETWORK,
  topic,
  keys: KEYS,
  seq: 7n,
  lifetimeSeconds: 3600,
  port: 4000,
  data: PEER.data,
  holder,
  token,
}

test.each([
  ['short', {}],
  ['empty', { seq: 0n, lifetimeSeconds: 0, port: 0, data: NONE, token: Uint8Array.of(0), observed: Uint8Array.of(9) }],
  [
    'longest',
    {
      seq: 2n ** 64n - 1n,
      lifetimeSeconds: 0xffff_ffff,
      port: 0xffff,
      data: new Uint8Array(200).fill(255),
      token: new Uint8Array(32).fill(255),
      observed: new Uint8Array(64).fill(255),
    },
  ],
])('a peer record comes back as it was made: %s', (_, part) => {
  const made = { ...content, ...part }
  const seen = { observed, ...part }.observed
  const sent = encodePeer(made, node)
  const forged = forgePeer({ ...part, observed: seen })
  expect(toHex(sent)).toBe(toHex(forged.sent))
  const kept = accept(sent, { token: made.token, observed: seen }) as Uint8Array
  expect(toHex(kept)).toBe(toHex(forged.kept))
  expect(isValid(kept)).toBe(true)
  expect(kind.seq?.(kept)).toBe(made.seq)
  expect(kind.slot?.(kept)).toEqual(KEYS.publicKey)
  const { seq, lifetimeSeconds, port, data } = made
  expect(readPeer(kept)).toEqual({ publicKey: KEYS.publicKey, seq, lifetimeSeconds, port, data, observed: seen })
})

test('the limits are those of the protocol: the longest record fills one', () => {
  const longest = { data: new Uint8Array(200), token: new Uint8Array(32), observed: new Uint8Array(64) }
  expect(forgePeer(longest).kept.length).toBe(kind.recordBytesMax)
  const { code, name, recordBytesMax, slotsPerKeyMax, lifetimeMaxMs, isRelayed, isFirstEnough } = kind
  expect({ code, name, recordBytesMax, slotsPerKeyMax, lifetimeMaxMs, isRelayed, isFirstEnough }).toEqual({
    code: 2,
    name: 'peer',
    recordBytesMax: 408,
    slotsPerKeyMax: 1024,
    lifetimeMaxMs: 7_200_000,
    isRelayed: false,
    isFirstEnough: false,
  })
  expect([PEER_DATA_BYTES_MAX, PEER_LIFETIME_MAX_MS]).toEqual([200, 7_200_000])
})

test('what is read and kept are copies, also of a Buffer', () => {
  const kept = asView(forgePeer().kept)
  const [fields, slot] = [readPeer(kept), kind.slot?.(kept)]
  kept.fill(0)
  const { seq, lifetimeSeconds, port, data } = content
  expect(fields).toEqual({ publicKey: KEYS.publicKey, seq, lifetimeSeconds, port, data, observed })
  expect(slot).toEqual(KEYS.publicKey)
  const { sent } = forgePeer()
  const [view, given] = [asView(sent), { token: asView(token), observed: asView(observed) }]
  const accepted = accept(view, given)
  for (const bytes of [view, given.token, given.observed]) bytes.fill(0)
  expect(toHex(accepted as Uint8Array)).toBe(toHex(forgePeer().kept))
})

test.each([
  ['data of 201 bytes', { data: new Uint8Array(201) }],
  ['a sequence number below 0', { seq: -1n }],
  ['a sequence number of 65 bits', { seq: 2n ** 64n }],
  ['a lifetime of 33 bits', { lifetimeSeconds: 2 ** 32 }],
  ['a lifetime below 0', { lifetimeSeconds: -1 }],
  ['a lifetime with a fraction', { lifetimeSeconds: 0.5 }],
  ['port 65536', { port: 65_536 }],
  ['a network of 3 bytes', { network: new Uint8Array(3) }],
])('%s is not encoded', (_, part) => {
  expect(() => encodePeer({ ...content, ...part }, node)).toThrow(RangeError)
})

test('a kind is made for a network of 4 bytes', () => {
  expect(() => createPeerKind({ network: new Uint8Array(5), signatures: node })).toThrow(RangeError)
})

describe('a kept peer record is invalid', () => {
  test('under another topic, so that nobody moves it to one', () => {
    const { kept } = forgePeer()
    for (let i = 0; i < 32; i++) expect(isValid(kept, { key: flipped(topic, 8 * i) })).toBe(false)
    expect(isValid(kept, { key: topic.subarray(1) })).toBe(false)
  })

  test('at another holder, so that nobody passes it on to one', () => {
    const { kept } = forgePeer()
    for (let i = 0; i < 32; i++) expect(isValid(kept, { of: flipped(holder, 8 * i) })).toBe(false)
    expect(isValid(kept, { of: topic })).toBe(false)
  })

  test('under another token, so that nobody stores it again later', () => {
    const { sent } = forgePeer()
    for (const other of [flipped(token, 0), token.subarray(1), joined(token, Uint8Array.of(0)), NONE]) {
      expect(isValid(joined(sent, Uint8Array.of(other.length), other, observed))).toBe(false)
    }
  })

  test('with any bit changed but those of the observed address', () => {
    const { kept } = forgePeer()
    const signedBits = 8 * (kept.length - observed.length)
    for (let bit = 0; bit < signedBits; bit++) expect(isValid(flipped(kept, bit)), `bit ${bit}`).toBe(false)
    expect(isValid(flipped(kept, signedBits))).toBe(true)
  })

  test('when it is cut before the end of the observed address', () => {
    const { kept } = forgePeer()
    const end = kept.length - observed.length
    for (let at = 0; at <= end; at++) expect(isValid(kept.subarray(0, at)), `cut to ${at}`).toBe(false)
    expect(isValid(kept.subarray(0, end + 1))).toBe(true)
  })

  test('with a public key that did not sign it', () => {
    expect(isValid(joined(OTHER_KEYS.publicKey, forgePeer().kept.subarray(32)))).toBe(false)
  })

  // All of these are signed as they are: only the form or the network is wrong.
  test.each([
    ['in another network', { network: Uint8Array.of(0xaa, 0xbb, 0xcc, 0xde) }],
    ['signed as another kind', { label: 'xorbit/mutable/1\0' }],
    ['signed for another version', { label: 'xorbit/peer/2' }],
    ['with data of 201 bytes', { data: new Uint8Array(201) }],
    ['with data longer than it says', { dataLength: 3 }],
    ['with data shorter than it says', { dataLength: 5 }],
    ['with a byte behind the data', { trailing: Uint8Array.of(0) }],
    ['without a token', { token: NONE }],
    ['with a token of 33 bytes', { token: new Uint8Array(33) }],
    ['without an observed address', { observed: NONE }],
    ['with an observed address of 65 bytes', { observed: new Uint8Array(65) }],
  ])('%s', (_, parts) => {
    const { kept } = forgePeer(parts)
    expect(isValid(kept)).toBe(false)
  })

  test('when the end of one signed field is taken for the beginning of the next', () => {
    // Signed for `topic` and a holder; the same signed bytes, cut elsewhere.
    const { kept, sent } = forgePeer()
    expect(isValid(kept, { key: topic.subarray(0, 31) })).toBe(false)
    const longHolder = joined(holder, token.subarray(0, 1))
    expect(isValid(joined(sent, Uint8Array.of(7), token.subarray(1), observed), { of: longHolder })).toBe(false)
    const shortHolder = holder.subarray(0, 31)
    const longToken = joined(holder.subarray(31), token)
    expect(isValid(joined(sent, Uint8Array.of(9), longToken, observed), { of: shortHolder })).toBe(false)
  })

  test('under a topic that is no key, even when it is signed for it', () => {
    const long = joined(topic, Uint8Array.of(1))
    expect(isValid(forgePeer({ topic: long }).kept, { key: long })).toBe(false)
  })
})

describe('a holder accepts', () => {
  test('a record that is signed for it, the topic and the token', () => {
    expect(accept(forgePeer().sent)).toEqual(forgePeer().kept)
  })

  test('no record that is signed for another holder, topic, token or network', () => {
    const { sent } = forgePeer()
    const other = hash(text('other'))
    expect(accept(sent, { holder: other })).toBeUndefined()
    expect(accept(sent, { topic: other })).toBeUndefined()
    expect(accept(sent, { token: flipped(token, 0) })).toBeUndefined()
    expect(accept(sent, { token: token.subarray(1) })).toBeUndefined()
    expect(accept(forgePeer({ network: new Uint8Array(4) }).sent)).toBeUndefined()
  })

  test('no record with any bit changed, cut or longer', () => {
    const { sent } = forgePeer()
    for (let bit = 0; bit < 8 * sent.length; bit++) expect(accept(flipped(sent, bit)), `bit ${bit}`).toBeUndefined()
    for (let end = 0; end < sent.length; end++) expect(accept(sent.subarray(0, end))).toBeUndefined()
    expect(accept(joined(sent, Uint8Array.of(0)))).toBeUndefined()
    expect(accept(forgePeer({ trailing: Uint8Array.of(0) }).sent)).toBeUndefined()
    expect(accept(forgePeer({ data: new Uint8Array(201) }).sent)).toBeUndefined()
  })

  test('no record that takes the token for its data', () => {
    // The length of the token is the last byte of the data, and of the token remains what its first byte says.
    const { sent } = forgePeer({ dataLength: 5, trailing: Uint8Array.of(8), token: Uint8Array.of(2) })
    const cut = sent.subarray(0, sent.length - 1)
    expect(isValid(joined(cut, Uint8Array.of(8), token, observed))).toBe(true)
    expect(accept(cut)).toBeUndefined()
  })

  test('no record in the form that is kept, nor one that brings its own token', () => {
    const { kept, sent } = forgePeer()
    expect(accept(kept)).toBeUndefined()
    expect(accept(joined(sent, Uint8Array.of(8), token))).toBeUndefined()
    // The token that it brings would be read in place of the holder's.
    const stale = forgePeer({ token: Uint8Array.of(9) })
    expect(accept(joined(stale.sent, Uint8Array.of(1, 9)))).toBeUndefined()
  })

  test.each([
    ['no token', { token: NONE }],
    ['a token of 33 bytes', { token: new Uint8Array(33) }],
    // Its length modulo 256 is 1, and what follows would pass for the observed address.
    ['a token of 257 bytes', { token: new Uint8Array(257) }],
    ['no observed address', { observed: NONE }],
    ['an observed address of 65 bytes', { observed: new Uint8Array(65) }],
  ])('nothing with %s', (_, parts) => {
    expect(accept(forgePeer(parts).sent, parts)).toBeUndefined()
  })
})

describe('lifetimes', () => {
  const lifetimeMs = (lifetimeSeconds: number) => kind.lifetimeMs?.(forgePeer({ lifetimeSeconds }).kept)

  test('are signed; those above the cap are valid, and the holder caps them', () => {
    expect(lifetimeMs(1)).toBe(1000)
    expect(lifetimeMs(7201)).toBe(7_201_000)
    expect(lifetimeMs(0xffff_ffff)).toBe(0xffff_ffff * 1000)
    expect(isValid(forgePeer({ lifetimeSeconds: 0xffff_ffff }).kept)).toBe(true)
  })

  test('of 0 make a tombstone, which outlives any record that it ends', () => {
    expect(lifetimeMs(0)).toBe(PEER_LIFETIME_MAX_MS)
    const isTombstone = (lifetimeSeconds: number) => kind.isTombstone?.(forgePeer({ lifetimeSeconds }).kept)
    expect([0, 1, 256, 65_536, 2 ** 24].map(isTombstone)).toEqual([true, false, false, false, false])
    expect(isValid(forgePeer({ lifetimeSeconds: 0 }).kept)).toBe(true)
  })

  test('a tombstone of a higher sequence number ends a record, and one of a lower does not', () => {
    const [before, tombstone, after] = [forgePeer(), forgePeer({ seq: 8n, lifetimeSeconds: 0 }), forgePeer({ seq: 9n })]
    expect(kind.merge(before.kept, tombstone.kept)).toBe(tombstone.kept)
    expect(kind.merge(after.kept, tombstone.kept)).toBe(after.kept)
  })
})

test('each public key has its own slot', () => {
  expect(kind.slot?.(forgePeer({ keys: OTHER_KEYS, seq: 1n }).kept)).toEqual(OTHER_KEYS.publicKey)
})

test.each([
  ['the higher sequence number', { seq: 8n, port: 1 }, { seq: 7n, port: 2 }],
  ['the higher sequence number of 64 bits', { seq: 2n ** 63n }, { seq: 2n ** 63n - 1n }],
  ['at one sequence number, the longer lifetime', { lifetimeSeconds: 256 }, { lifetimeSeconds: 255, port: 65_535 }],
  ['at one lifetime, the higher port', { port: 256 }, { port: 255, data: text('zzzz') }],
  ['at one port, the greater data', { data: text('b') }, { data: text('a'), token: new Uint8Array(8).fill(255) }],
  ['the greater token', { token: Uint8Array.of(2), observed: Uint8Array.of(0) }, { token: Uint8Array.of(1) }],
  ['the greater observed address', { observed: Uint8Array.of(6) }, { observed: Uint8Array.of(4, 255) }],
])('merge takes %s', (_, winning, losing) => {
  const [winner, loser] = [forgePeer(winning).kept, forgePeer(losing).kept]
  expect(kind.merge(winner, loser)).toBe(winner)
  expect(kind.merge(loser, winner)).toBe(winner)
})

test('what is signed decides before the signature does, and that before the observed address', () => {
  const { kept } = forgePeer()
  const otherSignature = new Uint8Array(kept)
  otherSignature.fill(255, 32, 96)
  const higherPort = forgePeer({ port: 4001 }).kept
  expect(kind.merge(otherSignature, higherPort)).toBe(higherPort)
  const otherObserved = forgePeer({ observed: new Uint8Array(7).fill(255) }).kept
  expect(kind.merge(otherSignature, otherObserved)).toBe(otherSignature)
  expect(kind.merge(otherObserved, otherSignature)).toBe(otherSignature)
  const higherToken = forgePeer({ token: new Uint8Array(8).fill(255) }).kept
  expect(kind.merge(otherSignature, higherToken)).toBe(higherToken)
})
