import debug from 'debug'
import type { Address, Contact } from '../keyspace/index.js'
import { sameBytes, toHex } from '../keyspace/index.js'
import type { NodeState, NodeStateStore } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import type { KnownContacts } from './known-contacts.js'
import type { NodeContext } from './node-context.js'

const log = debug('xorbit:state')

/** New contacts, but the very first, are kept this long after the first of them came, where they are many for the node, in ms. */
const SOON_MS = 500

/** They are many when there are so many times as many as were kept. */
const MANY = 1.5

/** Else so often, if there are others by then, in ms. */
const INTERVAL_MS = 5 * 60_000

/** A close waits no longer than this for a store that does not answer, in ms. */
const CLOSE_MAX_MS = 2_000

/** So many contacts are kept at most. */
const KEPT_MAX = 1024

/** A table with fewer than k contacts is filled up to this many with those that were kept before. */
const FILLED_UP_TO = 64

/** Keeps in the store what makes the node the same one after a restart: id, secret key and contacts. */
export class KeptState {
  readonly #node: NodeContext
  readonly #known: KnownContacts
  readonly #states: NodeStateStore
  /** Id and key, where the store does not have them yet. */
  #unsaved: Partial<NodeState>
  /** The contacts that this run has kept. */
  #contacts: readonly Contact[] | undefined
  /** Whether it was tried to keep the first contact of this run. */
  #isFirstKept = false
  #isSaving = false
  #whenSaved: (() => void) | undefined
  #isRunning = false
  #nextAtMs = 0
  #cancelNext = (): void => {}

  constructor(node: NodeContext, states: NodeStateStore, secretKey: Uint8Array, known: KnownContacts) {
    this.#node = node
    this.#known = known
    this.#states = states
    const { loaded } = states
    this.#unsaved = {
      ...(isSame(loaded.id, node.id) ? {} : { id: new Uint8Array(node.id) }),
      ...(isSame(loaded.secretKey, secretKey) ? {} : { secretKey: new Uint8Array(secretKey) }),
    }
  }

  /** The node is open. */
  start(): void {
    this.#isRunning = true
    this.#save(this.#unsaved)
    this.#schedule(SOON_MS)
  }

  /** The node has joined: who answered by now are ways back, should it end at once. */
  joined(): void {
    if (!this.#isRunning) return
    if (!this.#isSaving) this.#save(this.#changes())
    this.#schedule(SOON_MS)
  }

  /** A contact entered the table. A young network, or the first node of one, grows soon after the start. */
  contactAdded(): void {
    const { clock, config, table } = this.#node
    const kept = this.#contacts?.length ?? 0
    // Without the first one the next run would know nobody at all.
    if (!this.#isFirstKept && this.#isRunning && !this.#isSaving) {
      this.#isFirstKept = true
      this.#save(this.#changes())
    }
    const isMuch = table.size < config.k || table.size >= MANY * kept
    if (this.#isRunning && isMuch && this.#nextAtMs > clock.now() + SOON_MS) this.#schedule(SOON_MS)
  }

  /** Keeps what has changed, and calls back when that has ended, or takes too long. */
  close(done: () => void): void {
    if (!this.#isRunning) {
      done()
      return
    }
    this.#isRunning = false
    this.#cancelNext()
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      cancelWait()
      done()
    }
    const cancelWait = this.#node.clock.after(CLOSE_MAX_MS, () => {
      log('the store took too long')
      end()
    })
    const changes = this.#changes()
    if (this.#isSaving) this.#whenSaved = () => this.#save(changes, end)
    else this.#save(changes, end)
  }

  #schedule(delayMs: number): void {
    this.#cancelNext()
    if (!this.#isRunning) return
    this.#nextAtMs = this.#node.clock.now() + delayMs
    this.#cancelNext = this.#node.clock.after(delayMs, () => {
      if (!this.#isSaving) this.#save(this.#changes())
      this.#schedule(INTERVAL_MS)
    })
  }

  #changes(): Partial<NodeState> {
    // Who knows nobody at the moment needs those that he knew before.
    const contacts = this.#node.table.size > 0 ? this.#contactsNow() : undefined
    const isNew = contacts && !(this.#contacts && areSame(contacts, this.#contacts))
    return { ...this.#unsaved, ...(isNew && { contacts }) }
  }

  /** Those of the table. A node that has lost nearly all of them may need the ones that it had before. */
  #contactsNow(): Contact[] {
    const { config, table } = this.#node
    const entries = table.entries().slice(0, KEPT_MAX)
    const contacts = new Map<Address, Contact>(
      entries.map(({ id, address }) => [address, { id: new Uint8Array(id), address }]),
    )
    if (contacts.size >= config.k) return [...contacts.values()]
    for (const contact of [...this.#known.kept(), ...(this.#contacts ?? config.contacts)]) {
      if (contacts.size >= FILLED_UP_TO) break
      const isThere = contacts.has(contact.address) || table.get(contact.id) !== undefined
      if (!isThere) contacts.set(contact.address, contact)
    }
    return [...contacts.values()]
  }

  #save(changes: Partial<NodeState>, done: () => void = () => {}): void {
    if (Object.keys(changes).length === 0) {
      done()
      return
    }
    this.#isSaving = true
    const end = (): void => {
      this.#isSaving = false
      const next = this.#whenSaved
      this.#whenSaved = undefined
      next?.()
      done()
    }
    const saved = (): void => {
      // What was given comes only from here, so that it is as it was.
      this.#unsaved = {}
      if (changes.contacts) this.#contacts = changes.contacts
      log('kept %s', Object.keys(changes).join(', '))
      end()
    }
    const failed = (error: unknown): void => {
      this.#node.counters.saveFailures++
      log('the store failed: %o', error)
      end()
    }
    whenReady(() => this.#states.save(changes), saved, failed)
  }
}

/** What a store has loaded may be anything. */
function isSame(kept: unknown, now: Uint8Array): boolean {
  return kept instanceof Uint8Array && sameBytes(kept, now)
}

function areSame(a: readonly Contact[], b: readonly Contact[]): boolean {
  const nameOf = ({ id, address }: Contact): string => `${toHex(id)} ${address}`
  const names = new Set(a.map(nameOf))
  return a.length === b.length && b.every((contact) => names.has(nameOf(contact)))
}
