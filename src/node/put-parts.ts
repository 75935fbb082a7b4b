import type { DhtError } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
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

/** How often a record that nobody took is put. */
const ATTEMPTS = 3

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
  attempts: number
  /** Its holders. */
  asked: number
  stored: number
  /** Holders that did not answer. */
  readonly silent: Contact[]
  isDone: boolean
}

/**
 * Stores many records at once, each at the k nodes nearest to its key. A part is looked up and put by itself where
 * nothing is known of its region; what such a lookup finds are the holders of all keys near by too, so the more parts
 * there are to a node, the fewer lookups it takes. Parts whose holders are known then go holder by holder, the tokens of
 * 32 of them in one request.
 *
 * It is done when `acknowledgements` holders have each of them (where there are fewer than k, as large a share), or
 * all were asked, the silent ones twice; what is left then goes on behind.
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
  /** Those whose holders are known without a lookup of their own. */
  #known: Progress[] = []
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
    this.#parts = parts.map((part) => ({ part, attempts: 0, asked: 0, stored: 0, silent: [], isDone: false }))
    this.#left = parts.length
  }

  start(): void {
    this.#putEach(this.#parts, () => this.#visitHolders(this.#known, 1))
  }

  stop(): void {
    this.#isOver = true
    this.#running.cancelAll()
  }

  /** Puts those one by one of whose region too little is known when their turn comes. */
  #putEach(parts: readonly Progress[], next: () => void): void {
    this.#running.each(
      parts,
      PUTS_AT_ONCE,
      (progress, ended) => {
        if (this.#coverage.missing(progress.part.key)) return this.#putOne(progress, ended)
        this.#known.push(progress)
        ended()
        return () => {}
      },
      next,
    )
  }

  #putOne(progress: Progress, ended: () => void): () => void {
    const { key, kind, record, lifetimeMs } = progress.part
    let cancel = (): void => {}
    const attempt = (): void => {
      progress.attempts++
      const storing = { key, kind, lifetimeMs: lifetimeMs() }
      const found = ({ closest, conclusive }: LookupOutcome): void => {
        if (closest.length === this.#node.config.k || conclusive) this.#coverage.add(key, closest)
      }
      const whenDone: Done<StoredAt> = (error, stored) => {
        if (!stored && progress.attempts < ATTEMPTS) {
          attempt()
          return
        }
        if (!stored) {
          this.#end(error)
          return
        }
        this.#messages += stored.messages
        progress.stored = stored.storedAt.length
        this.#finishPart(progress)
        ended()
      }
      cancel = putRecord(this.#node, storing, () => record, this.#acknowledgements, whenDone, found)
    }
    attempt()
    return () => cancel()
  }

  /** Goes from holder to holder; to those that did not answer, a second time. */
  #visitHolders(parts: readonly Progress[], round: number): void {
    const visits = new Map<string, { readonly holder: Contact; readonly parcels: Map<Parcel, Progress> }>()
    for (const progress of parts) {
      const holders = round === 1 ? this.#coverage.nearest(progress.part.key) : progress.silent.splice(0)
      if (round === 1) progress.asked = holders.length
      for (const holder of holders) {
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
    else if (error.code === 'ERR_TIMEOUT') progress.silent.push(holder)
    if (this.#isEnough(progress)) this.#finishPart(progress)
  }

  #isEnough({ asked, stored }: Progress): boolean {
    return stored > 0 && stored >= this.#acknowledgements * Math.min(1, asked / this.#node.config.k)
  }

  #onVisited(round: number): void {
    const short = this.#known.filter(({ isDone }) => !isDone)
    if (round === 1 && short.some(({ silent }) => silent.length > 0)) {
      this.#visitHolders(short, 2)
      return
    }
    for (const progress of short) if (progress.stored > 0) this.#finishPart(progress)
    const lost = short.filter(({ isDone }) => !isDone)
    this.#running.each(
      lost,
      PUTS_AT_ONCE,
      (progress, ended) => this.#putOne(progress, ended),
      () => this.#finishIfDone(),
    )
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
