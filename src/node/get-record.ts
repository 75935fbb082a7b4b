import type { Contact, NodeId } from '../keyspace/index.js'
import { compareDistance } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { turnOf, usable } from './copies.js'
import type { ReceivedRecord, RecordLookupEvents } from './lookups.js'
import { lookUpRecords, ONE_RECORD } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'
import { storeOne } from './store-at.js'

/** What a search came to. */
export interface FoundRecord extends Costs {
  /** Undefined where more than half of the k nearest answered and none has one. */
  readonly record: Uint8Array | undefined
}

/**
 * Replies in a row that bring nothing nearer before all that is left is asked: one holder is enough, and those of the
 * k nearest that were asked already are likely to include one.
 */
const FRUITLESS_REPLIES_MAX = 4

const IGNORE = (): void => {}

/**
 * Gets the first valid record of a key, of a kind where any is the answer: from our own store, else from the network.
 * That there is none, which is no error, is said only when more than half of the k nearest answered.
 *
 * @param alpha - how many are asked at once; fewer take more time and fewer messages
 * @returns cancels it
 */
export function getRecord(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  done: Done<FoundRecord>,
  alpha: number = node.config.alpha,
): () => void {
  let cancel = IGNORE
  let isOpen = true
  const fromNetwork = (): void => {
    if (isOpen) cancel = getFromNetwork(node, key, kind, alpha, done)
  }
  const fromStore = (held: readonly StoredRecord[]): void => {
    if (!isOpen) return
    const [own] = usable(node, key, kind, held)
    if (own) done(undefined, { record: own.record, hops: 0, messages: 0, elapsedMs: 0 })
    else fromNetwork()
  }
  // A store that fails is no reason not to ask the network.
  whenReady(() => node.store.list(key, kind.code), fromStore, fromNetwork)
  return () => {
    isOpen = false
    cancel()
  }
}

/** One lookup serves all who want the same at the same time. */
function getFromNetwork(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  alpha: number,
  done: Done<FoundRecord>,
): () => void {
  if (node.table.size === 0) return refuse(done)
  return node.gets.join(turnOf(key, kind), (found) => lookUp(node, key, kind, alpha, found), done)
}

function lookUp(node: NodeContext, key: NodeId, kind: RecordKind, alpha: number, done: Done<FoundRecord>): () => void {
  let nearestWithout: { contact: Contact; token: Uint8Array } | undefined
  const events: RecordLookupEvents = {
    answer(contact, { records, token }, end) {
      const found = records.find(({ record }) => kind.isTombstone?.(record) !== true)
      if (found) {
        const costs = end()
        if (nearestWithout) cacheAt(node, key, kind, found, nearestWithout)
        done(undefined, { record: found.record, ...costs })
      } else if (!nearestWithout || compareDistance(key, contact.id, nearestWithout.contact.id) < 0) {
        nearestWithout = { contact, token }
      }
    },
    done(outcome) {
      const { conclusive, hops, messages, elapsedMs } = outcome
      if (conclusive) done(undefined, { record: undefined, hops, messages, elapsedMs })
      else done(inconclusive(outcome), undefined)
    },
  }
  return lookUpRecords(node, key, kind, () => ONE_RECORD, events, { alpha, fruitlessRepliesMax: FRUITLESS_REPLIES_MAX })
    .stop
}

/** Paper 2.3: the nearest node seen that lacked the record gets a copy, so that the next search ends earlier. */
function cacheAt(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  { record, lifetimeMs }: ReceivedRecord,
  { contact, token }: { contact: Contact; token: Uint8Array },
): void {
  if (lifetimeMs === 0) return
  const storing = { key, kind, lifetimeMs, isCached: true }
  const sent = (): void => {
    node.counters.passedOn++
  }
  storeOne(node, storing, { contact, token, record }, sent, IGNORE)
}
