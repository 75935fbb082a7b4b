import { sameBytes } from '../keyspace/index.js'

/** What {@link CallTable} holds; it alone writes `next`. */
export interface Tabled<T> {
  readonly tid: Uint8Array
  /** The next one of the same chain. */
  next: T | undefined
}

const CHAINS_AT_FIRST = 16

/**
 * Calls by transaction id. A Map under so much coming and going makes tables anew all the time, each of which keeps
 * the next one and what was in it from the garbage collector's quick passes: that cost more than all else here.
 *
 * The ids are drawn by us at random, so their first bytes spread them evenly, whatever others send.
 */
export class CallTable<T extends Tabled<T>> {
  /** As many as a power of two. */
  #chains: (T | undefined)[] = new Array<T | undefined>(CHAINS_AT_FIRST).fill(undefined)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The call with a transaction id, which may be anything. */
  get(tid: Uint8Array): T | undefined {
    let call = this.#chains[this.#chainOf(tid)]
    while (call !== undefined && !sameBytes(call.tid, tid)) call = call.next
    return call
  }

  /** Takes in a call that is not in yet. */
  add(call: T): void {
    if (this.#size === this.#chains.length) this.#grow()
    this.#put(call)
    this.#size++
  }

  /** Whether the call was in; it is not any more. */
  delete(call: T): boolean {
    const chain = this.#chainOf(call.tid)
    let before: T | undefined
    let each = this.#chains[chain]
    while (each !== undefined && each !== call) {
      before = each
      each = each.next
    }
    if (each === undefined) return false
    if (before === undefined) this.#chains[chain] = call.next
    else before.next = call.next
    call.next = undefined
    this.#size--
    return true
  }

  /** All calls, in no order that means anything. */
  all(): T[] {
    const all: T[] = []
    for (const first of this.#chains) for (let call = first; call !== undefined; call = call.next) all.push(call)
    return all
  }

  #grow(): void {
    const all = this.all()
    this.#chains = new Array<T | undefined>(2 * this.#chains.length).fill(undefined)
    for (const call of all) this.#put(call)
  }

  #put(call: T): void {
    const chain = this.#chainOf(call.tid)
    call.next = this.#chains[chain]
    this.#chains[chain] = call
  }

  #chainOf(tid: Uint8Array): number {
    // A missing byte counts as 0.
    return (((tid[0] as number) << 16) | ((tid[1] as number) << 8) | (tid[2] as number)) & (this.#chains.length - 1)
  }
}
