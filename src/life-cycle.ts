import type { CallOptions } from './arguments.js'
import { copyOfContact, mustBeCallOptions } from './arguments.js'
import type { Parts } from './assemble.js'
import { assemble } from './assemble.js'
import { DhtError } from './errors.js'
import type { DhtEvents } from './events.js'
import { EVENT_NAMES, Events } from './events.js'
import type { Address, Contact } from './keyspace/index.js'
import type { RunningAnnouncement } from './node/index.js'
import type { Done } from './operations.js'
import { Operations } from './operations.js'
import type { DhtConfig } from './options.js'
import type { Started } from './results.js'
import type { RecordStore } from './storage/index.js'
import { Flag, familyFlags } from './wire/index.js'

/** Two nodes that wrote to one store would take each other's records, and be one node. */
const storesInUse = new WeakSet<RecordStore>()

/** How long a close waits for a store that does not close, in ms. */
const STORE_CLOSE_MAX_MS = 10_000

type State = 'new' | 'starting' | 'open' | 'closed'

/** A node from its start to its close: what is under way, whether it has joined, and who is told. */
export class LifeCycle {
  readonly events: Events<DhtEvents> = new Events<DhtEvents>(EVENT_NAMES)
  readonly parts: Parts
  readonly #config: DhtConfig
  readonly #operations = new Operations()
  /** What is announced now, by topic and public key. */
  readonly announcements: Map<string, RunningAnnouncement> = new Map<string, RunningAnnouncement>()
  #state: State = 'new'
  #address: Address | undefined
  #flags: number
  #isJoined = false
  /** Whether the store is this node's: else closing it would close another's. */
  #hasStore = false
  #started: Promise<Started> | undefined
  #closed: Promise<void> | undefined

  constructor(config: DhtConfig) {
    this.#config = config
    this.#flags = config.client ? Flag.client : 0
    this.parts = assemble(config, {
      address: () => this.#address,
      flags: () => this.#flags,
      contactAdded: (contact) => this.#onAdded(contact),
      contactRemoved: (contact) => this.events.emit('contactRemoved', copyOfContact(contact)),
      lonely: () => this.#onLonely(),
      joined: (found) => {
        this.#isJoined = true
        this.parts.repair.joined()
        this.parts.keptState?.joined()
        this.events.emit('joined', found)
      },
      joinFailed: (error) => this.events.emit('bootstrapFailed', error),
      republishFailed: (key, error) => this.events.emit('republishFailed', { key: new Uint8Array(key), error }),
    })
  }

  /** Where the node listens; undefined before it has started. */
  get address(): Address | undefined {
    return this.#address
  }

  /** Whether it is in its network, as far as it knows. */
  get isJoined(): boolean {
    return this.#isJoined
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Opens the transport and joins; the first call's promise every time. */
  start(options: CallOptions | undefined): Promise<Started> {
    // A wrong argument leaves the node new, and a closed one only says so.
    const isUnderWay = this.#state === 'starting' || this.#state === 'open'
    if (!isUnderWay || !this.#started) this.#started = this.#start(options)
    return this.#started
  }

  /** Ends all of it. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /**
   * Runs something that ends with the node or with the signal.
   *
   * @throws DhtError `ERR_CLOSED`, `ERR_NOT_STARTED`
   */
  run<T>(signal: AbortSignal | undefined, begin: (done: Done<T>) => () => void): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.isClosed) return Promise.reject(new DhtError('ERR_CLOSED', 'the node is closed'))
    if (this.#state !== 'open') return Promise.reject(new DhtError('ERR_NOT_STARTED', 'the node was not started yet'))
    return this.#operations.run(signal, begin)
  }

  /** @throws DhtError `ERR_CLOSED` */
  mustNotBeClosed(): void {
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the node is closed')
  }

  async #start(options: CallOptions | undefined): Promise<Started> {
    const { signal } = mustBeCallOptions(options)
    this.mustNotBeClosed()
    mustBeFree(this.#config.storage)
    storesInUse.add(this.#config.storage)
    this.#hasStore = true
    this.#state = 'starting'
    try {
      return await this.#operations.run<Started>(signal, (done) => {
        this.#config.transport
          .start(this.#receiver())
          .then((address) => this.#onOpen(address, done))
          .catch((error) => done(error))
        return () => {}
      })
    } catch (error) {
      // Not awaited: an abort rejects at once, and a close that fails is told by the application's own close().
      if (!(error instanceof DhtError) || error.code !== 'ERR_BOOTSTRAP_FAILED') this.close().catch(() => {})
      throw error
    }
  }

  /** Made here, as whatever is made beside the call's end would keep it for as long as the node is open. */
  #receiver(): (from: Address, bytes: Uint8Array) => void {
    const { rpc } = this.parts.node
    return (from, bytes) => rpc.receive(from, bytes)
  }

  #onOpen(address: Address, done: Done<Started>): void {
    if (this.#state !== 'starting') return
    this.#state = 'open'
    this.#address = address
    this.#flags |= familyFlags(this.#config.transport)
    this.parts.upkeep.start()
    this.parts.repair.start()
    this.parts.keptState?.start()
    this.events.emit('listening', { address })
    // A listener may have closed the node.
    if (this.#state !== 'open') return
    if (!this.parts.join.hasWays) {
      this.#isJoined = true
      done(undefined, { address, contacts: 0, elapsedMs: 0 })
      return
    }
    const ends = [
      this.events.on('joined', (found) => end(undefined, { address, ...found })),
      this.events.on('bootstrapFailed', (error) => end(error)),
    ]
    const end: Done<Started> = (error, result) => {
      for (const off of ends) off()
      done(error, result)
    }
    this.parts.join.attempt()
  }

  async #close(): Promise<void> {
    this.#state = 'closed'
    const { join, keptState, node, publications, repair, upkeep } = this.parts
    node.rpc.mute()
    const isKept = keptState && new Promise<void>((resolve) => keptState.close(resolve))
    for (const part of [join, upkeep, repair, publications]) part.stop()
    for (const announcement of this.announcements.values()) announcement.abandon()
    this.announcements.clear()
    this.#operations.giveUpAll(new DhtError('ERR_CLOSED', 'the node was closed'))
    node.rpc.close()
    const { storage, transport } = this.#config
    const closed = Promise.resolve()
      .then(() => transport.close())
      .finally(() => isKept)
      .finally(() => (this.#hasStore || !storesInUse.has(storage) ? closeStore(this.#config) : undefined))
    await closed.finally(() => this.events.emit('closed', undefined))
  }

  #onAdded(contact: Contact): void {
    this.events.emit('contactAdded', copyOfContact(contact))
    this.parts.keptState?.contactAdded()
    // Somebody has found us while nobody answers whom we know: that is a way in.
    if (!this.#isJoined && this.#state === 'open') this.parts.join.attempt()
  }

  #onLonely(): void {
    if (!this.parts.join.hasWays) return
    this.#isJoined = false
    this.parts.join.keepTrying()
  }
}

/** @throws DhtError `ERR_STORE_FAILED` where another node has the store, or has closed it */
function mustBeFree(storage: RecordStore): void {
  if (storesInUse.has(storage))
    throw new DhtError('ERR_STORE_FAILED', 'another node has this store: a store is for one')
  const cause = whyClosed(storage)
  const message = 'the store is closed, as a node closes the one it had: open another'
  if (cause) throw new DhtError('ERR_STORE_FAILED', message, { cause })
}

/** What a store that is closed says to a question that it else answers at once. */
function whyClosed(storage: RecordStore): DhtError | undefined {
  try {
    Promise.resolve(storage.list(new Uint8Array(1), 0)).catch(() => {})
    return undefined
  } catch (error) {
    return error instanceof DhtError && error.code === 'ERR_CLOSED' ? error : undefined
  }
}

/** @throws DhtError `ERR_STORE_FAILED` where it takes too long, and what the store fails with */
async function closeStore({ clock, storage }: Pick<DhtConfig, 'clock' | 'storage'>): Promise<void> {
  storesInUse.delete(storage)
  const closing = storage.close()
  if (closing === undefined) return
  await new Promise<void>((resolve, reject) => {
    const tooLong = new DhtError('ERR_STORE_FAILED', `the store has not closed after ${STORE_CLOSE_MAX_MS / 1000} s`)
    const cancel = clock.after(STORE_CLOSE_MAX_MS, () => reject(tooLong))
    closing.finally(cancel).then(resolve, reject)
  })
}
