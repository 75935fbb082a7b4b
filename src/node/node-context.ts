import type { Address, Contact, NodeId } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { Signatures } from '../platform/signatures.js'
import type { AddressScope, Transport } from '../platform/transport.js'
import type { RecordKind } from '../records/index.js'
import type { RoutingTable, TableEntry } from '../routing/index.js'
import type { Rpc } from '../rpc/index.js'
import type { RecordStore } from '../storage/index.js'
import type { ContactPacker } from '../wire/index.js'
import type { FoundRecord } from './get-record.js'
import type { Shared } from './shared.js'
import type { Turns } from './turns.js'

/** What the parts of a node share. Each takes of it what it needs. */
export interface NodeContext {
  readonly id: NodeId
  readonly config: NodeConfig
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly signatures: Signatures
  readonly transport: Transport
  readonly table: RoutingTable
  readonly rpc: Rpc
  readonly store: RecordStore
  /** Keeps apart those who read and write the records of one key. */
  readonly turns: Turns
  /** The lookups for a first record that are under way. */
  readonly gets: Shared<FoundRecord>
  /** What may be stored, by code. */
  readonly kinds: ReadonlyMap<number, RecordKind>
  /** The first bytes of the hash of the network's name, which signatures are bound to. */
  readonly network: Uint8Array
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
  /** Lookups begun, of whatever sort. */
  lookups: number
  /** STORE requests sent to pass on what others stored: repair, hand-off, read repair and caching. */
  passedOn: number
  /** STORE requests sent to store again what the application published. */
  republished: number
  /** How often the node's own state (id, key, contacts) could not be kept in the store. */
  saveFailures: number
}

/** What the parts of a node are told; `options.ts` has the defaults and their reasons. */
export interface NodeConfig {
  readonly k: number
  readonly alpha: number
  readonly acknowledgements: number
  readonly disjointPaths: number
  readonly client: boolean
  readonly bootstrap: readonly string[]
  readonly contacts: readonly Contact[]
  readonly bootstrapRetryMinMs: number
  readonly bootstrapRetryMaxMs: number
  readonly explorePauseMs: number
  readonly refreshIntervalMs: number
  readonly expiryIntervalMs: number
  readonly verifiedWithinMs: number
  readonly fullBucketCheckIntervalMs: number
  readonly tokenLifetimeMs: number
  readonly valueLifetimeMs: number
  readonly valueLifetimeMaxMs: number
  readonly peerLifetimeMs: number
  readonly repair: boolean
  readonly repairIntervalMs: number
  readonly handOffDelayMs: number
  readonly cachedLifetimeMaxMs: number
  readonly nearlyFull: number
  readonly publicationsMax: number
  readonly limitedScopes: readonly AddressScope[]
}
