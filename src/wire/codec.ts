import { Packr } from 'msgpackr/index-no-eval'
import { hash, ID_BYTES, sameBytes } from '../keyspace/index.js'
import {
  ADDRESS_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  ERROR_TEXT_MAX,
  METHOD_NAME_BYTES_MAX,
  NETWORK_BYTES,
  TID_BYTES_MAX,
} from './limits.js'
import type { Message, RequestMessage, Unreadable } from './message.js'
import { PROTOCOL_VERSION } from './message.js'
import { isPlain } from './plain.js'
import { readArray, readBytes, readId, readInteger } from './shape.js'

/** Messages to bytes and back, for one network. */
export interface Codec {
  /**
   * The bytes of a message.
   *
   * @param padToBytes - a request shorter than this is padded to this length; to 1 to 3 bytes more where 1 to 3 are
   *   missing, and to 1 more where 260 are
   */
  encode(message: Message, padToBytes?: number): Uint8Array
  /**
   * Reads a datagram; never throws. What it returns shares no memory with the datagram, except the elements of
   * params and results: a method's readers copy those.
   */
  decode(datagram: Uint8Array): Message | Unreadable
}

const TYPE_REQUEST = 0
const TYPE_RESPONSE = 1
const TYPE_ERROR = 2
const FLAGS_MAX = 0xffff_ffff
const ERROR_CODE_MAX = 0xffff

/** Key of the map `ext` that holds padding. */
const EXT_PADDING = 0

// Plain values only: no record extension, maps stay maps so that no key can name a prototype.
const packr = new Packr({ useRecords: false, mapsAsObjects: false, int64AsType: 'auto' })

/** The first bytes of the hash of a network's name: keeps networks apart, hides nothing. */
export function networkTag(name: string): Uint8Array {
  return hash(new TextEncoder().encode(name)).slice(0, NETWORK_BYTES)
}

/** A codec for the messages of the network with that name. */
export function createCodec(networkName: string): Codec {
  const network = networkTag(networkName)
  return {
    // A copy: the encoder hands out views of a slab, Buffers in Node, which would keep all of it alive.
    encode: (message, padToBytes) => new Uint8Array(encode(network, message, padToBytes ?? 0)),
    decode: (datagram) => decode(network, datagram),
  }
}

function encode(network: Uint8Array, message: Message, padToBytes: number): Uint8Array {
  const { tid, flags, sender } = message
  switch (message.type) {
    case 'request':
      return encodeRequest(network, message, padToBytes)
    case 'response':
      return packr.pack([
        PROTOCOL_VERSION,
        TYPE_RESPONSE,
        tid,
        network,
        flags,
        sender,
        message.observed,
        message.result,
      ])
    case 'error': {
      const error = [message.code, message.text.slice(0, ERROR_TEXT_MAX)]
      return packr.pack([PROTOCOL_VERSION, TYPE_ERROR, tid, network, flags, sender, message.observed, error])
    }
  }
}

function encodeRequest(network: Uint8Array, message: RequestMessage, padToBytes: number): Uint8Array {
  const { tid, flags, sender, method, params } = message
  const fields: unknown[] = [PROTOCOL_VERSION, TYPE_REQUEST, tid, network, flags, sender, method, params]
  const plain = packr.pack(fields)
  const missing = padToBytes - plain.length
  if (missing <= 0) return plain
  // The map of one entry costs 4 bytes beside up to 255 bytes of padding, 5 beside more; so 260 can't be met.
  const paddingBytes = missing <= 4 + 255 ? Math.max(0, missing - 4) : Math.max(256, missing - 5)
  fields.push(new Map([[EXT_PADDING, new Uint8Array(paddingBytes)]]))
  return packr.pack(fields)
}

function decode(network: Uint8Array, datagram: Uint8Array): Message | Unreadable {
  if (datagram.length > DATAGRAM_BYTES_MAX) return { type: 'unreadable', reason: 'oversize' }
  if (!isPlain(datagram)) return { type: 'unreadable', reason: 'undecodable' }
  let decoded: unknown
  try {
    decoded = packr.unpack(datagram)
  } catch {
    // For example a stack too small for what is nested in each other.
    return { type: 'unreadable', reason: 'undecodable' }
  }
  const fields = readArray(decoded, 4)
  const tid = fields && readBytes(fields[2], 1, TID_BYTES_MAX)
  if (!fields || !tid || !(fields[3] instanceof Uint8Array)) return { type: 'unreadable', reason: 'malformed' }
  if (!sameBytes(fields[3], network)) return { type: 'unreadable', reason: 'foreignNetwork' }
  if (fields[0] !== PROTOCOL_VERSION) {
    if (readInteger(fields[0], FLAGS_MAX) === undefined) return { type: 'unreadable', reason: 'malformed' }
    return { type: 'unknownVersion', tid, isRequest: fields[1] === TYPE_REQUEST }
  }
  return readMessage(fields, tid) ?? { type: 'unreadable', reason: 'malformed' }
}

function readMessage(fields: readonly unknown[], tid: Uint8Array): Message | undefined {
  const type = fields[1]
  const flags = readInteger(fields[4], FLAGS_MAX)
  const sender = readId(fields[5])
  const extAt = 8
  if (flags === undefined || !sender || fields.length < extAt) return undefined
  if (fields.length > extAt && !(fields[extAt] instanceof Map)) return undefined
  if (type === TYPE_REQUEST) {
    const method = readMethod(fields[6])
    const params = readArray(fields[7], 0)
    return method === undefined || !params ? undefined : { type: 'request', tid, flags, sender, method, params }
  }
  const observed = readBytes(fields[6], 1, ADDRESS_BYTES_MAX)
  const body = readArray(fields[7], 0)
  if (!observed || !body) return undefined
  if (type === TYPE_RESPONSE) return { type: 'response', tid, flags, sender, observed, result: body }
  if (type !== TYPE_ERROR) return undefined
  const code = readInteger(body[0], ERROR_CODE_MAX)
  const text = body[1]
  if (code === undefined || typeof text !== 'string') return undefined
  return { type: 'error', tid, flags, sender, observed, code, text: text.slice(0, ERROR_TEXT_MAX) }
}

function readMethod(value: unknown): number | string | undefined {
  if (typeof value === 'string') {
    const { length } = new TextEncoder().encode(value)
    return length > 0 && length <= METHOD_NAME_BYTES_MAX ? value : undefined
  }
  return readInteger(value, 0xffff)
}

/**
 * The most bytes that a response holds beside the elements of its result: what is left of a datagram is theirs.
 *
 * @param tidBytes - length of the request's transaction id
 * @param observedBytes - length of the requester's encoded address
 */
export function responseOverheadBytes(tidBytes: number, observedBytes: number): number {
  const arrayVersionType = 3
  const flagsAtMost = 5
  const binHeader = 2
  const resultHeader = 1
  return (
    arrayVersionType +
    (binHeader + tidBytes) +
    (binHeader + NETWORK_BYTES) +
    flagsAtMost +
    (binHeader + ID_BYTES) +
    (binHeader + observedBytes) +
    resultHeader
  )
}
