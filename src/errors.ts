/**
 * Every way in which a call can fail that is not a wrong argument. The codes are stable: programs switch on
 * them, messages are for people.
 */
export type DhtErrorCode =
  /** No bootstrap address and no known contact answered; the node stays open and goes on trying. */
  | 'ERR_BOOTSTRAP_FAILED'
  /** The routing table holds nobody to ask. */
  | 'ERR_NO_CONTACTS'
  /** No node accepted the record; `cause` tells why the first of them refused. */
  | 'ERR_NOT_STORED'
  /** A value is longer than can be stored, or than its reader takes. */
  | 'ERR_VALUE_TOO_LARGE'
  /** A part of a value was not found, or nobody answered who could have it; `cause` tells which. */
  | 'ERR_INCOMPLETE'
  /** The parts of a value don't fit together: whoever stored it made it so. */
  | 'ERR_MALFORMED_VALUE'
  /** A compare-and-swap found another sequence number than the expected one. */
  | 'ERR_CAS_MISMATCH'
  /** A holder has a record with a higher sequence number. */
  | 'ERR_SEQ_TOO_LOW'
  /** A holder has another record with the same sequence number, and that one wins. */
  | 'ERR_SEQ_CONFLICT'
  /** The holder has no room for the record. */
  | 'ERR_STORE_FULL'
  /** The store can't be read or written; `cause` is what it failed with. */
  | 'ERR_STORE_FAILED'
  /** The holder is nearly full, and knows enough nodes that are nearer to the key. */
  | 'ERR_TOO_FAR'
  /** The other side answers no further requests from this host for now. */
  | 'ERR_RATE_LIMITED'
  /** Too few answered in time to say anything. */
  | 'ERR_TIMEOUT'
  /** The other side answered with an error that has no code of its own here. */
  | 'ERR_REMOTE'
  /** The socket's address is taken. */
  | 'ERR_ADDRESS_IN_USE'
  /** The transport could not start, for another reason than a taken address. */
  | 'ERR_TRANSPORT'
  /** A name has no address that the transport can send to. */
  | 'ERR_UNRESOLVED'
  /** The node was not started yet. */
  | 'ERR_NOT_STARTED'
  /** The node is closed. */
  | 'ERR_CLOSED'
  /** Bytes that are no message of this protocol. */
  | 'ERR_MALFORMED_MESSAGE'
  /** The other side does not speak this version of the protocol. */
  | 'ERR_UNKNOWN_VERSION'
  /** The other side does not know the method. */
  | 'ERR_UNKNOWN_METHOD'
  /** The write token is not one that the holder gave to this host for this key, or too old. */
  | 'ERR_BAD_TOKEN'
  /** The record does not belong to its key, or is not of its kind's form. */
  | 'ERR_INVALID_RECORD'
  /** Another node than the expected one answered at the address. */
  | 'ERR_WRONG_ID'

/**
 * The one class of failure that xorbit reports; a wrong argument is a `TypeError` or `RangeError` instead.
 *
 * @example
 * ```ts
 * try {
 *   await dht.put(bytes)
 * } catch (error) {
 *   if (error instanceof DhtError && error.code === 'ERR_NO_CONTACTS') retryLater()
 *   else throw error
 * }
 * ```
 */
export class DhtError extends Error {
  /** The stable code that programs switch on. */
  readonly code: DhtErrorCode

  constructor(code: DhtErrorCode, message: string, options?: { cause?: unknown }) {
    // Without a cause there is to be no property `cause` either: it would be printed.
    super(message, options?.cause === undefined ? undefined : options)
    this.name = 'DhtError'
    this.code = code
  }
}
