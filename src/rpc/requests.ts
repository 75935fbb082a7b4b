import type { DhtErrorCode } from '../errors.js'
import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { AddressScope, Transport } from '../platform/transport.js'
import type { Codec, Method, RequestMessage } from '../wire/index.js'
import {
  DATAGRAM_BYTES_MAX,
  errorNumber,
  PROTOCOL_VERSION,
  REFLECTION_FACTOR,
  responseOverheadBytes,
} from '../wire/index.js'
import type { RpcCounters } from './counters.js'
import { RateLimit } from './rate-limit.js'
import { Recent } from './recent.js'
import { RecentNumbers } from './recent-numbers.js'

/** A request as its handler sees it. */
export interface IncomingRequest {
  /** Who asks, as it says: neither id nor address is proven. */
  readonly from: Contact
  /** The requester's flags. */
  readonly flags: number
  /** How many bytes the elements of the result may take together. */
  readonly roomBytes: number
  /** Remembers that the requester receives what is sent to its address: it has shown something only it was told. */
  prove(): void
}

/** Ends a request. Whichever is called first counts. The functions can't be taken from their object. */
export interface Reply<R> {
  result(result: R): void
  error(code: DhtErrorCode, text: string): void
}

/** Answers the requests of one method, at once or later. */
export type RequestHandler<P, R> = (params: P, request: IncomingRequest, reply: Reply<R>) => void

/** What {@link Requests} needs. */
export interface RequestsConfig {
  readonly codec: Codec
  readonly clock: Clock
  readonly transport: Pick<Transport, 'describe' | 'encodeAddress'>
  readonly counters: RpcCounters
  readonly identity: () => { id: NodeId; flags: number }
  send(to: Address, bytes: Uint8Array): void
  readonly mayClaim: (id: NodeId, address: Address) => boolean
  /** A request was taken: its sender may be worth a place in the table. */
  onRequest(contact: Contact, flags: number): void
  /** Requests that one host may make in a second, and at once. */
  readonly requestsPerSecondMax: number
  readonly requestsBurstMax: number
  /** Scopes of the addresses that these limits apply to. */
  readonly limitedScopes: readonly AddressScope[]
}

interface Served {
  readonly method: Method<unknown, unknown>
  readonly handler: RequestHandler<unknown, unknown>
  /** Whether a repeated request must not run the handler again. */
  readonly once: boolean
}

/** How long an address stays proven, and how many are remembered. */
const PROVEN_MS = 600_000
const PROVEN_MAX = 16_384

/** How long replies of an app's own methods are kept for a resent request, and how many. */
const REPLIES_KEPT_MS = 10_000
const REPLIES_KEPT_MAX = 1024

/** What is kept back of an unproven address's allowance for a ping that verifies it, in bytes. */
const VERIFYING_PING_BYTES = 64

/** The requests of other nodes, and the replies they get. */
export class Requests {
  readonly #config: RequestsConfig
  readonly #served = new Map<number | string, Served>()
  readonly #proven = new RecentNumbers(PROVEN_MS, PROVEN_MAX, 0)
  readonly #replies = new Recent<Uint8Array | 'pending'>(REPLIES_KEPT_MS, REPLIES_KEPT_MAX)
  readonly #rateLimit: RateLimit

  constructor(config: RequestsConfig) {
    this.#config = config
    this.#rateLimit = new RateLimit(config.requestsPerSecondMax, config.requestsBurstMax)
  }

  /**
   * Serves a method from now on.
   *
   * @param once - a resent request gets the kept reply instead of running the handler again
   * @returns stops serving it, unless another handler has taken its place
   */
  serve<P, R>(method: Method<P, R>, handler: RequestHandler<P, R>, once = false): () => void {
    const served = { method, handler, once } as unknown as Served
    this.#served.set(method.code, served)
    return () => {
      if (this.#served.get(method.code) === served) this.#served.delete(method.code)
    }
  }

  /** Whether a method is served. */
  serves(code: number | string): boolean {
    return this.#served.has(code)
  }

  /** Remembers that whoever is at the address receives what is sent there. */
  prove(address: Address): void {
    this.#proven.touch(address, this.#config.clock.now())
  }

  /** Takes in a request; `receivedBytes` is its datagram's length. */
  receive(message: RequestMessage, from: Address, receivedBytes: number): void {
    const { clock, counters } = this.#config
    const nowMs = clock.now()
    if (!this.#config.mayClaim(message.sender, from)) {
      counters.dropped.refusedId++
      return
    }
    const isProven = this.#proven.find(from, nowMs) >= 0
    const limitBytes = isProven
      ? DATAGRAM_BYTES_MAX
      : Math.min(DATAGRAM_BYTES_MAX, REFLECTION_FACTOR * receivedBytes - VERIFYING_PING_BYTES)
    if (!this.#withinRate(from, nowMs)) {
      counters.dropped.rateLimited++
      if (isProven) this.#refuse(message.tid, from, limitBytes, 'ERR_RATE_LIMITED', 'too many requests')
      return
    }
    const served = this.#served.get(message.method)
    if (!served) {
      counters.dropped.unknownMethod++
      // The application's own names are nobody's business.
      const known = [...this.#served.keys()].filter((code) => typeof code === 'number')
      this.#refuse(message.tid, from, limitBytes, 'ERR_UNKNOWN_METHOD', `served here: ${known.join(' ')}`)
      return
    }
    const params = served.method.readParams(message.params)
    if (params === undefined) {
      counters.dropped.malformedParams++
      this.#refuse(message.tid, from, limitBytes, 'ERR_MALFORMED_MESSAGE', 'malformed parameters')
      return
    }
    this.#handle(served, params, message, from, limitBytes)
    this.#config.onRequest({ id: message.sender, address: from }, message.flags)
  }

  /** Tells the sender of a request of another version which one is spoken here. */
  refuseVersion(tid: Uint8Array, from: Address, receivedBytes: number): void {
    const text = `only version ${PROTOCOL_VERSION} is spoken here`
    this.#refuse(tid, from, REFLECTION_FACTOR * receivedBytes, 'ERR_UNKNOWN_VERSION', text)
  }

  #handle(served: Served, params: unknown, message: RequestMessage, from: Address, limitBytes: number): void {
    const { clock, counters, transport } = this.#config
    const observed = transport.encodeAddress(from)
    const keptKey = served.once ? `${from} ${mapKey(message.tid)}` : ''
    if (served.once) {
      const kept = this.#replies.get(keptKey, clock.now())
      if (kept !== undefined) {
        counters.dropped.duplicate++
        if (kept !== 'pending') this.#send(from, kept.slice(), limitBytes)
        return
      }
      // Rather no answer than a handler that runs twice, once the mark of its first run had to go.
      if (this.#replies.isFull(clock.now())) {
        counters.dropped.rateLimited++
        return
      }
      this.#replies.set(keptKey, 'pending', clock.now())
    }
    counters.requests++
    const incoming = new Incoming(this, served, message, from, observed, limitBytes, keptKey)
    served.handler(params, incoming, incoming)
  }

  /** For {@link Incoming}: sends what its handler said. */
  answer({ from, keptKey, limitBytes }: Incoming, bytes: Uint8Array): void {
    // A copy, here and for the resend: what is sent is the transport's.
    if (keptKey !== '') this.#replies.set(keptKey, bytes.slice(), this.#config.clock.now())
    this.#send(from.address, bytes, limitBytes)
  }

  /** For {@link Incoming}. */
  encodeResult({ tid, observed }: Incoming, body: unknown[]): Uint8Array {
    const { codec, identity } = this.#config
    const { id, flags } = identity()
    return codec.encode({ type: 'response', tid, flags, sender: id, observed, result: body })
  }

  /** For {@link Incoming}. */
  encodeRefusal({ tid, from }: Incoming, code: DhtErrorCode, text: string): Uint8Array {
    return this.#encodeError(tid, from.address, code, text)
  }

  #withinRate(from: Address, nowMs: number): boolean {
    const { host, scope } = this.#config.transport.describe(from)
    return !this.#config.limitedScopes.includes(scope) || this.#rateLimit.allows(mapKey(host), nowMs)
  }

  #refuse(tid: Uint8Array, to: Address, limitBytes: number, code: DhtErrorCode, text: string): void {
    this.#send(to, this.#encodeError(tid, to, code, text), limitBytes)
  }

  #encodeError(tid: Uint8Array, to: Address, code: DhtErrorCode, text: string): Uint8Array {
    const { id, flags } = this.#config.identity()
    const observed = this.#config.transport.encodeAddress(to)
    return this.#config.codec.encode({
      type: 'error',
      tid,
      flags,
      sender: id,
      observed,
      code: errorNumber(code),
      text,
    })
  }

  #send(to: Address, bytes: Uint8Array, limitBytes: number): void {
    if (bytes.length > limitBytes) this.#config.counters.repliesWithheld++
    else this.#config.send(to, bytes)
  }
}

/** A request under way, as its handler sees it and with the reply that it waits for: one object for both. */
class Incoming implements IncomingRequest, Reply<unknown> {
  readonly from: Contact
  readonly flags: number
  readonly roomBytes: number
  readonly tid: Uint8Array
  readonly observed: Uint8Array
  readonly limitBytes: number
  /** Under which its reply is kept for a resend; empty where none is. */
  readonly keptKey: string
  readonly #requests: Requests
  readonly #served: Served
  #isAnswered = false

  constructor(
    requests: Requests,
    served: Served,
    { tid, flags, sender }: RequestMessage,
    from: Address,
    observed: Uint8Array,
    limitBytes: number,
    keptKey: string,
  ) {
    this.#requests = requests
    this.#served = served
    this.from = { id: sender, address: from }
    this.flags = flags
    this.roomBytes = limitBytes - responseOverheadBytes(tid.length, observed.length)
    this.tid = tid
    this.observed = observed
    this.limitBytes = limitBytes
    this.keptKey = keptKey
  }

  prove(): void {
    this.#requests.prove(this.from.address)
  }

  result(result: unknown): void {
    if (this.#isAnswered) return
    const bytes = this.#requests.encodeResult(this, this.#served.method.writeResult(result))
    this.#isAnswered = true
    this.#requests.answer(this, bytes)
  }

  error(code: DhtErrorCode, text: string): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#requests.answer(this, this.#requests.encodeRefusal(this, code, text))
  }
}
