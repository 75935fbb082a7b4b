import type { DhtError } from './errors.js'
import type { Address, Contact } from './keyspace/index.js'

/** What a node tells its application, by event name. */
export interface DhtEvents {
  /** The transport is open: others can reach the node, which begins to join. */
  listening: {
    /** Where it listens. */
    readonly address: Address
  }
  /** The node has joined its network: a lookup of its own id was answered. */
  joined: {
    /** How many contacts the routing table holds. */
    readonly contacts: number
    /** How long the attempt took that succeeded, in ms. */
    readonly elapsedMs: number
  }
  /** No bootstrap address and no known contact answered; the next attempt follows by itself. */
  bootstrapFailed: DhtError | TypeError
  /** A contact entered the routing table. */
  contactAdded: Contact
  /** A contact left the routing table. */
  contactRemoved: Contact
  /**
   * What this node published or announced could not be stored again. After `ERR_SEQ_TOO_LOW` or `ERR_SEQ_CONFLICT`
   * another record has its place, and it is given up; after anything else the next attempt follows by itself.
   */
  republishFailed: {
    /** The key, or the topic. */
    readonly key: Uint8Array
    /** Why. */
    readonly error: DhtError
  }
  /** A handler of the application's own threw or rejected. The requester got `ERR_REMOTE`. */
  handlerFailed: {
    /** The name that it handles. */
    readonly method: string
    /** What it threw or rejected with. */
    readonly error: unknown
  }
  /** The node is closed. */
  closed: undefined
}

/** The names of all events. */
export const EVENT_NAMES: readonly (keyof DhtEvents)[] = [
  'listening',
  'joined',
  'bootstrapFailed',
  'contactAdded',
  'contactRemoved',
  'republishFailed',
  'handlerFailed',
  'closed',
]

/** Takes an event. What it throws is reported as an uncaught exception, after the node's own work is done. */
export type Listener<T> = (event: T) => void

/** Typed events. */
export class Events<Names> {
  readonly #names: readonly (keyof Names)[]
  /** Only of those events that somebody listens to. */
  #listeners: Map<keyof Names, Set<Listener<never>>> | undefined

  constructor(names: readonly (keyof Names)[]) {
    this.#names = names
  }

  /**
   * Calls the listener at each event from now on.
   *
   * @returns ends that
   * @throws TypeError when there is no such event, or the listener is no function
   */
  on<K extends keyof Names>(event: K, listener: Listener<Names[K]>): () => void {
    if (typeof listener !== 'function') throw new TypeError('the listener must be a function')
    const own: Listener<Names[K]> = (value) => listener(value)
    if (!this.#names.includes(event)) throw new TypeError(`there is no event ${String(event)}`)
    this.#listeners ??= new Map()
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(own as Listener<never>)
    return () => {
      if (!listeners.delete(own as Listener<never>) || listeners.size > 0) return
      this.#listeners?.delete(event)
      if (this.#listeners?.size === 0) this.#listeners = undefined
    }
  }

  /** Calls the listeners of an event. A listener's exception is not the node's: it surfaces on its own. */
  emit<K extends keyof Names>(event: K, value: Names[K]): void {
    for (const listener of [...(this.#listeners?.get(event) ?? [])]) {
      try {
        ;(listener as Listener<Names[K]>)(value)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
