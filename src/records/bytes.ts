// Numbers in fixed byte layouts, and the order of records. Nothing here throws when it reads: a byte behind the end
// counts as 0, so the members of a kind may be asked about any bytes.

/** The highest sequence number: what eight bytes hold. */
export const SEQ_MAX = 0xffff_ffff_ffff_ffffn

const NETWORK_BYTES = 4

/** The parts one after the other, as a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** A copy of the bytes from `start` up to, not including, `end`. */
export function copy(bytes: Uint8Array, start: number, end?: number): Uint8Array {
  // Not slice(): a store may return Buffers, whose slices are views.
  return new Uint8Array(bytes.subarray(start, end))
}

/**
 * Lexicographic order: below 0 when `a` comes first, above 0 when `b` does, 0 when they are equal. A prefix comes
 * before what it begins.
 */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** The big-endian number of 16 bits at `at`. */
export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

/** The big-endian number of 32 bits at `at`. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x1_0000 + readU16(bytes, at + 2)
}

/** The big-endian number of 64 bits at `at`. */
export function readU64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readU32(bytes, at)) << 32n) | BigInt(readU32(bytes, at + 4))
}

/** What every signature of a kind begins with: the kind's name and version, then the network. */
export function signedPrefix(label: string, network: Uint8Array): Uint8Array {
  // Of one length, so that no two networks make the same signed bytes of different records.
  if (network.length !== NETWORK_BYTES) throw new RangeError(`network must have ${NETWORK_BYTES} bytes`)
  return concat(
    Uint8Array.from(label, (character) => character.charCodeAt(0)),
    network,
  )
}

/** Throws a RangeError unless the sequence number fits eight bytes. */
export function mustBeSeq(seq: bigint): void {
  if (typeof seq !== 'bigint' || seq < 0n || seq > SEQ_MAX)
    throw new RangeError('seq must be a bigint from 0 to 2^64 - 1')
}

/** Throws a RangeError unless the number is an integer from 0 to `max`. */
export function mustBeInteger(value: number, max: number, name: string): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} must be an integer from 0 to ${max}`)
  }
}

/** Throws a RangeError when there are more bytes than `bytesMax`. */
export function mustBeShort(bytes: Uint8Array, bytesMax: number, name: string): void {
  if (bytes.length > bytesMax) throw new RangeError(`${name} must have at most ${bytesMax} bytes, not ${bytes.length}`)
}
