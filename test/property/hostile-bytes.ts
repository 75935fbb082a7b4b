// Hostile datagrams are put together from bytes by hand: no encoder writes what an attacker can.

import type { SeededRandom } from '../../src/testing/index.js'

/** Bytes, or an array of msgpack made of such parts. */
export type Part = Uint8Array | readonly Part[]

const of = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)

/** The parts one after the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** A part as msgpack. */
export function write(part: Part): Uint8Array {
  if (part instanceof Uint8Array) return part
  const head = part.length < 16 ? of(0x90 + part.length) : of(0xdc, part.length >> 8, part.length & 255)
  return joined(head, ...part.map(write))
}

/** A byte array of msgpack. */
export function bin(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  return joined(length < 256 ? of(0xc4, length) : of(0xc5, length >> 8, length & 255), bytes)
}

/** A string of msgpack. */
export function str(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  return joined(of(0xd9, bytes.length), bytes)
}

/** An integer from 0 to 2^32 - 1. */
export function int(value: number): Uint8Array {
  return value < 128 ? of(value) : of(0xce, value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255)
}

export const NIL: Uint8Array = of(0xc0)
export const EMPTY_MAP: Uint8Array = of(0x80)

const zeros = (length: number): number[] => Array<number>(length).fill(0)

/** One or more values of each type of msgpack, and of the decoder's own extension types. */
export const EVERY_TYPE: readonly Uint8Array[] = [
  ...[0xc0, 0xc1, 0xc2, 0xc3].map((head) => of(head)),
  // Integers of each width, at their ends.
  ...[0, 1, 0x7f, 0xe0, 0xff].map((head) => of(head)),
  ...[of(0xcc, 0), of(0xcc, 255), of(0xcd, 0xff, 0xff), of(0xce, 255, 255, 255, 255), of(0xcf, ...zeros(8))],
  ...[of(0xcf, ...Array<number>(8).fill(255)), of(0xcf, 0, 0x20, ...zeros(6)), of(0xcf, 0, 0x20, ...zeros(5), 1)],
  ...[of(0xd0, 0x80), of(0xd1, 0x80, 0), of(0xd2, 0x80, 0, 0, 0), of(0xd3, 0x80, ...zeros(7)), of(0xd3, ...zeros(8))],
  // Floats: 0, -0, 1, 1.5, NaN, infinities, 1e300.
  ...[of(0xca, ...zeros(4)), of(0xca, 0x3f, 0x80, 0, 0), of(0xca, 0x7f, 0xc0, 0, 0), of(0xca, 0xff, 0x80, 0, 0)],
  ...[of(0xcb, ...zeros(8)), of(0xcb, 0x80, ...zeros(7)), of(0xcb, 0x3f, 0xf8, ...zeros(6))],
  ...[of(0xcb, 0x7f, 0xf8, ...zeros(6)), of(0xcb, 0x7f, 0xf0, ...zeros(6)), of(0xcb, 0x7e, 0x37, ...zeros(6))],
  // Strings, also such that are no UTF-8.
  ...[of(0xa0), of(0xa1, 0x61), of(0xa3, 0xff, 0xfe, 0xc0), of(0xd9, 0), of(0xd9, 3, 0xed, 0xa0, 0x80)],
  ...[of(0xda, 0, 0), of(0xdb, 0, 0, 0, 1, 0x62), str('x'.repeat(32)), joined(of(0xda, 2, 0), new Uint8Array(512))],
  ...[of(0xa9, ...new TextEncoder().encode('__proto__')), str('constructor'), str('toString')],
  // Byte arrays, empty, of the lengths that ids and tokens have, and large.
  ...[of(0xc4, 0), of(0xc5, 0, 0), of(0xc6, 0, 0, 0, 0)],
  ...[1, 4, 8, 20, 31, 32, 33, 64, 65, 255].map((length) => bin(new Uint8Array(length).fill(7))),
  ...[256, 700, 900].map((length) => bin(new Uint8Array(length))),
  // Lengths beyond the end.
  ...[of(0xc4, 255), of(0xc5, 255, 255), of(0xc6, 255, 255, 255, 255), of(0xd9, 255), of(0xdb, 255, 255, 255, 255)],
  ...[of(0xdc, 255, 255), of(0xdd, 1, 0, 0, 0), of(0xdd, 255, 255, 255, 255), of(0xdf, 255, 255, 255, 255)],
  // Arrays and maps.
  ...[of(0x90), of(0x91, 0x90), of(0x92, 1, 2), of(0xdc, 0, 0), of(0xdd, 0, 0, 0, 0), of(0x95, 1, 2, 3, 4, 5)],
  ...[of(0x80), of(0x81, 0, 0), of(0x81, 0, 0xc0), of(0x82, 0, 1, 0, 2), of(0x81, 0x90, 0x80), of(0xde, 0, 0)],
  ...[of(0xdf, 0, 0, 0, 0), of(0x81, 0xa9, ...new TextEncoder().encode('__proto__'), 0x80), of(0x81, 0xc0, 0xc0)],
  joined(of(0xdc, 1, 0), new Uint8Array(256)),
  // Extension types: unknown ones of each width, then the decoder's own.
  ...[of(0xd4, 1, 0), of(0xd5, 1, 0, 0), of(0xd6, 1, ...zeros(4)), of(0xd7, 1, ...zeros(8)), of(0xd8, 1, ...zeros(16))],
  ...[of(0xc7, 0, 1), of(0xc8, 0, 1, 1, 0), of(0xc9, 0, 0, 0, 1, 1, 0), of(0xc7, 255, 1), of(0xd4, 0, 0)],
  of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1),
  of(0xd5, 0x72, 1, 2, 0x91, 0xa1, 0x61, 1),
  of(0xd4, 0x72, 5, 0x91, 0xa9, ...new TextEncoder().encode('__proto__'), 0x80),
  of(0xd6, 0xff, 0, 0, 0, 1),
  of(0xd7, 0xff, ...zeros(8)),
  of(0xc7, 12, 0xff, ...zeros(12)),
  of(0xc7, 9, 0x42, ...Array<number>(9).fill(255)),
  of(0xd4, 0x73, 0, 0x92, 1, 2),
  of(0xd4, 0x78, 0, 0x92, 0xa8, ...new TextEncoder().encode('(((a+)+)'), 0xa0),
  of(0xd4, 0x65, 0, 0x92, 0xa5, ...new TextEncoder().encode('Error'), 0xa1, 0x61),
  of(0xc7, 33, 0x74, 1, ...Array<number>(32).fill(9)),
  of(0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1),
  of(0xd6, 0x70, 0, 0, 0, 1),
  of(0xd6, 0x62, 0, 0, 0, 6, 0xc1, 1, 0xa1, 0x61, 0xa1, 0x62),
]

/** Flips bits, inserts, removes, repeats and overwrites bytes, and splices in some of another datagram. */
export function mutated(random: SeededRandom, original: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes = original
  const changes = 1 + random.int(3)
  for (let i = 0; i < changes; i++) {
    const at = random.int(bytes.length + 1)
    switch (random.int(7)) {
      case 0:
      case 1:
        bytes = spliced(bytes, at, 1, of((bytes[at] ?? 0) ^ (1 << random.int(8))))
        break
      case 2:
        bytes = spliced(bytes, at, 1, of(random.int(256)))
        break
      case 3:
        bytes = spliced(bytes, at, 0, random.bytes(1 + random.int(8)))
        break
      case 4:
        bytes = spliced(bytes, at, 1 + random.int(8), of())
        break
      case 5: {
        const from = random.int(other.length)
        bytes = spliced(bytes, at, random.int(40), other.subarray(from, from + random.int(40)))
        break
      }
      default:
        bytes = spliced(bytes, at, 1, random.pick(EVERY_TYPE))
    }
  }
  return bytes
}

function spliced(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  return joined(bytes.subarray(0, at), added, bytes.subarray(at + removed))
}

/** A tree of msgpack of any types, extension types among them, that mostly keeps to its own lengths. */
export function randomTree(random: SeededRandom, depth: number): Uint8Array {
  if (depth === 0 || random.chance(0.4)) return random.pick(EVERY_TYPE)
  const children = Array.from({ length: random.int(6) }, () => randomTree(random, depth - 1))
  const body = joined(...children)
  const count = random.chance(0.05) ? random.int(16) : children.length
  switch (random.int(8)) {
    case 0:
    case 1:
    case 2:
      return joined(of(0x90 + count), body)
    case 3:
      return joined(of(0x80 + (count >> 1)), body)
    case 4:
      // A record: its definition, whose keys are any values, and then uses of it.
      return joined(of(0xd4, 0x72, 0x40 + random.int(64)), body, of(0x40 + random.int(64)))
    case 5:
      // A reference: an id that later values point to.
      return joined(of(0xd6, 0x69, 0, 0, 0, random.int(4)), body, of(0xd6, 0x70, 0, 0, 0, random.int(4)))
    case 6:
      return joined(of(0xd4, random.pick([0x62, 0x65, 0x73, 0x74, 0x78, 0xff, 0x42]), 0), body)
    default:
      return joined(of(0xd6, 0x62, 0, 0, random.int(4), random.int(256)), body, of(0xc1, random.int(256)))
  }
}

/** Arrays in arrays, maps in maps, extensions in extensions: `depth` times, with something at the bottom or nothing. */
export function nested(kind: 'array' | 'map' | 'key' | 'set' | 'record' | 'reference', depth: number): Uint8Array {
  const level = {
    array: [0x91],
    map: [0x81, 0],
    key: [0x81],
    set: [0xd4, 0x73, 0],
    record: [0xd4, 0x72, 0x40],
    reference: [0xd6, 0x69, 0, 0, 0, 1],
  }[kind]
  const bytes = new Uint8Array(level.length * depth + 1)
  for (let i = 0; i < depth; i++) bytes.set(level, i * level.length)
  return bytes
}

/** Values that refer to each other: `levels` times so wide a tree as `width`, when it is unfolded. */
export function unfolding(levels: number, width: number): Uint8Array {
  const parts = [0xdc, 0, levels]
  for (let level = 0; level < levels; level++) {
    parts.push(0xd6, 0x69, 0, 0, 0, level, 0x90 + width)
    for (let i = 0; i < width; i++) parts.push(...(level === 0 ? [1] : [0xd6, 0x70, 0, 0, 0, level - 1]))
  }
  return Uint8Array.from(parts)
}
