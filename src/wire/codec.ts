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
import type { Message, Unreadable } from './message.js'
import { PROTOCOL_VERSION, TYPE_ERROR, TYPE_REQUEST, TYPE_RESPONSE } from './message.js'
import { endOfPlain, isPlain } from './plain.js'
import { readArray, readBytes, readId, readInteger } from './shape.js'
import { takeBytes } from './slab.js'
import { bodyBytes, bodyEnd, readBody, writeBody } from './usual-body.js'
import { headerBytes, isPadding, paddingBytes, readHeader, writeHeader, writePadding } from './usual-form.js'

/** Messages to bytes and back, for one network. */
export interface Codec {
  /**
   * The bytes of a message. Nobody else uses them, but their buffer is shared: to keep them for long, copy them.
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

const FLAGS_MAX = 0xffff_ffff
const ERROR_CODE_MAX = 0xffff

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
    encode: (message, padToBytes) => encode(network, message, padToBytes ?? 0),
    decode: (datagram) => decode(network, datagram),
  }
}

function encode(network: Uint8Array, message: Message, padToBytes: number): Uint8Array {
  const length = message.type === 'error' ? undefined : headerBytes(message)
  if (message.type === 'error' || length === undefined) return encodeWhole(network, message, padToBytes)
  const elements = message.type === 'request' ? message.params : message.result
  const usualBytes = bodyBytes(elements)
  const body = usualBytes < 0 ? packr.pack(elements) : undefined
  const plainBytes = length + (body?.length ?? usualBytes)
  const { inside, altogether } = paddingBytes(plainBytes, padToBytes)
  const bytes = takeBytes(plainBytes + altogether)
  const bodyAt = writeHeader(bytes, network, message)
  if (body === undefined) writeBody(bytes, bodyAt, elements)
  else bytes.set(body, bodyAt)
  if (altogether > 0) writePadding(bytes, plainBytes, inside)
  return bytes
}

/** A message whose header has not the usual form. */
function encodeWhole(network: Uint8Array, message: Message, padToBytes: number): Uint8Array {
  const plain = packr.pack(fieldsOf(network, message))
  const { inside, altogether } = paddingBytes(plain.length, padToBytes)
  // A copy: the encoder hands out views of a slab, Buffers in Node, whose slice() does not copy.
  const bytes = takeBytes(plain.length + altogether)
  bytes.set(plain)
  if (altogether > 0) writePadding(bytes, plain.length, inside)
  return bytes
}

function fieldsOf(network: Uint8Array, message: Message): unknown[] {
  const { tid, flags, sender } = message
  switch (message.type) {
    case 'request':
      return [PROTOCOL_VERSION, TYPE_REQUEST, tid, network, flags, sender, message.method, message.params]
    case 'response':
      return [PROTOCOL_VERSION, TYPE_RESPONSE, tid, network, flags, sender, message.observed, message.result]
    case 'error': {
      const error = [message.code, message.text.slice(0, ERROR_TEXT_MAX)]
      return [PROTOCOL_VERSION, TYPE_ERROR, tid, network, flags, sender, message.observed, error]
    }
  }
}

function decode(network: Uint8Array, datagram: Uint8Array): Message | Unreadable {
  if (datagram.length > DATAGRAM_BYTES_MAX) return { type: 'unreadable', reason: 'oversize' }
  return decodeUsual(network, datagram) ?? decodeWhole(network, datagram)
}

/** Reads a datagram of the usual form; undefined for any other, and for one that is wrong in any way. */
function decodeUsual(network: Uint8Array, datagram: Uint8Array): Message | undefined {
  const form = readHeader(datagram, network)
  if (form === undefined) return undefined
  const { bodyAt, flags, isPadded, method, observed, sender, tid } = form
  const usualBody = readBody(datagram, bodyAt)
  const end = usualBody ? bodyEnd() : endOfPlain(datagram, bodyAt)
  if (isPadded ? end < 0 || !isPadding(datagram, end) : end !== datagram.length) return undefined
  const body = usualBody ?? unpackArray(datagram.subarray(bodyAt, end))
  if (body === undefined) return undefined
  if (observed) return { type: 'response', tid, flags, sender, observed, result: body }
  return { type: 'request', tid, flags, sender, method, params: body }
}

function unpackArray(bytes: Uint8Array): readonly unknown[] | undefined {
  try {
    return readArray(packr.unpack(bytes), 0)
  } catch {
    return undefined
  }
}

function decodeWhole(network: Uint8Array, datagram: Uint8Array): Message | Unreadable {
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
