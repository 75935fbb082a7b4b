/** No slot. */
const NONE = -1

/**
 * {@link Recent} for a few numbers a key, in little memory: a node remembers thousands of addresses, and each message
 * touches some of them. So there is no object for an entry, and making it the newest changes but a few numbers.
 */
export class RecentNumbers {
  readonly #slots = new Map<string, number>()
  readonly #lifetimeMs: number
  readonly #sizeMax: number
  /** How many numbers a slot has: those of its entry, and before them when it was touched. */
  readonly #stride: number
  #values = new Float64Array(0)
  /** For each slot the one that was touched before it and the one after it. */
  #links = new Int32Array(0)
  readonly #keys: string[] = []
  readonly #free: number[] = []
  #oldest = NONE
  #newest = NONE

  /** @param width - how many numbers an entry has */
  constructor(lifetimeMs: number, sizeMax: number, width: number) {
    this.#lifetimeMs = lifetimeMs
    this.#sizeMax = sizeMax
    this.#stride = 1 + width
  }

  get size(): number {
    return this.#slots.size
  }

  /** The slot of an entry, valid until the next `touch`; below 0 where there is none, or one that is too old. */
  find(key: string, nowMs: number): number {
    const slot = this.#slots.get(key)
    return slot === undefined || this.#isTooOld(slot, nowMs) ? NONE : slot
  }

  /** The slot of an entry, which is as new as can be from now on. The numbers of one that was not there are NaN. */
  touch(key: string, nowMs: number): number {
    this.#sweep(nowMs, this.#sizeMax)
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      this.#sweep(nowMs, this.#sizeMax - 1)
      slot = this.#add(key)
    } else {
      this.#unlink(slot)
    }
    this.#values[slot * this.#stride] = nowMs
    this.#link(slot)
    return slot
  }

  /** A number of an entry. */
  get(slot: number, index: number): number {
    return this.#values[slot * this.#stride + 1 + index] as number
  }

  set(slot: number, index: number, value: number): void {
    this.#values[slot * this.#stride + 1 + index] = value
  }

  #isTooOld(slot: number, nowMs: number): boolean {
    return nowMs - (this.#values[slot * this.#stride] as number) > this.#lifetimeMs
  }

  #add(key: string): number {
    const slot = this.#free.pop() ?? this.#keys.length
    if (slot >= this.#links.length / 2) this.#grow(2 * slot + 2)
    this.#values.fill(Number.NaN, slot * this.#stride, (slot + 1) * this.#stride)
    this.#keys[slot] = key
    this.#slots.set(key, slot)
    return slot
  }

  #grow(slots: number): void {
    const values = new Float64Array(slots * this.#stride)
    const links = new Int32Array(2 * slots)
    values.set(this.#values)
    links.set(this.#links)
    this.#values = values
    this.#links = links
  }

  /** Removes what is too old, and the oldest of more than `sizeMax`. */
  #sweep(nowMs: number, sizeMax: number): void {
    while (this.#oldest !== NONE && (this.size > sizeMax || this.#isTooOld(this.#oldest, nowMs))) {
      const slot = this.#oldest
      this.#unlink(slot)
      this.#slots.delete(this.#keys[slot] as string)
      this.#keys[slot] = ''
      this.#free.push(slot)
    }
  }

  #link(slot: number): void {
    this.#links[2 * slot] = this.#newest
    this.#links[2 * slot + 1] = NONE
    if (this.#newest === NONE) this.#oldest = slot
    else this.#links[2 * this.#newest + 1] = slot
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const older = this.#links[2 * slot] as number
    const newer = this.#links[2 * slot + 1] as number
    if (older === NONE) this.#oldest = newer
    else this.#links[2 * older + 1] = newer
    if (newer === NONE) this.#newest = older
    else this.#links[2 * newer] = older
  }
}
