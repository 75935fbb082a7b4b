import debug from 'debug'
import { DhtError } from '../errors.js'
import type { Address, Contact } from '../keyspace/index.js'
import { sharedPrefixBits } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { FIND_NODE } from '../wire/index.js'
import { lookUpNodes } from './lookups.js'
import type { NodeContext } from './node-context.js'
import { lookUpRegions } from './regions.js'
import { Running } from './running.js'

const log = debug('xorbit:join')

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

/**
 * Gets the node into its network (paper 2.3): asks the bootstrap addresses, looks up its own id, then the
 * regions far from it. A failed attempt is repeated for as long as the node is open, with growing pauses.
 */
export class Join {
  readonly #node: NodeContext
  readonly #ownAddress: () => Address | undefined
  readonly #events: JoinEvents
  readonly #running = new Running()
  #attempts = 0
  #isTrying = false
  #isStopped = false
  /** Bootstrap nodes that answered after the first one. */
  #late: Contact[] = []
  #cancelRetry: (() => void) | undefined

  constructor(node: NodeContext, ownAddress: () => Address | undefined, events: JoinEvents) {
    this.#node = node
    this.#ownAddress = ownAddress
    this.#events = events
  }

  /** Tries now, unless an attempt is under way. */
  attempt(): void {
    if (this.#isTrying || this.#isStopped) return
    this.#isTrying = true
    this.#late = []
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    const startedAtMs = this.#node.clock.now()
    this.#resolveBootstrap().then(
      (addresses) => this.#greet(addresses, startedAtMs),
      (error) => this.#events.failed(error),
    )
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

  async #resolveBootstrap(): Promise<Address[]> {
    const { config, transport } = this.#node
    const resolved = await Promise.all(
      config.bootstrap.map(async (name) => {
        // A signal each: many listeners on one would look like a leak.
        const abort = new AbortController()
        try {
          return await this.#running.during(transport.resolve(name, { signal: abort.signal }), () => abort.abort())
        } catch (error) {
          if (error instanceof TypeError) throw error
          log('%s does not resolve: %o', name, error)
          return []
        }
      }),
    )
    const own = this.#ownAddress()
    return [...new Set(resolved.flat())].filter((address) => address !== own)
  }

  /** Asks all bootstrap addresses at once; the first answer starts the lookup, the others feed the table. */
  #greet(addresses: readonly Address[], startedAtMs: number): void {
    if (this.#isStopped) return
    let open = addresses.length
    let hasAnswer = false
    if (open === 0) {
      this.#lookUpFromTable(startedAtMs, undefined)
      return
    }
    const answered = (ended: () => void, error: unknown, from: Contact): void => {
      ended()
      open--
      if (error) {
        if (!hasAnswer && open === 0) this.#lookUpFromTable(startedAtMs, error)
      } else if (hasAnswer) {
        this.#late.push(from)
        if (!this.#isTrying) this.#askLate()
      } else {
        hasAnswer = true
        this.#lookUpOwnId([from], (outcome) => this.#finish(outcome, startedAtMs))
      }
    }
    const params = { target: this.#node.id, skip: 0 }
    for (const address of addresses) {
      this.#running.begin((ended) =>
        this.#node.rpc.call(FIND_NODE, { address }, params, {
          done: (error, _result, from) => answered(ended, error, from),
        }),
      )
    }
  }

  /** No bootstrap address answered; who has found us meanwhile will do. */
  #lookUpFromTable(startedAtMs: number, error: unknown): void {
    if (this.#node.table.size === 0) this.#fail(error)
    else this.#lookUpOwnId([], (outcome) => this.#finish(outcome, startedAtMs))
  }

  #lookUpOwnId(bootstrap: readonly Contact[], done: (outcome: LookupOutcome) => void): void {
    const { config, id, table } = this.#node
    // A bootstrap node may have found no place in the table; it is a good beginning all the same.
    const seeds = [...bootstrap.filter((contact) => !table.get(contact.id)), ...table.nearest(id, config.k)]
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

  #finish(outcome: LookupOutcome, startedAtMs: number): void {
    if (this.#isStopped) return
    if (outcome.answered === 0) {
      this.#fail(undefined)
      return
    }
    const { clock, table } = this.#node
    this.#isTrying = false
    this.#attempts = 0
    const elapsedMs = clock.now() - startedAtMs
    log('joined with %d contacts in %d ms', table.size, elapsedMs)
    this.#events.joined({ contacts: table.size, elapsedMs })
    this.#explore(outcome)
    this.#askLate()
  }

  #explore(outcome: LookupOutcome): void {
    const { config, id } = this.#node
    // With fewer than k nodes all of them were met just now; else our own neighbourhood was (paper 2.3).
    const farthest = outcome.closest[config.k - 1]
    const regions = farthest ? sharedPrefixBits(id, farthest.id) : 0
    lookUpRegions(
      this.#node,
      Array.from({ length: regions }, (_, region) => region),
      this.#running,
    )
  }

  #fail(cause: unknown): void {
    if (this.#isStopped) return
    const { clock, config, randomBytes } = this.#node
    this.#isTrying = false
    const pauseMs = Math.min(config.bootstrapRetryMaxMs, config.bootstrapRetryMinMs * 2 ** this.#attempts++)
    // Between half and all of it, so that nodes that lost one bootstrap node don't come back together.
    const jitteredMs = pauseMs * (0.5 + (randomBytes(1)[0] as number) / 512)
    this.#cancelRetry = clock.after(jitteredMs, () => this.attempt())
    const message = `none of the bootstrap addresses answered: ${config.bootstrap.join(', ')}`
    this.#events.failed(new DhtError('ERR_BOOTSTRAP_FAILED', message, { cause }))
  }
}
