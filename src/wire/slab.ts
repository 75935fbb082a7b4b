const SLAB_BYTES = 16_384

let slab = new Uint8Array(0)
let usedBytes = 0

/**
 * Memory for one datagram, all zero, which nobody else gets: a part of a block that many share, as a block for each
 * costs six times as much. The block stays as long as one of its parts is kept.
 */
export function takeBytes(length: number): Uint8Array {
  if (usedBytes + length > slab.length) {
    slab = new Uint8Array(Math.max(SLAB_BYTES, length))
    usedBytes = 0
  }
  const bytes = new Uint8Array(slab.buffer, usedBytes, length)
  usedBytes += length
  return bytes
}
