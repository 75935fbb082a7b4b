import debug from 'debug'
import { DhtError } from '../errors.js'
import type { Address, Contact } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { Transport } from '../platform/transport.js'
import type { Codec, Method } from '../wire/index.js'
import type { CallEvents, Callee, CallObserver, CallsConfig } from './calls.js'
import { Calls } from './calls.js'
import type { RpcCounters } from './counters.js'
import { createCounters } from './counters.js'
import type { RequestHandler, RequestsConfig } from './requests.js'
import { Requests } from './requests.js'
import type { RoundTripOptions } from './round-trips.js'
import { RoundTrips } from './round-trips.js'

const log = debug('xorbit:rpc')

/** What {@link Rpc} makes itself for its parts. */
type Internal = 'counters' | 'observer' | 'onRequest' | 'roundTrips' | 'send' | 'transport'

/** Everything that {@link Rpc} needs to know; complete, without defaults. */
export interface RpcConfig extends Omit<CallsConfig, Internal>, Omit<RequestsConfig, Internal>, RoundTripOptions {
  readonly transport: Transport
  readonly observer: CallObserver & Pick<RequestsConfig, 'onRequest'>
}

/**
 * Calls and their answers over datagrams: matches replies, times out, resends, measures round trips, and hands
 * requests to their handlers. Whatever comes in, it throws nothing: what is no use is counted and dropped.
 */
export class Rpc {
  readonly counters: RpcCounters = createCounters()
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #calls: Calls
  readonly #requests: Requests
  readonly #roundTrips: RoundTrips
  #isMuted = false

  constructor(config: RpcConfig) {
    // One by one: a function that asked the whole of it would keep it for as long as the node is there.
    const { codec, clock, identity, mayClaim, transport, randomBytes, observer, limitedScopes } = config
    this.#codec = codec
    this.#clock = clock
    this.#transport = transport
    const { requestTimeoutMs, resendMinMs, resendMaxMs, requestsPerSecondMax, requestsBurstMax } = config
    const send = (to: Address, bytes: Uint8Array): void => this.#send(to, bytes)
    const onRequest = (contact: Contact, flags: number): void => observer.onRequest(contact, flags)
    const { softTimeoutMinMs, softTimeoutMaxMs, softTimeoutFirstMs } = config
    this.#roundTrips = new RoundTrips({ softTimeoutMinMs, softTimeoutMaxMs, softTimeoutFirstMs })
    const { counters } = this
    // Name by name: a spread would copy all that a node is configured with, and make a shape of its own for each node.
    this.#calls = new Calls({
      codec,
      clock,
      randomBytes,
      roundTrips: this.#roundTrips,
      counters,
      observer,
      identity,
      send,
      mayClaim,
      requestTimeoutMs,
      resendMinMs,
      resendMaxMs,
    })
    this.#requests = new Requests({
      codec,
      clock,
      transport,
      counters,
      identity,
      send,
      mayClaim,
      onRequest,
      requestsPerSecondMax,
      requestsBurstMax,
      limitedScopes,
    })
  }

  /** How many calls wait for their answers. */
  get pendingCalls(): number {
    return this.#calls.pendingCount
  }

  /** Takes in a datagram. */
  receive(from: Address, datagram: Uint8Array): void {
    if (this.#isMuted) return
    const { counters } = this
    counters.datagramsReceived++
    counters.bytesReceived += datagram.length
    const message = this.#codec.decode(datagram)
    switch (message.type) {
      case 'request':
        this.#requests.receive(message, from, datagram.length)
        break
      case 'response':
      case 'error':
        if (this.#calls.settle(message, from)) this.#requests.prove(from)
        break
      case 'unknownVersion':
        counters.dropped.unknownVersion++
        if (message.isRequest) this.#requests.refuseVersion(message.tid, from, datagram.length)
        break
      case 'unreadable':
        counters.dropped[message.reason]++
        log('%d bytes from %s dropped: %s', datagram.length, from, message.reason)
    }
  }

  /** Calls a method; see {@link Calls.call}. */
  call<P, R>(method: Method<P, R>, callee: Callee, params: P, events: CallEvents<R>, resend = true): () => void {
    return this.#calls.call(method, callee, params, events, resend)
  }

  /** See {@link RoundTrips.relative}. */
  relativeDelay(address: Address): number {
    return this.#roundTrips.relative(address, this.#clock.now())
  }

  /** Serves a method; see {@link Requests.serve}. */
  serve<P, R>(method: Method<P, R>, handler: RequestHandler<P, R>, once = false): () => void {
    return this.#requests.serve(method, handler, once)
  }

  /** Whether a method is served. */
  serves(code: number | string): boolean {
    return this.#requests.serves(code)
  }

  /** From now on nothing is sent or taken in: first of all when the node closes, as what is cancelled then may ask. */
  mute(): void {
    this.#isMuted = true
  }

  /** Ends all pending calls with `ERR_CLOSED`. */
  close(): void {
    this.mute()
    this.#calls.close(new DhtError('ERR_CLOSED', 'the node was closed'))
  }

  #send(to: Address, bytes: Uint8Array): void {
    if (this.#isMuted) return
    this.counters.datagramsSent++
    this.counters.bytesSent += bytes.length
    try {
      this.#transport.send(to, bytes)
    } catch (error) {
      // A transport must not throw; one that does is no reason to end the process.
      this.counters.sendFailures++
      log('sending to %s failed: %o', to, error)
    }
  }
}
