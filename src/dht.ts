/// <reference lib="esnext.disposable" preserve="true" />

import { announce } from './announcing.js'
import type {
  AnnounceOptions,
  CallOptions,
  FindNodeOptions,
  GetOptions,
  PublishOptions,
  PutOptions,
  ResolveOptions,
  StoreRecordOptions,
} from './arguments.js'
import {
  copyOfContact,
  copyOfStep,
  mustBeCallee,
  mustBeCallOptions,
  mustBeKey,
  mustBeListener,
  mustBeMatching,
  mustBeMethodName,
  mustBePayload,
  mustBePeerData,
  mustBePort,
  mustBeRecord,
  mustBeSalt,
} from './arguments.js'
import type { DhtEvents, Listener } from './events.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import { LifeCycle } from './life-cycle.js'
import { call, query, serve } from './messages.js'
import type { FoundRecord, FoundRecords, LocatedPeer, LookupStep, QueryReply } from './node/index.js'
import { findNodes, getRecord, locatePeers, resolveRecords } from './node/index.js'
import type { DhtConfig, DhtOptions } from './options.js'
import { resolveOptions } from './options.js'
import type { KeyPair } from './platform/signatures.js'
import { publishValue } from './publishing.js'
import type { RecordKind } from './records/index.js'
import { KindCode, mutableKey, readMutable } from './records/index.js'
import type {
  Announcement,
  AppHandler,
  DhtStats,
  FindNodeResult,
  FindRecordsResult,
  GetResult,
  PingResult,
  PublishResult,
  PutResult,
  ResolveResult,
  Started,
  StoreRecordResult,
} from './results.js'
import { SearchIterator } from './search-iterator.js'
import { statsOf } from './stats.js'
import { storeRecord } from './storing.js'
import { getValue, putValue } from './values.js'
import { appMethod, PING } from './wire/index.js'

const NO_PAYLOAD = new Uint8Array(0)

/** A node of the network: made by {@link createDht}. */
export class Dht implements AsyncDisposable {
  readonly #config: DhtConfig
  readonly #life: LifeCycle
  #ownKeys: KeyPair | undefined

  /** @internal */
  constructor(config: DhtConfig) {
    this.#config = config
    this.#life = new LifeCycle(config)
  }

  /** The node's id; a copy. */
  get id(): NodeId {
    return new Uint8Array(this.#config.id)
  }

  /**
   * Where the node listens; undefined before it has started. Behind a NAT, others see another address.
   */
  get address(): Address | undefined {
    return this.#life.address
  }

  /**
   * Opens the transport and joins: asks bootstrap addresses and known contacts, then looks up the own id. Without
   * these and without known contacts the node is the first of a network. A second call returns the first one's promise.
   *
   * @throws DhtError `ERR_BOOTSTRAP_FAILED` when none of them answered: the node is open all the same, goes
   *   on trying and emits `joined`. `ERR_ADDRESS_IN_USE` or `ERR_TRANSPORT` when the transport can't be opened,
   *   `ERR_CLOSED` after {@link Dht.close}.
   * @throws TypeError when a bootstrap address can't be read; the node is closed then, and so it is after an abort
   */
  start(options?: CallOptions): Promise<Started> {
    return this.#life.start(options)
  }

  /**
   * Stores a value at the k nodes nearest to its key. Returns when three quarters of them have it, or as many as the
   * option `acknowledgements` says; the others get it behind. A value of more than 880 bytes is cut into parts of 880,
   * each stored at the k nodes nearest to its own key, and a tree that names them under one key.
   *
   * @param value - at most 1 MiB
   * @throws DhtError `ERR_VALUE_TOO_LARGE`; `ERR_NO_CONTACTS` when the routing table is empty; `ERR_TIMEOUT` when
   *   nobody answered; `ERR_NOT_STORED` when nobody stored it or a part of it, with the first refusal as its `cause`
   */
  async put(value: Uint8Array, options?: PutOptions): Promise<PutResult> {
    return putValue(this.#life, this.#config, this.#kind(KindCode.immutable), value, options)
  }

  /**
   * Gets the value of a key: the first one found that the key is the hash of. Each part of a long one is verified as it
   * comes, and taken from another holder where it is wrong or late.
   *
   * @returns undefined when more than half of the k nearest nodes answered and none has it
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when too few answered to tell;
   *   `ERR_INCOMPLETE` when a part of it was not found; `ERR_VALUE_TOO_LARGE` when it has more than 1 MiB;
   *   `ERR_MALFORMED_VALUE` when its parts don't fit together
   */
  async get(key: Uint8Array, options?: GetOptions): Promise<GetResult | undefined> {
    return getValue(this.#life, this.#kind(KindCode.immutable), mustBeKey('key', key), options)
  }

  /**
   * Signs a value and stores it at the k nodes nearest to the key of public key and salt, where it takes the place of
   * the one before. Of two values with one sequence number all nodes choose the same.
   *
   * @param keys - of {@link generateKeyPair}
   * @param value - at most 880 bytes
   * @throws DhtError as {@link Dht.put}; `ERR_SEQ_TOO_LOW` when a higher sequence number is held; `ERR_SEQ_CONFLICT` when
   *   another value with this one is held, and wins; `ERR_CAS_MISMATCH` when `cas` is not what is held; `ERR_NOT_STORED`
   *   too when no more than half of the k nearest took part in a compare-and-swap. Under a partition of the network each
   *   side has its own compare-and-swap.
   */
  async publish(keys: KeyPair, value: Uint8Array, options?: PublishOptions): Promise<PublishResult> {
    return publishValue(this.#life, this.#config, this.#kind(KindCode.mutable), keys, value, options)
  }

  /**
   * Resolves what was published: asks all of the k nearest, and takes the value with the highest sequence number.
   * Holders that have an older one, or none, are brought up to it, which the caller does not wait for.
   *
   * @returns undefined when more than half of the k nearest nodes answered and none has one
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when too few answered to tell
   */
  async resolve(publicKey: Uint8Array, options?: ResolveOptions): Promise<ResolveResult | undefined> {
    const owner = mustBeKey('publicKey', publicKey)
    const { salt, signal } = mustBeCallOptions(options, ['salt'])
    const key = mutableKey(owner, mustBeSalt(salt))
    const { records, ...costs } = await this.#find(this.#kind(KindCode.mutable), key, signal)
    const [record] = records
    if (record === undefined) return undefined
    const { seq, value } = readMutable(record)
    return { value, seq, ...costs }
  }

  /**
   * Announces this node, or whom the keys belong to, under a topic: others find it there with {@link Dht.locate}. The
   * announcement is renewed by itself, at half of its lifetime, until it is stopped or the node is closed. A second one
   * of the same topic and keys takes the place of the first at once.
   *
   * @param topic - 32 bytes, such as `keyOf('my-app/room/1')`
   * @throws DhtError `ERR_VALUE_TOO_LARGE`, and as {@link Dht.put}; it is not renewed then
   */
  async announce(topic: Uint8Array, options?: AnnounceOptions): Promise<Announcement> {
    const wanted = mustBeKey('topic', topic)
    const { data, keys, port, signal } = mustBeCallOptions(options, ['port', 'data', 'keys'])
    const peer = {
      topic: wanted,
      keys: keys === undefined ? this.#keysOfNode() : mustBeMatching(this.#config.signatures, keys),
      port: mustBePort(port),
      data: mustBePeerData(data),
      lifetimeMs: this.#config.peerLifetimeMs,
    }
    return announce(this.#life, this.#kind(KindCode.peer), peer, signal)
  }

  /**
   * Finds the peers of a topic, each once, as soon as it is known: first what one lookup brings, then pages from the
   * holders for as long as they bring news. Ends by itself, and with the loop.
   *
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when nobody was found and too few
   *   nodes answered to say that there is nobody
   */
  locate(topic: Uint8Array, options?: CallOptions): AsyncIterableIterator<LocatedPeer, undefined> {
    const { signal } = mustBeCallOptions(options)
    const [wanted, kind] = [mustBeKey('topic', topic), this.#kind(KindCode.peer)]
    return new SearchIterator(this.#life, signal, (events) => locatePeers(this.#life.parts.node, wanted, kind, events))
  }

  /**
   * Stores a record of an application's own kind at the k nodes nearest to the key.
   *
   * @param kind - one of the option `records`
   * @throws DhtError as {@link Dht.put}
   * @throws TypeError when the record is not valid for the key
   */
  async storeRecord(
    kind: RecordKind,
    key: Uint8Array,
    record: Uint8Array,
    options?: StoreRecordOptions,
  ): Promise<StoreRecordResult> {
    const known = this.#mustBeOwnKind(kind)
    const wanted = mustBeKey('key', key)
    const content = mustBeRecord(record, known.recordBytesMax)
    if (!known.isValid(wanted, content, this.id)) throw new TypeError('the record is not valid for the key')
    return storeRecord(this.#life, this.#config, known, wanted, content, options)
  }

  /**
   * Finds the records of an application's own kind: what all of the k nearest hold under a key, merged; of a kind where
   * the first is enough, the first.
   *
   * @param kind - one of the option `records`
   * @returns no records when more than half of the k nearest answered and none has any
   * @throws DhtError as {@link Dht.resolve}
   */
  async findRecords(kind: RecordKind, key: Uint8Array, options?: CallOptions): Promise<FindRecordsResult> {
    const known = this.#mustBeOwnKind(kind)
    const wanted = mustBeKey('key', key)
    const { signal } = mustBeCallOptions(options)
    if (!known.isFirstEnough) return this.#find(known, wanted, signal)
    const { record, ...costs } = await this.#get(known, wanted, signal)
    // A copy: others may have waited for the same record.
    return { records: record ? [new Uint8Array(record)] : [], ...costs }
  }

  /**
   * Stops storing again what this node put, published or stored under a key. Holders keep it until its lifetime ends.
   *
   * @returns whether there was anything
   */
  forget(key: Uint8Array): boolean {
    return this.#life.parts.publications.forget(mustBeKey('key', key))
  }

  /**
   * Finds the k nodes nearest to a point of the key space, the own node left out.
   *
   * @throws DhtError `ERR_NO_CONTACTS` when the routing table is empty, `ERR_TIMEOUT` when nobody answered
   */
  async findNode(target: Uint8Array, options?: FindNodeOptions): Promise<FindNodeResult> {
    const wanted = mustBeKey('target', target)
    const { onStep, signal } = mustBeCallOptions(options, ['onStep'])
    const listener = mustBeListener('onStep', onStep)
    const told = onStep && ((step: LookupStep): void => listener(copyOfStep(step)))
    const { node } = this.#life.parts
    const found = await this.#life.run<FindNodeResult>(signal, (done) => findNodes(node, wanted, told, done))
    return { ...found, closest: found.closest.map(copyOfContact) }
  }

  /**
   * Asks a node for a sign of life.
   *
   * @param to - a contact, whose id is verified, or `host:port` of any node
   * @throws DhtError `ERR_TIMEOUT`, `ERR_WRONG_ID`, `ERR_UNRESOLVED`
   */
  async ping(to: Contact | string, options?: CallOptions): Promise<PingResult> {
    const { from, elapsedMs } = await call(this.#life, PING, mustBeCallee(to), {}, options)
    return { id: from.id, address: from.address, elapsedMs }
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
    const { result } = await call(this.#life, shape, callee, { payload: mustBePayload(payload) }, options)
    return result.payload
  }

  /**
   * Sends an application's own message to each node on the way to a point of the key space and to the k nearest to it,
   * and gives the answers of those that {@link Dht.handle} it as they come. Ends by itself, and with the loop.
   *
   * @param target - 32 bytes, which the handlers get too
   * @throws DhtError as {@link Dht.findNode}
   */
  query(
    target: Uint8Array,
    method: string,
    payload: Uint8Array = NO_PAYLOAD,
    options?: CallOptions,
  ): AsyncIterableIterator<QueryReply, undefined> {
    const wanted = mustBeKey('target', target)
    return query(this.#life, wanted, mustBeMethodName(method), mustBePayload(payload), mustBeCallOptions(options))
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
    return serve(this.#life, name, handler)
  }

  /**
   * Calls the listener at each event from now on.
   *
   * @returns ends that
   */
  on<K extends keyof DhtEvents>(event: K, listener: Listener<DhtEvents[K]>): () => void {
    return this.#life.events.on(event, listener)
  }

  /** The contacts in the routing table, all of which have answered us. */
  contacts(): Contact[] {
    return this.#life.parts.node.table.entries().map(copyOfContact)
  }

  /** What happened so far. */
  stats(): DhtStats {
    return statsOf(this.#life)
  }

  /**
   * Leaves: every open call rejects with `ERR_CLOSED`, and nothing of the node keeps the process alive. Idempotent.
   * Nobody is told: stop announcements before, or they stand until they expire.
   */
  close(): Promise<void> {
    return this.#life.close()
  }

  /** Closes the node where `await using` leaves its scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #get(kind: RecordKind, key: NodeId, signal: AbortSignal | undefined): Promise<FoundRecord> {
    return this.#life.run(signal, (done) => getRecord(this.#life.parts.node, key, kind, done))
  }

  #find(kind: RecordKind, key: NodeId, signal: AbortSignal | undefined): Promise<FoundRecords> {
    return this.#life.run(signal, (done) => resolveRecords(this.#life.parts.node, key, kind, done))
  }

  #kind(code: number): RecordKind {
    return this.#life.parts.node.kinds.get(code) as RecordKind
  }

  #mustBeOwnKind(kind: RecordKind): RecordKind {
    if (!this.#config.records.includes(kind)) throw new TypeError("kind must be one of the option 'records'")
    return this.#kind(kind.code)
  }

  #keysOfNode(): KeyPair {
    const { randomBytes, secretKey, signatures } = this.#config
    this.#ownKeys ??= signatures.generate(secretKey ?? randomBytes(32))
    return this.#ownKeys
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
