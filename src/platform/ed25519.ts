/**
 * Two implementations of {@link Signatures} that accept exactly the same signatures, because nodes that
 * disagree about a record could never agree on what a key holds. RFC 8032 leaves room; these are the rules:
 *
 * 1. The signature has 64 bytes and the public key 32.
 * 2. S is below the group order L (5.1.7), else every signature would have a twin.
 * 3. R and the public key A are canonical encodings (5.1.3): y below p, and no sign bit where x is 0.
 * 4. Neither A nor R is of small order: under such an A one signature fits many messages.
 * 5. A is a point of the curve.
 * 6. [S]B = R + [k]A without cofactor, k = SHA-512(R | A | message) mod L, decided by encoding [S]B - [k]A and
 *    comparing bytes with R.
 *
 * This is what libsodium's `crypto_sign_verify_detached` accepts. A key of mixed order passes: the equation
 * without cofactor still gives one answer everywhere. ("Taming the many EdDSAs", Chalkias, Garillot,
 * Nikolaenko 2020, shows how far implementations differ.)
 */
import { getPublicKey, hashes, sign as nobleSign, Point } from '@noble/ed25519'
import { hash512, mapKey, sameBytes, toHex } from '../keyspace/index.js'
import type { RandomBytes } from './random.js'
import type { Signatures } from './signatures.js'

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** How many key objects of each sort {@link nodeSignatures} keeps: about 1 KB each, and 4 to 12 times the speed. */
const KEY_OBJECTS_MAX = 1_024

/** The group order, 2^252 + 27742317777372353535851937790883648493 (RFC 8032, 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n
const L_BYTES = littleEndianBytes(L)

/** The field's prime (RFC 8032, 5.1). */
const P = 2n ** 255n - 19n

/**
 * The y coordinates of the eight points whose order divides the cofactor: 0 for order 4, 1 for the neutral
 * point, -1 for order 2, and two for order 8. The sign of x does not matter: with either one the point is
 * of small order, or x is 0 and the encoding is no canonical one.
 */
const Y_OF_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n
const SMALL_ORDER_Y: readonly Uint8Array[] = [0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8].map(littleEndianBytes)

/** What {@link nodeSignatures} uses of node:crypto, so that its types reach nobody's declarations. */
export interface NodeCrypto {
  createPrivateKey(input: { key: Uint8Array; format: 'der'; type: 'pkcs8' }): unknown
  createPublicKey(input: unknown): { export(options: { format: 'der'; type: 'spki' }): Uint8Array }
  sign(algorithm: null, bytes: Uint8Array, key: unknown): Uint8Array
  verify(algorithm: null, bytes: Uint8Array, key: unknown, signature: Uint8Array): boolean
}

/** The DER that stands before a raw key (RFC 8410, 7 and 4). */
const PKCS8_PREFIX = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32)
const SPKI_PREFIX = Uint8Array.of(48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0)

/**
 * Ed25519 in plain JavaScript, for any runtime: about 0.3 ms to sign, 1.2 ms to verify.
 *
 * Gives @noble/ed25519 its SHA-512, where the application has not.
 *
 * @param randomBytes - where new key pairs come from
 */
export function nobleSignatures(randomBytes: RandomBytes): Signatures {
  hashes.sha512 ??= hash512 as NonNullable<typeof hashes.sha512>
  return {
    generate(seed) {
      const secretKey = copyOfSeed(seed ?? randomBytes(KEY_BYTES))
      return { publicKey: getPublicKey(secretKey), secretKey }
    },
    sign(bytes, secretKey) {
      mustBeBytes(bytes, 'the signed bytes')
      mustBeKey(secretKey, 'secretKey')
      return nobleSign(bytes, secretKey)
    },
    verify(signature, bytes, publicKey) {
      return isAcceptable(signature, bytes, publicKey) && equationHolds(signature, bytes, publicKey)
    },
  }
}

/**
 * Ed25519 of node:crypto: about 0.04 ms to sign, 0.1 ms to verify with a key that was seen before.
 *
 * It keeps the key objects of the last {@link KEY_OBJECTS_MAX} secret and as many public keys, since making one
 * costs more than using it. A secret key thus stays in memory after its caller let go of it.
 *
 * @param crypto - the module, or anything that answers alike
 * @param randomBytes - where new key pairs come from
 */
export function nodeSignatures(crypto: NodeCrypto, randomBytes: RandomBytes): Signatures {
  const privateKeyOf = remembered(KEY_OBJECTS_MAX, (secretKey) =>
    crypto.createPrivateKey({ key: joined(PKCS8_PREFIX, secretKey), format: 'der', type: 'pkcs8' }),
  )
  const publicKeyOf = remembered(KEY_OBJECTS_MAX, (publicKey) =>
    crypto.createPublicKey({ key: joined(SPKI_PREFIX, publicKey), format: 'der', type: 'spki' }),
  )
  return {
    generate(seed) {
      const secretKey = copyOfSeed(seed ?? randomBytes(KEY_BYTES))
      const der = crypto.createPublicKey(privateKeyOf(secretKey)).export({ format: 'der', type: 'spki' })
      return { publicKey: new Uint8Array(der.subarray(SPKI_PREFIX.length)), secretKey }
    },
    sign(bytes, secretKey) {
      mustBeBytes(bytes, 'the signed bytes')
      mustBeKey(secretKey, 'secretKey')
      return new Uint8Array(crypto.sign(null, bytes, privateKeyOf(secretKey)))
    },
    verify(signature, bytes, publicKey) {
      if (!isAcceptable(signature, bytes, publicKey)) return false
      try {
        return crypto.verify(null, bytes, publicKeyOf(publicKey), signature)
      } catch {
        // Some builds of OpenSSL and BoringSSL refuse a key that is no point when it is read, not when it is used.
        return false
      }
    },
  }
}

/** Rules 1 to 4. */
function isAcceptable(signature: Uint8Array, bytes: Uint8Array, publicKey: Uint8Array): boolean {
  if (!(signature instanceof Uint8Array) || !(bytes instanceof Uint8Array) || !(publicKey instanceof Uint8Array))
    return false
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== KEY_BYTES) return false
  const r = signature.subarray(0, KEY_BYTES)
  return isReduced(signature.subarray(KEY_BYTES)) && isAcceptablePoint(publicKey) && isAcceptablePoint(r)
}

/** Whether 32 little-endian bytes are a number below L. */
function isReduced(scalar: Uint8Array): boolean {
  for (let i = KEY_BYTES - 1; i >= 0; i--) {
    const difference = (scalar[i] as number) - (L_BYTES[i] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** Whether 32 bytes encode a y below p that is none of the small-order points'. They may still be no point. */
function isAcceptablePoint(encoded: Uint8Array): boolean {
  const y = new Uint8Array(encoded)
  y[KEY_BYTES - 1] = (y[KEY_BYTES - 1] as number) & 0x7f
  return isCanonicalY(y) && !SMALL_ORDER_Y.some((small) => sameBytes(small, y))
}

/** p is `ed ff .. ff 7f` in little-endian bytes, so only 19 values of 255 bits are too large. */
function isCanonicalY(y: Uint8Array): boolean {
  if (y[KEY_BYTES - 1] !== 0x7f || (y[0] as number) < 0xed) return true
  for (let i = 1; i < KEY_BYTES - 1; i++) if (y[i] !== 0xff) return true
  return false
}

/** Rules 5 and 6. noble's own `verify` multiplies by the cofactor, so it accepts more than OpenSSL does. */
function equationHolds(signature: Uint8Array, bytes: Uint8Array, publicKey: Uint8Array): boolean {
  let a: Point
  try {
    a = Point.fromBytes(publicKey)
  } catch {
    return false
  }
  const r = signature.subarray(0, KEY_BYTES)
  const s = littleEndianNumber(signature.subarray(KEY_BYTES))
  const k = littleEndianNumber(hash512(joined(r, publicKey, bytes))) % L
  const expected = Point.BASE.multiply(s, false).subtract(a.multiply(k, false))
  return sameBytes(expected.toBytes(), r)
}

/** A function of 32 bytes that remembers its last results, the least recently used forgotten first. */
function remembered<T>(countMax: number, make: (bytes: Uint8Array) => T): (bytes: Uint8Array) => T {
  const known = new Map<string, T>()
  return (bytes) => {
    const name = mapKey(bytes)
    let value = known.get(name)
    if (value === undefined) {
      value = make(bytes)
      if (known.size >= countMax) known.delete(known.keys().next().value as string)
    } else {
      known.delete(name)
    }
    known.set(name, value)
    return value
  }
}

function copyOfSeed(seed: Uint8Array): Uint8Array {
  mustBeKey(seed, 'seed')
  return new Uint8Array(seed)
}

function mustBeKey(bytes: Uint8Array, name: string): void {
  mustBeBytes(bytes, name)
  if (bytes.length !== KEY_BYTES) throw new RangeError(`${name} must have ${KEY_BYTES} bytes, not ${bytes.length}`)
}

function mustBeBytes(bytes: Uint8Array, name: string): void {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`)
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

function littleEndianNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(new Uint8Array(bytes).reverse())}`)
}

function littleEndianBytes(value: bigint): Uint8Array {
  return Uint8Array.from({ length: KEY_BYTES }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}
