import { compareDistance } from './distance.js'

/** A point of the key space: a node's id or a record's key, as long as a SHA-256 hash: 32 bytes. */
export type NodeId = Uint8Array

/** Length of ids and keys, in bytes: that of a SHA-256 hash. */
export const ID_BYTES = 32

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Whether two ids (or any two byte arrays) are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Bytes as lower-case hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  let digits = ''
  for (let i = 0; i < bytes.length; i++) digits += HEX[bytes[i] as number]
  return digits
}

/**
 * Reads hexadecimal digits.
 *
 * @throws TypeError when `digits` is no even number of hexadecimal digits
 */
export function fromHex(digits: string): Uint8Array {
  if (typeof digits !== 'string' || digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new TypeError('not an even number of hexadecimal digits')
  }
  const bytes = new Uint8Array(digits.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

/** Bytes as a string of one character each: the fastest key for a Map or a Set. Not for people. */
export function mapKey(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}

/**
 * An id that shares exactly `sharedBits` leading bits with `own` and is otherwise taken from `random`.
 * A lookup of it refreshes that region of the table (paper 2.3).
 *
 * @param random - {@link ID_BYTES} random bytes; they are changed and returned
 * @throws RangeError when `sharedBits` is not in 0 .. the bits of an id less one
 */
export function idInRegion(own: NodeId, sharedBits: number, random: Uint8Array): NodeId {
  if (!Number.isInteger(sharedBits) || sharedBits < 0 || sharedBits >= own.length * 8) {
    throw new RangeError(`sharedBits must be an integer from 0 to ${own.length * 8 - 1}`)
  }
  const wholeBytes = sharedBits >> 3
  random.set(own.subarray(0, wholeBytes))
  const keepMask = 0xff << (8 - (sharedBits & 7))
  const flipMask = 0x80 >> (sharedBits & 7)
  const ownByte = own[wholeBytes] as number
  const differs = ~ownByte & flipMask
  random[wholeBytes] = (ownByte & keepMask) | differs | ((random[wholeBytes] as number) & (flipMask - 1))
  return random
}

/**
 * The `count` items nearest to `target`, nearest first, in exact XOR order: one pass with insertion, for
 * the few hundred contacts of a table faster than sorting them all.
 *
 * @param accept - leaves out the items for which it is false; only asked about those that would come in
 */
export function nearest<T extends { readonly id: NodeId }>(
  items: Iterable<T>,
  target: NodeId,
  count: number,
  accept: (item: T) => boolean = () => true,
): T[] {
  const found: T[] = []
  if (count <= 0) return found
  for (const item of items) {
    let at = found.length
    const isFull = at === count
    if (isFull && compareDistance(target, item.id, (found[at - 1] as T).id) >= 0) continue
    if (!accept(item)) continue
    if (isFull) {
      found.pop()
      at--
    }
    while (at > 0 && compareDistance(target, item.id, (found[at - 1] as T).id) < 0) at--
    found.splice(at, 0, item)
  }
  return found
}
