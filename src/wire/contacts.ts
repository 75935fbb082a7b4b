import type { Contact } from '../keyspace/index.js'
import { ContactWords, ID_BYTES, IPV4_CONTACT_BYTES } from '../keyspace/index.js'
import type { Transport } from '../platform/transport.js'
import { ADDRESS_BYTES_MAX } from './limits.js'
import { Flag } from './message.js'
import { takeBytes } from './slab.js'

/** Kind byte of an encoded IPv4 address: 4 bytes of host and 2 of port follow. */
export const ADDRESS_KIND_IPV4 = 4

/** Kind byte of an encoded IPv6 address: 16 bytes of host and 2 of port follow. */
export const ADDRESS_KIND_IPV6 = 6

/** From this kind byte on, a length byte follows. */
const ADDRESS_KIND_WITH_LENGTH = 16

/** Contacts to packed bytes and back: for each its id, then its encoded address. */
export interface ContactPacker {
  /** Packs as many of the contacts, in their order, as fit into `roomBytes`. */
  pack(contacts: readonly Contact[], roomBytes: number): { bytes: Uint8Array; count: number }
  /**
   * Reads at most `countMax` contacts. One with an address that the transport can't use is skipped, though it
   * counts; from an address of unknown length on, nothing can be read.
   *
   * @param known - leaves out the contacts whose id, which begins at `at`, it knows, though they count too
   */
  unpack(
    bytes: Uint8Array,
    countMax: number,
    known?: { knows(bytes: Uint8Array, at: number): boolean },
  ): { contacts: Contact[]; count: number }
}

/** How many bytes the encoded address at `at` takes, kind byte included; undefined where that can't be known. */
function addressBytesAt(bytes: Uint8Array, at: number): number | undefined {
  const kind = bytes[at]
  if (kind === ADDRESS_KIND_IPV4) return 7
  if (kind === ADDRESS_KIND_IPV6) return 19
  if (kind === undefined || kind < ADDRESS_KIND_WITH_LENGTH) return undefined
  const following = bytes[at + 1]
  if (following === undefined || following + 2 > ADDRESS_BYTES_MAX) return undefined
  return following + 2
}

/** Whether a contact has its bytes at hand, as those of the routing table do. */
function isWritten(contact: Contact): contact is Contact & ContactWords {
  return contact instanceof ContactWords && contact.isIpv4
}

/** A packer for the addresses of one transport. */
export function createContactPacker(transport: Pick<Transport, 'encodeAddress' | 'decodeAddress'>): ContactPacker {
  return {
    pack(contacts, roomBytes) {
      // Of those that don't write themselves: mostly there are none.
      let addresses: Uint8Array[] | undefined
      let length = 0
      let count = 0
      for (const contact of contacts) {
        const address = isWritten(contact) ? undefined : transport.encodeAddress(contact.address)
        const bytes = address === undefined ? IPV4_CONTACT_BYTES : ID_BYTES + address.length
        if (length + bytes > roomBytes) break
        length += bytes
        count++
        if (address !== undefined) {
          addresses ??= []
          addresses.push(address)
        }
      }
      const bytes = takeBytes(length)
      let at = 0
      let addressAt = 0
      for (let i = 0; i < count; i++) {
        const contact = contacts[i] as Contact
        if (isWritten(contact)) {
          contact.writeTo(bytes, at)
          at += IPV4_CONTACT_BYTES
        } else {
          const address = addresses?.[addressAt++] as Uint8Array
          bytes.set(contact.id, at)
          bytes.set(address, at + ID_BYTES)
          at += ID_BYTES + address.length
        }
      }
      return { bytes, count }
    },

    unpack(bytes, countMax, known) {
      const contacts: Contact[] = []
      let count = 0
      let at = 0
      while (at + ID_BYTES < bytes.length && count < countMax) {
        const length = addressBytesAt(bytes, at + ID_BYTES)
        if (length === undefined || at + ID_BYTES + length > bytes.length) break
        const end = at + ID_BYTES + length
        count++
        if (known?.knows(bytes, at)) {
          at = end
          continue
        }
        try {
          const address = transport.decodeAddress(bytes.subarray(at + ID_BYTES, end))
          contacts.push({ id: bytes.slice(at, at + ID_BYTES), address })
        } catch {
          // The sender knows kinds of address that we can't send to; the others of its contacts still count.
        }
        at = end
      }
      return { contacts, count }
    },
  }
}

/** The flags that tell which contacts a node with this transport can use. */
export function familyFlags(transport: Pick<Transport, 'decodeAddress'>): number {
  // Addresses for documentation (RFC 5737, RFC 3849): a transport that can't send there says so.
  const ipv4 = Uint8Array.of(ADDRESS_KIND_IPV4, 192, 0, 2, 1, 0, 9)
  const ipv6 = Uint8Array.of(ADDRESS_KIND_IPV6, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9)
  const isUsable = (address: Uint8Array): boolean => {
    try {
      transport.decodeAddress(address)
      return true
    } catch {
      return false
    }
  }
  return (isUsable(ipv4) ? Flag.ipv4 : 0) | (isUsable(ipv6) ? Flag.ipv6 : 0)
}
