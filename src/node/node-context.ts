import type { Address, NodeId } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { AddressScope, Transport } from '../platform/transport.js'
import type { RoutingTable, TableEntry } from '../routing/index.js'
import type { Rpc } from '../rpc/index.js'
import type { RecordStore } from '../storage/index.js'
import type { ContactPacker } from '../wire/index.js'

/** What the parts of a node share. Each takes of it what it needs. */
export interface NodeContext {
  readonly id: NodeId
  readonly config: NodeConfig
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly transport: Transport
  readonly table: RoutingTable
  readonly rpc: Rpc
  readonly store: RecordStore
  readonly packer: ContactPacker
  readonly counters: NodeCounters
  /** Whether the last calls to an address went unanswered: whoever names it may not know yet that it is dead. */
  isSilent(address: Address): boolean
  /** Asks a contact of the table for a sign of life; it leaves when it gives none. */
  verify(entry: TableEntry): void
}

/** What a node counts beside its calls and requests. */
export interface NodeCounters {
  /** Records in replies that did not belong to their key: never returned. */
  invalidRecords: number
}

/** What the parts of a node are told; `options.ts` has the defaults and their reasons. */
export interface NodeConfig {
  readonly k: number
  readonly alpha: number
  readonly client: boolean
  readonly bootstrap: readonly string[]
  readonly bootstrapRetryMinMs: number
  readonly bootstrapRetryMaxMs: number
  readonly refreshIntervalMs: number
  readonly expiryIntervalMs: number
  readonly verifiedWithinMs: number
  readonly fullBucketCheckIntervalMs: number
  readonly tokenLifetimeMs: number
  readonly valueLifetimeMs: number
  readonly valueLifetimeMaxMs: number
  readonly limitedScopes: readonly AddressScope[]
}
