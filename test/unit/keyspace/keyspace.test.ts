import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareDistance,
  distance,
  fromHex,
  hash512,
  IdWords,
  idInRegion,
  keyedHash,
  keyOf,
  mapKey,
  nearest,
  sameBytes,
  sharedPrefixBits,
  toHex,
} from '../../../src/keyspace/index.js'

const id = fc.uint8Array({ minLength: 32, maxLength: 32 })
/** Ids that often share long prefixes, also all but their last bits. */
const relatedIds = fc
  .tuple(id, fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { maxLength: 40 }))
  .map(([base, flips]) => [base, ...flips.map(([bit, more]) => flipped(flipped(base, bit), more))])

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const other = bytes.slice()
  other[bit >> 3] = (other[bit >> 3] as number) ^ (0x80 >> (bit & 7))
  return other
}

const asNumber = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`)

describe('distance', () => {
  test('is the XOR of both ids as a number, and the order by it is exact over all bits', () => {
    fc.assert(
      fc.property(relatedIds, id, (ids, other) => {
        for (const target of [ids[0] as Uint8Array, other]) {
          for (const a of ids) {
            expect(asNumber(distance(a, target))).toBe(asNumber(a) ^ asNumber(target))
            for (const b of ids) {
              const order = (asNumber(a) ^ asNumber(target)) - (asNumber(b) ^ asNumber(target))
              expect(Math.sign(compareDistance(target, a, b))).toBe(order < 0n ? -1 : order > 0n ? 1 : 0)
            }
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  test('shared leading bits are those of the binary digits', () => {
    const binary = (bytes: Uint8Array): string => asNumber(bytes).toString(2).padStart(256, '0')
    fc.assert(
      fc.property(relatedIds, (ids) => {
        const [a, ...others] = ids as [Uint8Array, ...Uint8Array[]]
        expect(sharedPrefixBits(a, a)).toBe(256)
        for (const b of others) {
          const first = [...binary(a)].findIndex((digit, i) => digit !== binary(b)[i])
          expect(sharedPrefixBits(a, b)).toBe(first < 0 ? 256 : first)
        }
      }),
    )
  })
})

describe('the words of an id', () => {
  test('are those of this id alone, give its bytes back, and order by distance as the bytes do', () => {
    fc.assert(
      fc.property(relatedIds, id, (ids, other) => {
        for (const a of ids) {
          const words = new IdWords(a)
          expect(toHex(words.id)).toBe(toHex(a))
          for (const b of ids) expect(words.isOf(b)).toBe(sameBytes(a, b))
          for (const target of [ids[0] as Uint8Array, other]) {
            for (const b of ids) {
              const isNearer = new IdWords(target).isNearer(words, new IdWords(b))
              expect(isNearer).toBe(compareDistance(target, a, b) < 0)
            }
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  test('are copied from the bytes, and so are the bytes from them', () => {
    const bytes = keyOf('id')
    const words = new IdWords(bytes)
    bytes[0] = (bytes[0] as number) ^ 1
    expect(words.isOf(bytes)).toBe(false)
    words.id.fill(0)
    expect(words.id).toEqual(keyOf('id'))
  })
})

describe('the nearest', () => {
  test('are those that come first when all are sorted, of any number of items', () => {
    fc.assert(
      fc.property(relatedIds, id, fc.nat(45), (ids, target, count) => {
        const items = ids.map((each) => ({ id: each }))
        const sorted = [...items].sort((a, b) => compareDistance(target, a.id, b.id)).map((item) => toHex(item.id))
        expect(nearest(items, target, count).map((item) => toHex(item.id))).toEqual(sorted.slice(0, count))
      }),
    )
  })

  test('leave out what is not accepted', () => {
    fc.assert(
      fc.property(relatedIds, id, fc.nat(45), (ids, target, count) => {
        const items = ids.map((each) => ({ id: each }))
        const accept = (item: { id: Uint8Array }): boolean => (item.id[31] as number) % 2 === 0
        expect(nearest(items, target, count, accept)).toEqual(nearest(items.filter(accept), target, count))
      }),
    )
  })
})

describe('an id in a region', () => {
  test('shares exactly so many bits with ours, and takes the others from the random bytes', () => {
    fc.assert(
      fc.property(id, id, fc.nat(255), (own, random, bits) => {
        const made = idInRegion(own, bits, random.slice())
        expect(sharedPrefixBits(own, made)).toBe(bits)
        const mask = (1n << BigInt(255 - bits)) - 1n
        expect(asNumber(made) & mask).toBe(asNumber(random) & mask)
      }),
    )
  })

  test('does not exist beyond the last bit', () => {
    for (const bits of [-1, 256, 1.5, Number.NaN]) {
      expect(() => idInRegion(new Uint8Array(32), bits, new Uint8Array(32))).toThrow(RangeError)
    }
  })
})

describe('bytes', () => {
  test('become hexadecimal digits and come back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes)
      }),
    )
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe('000aff')
    expect(fromHex('0AfF')).toEqual(Uint8Array.of(10, 255))
  })

  test('are not read from anything but an even number of digits', () => {
    for (const text of ['0', 'xx', '0x12', ' 12', '12 ', undefined, 12]) {
      expect(() => fromHex(text as string)).toThrow(TypeError)
    }
  })

  test('are equal, as arrays and as keys of a map, when each byte is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        const isSame = toHex(a) === toHex(b)
        expect(sameBytes(a, b)).toBe(isSame)
        expect(mapKey(a) === mapKey(b)).toBe(isSame)
      }),
    )
  })
})

describe('hashes', () => {
  test('are SHA-256 and SHA-512 of FIPS 180-4, a string taken as UTF-8', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(toHex(keyOf('abc'))).toBe(abc)
    expect(toHex(keyOf(Uint8Array.of(0x61, 0x62, 0x63)))).toBe(abc)
    expect(keyOf('ü')).toEqual(keyOf(Uint8Array.of(0xc3, 0xbc)))
    expect(toHex(hash512(Uint8Array.of(0x61, 0x62, 0x63))).slice(0, 32)).toBe('ddaf35a193617abacc417349ae204131')
    expect(() => keyOf(7 as never)).toThrow(TypeError)
  })

  test('with a key are HMAC-SHA-256, case 2 of RFC 4231, however the message is cut', () => {
    const text = new TextEncoder()
    const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
    const message = text.encode('what do ya want for nothing?')
    expect(toHex(keyedHash(text.encode('Jefe'), message))).toBe(expected)
    expect(toHex(keyedHash(text.encode('Jefe'), message.subarray(0, 5), message.subarray(5)))).toBe(expected)
  })
})
