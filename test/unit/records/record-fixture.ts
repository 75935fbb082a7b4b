// Records put together by hand from the layouts of docs/protocol.md, so that nothing is compared with itself: also
// ones that no encoder here makes, signed all the same.

import * as nodeCrypto from 'node:crypto'
import { hash } from '../../../src/keyspace/index.js'
import type { NodeCrypto } from '../../../src/platform/ed25519.js'
import { nobleSignatures, nodeSignatures } from '../../../src/platform/ed25519.js'
import type { KeyPair, Signatures } from '../../../src/platform/signatures.js'

const randomBytes = (length: number) => new Uint8Array(nodeCrypto.randomBytes(length))

export const node: Signatures = nodeSignatures(nodeCrypto as unknown as NodeCrypto, randomBytes)
export const noble: Signatures = nobleSignatures(randomBytes)

export const NETWORK: Uint8Array = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd)
export const KEYS: KeyPair = node.generate(new Uint8Array(32).fill(1))
export const OTHER_KEYS: KeyPair = node.generate(new Uint8Array(32).fill(2))
export const NONE: Uint8Array = new Uint8Array(0)

export function text(characters: string): Uint8Array {
  return new TextEncoder().encode(characters)
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

/** A big-endian number of so many bytes. */
function bigEndian(value: bigint | number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * (bytes - 1 - i))) & 0xffn))
}

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}

/** The same bytes in the midst of others, as a Buffer, whose slice() makes no copy. */
export function asView(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.alloc(5, 0xa5), bytes, Buffer.alloc(3, 0xa5)]).subarray(5, 5 + bytes.length)
}

/** Some of the parts, from arrays over any buffer. */
export type Some<T> = { readonly [Name in keyof T]?: T[Name] extends Uint8Array ? Uint8Array : T[Name] }

export const MUTABLE = {
  label: 'xorbit/mutable/1\0',
  network: NETWORK,
  keys: KEYS,
  salt: text('salt'),
  saltLength: undefined as number | undefined,
  seq: 7n,
  value: text('value'),
  valueLength: undefined as number | undefined,
  /** Behind the value, and signed. */
  trailing: NONE,
}

/** A mutable record with these parts, the key it would belong to, and what is signed. */
export function forgeMutable(parts: Some<typeof MUTABLE> = {}, signatures: Pick<Signatures, 'sign'> = node) {
  const { label, network, keys, salt, saltLength, seq, value, valueLength, trailing } = { ...MUTABLE, ...parts }
  const body = joined(
    bigEndian(saltLength ?? salt.length, 1),
    salt,
    bigEndian(seq, 8),
    bigEndian(valueLength ?? value.length, 2),
    value,
    trailing,
  )
  const signed = joined(text(label), network, body)
  const record = joined(keys.publicKey, signatures.sign(signed, keys.secretKey), body)
  return { key: hash(joined(keys.publicKey, salt)), signed, record }
}

export const PEER = {
  label: 'xorbit/peer/1',
  network: NETWORK,
  topic: hash(text('topic')),
  keys: KEYS,
  seq: 7n,
  lifetimeSeconds: 3600,
  port: 4000,
  data: text('data'),
  dataLength: undefined as number | undefined,
  /** Behind the data, and signed. */
  trailing: NONE,
  holder: hash(text('holder')),
  token: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  tokenLength: undefined as number | undefined,
  observed: Uint8Array.of(4, 192, 0, 2, 1, 0x1f, 0x90),
}

/** A peer record with these parts: what is signed, sent and kept. */
export function forgePeer(parts: Some<typeof PEER> = {}, signatures: Pick<Signatures, 'sign'> = node) {
  const all = { ...PEER, ...parts }
  const { label, network, topic, keys, data, dataLength, trailing, holder, token, tokenLength, observed } = all
  const fields = joined(
    bigEndian(all.seq, 8),
    bigEndian(all.lifetimeSeconds, 4),
    bigEndian(all.port, 2),
    bigEndian(dataLength ?? data.length, 1),
    data,
    trailing,
  )
  const signed = joined(text(label), network, topic, keys.publicKey, fields, holder, token)
  const sent = joined(keys.publicKey, signatures.sign(signed, keys.secretKey), fields)
  const kept = joined(sent, bigEndian(tokenLength ?? token.length, 1), token, observed)
  return { signed, sent, kept, context: { holder, token, observed } }
}
