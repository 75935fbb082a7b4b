/**
 * Whether the bytes are exactly one msgpack value of plain types: nil, booleans, numbers, strings, byte arrays,
 * arrays and maps. Nothing else gets to the decoder: its extension types let a few hundred bytes refer to each
 * other until they take minutes to unfold, and they build dates, errors and regular expressions.
 */
export function isPlain(bytes: Uint8Array): boolean {
  return endOfPlain(bytes, 0) === bytes.length
}

/** Where the plain value that begins at `from` ends; below 0 where none does, or where its end is missing. */
export function endOfPlain(bytes: Uint8Array, from: number): number {
  let at = from
  // Of arrays and maps only the number of their values is needed: they stand one after the other.
  let missing = 1
  while (missing > 0) {
    if (missing > bytes.length - at) return -1
    const head = bytes[at++] as number
    missing--
    if (head < 0x80 || head >= 0xe0) continue
    if (head < 0x90) missing += 2 * (head & 0x0f)
    else if (head < 0xa0) missing += head & 0x0f
    else if (head < 0xc0) at += head & 0x1f
    else if (NUMBER_BYTES[head] !== undefined) at += NUMBER_BYTES[head]
    else {
      const lengthBytes = LENGTH_BYTES[head]
      if (lengthBytes === undefined || at + lengthBytes > bytes.length) return -1
      let length = 0
      for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[at++] as number)
      if (head >= MAP_16) missing += 2 * length
      else if (head >= ARRAY_16) missing += length
      else at += length
    }
  }
  return at <= bytes.length ? at : -1
}

const ARRAY_16 = 0xdc
const MAP_16 = 0xde

/** How many bytes follow the first of nil, booleans and numbers that don't fit into it. */
const NUMBER_BYTES: Readonly<Record<number, number>> = {
  ...{ 192: 0, 194: 0, 195: 0 },
  ...{ 202: 4, 203: 8, 204: 1, 205: 2, 206: 4, 207: 8, 208: 1, 209: 2, 210: 4, 211: 8 },
}

/** How many bytes the length of byte arrays, strings, arrays and maps takes. */
const LENGTH_BYTES: Readonly<Record<number, number>> = {
  ...{ 196: 1, 197: 2, 198: 4, 217: 1, 218: 2, 219: 4 },
  ...{ 220: 2, 221: 4, 222: 2, 223: 4 },
}
