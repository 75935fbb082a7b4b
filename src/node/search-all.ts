import type { Contact, NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import type { RecordKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { slotOf, usable } from './copies.js'
import type { ReceivedRecord, RecordAnswer, RecordRequest } from './lookups.js'
import { askRecords, lookUpRecords } from './lookups.js'
import type { NodeContext } from './node-context.js'
import { encodeCursor, inOrderOf, randomSeed } from './samples.js'

/** The most records that one answer may bring. */
const WANT_MAX = 64

/** How many pages are asked for at once: each is of another holder. */
const PAGES_AT_ONCE = 10

/** Pages in a row that may bring nothing new before a holder is asked no further, and before all are. */
const FRUITLESS_PAGES_MAX = 4
const FRUITLESS_PAGES_OF_ALL_MAX = 20

/** What one holder gave so far. */
export interface Holder {
  readonly contact: Contact
  readonly token: Uint8Array
  readonly heldSeq: bigint | undefined
  /** Its valid records, by slot; only of kinds that are passed on. */
  readonly records: Map<string, Uint8Array>
  /** The sample that it is asked for. */
  readonly seed: number
  /** How many of it came. */
  skip: number
  recordsLeft: number
  fruitlessPages: number
}

/** What a search found. */
export interface SearchResult {
  readonly outcome: LookupOutcome
  /** From the beginning to the last page. */
  readonly elapsedMs: number
  /** One record for each slot: what all that were found merge to. */
  readonly best: ReadonlyMap<string, ReceivedRecord>
  /** Who answered the lookup. */
  readonly holders: ReadonlyMap<string, Holder>
  /** The pages that were asked for after the lookup. */
  readonly pages: number
}

/** What a search reports while it runs. */
export interface SearchEvents {
  /**
   * A slot came that was not known before; without a holder, from our own store.
   *
   * @returns false when this holder's record is of no use: then the next one of the slot is news again
   */
  found?(record: Uint8Array, holder: Contact | undefined): boolean
  /** Whether further pages are wanted now; else {@link Search.resume} goes on with them. */
  wantsMore?(): boolean
  done(result: SearchResult): void
}

/** A search under way. */
export interface Search {
  /** Ends it; `done` is not called any more. */
  stop(): void
  /** Goes on with the pages, after `wantsMore` said no. */
  resume(): void
}

const NO_SEQ = 0n

/**
 * Finds all records of a key: asks all of the k nearest, merges what they have, and where they have more than one
 * answer holds goes on asking for pages until it stops learning. Our own store counts as one that was asked.
 */
export function searchAll(node: NodeContext, key: NodeId, kind: RecordKind, events: SearchEvents): Search {
  const search = new AllRecords(node, key, kind, events)
  search.start()
  return { stop: () => search.stop(), resume: () => search.resume() }
}

class AllRecords {
  readonly #node: NodeContext
  readonly #key: NodeId
  readonly #kind: RecordKind
  readonly #events: SearchEvents
  readonly #startedAtMs: number
  readonly #best = new Map<string, ReceivedRecord>()
  readonly #holders = new Map<string, Holder>()
  readonly #seeds = new Map<string, number>()
  /** Holders that have more, whose turn comes. */
  readonly #toPage: Holder[] = []
  readonly #cancels = new Set<() => void>()
  #outcome: LookupOutcome | undefined
  #pages = 0
  #fruitlessPages = 0
  #isOver = false

  constructor(node: NodeContext, key: NodeId, kind: RecordKind, events: SearchEvents) {
    this.#node = node
    this.#key = key
    this.#kind = kind
    this.#events = events
    this.#startedAtMs = node.clock.now()
  }

  start(): void {
    const { clock, store } = this.#node
    const fromStore = (held: readonly StoredRecord[]): void => {
      if (this.#isOver) return
      const nowMs = clock.wallNow()
      const own = usable(this.#node, this.#key, this.#kind, held)
      // In no order that others know: else who stops early would always find the same.
      for (const { record, expiresAtMs } of inOrderOf(randomSeed(this.#node), own)) {
        this.#take({ record, lifetimeMs: expiresAtMs - nowMs }, undefined)
      }
      this.#lookUp()
    }
    // A store that fails is no reason not to ask the network.
    whenReady(
      () => store.list(this.#key, this.#kind.code),
      fromStore,
      () => fromStore([]),
    )
  }

  stop(): void {
    this.#isOver = true
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }

  resume(): void {
    if (!this.#outcome || this.#isOver) return
    while (this.#cancels.size < PAGES_AT_ONCE && this.#toPage.length > 0) {
      if (this.#events.wantsMore?.() === false) return
      this.#askPage(this.#toPage.shift() as Holder)
      if (this.#isOver) return
    }
    if (this.#cancels.size > 0 || this.#toPage.length > 0) return
    this.#isOver = true
    this.#events.done({
      outcome: this.#outcome,
      elapsedMs: this.#node.clock.now() - this.#startedAtMs,
      best: this.#best,
      holders: this.#holders,
      pages: this.#pages,
    })
  }

  #lookUp(): void {
    if (this.#isOver) return
    const run = lookUpRecords(this.#node, this.#key, this.#kind, (contact) => this.#request(contact), {
      answer: (contact, answer) => this.#onAnswer(contact, answer),
      done: (outcome) => {
        this.#cancels.clear()
        this.#outcome = outcome
        // Of one record a key there are no pages, whatever a holder says.
        const holders = this.#kind.slotsPerKeyMax > 1 ? [...this.#holders.values()] : []
        this.#toPage.push(...holders.filter(({ recordsLeft }) => recordsLeft > 0))
        this.resume()
      },
    })
    if (!this.#outcome && !this.#isOver) this.#cancels.add(run.stop)
    else if (this.#isOver) run.stop()
  }

  #request(contact: Contact): RecordRequest {
    // Another seed for each: what two holders have in common is then not sent by both first.
    const seed = randomSeed(this.#node)
    this.#seeds.set(mapKey(contact.id), seed)
    const [known] = this.#kind.slotsPerKeyMax === 1 ? this.#best.values() : []
    const minSeq = (known && this.#kind.seq?.(known.record)) ?? NO_SEQ
    return { want: this.#want, minSeq, cursor: encodeCursor({ seed, skip: 0 }), known: known?.record }
  }

  get #want(): number {
    return Math.min(WANT_MAX, this.#kind.slotsPerKeyMax)
  }

  #onAnswer(contact: Contact, { token, heldSeq, records, recordsLeft, sent }: RecordAnswer): void {
    const seed = this.#seeds.get(mapKey(contact.id)) ?? 0
    const holder: Holder = {
      contact,
      token,
      heldSeq,
      records: new Map(),
      seed,
      skip: sent,
      recordsLeft,
      fruitlessPages: 0,
    }
    this.#holders.set(mapKey(contact.id), holder)
    for (const received of records) this.#takeFrom(holder, received)
  }

  #askPage(holder: Holder): void {
    this.#pages++
    const cursor = encodeCursor({ seed: holder.seed, skip: holder.skip })
    const request = { want: this.#want, minSeq: NO_SEQ, cursor }
    let isOpen = true
    let cancel = (): void => {}
    const stop = (): void => cancel()
    const call = askRecords(this.#node, holder.contact, this.#key, this.#kind, request, {}, (_error, answer) => {
      isOpen = false
      this.#cancels.delete(stop)
      if (this.#isOver) return
      if (answer) this.#onPage(holder, answer)
      this.resume()
    })
    cancel = call
    if (isOpen) this.#cancels.add(stop)
  }

  #onPage(holder: Holder, { records, recordsLeft, sent }: RecordAnswer): void {
    let news = 0
    for (const received of records) if (this.#takeFrom(holder, received)) news++
    holder.skip += sent
    holder.recordsLeft = sent > 0 ? recordsLeft : 0
    holder.fruitlessPages = news > 0 ? 0 : holder.fruitlessPages + 1
    this.#fruitlessPages = news > 0 ? 0 : this.#fruitlessPages + 1
    if (this.#fruitlessPages >= FRUITLESS_PAGES_OF_ALL_MAX) this.#toPage.length = 0
    // A liar could go on for ever: nobody keeps more than the kind allows.
    const isSpent = holder.skip >= 2 * this.#kind.slotsPerKeyMax || holder.fruitlessPages >= FRUITLESS_PAGES_MAX
    const isLearning = this.#fruitlessPages < FRUITLESS_PAGES_OF_ALL_MAX
    if (holder.recordsLeft > 0 && !isSpent && isLearning) this.#toPage.push(holder)
  }

  #takeFrom(holder: Holder, received: ReceivedRecord): boolean {
    if (this.#kind.isTombstone?.(received.record)) return false
    const slot = this.#take(received, holder.contact)
    if (this.#kind.isRelayed) holder.records.set(slot.name, received.record)
    return slot.isNew
  }

  /** Takes in a valid record. */
  #take(received: ReceivedRecord, holder: Contact | undefined): { name: string; isNew: boolean } {
    const name = mapKey(slotOf(this.#kind, received.record))
    const known = this.#best.get(name)
    if (!known) {
      if (this.#events.found?.(received.record, holder) === false) return { name, isNew: false }
      this.#best.set(name, received)
      return { name, isNew: true }
    }
    const record = this.#kind.merge(known.record, received.record)
    const longestMs = Math.max(known.lifetimeMs, received.lifetimeMs)
    const isKnown = sameBytes(record, known.record)
    const isReceived = sameBytes(record, received.record)
    // What one of them alone has, it has for its own time; what both have a share in, for the longer one.
    if (isKnown && !isReceived) return { name, isNew: false }
    this.#best.set(name, { record, lifetimeMs: this.#kind.seq && !isKnown ? received.lifetimeMs : longestMs })
    return { name, isNew: false }
  }
}
