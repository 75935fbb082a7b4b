import debug from 'debug'
import { sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { collect } from './collect.js'
import { isCached, turnOf } from './copies.js'
import type { NodeContext } from './node-context.js'
import type { Running } from './running.js'

const log = debug('xorbit:upkeep')

/** How many records are corrected at once. */
const CORRECTED_AT_ONCE = 16

/**
 * Puts in order what a store had when the node started: removes what expired while it was away, and shortens what a
 * clock that was set back in between would keep for longer than anything may be kept.
 */
export function tidyInherited(node: NodeContext, running: Running): void {
  const { clock, store } = node
  if (store.stats().records === 0) return
  const failed = (error: unknown): void => log('the store failed: %o', error)
  // Asked before the first datagram is read: what a store is asked later sees it.
  const removed = (count: number): void => log('%d records expired while the node was away', count)
  whenReady(() => store.removeExpired(clock.wallNow()), removed, failed)
  const isAhead = (stored: StoredRecord): boolean => corrected(node, stored) !== undefined
  const correctAll = (ahead: readonly StoredRecord[]): void => {
    if (ahead.length > 0) log('%d records are ahead of the clock', ahead.length)
    running.each(ahead, CORRECTED_AT_ONCE, (stored, ended) => {
      correct(node, stored, ended)
      return () => {}
    })
  }
  whenReady(() => collect(store.entries(), isAhead), correctAll, failed)
}

/** Corrects one record, unless it was replaced meanwhile. */
function correct(node: NodeContext, { key, kind, slot }: StoredRecord, ended: () => void): void {
  const { kinds, store, turns } = node
  const isTaken = turns.take(turnOf(key, kinds.get(kind) as RecordKind), (end) => {
    const finish = (): void => {
      end()
      ended()
    }
    const failed = (error: unknown): void => {
      log('the store failed: %o', error)
      finish()
    }
    const put = (held: readonly StoredRecord[]): void => {
      const there = held.find((other) => sameBytes(other.slot, slot))
      const copy = there && corrected(node, there)
      if (copy) whenReady(() => store.put(copy), finish, failed)
      else finish()
    }
    whenReady(() => store.list(key, kind), put, failed)
  })
  if (!isTaken) ended()
}

/** The record as it may be from now on, where that is less than it says; undefined where nothing is wrong with it. */
function corrected({ clock, config, kinds }: NodeContext, stored: StoredRecord): StoredRecord | undefined {
  const kind = kinds.get(stored.kind)
  if (!kind) return undefined
  const nowMs = clock.wallNow()
  const cachedMaxMs = isCached(stored) ? config.cachedLifetimeMaxMs : config.valueLifetimeMaxMs
  const lifetimeMaxMs = Math.min(kind.lifetimeMaxMs ?? Number.POSITIVE_INFINITY, cachedMaxMs)
  // Further ahead than anything lasts: rather it is the clock that is wrong, as that of a board which has none of its own
  // is until it hears the time, and then all would be gone. The hourly repair shortens what was stored in the future.
  if (stored.storedAtMs > nowMs + config.valueLifetimeMaxMs) return undefined
  const storedAtMs = Math.min(stored.storedAtMs, nowMs)
  const expiresAtMs = Math.min(stored.expiresAtMs, nowMs + lifetimeMaxMs)
  if (storedAtMs === stored.storedAtMs && expiresAtMs === stored.expiresAtMs) return undefined
  return { ...stored, storedAtMs, expiresAtMs }
}
