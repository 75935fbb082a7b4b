import type { Contact } from '../keyspace/index.js'

/**
 * A contact in the routing table. It is a live view to read only: the last two fields change as the contact
 * answers or fails. Its `id` and `address` never do: a contact that moves gets a new entry.
 */
export interface TableEntry extends Contact {
  /** When it first answered us, in milliseconds of the table's clock. */
  readonly firstSeenMs: number
  /** When it last answered us, in milliseconds of the table's clock. */
  readonly lastSeenMs: number
  /** How many calls to it failed since it last answered. */
  readonly failures: number
}

/** What the table itself keeps of a contact, whether it is in or waits. */
export interface Entry extends TableEntry {
  lastSeenMs: number
  failures: number
  /** When the last failure was counted, in milliseconds of the table's clock. */
  lastFailedMs: number
  /** How many leading bits its id shares with ours. */
  readonly bucket: number
  /** The network that it counts towards, as a map's key; `undefined` where no limit applies. */
  readonly group: string | undefined
}
