import type { Address } from '../keyspace/index.js'
import { textHash } from '../keyspace/index.js'
import type { Entry } from './entry.js'

const SLOTS_MIN = 8

/**
 * Entries by their addresses, one for each, in a third of a Map's memory: an entry knows its address, so there is a
 * place for it and nothing else. An address whose place is taken has the next one that is free. A table has some
 * hundred entries, which all have answered: so who chooses addresses that collide makes a search no longer than that.
 */
export class AddressIndex {
  /** As many as a power of two, of which at most three in four are taken. */
  #slots: (Entry | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The entry at an address. */
  get(address: Address): Entry | undefined {
    return this.#size === 0 ? undefined : this.#slots[this.#placeOf(address)]
  }

  /** Takes in an entry; one that is there at its address goes. */
  add(entry: Entry): void {
    if (4 * (this.#size + 1) > 3 * this.#slots.length) this.#grow()
    const place = this.#placeOf(entry.address)
    if (this.#slots[place] === undefined) this.#size++
    this.#slots[place] = entry
  }

  /** Forgets the entry at an address. */
  delete(address: Address): void {
    if (this.#size === 0) return
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = this.#placeOf(address)
    if (slots[hole] === undefined) return
    this.#size--
    // Whoever stands behind the hole and may stand in it, moves there, so that a search never ends too early.
    for (let place = (hole + 1) & mask; ; place = (place + 1) & mask) {
      const entry = slots[place]
      if (entry === undefined) break
      const wanted = textHash(entry.address) & mask
      if (((place - wanted) & mask) < ((place - hole) & mask)) continue
      slots[hole] = entry
      hole = place
    }
    slots[hole] = undefined
  }

  clear(): void {
    this.#slots = []
    this.#size = 0
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Array<Entry | undefined>(Math.max(SLOTS_MIN, 2 * before.length)).fill(undefined)
    for (const entry of before) if (entry !== undefined) this.#slots[this.#placeOf(entry.address)] = entry
  }

  /** Where the entry of an address is, or would be. */
  #placeOf(address: Address): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let place = textHash(address) & mask
    for (;;) {
      const entry = slots[place]
      if (entry === undefined || entry.address === address) return place
      place = (place + 1) & mask
    }
  }
}
