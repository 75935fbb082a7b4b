import type { Address, Contact } from '../keyspace/index.js'
import type { AddressScope, Transport } from '../platform/transport.js'
import type { RoutingTable, TableEntry } from '../routing/index.js'
import type { IncomingRequest } from '../rpc/index.js'
import { ADDRESS_KIND_IPV4, ADDRESS_KIND_IPV6, Flag } from '../wire/index.js'

const REACH: Readonly<Record<AddressScope, number>> = { loopback: 0, private: 1, public: 2 }

/**
 * Tells whether an address means anything to a node that is seen at `peer`: a public node can't use our loopback
 * or private addresses, and what it tells of its own would make us probe our own network.
 */
export function isWithinReachOf(transport: Transport, peer: Address): (address: Address) => boolean {
  const least = REACH[transport.describe(peer).scope]
  return (address) => REACH[transport.describe(address).scope] >= least
}

/** Tells which contacts a requester can use: of a family that it speaks, and within its reach. */
export function usableBy(transport: Transport, { from, flags }: IncomingRequest): (contact: Contact) => boolean {
  const isWithinReach = isWithinReachOf(transport, from.address)
  const speaksAll = (flags & (Flag.ipv4 | Flag.ipv6)) === (Flag.ipv4 | Flag.ipv6)
  return ({ address }) => {
    if (address === from.address || !isWithinReach(address)) return false
    if (speaksAll) return true
    const kind = transport.encodeAddress(address)[0]
    if (kind === ADDRESS_KIND_IPV4) return (flags & Flag.ipv4) !== 0
    if (kind === ADDRESS_KIND_IPV6) return (flags & Flag.ipv6) !== 0
    return true
  }
}

/** As {@link usableBy}, for the entries of a table, which know most of it by themselves. */
export function usableEntriesFor(
  transport: Transport,
  table: RoutingTable,
  request: IncomingRequest,
): (entry: TableEntry) => boolean {
  const speaksIpv4 = (request.flags & Flag.ipv4) !== 0
  const least = REACH[transport.describe(request.from.address).scope]
  const asker = table.at(request.from.address)
  let isUsable: ((contact: Contact) => boolean) | undefined
  return (entry) => {
    if (entry.isIpv4) return speaksIpv4 && entry !== asker && (least === 0 || REACH[entry.scope] >= least)
    isUsable ??= usableBy(transport, request)
    return isUsable(entry)
  }
}

/** The contacts of a reply that are worth asking: within reach of who told them. */
export function worthAsking(transport: Transport, contacts: readonly Contact[], teller: Address): Contact[] {
  const isWithinReach = isWithinReachOf(transport, teller)
  return contacts.filter(({ address }) => isWithinReach(address))
}
