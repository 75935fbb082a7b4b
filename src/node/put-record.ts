import { DhtError } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { lookUpRecords, TOKENS_ONLY } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'
import type { RecordToStore, StoreReply, StoreTarget } from './store-at.js'
import { keepOwnCopy, storeAt } from './store-at.js'

/** Where a record was stored. */
export interface StoredAt extends Costs {
  /** Who stored it, nearest to the key first: at least one. */
  readonly storedAt: Contact[]
  /** Who did not, and why. */
  readonly refused: Refused[]
}

/** A holder that did not store a record. */
export interface Refused extends Contact {
  /** Its refusal, or that it did not answer. */
  readonly error: DhtError
}

/** What each holder is to get: the same record, or one that is made for it. */
export type RecordFor = (contact: Contact, token: Uint8Array) => Uint8Array

/**
 * Stores a record at the k nodes nearest to its key: first a lookup that collects write tokens (paper 2.3), then
 * a STORE to each.
 *
 * @param recordFor - the record that a holder gets
 * @returns cancels it; what was stored by then stays
 */
export function putRecord(
  node: NodeContext,
  storing: RecordToStore,
  recordFor: RecordFor,
  done: Done<StoredAt>,
): () => void {
  if (node.table.size === 0) return refuse(done)
  const startedAtMs = node.clock.now()
  const tokens = new Map<string, Uint8Array>()
  let cancelStores = (): void => {}
  const run = lookUpRecords(node, storing.key, storing.kind, () => TOKENS_ONLY, {
    answer: (contact, { token }) => tokens.set(mapKey(contact.id), token),
    done(outcome) {
      cancelStores = storeAt(node, storing, targetsOf(outcome.closest, tokens, recordFor), (replies, messages) => {
        const elapsedMs = node.clock.now() - startedAtMs
        const costs = { hops: outcome.hops, messages: outcome.messages + messages, elapsedMs }
        finish(outcome, replies, costs, done)
      })
    },
  })
  return () => {
    run.stop()
    cancelStores()
  }
}

/** As {@link putRecord}, of one record for all. Our own node keeps it too when it is one of the k nearest. */
export function putCopies(
  node: NodeContext,
  storing: RecordToStore,
  record: Uint8Array,
  done: Done<StoredAt>,
): () => void {
  return putRecord(
    node,
    storing,
    () => record,
    (error, stored) => {
      if (stored) keepOwnCopy(node, storing, record)
      done(error, stored)
    },
  )
}

/**
 * What each of the contacts that a lookup found is to be sent.
 *
 * @param tokens - what each of them gave, by id
 */
export function targetsOf(
  contacts: readonly Contact[],
  tokens: ReadonlyMap<string, Uint8Array>,
  recordFor: RecordFor,
): StoreTarget[] {
  return contacts.map((contact) => {
    const token = tokens.get(mapKey(contact.id)) as Uint8Array
    return { contact, token, record: recordFor(contact, token) }
  })
}

/** Ends an operation that stored: an error when nobody did. */
export function finish(
  outcome: Pick<LookupOutcome, 'answered' | 'closest'>,
  replies: readonly StoreReply[],
  costs: Costs,
  done: Done<StoredAt>,
): void {
  const storedAt: Contact[] = []
  const refused: Refused[] = []
  for (const { contact, error } of replies) {
    if (error) refused.push({ ...contact, error })
    else storedAt.push(contact)
  }
  const cause = refused[0]?.error
  if (storedAt.length > 0) done(undefined, { storedAt, refused, ...costs })
  else if (outcome.closest.length === 0) done(inconclusive(outcome), undefined)
  else done(new DhtError('ERR_NOT_STORED', 'no node stored the record', { cause }), undefined)
}
