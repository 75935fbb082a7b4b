/** An Ed25519 key pair (RFC 8032). */
export interface KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The 32-byte seed that everything else follows from (RFC 8032, 5.1.5). Keep it secret. */
  readonly secretKey: Uint8Array
}

/**
 * Ed25519 signatures (RFC 8032). Synchronous, so that a record can be judged while its datagram is handled.
 *
 * All implementations accept exactly the same signatures: those that satisfy the equation without the cofactor,
 * with the right lengths, an S below the group order (5.1.7), points encoded canonically (5.1.3), and neither a
 * public key nor an R of small order, under which one signature would fit several messages.
 */
export interface Signatures {
  /** A new key pair; from a 32-byte `seed` always the same one. */
  generate(seed?: Uint8Array): KeyPair
  /** The 64-byte signature of the bytes. */
  sign(bytes: Uint8Array, secretKey: Uint8Array): Uint8Array
  /** Whether the signature is valid; false, never an exception, for anything malformed. */
  verify(signature: Uint8Array, bytes: Uint8Array, publicKey: Uint8Array): boolean
}
