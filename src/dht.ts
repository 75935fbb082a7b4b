/// <reference lib="esnext.disposable" preserve="true" />

import type { CallOptions } from './arguments.js'
import {
  copyOfContact,
  mustBeCallee,
  mustBeCallOptions,
  mustBeKey,
  mustBeMethodName,
  mustBePayload,
  mustBeValue,
} from './arguments.js'
import { DhtError } from './errors.js'
import type { DhtEvents, Listener } from './events.js'
import { EVENT_NAMES, Events } from './events.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import type { Costs, NodeContext } from './node/index.js'
import {
  Admission,
  anyIdButOurs,
  findNodes,
  getRecord,
  Join,
  putRecord,
  serveProtocol,
  Upkeep,
  WriteTokens,
} from './node/index.js'
import type { Done } from './operations.js'
import { Operations } from './operations.js'
import type { DhtConfig, DhtOptions } from './options.js'
import { resolveOptions } from './options.js'
import { encodeImmutable, immutableKind, immutableValue } from './records/index.js'
import type { AppHandler, DhtStats, FindNodeResult, GetResult, PingResult, PutResult, Started } from './results.js'
import { RoutingTable } from './routing/index.js'
import type { Callee } from './rpc/index.js'
import { Rpc } from './rpc/index.js'
import type { Method } from './wire/index.js'
import { appMethod, createCodec, createContactPacker, Flag, familyFlags, PING } from './wire/index.js'

type State = 'new' | 'starting' | 'open' | 'closed'

const NO_PAYLOAD = new Uint8Array(0)

/** A node of the network: made by {@link createDht}. */
export class Dht implements AsyncDisposable {
  readonly #config: DhtConfig
  readonly #node: NodeContext
  readonly #join: Join
  readonly #upkeep: Upkeep
  readonly #events = new Events<DhtEvents>(EVENT_NAMES)
  readonly #operations = new Operations()
  #state: State = 'new'
  #address: Address | undefined
  #flags: number
  #isJoined = false
  #started: Promise<Started> | undefined
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(config: DhtConfig) {
    const { clock, id, randomBytes, storage, transport } = config
    this.#config = config
    this.#flags = config.client ? Flag.client : 0
    const table = new RoutingTable({
      ...config,
      ownId: id,
      now: () => clock.now(),
      describe: (address) => transport.describe(address),
      onAdded: (contact) => this.#onAdded(contact),
      onRemoved: (contact) => this.#events.emit('contactRemoved', copyOfContact(contact)),
    })
    const admission = new Admission({ ...config, table, rpc: () => rpc, onIsolated: () => this.#onLonely() })
    const rpc: Rpc = new Rpc({
      ...config,
      codec: createCodec(config.network),
      identity: () => ({ id, flags: this.#flags }),
      mayClaim: anyIdButOurs(id),
      observer: admission,
    })
    const packer = createContactPacker(transport)
    const counters = { invalidRecords: 0 }
    this.#node = {
      ...{ id, config, clock, randomBytes, transport, table, rpc, store: storage, packer, counters },
      verify: (entry) => admission.check(entry),
      isSilent: (address) => admission.isSilent(address),
    }
    serveProtocol(this.#node, new WriteTokens(config), new Map([[immutableKind.code, immutableKind]]))
    this.#join = new Join(this.#node, () => this.#address, {
      joined: (found) => {
        this.#isJoined = true
        this.#events.emit('joined', found)
      },
      failed: (error) => this.#events.emit('bootstrapFailed', error),
    })
    this.#upkeep = new Upkeep(this.#node, () => this.#onLonely())
  }

  /** The node's id; a copy. */
  get id(): NodeId {
    return new Uint8Array(this.#node.id)
  }

  /**
   * Where the node listens; undefined before it has started. Behind a NAT, others see another address.
   */
  get address(): Address | undefined {
    return this.#address
  }

  /**
   * Opens the transport and joins the network: asks the bootstrap addresses and looks up the node's own id. Without
   * bootstrap addresses the node is the first of a network. A second call returns the first one's promise.
   *
   * @throws DhtError `ERR_BOOTSTRAP_FAILED` when no bootstrap address answered: the node is open all the same, goes
   *   on trying and emits `joined`. `ERR_ADDRESS_IN_USE` or `ERR_TRANSPORT` when the transport can't be opened,
   *   `ERR_CLOSED` after {@link Dht.close}.
   * @throws TypeError when a bootstrap address can't be read; the node is closed then, and so it is after an abort
   */
  start(options?: CallOptions): Promise<Started> {
    // A wrong argument leaves the node new, and a closed one only says so.
    const isUnderWay = this.#state === 'starting' || this.#state === 'open'
    if (!isUnderWay || !this.#started) this.#started = this.#start(options)
    return this.#started
  }

  /**
   * Stores a value at the k nodes nearest to its key.
   *
   * @param value - at most 880 bytes
   * @throws DhtError `ERR_VALUE_TOO_LARGE`; `ERR_NO_CONTACTS` when the routing table is empty; `ERR_TIMEOUT` when
   *   nobody answered; `ERR_NOT_STORED` when nobody stored it, with the first refusal as its `cause`
   */
  async put(value: Uint8Array, options?: CallOptions): Promise<PutResult> {
    const { key, record } = encodeImmutable(mustBeValue(value))
    const stored = await this.#run<Omit<PutResult, 'key'>>(options, (done) =>
      putRecord(this.#node, key, immutableKind, record, this.#config.valueLifetimeMs, done),
    )
    return { key, ...stored, storedAt: stored.storedAt.map(copyOfContact) }
  }

  /**
   * Gets the value of a key: the first one found that the key is the hash of.
   *
   * @returns undefined when more than half of the k nearest nodes answered and none has it
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when too few answered to tell
   */
  async get(key: Uint8Array, options?: CallOptions): Promise<GetResult | undefined> {
    const wanted = mustBeKey('key', key)
    const found = await this.#run(options, (done: Done<(Costs & { record: Uint8Array }) | undefined>) =>
      getRecord(this.#node, wanted, done),
    )
    if (found === undefined) return undefined
    const { record, ...costs } = found
    return { value: immutableValue(record), ...costs }
  }

  /**
   * Finds the k nodes nearest to a point of the key space, the own node left out.
   *
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when nobody answered
   */
  async findNode(target: Uint8Array, options?: CallOptions): Promise<FindNodeResult> {
    const wanted = mustBeKey('target', target)
    const found = await this.#run<FindNodeResult>(options, (done) => findNodes(this.#node, wanted, done))
    return { ...found, closest: found.closest.map(copyOfContact) }
  }

  /**
   * Asks a node for a sign of life.
   *
   * @param to - a contact, whose id is verified, or `host:port` of any node
   * @throws DhtError `ERR_TIMEOUT`, `ERR_WRONG_ID`, `ERR_UNRESOLVED`
   */
  async ping(to: Contact | string, options?: CallOptions): Promise<PingResult> {
    const callee = mustBeCallee(to)
    const { from, elapsedMs } = await this.#call(PING, callee, {}, options)
    return { ...from, elapsedMs }
  }

  /**
   * Sends an application's own message and waits for the answer of the other side's {@link Dht.handle}.
   *
   * @param to - a contact, whose id is verified, or `host:port` of any node
   * @param payload - at most 1,000 bytes; none by default
   * @returns the answer's bytes
   * @throws DhtError `ERR_TIMEOUT`, `ERR_WRONG_ID`, `ERR_UNRESOLVED`; `ERR_UNKNOWN_METHOD` when the other side does
   *   not handle the method; `ERR_REMOTE` when its handler failed
   */
  async request(
    to: Contact | string,
    method: string,
    payload: Uint8Array = NO_PAYLOAD,
    options?: CallOptions,
  ): Promise<Uint8Array> {
    const callee = mustBeCallee(to)
    const shape = appMethod(mustBeMethodName(method))
    const { result } = await this.#call(shape, callee, { payload: mustBePayload(payload) }, options)
    return result.payload
  }

  /**
   * Answers an application's own messages of one name. A request that arrives twice runs the handler once.
   *
   * @param method - 1 to 32 bytes
   * @returns stops answering them
   * @throws RangeError when the name is handled already
   */
  handle(method: string, handler: AppHandler): () => void {
    const name = mustBeMethodName(method)
    if (typeof handler !== 'function') throw new TypeError('the handler must be a function')
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the node is closed')
    if (this.#node.rpc.serves(name)) throw new RangeError(`${name} is handled already`)
    const answer = async (payload: Uint8Array, from: Contact): Promise<Uint8Array> => {
      const result = await handler(payload, { from: copyOfContact(from) })
      return result === undefined ? NO_PAYLOAD : mustBePayload(result)
    }
    return this.#node.rpc.serve(
      appMethod(name),
      ({ payload }, { from }, reply) => {
        answer(payload, from).then(
          (result) => reply.result({ payload: result }),
          (error) => {
            reply.error('ERR_REMOTE', 'the handler failed')
            if (this.#state !== 'closed') this.#events.emit('handlerFailed', { method: name, error })
          },
        )
      },
      true,
    )
  }

  /**
   * Calls the listener at each event from now on.
   *
   * @returns ends that
   */
  on<K extends keyof DhtEvents>(event: K, listener: Listener<DhtEvents[K]>): () => void {
    return this.#events.on(event, listener)
  }

  /** The contacts in the routing table, all of which have answered us. */
  contacts(): Contact[] {
    return this.#node.table.entries().map(copyOfContact)
  }

  /** What happened so far. */
  stats(): DhtStats {
    const { counters, rpc, store, table, transport } = this.#node
    return {
      ...rpc.counters,
      dropped: { ...rpc.counters.dropped },
      ...counters,
      isJoined: this.#isJoined,
      contacts: table.size,
      pendingCalls: rpc.pendingCalls,
      storage: store.stats(),
      transport: transport.stats?.() ?? {},
    }
  }

  /**
   * Leaves: every open call rejects with `ERR_CLOSED`, and nothing of the node keeps the process alive. Idempotent.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Closes the node where `await using` leaves its scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(options: CallOptions | undefined): Promise<Started> {
    const { signal } = mustBeCallOptions(options)
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the node is closed')
    this.#state = 'starting'
    try {
      return await this.#operations.run<Started>(signal, (done) => {
        this.#config.transport
          .start((from, bytes) => this.#node.rpc.receive(from, bytes))
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

  #onOpen(address: Address, done: Done<Started>): void {
    if (this.#state !== 'starting') return
    this.#state = 'open'
    this.#address = address
    this.#flags |= familyFlags(this.#config.transport)
    this.#upkeep.start()
    if (this.#config.bootstrap.length === 0) {
      this.#isJoined = true
      done(undefined, { address, contacts: 0, elapsedMs: 0 })
      return
    }
    const ends = [
      this.#events.on('joined', (found) => end(undefined, { address, ...found })),
      this.#events.on('bootstrapFailed', (error) => end(error)),
    ]
    const end: Done<Started> = (error, result) => {
      for (const off of ends) off()
      done(error, result)
    }
    this.#join.attempt()
  }

  async #close(): Promise<void> {
    this.#state = 'closed'
    this.#node.rpc.mute()
    this.#join.stop()
    this.#upkeep.stop()
    this.#operations.giveUpAll(new DhtError('ERR_CLOSED', 'the node was closed'))
    this.#node.rpc.close()
    const { storage, transport } = this.#config
    const closed = Promise.resolve()
      .then(() => transport.close())
      .finally(() => storage.close())
    await closed.finally(() => this.#events.emit('closed', undefined))
  }

  #onAdded(contact: Contact): void {
    this.#events.emit('contactAdded', copyOfContact(contact))
    // Somebody has found us while no bootstrap address answers: that is a way in.
    if (!this.#isJoined && this.#state === 'open') this.#join.attempt()
  }

  #onLonely(): void {
    if (this.#config.bootstrap.length === 0) return
    this.#isJoined = false
    this.#join.keepTrying()
  }

  async #run<T>(options: CallOptions | undefined, begin: (done: Done<T>) => () => void): Promise<T> {
    const { signal } = mustBeCallOptions(options)
    signal?.throwIfAborted()
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the node is closed')
    if (this.#state !== 'open') throw new DhtError('ERR_NOT_STARTED', 'the node was not started yet')
    return this.#operations.run(signal, begin)
  }

  async #call<P, R>(
    method: Method<P, R>,
    to: Contact | Address,
    params: P,
    options: CallOptions | undefined,
  ): Promise<{ result: R; from: Contact; elapsedMs: number }> {
    const callee = await this.#findCallee(to, options)
    return this.#run(options, (done) =>
      this.#node.rpc.call(method, callee, params, {
        done: (error, result, from, elapsedMs) => done(error, { result: result as R, from, elapsedMs }),
      }),
    )
  }

  async #findCallee(to: Contact | Address, options: CallOptions | undefined): Promise<Callee> {
    return this.#run<Callee>(options, (done) => {
      const abort = new AbortController()
      const name = typeof to === 'string' ? to : to.address
      this.#config.transport.resolve(name, { signal: abort.signal }).then(
        ([address]) => {
          if (address === undefined) done(new DhtError('ERR_UNRESOLVED', `${name} has no address`))
          else done(undefined, typeof to === 'string' ? { address } : { id: to.id, address })
        },
        (error) => done(error),
      )
      return () => abort.abort()
    })
  }
}

/**
 * Makes a node. It does nothing before {@link Dht.start}.
 *
 * @throws TypeError or RangeError when an option is wrong
 *
 * @example
 * ```ts
 * const dht = createDht({ transport: udp({ port: 7400 }), bootstrap: ['203.0.113.7:7400'] })
 * await dht.start()
 * const { key, storedAt } = await dht.put(new TextEncoder().encode('hello'))
 * const found = await dht.get(key)
 * await dht.close()
 * ```
 */
export function createDht(options: DhtOptions): Dht {
  return new Dht(resolveOptions(options))
}
