import type { Contact } from '../keyspace/index.js'
import type { AnyLookup } from './disjoint-lookup.js'

/** What a query tells the lookup. After `answered` or `failed`, and after its cancel, nothing it tells counts. */
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
  const { query, queryPage, progressed, now, done } = options
  const startedAtMs = now()
  const cancels = new Map<Contact, () => void>()
  let messages = 0
  let asking = false
  let outcome: LookupOutcome | undefined

  const run: LookupRun = {
    stop() {
      end()
    },
    finish: end,
    costs: () => outcome ?? costsNow(),
  }
  proceed()
  return run

  function costsNow(): Pick<LookupOutcome, 'hops' | 'messages' | 'elapsedMs'> {
    return { hops: lookup.hops(), messages, elapsedMs: now() - startedAtMs }
  }

  function end(): LookupOutcome {
    if (outcome !== undefined) return outcome
    outcome = {
      closest: lookup.closest(),
      ...costsNow(),
      answered: lookup.answeredCount,
      conclusive: lookup.conclusive,
    }
    for (const cancel of cancels.values()) cancel()
    cancels.clear()
    return outcome
  }

  function proceed(): void {
    // An event inside `query` comes back here: the loop that is under way will see what it changed.
    if (asking) return
    asking = true
    while (outcome === undefined) {
      const contact = lookup.next()
      if (contact === undefined) break
      ask(contact)
    }
    while (outcome === undefined) {
      const contact = lookup.nextPage()
      if (contact === undefined) break
      askPage(contact)
    }
    asking = false
    if (outcome === undefined && lookup.finished) done(end())
  }

  function ask(contact: Contact): void {
    const { id } = contact
    begin(contact, (events) => query(contact, events, run), {
      slow: () => lookup.slow(id),
      lost: () => lookup.lost(id),
      answered(contacts) {
        lookup.answered(id, contacts)
        progressed?.()
      },
      failed: (_error, actual) => (actual ? lookup.misnamed(id, actual) : lookup.failed(id)),
    })
  }

  function askPage(contact: Contact): void {
    let isAwaited = true
    const learned = (contacts: readonly Contact[]): void => {
      if (isAwaited) lookup.learned(contact.id, contacts)
      isAwaited = false
    }
    const none = (): void => learned([])
    // Not worth waiting for once it is late: it was to fill a gap, not to make another.
    begin(contact, (events) => queryPage(contact, events), { slow: none, lost: none, answered: learned, failed: none })
  }

  /** Sends a query, and passes on what it tells for as long as that counts. */
  function begin(
    contact: Contact,
    send: (events: QueryEvents) => () => void,
    on: Omit<QueryEvents, 'sent' | 'knows'>,
  ): void {
    let open = true
    // Of one that was asked it does not change any more.
    const depth = lookup.hops(contact.id) + 1
    const passOn = (isLast: boolean, tell: () => void): void => {
      if (!open || outcome !== undefined) return
      if (isLast) {
        open = false
        cancels.delete(contact)
      }
      tell()
      proceed()
    }
    const events: QueryEvents = {
      sent() {
        if (open && outcome === undefined) messages++
      },
      slow: () => passOn(false, on.slow),
      lost: () => passOn(false, on.lost),
      knows: (ids, at) => lookup.knows(ids, at, depth),
      answered: (contacts) => passOn(true, () => on.answered(contacts)),
      failed: (error, actual) => passOn(true, () => on.failed(error, actual)),
    }
    let cancel: () => void
    try {
      cancel = send(events)
    } catch (error) {
      events.failed(error)
      return
    }
    if (!open) return
    if (outcome === undefined) cancels.set(contact, cancel)
    else cancel()
  }
}
