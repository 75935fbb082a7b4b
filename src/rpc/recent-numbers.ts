import { textHash } from '../keyspace/index.js'

/** No slot; so there are fewer slots than this. */
const NONE = 0xffff

/** What `#links` has for each slot: */
const LINKS = 4
/** ... the first slot of the chain of its number, which begins a chain whatever the slot itself holds, */
const FIRST = 0
/** ... the next slot of the chain that it is in, or of those that are free, */
const NEXT = 1
/** ... and the slots that were touched before and after it. */
const OLDER = 2
const NEWER = 3

const SLOTS_MIN = 8

/** By how much it grows: a little often, as there are many of these, and what is spare is spare in each. */
const GROWTH = 1.25

/** It shrinks when only one slot in so many is taken. */
const SHRINKS_BELOW = 1 / 4

/**
 * No chain is longer. Those of honest keys never are, as there are no more keys than chains; but a stranger may choose
 * addresses that all fall into one, and is not to make each search long.
 */
const CHAIN_MAX = 32

const NO_VALUES = new Float64Array(0)
const NO_LINKS = new Uint16Array(0)

/**
 * {@link Recent} for a few numbers a key, in little memory: a node remembers thousands of addresses, and each message
 * touches some of them. So there is no object for an entry nor a Map, making it the newest changes but a few numbers,
 * and the memory of what was forgotten is given back.
 */
export class RecentNumbers {
  readonly #lifetimeMs: number
  readonly #sizeMax: number
  /** How many numbers a slot has: those of its entry, and before them when it was touched. */
  readonly #stride: number
  /** By slot; undefined where it is free. As many as slots. */
  #keys: (string | undefined)[] = []
  #values = NO_VALUES
  #links = NO_LINKS
  #size = 0
  /** So many slots were taken since the arrays were made, and the first of those that are free again. */
  #used = 0
  #free = NONE
  #oldest = NONE
  #newest = NONE

  /**
   * @param sizeMax - how many entries there are at most: below 65,535
   * @param width - how many numbers an entry has
   */
  constructor(lifetimeMs: number, sizeMax: number, width: number) {
    this.#lifetimeMs = lifetimeMs
    this.#sizeMax = sizeMax
    this.#stride = 1 + width
  }

  get size(): number {
    return this.#size
  }

  /** The slot of an entry, valid until the next `touch`; below 0 where there is none, or one that is too old. */
  find(key: string, nowMs: number): number {
    const slot = this.#slotOf(key)
    return slot === NONE || this.#isTooOld(slot, nowMs) ? -1 : slot
  }

  /** The slot of an entry, which is as new as can be from now on. The numbers of one that was not there are NaN. */
  touch(key: string, nowMs: number): number {
    this.#sweep(nowMs, this.#sizeMax)
    let slot = this.#slotOf(key)
    if (slot === NONE) {
      this.#sweep(nowMs, this.#sizeMax - 1)
      slot = this.#add(key)
    } else {
      this.#unlink(slot)
    }
    this.#values[slot * this.#stride] = nowMs
    this.#link(slot)
    return slot
  }

  /** When an entry was touched last. */
  touchedMs(slot: number): number {
    return this.#values[slot * this.#stride] as number
  }

  /** A number of an entry. */
  get(slot: number, index: number): number {
    return this.#values[slot * this.#stride + 1 + index] as number
  }

  set(slot: number, index: number, value: number): void {
    this.#values[slot * this.#stride + 1 + index] = value
  }

  #isTooOld(slot: number, nowMs: number): boolean {
    return nowMs - this.touchedMs(slot) > this.#lifetimeMs
  }

  #slotOf(key: string): number {
    if (this.#size === 0) return NONE
    let slot = this.#linkOf(this.#chainOf(key), FIRST)
    while (slot !== NONE && this.#keys[slot] !== key) slot = this.#linkOf(slot, NEXT)
    return slot
  }

  #add(key: string): number {
    if (this.#size === this.#keys.length) this.#resize(Math.max(SLOTS_MIN, Math.ceil(this.#size * GROWTH)))
    let slot = this.#free
    if (slot === NONE) slot = this.#used++
    else this.#free = this.#linkOf(slot, NEXT)
    this.#values.fill(Number.NaN, slot * this.#stride, (slot + 1) * this.#stride)
    this.#keys[slot] = key
    this.#size++
    const chain = this.#chainOf(key)
    this.#setLink(slot, NEXT, this.#linkOf(chain, FIRST))
    this.#setLink(chain, FIRST, slot)
    this.#cut(slot)
    return slot
  }

  /** Forgets the last entry of a chain that became too long. */
  #cut(first: number): void {
    let last = first
    let length = 1
    for (let next = this.#linkOf(first, NEXT); next !== NONE; next = this.#linkOf(next, NEXT)) {
      last = next
      length++
    }
    if (length <= CHAIN_MAX) return
    this.#unlink(last)
    this.#delete(last)
  }

  /** Makes the arrays anew, for so many slots, of which the first are those of the entries in the order of their age. */
  #resize(slots: number): void {
    const keys = this.#keys
    const values = this.#values
    const links = this.#links
    const stride = this.#stride
    this.#keys = new Array<string | undefined>(slots).fill(undefined)
    const valuesBytes = slots * stride * Float64Array.BYTES_PER_ELEMENT
    // One buffer for both: a second one would take as much as ten entries.
    const buffer = new ArrayBuffer(valuesBytes + slots * LINKS * Uint16Array.BYTES_PER_ELEMENT)
    this.#values = new Float64Array(buffer, 0, slots * stride)
    this.#links = new Uint16Array(buffer, valuesBytes).fill(NONE)
    let from = this.#oldest
    this.#oldest = NONE
    this.#newest = NONE
    this.#free = NONE
    this.#used = 0
    while (from !== NONE) {
      const slot = this.#used++
      const key = keys[from] as string
      this.#keys[slot] = key
      for (let i = 0; i < stride; i++) this.#values[slot * stride + i] = values[from * stride + i] as number
      const chain = this.#chainOf(key)
      this.#setLink(slot, NEXT, this.#linkOf(chain, FIRST))
      this.#setLink(chain, FIRST, slot)
      this.#link(slot)
      from = links[from * LINKS + NEWER] as number
    }
  }

  /** Removes what is too old, and the oldest of more than `sizeMax`. */
  #sweep(nowMs: number, sizeMax: number): void {
    while (this.#oldest !== NONE && (this.#size > sizeMax || this.#isTooOld(this.#oldest, nowMs))) {
      const slot = this.#oldest
      this.#unlink(slot)
      this.#delete(slot)
    }
    const { length } = this.#keys
    if (length > SLOTS_MIN && this.#size < length * SHRINKS_BELOW) {
      this.#resize(Math.max(SLOTS_MIN, Math.ceil(this.#size * GROWTH)))
    }
  }

  /** Takes an entry out of its chain, and frees its slot. */
  #delete(slot: number): void {
    const chain = this.#chainOf(this.#keys[slot] as string)
    const next = this.#linkOf(slot, NEXT)
    let before = this.#linkOf(chain, FIRST)
    if (before === slot) {
      this.#setLink(chain, FIRST, next)
    } else {
      while (this.#linkOf(before, NEXT) !== slot) before = this.#linkOf(before, NEXT)
      this.#setLink(before, NEXT, next)
    }
    this.#keys[slot] = undefined
    this.#setLink(slot, NEXT, this.#free)
    this.#free = slot
    this.#size--
  }

  #link(slot: number): void {
    this.#setLink(slot, OLDER, this.#newest)
    this.#setLink(slot, NEWER, NONE)
    if (this.#newest === NONE) this.#oldest = slot
    else this.#setLink(this.#newest, NEWER, slot)
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const older = this.#linkOf(slot, OLDER)
    const newer = this.#linkOf(slot, NEWER)
    if (older === NONE) this.#oldest = newer
    else this.#setLink(older, NEWER, newer)
    if (newer === NONE) this.#newest = older
    else this.#setLink(newer, OLDER, older)
  }

  #linkOf(slot: number, which: number): number {
    return this.#links[slot * LINKS + which] as number
  }

  #setLink(slot: number, which: number, value: number): void {
    this.#links[slot * LINKS + which] = value
  }

  /** The number of a key's chain. */
  #chainOf(key: string): number {
    return textHash(key) % this.#keys.length
  }
}
