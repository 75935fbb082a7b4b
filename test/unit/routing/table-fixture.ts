import type { Contact } from '../../../src/keyspace/index.js'
import { ID_BYTES, idInRegion } from '../../../src/keyspace/index.js'
import type { AddressDescription } from '../../../src/platform/transport.js'
import type { RoutingTableOptions } from '../../../src/routing/index.js'
import { RoutingTable } from '../../../src/routing/index.js'

/** Our id in these tests: neither all zeros nor all ones, so that both branches of the tree are walked. */
export const OWN_ID: Uint8Array = Uint8Array.from({ length: ID_BYTES }, (_, i) => (0xa5 + 37 * i) & 0xff)

/** The `n`-th id (0..255) that shares exactly `sharedBits` leading bits with ours. */
export function idAt(sharedBits: number, n = 0): Uint8Array {
  const tail = new Uint8Array(ID_BYTES)
  tail[ID_BYTES - 1] = n
  return sharedBits === ID_BYTES * 8 ? new Uint8Array(OWN_ID) : idInRegion(OWN_ID, sharedBits, tail)
}

/** Addresses here are `network.host`; those of network 0 are private. */
export function describeAddress(address: string): AddressDescription {
  const [network, host] = address.split('.').map(Number) as [number, number]
  return {
    host: Uint8Array.of(network, host),
    group: Uint8Array.of(network),
    scope: network === 0 ? 'private' : 'public',
  }
}

/** A contact of region `sharedBits`, by default with a network of its own. */
export function contactAt(sharedBits: number, n: number, address = `${1 + sharedBits}${n}.1`): Contact {
  return { id: idAt(sharedBits, n), address }
}

/** A table with small limits, its clock and a record of what it reported. */
export function createTable(options: Partial<RoutingTableOptions> = {}): {
  table: RoutingTable
  clock: { nowMs: number }
  added: Contact[]
  removed: Contact[]
} {
  const clock = { nowMs: 1_000 }
  const added: Contact[] = []
  const removed: Contact[] = []
  const table = new RoutingTable({
    ownId: OWN_ID,
    k: 3,
    now: () => clock.nowMs,
    describe: describeAddress,
    failuresMax: 2,
    replacementsMax: 2,
    groupPerBucketMax: 2,
    groupPerTableMax: 4,
    limitedScopes: ['public'],
    onAdded: (contact) => added.push(contact),
    onRemoved: (contact) => removed.push(contact),
    ...options,
  })
  return { table, clock, added, removed }
}
