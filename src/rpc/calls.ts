import { DhtError } from '../errors.js'
import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { Codec, ErrorMessage, Method, ResponseMessage } from '../wire/index.js'
import { DATAGRAM_BYTES_MAX, errorCode, TID_BYTES } from '../wire/index.js'
import type { RpcCounters } from './counters.js'
import type { RoundTrips } from './round-trips.js'

/** Whom a call goes to: a contact, or an address where any node may answer. */
export interface Callee {
  readonly id?: NodeId
  readonly address: Address
}

/** What a caller learns of its call. Nothing follows after `done`, nor after the call was cancelled. */
export interface CallEvents<R> {
  /** A datagram left for it: the request, or its resend. */
  sent?(): void
  /** The answer is late; it may still come. */
  slow?(): void
  /** The answer to the resend is late too; it may still come. */
  lost?(): void
  /** The call has ended, by an answer or by an error. */
  done(error: DhtError | undefined, result: R | undefined, from: Contact, elapsedMs: number): void
}

/** Who learns how the contacts behave. */
export interface CallObserver {
  /** A contact answered a call. */
  onAnswer(contact: Contact, flags: number): void
  /** A call to a contact failed, its resend too. Since `sentAtMs` nothing came of it. */
  onSilence(callee: Callee, sentAtMs: number): void
  /** A contact answered with what is no result of the method. */
  onNonsense(contact: Contact): void
  /** A late call was given up: the callee may be dead. */
  onGivenUp(callee: Callee): void
  /** Another node answered than the one that was asked. */
  onWrongId(expected: Contact, actual: Contact, flags: number): void
}

/** What {@link Calls} needs. */
export interface CallsConfig {
  readonly codec: Codec
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly roundTrips: RoundTrips
  readonly counters: RpcCounters
  readonly observer: CallObserver
  /** Our id and flags, put into each request. */
  identity(): { id: NodeId; flags: number }
  send(to: Address, bytes: Uint8Array): void
  /** Whether an id may be claimed at an address. */
  mayClaim(id: NodeId, address: Address): boolean
  /** All attempts of a call together, in ms. */
  readonly requestTimeoutMs: number
  /** Bounds of the wait before the one resend, in ms. */
  readonly resendMinMs: number
  readonly resendMaxMs: number
}

interface PendingCall {
  readonly key: string
  readonly method: Method<unknown, unknown>
  readonly callee: Callee
  /** Encodes the request: anew for a resend, because what was sent is the transport's. */
  readonly encode: () => Uint8Array
  readonly events: CallEvents<unknown>
  readonly sentAtMs: number
  attempts: number
  slow: boolean
  cancelTimer: () => void
}

const IGNORE = (): void => {}

/** A timer later than this was held up by the process, not by its own grain, in ms. */
const TIMER_LATE_MS = 3

/** The calls that wait for their answers. */
export class Calls {
  readonly #config: CallsConfig
  readonly #pending = new Map<string, PendingCall>()
  #closed = false

  constructor(config: CallsConfig) {
    this.#config = config
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /**
   * Sends a request and waits for its answer: `slow` after the soft time-out, one resend, `lost` a soft time-out
   * later, the end after `requestTimeoutMs`.
   *
   * @param resend - false for a request that must not be sent twice
   * @returns cancels the call
   */
  call<P, R>(method: Method<P, R>, callee: Callee, params: P, events: CallEvents<R>, resend = true): () => void {
    const { clock, codec, counters } = this.#config
    const answerAtOnce = (error: DhtError): (() => void) => {
      events.done(error, undefined, { id: callee.id ?? new Uint8Array(0), address: callee.address }, 0)
      return IGNORE
    }
    if (this.#closed) return answerAtOnce(new DhtError('ERR_CLOSED', 'the node is closed'))
    const { id, flags } = this.#config.identity()
    const tid = this.#config.randomBytes(TID_BYTES)
    const request = {
      type: 'request',
      tid,
      flags,
      sender: id,
      method: method.code,
      params: method.writeParams(params),
    } as const
    const encode = (): Uint8Array => codec.encode(request, method.paddedBytes)
    const bytes = encode()
    if (bytes.length > DATAGRAM_BYTES_MAX) {
      return answerAtOnce(new DhtError('ERR_VALUE_TOO_LARGE', `the request would take ${bytes.length} bytes`))
    }
    const call: PendingCall = {
      key: mapKey(tid),
      method: method as Method<unknown, unknown>,
      callee,
      encode,
      events: events as CallEvents<unknown>,
      sentAtMs: clock.now(),
      attempts: 0,
      slow: false,
      cancelTimer: IGNORE,
    }
    this.#pending.set(call.key, call)
    counters.calls++
    this.#arm(call, resend)
    this.#transmit(call, bytes)
    return () => this.#cancel(call)
  }

  /** Takes in a reply: whether it ended a call. */
  settle(message: ResponseMessage | ErrorMessage, from: Address): boolean {
    const { dropped } = this.#config.counters
    const call = this.#pending.get(mapKey(message.tid))
    if (!call) {
      dropped.unmatched++
      return false
    }
    if (call.callee.address !== from) {
      dropped.wrongAddress++
      return false
    }
    this.#remove(call)
    const contact = { id: message.sender, address: from }
    const expected = call.callee.id
    if (!this.#config.mayClaim(message.sender, from)) {
      dropped.refusedId++
      this.#fail(call, new DhtError('ERR_WRONG_ID', `${from} answered with an id that it may not claim`), contact)
    } else if (expected && !sameBytes(expected, message.sender)) {
      dropped.wrongId++
      this.#config.observer.onWrongId({ id: expected, address: from }, contact, message.flags)
      this.#fail(call, new DhtError('ERR_WRONG_ID', `another node than the expected one answered at ${from}`), contact)
    } else {
      this.#answer(call, message, contact)
    }
    return true
  }

  /** Ends every pending call with the error; later calls end with `ERR_CLOSED`. */
  close(error: DhtError): void {
    this.#closed = true
    for (const call of [...this.#pending.values()]) {
      if (!this.#pending.has(call.key)) continue
      this.#remove(call)
      this.#fail(call, error, undefined)
    }
  }

  #answer(call: PendingCall, message: ResponseMessage | ErrorMessage, contact: Contact): void {
    const { clock, counters, observer, roundTrips } = this.#config
    const nowMs = clock.now()
    const elapsedMs = nowMs - call.sentAtMs
    if (message.type === 'error') {
      counters.errorReplies++
      observer.onAnswer(contact, message.flags)
      const error = new DhtError(
        errorCode(message.code),
        `${contact.address} refused (${message.code}): ${message.text}`,
      )
      call.events.done(error, undefined, contact, elapsedMs)
      return
    }
    const result = call.method.readResult(message.result)
    if (result === undefined) {
      counters.dropped.malformedResult++
      observer.onNonsense(contact)
      this.#fail(call, new DhtError('ERR_MALFORMED_MESSAGE', `${contact.address} sent a malformed result`), contact)
      return
    }
    counters.responses++
    if (call.attempts === 1) roundTrips.measured(contact.address, elapsedMs, nowMs)
    observer.onAnswer(contact, message.flags)
    call.events.done(undefined, result, contact, elapsedMs)
  }

  #arm(call: PendingCall, resend: boolean): void {
    const { clock, requestTimeoutMs, resendMaxMs, resendMinMs, roundTrips } = this.#config
    const softMs = roundTrips.softTimeoutMs(call.callee.address, call.sentAtMs)
    const resendMs = Math.min(resendMaxMs, Math.max(resendMinMs, softMs))
    const lostMs = Math.min(requestTimeoutMs, resendMs + softMs)
    // Soft time-out, resend, its soft time-out and the hard end follow each other: one timer at a time is enough.
    const becomeLost = (): void => {
      call.cancelTimer = clock.after(requestTimeoutMs - lostMs, () => this.#timeOut(call))
      call.events.lost?.()
    }
    const becomeSlow = (): void => {
      call.cancelTimer = clock.after(resendMs - softMs, () => {
        call.cancelTimer = clock.after(lostMs - resendMs, becomeLost)
        if (resend) this.#transmit(call, call.encode())
      })
      call.slow = true
      call.events.slow?.()
    }
    call.cancelTimer = clock.after(softMs, () => {
      const lateMs = clock.now() - call.sentAtMs - softMs
      // After a pause of this process timers come before what its socket has received: the pause is ours, so as
      // much time is added once.
      if (lateMs < TIMER_LATE_MS) becomeSlow()
      else call.cancelTimer = clock.after(Math.min(lateMs, softMs), becomeSlow)
    })
  }

  #transmit(call: PendingCall, bytes: Uint8Array): void {
    if (call.attempts > 0) this.#config.counters.resends++
    call.attempts++
    this.#config.send(call.callee.address, bytes)
    call.events.sent?.()
  }

  #timeOut(call: PendingCall): void {
    this.#remove(call)
    this.#config.counters.timeouts++
    const { observer } = this.#config
    // An application's handler may take its time: only the protocol's own methods are answered at once.
    if (typeof call.method.code === 'string') observer.onGivenUp(call.callee)
    else observer.onSilence(call.callee, call.sentAtMs)
    this.#fail(call, new DhtError('ERR_TIMEOUT', `${call.callee.address} did not answer`), undefined)
  }

  #fail(call: PendingCall, error: DhtError, from: Contact | undefined): void {
    const contact = from ?? { id: call.callee.id ?? new Uint8Array(0), address: call.callee.address }
    call.events.done(error, undefined, contact, this.#config.clock.now() - call.sentAtMs)
  }

  #cancel(call: PendingCall): void {
    if (!this.#pending.has(call.key)) return
    this.#remove(call)
    this.#config.counters.cancelled++
    if (call.slow) this.#config.observer.onGivenUp(call.callee)
  }

  #remove(call: PendingCall): void {
    call.cancelTimer()
    this.#pending.delete(call.key)
  }
}
