/** The platform as the runtime provides it. Nothing here happens at import. */
import { hash } from '../keyspace/index.js'
import type { Clock } from './clock.js'
import type { NodeCrypto } from './ed25519.js'
import { nobleSignatures, nodeSignatures } from './ed25519.js'
import type { RandomBytes } from './random.js'
import type { Signatures } from './signatures.js'

/** The longest delay that `setTimeout` knows, in ms; a longer one would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The most that `crypto.getRandomValues` fills in one call, in bytes (Web Cryptography API, 10.1.1). */
const RANDOM_CALL_BYTES_MAX = 65_536

/** A call for 8 bytes takes 2.4 us, a share of the pool 0.1 us. */
const RANDOM_POOL_BYTES = 1_024

/** The longest request served from the pool, in bytes. */
const RANDOM_POOLED_BYTES_MAX = 64

/**
 * The runtime's clock.
 *
 * `wallNow` is the system's time at the start of the process plus the monotonic time since then: a clock that is
 * set meanwhile changes nothing. Where the monotonic clock stands still while the machine sleeps (Linux,
 * macOS), both do; expiries then come late by as much.
 *
 * `after` never calls back early by `now()`, takes NaN and negative delays as 0, and never calls back for Infinity.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const dueMs = performance.now() + (delayMs > 0 ? delayMs : 0)
    let timer: ReturnType<typeof setTimeout>
    const wait = (leftMs: number) => {
      timer = setTimeout(whenFired, Math.min(Math.ceil(leftMs), TIMER_MS_MAX))
      // A number in browsers; an object elsewhere, which would keep the process alive.
      if (typeof timer === 'object') timer.unref?.()
    }
    const whenFired = () => {
      // Timers count whole milliseconds of their own and may be a fraction early.
      const leftMs = dueMs - performance.now()
      if (leftMs > 0) wait(leftMs)
      else callback()
    }
    wait(dueMs - performance.now())
    return () => clearTimeout(timer)
  },
}

let pool: Uint8Array | undefined
let poolUsedBytes = 0

/**
 * Bytes from the runtime's cryptographic generator, in memory that nobody else sees.
 *
 * @throws RangeError when `length` is no whole number from 0 up
 */
export const systemRandomBytes: RandomBytes = (length) => {
  if (!Number.isSafeInteger(length) || length < 0) throw new RangeError('length must be a whole number of bytes')
  return length <= RANDOM_POOLED_BYTES_MAX ? fromPool(length) : fromGenerator(length)
}

function fromPool(length: number): Uint8Array {
  if (pool === undefined || poolUsedBytes + length > pool.length) {
    pool = fromGenerator(RANDOM_POOL_BYTES)
    poolUsedBytes = 0
  }
  const bytes = pool.slice(poolUsedBytes, poolUsedBytes + length)
  // Some become secret keys: no second copy stays behind.
  pool.fill(0, poolUsedBytes, poolUsedBytes + length)
  poolUsedBytes += length
  return bytes
}

function fromGenerator(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += RANDOM_CALL_BYTES_MAX) {
    globalThis.crypto.getRandomValues(bytes.subarray(at, at + RANDOM_CALL_BYTES_MAX))
  }
  return bytes
}

/** Ed25519 of node:crypto where the runtime has it and gets it right, of @noble/ed25519 elsewhere; chosen at the first use. */
export const systemSignatures: Signatures = {
  generate: (seed) => signatures().generate(seed),
  sign: (bytes, secretKey) => signatures().sign(bytes, secretKey),
  verify: (signature, bytes, publicKey) => signatures().verify(signature, bytes, publicKey),
}

let chosen: Signatures | undefined

function signatures(): Signatures {
  chosen ??= chooseSignatures()
  return chosen
}

/** Bundlers must not see an import of node:crypto; `getBuiltinModule` exists in Node from 20.16, Bun and Deno. */
function chooseSignatures(): Signatures {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } }
  const crypto = process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined
  if (crypto !== undefined) {
    const native = nodeSignatures(crypto, systemRandomBytes)
    if (works(native)) return native
  }
  return nobleSignatures(systemRandomBytes)
}

/** FIPS builds lack Ed25519, and polyfills of node:crypto lack parts of it. */
function works(candidate: Signatures): boolean {
  try {
    const message = hash(new Uint8Array(0))
    const { publicKey, secretKey } = candidate.generate(message)
    const signature = candidate.sign(message, secretKey)
    return candidate.verify(signature, message, publicKey) && !candidate.verify(signature, publicKey, publicKey)
  } catch {
    return false
  }
}
