import type { Contact } from '../keyspace/index.js'
import type { AnyLookup } from './disjoint-lookup.js'

/**
 * What a query tells the lookup. After `answered` or `failed`, and after its cancel, nothing it tells counts. The
 * functions need the object that they are of: they can't be taken from it.
 */
export interface QueryEvents {
  /** A datagram left, the first or a resent one. */
  sent(): void
  /** The contact is overdue; `answered` or `failed` follows all the same. */
  slow(): void
  /** The contact is overdue once more, after a resend; `answered` or `failed` follows all the same. */
  lost(): void
  /**
   * Whether the lookup gains nothing when the contact names the id that begins at `at`: such ones may be left out of
   * what `answered` is told.
   */
  knows(ids: Uint8Array, at: number): boolean
  /** The contact answered and named these. */
  answered(contacts: readonly Contact[]): void
  /**
   * The contact will not answer.
   *
   * @param actual - who answered in its place, at its address and with another id, if anybody did
   */
  failed(error: unknown, actual?: Contact): void
}

/**
 * Asks one contact. Events may fire inside the call; a throw counts as `failed`. After `slow`, `answered` or
 * `failed` must follow in bounded time, because a lookup may have nobody else to wait for.
 *
 * @param run - the lookup that asks, to end it from within, as one for a value does once it has it
 * @returns cancels the query; called only while it is open, once at most, and must not throw
 */
export type Query = (contact: Contact, events: QueryEvents, run: LookupRun) => () => void

/** Asks one contact for its second page of contacts; for the rest as {@link Query}. */
export type PageQuery = (contact: Contact, events: QueryEvents) => () => void

/** What a lookup found, and what it cost. */
export interface LookupOutcome {
  /** The nearest contacts that answered, at most k, nearest first. */
  readonly closest: Contact[]
  /** Steps from the routing table to the nearest of them, see {@link Lookup.hops}; 0 when nobody answered. */
  readonly hops: number
  /** Request datagrams sent, resent ones included. */
  readonly messages: number
  /** From start to end. */
  readonly elapsedMs: number
  /** How many contacts answered, near or far. */
  readonly answered: number
  /** Whether more than half of the k nearest answered, see {@link Lookup.conclusive}. */
  readonly conclusive: boolean
}

/** A lookup under way. */
export interface LookupRun {
  /** Ends it: cancels what is in flight, starts nothing more, never calls `done`. Idempotent. */
  stop(): void
  /** As {@link LookupRun.stop}, and tells what it cost until it ended, by whichever way it did. */
  finish(): LookupOutcome
  /** What it cost so far, or until it ended. */
  costs(): Pick<LookupOutcome, 'hops' | 'messages' | 'elapsedMs'>
}

/** What {@link runLookup} needs. */
export interface RunLookupOptions {
  /** Asks one contact. */
  readonly query: Query
  /** Asks one contact for what comes after the contacts that it named. */
  readonly queryPage: PageQuery
  /** Called after each answer, while the lookup goes on. */
  progressed?(): void
  /** Monotonic milliseconds. */
  now(): number
  /**
   * Called once, when the lookup is finished and what was still in flight is cancelled; possibly before
   * `runLookup` returns, and never after `stop` or `finish`.
   */
  done(outcome: LookupOutcome): void
}

/** Runs a fresh {@link Lookup}, which only this run may touch, to its end. */
export function runLookup(lookup: AnyLookup, options: RunLookupOptions): LookupRun {
  const running = new Running(lookup, options)
  running.proceed()
  return running.run
}

class Running {
  readonly lookup: AnyLookup
  readonly run: LookupRun
  messages = 0
  outcome: LookupOutcome | undefined
  readonly #options: RunLookupOptions
  readonly #startedAtMs: number
  /** What is to be cancelled at the end, in the order in which it was asked. */
  readonly #open: Asked[] = []
  #isAsking = false

  constructor(lookup: AnyLookup, options: RunLookupOptions) {
    this.lookup = lookup
    this.#options = options
    this.#startedAtMs = options.now()
    const end = (): LookupOutcome => this.#end()
    this.run = {
      stop() {
        end()
      },
      finish: end,
      costs: () => this.outcome ?? this.#costs(),
    }
  }

  proceed(): void {
    // An event inside `query` comes back here: the loop that is under way will see what it changed.
    if (this.#isAsking) return
    this.#isAsking = true
    while (this.outcome === undefined) {
      const contact = this.lookup.next()
      if (contact === undefined) break
      this.#begin(new Asked(this, contact))
    }
    while (this.outcome === undefined) {
      const contact = this.lookup.nextPage()
      if (contact === undefined) break
      this.#begin(new AskedPage(this, contact))
    }
    this.#isAsking = false
    if (this.outcome === undefined && this.lookup.finished) this.#options.done(this.#end())
  }

  progressed(): void {
    this.#options.progressed?.()
  }

  /** Nothing more is to be cancelled there. */
  close(asked: Asked): void {
    const at = this.#open.indexOf(asked)
    if (at >= 0) this.#open.splice(at, 1)
  }

  /** Sends a query. */
  #begin(asked: Asked): void {
    let cancel: () => void
    try {
      const { query, queryPage } = this.#options
      cancel = asked.isPage ? queryPage(asked.contact, asked) : query(asked.contact, asked, this.run)
    } catch (error) {
      asked.failed(error)
      return
    }
    if (!asked.isOpen) return
    if (this.outcome === undefined) {
      asked.cancel = cancel
      this.#open.push(asked)
    } else {
      cancel()
    }
  }

  #end(): LookupOutcome {
    if (this.outcome !== undefined) return this.outcome
    const { lookup } = this
    this.outcome = {
      closest: lookup.closest(),
      ...this.#costs(),
      answered: lookup.answeredCount,
      conclusive: lookup.conclusive,
    }
    for (const { cancel } of this.#open.splice(0)) cancel?.()
    return this.outcome
  }

  #costs(): Pick<LookupOutcome, 'hops' | 'messages' | 'elapsedMs'> {
    return { hops: this.lookup.hops(), messages: this.messages, elapsedMs: this.#options.now() - this.#startedAtMs }
  }
}

/** A query under way: passes on what it tells for as long as that counts. */
class Asked implements QueryEvents {
  readonly contact: Contact
  cancel: (() => void) | undefined = undefined
  isOpen = true
  protected readonly running: Running
  // Of one that was asked it does not change any more.
  readonly #depth: number

  constructor(running: Running, contact: Contact) {
    this.running = running
    this.contact = contact
    this.#depth = running.lookup.hops(contact.id) + 1
  }

  get isPage(): boolean {
    return false
  }

  sent(): void {
    if (this.#counts()) this.running.messages++
  }

  slow(): void {
    if (!this.#counts()) return
    this.tellSlow()
    this.running.proceed()
  }

  lost(): void {
    if (!this.#counts()) return
    this.tellLost()
    this.running.proceed()
  }

  knows(ids: Uint8Array, at: number): boolean {
    return this.running.lookup.knows(ids, at, this.#depth)
  }

  answered(contacts: readonly Contact[]): void {
    if (!this.#counts()) return
    this.#close()
    this.tellAnswered(contacts)
    this.running.proceed()
  }

  failed(_error: unknown, actual?: Contact): void {
    if (!this.#counts()) return
    this.#close()
    this.tellFailed(actual)
    this.running.proceed()
  }

  protected tellSlow(): void {
    this.running.lookup.slow(this.contact.id)
  }

  protected tellLost(): void {
    this.running.lookup.lost(this.contact.id)
  }

  protected tellAnswered(contacts: readonly Contact[]): void {
    this.running.lookup.answered(this.contact.id, contacts)
    this.running.progressed()
  }

  protected tellFailed(actual: Contact | undefined): void {
    const { id } = this.contact
    if (actual) this.running.lookup.misnamed(id, actual)
    else this.running.lookup.failed(id)
  }

  #counts(): boolean {
    return this.isOpen && this.running.outcome === undefined
  }

  #close(): void {
    this.isOpen = false
    this.running.close(this)
  }
}

/** Not worth waiting for once it is late: it was to fill a gap, not to make another. */
class AskedPage extends Asked {
  #isAwaited = true

  override get isPage(): boolean {
    return true
  }

  protected override tellSlow(): void {
    this.tellAnswered([])
  }

  protected override tellLost(): void {
    this.tellAnswered([])
  }

  protected override tellFailed(): void {
    this.tellAnswered([])
  }

  protected override tellAnswered(contacts: readonly Contact[]): void {
    if (this.#isAwaited) this.running.lookup.learned(this.contact.id, contacts)
    this.#isAwaited = false
  }
}
