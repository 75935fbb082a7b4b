import type { Contact } from '../keyspace/index.js'
import type { QueryEvents } from '../lookup/index.js'

/** What became of one question that a lookup asked. */
export interface LookupStep {
  /** Who was asked. */
  readonly contact: Contact
  /** How many steps the contact is from the own routing table: 1 for one that was in it. */
  readonly hop: number
  /** `abandoned`: the lookup ended before the contact answered. */
  readonly outcome: 'answered' | 'failed' | 'abandoned'
  /** From the question to that, in ms; with what was resent, or asked of it besides. */
  readonly elapsedMs: number
  /** Whom it named that the lookup did not know yet. */
  readonly brought: readonly Contact[]
  /** Why it failed: a `DhtError`. */
  readonly error?: unknown
}

/** Told of the steps of a lookup as they end. */
export type StepListener = (step: LookupStep) => void

/** What {@link traced} needs to know of the lookup. */
export interface TracedLookup {
  /** Steps from the routing table to a contact. */
  hopOf(contact: Contact): number
  /** Monotonic milliseconds. */
  now(): number
  /** Who is told. */
  readonly told: StepListener
}

type AnyQuery<Rest extends unknown[]> = (contact: Contact, events: QueryEvents, ...rest: Rest) => () => void

/** The same query, which tells of each contact what became of the question. */
export function traced<Rest extends unknown[]>(query: AnyQuery<Rest>, lookup: TracedLookup): AnyQuery<Rest> {
  return (contact, events, ...rest) => {
    const step = new Step(contact, events, lookup)
    const cancel = query(contact, step, ...rest)
    return () => {
      cancel()
      step.abandoned()
    }
  }
}

class Step implements QueryEvents {
  readonly #contact: Contact
  readonly #events: QueryEvents
  readonly #lookup: TracedLookup
  readonly #hop: number
  readonly #askedAtMs: number
  #isTold = false

  constructor(contact: Contact, events: QueryEvents, lookup: TracedLookup) {
    this.#contact = contact
    this.#events = events
    this.#lookup = lookup
    this.#hop = lookup.hopOf(contact)
    this.#askedAtMs = lookup.now()
  }

  sent(): void {
    this.#events.sent()
  }

  slow(): void {
    this.#events.slow()
  }

  lost(): void {
    this.#events.lost()
  }

  knows(ids: Uint8Array, at: number): boolean {
    return this.#events.knows(ids, at)
  }

  // Told first: the lookup may end within the call.
  answered(contacts: readonly Contact[]): void {
    this.#tell({ outcome: 'answered', brought: contacts })
    this.#events.answered(contacts)
  }

  failed(error: unknown, actual?: Contact): void {
    this.#tell({ outcome: 'failed', brought: actual ? [actual] : [], error })
    this.#events.failed(error, actual)
  }

  abandoned(): void {
    this.#tell({ outcome: 'abandoned', brought: [] })
  }

  #tell(end: Pick<LookupStep, 'outcome' | 'brought' | 'error'>): void {
    // Who is told may end the lookup, which gives up what is open.
    if (this.#isTold) return
    this.#isTold = true
    const { told, now } = this.#lookup
    told({ contact: this.#contact, hop: this.#hop, elapsedMs: now() - this.#askedAtMs, ...end })
  }
}
