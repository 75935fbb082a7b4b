// What a node's calls return.

import type { Address, Contact } from './keyspace/index.js'
import type { Costs } from './node/index.js'
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
  /** Under which key the value can be got: its SHA-256. */
  readonly key: Uint8Array
  /** Who stored it, nearest to the key first: at least one. */
  readonly storedAt: Contact[]
}

/** What `get` found. */
export interface GetResult extends Costs {
  /** The value, verified to belong to the key. */
  readonly value: Uint8Array
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
  request: { readonly from: Contact },
) => Uint8Array | undefined | Promise<Uint8Array | undefined>

/** Everything a node counts. */
export interface DhtStats extends RpcCounters {
  /** Whether the node is in its network, as far as it knows. */
  readonly isJoined: boolean
  /** Contacts in the routing table. */
  readonly contacts: number
  /** Calls that wait for their answers. */
  readonly pendingCalls: number
  /** Records in replies that did not belong to their key: never returned. */
  readonly invalidRecords: number
  /** What is kept for others. */
  readonly storage: {
    /** How many records. */
    readonly records: number
    /** What they take, as the store counts it. */
    readonly bytes: number
  }
  /** The transport's own counters. */
  readonly transport: Readonly<Record<string, number>>
}
