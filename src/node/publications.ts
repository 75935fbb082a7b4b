import debug from 'debug'
import { DhtError } from '../errors.js'
import type { NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import { slotOf } from './copies.js'
import type { Parcel } from './deliver.js'
import type { NodeContext } from './node-context.js'
import { Running } from './running.js'
import { keepOwnCopy } from './store-at.js'
import { sweep } from './sweep.js'

const log = debug('xorbit:republish')

/** What is due within this share of its lifetime goes with what is due now: one sweep instead of many. */
const GATHERED_SHARE = 1 / 8

/** How soon what nobody stored is tried again, as a share of the lifetime. */
const RETRY_SHARE = 1 / 16

/** What the application published, and this node keeps alive. */
interface KeptAlive {
  readonly key: NodeId
  readonly kind: RecordKind
  /** The keys that the application knows it by: its own, or those of the values that it is a part of. */
  owners: readonly NodeId[]
  record: Uint8Array
  lifetimeMs: number
  dueAtMs: number
  /** Whether it is part of a sweep. */
  isUnderWay: boolean
}

/** What became of one publication in a sweep. */
interface Outcome {
  /** Holders that took it, refused it or did not answer. */
  settled: number
  stored: number
  superseded: number
  /** Why it was not stored, apart from records that win. */
  error: DhtError | undefined
  /** The refusal because of one that wins. */
  rival: DhtError | undefined
}

/** What {@link Publications} reports. */
export interface PublicationEvents {
  /** A record was not stored again: nobody took it now, or another one took its place for good. */
  failed(key: NodeId, error: DhtError): void
}

/**
 * Stores again what the application published, at half of its lifetime: holders keep it only so long, and repair
 * does not prolong it. What is due at about one time goes in one sweep.
 */
export class Publications {
  readonly #node: NodeContext
  readonly #events: PublicationEvents
  readonly #publications = new Map<string, KeptAlive>()
  readonly #running = new Running()
  #cancelTimer = (): void => {}
  #timerAtMs = Number.POSITIVE_INFINITY
  #isStopped = false

  constructor(node: NodeContext, events: PublicationEvents) {
    this.#node = node
    this.#events = events
  }

  /** How many are kept alive. */
  get size(): number {
    return this.#publications.size
  }

  /**
   * Keeps a record alive that was just stored; it replaces an earlier one of its key, kind and slot.
   *
   * @param owner - the key of the value that it is a part of
   */
  add(key: NodeId, kind: RecordKind, record: Uint8Array, givenLifetimeMs: number, owner: NodeId = key): void {
    // The node may have closed in the turn in which it was stored.
    if (this.#isStopped) return
    const name = nameOf(key, kind, record)
    if (this.#hasNewer(name, kind, record)) return
    const known = this.#publications.get(name)
    const others = without(known, owner)
    // What belongs to several values is needed for as long as the longest of them.
    const lifetimeMs = others.length > 0 ? Math.max(givenLifetimeMs, known?.lifetimeMs ?? 0) : givenLifetimeMs
    this.#publications.delete(name)
    const dueAtMs = this.#node.clock.now() + this.#delayMs(lifetimeMs)
    const owners = [...others, owner]
    this.#publications.set(name, { key, kind, owners, record, lifetimeMs, dueAtMs, isUnderWay: false })
    // The oldest leave: a program that publishes for ever must not grow for ever.
    for (const oldest of this.#publications.keys()) {
      if (this.#publications.size <= this.#node.config.publicationsMax) break
      this.#publications.delete(oldest)
    }
    this.#schedule(dueAtMs)
  }

  /** The record of a key that is kept alive, of a kind with one record a key. */
  get(key: NodeId, kind: RecordKind): Uint8Array | undefined {
    return this.#publications.get(nameOf(key, kind))?.record
  }

  /** Stops keeping alive the record of a key, kind and slot, unless it has other owners. */
  delete(key: NodeId, kind: RecordKind, record: Uint8Array, owner: NodeId = key): void {
    const name = nameOf(key, kind, record)
    if (!this.#hasNewer(name, kind, record)) this.#disown(name, owner)
  }

  /** The same of whatever has this owner; false when there was nothing. */
  forget(owner: NodeId): boolean {
    let count = 0
    for (const name of [...this.#publications.keys()]) if (this.#disown(name, owner)) count++
    return count > 0
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
    this.#publications.clear()
    this.#running.cancelAll()
  }

  #disown(name: string, owner: NodeId): boolean {
    const known = this.#publications.get(name)
    const owners = without(known, owner)
    if (!known || owners.length === known.owners.length) return false
    if (owners.length === 0) this.#publications.delete(name)
    else known.owners = owners
    return true
  }

  /** Of two calls the later one may have been done first. */
  #hasNewer(name: string, kind: RecordKind, record: Uint8Array): boolean {
    const known = this.#publications.get(name)?.record
    return known !== undefined && kind.seq !== undefined && kind.seq(known) > kind.seq(record)
  }

  /** A little below half of the lifetime, so that what was published at once does not come back at once. */
  #delayMs(lifetimeMs: number): number {
    return lifetimeMs * (0.4375 + (this.#node.randomBytes(1)[0] as number) / 4096)
  }

  #schedule(atMs: number): void {
    if (atMs >= this.#timerAtMs) return
    this.#cancelTimer()
    this.#timerAtMs = atMs
    this.#cancelTimer = this.#node.clock.after(atMs - this.#node.clock.now(), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY
      this.#republish()
    })
  }

  #scheduleNext(): void {
    let nextAtMs = Number.POSITIVE_INFINITY
    for (const { dueAtMs, isUnderWay } of this.#publications.values()) {
      if (!isUnderWay) nextAtMs = Math.min(nextAtMs, dueAtMs)
    }
    if (nextAtMs < Number.POSITIVE_INFINITY) this.#schedule(nextAtMs)
  }

  #republish(): void {
    const nowMs = this.#node.clock.now()
    const outcomes = new Map<Parcel, { readonly publication: KeptAlive; readonly outcome: Outcome }>()
    for (const publication of this.#publications.values()) {
      const { key, kind, record, lifetimeMs, dueAtMs } = publication
      if (publication.isUnderWay || dueAtMs > nowMs + lifetimeMs * GATHERED_SHARE) continue
      publication.isUnderWay = true
      const parcel = { key, kind, record, lifetimeMs: () => lifetimeMs }
      outcomes.set(parcel, {
        publication,
        outcome: { settled: 0, stored: 0, superseded: 0, error: undefined, rival: undefined },
      })
    }
    log('%d records to store again', outcomes.size)
    // One slow holder keeps a sweep waiting, but not what falls due meanwhile.
    this.#scheduleNext()
    this.#running.begin((ended) =>
      sweep(this.#node, [...outcomes.keys()], {
        sent: () => {
          this.#node.counters.republished++
        },
        settled: (parcel, error) => note(outcomes.get(parcel)?.outcome, error),
        done: (lookups) => {
          ended()
          log('stored again with %d lookups', lookups)
          const failures = new Map<string, { readonly key: NodeId; readonly error: DhtError }>()
          for (const { publication, outcome } of outcomes.values()) {
            const error = this.#settle(publication, outcome)
            if (!error) continue
            // A value of a thousand parts fails once.
            for (const key of publication.owners)
              if (!failures.has(mapKey(key))) failures.set(mapKey(key), { key, error })
          }
          for (const { key, error } of failures.values()) this.#events.failed(key, error)
          this.#scheduleNext()
        },
      }),
    )
  }

  /** @returns why it was not stored, if it was not */
  #settle(publication: KeptAlive, { error, rival, settled, stored, superseded }: Outcome): DhtError | undefined {
    const { key, kind, lifetimeMs, record } = publication
    const name = nameOf(key, kind, record)
    publication.isUnderWay = false
    // It may have been replaced or forgotten meanwhile.
    if (this.#publications.get(name) !== publication) return undefined
    const nowMs = this.#node.clock.now()
    if (stored > 0) keepOwnCopy(this.#node, { key, kind, lifetimeMs }, record)
    // More than one liar's word: most of the holders have another record that wins.
    if (superseded > settled / 2) {
      this.#publications.delete(name)
      return rival
    }
    if (stored > 0) {
      publication.dueAtMs = nowMs + this.#delayMs(lifetimeMs)
      return undefined
    }
    publication.dueAtMs = nowMs + lifetimeMs * RETRY_SHARE
    return error ?? new DhtError('ERR_TIMEOUT', 'too few nodes answered to find its holders')
  }
}

function note(outcome: Outcome | undefined, error: DhtError | undefined): void {
  if (!outcome) return
  outcome.settled++
  if (!error) {
    outcome.stored++
    return
  }
  if (error.code === 'ERR_SEQ_TOO_LOW' || error.code === 'ERR_SEQ_CONFLICT') {
    outcome.superseded++
    outcome.rival ??= error
  } else {
    outcome.error ??= error
  }
}

/** The owners of a publication but one. */
function without(publication: KeptAlive | undefined, owner: NodeId): NodeId[] {
  return (publication?.owners ?? []).filter((other) => !sameBytes(other, owner))
}

/** @param record - needed where a key has several */
function nameOf(key: NodeId, kind: RecordKind, record?: Uint8Array): string {
  return String.fromCharCode(kind.code) + mapKey(key) + (record ? mapKey(slotOf(kind, record)) : '')
}
