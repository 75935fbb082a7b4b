import type { Address, NodeId } from '../keyspace/index.js'
import { AddressIndex } from './address-index.js'
import type { Entry } from './entry.js'
import { moveUp } from './move-up.js'

/**
 * The contacts that answered while their bucket was full, for the day when an entry of it leaves (paper 4.1).
 * One id and one address wait once, over all buckets.
 */
export class Replacements {
  readonly #perBucketMax: number
  readonly #groupPerBucketMax: number
  /** Of each bucket, the freshest last. */
  readonly #buckets: (Entry[] | undefined)[] = []
  readonly #byAddress = new AddressIndex()

  constructor(perBucketMax: number, groupPerBucketMax: number) {
    this.#perBucketMax = perBucketMax
    this.#groupPerBucketMax = groupPerBucketMax
  }

  /** Lets a contact wait that has just answered and does not wait yet; the stalest of its bucket makes room. */
  add(entry: Entry): void {
    if (this.#perBucketMax === 0) return
    const stalest = this.#stalestToGo(entry)
    if (stalest !== undefined) this.delete(stalest)
    // A new array is as long as it has to be, while one that grows takes room for twice as many.
    while (this.#buckets.length <= entry.bucket) this.#buckets.push(undefined)
    this.#buckets[entry.bucket] = (this.#buckets[entry.bucket] ?? []).concat(entry)
    this.#byAddress.add(entry)
  }

  /** Takes note that one that waits has answered again: it is the freshest of its bucket now. */
  refresh(entry: Entry): void {
    const waiting = this.#buckets[entry.bucket] as Entry[]
    moveUp(waiting, waiting.indexOf(entry))
    waiting[waiting.length - 1] = entry
  }

  find(id: NodeId, bucket: number): Entry | undefined {
    return this.#buckets[bucket]?.find((entry) => entry.isOf(id))
  }

  at(address: Address): Entry | undefined {
    return this.#byAddress.get(address)
  }

  delete(entry: Entry): void {
    const waiting = this.#buckets[entry.bucket]
    const index = waiting?.indexOf(entry) ?? -1
    if (waiting === undefined || index < 0) return
    waiting.splice(index, 1)
    this.#byAddress.delete(entry.address)
  }

  /** Takes out the freshest of a bucket that `accept` agrees to. */
  takeFreshest(bucket: number, accept: (entry: Entry) => boolean): Entry | undefined {
    const freshest = this.#buckets[bucket]?.findLast(accept)
    if (freshest !== undefined) this.delete(freshest)
    return freshest
  }

  clear(): void {
    this.#buckets.length = 0
    this.#byAddress.clear()
  }

  #stalestToGo(entry: Entry): Entry | undefined {
    const waiting = this.#buckets[entry.bucket] ?? []
    // A network that has its share displaces only its own: otherwise one /24 could push everyone else out.
    const ofGroup = entry.group === undefined ? [] : waiting.filter((other) => other.group === entry.group)
    if (ofGroup.length >= this.#groupPerBucketMax) return ofGroup[0]
    return waiting.length >= this.#perBucketMax ? waiting[0] : undefined
  }
}
