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
  /** When it happens, in virtual milliseconds. */
  atMs: number
  /** Its place among those of the same moment; the queue sets it. */
  order: number
  /** Whether it waits in the queue; the queue sets it. */
  pending: boolean
  /** What happens. */
  run(): void
}

// Below this many, cancelled events are not worth a pass over the queue.
const CANCELLED_MIN = 64

/** The future, as a binary heap by time, then by the order of insertion; and the present. */
export class EventQueue {
  #heap: QueuedEvent[] = []
  #inserted = 0
  #cancelled = 0
  #nowMs = 0

  /** The present: virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events wait, cancelled ones not counted. */
  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  /** How many places of the heap are in use: at most about twice the {@link EventQueue.size}. */
  get heapSize(): number {
    return this.#heap.length
  }

  /**
   * Adds an event that is in no queue; `atMs` is rounded up to a whole tick, and up to the present.
   *
   * @throws RangeError when `atMs` is not finite: one NaN would put the heap out of order
   */
  add(event: QueuedEvent, atMs: number): void {
    if (!Number.isFinite(atMs)) throw new RangeError(`an event can't happen at ${atMs} ms`)
    event.atMs = Math.max(this.#nowMs, toTick(atMs))
    event.order = this.#inserted++
    event.pending = true
    this.#heap.push(event)
    this.#siftUp(this.#heap.length - 1)
  }

  /** Takes an event out: at once as far as anyone sees, while its place in the heap is cleared later. */
  cancel(event: QueuedEvent): void {
    if (!event.pending) return
    event.pending = false
    this.#cancelled++
    if (this.#cancelled > CANCELLED_MIN && this.#cancelled * 2 > this.#heap.length) this.#compact()
  }

  /** Cancels all events that `matches` picks: one pass over the queue. */
  cancelWhere(matches: (event: QueuedEvent) => boolean): void {
    for (const event of this.#heap) {
      if (!event.pending || !matches(event)) continue
      event.pending = false
      this.#cancelled++
    }
    this.#compact()
  }

  /** When the next event happens, or undefined when there is none. */
  peekMs(): number | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]?.pending) {
      this.#removeFirst()
      this.#cancelled--
    }
    return this.#heap[0]?.atMs
  }

  /** Takes the next event out and makes its moment the present; undefined when there is none. */
  next(): QueuedEvent | undefined {
    if (this.peekMs() === undefined) return undefined
    const event = this.#removeFirst()
    event.pending = false
    this.#nowMs = event.atMs
    return event
  }

  /** Makes `nowMs`, rounded up to a whole tick, the present. No event may be due before it. */
  skipTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, toTick(nowMs))
  }

  #compact(): void {
    this.#heap = this.#heap.filter((event) => event.pending)
    this.#cancelled = 0
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#siftDown(at)
  }

  #removeFirst(): QueuedEvent {
    const heap = this.#heap
    const first = heap[0] as QueuedEvent
    const last = heap.pop() as QueuedEvent
    if (heap.length > 0) {
      heap[0] = last
      this.#siftDown(0)
    }
    return first
  }

  #siftUp(from: number): void {
    const heap = this.#heap
    const event = heap[from] as QueuedEvent
    let at = from
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt] as QueuedEvent
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = parentAt
    }
    heap[at] = event
  }

  #siftDown(from: number): void {
    const heap = this.#heap
    const event = heap[from] as QueuedEvent
    let at = from
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= heap.length) break
      const right = childAt + 1
      if (right < heap.length && isBefore(heap[right] as QueuedEvent, heap[childAt] as QueuedEvent)) childAt = right
      const child = heap[childAt] as QueuedEvent
      if (!isBefore(child, event)) break
      heap[at] = child
      at = childAt
    }
    heap[at] = event
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
