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
  /** Whether the application put it by itself. */
  isOwn: boolean
  /** The names of the values of several records that it belongs to. */
  values: Set<string> | undefined
  record: Uint8Array
  lifetimeMs: number
  dueAtMs: number
  /** Whether it is part of a sweep. */
  isUnderWay: boolean
}

/** What a record is a part of. */
export interface PartOf {
  /** The key of the value. */
  readonly value: NodeId
  /** How long ago the first of its records was stored, in ms. */
  readonly ageMs: number
}

/** A value of several records, and the names of these. */
interface KeptValue {
  readonly key: NodeId
  readonly records: Set<string>
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
  #values: Map<string, KeptValue> | undefined
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
   * @param part - the value of several records that it belongs to
   */
  add(key: NodeId, kind: RecordKind, record: Uint8Array, lifetimeMs: number, part?: PartOf): void {
    // The node may have closed in the turn in which it was stored.
    if (this.#isStopped) return
    const name = nameOf(key, kind, record)
    if (this.#hasNewer(name, kind, record)) return
    const known = this.#publications.get(name)
    const kept: KeptAlive = {
      ...{ key, kind, record, lifetimeMs, isUnderWay: false },
      isOwn: !part || known?.isOwn === true,
      values: known?.values,
      dueAtMs: this.#node.clock.now() + this.#delayMs(lifetimeMs) - (part?.ageMs ?? 0),
    }
    // What belongs to others too has to last for the longest of them, and is due when the holders need it first.
    if (known && (part ? known.isOwn || !this.#isOnlyOf(known, part.value) : known.values)) {
      kept.lifetimeMs = Math.max(lifetimeMs, known.lifetimeMs)
      kept.dueAtMs = Math.min(kept.dueAtMs, known.dueAtMs)
    }
    this.#publications.delete(name)
    this.#publications.set(name, kept)
    if (part) this.#enter(name, kept, part.value)
    // The oldest leave: a program that publishes for ever must not grow for ever.
    for (const [oldestName, oldest] of this.#publications) {
      if (this.#publications.size <= this.#node.config.publicationsMax) break
      this.#evict(oldestName, oldest)
    }
    this.#schedule(kept.dueAtMs)
  }

  /** The record of a key that is kept alive, of a kind with one record a key. */
  get(key: NodeId, kind: RecordKind): Uint8Array | undefined {
    return this.#publications.get(nameOf(key, kind))?.record
  }

  /** Stops keeping alive the record of a key, kind and slot, unless it belongs to something else. */
  delete(key: NodeId, kind: RecordKind, record: Uint8Array, value?: NodeId): void {
    const name = nameOf(key, kind, record)
    if (!this.#hasNewer(name, kind, record)) this.#release(name, value && mapKey(value))
  }

  /** The same of whatever kind and slot, and of all records of a value; false when there was nothing. */
  forget(key: NodeId): boolean {
    let isKnown = this.#forgetValue(mapKey(key))
    for (const [name, publication] of this.#publications) {
      if (!publication.isOwn || !sameBytes(publication.key, key)) continue
      this.#release(name, undefined)
      isKnown = true
    }
    return isKnown
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
    this.#publications.clear()
    this.#values = undefined
    this.#running.cancelAll()
  }

  /** Whether nothing but this value has it. */
  #isOnlyOf({ values }: KeptAlive, value: NodeId): boolean {
    return values === undefined || (values.size === 1 && values.has(mapKey(value)))
  }

  /** Notes that a record belongs to a value. */
  #enter(name: string, publication: KeptAlive, value: NodeId): void {
    const valueName = mapKey(value)
    publication.values ??= new Set()
    publication.values.add(valueName)
    this.#values ??= new Map()
    const kept = this.#values.get(valueName) ?? { key: value, records: new Set() }
    this.#values.set(valueName, kept)
    kept.records.add(name)
  }

  #forgetValue(valueName: string): boolean {
    const records = this.#values?.get(valueName)?.records
    for (const name of [...(records ?? [])]) this.#release(name, valueName)
    return records !== undefined
  }

  /** The application, or one of its values, needs a record no more. */
  #release(name: string, valueName: string | undefined): void {
    const publication = this.#publications.get(name)
    if (!publication) return
    if (valueName === undefined) {
      publication.isOwn = false
    } else {
      publication.values?.delete(valueName)
      if (publication.values?.size === 0) publication.values = undefined
      const kept = this.#values?.get(valueName)
      kept?.records.delete(name)
      if (kept?.records.size === 0) this.#values?.delete(valueName)
    }
    if (!publication.isOwn && !publication.values) this.#publications.delete(name)
  }

  /** With it go all the values that it belongs to: of what lacks a part the others are of no use. */
  #evict(name: string, { values }: KeptAlive): void {
    for (const valueName of [...(values ?? [])]) this.#forgetValue(valueName)
    this.#release(name, undefined)
  }

  /** Under which keys the application knows a record. */
  #keysOf({ isOwn, key, values }: KeptAlive): NodeId[] {
    const ofValues = [...(values ?? [])].flatMap((valueName) => this.#values?.get(valueName)?.key ?? [])
    return isOwn ? [key, ...ofValues] : ofValues
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
            const error = this.#settle(publication, outcome, nowMs)
            if (!error) continue
            // A value of a thousand parts fails once.
            for (const key of this.#keysOf(publication))
              if (!failures.has(mapKey(key))) failures.set(mapKey(key), { key, error })
          }
          for (const { key, error } of failures.values()) this.#events.failed(key, error)
          this.#scheduleNext()
        },
      }),
    )
  }

  /**
   * @param sweptAtMs - when the sweep began: one of many records may take a while
   * @returns why it was not stored, if it was not
   */
  #settle(
    publication: KeptAlive,
    { error, rival, settled, stored, superseded }: Outcome,
    sweptAtMs: number,
  ): DhtError | undefined {
    const { key, kind, lifetimeMs, record } = publication
    const name = nameOf(key, kind, record)
    publication.isUnderWay = false
    // It may have been replaced or forgotten meanwhile.
    if (this.#publications.get(name) !== publication) return undefined
    const nowMs = this.#node.clock.now()
    if (stored > 0) keepOwnCopy(this.#node, { key, kind, lifetimeMs }, record)
    // More than one liar's word: most of the holders have another record that wins.
    if (kind.seq && superseded > settled / 2) {
      this.#publications.delete(name)
      return rival
    }
    if (stored > 0) {
      publication.dueAtMs = sweptAtMs + this.#delayMs(lifetimeMs)
      return undefined
    }
    publication.dueAtMs = nowMs + lifetimeMs * RETRY_SHARE
    return error ?? rival ?? new DhtError('ERR_TIMEOUT', 'too few nodes answered to find its holders')
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

/** @param record - needed where a key has several */
function nameOf(key: NodeId, kind: RecordKind, record?: Uint8Array): string {
  return String.fromCharCode(kind.code) + mapKey(key) + (record ? mapKey(slotOf(kind, record)) : '')
}
