import { createHash, randomBytes } from 'node:crypto'
import type { LevelOperation } from '../storage/level.js'
import type { Disk, DiskFile } from './disk.js'

// What is in the file. It begins with two copies of its head, of which one has to be intact, in different blocks:
//
//   text of 16 bytes | marker, 16 random bytes | checksum of 16
//
// From FRAMES_AT on there is a frame for each batch. Numbers are big-endian.
//
//   marker | length of the body, 4 bytes | checksum of 12 | body
//
// A body is changes one after the other, in their order:
//
//   1 | length of key, 4 bytes | length of value, 4 bytes | key | value     a put
//   0 | length of key, 4 bytes | key                                        a deletion
//
// Checksums are the first bytes of SHA-256. That of a frame covers marker, offset in the file, length and body.
//
// Behind a damaged place the next frame is found by its marker. Records are what strangers made of them, and some of
// them may look like frames: but nobody knows the marker who can't read the file.

const TEXT = Buffer.from('xorbit journal 1', 'latin1')
/** What the text is without the number of its version. */
const TEXT_START = TEXT.subarray(0, -1)
const MARKER_BYTES = 16
const HEAD_BYTES = TEXT.length + 2 * MARKER_BYTES
const HEAD_COPIES_AT = [0, 4_096]
const FRAMES_AT = 8_192

const LENGTH_AT = MARKER_BYTES
const CHECKSUM_AT = LENGTH_AT + 4
const CHECKSUM_BYTES = 12
const FRAME_HEAD_BYTES = CHECKSUM_AT + CHECKSUM_BYTES

const PUT = 1
const DELETION = 0
const PUT_BYTES = 1 + 2 * 4
const DELETION_BYTES = 1 + 4

/** How much is read at a time. */
const PIECE_BYTES = 2 ** 20

/** What a journal's file held beside intact frames. */
export interface FileDamage {
  /** Bytes between frames that are none. */
  readonly damagedBytes: number
  /** Bytes behind the last frame that are none: a frame that was never written completely, or was damaged since. */
  readonly tornBytes: number
}

/** An open file of frames. One write at a time, and none any more after one has failed. */
export class JournalFile {
  readonly #file: DiskFile
  /** Which file it is: no two have the same one. */
  readonly marker: Buffer
  /** Where the next frame begins. */
  #end = FRAMES_AT

  private constructor(file: DiskFile, marker: Buffer) {
    this.#file = file
    this.marker = marker
  }

  /** Makes a file without frames. It is not on the disk before `sync`. */
  static async create(disk: Disk, path: string): Promise<JournalFile> {
    const file = await disk.create(path)
    try {
      const marker = randomBytes(MARKER_BYTES)
      const head = Buffer.concat([TEXT, marker, digestOf([TEXT, marker]).subarray(0, MARKER_BYTES)])
      const heads = Buffer.alloc(FRAMES_AT)
      for (const at of HEAD_COPIES_AT) heads.set(head, at)
      await writeAll(file, heads, 0)
      return new JournalFile(file, marker)
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** Opens a file; undefined where there is none. @throws Error when it is none of this sort */
  static async open(disk: Disk, path: string): Promise<JournalFile | undefined> {
    const file = await disk.open(path)
    if (!file) return undefined
    try {
      return new JournalFile(file, await markerOf(file, path))
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** How long it is, up to the end of the last frame. */
  get bytes(): number {
    return this.#end
  }

  /**
   * Reads all frames, and cuts off what is no frame at the end.
   *
   * @param endMax - what begins there or later is no part of it; it is cut off too
   * @param visit - is given the changes of each frame, in their order; they share memory with nothing
   */
  async load(endMax: number, visit: (operations: LevelOperation[]) => void): Promise<FileDamage> {
    const size = await this.#file.size()
    const reader = new Pieces(this.#file, Math.min(size, Math.max(endMax, FRAMES_AT)))
    let damagedBytes = 0
    this.#end = FRAMES_AT
    for (let at = FRAMES_AT; at < reader.size; ) {
      const body = await this.#bodyAt(reader, at)
      const operations = body && decodeBody(body)
      if (operations) {
        visit(operations)
        damagedBytes += at - this.#end
        at += FRAME_HEAD_BYTES + body.length
        this.#end = at
      } else {
        at = await reader.find(this.marker, at + 1)
      }
    }
    if (size > this.#end) await this.#file.truncate(this.#end)
    return { damagedBytes, tornBytes: Math.max(0, reader.size - this.#end) }
  }

  /** Adds a frame behind the others. */
  async append(operations: readonly LevelOperation[]): Promise<void> {
    const frame = encodeFrame(this.marker, this.#end, operations)
    await writeAll(this.#file, frame, this.#end)
    this.#end += frame.length
  }

  /** Resolves when the frames are on the disk. */
  sync(): Promise<void> {
    return this.#file.sync()
  }

  /** Takes back what was written from there on, as far as the disk allows. */
  async cutOff(end: number): Promise<void> {
    this.#end = end
    await this.#file.truncate(end)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #bodyAt(reader: Pieces, at: number): Promise<Buffer | undefined> {
    const head = await reader.read(at, FRAME_HEAD_BYTES)
    if (!head?.subarray(0, MARKER_BYTES).equals(this.marker)) return undefined
    const length = head.readUInt32BE(LENGTH_AT)
    // Reading on may take what `head` is a view of.
    const checksum = Buffer.from(head.subarray(CHECKSUM_AT))
    const body = await reader.read(at + FRAME_HEAD_BYTES, length)
    return body && checksumOf(this.marker, at, body).equals(checksum) ? body : undefined
  }
}

/** How many bytes a frame takes of each entry that is put. */
export function putBytes(keyBytes: number, valueBytes: number): number {
  return PUT_BYTES + keyBytes + valueBytes
}

async function markerOf(file: DiskFile, path: string): Promise<Buffer> {
  const reader = new Pieces(file, await file.size())
  let isOfOtherVersion = false
  for (const at of HEAD_COPIES_AT) {
    const head = await reader.read(at, HEAD_BYTES)
    if (!head) continue
    const [text, marker, checksum] = [head.subarray(0, 16), head.subarray(16, 32), head.subarray(32)]
    const isIntact = digestOf([text, marker]).subarray(0, MARKER_BYTES).equals(checksum)
    if (isIntact && text.equals(TEXT)) return Buffer.from(marker)
    isOfOtherVersion ||= isIntact && text.subarray(0, -1).equals(TEXT_START)
  }
  throw new Error(
    isOfOtherVersion
      ? `${path} was written by another version of xorbit`
      : `${path} is no journal, or its beginning is damaged. Restore it, or move it away to begin without records`,
  )
}

function encodeFrame(marker: Buffer, at: number, operations: readonly LevelOperation[]): Buffer {
  let bytes = FRAME_HEAD_BYTES
  for (const one of operations) {
    bytes += one.type === 'put' ? putBytes(one.key.length, one.value.length) : DELETION_BYTES + one.key.length
  }
  const frame = Buffer.allocUnsafe(bytes)
  let to = FRAME_HEAD_BYTES
  for (const one of operations) {
    to = frame.writeUInt8(one.type === 'put' ? PUT : DELETION, to)
    to = frame.writeUInt32BE(one.key.length, to)
    if (one.type === 'put') to = frame.writeUInt32BE(one.value.length, to)
    frame.set(one.key, to)
    to += one.key.length
    if (one.type !== 'put') continue
    frame.set(one.value, to)
    to += one.value.length
  }
  const body = frame.subarray(FRAME_HEAD_BYTES)
  frame.set(marker)
  frame.writeUInt32BE(body.length, LENGTH_AT)
  frame.set(checksumOf(marker, at, body), CHECKSUM_AT)
  return frame
}

/** Undefined when it is not of this form. */
function decodeBody(body: Buffer): LevelOperation[] | undefined {
  const operations: LevelOperation[] = []
  let at = 0
  while (at < body.length) {
    const sort = body[at]
    const fixedBytes = sort === PUT ? PUT_BYTES : DELETION_BYTES
    if ((sort !== PUT && sort !== DELETION) || at + fixedBytes > body.length) return undefined
    const keyEnd = at + fixedBytes + body.readUInt32BE(at + 1)
    const end = sort === PUT ? keyEnd + body.readUInt32BE(at + 5) : keyEnd
    if (end > body.length) return undefined
    const key = new Uint8Array(body.subarray(at + fixedBytes, keyEnd))
    operations.push(
      sort === PUT ? { type: 'put', key, value: new Uint8Array(body.subarray(keyEnd, end)) } : { type: 'del', key },
    )
    at = end
  }
  return operations
}

/** With the offset, so that a frame counts only where it was written. */
function checksumOf(marker: Buffer, at: number, body: Buffer): Buffer {
  const place = Buffer.alloc(12)
  place.writeBigUInt64BE(BigInt(at))
  place.writeUInt32BE(body.length, 8)
  return digestOf([marker, place, body]).subarray(0, CHECKSUM_BYTES)
}

function digestOf(parts: readonly Buffer[]): Buffer {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest()
}

async function writeAll(file: DiskFile, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += await file.write(bytes.subarray(at), offset + at)
}

/** Reads a file in pieces, so that it is never in memory as a whole. */
class Pieces {
  readonly #file: DiskFile
  /** Where the file ends. */
  readonly size: number
  #piece: Buffer = Buffer.alloc(0)
  #from = 0

  constructor(file: DiskFile, size: number) {
    this.#file = file
    this.size = size
  }

  /** Bytes of the file, valid until the next call; undefined where it does not have as many. */
  async read(at: number, length: number): Promise<Buffer | undefined> {
    if (at + length > this.size) return undefined
    if (at < this.#from || at + length > this.#from + this.#piece.length) await this.#take(at, length)
    if (at + length > this.#from + this.#piece.length) return undefined
    return this.#piece.subarray(at - this.#from, at - this.#from + length)
  }

  /** Where these bytes are next; the end of the file where they are not. */
  async find(bytes: Buffer, from: number): Promise<number> {
    let at = from
    while (at + bytes.length <= this.size) {
      const piece = await this.read(at, Math.min(PIECE_BYTES, this.size - at))
      if (!piece) break
      const found = piece.indexOf(bytes)
      if (found >= 0) return at + found
      at += piece.length - bytes.length + 1
    }
    return this.size
  }

  async #take(from: number, length: number): Promise<void> {
    const piece = Buffer.allocUnsafe(Math.min(Math.max(length, PIECE_BYTES), this.size - from))
    let filled = 0
    while (filled < piece.length) {
      const count = await this.#file.read(piece.subarray(filled), from + filled)
      if (count === 0) break
      filled += count
    }
    this.#from = from
    this.#piece = piece.subarray(0, filled)
  }
}
