// Checks of what an application hands to a node, so that a mistake shows at once and where it was made. What
// passes in either direction is copied: whoever changes an array afterwards changes only its own.

import { DhtError } from './errors.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import { ID_BYTES } from './keyspace/index.js'
import { VALUE_BYTES_MAX } from './records/index.js'
import { METHOD_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from './wire/index.js'

/** Options of every call that waits. */
export interface CallOptions {
  /** Ends the call at once, with the signal's reason, and cancels what it does. */
  readonly signal?: AbortSignal | undefined
}

/** A key or id, copied. */
export function mustBeKey(name: string, value: unknown): NodeId {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`)
  if (value.length !== ID_BYTES) throw new RangeError(`${name} must have ${ID_BYTES} bytes, not ${value.length}`)
  return new Uint8Array(value)
}

/** A value of one record, copied. */
export function mustBeValue(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('the value must be a Uint8Array')
  if (value.length > VALUE_BYTES_MAX) {
    throw new DhtError('ERR_VALUE_TOO_LARGE', `a value has at most ${VALUE_BYTES_MAX} bytes, this one ${value.length}`)
  }
  return new Uint8Array(value)
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

/** A contact for an application: only what a contact is, and its own. */
export function copyOfContact({ id, address }: Contact): Contact {
  return { id: new Uint8Array(id), address }
}

/** The options of a call. */
export function mustBeCallOptions(options: unknown): CallOptions {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null) throw new TypeError('the options must be an object')
  if (isSignal(options)) throw new TypeError('a signal is given as { signal }')
  const unknown = Object.keys(options).find((name) => name !== 'signal')
  if (unknown !== undefined) throw new TypeError(`there is no option ${unknown}`)
  const { signal } = options as CallOptions
  if (signal !== undefined && !isSignal(signal)) throw new TypeError('signal must be an AbortSignal')
  return { signal }
}

/** Told by its shape: a signal may be of another realm or library. */
function isSignal(value: unknown): value is AbortSignal {
  const given = value as Partial<AbortSignal> | null | undefined
  return typeof given?.aborted === 'boolean' && typeof given.addEventListener === 'function'
}
