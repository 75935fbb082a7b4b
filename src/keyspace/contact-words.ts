import { IdWords, wordAt } from './id-words.js'
import type { NodeId } from './node-id.js'
import { ID_BYTES } from './node-id.js'

/** An address of IPv4 as bytes: a kind byte, four of the host and two of the port. */
const IPV4_KIND = 4
const IPV4_BYTES = 7

/** What is in the bits of `rest`: the port, whether there is one, and what who extends {@link ContactWords} keeps. */
const PORT_MASK = 0xffff
const IS_IPV4 = 0x1_0000
const MORE_AT = 17

/**
 * An id, and beside it an address, where that is one of IPv4, as two numbers: a reply names twenty contacts, and to
 * find the bytes of each address by its text takes longer than all else that is done for that reply.
 */
export class ContactWords extends IdWords {
  /** The host of an address of IPv4 as a signed number, big-endian. */
  readonly host: number
  readonly rest: number

  /**
   * @param id - read once, so it may be a view into a datagram
   * @param encoded - the address as bytes, of whatever kind; read once
   * @param more - a number of 14 bits, kept in the room that a port leaves
   */
  constructor(id: NodeId, encoded: Uint8Array, more: number) {
    super(id)
    const isIpv4 = encoded[0] === IPV4_KIND && encoded.length === IPV4_BYTES
    const port = isIpv4 ? ((encoded[5] as number) << 8) | (encoded[6] as number) | IS_IPV4 : 0
    this.host = isIpv4 ? wordAt(encoded, 1) : 0
    this.rest = (more << MORE_AT) | port
  }

  /** Whether the address is one of IPv4: else {@link ContactWords.writeTo} can't write it. */
  get isIpv4(): boolean {
    return (this.rest & IS_IPV4) !== 0
  }

  /** What was given as `more`. */
  get more(): number {
    return this.rest >>> MORE_AT
  }

  /** Writes id and address: {@link IPV4_CONTACT_BYTES}. */
  writeTo(out: Uint8Array, at: number): void {
    this.writeId(out, at)
    const { host, rest } = this
    out[at + ID_BYTES] = IPV4_KIND
    out[at + ID_BYTES + 1] = host >>> 24
    out[at + ID_BYTES + 2] = host >>> 16
    out[at + ID_BYTES + 3] = host >>> 8
    out[at + ID_BYTES + 4] = host
    out[at + ID_BYTES + 5] = (rest & PORT_MASK) >> 8
    out[at + ID_BYTES + 6] = rest
  }
}

/** How many bytes an id and an address of IPv4 take. */
export const IPV4_CONTACT_BYTES: number = ID_BYTES + IPV4_BYTES
