/** The longest datagram, in bytes: it passes any path of IPv6's minimal MTU of 1,280 unfragmented (RFC 8200, 5). */
export const DATAGRAM_BYTES_MAX = 1200

/** Length of the transaction ids that we draw, in bytes: too long to be guessed while a call waits. */
export const TID_BYTES = 8

/** The longest transaction id of another implementation that we echo, in bytes. */
export const TID_BYTES_MAX = 20

/** Length of the network tag: the first bytes of the hash of the network's name. */
export const NETWORK_BYTES = 4

/**
 * What requests with long answers are padded to, in bytes: three times as many are a full datagram, so an
 * honest stranger's answer stays within the reflection limit.
 */
export const PADDED_REQUEST_BYTES = 400

/**
 * What FIND_VALUE requests are padded to, in bytes: then a stranger's answer may fill a datagram, as the longest
 * record needs, after what is kept back for a ping.
 */
export const PADDED_VALUE_REQUEST_BYTES = 424

/** The most keys of one TOKENS request: with them it fits a datagram, and so does its answer. */
export const TOKENS_KEYS_MAX = 32

/** How many times the bytes that an unproven address sent us we send it (as QUIC does, RFC 9000, 8.1). */
export const REFLECTION_FACTOR = 3

/** The longest encoded address, kind byte included. */
export const ADDRESS_BYTES_MAX = 64

/**
 * The longest write token of another implementation, in bytes: with it, the largest signed record, a 64-byte
 * salt and a compare-and-swap, a STORE still fits a datagram.
 */
export const TOKEN_BYTES_MAX = 32

/** The longest record, in bytes: a signed 880-byte value with a 64-byte salt. */
export const RECORD_BYTES_MAX = 1051

/** The longest name of an app's own method, in bytes of UTF-8. */
export const METHOD_NAME_BYTES_MAX = 32

/** The longest payload of an app's own request or reply, in bytes. */
export const PAYLOAD_BYTES_MAX = 1000

/** The longest text of an error reply, in UTF-16 units; longer ones are cut, here and when they come in. */
export const ERROR_TEXT_MAX = 100

/** The largest duration on the wire, in seconds: what four bytes hold. */
export const SECONDS_MAX = 0xffff_ffff
