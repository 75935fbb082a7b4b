import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'

/** SHA-256 of the bytes (FIPS 180-4): 32 bytes. */
export function hash(bytes: Uint8Array): Uint8Array {
  return sha256(bytes)
}

/** SHA-512 of the bytes (FIPS 180-4): 64 bytes. Only Ed25519 needs it; ids and keys are made with {@link hash}. */
export function hash512(bytes: Uint8Array): Uint8Array {
  return sha512(bytes)
}

/** HMAC-SHA-256 (RFC 2104) of the parts, one after the other: 32 bytes. */
export function keyedHash(secret: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = hmac.create(sha256, secret)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/**
 * The key of a name or of content: its SHA-256. For a value it is the key that `put` stores it under.
 *
 * @param input - bytes, or a string, which is hashed as UTF-8
 * @returns 32 bytes
 * @throws TypeError when `input` is neither
 */
export function keyOf(input: string | Uint8Array): Uint8Array {
  if (typeof input === 'string') return sha256(utf8ToBytes(input))
  if (input instanceof Uint8Array) return sha256(input)
  throw new TypeError('keyOf takes a string or a Uint8Array')
}
