// What a node's calls return.

import type { CallOptions } from './arguments.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import type { Costs, NodeCounters, Refused } from './node/index.js'
import type { RpcCounters } from './rpc/index.js'

/** What `start` found. */
export interface Started {
  /** Where the node listens. */
  readonly address: Address
  /** How many contacts the routing table holds. */
  readonly contacts: number
  /** How long joining took, in ms. */
  readonly elapsedMs: number
}

/** What `put` did. */
export interface PutResult extends Costs {
  /** Under which key the value can be got: its SHA-256, or that of the tree which names its parts. */
  readonly key: Uint8Array
  /** Of how many records it is made: 1 up to 880 bytes. `storedAt` and `refused` are those of the one with the key. */
  readonly parts: number
  /** How many holders the record with the fewest had by then. */
  readonly replicasMin: number
  /** Who stored it, nearest to the key first: at least one. */
  readonly storedAt: Contact[]
  /** Who did not, and why: a refusal with its code, or `ERR_TIMEOUT`. */
  readonly refused: Refused[]
}

/** What `get` found. */
export interface GetResult extends Costs {
  /** The value, verified to belong to the key. */
  readonly value: Uint8Array
  /** Of how many records it was made. */
  readonly parts: number
}

/** What `publish` did. */
export interface PublishResult extends Costs {
  /** Under which key it is stored: SHA-256 of public key and salt. */
  readonly key: Uint8Array
  /** The sequence number that it got. */
  readonly seq: bigint
  /** Who stored it, nearest to the key first: at least one. */
  readonly storedAt: Contact[]
  /** Who did not, and why: a refusal with its code, or `ERR_TIMEOUT`. */
  readonly refused: Refused[]
}

/** What `resolve` found. */
export interface ResolveResult extends Costs {
  /** The value, signed by the key that was asked for. */
  readonly value: Uint8Array
  /** Its sequence number, the highest among the holders that answered. */
  readonly seq: bigint
}

/** What `storeRecord` did. */
export interface StoreRecordResult extends Costs {
  /** Who stored it, nearest to the key first: at least one. */
  readonly storedAt: Contact[]
  /** Who did not, and why: a refusal with its code, or `ERR_TIMEOUT`. */
  readonly refused: Refused[]
}

/** What `findRecords` found. */
export interface FindRecordsResult extends Costs {
  /** One for each slot, merged from all that the k nearest hold; none where there are none. */
  readonly records: Uint8Array[]
}

/** What stopping an announcement did. */
export interface StopResult {
  /** Who has forgotten the peer. */
  readonly removedAt: Contact[]
}

/** A peer that is announced until it is stopped. */
export interface Announcement extends Costs {
  /** Under which topic. */
  readonly topic: Uint8Array
  /** Who announces itself: what `locate` gives to others. */
  readonly publicKey: Uint8Array
  /** Who stored it at first, nearest to the topic first: at least one. */
  readonly storedAt: Contact[]
  /** Who did not, and why. */
  readonly refused: Refused[]
  /**
   * Ends the renewal, and has the holders forget the peer. Idempotent.
   * A holder that does not answer names it until it expires.
   */
  stop(options?: CallOptions): Promise<StopResult>
}

/** What `findNode` found. */
export interface FindNodeResult extends Costs {
  /** The nearest nodes that answered, at most k, nearest first. */
  readonly closest: Contact[]
}

/** What `ping` learned. */
export interface PingResult extends Contact {
  /** From the call to the answer, in ms. */
  readonly elapsedMs: number
}

/** Answers an application's own message. What it throws becomes `ERR_REMOTE` at the requester. */
export type AppHandler = (
  payload: Uint8Array,
  request: {
    readonly from: Contact
    /** Of a query: the point that its asker looks for. */
    readonly target?: NodeId
  },
) => Uint8Array | undefined | Promise<Uint8Array | undefined>

/** Everything a node counts. */
export interface DhtStats extends RpcCounters, NodeCounters {
  /** Whether the node is in its network, as far as it knows. */
  readonly isJoined: boolean
  /** Contacts in the routing table. */
  readonly contacts: number
  /** Calls that wait for their answers. */
  readonly pendingCalls: number
  /** What was put or published, and is stored again by itself. */
  readonly publications: number
  /** What is kept for others. */
  readonly storage: {
    /** How many records. */
    readonly records: number
    /** What they take, as the store counts it. */
    readonly bytes: number
    /** How full it is, 0 to 1. */
    readonly fill: number
  }
  /** The transport's own counters. */
  readonly transport: Readonly<Record<string, number>>
}
