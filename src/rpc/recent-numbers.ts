/**
 * {@link Recent} for a few numbers a key, in little memory: a node remembers thousands of addresses. Time is handed in.
 *
 * An entry leaves when it was last touched more than `lifetimeMs` ago, or up to a sixteenth of that sooner: one
 * that is touched again so soon keeps its time and its place in the order, as moving it costs more than all else, and
 * entries are touched by every message. When there are more than `sizeMax`, the oldest by that order leaves.
 */
export class RecentNumbers {
  readonly #slots = new Map<string, number>()
  readonly #lifetimeMs: number
  readonly #sizeMax: number
  readonly #width: number
  /** Slots of entries that left. */
  readonly #free: number[] = []
  /** For each slot when it was touched, then its numbers. */
  #values = new Float64Array(0)
  #slotsUsed = 0

  /** @param width - how many numbers an entry has */
  constructor(lifetimeMs: number, sizeMax: number, width: number) {
    this.#lifetimeMs = lifetimeMs
    this.#sizeMax = sizeMax
    this.#width = width
  }

  get size(): number {
    return this.#slots.size
  }

  /** The slot of an entry, valid until the next `touch`; below 0 where there is none. */
  find(key: string, nowMs: number): number {
    const slot = this.#slots.get(key)
    if (slot === undefined) return -1
    if (nowMs - this.#touchedMs(slot) <= this.#lifetimeMs) return slot
    this.#delete(key, slot)
    return -1
  }

  /** The slot of an entry, which is new again from now on. The numbers of one that was not there are NaN. */
  touch(key: string, nowMs: number): number {
    const known = this.find(key, nowMs)
    if (known >= 0) {
      if (nowMs - this.#touchedMs(known) < this.#lifetimeMs / 16) return known
      this.#slots.delete(key)
    }
    const slot = known >= 0 ? known : this.#newSlot()
    this.#values[slot * (1 + this.#width)] = nowMs
    this.#slots.set(key, slot)
    this.#sweep(nowMs)
    return slot
  }

  /** A number of an entry. */
  get(slot: number, index: number): number {
    return this.#values[slot * (1 + this.#width) + 1 + index] as number
  }

  set(slot: number, index: number, value: number): void {
    this.#values[slot * (1 + this.#width) + 1 + index] = value
  }

  #touchedMs(slot: number): number {
    return this.#values[slot * (1 + this.#width)] as number
  }

  #newSlot(): number {
    const slot = this.#free.pop() ?? this.#slotsUsed++
    const from = slot * (1 + this.#width)
    const to = from + 1 + this.#width
    if (to > this.#values.length) {
      const larger = new Float64Array(2 * to)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values.fill(Number.NaN, from, to)
    return slot
  }

  /** Insertion order is the order of time, so what must go stands first. */
  #sweep(nowMs: number): void {
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size <= this.#sizeMax && nowMs - this.#touchedMs(slot) <= this.#lifetimeMs) break
      this.#delete(key, slot)
    }
  }

  #delete(key: string, slot: number): void {
    this.#slots.delete(key)
    this.#free.push(slot)
  }
}
