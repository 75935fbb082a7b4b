import { DhtError } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
import { compareDistance, mapKey } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { turnOf } from './copies.js'
import { lookUpRecords, TOKENS_ONLY } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'
import type { RecordToStore, StoreReply, StoreTarget } from './store-at.js'
import { keepOwnCopy, storeOne } from './store-at.js'

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

/** Stands for the outcome of a lookup that has none yet, where it is not looked at. */
const NOBODY = { answered: 0, closest: [] }

/**
 * Stores a record at the k nodes nearest to its key (paper 2.3): a lookup collects write tokens, and as soon as it
 * is about to end, a STORE goes to each of the nearest that answered; when it has ended, to the rest of them. It is
 * done when `acknowledgements` holders have stored it (where there are fewer than k, as large a share of them), or
 * all were asked; what is left then goes on behind.
 *
 * @param recordFor - the record that a holder gets
 * @param found - called with what the lookup came to, maybe after it is done
 * @returns cancels it; what was stored by then stays
 */
export function putRecord(
  node: NodeContext,
  storing: RecordToStore,
  recordFor: RecordFor,
  acknowledgements: number,
  done: Done<StoredAt>,
  found: (outcome: LookupOutcome) => void = () => {},
): () => void {
  if (node.table.size === 0) return refuse(done)
  const { clock, config } = node
  const startedAtMs = clock.now()
  const tokens = new Map<string, Uint8Array>()
  const cancels: (() => void)[] = []
  const asked = new Set<Contact>()
  const replies: StoreReply[] = []
  let outcome: LookupOutcome | undefined
  let stored = 0
  let messages = 0
  let isDone = false

  const conclude = (): void => {
    const share = outcome ? Math.min(1, asked.size / config.k) : 1
    const isEnough = stored > 0 && stored >= acknowledgements * share
    const isOver = outcome !== undefined && replies.length === asked.size
    if (isDone || !(isEnough || isOver)) return
    isDone = true
    replies.sort((a, b) => compareDistance(storing.key, a.contact.id, b.contact.id))
    const { hops, messages: before } = outcome ?? run.costs()
    const costs = { hops, messages: before + messages, elapsedMs: clock.now() - startedAtMs }
    finish(outcome ?? NOBODY, replies, costs, done)
  }
  const storeAtEach = (contacts: readonly Contact[]): void => {
    const news = contacts.filter((contact) => !asked.has(contact))
    for (const contact of news) asked.add(contact)
    const sent = (): void => {
      messages++
    }
    for (const target of targetsOf(news, tokens, recordFor)) {
      const cancel = storeOne(node, storing, target, sent, (error) => {
        replies.push({ contact: target.contact, error })
        if (!error) stored++
        conclude()
      })
      cancels.push(cancel)
    }
  }
  const run = lookUpRecords(node, storing.key, storing.kind, () => TOKENS_ONLY, {
    answer: (contact, { token }) => tokens.set(mapKey(contact.id), token),
    settled: storeAtEach,
    done(ended) {
      outcome = ended
      found(outcome)
      storeAtEach(outcome.closest)
      conclude()
    },
  })
  return () => {
    isDone = true
    run.stop()
    for (const cancel of cancels) cancel()
  }
}

/** As {@link putRecord}, of one record for all. Our own node keeps it too when it is one of the k nearest. */
export function putCopies(
  node: NodeContext,
  storing: RecordToStore,
  record: Uint8Array,
  acknowledgements: number,
  done: Done<StoredAt>,
): () => void {
  const whenDone: Done<StoredAt> = (error, stored) => {
    // Who put it gets it: a get that is under way may have asked the holders before.
    node.gets.renew(turnOf(storing.key, storing.kind))
    if (stored) keepOwnCopy(node, storing, record)
    done(error, stored)
  }
  return putRecord(node, storing, () => record, acknowledgements, whenDone)
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
