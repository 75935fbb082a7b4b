import type { KeyPair } from './platform/signatures.js'
import { systemSignatures } from './platform/system.js'

/**
 * Makes an Ed25519 key pair (RFC 8032), for `publish` and `announce`.
 *
 * @param options - `seed`: 32 secret bytes; one seed gives one key pair, always the same
 * @throws TypeError or RangeError when the seed is not 32 bytes
 */
export function generateKeyPair(options: { readonly seed?: Uint8Array } = {}): KeyPair {
  const isOptions = typeof options === 'object' && options !== null
  // Else whoever forgets the braces gets a random pair, whose loss shows only in the next process.
  if (!isOptions || Object.keys(options).some((name) => name !== 'seed')) {
    throw new TypeError('generateKeyPair takes { seed }')
  }
  const { seed } = options
  if (seed !== undefined && !(seed instanceof Uint8Array)) throw new TypeError('seed must be a Uint8Array')
  if (seed !== undefined && seed.length !== 32) throw new RangeError('seed must have 32 bytes')
  return systemSignatures.generate(seed)
}

/** The 64-byte Ed25519 signature (RFC 8032) of the bytes, for record kinds of an application's own. */
export function sign(bytes: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return systemSignatures.sign(bytes, secretKey)
}

/** Whether an Ed25519 signature is valid; false for anything malformed. All nodes judge alike. */
export function verify(signature: Uint8Array, bytes: Uint8Array, publicKey: Uint8Array): boolean {
  return systemSignatures.verify(signature, bytes, publicKey)
}
