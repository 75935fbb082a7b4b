// Checks of single decoded values. Everything from the network is `unknown` until one of these has seen it;
// byte arrays are copied here, because the decoder hands out views into the datagram.

import type { NodeId } from '../keyspace/index.js'
import { ID_BYTES } from '../keyspace/index.js'
import { takeBytes } from './slab.js'

/** A copy of a byte array whose length is in the range, or undefined. */
export function readBytes(value: unknown, lengthMin: number, lengthMax: number): Uint8Array | undefined {
  if (!(value instanceof Uint8Array) || value.length < lengthMin || value.length > lengthMax) return undefined
  return new Uint8Array(value)
}

/**
 * As {@link readBytes}, for what is read at once and not kept: the copy is a part of a block that many share, which
 * spares the allocator a block for each.
 */
export function readBriefly(value: unknown, lengthMin: number, lengthMax: number): Uint8Array | undefined {
  if (!(value instanceof Uint8Array) || value.length < lengthMin || value.length > lengthMax) return undefined
  const copy = takeBytes(value.length)
  copy.set(value)
  return copy
}

/** A copy of an id or key, or undefined. */
export function readId(value: unknown): NodeId | undefined {
  return readBytes(value, ID_BYTES, ID_BYTES)
}

/** An integer in 0 .. max, or undefined. */
export function readInteger(value: unknown, max: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max ? value : undefined
}

const U64_MAX = 0xffff_ffff_ffff_ffffn

/** An integer in 0 .. 2^64-1, or undefined. */
export function readU64(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined
  return typeof value === 'bigint' && value >= 0n && value <= U64_MAX ? value : undefined
}

/** An array of at least so many elements, or undefined. More are allowed: later versions append. */
export function readArray(value: unknown, lengthMin: number): readonly unknown[] | undefined {
  return Array.isArray(value) && value.length >= lengthMin ? value : undefined
}

/** A 64-bit number in the form that takes the fewest bytes on the wire. */
export function writeU64(value: bigint): number | bigint {
  return value <= 0xffff_ffffn ? Number(value) : value
}
