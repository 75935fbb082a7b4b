/**
 * Every way in which a call can fail that is not a wrong argument. The codes are stable: programs switch on
 * them, messages are for people. Each has a page: when it comes, what to do, and a program that provokes it.
 */
export type DhtErrorCode =
  /**
   * No bootstrap address and no known contact answered; the node stays open and goes on trying.
   * [More](../docs/errors/ERR_BOOTSTRAP_FAILED.md)
   */
  | 'ERR_BOOTSTRAP_FAILED'
  /** The routing table holds nobody to ask. [More](../docs/errors/ERR_NO_CONTACTS.md) */
  | 'ERR_NO_CONTACTS'
  /**
   * No node accepted the record; `cause` tells why the first of them refused.
   * [More](../docs/errors/ERR_NOT_STORED.md)
   */
  | 'ERR_NOT_STORED'
  /** A value is longer than can be stored, or than its reader takes. [More](../docs/errors/ERR_VALUE_TOO_LARGE.md) */
  | 'ERR_VALUE_TOO_LARGE'
  /**
   * A part of a value was not found, or nobody answered who could have it; `cause` tells which.
   * [More](../docs/errors/ERR_INCOMPLETE.md)
   */
  | 'ERR_INCOMPLETE'
  /**
   * The parts of a value don't fit together: whoever stored it made it so.
   * [More](../docs/errors/ERR_MALFORMED_VALUE.md)
   */
  | 'ERR_MALFORMED_VALUE'
  /**
   * A compare-and-swap found another sequence number than the expected one.
   * [More](../docs/errors/ERR_CAS_MISMATCH.md)
   */
  | 'ERR_CAS_MISMATCH'
  /** A holder has a record with a higher sequence number. [More](../docs/errors/ERR_SEQ_TOO_LOW.md) */
  | 'ERR_SEQ_TOO_LOW'
  /**
   * A holder has another record with the same sequence number, and that one wins.
   * [More](../docs/errors/ERR_SEQ_CONFLICT.md)
   */
  | 'ERR_SEQ_CONFLICT'
  /** The holder has no room for the record. [More](../docs/errors/ERR_STORE_FULL.md) */
  | 'ERR_STORE_FULL'
  /** The store can't be read or written; `cause` is what it failed with. [More](../docs/errors/ERR_STORE_FAILED.md) */
  | 'ERR_STORE_FAILED'
  /**
   * The holder is nearly full, and knows enough nodes that are nearer to the key.
   * [More](../docs/errors/ERR_TOO_FAR.md)
   */
  | 'ERR_TOO_FAR'
  /** The other side answers no further requests from this host for now. [More](../docs/errors/ERR_RATE_LIMITED.md) */
  | 'ERR_RATE_LIMITED'
  /** Too few answered in time to say anything. [More](../docs/errors/ERR_TIMEOUT.md) */
  | 'ERR_TIMEOUT'
  /** The other side answered with an error that has no code of its own here. [More](../docs/errors/ERR_REMOTE.md) */
  | 'ERR_REMOTE'
  /** The socket's address is taken. [More](../docs/errors/ERR_ADDRESS_IN_USE.md) */
  | 'ERR_ADDRESS_IN_USE'
  /** The transport could not start, for another reason than a taken address. [More](../docs/errors/ERR_TRANSPORT.md) */
  | 'ERR_TRANSPORT'
  /** A name has no address that the transport can send to. [More](../docs/errors/ERR_UNRESOLVED.md) */
  | 'ERR_UNRESOLVED'
  /** The node was not started yet. [More](../docs/errors/ERR_NOT_STARTED.md) */
  | 'ERR_NOT_STARTED'
  /** The node is closed. [More](../docs/errors/ERR_CLOSED.md) */
  | 'ERR_CLOSED'
  /** Bytes that are no message of this protocol. [More](../docs/errors/ERR_MALFORMED_MESSAGE.md) */
  | 'ERR_MALFORMED_MESSAGE'
  /** The other side does not speak this version of the protocol. [More](../docs/errors/ERR_UNKNOWN_VERSION.md) */
  | 'ERR_UNKNOWN_VERSION'
  /** The other side does not know the method. [More](../docs/errors/ERR_UNKNOWN_METHOD.md) */
  | 'ERR_UNKNOWN_METHOD'
  /**
   * The write token is not one that the holder gave to this host for this key, or too old.
   * [More](../docs/errors/ERR_BAD_TOKEN.md)
   */
  | 'ERR_BAD_TOKEN'
  /**
   * The record does not belong to its key, or is not of its kind's form.
   * [More](../docs/errors/ERR_INVALID_RECORD.md)
   */
  | 'ERR_INVALID_RECORD'
  /** Another node than the expected one answered at the address. [More](../docs/errors/ERR_WRONG_ID.md) */
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
