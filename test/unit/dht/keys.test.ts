import { describe, expect, test } from 'vitest'
import { fromHex, generateKeyPair, sign, toHex, verify } from '../../../src/index.js'
import { bytes } from './network.js'

/** RFC 8032, 7.1, test 3. */
const VECTOR = {
  secretKey: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
  publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
  message: 'af82',
  signature:
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
}

describe('generateKeyPair', () => {
  test('of a seed is always the same, as RFC 8032 has it', () => {
    const { publicKey, secretKey } = generateKeyPair({ seed: fromHex(VECTOR.secretKey) })
    expect(toHex(publicKey)).toBe(VECTOR.publicKey)
    expect(toHex(secretKey)).toBe(VECTOR.secretKey)
  })

  test('without a seed is another one each time', () => {
    const pairs = [generateKeyPair(), generateKeyPair({}), generateKeyPair(), generateKeyPair()]
    expect(new Set(pairs.map(({ publicKey }) => toHex(publicKey))).size).toBe(4)
    for (const { publicKey, secretKey } of pairs) {
      expect(secretKey).toHaveLength(32)
      expect(generateKeyPair({ seed: secretKey }).publicKey).toEqual(publicKey)
    }
  })

  test('copies the seed', () => {
    const seed = bytes(32)
    const { secretKey } = generateKeyPair({ seed })
    seed.fill(0)
    expect(secretKey).toEqual(bytes(32))
  })

  test.each([null, 'seed', 7, {}, [1, 2, 3], new ArrayBuffer(32)])('with seed %o is a TypeError', (seed) => {
    expect(() => generateKeyPair({ seed: seed as never })).toThrow(TypeError)
    expect(() => generateKeyPair({ seed: seed as never })).toThrow('seed')
  })

  test.each([0, 31, 33, 64])('with a seed of %i bytes is a RangeError', (length) => {
    expect(() => generateKeyPair({ seed: bytes(length) })).toThrow(RangeError)
  })

  test.each([null, bytes(32), 'seed', { sead: bytes(32) }])(
    'of %o, which is no object with a seed, is a TypeError',
    (options) => {
      // Else whoever forgets the braces gets a pair that is lost with the process.
      expect(() => generateKeyPair(options as never)).toThrow(TypeError)
    },
  )
})

describe('sign and verify', () => {
  test('are Ed25519 as RFC 8032 has it', () => {
    const message = fromHex(VECTOR.message)
    const signature = sign(message, fromHex(VECTOR.secretKey))
    expect(toHex(signature)).toBe(VECTOR.signature)
    expect(verify(signature, message, fromHex(VECTOR.publicKey))).toBe(true)
  })

  test('a changed message, signature or key is not verified', () => {
    const { publicKey, secretKey } = generateKeyPair()
    const message = bytes(20)
    const signature = sign(message, secretKey)
    for (const changed of [signature, message, publicKey]) {
      expect(verify(signature, message, publicKey)).toBe(true)
      changed[3] = (changed[3] as number) ^ 1
      expect(verify(signature, message, publicKey)).toBe(false)
      changed[3] = (changed[3] as number) ^ 1
    }
  })

  test.each([undefined, null, 'text', 7, [], bytes(0), bytes(31), bytes(33), bytes(63), bytes(65)])(
    'verify is false for %o in place of a signature or a key',
    (wrong) => {
      const { publicKey, secretKey } = generateKeyPair()
      expect(verify(wrong as never, bytes(2), publicKey)).toBe(false)
      expect(verify(sign(bytes(2), secretKey), bytes(2), wrong as never)).toBe(false)
    },
  )

  test.each([undefined, null, 'text', 7, [], bytes(0), bytes(31), bytes(33), bytes(64)])(
    'sign with %o in place of a key is a TypeError or RangeError that names it',
    (wrong) => {
      const call = (): unknown => sign(bytes(2), wrong as never)
      expect(call).toThrow(wrong instanceof Uint8Array ? RangeError : TypeError)
      expect(call).toThrow('secretKey')
    },
  )

  test.each([undefined, null, 'text', 7, []])('sign of %o is a TypeError that names it', (wrong) => {
    const call = (): unknown => sign(wrong as never, bytes(32))
    expect(call).toThrow(TypeError)
    expect(call).toThrow('bytes')
  })
})
