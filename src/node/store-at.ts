import type { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { STORE } from '../wire/index.js'
import type { Refusal } from './copies.js'
import { keepRecord, nodesBetween, turnOf } from './copies.js'
import type { NodeContext } from './node-context.js'
import { OURSELVES } from './sources.js'

/** A record on its way to its holders. */
export interface RecordToStore {
  readonly key: NodeId
  readonly kind: RecordKind
  readonly lifetimeMs: number
  /** Only holders whose record has this sequence number are to take it. */
  readonly cas?: bigint | undefined
  /** Whether it is a copy that we leave on our way. */
  readonly isCached?: boolean
}

/** A holder, its token, and the record that it is to get. */
export interface StoreTarget {
  readonly contact: Contact
  readonly token: Uint8Array
  readonly record: Uint8Array
}

/** What a holder said to a STORE; without `error` it stored. */
export interface StoreReply {
  readonly contact: Contact
  readonly error: DhtError | undefined
}

const IGNORE = (): void => {}

/** Sends one STORE. */
export function storeOne(
  node: NodeContext,
  { key, kind, lifetimeMs, cas, isCached = false }: RecordToStore,
  { contact, token, record }: StoreTarget,
  sent: () => void,
  done: (error: DhtError | undefined) => void,
): () => void {
  // Rounded down: what passes from holder to holder must not grow older than it was meant to.
  const ttlSeconds = Math.max(1, Math.floor(lifetimeMs / 1000))
  const params = { key, kind: kind.code, token, record, ttlSeconds, cas, isCached }
  return node.rpc.call(STORE, contact, params, { sent, done: (error) => done(error) })
}

/**
 * Sends a STORE to each of the targets.
 *
 * @param done - called once, when all have answered or failed; the replies in the order of the targets
 * @returns cancels it; what was stored by then stays
 */
export function storeAt(
  node: NodeContext,
  storing: RecordToStore,
  targets: readonly StoreTarget[],
  done: (replies: StoreReply[], messages: number) => void,
): () => void {
  const replies = targets.map(({ contact }): StoreReply => ({ contact, error: undefined }))
  let messages = 0
  let open = targets.length
  const sent = (): void => {
    messages++
  }
  if (open === 0) {
    done([], 0)
    return IGNORE
  }
  const cancels = targets.map((target, i) =>
    storeOne(node, storing, target, sent, (error) => {
      replies[i] = { contact: target.contact, error }
      if (--open === 0) done(replies, messages)
    }),
  )
  return () => {
    for (const cancel of cancels) cancel()
  }
}

/**
 * Others will look for the record here too when we are one of the k nearest, so we keep it as well. A failing
 * store costs only this copy.
 *
 * @param done - called with why it was refused, where it was
 */
export function keepOwnCopy(
  node: NodeContext,
  { key, kind, lifetimeMs, cas }: RecordToStore,
  record: Uint8Array,
  done: (refusal: Refusal | undefined) => void = IGNORE,
): void {
  if (node.config.client || nodesBetween(node, key) > 0) {
    done(undefined)
    return
  }
  const offer = { key, kind, lifetimeMs, source: OURSELVES, cas, isCached: false, accept: () => record }
  keepRecord(node, offer, done, () => done(undefined))
}

/**
 * Takes our own copy back.
 *
 * @param before - what it took the place of, if anything
 */
export function dropOwnCopy(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  record: Uint8Array,
  before: StoredRecord | undefined,
): void {
  if (before && sameBytes(before.record, record)) return
  const { store, turns } = node
  // Where too many wait it stays, as any copy that a failed call left somewhere.
  turns.take(turnOf(key, kind), (end) => {
    const restore = (held: readonly StoredRecord[]): void => {
      const own = held.find((stored) => sameBytes(stored.record, record))
      const undo = () => own && (before ? store.put(before) : store.delete(key, kind.code, own.slot))
      whenReady<unknown>(undo, end, end)
    }
    whenReady(() => store.list(key, kind.code), restore, end)
  })
}
