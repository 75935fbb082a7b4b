import type { Clock } from '../platform/clock.js'

/** Something that waits for its moment in {@link Deadlines}, which alone writes these fields. */
export interface Deadline {
  /** When it is due, in ms of the clock. */
  dueMs: number
  /** Decides among those that are due at one moment. */
  order: number
  /** Its place in the heap; below 0 while it does not wait. */
  place: number
}

/** By how much the sum of a time and a delay may be off by rounding, in ms. */
const ROUNDING_MS = 1e-6

/**
 * Many deadlines on one timer of the clock: a timer for each would cost more than most of the calls that it is for.
 *
 * Each is reported when it is due, not before, in the order of their times and among equal ones in the order in which
 * they were set. Whoever is told may set and cancel any. The timer is not called off with its deadline: the next time
 * it fires it goes on to whichever is the first by then.
 */
export class Deadlines<T extends Deadline> {
  readonly #clock: Clock
  readonly #onDue: (waiting: T) => void
  /** A binary heap: each is due no later than the two at twice its place, plus 1 and 2. */
  readonly #heap: T[] = []
  #orders = 0
  #armedForMs = Number.POSITIVE_INFINITY
  #cancelTimer: (() => void) | undefined
  #isFiring = false

  /** @param onDue - told each that is due; it does not wait any more then */
  constructor(clock: Clock, onDue: (waiting: T) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  /** How many wait. */
  get size(): number {
    return this.#heap.length
  }

  /** Sets the deadline of something, `delayMs` after `nowMs`; one that it had before is forgotten. */
  set(waiting: T, nowMs: number, delayMs: number): void {
    this.cancel(waiting)
    waiting.dueMs = nowMs + delayMs
    waiting.order = this.#orders++
    this.#heap.push(waiting)
    this.#up(waiting, this.#heap.length - 1)
    if (waiting.dueMs < this.#armedForMs && !this.#isFiring) this.#arm(nowMs)
  }

  /** Calls a deadline off; one that does not wait is left alone. */
  cancel(waiting: T): void {
    const { place } = waiting
    if (place < 0) return
    waiting.place = -1
    const last = this.#heap.pop() as T
    if (last === waiting) return
    if (place > 0 && isBefore(last, this.#heap[(place - 1) >> 1] as T)) this.#up(last, place)
    else this.#down(last, place)
  }

  /** Calls all of them off, and the timer too. */
  clear(): void {
    for (const waiting of this.#heap) waiting.place = -1
    this.#heap.length = 0
    this.#disarm()
  }

  #arm(nowMs: number): void {
    this.#disarm()
    const [first] = this.#heap
    if (first === undefined) return
    this.#armedForMs = first.dueMs
    this.#cancelTimer = this.#clock.after(first.dueMs - nowMs, () => this.#fire())
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#armedForMs = Number.POSITIVE_INFINITY
  }

  #fire(): void {
    this.#cancelTimer = undefined
    this.#isFiring = true
    try {
      for (;;) {
        const [first] = this.#heap
        if (first === undefined || first.dueMs > this.#clock.now() + ROUNDING_MS) break
        this.cancel(first)
        this.#onDue(first)
      }
    } finally {
      this.#isFiring = false
      this.#arm(this.#clock.now())
    }
  }

  #up(waiting: T, from: number): void {
    const heap = this.#heap
    let place = from
    while (place > 0) {
      const parentPlace = (place - 1) >> 1
      const parent = heap[parentPlace] as T
      if (isBefore(parent, waiting)) break
      heap[place] = parent
      parent.place = place
      place = parentPlace
    }
    heap[place] = waiting
    waiting.place = place
  }

  #down(waiting: T, from: number): void {
    const heap = this.#heap
    let place = from
    for (;;) {
      let childPlace = 2 * place + 1
      if (childPlace >= heap.length) break
      let child = heap[childPlace] as T
      const right = heap[childPlace + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        childPlace++
      }
      if (isBefore(waiting, child)) break
      heap[place] = child
      child.place = place
      place = childPlace
    }
    heap[place] = waiting
    waiting.place = place
  }
}

function isBefore(a: Deadline, b: Deadline): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
