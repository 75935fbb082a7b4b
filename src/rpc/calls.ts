import { DhtError } from '../errors.js'
import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { sameBytes } from '../keyspace/index.js'
import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { Codec, ErrorMessage, Method, RequestMessage, ResponseMessage } from '../wire/index.js'
import { DATAGRAM_BYTES_MAX, errorCode, TID_BYTES } from '../wire/index.js'
import type { Tabled } from './call-table.js'
import { CallTable } from './call-table.js'
import type { RpcCounters } from './counters.js'
import type { Deadline } from './deadlines.js'
import { Deadlines } from './deadlines.js'
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
  readonly identity: () => { id: NodeId; flags: number }
  send(to: Address, bytes: Uint8Array): void
  /** Whether an id may be claimed at an address. */
  readonly mayClaim: (id: NodeId, address: Address) => boolean
  /** All attempts of a call together, in ms. */
  readonly requestTimeoutMs: number
  /** Bounds of the wait before the one resend, in ms. */
  readonly resendMinMs: number
  readonly resendMaxMs: number
}

/** What a call waits for besides its answer, one after the other. */
const Phase = { soft: 0, softExtended: 1, resend: 2, lost: 3, end: 4 } as const

interface PendingCall extends Deadline, Tabled<PendingCall> {
  readonly method: Method<unknown, unknown>
  readonly callee: Callee
  /** For a resend it is encoded anew, because what was sent is the transport's. */
  readonly request: RequestMessage
  readonly events: CallEvents<unknown>
  /** How many calls were made before. */
  readonly number: number
  readonly sentAtMs: number
  readonly softMs: number
  readonly resendMs: number
  readonly lostMs: number
  readonly mayResend: boolean
  attempts: number
  slow: boolean
  phase: (typeof Phase)[keyof typeof Phase]
}

const IGNORE = (): void => {}

/** A timer later than this was held up by the process, not by its own grain, in ms. */
const TIMER_LATE_MS = 3

/** The calls that wait for their answers. */
export class Calls {
  readonly #config: CallsConfig
  readonly #pending = new CallTable<PendingCall>()
  readonly #deadlines: Deadlines<PendingCall>
  #closed = false

  constructor(config: CallsConfig) {
    this.#config = config
    this.#deadlines = new Deadlines(config.clock, (call) => this.#onDue(call))
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /**
   * Sends a request and waits for its answer: `slow` after the soft time-out, one resend, `lost` a soft time-out
   * later but not before the slowest answers of late would have come, the end after `requestTimeoutMs`.
   *
   * @param resend - false for a request that must not be sent twice
   * @returns cancels the call
   */
  call<P, R>(method: Method<P, R>, callee: Callee, params: P, events: CallEvents<R>, resend = true): () => void {
    const { clock, codec, counters, randomBytes, requestTimeoutMs, resendMaxMs, resendMinMs, roundTrips } = this.#config
    if (this.#closed) return endAtOnce(callee, events, new DhtError('ERR_CLOSED', 'the node is closed'))
    const { id, flags } = this.#config.identity()
    const tid = randomBytes(TID_BYTES)
    const request: RequestMessage = {
      type: 'request',
      tid,
      flags,
      sender: id,
      method: method.code,
      params: method.writeParams(params),
    }
    const bytes = codec.encode(request, method.paddedBytes)
    if (bytes.length > DATAGRAM_BYTES_MAX) {
      const error = new DhtError('ERR_VALUE_TOO_LARGE', `the request would take ${bytes.length} bytes`)
      return endAtOnce(callee, events, error)
    }
    const nowMs = clock.now()
    const softMs = roundTrips.softTimeoutMs(callee.address, nowMs)
    const resendMs = Math.min(resendMaxMs, Math.max(resendMinMs, softMs))
    const patienceMs = roundTrips.patienceMs(callee.address, nowMs)
    // The slowest answer may have been slow because this process was busy: it does not count for more than half as much again.
    const lostMs = (resendMs + softMs) * Math.min(1.5, Math.max(1, patienceMs / (resendMs + softMs)))
    const call: PendingCall = {
      dueMs: 0,
      order: 0,
      place: -1,
      tid,
      next: undefined,
      method: method as Method<unknown, unknown>,
      callee,
      request,
      events: events as CallEvents<unknown>,
      number: counters.calls,
      sentAtMs: nowMs,
      softMs,
      resendMs,
      lostMs: Math.min(requestTimeoutMs, lostMs),
      mayResend: resend,
      attempts: 0,
      slow: false,
      phase: Phase.soft,
    }
    this.#pending.add(call)
    counters.calls++
    this.#deadlines.set(call, nowMs, call.softMs)
    this.#transmit(call, bytes)
    return () => this.#cancel(call)
  }

  /** Takes in a reply: whether it ended a call. */
  settle(message: ResponseMessage | ErrorMessage, from: Address): boolean {
    const { dropped } = this.#config.counters
    const call = this.#pending.get(message.tid)
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
    // In the order in which they were made, so that a run can be repeated.
    for (const call of this.#pending.all().sort((a, b) => a.number - b.number)) {
      if (!this.#remove(call)) continue
      this.#fail(call, error, undefined)
    }
    this.#deadlines.clear()
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
        `${contact.address} refused (${message.code}): ${printable(message.text)}`,
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

  /** Soft time-out, resend, its soft time-out and the hard end follow each other: one deadline at a time is enough. */
  #onDue(call: PendingCall): void {
    const { clock, codec, requestTimeoutMs } = this.#config
    const { softMs } = call
    const nowMs = clock.now()
    switch (call.phase) {
      case Phase.soft: {
        const lateMs = nowMs - call.sentAtMs - softMs
        // After a pause of this process timers come before what its socket has received: the pause is ours, so as
        // much time is added once.
        if (lateMs >= TIMER_LATE_MS) this.#await(call, Phase.softExtended, nowMs, Math.min(lateMs, softMs))
        else this.#becomeSlow(call, nowMs)
        break
      }
      case Phase.softExtended:
        this.#becomeSlow(call, nowMs)
        break
      case Phase.resend:
        this.#await(call, Phase.lost, nowMs, call.lostMs - call.resendMs)
        if (call.mayResend) this.#transmit(call, codec.encode(call.request, call.method.paddedBytes))
        break
      case Phase.lost:
        this.#await(call, Phase.end, nowMs, requestTimeoutMs - call.lostMs)
        call.events.lost?.()
        break
      case Phase.end:
        this.#timeOut(call)
    }
  }

  #becomeSlow(call: PendingCall, nowMs: number): void {
    this.#await(call, Phase.resend, nowMs, call.resendMs - call.softMs)
    call.slow = true
    call.events.slow?.()
  }

  #await(call: PendingCall, phase: PendingCall['phase'], nowMs: number, delayMs: number): void {
    call.phase = phase
    // A resend never comes before the soft time-out, even where its bounds are below that.
    this.#deadlines.set(call, nowMs, Math.max(0, delayMs))
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
    if (!this.#remove(call)) return
    this.#config.counters.cancelled++
    if (call.slow) this.#config.observer.onGivenUp(call.callee)
  }

  /** Whether it was pending. */
  #remove(call: PendingCall): boolean {
    this.#deadlines.cancel(call)
    return this.#pending.delete(call)
  }
}

function endAtOnce<R>(callee: Callee, events: CallEvents<R>, error: DhtError): () => void {
  events.done(error, undefined, { id: callee.id ?? new Uint8Array(0), address: callee.address }, 0)
  return IGNORE
}

/** What a peer wrote, without what a terminal obeys: messages of errors are printed. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd')
}
