/**
 * Orders two ids by their XOR distance to `target` (paper 2.1), exactly, over all bits.
 *
 * @returns below 0 when `a` is nearer, above 0 when `b` is, 0 when they are one id
 */
export function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < target.length; i++) {
    const difference = ((a[i] as number) ^ (target[i] as number)) - ((b[i] as number) ^ (target[i] as number))
    if (difference !== 0) return difference
  }
  return 0
}

/** The XOR distance of two ids of one length, as a big-endian number of that length (paper 2.1). */
export function distance(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] as number))
}

/** How many leading bits two ids share: all of them when they are equal. */
export function sharedPrefixBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) ^ (b[i] as number)
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24
  }
  return a.length * 8
}
