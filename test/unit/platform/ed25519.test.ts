import * as nodeCrypto from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Point, utils } from '@noble/ed25519'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, hash, hash512, sameBytes, toHex } from '../../../src/keyspace/index.js'
import type { NodeCrypto } from '../../../src/platform/ed25519.js'
import { nobleSignatures, nodeSignatures } from '../../../src/platform/ed25519.js'

interface Vector {
  readonly name: string
  readonly secretKey: string
  readonly publicKey: string
  readonly message: string
  readonly signature: string
}
const { vectors } = JSON.parse(readFileSync(new URL('../../vectors/ed25519.json', import.meta.url), 'utf8')) as {
  vectors: Vector[]
}

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const P = 2n ** 255n - 19n
const randomBytes = (length: number) => new Uint8Array(nodeCrypto.randomBytes(length))
const node = nodeSignatures(nodeCrypto as unknown as NodeCrypto, randomBytes)
const noble = nobleSignatures(randomBytes)
const both = [
  ['node', node],
  ['noble', noble],
] as const

const message = new TextEncoder().encode('the message')
const keys = node.generate(new Uint8Array(32).fill(7))

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}
function number(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`)
}
function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const at = bit % (8 * copy.length)
  copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7))
  return copy
}
function challenge(r: Uint8Array, a: Uint8Array, bytes: Uint8Array): bigint {
  return number(hash512(concat(r, a, bytes))) % L
}
/** What both say, which must be one thing. */
function verdict(signature: Uint8Array, bytes: Uint8Array, publicKey: Uint8Array): boolean {
  const [a, b] = [node.verify(signature, bytes, publicKey), noble.verify(signature, bytes, publicKey)]
  expect(a, `node and noble differ on ${toHex(signature)} ${toHex(publicKey)}`).toBe(b)
  return a
}

/** A point of order 8: whatever point, times L. */
const torsion: Point = (() => {
  for (let y = 2; ; y++) {
    try {
      const point = Point.fromBytes(littleEndian(BigInt(y)))
      const part = point.multiply(L - 1n, false).add(point)
      if (!part.double().double().is0()) return part
    } catch {
      // No point has this y.
    }
  }
})()
const smallOrder: Point[] = [Point.ZERO]
for (let i = 1; i < 8; i++) smallOrder.push((smallOrder[i - 1] as Point).add(torsion))

describe.each(both)('Ed25519 of %s', (_, signatures) => {
  test.each(vectors)('agrees with RFC 8032 7.1, $name', ({ secretKey, publicKey, message, signature }) => {
    const pair = signatures.generate(fromHex(secretKey))
    expect(toHex(pair.publicKey)).toBe(publicKey)
    expect(toHex(pair.secretKey)).toBe(secretKey)
    expect(toHex(signatures.sign(fromHex(message), fromHex(secretKey)))).toBe(signature)
    expect(signatures.verify(fromHex(signature), fromHex(message), fromHex(publicKey))).toBe(true)
    expect(signatures.verify(fromHex(signature), concat(fromHex(message), Uint8Array.of(0)), fromHex(publicKey))).toBe(
      false,
    )
  })

  test('a new pair is another one each time, and signs', () => {
    const [a, b] = [signatures.generate(), signatures.generate()]
    expect(sameBytes(a.secretKey, b.secretKey)).toBe(false)
    expect(signatures.verify(signatures.sign(message, a.secretKey), message, a.publicKey)).toBe(true)
    expect(signatures.verify(signatures.sign(message, a.secretKey), message, b.publicKey)).toBe(false)
  })

  test('what it returns shares no memory with what it was given or keeps', () => {
    const seed = new Uint8Array(32).fill(9)
    const first = signatures.generate(seed)
    const secret = toHex(first.secretKey)
    const publicKey = toHex(first.publicKey)
    expect(first.secretKey.buffer).not.toBe(seed.buffer)
    expect(first.publicKey.buffer.byteLength).toBe(32)
    expect(Object.getPrototypeOf(signatures.sign(message, seed))).toBe(Uint8Array.prototype)
    expect(signatures.sign(message, seed).buffer.byteLength).toBe(64)
    seed.fill(0)
    expect(toHex(first.secretKey)).toBe(secret)
    first.publicKey.fill(0)
    expect(toHex(signatures.generate(fromHex(secret)).publicKey)).toBe(publicKey)
  })

  test('a key whose bytes are changed in place is another key', () => {
    const secretKey = new Uint8Array(32).fill(1)
    const before = signatures.sign(message, secretKey)
    secretKey.fill(2)
    expect(sameBytes(signatures.sign(message, secretKey), before)).toBe(false)
  })

  test('views into larger buffers are read as what they show', () => {
    const frame = concat(Uint8Array.of(1, 2, 3), keys.secretKey, keys.publicKey, message)
    const signature = signatures.sign(frame.subarray(67), frame.subarray(3, 35))
    expect(signatures.verify(Buffer.from(signature), frame.subarray(67), frame.subarray(35, 67))).toBe(true)
  })

  test('a wrong seed or secret key is a TypeError or RangeError', () => {
    for (const length of [0, 31, 33, 64]) {
      expect(() => signatures.generate(new Uint8Array(length))).toThrow(RangeError)
      expect(() => signatures.sign(message, new Uint8Array(length))).toThrow(RangeError)
    }
    expect(() => signatures.generate('00'.repeat(32) as unknown as Uint8Array)).toThrow(TypeError)
    expect(() => signatures.sign(message, [1] as unknown as Uint8Array)).toThrow(TypeError)
    expect(() => signatures.sign('text' as unknown as Uint8Array, keys.secretKey)).toThrow(TypeError)
  })

  test('anything malformed is false, never an exception', () => {
    const signature = signatures.sign(message, keys.secretKey)
    for (const length of [0, 1, 63, 65, 128]) {
      expect(signatures.verify(concat(signature, signature).slice(0, length), message, keys.publicKey)).toBe(false)
    }
    for (const length of [0, 31, 33, 64]) {
      expect(signatures.verify(signature, message, concat(keys.publicKey, keys.publicKey).slice(0, length))).toBe(false)
    }
    for (const junk of [undefined, null, 5, 'text', [1, 2], {}, new Uint16Array(32)]) {
      expect(signatures.verify(junk as Uint8Array, message, keys.publicKey)).toBe(false)
      expect(signatures.verify(signature, junk as Uint8Array, keys.publicKey)).toBe(false)
      expect(signatures.verify(signature, message, junk as Uint8Array)).toBe(false)
    }
  })
})

describe('both implementations', () => {
  const bytes = fc.uint8Array({ maxLength: 200 })
  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

  test('sign alike and accept what the other signed', () => {
    fc.assert(
      fc.property(seed, bytes, (secret, signed) => {
        const pair = node.generate(secret)
        expect(noble.generate(secret)).toEqual(pair)
        const signature = node.sign(signed, secret)
        expect(noble.sign(signed, secret)).toEqual(signature)
        expect(verdict(signature, signed, pair.publicKey)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('reject one flipped bit of the signature, the message or the key', () => {
    const signed = fc.uint8Array({ minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(
        seed,
        signed,
        fc.nat(511),
        fc.constantFrom('signature', 'message', 'key'),
        (secret, text, bit, part) => {
          const { publicKey } = node.generate(secret)
          const signature = node.sign(text, secret)
          expect(
            verdict(
              part === 'signature' ? flipBit(signature, bit) : signature,
              part === 'message' ? flipBit(text, bit) : text,
              part === 'key' ? flipBit(publicKey, bit) : publicKey,
            ),
          ).toBe(false)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('reject random signatures and keys', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), bytes, seed, (signature, text, key) => {
        expect(verdict(signature, text, key)).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  test('reject S + L, the twin of a valid signature', () => {
    const signature = node.sign(message, keys.secretKey)
    const r = signature.subarray(0, 32)
    const s = number(signature.subarray(32))
    expect(verdict(concat(r, littleEndian(s)), message, keys.publicKey)).toBe(true)
    for (let times = 1n; s + times * L < 2n ** 256n; times++) {
      expect(verdict(concat(r, littleEndian(s + times * L)), message, keys.publicKey)).toBe(false)
    }
    expect(verdict(concat(r, littleEndian(L)), message, keys.publicKey)).toBe(false)
    expect(verdict(concat(r, littleEndian(L - 1n)), message, keys.publicKey)).toBe(false)
  })

  test('reject every encoding of a small-order point as key, although the equation holds', () => {
    const encodings = [...smallOrder.map((point) => point.toBytes()), ...nonCanonical()]
    expect(new Set(smallOrder.map((point) => point.toHex())).size).toBe(8)
    let fits = 0
    for (const a of encodings) {
      for (let i = 0; i < 16; i++) {
        // With R = [S]B the equation holds for every message for which [k]A vanishes.
        const text = Uint8Array.of(i)
        const r = Point.BASE.multiply(5n).toBytes()
        const signature = concat(r, littleEndian(5n))
        expect(verdict(signature, text, a)).toBe(false)
        if (nodeCrypto.verify(null, text, spki(a), signature)) fits++
        expect(verdict(concat(a, littleEndian(0n)), text, a)).toBe(false)
      }
    }
    expect(fits, 'without the check, OpenSSL takes these').toBeGreaterThan(50)
  })

  test('reject R of small order, although the equation holds', () => {
    // S = k a makes R the neutral point: a signer can do that, at the price of its key.
    const { scalar } = utils.getExtendedPublicKey(keys.secretKey)
    const r = Point.ZERO.toBytes()
    const s = (challenge(r, keys.publicKey, message) * scalar) % L
    const signature = concat(r, littleEndian(s))
    expect(nodeCrypto.verify(null, message, spki(keys.publicKey), signature)).toBe(true)
    expect(verdict(signature, message, keys.publicKey)).toBe(false)
  })

  test('reject encodings that are not canonical', () => {
    const signature = node.sign(message, keys.secretKey)
    for (const encoding of nonCanonical()) {
      expect(verdict(concat(encoding, signature.subarray(32)), message, keys.publicKey)).toBe(false)
      expect(verdict(signature, message, encoding)).toBe(false)
    }
  })

  test('reject a key that is no point', () => {
    const signature = node.sign(message, keys.secretKey)
    let rejected = 0
    for (let y = 2; y < 40; y++) {
      const encoded = littleEndian(BigInt(y))
      expect(verdict(signature, message, encoded)).toBe(false)
      try {
        Point.fromBytes(encoded)
      } catch {
        rejected++
      }
    }
    expect(rejected).toBeGreaterThan(5)
  })

  test('agree about keys of mixed order: valid without cofactor or not at all', () => {
    const { scalar } = utils.getExtendedPublicKey(keys.secretKey)
    const seen = { valid: 0, onlyWithCofactor: 0 }
    for (let order = 1; order < 8; order++) {
      const a = Point.BASE.multiply(scalar)
        .add(smallOrder[order] as Point)
        .toBytes()
      for (let i = 0; i < 16; i++) {
        const text = Uint8Array.of(order, i)
        const nonce = number(hash(text)) % L
        const r = Point.BASE.multiply(nonce).toBytes()
        const k = challenge(r, a, text)
        const signature = concat(r, littleEndian((nonce + k * scalar) % L))
        // [S]B - [k]A = R - [k]T: equal to R only where the order of T divides k.
        const expected = (smallOrder[order] as Point).multiply(k, false).is0()
        expect(verdict(signature, text, a)).toBe(expected)
        seen[expected ? 'valid' : 'onlyWithCofactor']++
      }
    }
    expect(seen.valid).toBeGreaterThan(5)
    expect(seen.onlyWithCofactor).toBeGreaterThan(50)
  })

  test('agree about an R of mixed order', () => {
    const { scalar } = utils.getExtendedPublicKey(keys.secretKey)
    for (const part of smallOrder) {
      const r = Point.BASE.multiply(77n).add(part).toBytes()
      const k = challenge(r, keys.publicKey, message)
      const signature = concat(r, littleEndian((77n + k * scalar) % L))
      expect(verdict(signature, message, keys.publicKey)).toBe(part.is0())
    }
  })

  test('accept a mixed-order R under a mixed-order key where the parts cancel', () => {
    const { scalar } = utils.getExtendedPublicKey(keys.secretKey)
    const a = Point.BASE.multiply(scalar).add(torsion).toBytes()
    let valid = 0
    for (let i = 0; i < 64; i++) {
      const text = Uint8Array.of(i)
      // R = [77]B - [j]T fits where k mod 8 turns out to be j.
      const r = Point.BASE.multiply(77n)
        .add(smallOrder[8 - 1 - (i % 7)] as Point)
        .toBytes()
      const k = challenge(r, a, text)
      if (verdict(concat(r, littleEndian((77n + k * scalar) % L)), text, a)) valid++
    }
    expect(valid).toBeGreaterThan(0)
  })
})

test('key objects are made once and the cache is bounded', () => {
  let made = 0
  const counting = {
    ...nodeCrypto,
    createPublicKey(input: never) {
      made++
      return nodeCrypto.createPublicKey(input)
    },
  } as unknown as NodeCrypto
  const signatures = nodeSignatures(counting, randomBytes)
  const signature = node.sign(message, keys.secretKey)
  for (let i = 0; i < 5; i++) expect(signatures.verify(signature, message, keys.publicKey)).toBe(true)
  expect(made).toBe(1)
  for (let i = 0; i < 1_023; i++) signatures.verify(signature, message, littleEndian(BigInt(2 + i) << 8n))
  signatures.verify(signature, message, keys.publicKey)
  expect(made).toBe(1_024)
  for (let i = 0; i < 1_024; i++) signatures.verify(signature, message, littleEndian(BigInt(2 + i) << 16n))
  signatures.verify(signature, message, keys.publicKey)
  expect(made).toBe(1_024 + 1_024 + 1 - 3)
})

/** Every y from p to 2^255 - 1 with either sign, and x = 0 with the sign set. */
function nonCanonical(): Uint8Array[] {
  const encodings: Uint8Array[] = []
  const signBit = 2n ** 255n
  for (let y = P; y < signBit; y++) encodings.push(littleEndian(y), littleEndian(y + signBit))
  encodings.push(littleEndian(1n + signBit), littleEndian(P - 1n + signBit))
  return encodings
}

function spki(publicKey: Uint8Array) {
  const key = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey])
  return nodeCrypto.createPublicKey({ key, format: 'der', type: 'spki' })
}
