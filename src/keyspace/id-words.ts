import type { NodeId } from './node-id.js'
import { ID_BYTES } from './node-id.js'

/**
 * An id as eight 32-bit numbers, the first bits in the first: a sixth of the memory of a `Uint8Array` of its own, and
 * two of them are compared by a few operations of the processor. What is kept of many ids extends it.
 */
export class IdWords {
  // Signed, because V8 keeps a signed number of 32 bits inside the object, without a box around it, as long as the
  // field never was undefined.
  readonly w0: number = 0
  readonly w1: number = 0
  readonly w2: number = 0
  readonly w3: number = 0
  readonly w4: number = 0
  readonly w5: number = 0
  readonly w6: number = 0
  readonly w7: number = 0

  /** @param id - read once, so it may be a view into a datagram */
  constructor(id: NodeId) {
    this.w0 = wordAt(id, 0)
    this.w1 = wordAt(id, 4)
    this.w2 = wordAt(id, 8)
    this.w3 = wordAt(id, 12)
    this.w4 = wordAt(id, 16)
    this.w5 = wordAt(id, 20)
    this.w6 = wordAt(id, 24)
    this.w7 = wordAt(id, 28)
  }

  /** The id as bytes: a new array each time, which takes about 60 ns. */
  get id(): NodeId {
    const id = new Uint8Array(ID_BYTES)
    this.writeId(id, 0)
    return id
  }

  /** Writes the bytes of the id. */
  writeId(out: Uint8Array, at: number): void {
    setWord(out, at, this.w0)
    setWord(out, at + 4, this.w1)
    setWord(out, at + 8, this.w2)
    setWord(out, at + 12, this.w3)
    setWord(out, at + 16, this.w4)
    setWord(out, at + 20, this.w5)
    setWord(out, at + 24, this.w6)
    setWord(out, at + 28, this.w7)
  }

  /** Whether these are the words of an id. */
  isOf(id: NodeId): boolean {
    return (
      this.w0 === wordAt(id, 0) &&
      this.w1 === wordAt(id, 4) &&
      this.w2 === wordAt(id, 8) &&
      this.w3 === wordAt(id, 12) &&
      this.w4 === wordAt(id, 16) &&
      this.w5 === wordAt(id, 20) &&
      this.w6 === wordAt(id, 24) &&
      this.w7 === wordAt(id, 28)
    )
  }

  /** Whether `a` is nearer than `b` by XOR distance (paper 2.1), exactly, over all bits; false for one id. */
  isNearer(a: IdWords, b: IdWords): boolean {
    // The first words that differ decide. XOR with ours keeps them different; unsigned, it is the distance.
    if (a.w0 !== b.w0) return (a.w0 ^ this.w0) >>> 0 < (b.w0 ^ this.w0) >>> 0
    if (a.w1 !== b.w1) return (a.w1 ^ this.w1) >>> 0 < (b.w1 ^ this.w1) >>> 0
    if (a.w2 !== b.w2) return (a.w2 ^ this.w2) >>> 0 < (b.w2 ^ this.w2) >>> 0
    if (a.w3 !== b.w3) return (a.w3 ^ this.w3) >>> 0 < (b.w3 ^ this.w3) >>> 0
    if (a.w4 !== b.w4) return (a.w4 ^ this.w4) >>> 0 < (b.w4 ^ this.w4) >>> 0
    if (a.w5 !== b.w5) return (a.w5 ^ this.w5) >>> 0 < (b.w5 ^ this.w5) >>> 0
    if (a.w6 !== b.w6) return (a.w6 ^ this.w6) >>> 0 < (b.w6 ^ this.w6) >>> 0
    return (a.w7 ^ this.w7) >>> 0 < (b.w7 ^ this.w7) >>> 0
  }
}

/** Four bytes of an id as a signed number, big-endian: the word that {@link IdWords} keeps of them. */
export function wordAt(id: NodeId, at: number): number {
  return (
    ((id[at] as number) << 24) | ((id[at + 1] as number) << 16) | ((id[at + 2] as number) << 8) | (id[at + 3] as number)
  )
}

function setWord(id: NodeId, at: number, word: number): void {
  id[at] = word >>> 24
  id[at + 1] = word >>> 16
  id[at + 2] = word >>> 8
  id[at + 3] = word
}
