import { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { compareDistance, mapKey } from '../keyspace/index.js'
import type { LookupOutcome, LookupRun } from '../lookup/index.js'
import type { RecordKind } from '../records/index.js'
import { immutableKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { STORE } from '../wire/index.js'
import { copyToKeep } from './copies.js'
import type { Costs } from './lookups.js'
import { lookUpRecords } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './nodes.js'
import { refuse } from './nodes.js'

/** A record that was found. */
export interface FoundRecord extends Costs {
  readonly record: Uint8Array
}

/** Where a record was stored. */
export interface StoredAt extends Costs {
  /** Who stored it, nearest to the key first. */
  readonly storedAt: Contact[]
}

const IGNORE = (): void => {}

/** Who is charged for our own copies. */
const OURSELVES = new Uint8Array(0)

/**
 * Gets the first valid immutable record of a key: from our own store, else from the network.
 * Nothing is found, which is no error, only when more than half of the k nearest answered.
 *
 * @returns cancels it
 */
export function getRecord(node: NodeContext, key: NodeId, done: Done<FoundRecord>): () => void {
  const kind = immutableKind
  let cancel = IGNORE
  let isOpen = true
  const fromNetwork = (): void => {
    if (isOpen) cancel = getFromNetwork(node, key, kind, done)
  }
  const fromStore = (held: readonly StoredRecord[]): void => {
    if (!isOpen) return
    const nowMs = node.clock.wallNow()
    const own = held.find(({ expiresAtMs, record }) => expiresAtMs > nowMs && kind.isValid(key, record))
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

function getFromNetwork(node: NodeContext, key: NodeId, kind: RecordKind, done: Done<FoundRecord>): () => void {
  if (node.table.size === 0) return refuse(done)
  const run = lookUpRecords(node, key, kind, 1, {
    record(record, end) {
      const costs = end()
      done(undefined, { record, ...costs })
    },
    done(outcome) {
      if (outcome.conclusive) done(undefined, undefined)
      else done(inconclusive(outcome), undefined)
    },
  })
  return run.stop
}

/**
 * Stores a record at the k nodes nearest to its key: first a lookup that collects write tokens (paper 2.3), then
 * a STORE to each. Our own node keeps it too when it is one of the k nearest.
 *
 * @returns cancels it; what was stored by then stays
 */
export function putRecord(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  record: Uint8Array,
  lifetimeMs: number,
  done: Done<StoredAt>,
): () => void {
  if (node.table.size === 0) return refuse(done)
  const startedAtMs = node.clock.now()
  const storing: Storing = { key, kind, record, lifetimeMs }
  const tokens = new Map<string, Uint8Array>()
  let cancelStores = IGNORE
  const run: LookupRun = lookUpRecords(node, key, kind, 0, {
    token: (contact, token) => tokens.set(mapKey(contact.id), token),
    done(outcome) {
      const holders = outcome.closest
      cancelStores = storeAt(node, holders, tokens, storing, (storedAt, messages, cause) => {
        if (storedAt.length === 0) {
          const error = holders.length === 0 ? inconclusive(outcome) : undefined
          return done(error ?? new DhtError('ERR_NOT_STORED', 'no node stored the record', { cause }), undefined)
        }
        keepOwnCopy(node, holders, storing)
        const elapsedMs = node.clock.now() - startedAtMs
        done(undefined, { storedAt, hops: outcome.hops, messages: outcome.messages + messages, elapsedMs })
      })
    },
  })
  return () => {
    run.stop()
    cancelStores()
  }
}

interface Storing {
  readonly key: NodeId
  readonly kind: RecordKind
  readonly record: Uint8Array
  readonly lifetimeMs: number
}

function storeAt(
  node: NodeContext,
  holders: readonly Contact[],
  tokens: ReadonlyMap<string, Uint8Array>,
  { key, kind, record, lifetimeMs }: Storing,
  done: (storedAt: Contact[], messages: number, firstRefusal: DhtError | undefined) => void,
): () => void {
  const hasStored = holders.map(() => false)
  const cancels: (() => void)[] = []
  let messages = 0
  let open = holders.length
  let firstRefusal: DhtError | undefined
  const end = (): void =>
    done(
      holders.filter((_, i) => hasStored[i]),
      messages,
      firstRefusal,
    )
  if (open === 0) end()
  holders.forEach((holder, i) => {
    const token = tokens.get(mapKey(holder.id)) as Uint8Array
    const params = { key, kind: kind.code, token, record, ttlSeconds: Math.ceil(lifetimeMs / 1000), cas: undefined }
    const cancel = node.rpc.call(STORE, holder, params, {
      sent() {
        messages++
      },
      done(error) {
        hasStored[i] = error === undefined
        firstRefusal ??= error
        open--
        if (open === 0) end()
      },
    })
    cancels.push(cancel)
  })
  return () => {
    for (const cancel of cancels) cancel()
  }
}

/** Others will look for the record here too when we are one of the k nearest. A failing store costs only this copy. */
function keepOwnCopy(node: NodeContext, holders: readonly Contact[], { key, kind, record, lifetimeMs }: Storing): void {
  const farthest = holders[node.config.k - 1]
  if (node.config.client || (farthest && compareDistance(key, node.id, farthest.id) > 0)) return
  const keep = (held: readonly StoredRecord[]): void => {
    const copy = copyToKeep(node, { key, kind: kind.code, record, lifetimeMs, source: OURSELVES }, held)
    whenReady(() => node.store.put(copy), IGNORE, IGNORE)
  }
  whenReady(() => node.store.list(key, kind.code), keep, IGNORE)
}

/** The reason why nothing can be said: too few answers. */
function inconclusive(outcome: LookupOutcome): DhtError {
  return new DhtError('ERR_TIMEOUT', `only ${outcome.answered} nodes answered, too few of the nearest to tell`)
}
