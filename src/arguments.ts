// Checks of what an application hands to a node, so that a mistake shows at once and where it was made. What
// passes in either direction is copied: whoever changes an array afterwards changes only its own.

import { DhtError } from './errors.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import { ID_BYTES, sameBytes } from './keyspace/index.js'
import type { LookupStep, Refused, StepListener, ValueProgress } from './node/index.js'
import type { KeyPair, Signatures } from './platform/signatures.js'
import { PEER_DATA_BYTES_MAX, SALT_BYTES_MAX, SEQ_MAX, VALUE_BYTES_MAX } from './records/index.js'
import { METHOD_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from './wire/index.js'

/** Options of every call that waits. */
export interface CallOptions {
  /** Ends the call at once, with the signal's reason, and cancels what it does. */
  readonly signal?: AbortSignal | undefined
}

/** Options of calls that store something. */
export interface StoreOptions extends CallOptions {
  /** How long holders are asked to keep it, in ms, 1 s to 48 h; the node's `valueLifetimeMs` by default. */
  readonly lifetimeMs?: number | undefined
  /** Whether this node stores it again by itself, at half of the lifetime, for as long as it is open; true by default. */
  readonly republish?: boolean | undefined
}

/** Options of `storeRecord`. */
export interface StoreRecordOptions extends StoreOptions {
  /**
   * How many holders must have stored it before the call returns, 1 to k; where there are fewer than k nodes, as large
   * a share of them. The others are stored at all the same, behind.
   *
   * @defaultValue three quarters of k: a slow or dead one of them keeps nobody waiting
   */
  readonly acknowledgements?: number | undefined
}

/** Called again and again while a value is stored or fetched. */
export type ProgressListener = (progress: ValueProgress) => void

/** Options of `put`. */
export interface PutOptions extends StoreRecordOptions {
  /** Told how much of the value enough holders have. */
  readonly onProgress?: ProgressListener | undefined
}

/** Options of `get`. */
export interface GetOptions extends CallOptions {
  /** Told how much of the value has come; first when its size is known. */
  readonly onProgress?: ProgressListener | undefined
}

/** Options of `findNode`. */
export interface FindNodeOptions extends CallOptions {
  /** Told of each node that was asked: what it brought, or that it failed, or that the lookup no longer waited for it. */
  readonly onStep?: StepListener | undefined
}

/** The names of {@link StoreOptions}, {@link StoreRecordOptions} and {@link PutOptions}, beside `signal`. */
export const STORE_OPTION_NAMES: readonly string[] = ['lifetimeMs', 'republish']
export const STORE_RECORD_OPTION_NAMES: readonly string[] = [...STORE_OPTION_NAMES, 'acknowledgements']
export const PUT_OPTION_NAMES: readonly string[] = [...STORE_RECORD_OPTION_NAMES, 'onProgress']

/** Options of `publish`. */
export interface PublishOptions extends StoreOptions {
  /** Tells apart the values of one key pair; at most 64 bytes, none by default. */
  readonly salt?: Uint8Array | undefined
  /** The sequence number, 1 to 2^64 - 1; by default one more than the highest that the network holds. */
  readonly seq?: bigint | undefined
  /** Compare-and-swap: publish only if this is the sequence number held now, 0 for nothing; undefined checks nothing. */
  readonly cas?: bigint | undefined
}

/** Options of `resolve`. */
export interface ResolveOptions extends CallOptions {
  /** The salt that it was published with; none by default. */
  readonly salt?: Uint8Array | undefined
}

/** Options of `announce`. */
export interface AnnounceOptions extends CallOptions {
  /** The port at which the peer is to be reached; by default the one that the DHT's datagrams come from. */
  readonly port?: number | undefined
  /** What others are told beside; at most 200 bytes. */
  readonly data?: Uint8Array | undefined
  /** Who announces itself; by default a key pair that this node makes up once. */
  readonly keys?: KeyPair | undefined
}

/** A key or id, copied. */
export function mustBeKey(name: string, value: unknown): NodeId {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`)
  if (value.length !== ID_BYTES) throw new RangeError(`${name} must have ${ID_BYTES} bytes, not ${value.length}`)
  return new Uint8Array(value)
}

/** A record of an application's own kind, copied. */
export function mustBeRecord(record: unknown, bytesMax: number): Uint8Array {
  if (!(record instanceof Uint8Array)) throw new TypeError('the record must be a Uint8Array')
  if (record.length > bytesMax) {
    throw new DhtError('ERR_VALUE_TOO_LARGE', `a record has at most ${bytesMax} bytes, this one ${record.length}`)
  }
  return new Uint8Array(record)
}

/**
 * A value, copied.
 *
 * @param bytesMax - what one record holds, unless it may be cut
 */
export function mustBeValue(value: unknown, bytesMax: number = VALUE_BYTES_MAX): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('the value must be a Uint8Array')
  if (value.length > bytesMax) {
    throw new DhtError('ERR_VALUE_TOO_LARGE', `a value has at most ${bytesMax} bytes, this one ${value.length}`)
  }
  return new Uint8Array(value)
}

/** Who is told of what happens, if anybody. What it throws is not the call's: it surfaces on its own. */
export function mustBeListener<T>(name: string, listener: ((event: T) => void) | undefined): (event: T) => void {
  if (listener === undefined) return () => {}
  if (typeof listener !== 'function') throw new TypeError(`${name} must be a function`)
  return (event) => {
    try {
      listener(event)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

/** A payload of an application's own message, copied. */
export function mustBePayload(payload: unknown): Uint8Array {
  if (!(payload instanceof Uint8Array)) throw new TypeError('the payload must be a Uint8Array')
  if (payload.length > PAYLOAD_BYTES_MAX) {
    throw new DhtError(
      'ERR_VALUE_TOO_LARGE',
      `a payload has at most ${PAYLOAD_BYTES_MAX} bytes, this one ${payload.length}`,
    )
  }
  return new Uint8Array(payload)
}

/** The name of an application's own method. */
export function mustBeMethodName(name: unknown): string {
  if (typeof name !== 'string') throw new TypeError('the method must be a string')
  if (name.length === 0 || new TextEncoder().encode(name).length > METHOD_NAME_BYTES_MAX) {
    throw new RangeError(`the method must have 1 to ${METHOD_NAME_BYTES_MAX} bytes`)
  }
  return name
}

/** A contact, or where to find one. */
export function mustBeCallee(to: unknown): Contact | Address {
  if (typeof to === 'string') return to
  if (typeof to !== 'object' || to === null) throw new TypeError('to must be an address or a contact')
  const { id, address } = to as Partial<Contact>
  if (typeof address !== 'string') throw new TypeError("the contact's address must be a string")
  return { id: mustBeKey("the contact's id", id), address }
}

/** A refusal for an application. */
export function copyOfRefusal(refusal: Refused): Refused {
  return { ...copyOfContact(refusal), error: refusal.error }
}

/** A step of a lookup for an application. */
export function copyOfStep({ contact, brought, ...step }: LookupStep): LookupStep {
  return { contact: copyOfContact(contact), ...step, brought: brought.map(copyOfContact) }
}

/** A contact for an application: only what a contact is, and its own. */
export function copyOfContact({ id, address }: Contact): Contact {
  return { id: new Uint8Array(id), address }
}

/**
 * The options of a call: that there are no others, and that `signal` is one. The rest is checked where it is used.
 *
 * @param names - those that there are beside `signal`
 */
export function mustBeCallOptions<T extends CallOptions>(options: T | undefined, names: readonly string[] = []): T {
  if (options === undefined) return {} as T
  if (typeof options !== 'object' || options === null) throw new TypeError('the options must be an object')
  if (isSignal(options)) throw new TypeError('a signal is given as { signal }')
  const unknown = Object.keys(options).find((name) => name !== 'signal' && !names.includes(name))
  if (unknown !== undefined) throw new TypeError(`there is no option ${unknown}`)
  if (options.signal !== undefined && !isSignal(options.signal)) throw new TypeError('signal must be an AbortSignal')
  return options
}

/** A key pair, copied. */
function mustBeKeyPair(keys: unknown): KeyPair {
  if (typeof keys !== 'object' || keys === null) throw new TypeError('keys must be a key pair')
  const { publicKey, secretKey } = keys as Partial<KeyPair>
  return { publicKey: mustBeKey('publicKey', publicKey), secretKey: mustBeKey('secretKey', secretKey) }
}

/** A key pair whose keys belong together, copied: else every holder would refuse what is signed with it. */
export function mustBeMatching(signatures: Signatures, keys: unknown): KeyPair {
  const pair = mustBeKeyPair(keys)
  if (!sameBytes(signatures.generate(pair.secretKey).publicKey, pair.publicKey)) {
    throw new TypeError('publicKey must be that of secretKey')
  }
  return pair
}

/** A salt, copied; none is an empty one. */
export function mustBeSalt(salt: unknown): Uint8Array {
  if (salt === undefined) return new Uint8Array(0)
  if (!(salt instanceof Uint8Array)) throw new TypeError('salt must be a Uint8Array')
  if (salt.length > SALT_BYTES_MAX) throw new RangeError(`salt must have at most ${SALT_BYTES_MAX} bytes`)
  return new Uint8Array(salt)
}

/** A sequence number, if there is one. */
export function mustBeSeq(name: string, seq: unknown, min: bigint): bigint | undefined {
  if (seq === undefined) return undefined
  if (typeof seq !== 'bigint') throw new TypeError(`${name} must be a bigint`)
  if (seq < min || seq > SEQ_MAX) throw new RangeError(`${name} must be from ${min} to 2^64 - 1`)
  return seq
}

/** A port, 0 for none. */
export function mustBePort(port: unknown): number {
  if (port === undefined) return 0
  if (typeof port !== 'number') throw new TypeError('port must be a number')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError('port must be an integer from 1 to 65535')
  }
  return port
}

/** What is announced beside a port, copied. */
export function mustBePeerData(data: unknown): Uint8Array {
  if (data === undefined) return new Uint8Array(0)
  if (!(data instanceof Uint8Array)) throw new TypeError('data must be a Uint8Array')
  if (data.length > PEER_DATA_BYTES_MAX) {
    throw new DhtError('ERR_VALUE_TOO_LARGE', `data has at most ${PEER_DATA_BYTES_MAX} bytes, this ${data.length}`)
  }
  return new Uint8Array(data)
}

/** How long something is to be kept, in ms. */
export function mustBeLifetime(lifetimeMs: unknown, maxMs: number): number | undefined {
  if (lifetimeMs === undefined) return undefined
  if (typeof lifetimeMs !== 'number') throw new TypeError('lifetimeMs must be a number')
  if (!(lifetimeMs >= 1000 && lifetimeMs <= maxMs)) throw new RangeError(`lifetimeMs must be from 1000 to ${maxMs}`)
  return lifetimeMs
}

/** How many of k holders must have stored something. */
export function mustBeAcknowledgements(acknowledgements: unknown, k: number): number | undefined {
  if (acknowledgements === undefined) return undefined
  if (typeof acknowledgements !== 'number') throw new TypeError('acknowledgements must be a number')
  if (!Number.isInteger(acknowledgements) || acknowledgements < 1 || acknowledgements > k) {
    throw new RangeError(`acknowledgements must be an integer from 1 to ${k}`)
  }
  return acknowledgements
}

/** Yes or no. */
export function mustBeFlag(name: string, flag: unknown): boolean | undefined {
  if (flag !== undefined && typeof flag !== 'boolean') throw new TypeError(`${name} must be true or false`)
  return flag
}

/** Told by its shape: a signal may be of another realm or library. */
function isSignal(value: unknown): value is AbortSignal {
  const given = value as Partial<AbortSignal> | null | undefined
  return typeof given?.aborted === 'boolean' && typeof given.addEventListener === 'function'
}
