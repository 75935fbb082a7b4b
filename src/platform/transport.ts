import type { Address } from '../keyspace/index.js'

export type { Address }

/** How far an address reaches. */
export type AddressScope = 'loopback' | 'private' | 'public'

/** What the node may know about an address without reading it. */
export interface AddressDescription {
  /** The host without its port, in the transport's compact form: what a write token is bound to. */
  readonly host: Uint8Array
  /** The network that the host belongs to, the /24 of IPv4 or the /64 of IPv6: what diversity limits count. */
  readonly group: Uint8Array
  /** How far the address reaches: limits by address apply to public ones. */
  readonly scope: AddressScope
}

/**
 * Best-effort datagrams: they get lost, doubled, reordered, delayed and forged, and never split or joined.
 * `transportConformance` of `xorbit/testing` checks an implementation.
 */
export interface Transport {
  /** The longest datagram that `send` takes, in bytes; at least 1,200. */
  readonly maxDatagramBytes: number

  /**
   * Opens the transport. `onDatagram` is never called before the promise settled, nor after `close`; the
   * bytes are the receiver's to read until it returns, to keep it must copy them.
   *
   * @returns the address that it listens at
   * @throws DhtError `ERR_ADDRESS_IN_USE` when the address is taken, `ERR_TRANSPORT` when it can't be used
   */
  start(onDatagram: (from: Address, bytes: Uint8Array) => void): Promise<Address>

  /**
   * Sends one datagram and forgets it. Never throws for what the network does, nor before `start`, nor after
   * `close`; `bytes` are the transport's from then on.
   */
  send(to: Address, bytes: Uint8Array): void

  /**
   * An address as bytes: a kind byte (4, 6, or 16 and up with a length byte) and its compact form, at most 64 bytes.
   * Who gets them only reads them, so they may be kept for the next time.
   */
  encodeAddress(address: Address): Uint8Array

  /**
   * Reads what {@link Transport.encodeAddress} wrote.
   *
   * @throws Error on bytes that are no address that could be sent to
   */
  decodeAddress(bytes: Uint8Array): Address

  /**
   * Finds the addresses of a place that a user named, `host:port`, DNS names included.
   *
   * @returns none when the name does not resolve
   * @throws TypeError when the name can't be read
   * @throws `signal.reason` when aborted
   */
  resolve(name: string, options?: { signal?: AbortSignal }): Promise<Address[]>

  /** What may be known about an address; throws on one that is not the transport's. */
  describe(address: Address): AddressDescription

  /** Closes the transport; idempotent, and settles when nothing of it is left. */
  close(): Promise<void>

  /** Counters of what the network did to it, by reason; shown by `dht.stats()`. */
  stats?(): Readonly<Record<string, number>>
}
