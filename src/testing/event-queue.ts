/**
 * The grain of virtual time, in milliseconds: 1/1024, about a microsecond. Every moment is a multiple of it, so
 * that sums of moments are exact in a double and equal on every engine: no timer ever fires an ulp too early.
 */
export const TICK_MS: number = 1 / 1024

/** A moment, rounded up to a whole tick. */
export function toTick(ms: number): number {
  return Math.ceil(ms / TICK_MS) * TICK_MS
}

/** Something that is going to happen: an entry of the {@link EventQueue}. */
export interface QueuedEvent {
  /** Its place among those of the same moment; the queue sets it. */
  order: number
  /** Whether it waits in the queue; the queue sets it. */
  pending: boolean
  /** What happens. */
  run(): void
}

// Below this many, cancelled events are not worth a pass over the queue.
const CANCELLED_MIN = 64

/** Children of a place of the heap: with four, their times lie beside each other in memory, and it is half as deep. */
const CHILDREN = 4

/**
 * The future, as a heap by time, then by the order of insertion; and the present. Times lie in an array of their own:
 * to compare two reads no event, of which a large simulation has more than the processor's cache.
 */
export class EventQueue {
  #events: QueuedEvent[] = []
  #timesMs: Float64Array = new Float64Array(1024)
  #inserted = 0
  #cancelled = 0
  #nowMs = 0

  /** The present: virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events wait, cancelled ones not counted. */
  get size(): number {
    return this.#events.length - this.#cancelled
  }

  /** How many places of the heap are in use: at most about twice the {@link EventQueue.size}. */
  get heapSize(): number {
    return this.#events.length
  }

  /**
   * Adds an event that is in no queue; `atMs` is rounded up to a whole tick, and up to the present.
   *
   * @throws RangeError when `atMs` is not finite: one NaN would put the heap out of order
   */
  add(event: QueuedEvent, atMs: number): void {
    if (!Number.isFinite(atMs)) throw new RangeError(`an event can't happen at ${atMs} ms`)
    event.order = this.#inserted++
    event.pending = true
    const at = this.#events.length
    if (at === this.#timesMs.length) {
      const longer = new Float64Array(2 * at)
      longer.set(this.#timesMs)
      this.#timesMs = longer
    }
    this.#events.push(event)
    this.#siftUp(at, event, Math.max(this.#nowMs, toTick(atMs)))
  }

  /** Takes an event out: at once as far as anyone sees, while its place in the heap is cleared later. */
  cancel(event: QueuedEvent): void {
    if (!event.pending) return
    event.pending = false
    this.#cancelled++
    if (this.#cancelled > CANCELLED_MIN && this.#cancelled * 2 > this.#events.length) this.#compact()
  }

  /** Cancels all events that `matches` picks: one pass over the queue. */
  cancelWhere(matches: (event: QueuedEvent) => boolean): void {
    for (const event of this.#events) {
      if (!event.pending || !matches(event)) continue
      event.pending = false
      this.#cancelled++
    }
    this.#compact()
  }

  /** When the next event happens, or undefined when there is none. */
  peekMs(): number | undefined {
    while (this.#events.length > 0 && !this.#events[0]?.pending) {
      this.#removeFirst()
      this.#cancelled--
    }
    return this.#events.length > 0 ? this.#timesMs[0] : undefined
  }

  /** Takes the next event out and makes its moment the present; undefined when there is none. */
  next(): QueuedEvent | undefined {
    const atMs = this.peekMs()
    if (atMs === undefined) return undefined
    const event = this.#removeFirst()
    event.pending = false
    this.#nowMs = atMs
    return event
  }

  /** Makes `nowMs`, rounded up to a whole tick, the present. No event may be due before it. */
  skipTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, toTick(nowMs))
  }

  #compact(): void {
    const events = this.#events
    const timesMs = this.#timesMs
    let kept = 0
    for (let at = 0; at < events.length; at++) {
      const event = events[at] as QueuedEvent
      if (!event.pending) continue
      events[kept] = event
      timesMs[kept++] = timesMs[at] as number
    }
    events.length = kept
    this.#cancelled = 0
    for (let at = (kept - 2) >> 2; at >= 0; at--) this.#siftDown(at, events[at] as QueuedEvent, timesMs[at] as number)
  }

  #removeFirst(): QueuedEvent {
    const events = this.#events
    const first = events[0] as QueuedEvent
    const last = events.pop() as QueuedEvent
    if (events.length > 0) this.#siftDown(0, last, this.#timesMs[events.length] as number)
    return first
  }

  /** Puts an event where it belongs, at the free place `from` or above it. */
  #siftUp(from: number, event: QueuedEvent, atMs: number): void {
    const events = this.#events
    const timesMs = this.#timesMs
    let at = from
    while (at > 0) {
      const parentAt = ((at - 1) / CHILDREN) | 0
      const parentMs = timesMs[parentAt] as number
      // What is added comes behind all others of its moment.
      if (parentMs <= atMs) break
      events[at] = events[parentAt] as QueuedEvent
      timesMs[at] = parentMs
      at = parentAt
    }
    events[at] = event
    timesMs[at] = atMs
  }

  /** Puts an event where it belongs, at the free place `from` or below it. */
  #siftDown(from: number, event: QueuedEvent, atMs: number): void {
    const events = this.#events
    const timesMs = this.#timesMs
    const { length } = events
    let at = from
    for (;;) {
      const firstAt = CHILDREN * at + 1
      if (firstAt >= length) break
      let childAt = firstAt
      let childMs = timesMs[firstAt] as number
      const endAt = Math.min(firstAt + CHILDREN, length)
      for (let otherAt = firstAt + 1; otherAt < endAt; otherAt++) {
        const otherMs = timesMs[otherAt] as number
        if (otherMs < childMs || (otherMs === childMs && this.#isOlder(otherAt, events[childAt] as QueuedEvent))) {
          childAt = otherAt
          childMs = otherMs
        }
      }
      if (childMs > atMs || (childMs === atMs && !this.#isOlder(childAt, event))) break
      events[at] = events[childAt] as QueuedEvent
      timesMs[at] = childMs
      at = childAt
    }
    events[at] = event
    timesMs[at] = atMs
  }

  #isOlder(at: number, event: QueuedEvent): boolean {
    return (this.#events[at] as QueuedEvent).order < event.order
  }
}
