import type { Address, Contact } from '../keyspace/index.js'
import { ContactWords } from '../keyspace/index.js'
import type { AddressScope } from '../platform/transport.js'

/**
 * A contact in the routing table. It is a live view to read only: the last two fields change as the contact
 * answers or fails. Its `id` and `address` never do: a contact that moves gets a new entry. Its `id` is
 * made anew for each reader, and is not among what `...` copies: whoever needs more than a look takes id and address.
 */
export interface TableEntry extends Contact {
  /** When it last answered us, in whole milliseconds of the table's clock. */
  readonly lastSeenMs: number
  /** How many calls to it failed since it last answered. */
  readonly failures: number
  /** How far its address reaches. */
  readonly scope: AddressScope
  /** Whether its address is one of IPv4. */
  readonly isIpv4: boolean
}

/** By the number that an entry keeps of its scope. */
const SCOPES: readonly AddressScope[] = ['loopback', 'private', 'public']
const SCOPE_MASK = 3
const BUCKET_AT = 2

/** A network as a number or, where its bytes are not four, as a string: equal for one network. */
export type Group = number | string

/** What the table itself keeps of a contact, whether it is in or waits: 144 bytes, as there are hundreds. */
export class Entry extends ContactWords implements TableEntry {
  // First what a reply reads of twenty entries, so that it is near the id in memory.
  readonly address: Address
  failures = 0
  lastSeenMs: number
  /** The network that it counts towards; `undefined` where no limit applies. */
  readonly group: Group | undefined
  /** When the last failure was counted, in milliseconds of the table's clock. */
  lastFailedMs: number | undefined = undefined

  /**
   * One that has just answered.
   *
   * @param contact - copied, so its id may be a view into a datagram
   * @param encoded - its address as bytes
   */
  constructor(
    { id, address }: Contact,
    bucket: number,
    group: Group | undefined,
    nowMs: number,
    encoded: Uint8Array,
    scope: AddressScope,
  ) {
    super(id, encoded, (bucket << BUCKET_AT) | SCOPES.indexOf(scope))
    this.address = address
    this.group = group
    this.lastSeenMs = Math.floor(nowMs)
  }

  /** How many leading bits its id shares with ours. */
  get bucket(): number {
    return this.more >> BUCKET_AT
  }

  get scope(): AddressScope {
    return SCOPES[this.more & SCOPE_MASK] as AddressScope
  }

  /** Takes note that it answered. */
  seen(nowMs: number): void {
    // A whole number is kept inside the object, another one in a box of its own.
    this.lastSeenMs = Math.floor(nowMs)
    this.failures = 0
  }
}
