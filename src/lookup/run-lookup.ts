import type { Contact } from '../keyspace/index.js'
import type { Lookup } from './lookup.js'

/** What a query tells the lookup. After `answered` or `failed`, and after its cancel, nothing it tells counts. */
export interface QueryEvents {
  /** A datagram left, the first or a resent one. */
  sent(): void
  /** The contact is overdue; `answered` or `failed` follows all the same. */
  slow(): void
  /** The contact is overdue once more, after a resend; `answered` or `failed` follows all the same. */
  lost(): void
  /** The contact answered and named these. */
  answered(contacts: readonly Contact[]): void
  /** The contact will not answer. */
  failed(error: unknown): void
}

/**
 * Asks one contact. Events may fire inside the call; a throw counts as `failed`. After `slow`, `answered` or
 * `failed` must follow in bounded time, because a lookup may have nobody else to wait for.
 *
 * @param run - the lookup that asks, to end it from within, as one for a value does once it has it
 * @returns cancels the query; called only while it is open, once at most, and must not throw
 */
export type Query = (contact: Contact, events: QueryEvents, run: LookupRun) => () => void

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
}

/** What {@link runLookup} needs. */
export interface RunLookupOptions {
  /** Asks one contact. */
  readonly query: Query
  /** Monotonic milliseconds. */
  now(): number
  /**
   * Called once, when the lookup is finished and what was still in flight is cancelled; possibly before
   * `runLookup` returns, and never after `stop` or `finish`.
   */
  done(outcome: LookupOutcome): void
}

/** Runs a fresh {@link Lookup}, which only this run may touch, to its end. */
export function runLookup(lookup: Lookup, { query, now, done }: RunLookupOptions): LookupRun {
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
  }
  proceed()
  return run

  function end(): LookupOutcome {
    if (outcome !== undefined) return outcome
    outcome = {
      closest: lookup.closest(),
      hops: lookup.hops(),
      messages,
      elapsedMs: now() - startedAtMs,
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
    asking = false
    if (outcome === undefined && lookup.finished) done(end())
  }

  function ask(contact: Contact): void {
    let open = true
    const isLive = () => open && outcome === undefined
    const close = () => {
      open = false
      cancels.delete(contact)
    }
    const events: QueryEvents = {
      sent() {
        if (isLive()) messages++
      },
      slow() {
        if (!isLive()) return
        lookup.slow(contact.id)
        proceed()
      },
      lost() {
        if (!isLive()) return
        lookup.lost(contact.id)
        proceed()
      },
      answered(contacts) {
        if (!isLive()) return
        close()
        lookup.answered(contact.id, contacts)
        proceed()
      },
      failed() {
        if (!isLive()) return
        close()
        lookup.failed(contact.id)
        proceed()
      },
    }
    let cancel: () => void
    try {
      cancel = query(contact, events, run)
    } catch (error) {
      events.failed(error)
      return
    }
    if (!open) return
    if (outcome === undefined) cancels.set(contact, cancel)
    else cancel()
  }
}
