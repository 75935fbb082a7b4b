import type { DhtError, DhtErrorCode } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import type { Attempts } from './attempts.js'
import { tryAgain } from './attempts.js'
import { turnOf } from './copies.js'
import { Coverage } from './coverage.js'
import type { Parcel } from './deliver.js'
import { deliver } from './deliver.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import type { StoredAt } from './put-record.js'
import { putRecord } from './put-record.js'
import { Running } from './running.js'
import { keepOwnCopy } from './store-at.js'

/** How many records are looked up and stored one by one at once. */
const PUTS_AT_ONCE = 12

/** How many holders are visited at once, with four STOREs each: 128 KiB on their way. */
const HOLDERS_AT_ONCE = 32

/** How often the holders are visited that did not answer. */
const ROUNDS_MAX = 3

/** How often a record is put that nobody took. */
const ATTEMPTS: Attempts = { max: 4, pauseMs: 500 }

/** A record that belongs to others, and what it brings of the whole. */
export interface Part extends Parcel {
  readonly bytes: number
}

/** What storing many records came to. */
export interface StoredParts {
  /** How many holders the record with the fewest has, as far as is known. */
  readonly replicasMin: number
  /** Request datagrams sent, resent ones included. */
  readonly messages: number
}

/** A part that is being stored. */
interface Progress {
  readonly part: Part
  /** How many holders it should have; 0 until they are known. */
  asked: number
  stored: number
  /** Holders that are to be visited: all of them at first, then those that did not answer. */
  silent: Contact[]
  isDone: boolean
}

/**
 * Stores many records at once, each at the k nodes nearest to its key. A part is looked up and put by itself where
 * nothing is known of its region; what such a lookup finds are the holders of all keys near by too, so the more parts
 * there are to a node, the fewer lookups it takes. Parts whose holders are known then go holder by holder, the tokens of
 * 32 of them in one request.
 *
 * It is done when `acknowledgements` holders have each of them (where there are fewer than k, as large a share), or
 * all were asked, the silent ones three times; what is left then goes on behind.
 *
 * @param onStored - called with the bytes of each part that is stored
 * @returns cancels it; what was stored by then stays
 */
export function putParts(
  node: NodeContext,
  parts: readonly Part[],
  acknowledgements: number,
  onStored: (bytes: number) => void,
  done: Done<StoredParts>,
): () => void {
  const putting = new PuttingParts(node, parts, acknowledgements, onStored, done)
  putting.start()
  return () => putting.stop()
}

class PuttingParts {
  readonly #node: NodeContext
  readonly #acknowledgements: number
  readonly #onStored: (bytes: number) => void
  readonly #done: Done<StoredParts>
  readonly #running = new Running()
  readonly #coverage: Coverage
  readonly #parts: readonly Progress[]
  /** Those that go holder by holder: their holders were known, or did not all answer. */
  readonly #toVisit: Progress[] = []
  #messages = 0
  #left: number
  #isOver = false

  constructor(
    node: NodeContext,
    parts: readonly Part[],
    acknowledgements: number,
    onStored: (bytes: number) => void,
    done: Done<StoredParts>,
  ) {
    this.#node = node
    this.#acknowledgements = acknowledgements
    this.#onStored = onStored
    this.#done = done
    this.#coverage = new Coverage(node.config.k)
    this.#parts = parts.map((part) => ({ part, asked: 0, stored: 0, silent: [], isDone: false }))
    this.#left = parts.length
  }

  start(): void {
    const putOrKnow = (progress: Progress, ended: () => void): (() => void) => {
      if (this.#coverage.missing(progress.part.key)) return this.#put(progress, ended)
      this.#toVisit.push(progress)
      ended()
      return () => {}
    }
    this.#running.each(this.#parts, PUTS_AT_ONCE, putOrKnow, () => this.#visitHolders(1))
  }

  stop(): void {
    this.#isOver = true
    this.#running.cancelAll()
  }

  /** Puts a part as any record. Where too few have it by then, those that did not answer are visited later. */
  #put(progress: Progress, ended: () => void): () => void {
    const { key, kind, record, lifetimeMs } = progress.part
    const found = ({ closest, conclusive }: LookupOutcome): void => {
      if (closest.length === this.#node.config.k || conclusive) this.#coverage.add(key, closest)
    }
    const attempt = (done: Done<StoredAt>): (() => void) =>
      putRecord(this.#node, { key, kind, lifetimeMs: lifetimeMs() }, () => record, this.#acknowledgements, done, found)
    return putAgain(this.#node, attempt, (error, stored) => {
      if (!stored) {
        this.#end(error)
        return
      }
      const { messages, refused, storedAt } = stored
      this.#messages += messages
      progress.asked = storedAt.length + refused.length
      progress.stored = storedAt.length
      progress.silent = refused.filter(({ error: { code } }) => mayTakeIt(code))
      if (this.#isEnough(progress)) this.#finishPart(progress)
      else this.#toVisit.push(progress)
      ended()
    })
  }

  /** Goes from holder to holder; again to those that did not answer, as long as they are needed. */
  #visitHolders(round: number): void {
    const visits = new Map<string, { readonly holder: Contact; readonly parcels: Map<Parcel, Progress> }>()
    for (const progress of this.#toVisit) {
      if (progress.isDone) continue
      if (progress.asked === 0) {
        progress.silent = this.#coverage.nearest(progress.part.key)
        progress.asked = progress.silent.length
      }
      for (const holder of progress.silent.splice(0)) {
        const name = mapKey(holder.id)
        const visit = visits.get(name) ?? { holder, parcels: new Map() }
        visits.set(name, visit)
        visit.parcels.set(progress.part, progress)
      }
    }
    const sent = (): void => {
      this.#messages++
    }
    this.#running.each(
      [...visits.values()],
      HOLDERS_AT_ONCE,
      ({ holder, parcels }, ended) =>
        deliver(this.#node, holder, [...parcels.keys()], {
          evenIfHeld: true,
          asked: sent,
          sent,
          settled: (parcel, error) => this.#onSettled(parcels.get(parcel) as Progress, holder, error),
          done: ended,
        }),
      () => this.#onVisited(round),
    )
  }

  #onSettled(progress: Progress, holder: Contact, error: DhtError | undefined): void {
    if (!error) progress.stored++
    else if (mayTakeIt(error.code)) progress.silent.push(holder)
    if (this.#isEnough(progress)) this.#finishPart(progress)
  }

  #isEnough({ asked, stored }: Progress): boolean {
    return stored > 0 && stored >= this.#acknowledgements * Math.min(1, asked / this.#node.config.k)
  }

  #onVisited(round: number): void {
    const short = this.#toVisit.filter(({ isDone }) => !isDone)
    if (round < ROUNDS_MAX && short.some(({ silent }) => silent.length > 0)) {
      this.#visitHolders(round + 1)
      return
    }
    // Whose holders are gone or full: others may be the nearest by now. What is then stored at some is stored.
    const lost = short.filter(({ stored }) => stored === 0)
    const finishAll = (): void => {
      for (const progress of short) this.#finishPart(progress)
    }
    this.#running.each(lost, PUTS_AT_ONCE, (progress, ended) => this.#put(progress, ended), finishAll)
  }

  #finishPart(progress: Progress): void {
    if (progress.isDone) return
    progress.isDone = true
    const { key, kind, record, bytes, lifetimeMs } = progress.part
    // Who put it gets it: a get that is under way may have asked the holders before.
    this.#node.gets.renew(turnOf(key, kind))
    keepOwnCopy(this.#node, { key, kind, lifetimeMs: lifetimeMs() }, record)
    this.#left--
    this.#onStored(bytes)
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (this.#left > 0 || this.#isOver) return
    this.#isOver = true
    const replicasMin = Math.min(...this.#parts.map(({ stored }) => stored))
    this.#done(undefined, { replicasMin, messages: this.#messages })
  }

  #end(error: DhtError | undefined): void {
    if (this.#isOver) return
    this.stop()
    this.#done(error, undefined)
  }
}

/** Whether a holder that did not take a record may do so later. */
function mayTakeIt(code: DhtErrorCode): boolean {
  return code === 'ERR_TIMEOUT' || code === 'ERR_RATE_LIMITED'
}

/**
 * Puts a record, and again after a pause where nobody took it: nearby holders take so many requests a second, and a
 * value of many parts may have used them up.
 */
export function putAgain(
  { clock }: NodeContext,
  put: (done: Done<StoredAt>) => () => void,
  done: Done<StoredAt>,
): () => void {
  const isFinal = (error: DhtError | undefined, stored: StoredAt | undefined): boolean =>
    stored !== undefined || error?.code === 'ERR_NO_CONTACTS'
  return tryAgain(clock, ATTEMPTS, (_, ended) => put(ended), isFinal, done)
}
