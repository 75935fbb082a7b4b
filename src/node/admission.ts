import type { DhtError } from '../errors.js'
import type { Address, Contact } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RoutingTable, TableEntry } from '../routing/index.js'
import type { Callee, CallObserver, Rpc } from '../rpc/index.js'
import { Recent } from '../rpc/index.js'
import { Flag, PING } from '../wire/index.js'

/** How many strangers may be asked back at once: a flood of them must not become a flood of our pings. */
const STRANGERS_MAX = 32

/** How many full buckets' checks are remembered: more than an id has bits. */
const BUCKETS_MAX = 1024

/** So many calls in a row must go unanswered before an address counts as silent, for this long, in ms. */
const SILENT_CALLS = 2
const SILENT_MS = 60_000
const SILENT_MAX = 1024

/** What {@link Admission} needs. */
export interface AdmissionConfig {
  readonly table: RoutingTable
  readonly clock: Clock
  /** At most one stranger and one entry of a full bucket are checked in this time, in ms. */
  readonly fullBucketCheckIntervalMs: number
  /** Nobody of the table answers: we are cut off, or they are all gone. */
  onIsolated(): void
  /** The calls go through it; it exists only after the observer that reports to us. */
  rpc(): Rpc
}

/**
 * Decides who gets a place in the table: whoever answered a call of ours. Who only asked is asked back first,
 * and only where that can lead to something; so no request of a stranger leaves anything behind.
 */
export class Admission implements CallObserver {
  readonly #config: AdmissionConfig
  /** Addresses with a ping under way. */
  #checking: Set<Address> | undefined
  // One allowance each: if strangers used up both, a dead entry of a full bucket would never be found out.
  readonly #strangerChecked: Recent<true, number>
  readonly #entryChecked: Recent<true, number>
  /** Contacts that were silent while nobody answered, by address. */
  #suspects: Map<Address, Callee> | undefined
  /** How many calls in a row went unanswered, by address. */
  readonly #unanswered = new Recent<number>(SILENT_MS, SILENT_MAX)
  #strangersAsked = 0
  #lastAnswerMs = Number.NEGATIVE_INFINITY

  constructor(config: AdmissionConfig) {
    this.#config = config
    this.#strangerChecked = new Recent(config.fullBucketCheckIntervalMs, BUCKETS_MAX)
    this.#entryChecked = new Recent(config.fullBucketCheckIntervalMs, BUCKETS_MAX)
  }

  /** A contact answered: it is alive, and stands where it says. */
  onAnswer(contact: Contact, flags: number): void {
    const { clock, table } = this.#config
    this.#lastAnswerMs = clock.now()
    if (this.#unansweredAt(contact.address) > 0) this.#unanswered.set(contact.address, 0, clock.now())
    const known = table.get(contact.id)
    if (flags & Flag.client) {
      table.remove(contact.id, contact.address)
    } else if (known && known.address !== contact.address && known.failures === 0) {
      // Ids prove nothing: who answers elsewhere as a contact that lives where it was may be an impostor.
      this.#dispute(known, contact)
    } else if (table.answered(contact) === 'waiting') {
      // Paper 2.2: the least recently seen is pinged; if it is dead, the newcomer has its place.
      const oldest = this.#isDue(this.#entryChecked, contact) && table.leastRecentlySeen(contact.id)
      if (oldest) this.check(oldest)
    }
  }

  /** A call to a contact failed after its resend. */
  onSilence(callee: Callee, sentAtMs: number): void {
    const { clock, table } = this.#config
    this.#unanswered.set(callee.address, this.#unansweredAt(callee.address) + 1, clock.now())
    if (!callee.id) return
    if (this.#lastAnswerMs >= sentAtMs) table.failed(callee.id, callee.address, sentAtMs)
    // Of whom we never met the silence tells nothing: a forged request would do to make us join anew.
    else if (table.get(callee.id)?.address === callee.address) this.#suspect(callee)
  }

  /** Whether the last calls to an address went unanswered. */
  isSilent(address: Address): boolean {
    return this.#unansweredAt(address) >= SILENT_CALLS
  }

  /** A contact answered, but with nothing that helps anybody. */
  onNonsense(contact: Contact): void {
    this.#config.table.failed(contact.id, contact.address)
  }

  /** Nobody waited long enough to learn whether this contact lives, so a ping of its own does. */
  onGivenUp(callee: Callee): void {
    const entry = callee.id && this.#config.table.get(callee.id)
    if (entry && entry.address === callee.address) this.check(entry)
  }

  /** Another node answered at a contact's address: that contact is gone, and this one answered. */
  onWrongId(expected: Contact, actual: Contact, flags: number): void {
    this.#config.table.remove(expected.id, expected.address)
    this.onAnswer(actual, flags)
  }

  /** Somebody asked us something. */
  onRequest(contact: Contact, flags: number): void {
    if (flags & Flag.client) return
    const { table } = this.#config
    const known = table.get(contact.id)
    const isThere = known?.address === contact.address
    if (isThere && known.failures === 0) return
    // One that failed and asks lives again: a path that broke was mended.
    if (isThere || table.hasPlaceFor(contact) || this.#isDue(this.#strangerChecked, contact)) {
      this.#ping(contact, true, () => {})
    }
  }

  /** Somebody answers as a contact of ours elsewhere: who does not answer at its old address has moved. */
  #dispute(known: TableEntry, claimant: Contact): void {
    const { table } = this.#config
    this.#ping(known, false, (error) => {
      const entry = table.get(known.id)
      if (error?.code !== 'ERR_TIMEOUT' || entry?.address !== known.address) return
      // The silence counts whether anybody else answers or not: the claimant does, and moves the entry, or nobody.
      if (entry.failures === 0) table.failed(known.id, known.address)
      this.#ping(claimant, false, () => {})
    })
  }

  /** Pings a contact of the table until it has answered or left, or its silence does not count. */
  check(contact: TableEntry): void {
    const failuresBefore = contact.failures
    this.#ping(contact, false, () => {
      const entry = this.#config.table.get(contact.id)
      if (entry && entry.address === contact.address && entry.failures > failuresBefore) this.check(entry)
    })
  }

  /**
   * A contact was silent, and everybody else too: is it dead, or are we cut off? Whoever answered last tells. A
   * table that emptied while our own network was down would be missed afterwards.
   */
  #suspect(callee: Callee): void {
    if (this.#suspects) {
      this.#suspects.set(callee.address, callee)
      return
    }
    this.#suspects = new Map([[callee.address, callee]])
    const { clock, rpc, table } = this.#config
    const [witness] = table
      .entries()
      .filter(({ address }) => address !== callee.address)
      .sort((a, b) => b.lastSeenMs - a.lastSeenMs)
    const askedAtMs = clock.now()
    const done = (error?: DhtError): void => {
      const suspects = [...(this.#suspects?.values() ?? [])]
      this.#suspects = undefined
      if (error?.code === 'ERR_CLOSED') return
      if (this.#lastAnswerMs < askedAtMs) this.#config.onIsolated()
      else for (const suspect of suspects) this.#condemn(suspect)
    }
    if (witness) rpc().call(PING, witness, {}, { done })
    else done()
  }

  /** The network is up, so the contact's silence was its own; it gets its last chance. */
  #condemn(suspect: Callee): void {
    const entry = suspect.id && this.#config.table.get(suspect.id)
    if (!entry || entry.address !== suspect.address) return
    this.#config.table.failed(entry.id, entry.address)
    this.onGivenUp(suspect)
  }

  /** Pings, unless a ping to that address is under way. A stranger's is not resent, to keep the reflection limit. */
  #ping(contact: Contact, isStranger: boolean, done: (error: DhtError | undefined) => void): void {
    const { address } = contact
    if (this.#checking?.has(address) || (isStranger && this.#strangersAsked >= STRANGERS_MAX)) return
    this.#checking ??= new Set()
    this.#checking.add(address)
    if (isStranger) this.#strangersAsked++
    const ended = (): void => {
      this.#checking?.delete(address)
      if (this.#checking?.size === 0) this.#checking = undefined
      if (isStranger) this.#strangersAsked--
    }
    this.#config.rpc().call(
      PING,
      contact,
      {},
      {
        done(error) {
          ended()
          if (error?.code !== 'ERR_CLOSED') done(error)
        },
      },
      !isStranger,
    )
  }

  /** How many of the last calls to an address went unanswered. */
  #unansweredAt(address: Address): number {
    // Mostly nobody is silent: no reason to ask for the time.
    if (this.#unanswered.size === 0) return 0
    return this.#unanswered.get(address, this.#config.clock.now()) ?? 0
  }

  #isDue(checked: Recent<true, number>, contact: Contact): boolean {
    const { clock, table } = this.#config
    const bucket = table.bucketIndex(contact.id)
    const nowMs = clock.now()
    if (checked.get(bucket, nowMs)) return false
    checked.set(bucket, true, nowMs)
    return true
  }
}
