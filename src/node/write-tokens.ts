import type { Address, NodeId } from '../keyspace/index.js'
import { keyedHash } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { Transport } from '../platform/transport.js'

const TOKEN_BYTES = 8
const SECRET_BYTES = 32

/** What {@link WriteTokens} needs. */
export interface WriteTokensConfig {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly transport: Pick<Transport, 'describe'>
  /** After how long the secret changes, in ms; a token holds for one to two times as long. */
  readonly tokenLifetimeMs: number
}

/**
 * Write tokens (BEP 5's idea, bound to the key as well): only who received our answer for this key at this host
 * may store under it, so no forged sender address can fill our store. Nothing is kept for a token given out.
 */
export class WriteTokens {
  readonly #config: WriteTokensConfig
  #current: Uint8Array
  #previous: Uint8Array
  #currentSinceMs: number

  constructor(config: WriteTokensConfig) {
    this.#config = config
    this.#current = config.randomBytes(SECRET_BYTES)
    this.#previous = config.randomBytes(SECRET_BYTES)
    this.#currentSinceMs = config.clock.now()
  }

  /** The token for a host and a key: 8 bytes. */
  issue(to: Address, key: NodeId): Uint8Array {
    this.#rotate()
    return this.#token(this.#current, to, key)
  }

  /** Whether the token was given to this host for this key, and not too long ago. */
  isValid(token: Uint8Array, from: Address, key: NodeId): boolean {
    this.#rotate()
    return isSame(token, this.#token(this.#current, from, key)) || isSame(token, this.#token(this.#previous, from, key))
  }

  #token(secret: Uint8Array, address: Address, key: NodeId): Uint8Array {
    const { host } = this.#config.transport.describe(address)
    return keyedHash(secret, host, key).slice(0, TOKEN_BYTES)
  }

  #rotate(): void {
    const { clock, randomBytes, tokenLifetimeMs } = this.#config
    const due = Math.floor((clock.now() - this.#currentSinceMs) / tokenLifetimeMs)
    if (due < 1) return
    this.#previous = due === 1 ? this.#current : randomBytes(SECRET_BYTES)
    this.#current = randomBytes(SECRET_BYTES)
    // From when it was due, not from now: else a node that was idle would accept the old secret for longer.
    this.#currentSinceMs += due * tokenLifetimeMs
  }
}

/** Compares without telling by its duration how many bytes were right. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}
