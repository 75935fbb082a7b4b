// Nearly all messages have one form: a header of fixed types, each in its shortest encoding, then the parameters or the
// result, then perhaps padding. Reading and writing that header by hand takes a quarter of the time that the encoder
// needs for it. What has any other form goes through the encoder as a whole, with the same outcome for the same bytes.

import { ID_BYTES } from '../keyspace/index.js'
import { ADDRESS_BYTES_MAX, NETWORK_BYTES, TID_BYTES_MAX } from './limits.js'
import type { RequestMessage, ResponseMessage } from './message.js'
import { PROTOCOL_VERSION, TYPE_REQUEST, TYPE_RESPONSE } from './message.js'
import { takeBytes } from './slab.js'

/** Heads of msgpack values. An array of up to 15 elements, an integer up to 127, and one map entry have one byte. */
const ARRAY = 0x90
const MAP_OF_ONE = 0x81
const BIN_8 = 0xc4
const BIN_16 = 0xc5
const ONE_BYTE_INTEGER_MAX = 0x7f

/** How many elements a message has, without and with padding. */
const ELEMENTS = 8
const ELEMENTS_PADDED = 9

/** Key of the map `ext` that holds padding. */
const EXT_PADDING = 0

type Usual = RequestMessage | ResponseMessage

/** A header that was read, and where what follows it stands. */
export interface UsualForm {
  readonly tid: Uint8Array
  readonly flags: number
  readonly sender: Uint8Array
  /** Of a request. */
  readonly method: number
  /** Of a response, which alone has one. */
  readonly observed: Uint8Array | undefined
  readonly bodyAt: number
  readonly isPadded: boolean
}

/** How many bytes the header of a message takes; undefined where it has not the usual form. */
export function headerBytes(message: Usual): number | undefined {
  if (message.flags > ONE_BYTE_INTEGER_MAX) return undefined
  const untilSender = 3 + (2 + message.tid.length) + (2 + NETWORK_BYTES) + 1 + (2 + message.sender.length)
  if (message.type === 'response') return untilSender + 2 + message.observed.length
  const { method } = message
  return typeof method === 'number' && method <= ONE_BYTE_INTEGER_MAX ? untilSender + 1 : undefined
}

/** Writes the header of a message to the beginning of `out`; returns where it ends. */
export function writeHeader(out: Uint8Array, network: Uint8Array, message: Usual): number {
  out[0] = ARRAY | ELEMENTS
  out[1] = PROTOCOL_VERSION
  out[2] = message.type === 'request' ? TYPE_REQUEST : TYPE_RESPONSE
  let at = writeShortBytes(out, 3, message.tid)
  at = writeShortBytes(out, at, network)
  out[at++] = message.flags
  at = writeShortBytes(out, at, message.sender)
  if (message.type === 'response') return writeShortBytes(out, at, message.observed)
  out[at++] = message.method as number
  return at
}

/** How many bytes of padding bring a message nearest to a length, with or without the map around them. */
export function paddingBytes(plainBytes: number, padToBytes: number): { inside: number; altogether: number } {
  const missing = padToBytes - plainBytes
  if (missing <= 0) return { inside: 0, altogether: 0 }
  // The map of one entry costs 4 bytes beside up to 255 bytes of padding, 5 beside more; so 260 can't be met.
  if (missing <= 4 + 0xff) return { inside: Math.max(0, missing - 4), altogether: Math.max(4, missing) }
  const inside = Math.max(0x100, missing - 5)
  return { inside, altogether: 5 + inside }
}

/** Writes the padding behind a message of `plainBytes`, and says so in its header. What it fills must be zero. */
export function writePadding(out: Uint8Array, plainBytes: number, inside: number): void {
  out[0] = ARRAY | ELEMENTS_PADDED
  out[plainBytes] = MAP_OF_ONE
  out[plainBytes + 1] = EXT_PADDING
  if (inside <= 0xff) {
    out[plainBytes + 2] = BIN_8
    out[plainBytes + 3] = inside
  } else {
    out[plainBytes + 2] = BIN_16
    out[plainBytes + 3] = inside >> 8
    out[plainBytes + 4] = inside & 0xff
  }
}

/** Whether what stands from `at` to the end is the map of padding. */
export function isPadding(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== MAP_OF_ONE || bytes[at + 1] !== EXT_PADDING) return false
  const head = bytes[at + 2]
  if (head === BIN_8) return at + 4 + (bytes[at + 3] as number) === bytes.length
  if (head !== BIN_16 || at + 5 > bytes.length) return false
  return at + 5 + ((bytes[at + 3] as number) << 8) + (bytes[at + 4] as number) === bytes.length
}

/** The header of a datagram; undefined where it has not the usual form, or is of another version or network. */
export function readHeader(bytes: Uint8Array, network: Uint8Array): UsualForm | undefined {
  const isPadded = bytes[0] === (ARRAY | ELEMENTS_PADDED)
  if (!(isPadded || bytes[0] === (ARRAY | ELEMENTS)) || bytes[1] !== PROTOCOL_VERSION) return undefined
  const isRequest = bytes[2] === TYPE_REQUEST
  if (!isRequest && bytes[2] !== TYPE_RESPONSE) return undefined
  const tidBytes = shortBytesAt(bytes, 3)
  if (tidBytes === 0 || tidBytes > TID_BYTES_MAX) return undefined
  const networkAt = 5 + tidBytes
  if (shortBytesAt(bytes, networkAt) !== NETWORK_BYTES) return undefined
  for (let i = 0; i < NETWORK_BYTES; i++) if (bytes[networkAt + 2 + i] !== network[i]) return undefined
  const flagsAt = networkAt + 2 + NETWORK_BYTES
  const flags = bytes[flagsAt]
  const senderAt = flagsAt + 1
  if (flags === undefined || flags > ONE_BYTE_INTEGER_MAX || shortBytesAt(bytes, senderAt) !== ID_BYTES)
    return undefined
  const tailAt = senderAt + 2 + ID_BYTES
  const method = bytes[tailAt]
  const observedBytes = isRequest ? 0 : shortBytesAt(bytes, tailAt)
  const bodyAt = isRequest ? tailAt + 1 : tailAt + 2 + observedBytes
  if (method === undefined || bodyAt > bytes.length) return undefined
  if (isRequest ? method > ONE_BYTE_INTEGER_MAX : observedBytes === 0 || observedBytes > ADDRESS_BYTES_MAX)
    return undefined
  return {
    tid: isRequest ? copy(bytes, 5, tidBytes) : copyBriefly(bytes, 5, tidBytes),
    flags,
    sender: copy(bytes, senderAt + 2, ID_BYTES),
    method,
    observed: isRequest ? undefined : copyBriefly(bytes, tailAt + 2, observedBytes),
    bodyAt,
    isPadded,
  }
}

/** The length of a byte array of at most 255 bytes; 0 where none begins there. Its end may be beyond that of `bytes`. */
function shortBytesAt(bytes: Uint8Array, at: number): number {
  return bytes[at] === BIN_8 ? (bytes[at + 1] ?? 0) : 0
}

function writeShortBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes
  out[at] = BIN_8
  out[at + 1] = length
  // For so few bytes faster than set().
  for (let i = 0; i < length; i++) out[at + 2 + i] = bytes[i] as number
  return at + 2 + length
}

/** For what is looked at once: a part of a block takes less than half of the memory of an array of its own. */
function copyBriefly(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copied = takeBytes(length)
  for (let i = 0; i < length; i++) copied[i] = bytes[at + i] as number
  return copied
}

function copy(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copied = new Uint8Array(length)
  for (let i = 0; i < length; i++) copied[i] = bytes[at + i] as number
  return copied
}
