import type { Clock } from '../platform/clock.js'
import type { EventQueue, QueuedEvent } from './event-queue.js'
import { TICK_MS, toTick } from './event-queue.js'

/** When virtual time starts, as a wall clock shows it: 14 November 2023, 22:13:20 UTC. */
export const VIRTUAL_EPOCH_MS = 1_700_000_000_000

/** How one machine's clock differs from virtual time. */
export interface VirtualClockOptions {
  /** What `now()` shows at the start of virtual time, in milliseconds. */
  readonly offsetMs: number
  /** How fast `now()` and timers run: 1.01 gains a hundredth. */
  readonly rate: number
  /** How far `wallNow()` is ahead of the others. */
  readonly wallSkewMs: number
}

/** The clock of one machine: a view of virtual time. */
export class VirtualClock implements Clock {
  readonly #queue: EventQueue
  readonly #offsetMs: number
  readonly #rate: number
  #wallSkewMs: number
  #wallShownMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(queue: EventQueue, options: VirtualClockOptions) {
    if (!(options.rate > 0 && options.rate < Number.POSITIVE_INFINITY))
      throw new RangeError('a clock rate must be above 0')
    this.#queue = queue
    this.#offsetMs = options.offsetMs
    this.#rate = options.rate
    this.#wallSkewMs = options.wallSkewMs
  }

  now(): number {
    return this.#at(this.#queue.nowMs)
  }

  wallNow(): number {
    const wallMs = Math.floor(VIRTUAL_EPOCH_MS + this.#queue.nowMs + this.#wallSkewMs)
    // Clock promises never to run backwards: after a jump back it stands until the time is reached again.
    if (wallMs > this.#wallShownMs) this.#wallShownMs = wallMs
    return this.#wallShownMs
  }

  /** Calls back once this clock shows `delayMs` more; in a turn of its own, even for 0. `Infinity` is never. */
  after(delayMs: number, callback: () => void): () => void {
    if (this.#stopped || delayMs === Number.POSITIVE_INFINITY) return () => {}
    const queue = this.#queue
    const dueMs = this.now() + (delayMs > 0 ? delayMs : 0)
    let atMs = toTick((dueMs - this.#offsetMs) / this.#rate)
    // Rounding may have left it a hair early, and a caller that compares with now() would find nothing due.
    while (this.#at(atMs) < dueMs) atMs += TICK_MS
    const timer = new Timer(this, callback)
    queue.add(timer, atMs)
    return () => {
      queue.cancel(timer)
      timer.forget()
    }
  }

  /** Lets the wall clock jump. */
  setWallSkew(wallSkewMs: number): void {
    this.#wallSkewMs = wallSkewMs
  }

  /** Power off: what was to be called back never is, and neither is anything from now on. */
  stop(): void {
    this.#stopped = true
    this.#queue.cancelWhere((event) => event instanceof Timer && event.clock === this)
  }

  #at(virtualMs: number): number {
    return this.#offsetMs + virtualMs * this.#rate
  }
}

class Timer implements QueuedEvent {
  order = 0
  pending = false
  readonly clock: VirtualClock
  #callback: (() => void) | undefined

  constructor(clock: VirtualClock, callback: () => void) {
    this.clock = clock
    this.#callback = callback
  }

  run(): void {
    const callback = this.#callback
    this.#callback = undefined
    callback?.()
  }

  // A cancelled timer waits in the heap for its place to be cleared; what it would have called need not.
  forget(): void {
    this.#callback = undefined
  }
}
