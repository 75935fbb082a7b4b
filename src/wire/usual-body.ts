// The parameters and results of nearly all messages are byte arrays, small numbers and short arrays of these. As with
// the header, to write and read them by hand is faster by far; what has anything else goes through the encoder, with
// the same outcome for the same bytes.

/** Heads of msgpack values. An array of up to 15 elements and an integer up to 127 have one byte. */
const ARRAY = 0x90
const NIL = 0xc0
const BIN_8 = 0xc4
const BIN_16 = 0xc5
const UINT_8 = 0xcc
const UINT_16 = 0xcd
const UINT_32 = 0xce

const ELEMENTS_MAX = 15

/** Arrays in each other that are read and written here; the protocol's own methods have two. */
const DEPTH_MAX = 3

/** What is no value: it is of a type that only the encoder reads, or has no end. */
const UNUSUAL: unique symbol = Symbol('unusual')

/** How many bytes parameters or a result take; below 0 where there is anything in them that only the encoder writes. */
export function bodyBytes(elements: readonly unknown[]): number {
  return arrayBytes(elements, DEPTH_MAX)
}

function arrayBytes(elements: readonly unknown[], depth: number): number {
  if (elements.length > ELEMENTS_MAX || depth === 0) return -1
  let bytes = 1
  for (const element of elements) {
    const more = valueBytes(element, depth)
    if (more < 0) return -1
    bytes += more
  }
  return bytes
}

function valueBytes(value: unknown, depth: number): number {
  if (typeof value === 'number') {
    if (value >>> 0 !== value) return -1
    if (value < 0x80) return 1
    return value <= 0xff ? 2 : value <= 0xffff ? 3 : 5
  }
  if (value === null) return 1
  if (value instanceof Uint8Array) {
    const { length } = value
    return length <= 0xff ? 2 + length : length <= 0xffff ? 3 + length : -1
  }
  return Array.isArray(value) ? arrayBytes(value, depth - 1) : -1
}

/** Writes what {@link bodyBytes} measured; returns where it ends. */
export function writeBody(out: Uint8Array, from: number, elements: readonly unknown[]): number {
  let at = from
  out[at++] = ARRAY | elements.length
  for (const element of elements) at = writeValue(out, at, element)
  return at
}

function writeValue(out: Uint8Array, from: number, value: unknown): number {
  let at = from
  if (typeof value === 'number') return writeInteger(out, at, value)
  if (value instanceof Uint8Array) {
    const { length } = value
    if (length <= 0xff) {
      out[at++] = BIN_8
    } else {
      out[at++] = BIN_16
      out[at++] = length >> 8
    }
    out[at++] = length
    out.set(value, at)
    return at + length
  }
  if (value !== null) return writeBody(out, at, value as readonly unknown[])
  out[at++] = NIL
  return at
}

function writeInteger(out: Uint8Array, from: number, value: number): number {
  let at = from
  if (value < 0x80) {
    out[at++] = value
    return at
  }
  if (value <= 0xff) {
    out[at++] = UINT_8
  } else {
    if (value <= 0xffff) {
      out[at++] = UINT_16
    } else {
      out[at++] = UINT_32
      out[at++] = value >>> 24
      out[at++] = value >>> 16
    }
    out[at++] = value >>> 8
  }
  out[at++] = value
  return at
}

/** Where the value that is being read goes on: one at a time is read. */
let position = 0

/**
 * Reads the array that begins at `from`. Byte arrays in it are views.
 *
 * @returns undefined where there is none, or anything in it that only the encoder reads
 */
export function readBody(bytes: Uint8Array, from: number): readonly unknown[] | undefined {
  position = from
  const head = bytes[position++]
  if (head === undefined || head < ARRAY || head > ARRAY + ELEMENTS_MAX) return undefined
  return readElements(bytes, head - ARRAY, DEPTH_MAX)
}

/** Where what {@link readBody} read last ends. */
export function bodyEnd(): number {
  return position
}

function readElements(bytes: Uint8Array, count: number, depth: number): readonly unknown[] | undefined {
  if (depth === 0) return undefined
  const elements: unknown[] = []
  for (let i = 0; i < count; i++) {
    const value = readValue(bytes, depth)
    if (value === UNUSUAL) return undefined
    elements.push(value)
  }
  return elements
}

function readValue(bytes: Uint8Array, depth: number): unknown {
  const head = bytes[position++]
  if (head === undefined) return UNUSUAL
  if (head < 0x80) return head
  if (head === NIL) return null
  if (head === BIN_8 || head === BIN_16) {
    const length = readNumber(bytes, head === BIN_8 ? 1 : 2)
    const begin = position
    position += length
    return position <= bytes.length ? bytes.subarray(begin, position) : UNUSUAL
  }
  if (head >= UINT_8 && head <= UINT_32) {
    const value = readNumber(bytes, 1 << (head - UINT_8))
    return position <= bytes.length ? value : UNUSUAL
  }
  if (head < ARRAY || head > ARRAY + ELEMENTS_MAX) return UNUSUAL
  return readElements(bytes, head - ARRAY, depth - 1) ?? UNUSUAL
}

/** A big-endian number; where its end is missing, the position is beyond the end of the bytes. */
function readNumber(bytes: Uint8Array, length: number): number {
  let value = 0
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[position++] ?? 0)
  return value
}
