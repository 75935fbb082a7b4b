import { hash, toHex } from '../keyspace/index.js'

const CHUNK_BYTES = 65_536
const DIGEST_BYTES = 32
// Kind, time, number, both addresses with their lengths and the datagram's length: addresses have at most 64 KiB.
const ENTRY_HEAD_BYTES = 1 + 8 + 8 + 4

/**
 * Everything that happened on the network, as one running SHA-256. Entries are gathered into chunks; each
 * chunk's hash covers the one before, so that a digest can be had at any time and tracing goes on.
 */
export class Trace {
  #chunk = new Uint8Array(CHUNK_BYTES)
  #view = new DataView(this.#chunk.buffer)
  #used = DIGEST_BYTES

  /** A node handed a datagram to the network, which gave it a number. */
  sent(atMs: number, number: number, from: string, to: string, bytes: Uint8Array): void {
    this.#reserve(ENTRY_HEAD_BYTES + from.length + to.length + bytes.length + 4)
    this.#entry(1, atMs, number)
    this.#text(from)
    this.#text(to)
    this.#view.setUint32(this.#used, bytes.length, true)
    this.#chunk.set(bytes, this.#used + 4)
    this.#used += 4 + bytes.length
  }

  /** Datagram `number` arrived. From, to and bytes are in the entry of its departure. */
  delivered(atMs: number, number: number): void {
    this.#reserve(ENTRY_HEAD_BYTES)
    this.#entry(2, atMs, number)
  }

  /** The digest of all entries so far, as 64 hexadecimal digits. */
  digest(): string {
    return toHex(hash(this.#chunk.subarray(0, this.#used)))
  }

  #entry(kind: number, atMs: number, number: number): void {
    this.#view.setUint8(this.#used, kind)
    this.#view.setFloat64(this.#used + 1, atMs, true)
    this.#view.setFloat64(this.#used + 9, number, true)
    this.#used += 17
  }

  #text(text: string): void {
    const chunk = this.#chunk
    this.#view.setUint16(this.#used, text.length, true)
    this.#used += 2
    for (let i = 0; i < text.length; i++) chunk[this.#used++] = text.charCodeAt(i)
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#chunk.length) return
    const digest = hash(this.#chunk.subarray(0, this.#used))
    if (DIGEST_BYTES + bytes > this.#chunk.length) {
      this.#chunk = new Uint8Array(DIGEST_BYTES + bytes)
      this.#view = new DataView(this.#chunk.buffer)
    }
    this.#chunk.set(digest)
    this.#used = DIGEST_BYTES
  }
}
