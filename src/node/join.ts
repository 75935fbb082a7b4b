import debug from 'debug'
import { DhtError } from '../errors.js'
import type { Address, Contact } from '../keyspace/index.js'
import { sharedPrefixBits } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { FIND_NODE } from '../wire/index.js'
import { checkKnown, KNOWN_AT_ONCE, once } from './check-known.js'
import type { KnownContacts } from './known-contacts.js'
import { lookUpNodes, readContacts } from './lookups.js'
import type { NodeConfig, NodeContext } from './node-context.js'
import { fillRegion } from './regions.js'
import { Running } from './running.js'

const log = debug('xorbit:join')

/** So many known contacts are asked in one attempt: with nine in ten dead, one in a thousand attempts fails. */
const KNOWN_PER_ATTEMPT = 64

/** What a join found. */
export interface Joined {
  /** How many contacts the table holds now. */
  readonly contacts: number
  /** How long the attempt took that succeeded, in ms. */
  readonly elapsedMs: number
}

/** What {@link Join} reports. */
export interface JoinEvents {
  /** Joined: the lookup of our own id was answered. */
  joined(found: Joined): void
  /** An attempt failed; the next one follows by itself, unless a bootstrap address can't be read: a TypeError. */
  failed(error: DhtError | TypeError): void
}

/** One attempt to join. */
interface Attempt {
  readonly startedAtMs: number
  /** Names that are being resolved and addresses that are being asked; one for all known contacts not yet asked. */
  open: number
  /** How many known contacts were asked. */
  known: number
  readonly asked: Set<Address>
  isAnswered: boolean
  /** Why it failed, as far as is known. */
  cause: unknown
}

/**
 * Gets the node into its network (paper 2.3): asks the bootstrap addresses and whom it knew before, looks up its own
 * id, then the regions far from it. A failed attempt is repeated for as long as the node is open, with growing pauses.
 */
export class Join {
  readonly #node: NodeContext
  readonly #known: KnownContacts
  readonly #ownAddress: () => Address | undefined
  readonly #events: JoinEvents
  readonly #running = new Running()
  #attempts = 0
  #isTrying = false
  #isStopped = false
  /** Bootstrap nodes that answered after the first one. */
  #late: Contact[] = []
  #cancelRetry: (() => void) | undefined

  constructor(node: NodeContext, known: KnownContacts, ownAddress: () => Address | undefined, events: JoinEvents) {
    this.#node = node
    this.#known = known
    this.#ownAddress = ownAddress
    this.#events = events
  }

  /** Whether there is anybody to join through, or was meant to be: of known contacts none may be one to ask. */
  get hasWays(): boolean {
    const { bootstrap, contacts } = this.#node.config
    return bootstrap.length + contacts.length + this.#known.size > 0
  }

  /** Tries now, unless an attempt is under way. */
  attempt(): void {
    if (this.#isTrying || this.#isStopped) return
    this.#isTrying = true
    this.#late = []
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    const { clock, config } = this.#node
    const known = this.#known.next(KNOWN_PER_ATTEMPT)
    const attempt: Attempt = {
      startedAtMs: clock.now(),
      open: config.bootstrap.length + (known.length > 0 ? 1 : 0),
      known: known.length,
      asked: new Set(),
      isAnswered: false,
      cause: undefined,
    }
    // Each name's addresses are asked as soon as they are known: a slow DNS server delays nobody else.
    for (const name of config.bootstrap) {
      this.#resolve(name).then(
        // In a turn of its own: a name that can't be read ends the start before anybody is asked.
        (addresses) => this.#later(() => this.#greet(attempt, name, addresses)),
        (error) => this.#events.failed(error),
      )
    }
    if (attempt.open === 0) this.#lookUpFromTable(attempt)
    // As above: in a turn of its own.
    if (known.length > 0) this.#later(() => this.#askKnown(attempt, known))
  }

  /** Tries now, unless an attempt is under way or the next one is only a pause away. */
  keepTrying(): void {
    if (this.#cancelRetry === undefined) this.attempt()
  }

  /** Stops for good. */
  stop(): void {
    this.#cancelRetry?.()
    this.#isStopped = true
    this.#running.cancelAll()
  }

  #later(callback: () => void): void {
    this.#running.begin((ended) =>
      this.#node.clock.after(0, () => {
        ended()
        callback()
      }),
    )
  }

  /** The addresses of a bootstrap name; none where it does not resolve now. */
  async #resolve(name: string): Promise<Address[]> {
    // A signal each: many listeners on one would look like a leak.
    const abort = new AbortController()
    try {
      const work = this.#node.transport.resolve(name, { signal: abort.signal })
      return await this.#running.during(work, () => abort.abort())
    } catch (error) {
      if (error instanceof TypeError) throw error
      log('%s does not resolve: %o', name, error)
      return []
    }
  }

  /** Asks a bootstrap name's addresses; the first answer of all starts the lookup, the others feed the table. */
  #greet(attempt: Attempt, name: string, addresses: readonly Address[]): void {
    if (this.#isStopped) return
    if (addresses.length === 0) attempt.cause ??= new DhtError('ERR_UNRESOLVED', `${name} has no address`)
    for (const address of addresses) this.#ask(attempt, address, () => {})
    this.#endOne(attempt)
  }

  /** Asks known contacts, a few at a time, until one has answered: whoever is at their addresses by now will do. */
  #askKnown(attempt: Attempt, addresses: readonly Address[]): void {
    const askOne = (address: Address, freed: () => void): (() => void) => {
      if (attempt.isAnswered) freed()
      else this.#ask(attempt, address, once(freed))
      return () => {}
    }
    this.#running.each(addresses, KNOWN_AT_ONCE, askOne, () => this.#endOne(attempt))
  }

  /** Asks whoever is at an address, unless that was done; `overdue` is called when the answer is there or late. */
  #ask(attempt: Attempt, address: Address, overdue: () => void): void {
    if (address === this.#ownAddress() || attempt.asked.has(address)) {
      overdue()
      return
    }
    const params = { target: this.#node.id, skip: 0 }
    attempt.asked.add(address)
    attempt.open++
    this.#running.begin((ended) =>
      this.#node.rpc.call(FIND_NODE, { address }, params, {
        slow: overdue,
        done: (error, result, from) => {
          ended()
          if (result) this.#onGreeted(attempt, from, readContacts(this.#node, result.contacts, from).contacts)
          else attempt.cause = error
          this.#endOne(attempt)
          overdue()
        },
      }),
    )
  }

  #onGreeted(attempt: Attempt, from: Contact, contacts: readonly Contact[]): void {
    if (attempt.isAnswered) {
      this.#late.push(from)
      if (!this.#isTrying) this.#askLate()
      return
    }
    attempt.isAnswered = true
    // It is asked once more: until it answers again it has verified us, so that it names us to others.
    this.#lookUpOwnId([from, ...contacts], (outcome) => this.#finish(outcome, attempt))
  }

  /** A name or an address of the attempt is through. */
  #endOne(attempt: Attempt): void {
    attempt.open--
    if (attempt.open === 0 && !attempt.isAnswered) this.#lookUpFromTable(attempt)
  }

  /** No bootstrap address answered; who has found us meanwhile will do. */
  #lookUpFromTable(attempt: Attempt): void {
    if (this.#node.table.size === 0) this.#fail(attempt)
    else this.#lookUpOwnId([], (outcome) => this.#finish(outcome, attempt))
  }

  #lookUpOwnId(named: readonly Contact[], done: (outcome: LookupOutcome) => void): void {
    const { config, id, table } = this.#node
    // A bootstrap node may have found no place in the table; it is a good beginning all the same.
    const seeds = [...named.filter((contact) => !table.get(contact.id)), ...table.nearest(id, config.k)]
    this.#running.begin((ended) => {
      const whenDone = (outcome: LookupOutcome): void => {
        ended()
        done(outcome)
      }
      return lookUpNodes(this.#node, id, whenDone, seeds).stop
    })
  }

  /** Where the first bootstrap node showed us few others, it may be new itself, and those after it know more. */
  #askLate(): void {
    const late = this.#late.splice(0)
    if (late.length > 0 && this.#node.table.size < this.#node.config.k) {
      this.#lookUpOwnId(late, (outcome) => this.#explore(outcome))
    }
  }

  #finish(outcome: LookupOutcome, attempt: Attempt): void {
    if (this.#isStopped) return
    const { isAnswered, startedAtMs } = attempt
    if (outcome.answered === 0 && !isAnswered) {
      this.#fail(attempt)
      return
    }
    const { clock, table } = this.#node
    this.#isTrying = false
    this.#attempts = 0
    const elapsedMs = clock.now() - startedAtMs
    log('joined with %d contacts in %d ms', table.size, elapsedMs)
    this.#events.joined({ contacts: table.size, elapsedMs })
    this.#known.rewind()
    checkKnown(this.#node, this.#known, this.#running, attempt.known > 0)
    this.#explore(outcome)
    this.#askLate()
  }

  #explore(outcome: LookupOutcome): void {
    const { config, id } = this.#node
    // With fewer than k nodes all of them were met just now; else our own neighbourhood was (paper 2.3).
    const farthest = outcome.closest[config.k - 1]
    this.#exploreFrom(0, farthest ? sharedPrefixBits(id, farthest.id) : 0)
  }

  /**
   * Looks up the far regions, one by one and at leisure: those who join after us, and those whom we ask, fill most of
   * their buckets meanwhile, and a crowd that joins at once is not slowed down by it.
   */
  #exploreFrom(region: number, end: number): void {
    if (region >= end) return
    const { clock, config, randomBytes } = this.#node
    const pauseMs = config.explorePauseMs * (0.5 + (randomBytes(1)[0] as number) / 256)
    this.#running.begin((ended) =>
      clock.after(pauseMs, () => {
        ended()
        fillRegion(this.#node, region, this.#running)
        this.#exploreFrom(region + 1, end)
      }),
    )
  }

  #fail({ cause, known }: Attempt): void {
    if (this.#isStopped) return
    const { clock, config, randomBytes } = this.#node
    this.#isTrying = false
    const pauseMs = Math.min(config.bootstrapRetryMaxMs, config.bootstrapRetryMinMs * 2 ** this.#attempts++)
    // Between half and all of it, so that nodes that lost one bootstrap node don't come back together.
    const jitteredMs = pauseMs * (0.5 + (randomBytes(1)[0] as number) / 512)
    this.#cancelRetry = clock.after(jitteredMs, () => this.attempt())
    const message = whoFailed(config, known)
    log('%s; the next attempt follows in %d ms', message, jitteredMs)
    this.#events.failed(new DhtError('ERR_BOOTSTRAP_FAILED', message, { cause }))
  }
}

/** @param known - how many known contacts were asked */
function whoFailed({ bootstrap, contacts }: Pick<NodeConfig, 'bootstrap' | 'contacts'>, known: number): string {
  const ofKnown = `${known} known ${known === 1 ? 'contact' : 'contacts'}`
  if (bootstrap.length > 0) {
    const names = `none of the bootstrap addresses answered: ${bootstrap.join(', ')}`
    return known > 0 ? `${names}; nor did any of ${ofKnown}` : names
  }
  return known > 0 ? `none of ${ofKnown} answered` : `none of the ${contacts.length} known contacts can be asked`
}
