import type { NodeId } from '../keyspace/index.js'
import { IdWords, sharedPrefixBits, wordAt } from '../keyspace/index.js'
import type { Entry, TableEntry } from './entry.js'
import { moveUp } from './move-up.js'

const NONE: readonly Entry[] = []

/** How many entries a bucket may have, so that the first word of a distance and a place in it fit into one number. */
const PLACES = 2 ** 20

/** Distances and places of a bucket that is being sorted, for the next one. */
let spareKeys: Float64Array | undefined

/** How many of the nearest there is room for at once; for more, room is made as they come. */
const FOUND_MAX_AT_FIRST = 64

/**
 * The entries of a table by bucket: by how many leading bits their ids share with ours. So an id, and the nearest to a
 * target, are found in one or two of the buckets, where a walk through k-bucket's tree would see all.
 */
export class Buckets {
  /** How many there are: one for each number of leading bits that another id can share with ours. */
  readonly length: number
  readonly #ownId: NodeId
  /** As far as one was ever in use: of 256 they are the first dozen. */
  readonly #buckets: (readonly Entry[])[] = []

  /** @param ownId - the bits that it shares with another id tell that one's bucket */
  constructor(ownId: NodeId) {
    this.#ownId = ownId
    this.length = ownId.length * 8
  }

  /** Which bucket an id belongs to: {@link Buckets.length} for our own, which has none. */
  indexOf(id: NodeId): number {
    return sharedPrefixBits(this.#ownId, id)
  }

  /** The entries of a bucket, the one that answered last behind all others; none for our own id's. */
  in(bucket: number): readonly Entry[] {
    return this.#buckets[bucket] ?? NONE
  }

  /** How many entries a bucket has. */
  count(bucket: number): number {
    return this.in(bucket).length
  }

  /** The entry of an id. */
  find(id: NodeId): Entry | undefined {
    const first = wordAt(id, 0)
    for (const entry of this.in(this.indexOf(id))) if (entry.w0 === first && entry.isOf(id)) return entry
    return undefined
  }

  /** All entries, bucket by bucket. */
  all(): Entry[] {
    return this.#buckets.flat()
  }

  /** Adds an entry behind the others of its bucket. */
  add(entry: Entry): void {
    while (this.#buckets.length <= entry.bucket) this.#buckets.push(NONE)
    // A new array is as long as it has to be, while one that grows takes room for twice as many.
    this.#buckets[entry.bucket] = this.in(entry.bucket).concat(entry)
  }

  /** Puts an entry, or its successor, behind the others of its bucket. */
  moveToEnd(entry: Entry, successor: Entry = entry): void {
    const entries = this.in(entry.bucket) as Entry[]
    moveUp(entries, entries.indexOf(entry))
    entries[entries.length - 1] = successor
  }

  remove(entry: Entry): void {
    this.#buckets[entry.bucket] = this.in(entry.bucket).filter((other) => other !== entry)
  }

  /**
   * The entries nearest to a target, nearest first, in exact XOR order.
   *
   * Those of the target's own bucket share more bits with it than all others. Of the deeper ones, bucket `i` differs
   * from all beyond it in bit `i`: where the target differs from us there, the bucket comes before them, else behind.
   * Each shallower bucket shares fewer bits with the target than all before.
   */
  nearest(target: NodeId, count: number, accept?: (entry: TableEntry) => boolean): TableEntry[] {
    if (count <= 0) return []
    const deepest = this.#buckets.length - 1
    const bucket = this.indexOf(target)
    const words = new IdWords(target)
    // As long as it will mostly be: one that grows is copied again and again.
    const found: Entry[] = new Array(Math.min(count, FOUND_MAX_AT_FIRST))
    let n = this.#take(found, 0, bucket, words, count, accept)
    for (let i = bucket + 1; i <= deepest && n < count; i++) {
      if (this.#differs(target, i)) n = this.#take(found, n, i, words, count, accept)
    }
    for (let i = deepest; i > bucket && n < count; i--) {
      if (!this.#differs(target, i)) n = this.#take(found, n, i, words, count, accept)
    }
    for (let i = Math.min(bucket - 1, deepest); i >= 0 && n < count; i--) {
      n = this.#take(found, n, i, words, count, accept)
    }
    if (n < found.length) found.length = n
    return found
  }

  /** Adds what is accepted of a bucket to the first `n` that were found, up to `count`; returns how many there are then. */
  #take(
    found: Entry[],
    n: number,
    bucket: number,
    target: IdWords,
    count: number,
    accept: ((entry: TableEntry) => boolean) | undefined,
  ): number {
    const entries = this.in(bucket)
    const { length } = entries
    if (length === 0) return n
    const keys = sortKeysFor(length)
    sort(keys, entries, target)
    let taken = n
    for (let i = 0; i < length && taken < count; i++) {
      const entry = entries[placeIn(keys[i] as number)] as Entry
      if (accept === undefined || accept(entry)) found[taken++] = entry
    }
    spareKeys = keys
    return taken
  }

  #differs(target: NodeId, bit: number): boolean {
    const differences = (target[bit >> 3] as number) ^ (this.#ownId[bit >> 3] as number)
    return (differences & (0x80 >> (bit & 7))) !== 0
  }
}

/** Room to sort in, which nobody else uses until it is given back: `accept` may be anything. */
function sortKeysFor(length: number): Float64Array {
  const keys = spareKeys
  spareKeys = undefined
  return keys !== undefined && keys.length >= length ? keys : new Float64Array(2 * length)
}

function distanceIn(key: number): number {
  return Math.floor(key / PLACES)
}

function placeIn(key: number): number {
  return key - distanceIn(key) * PLACES
}

/**
 * Sorts the places of the entries by their distance to a target, by insertion, which for the k of a bucket is the
 * fastest. First all are read, then sorted: so the processor waits for the memory of all at once, not for that of one
 * after the other.
 */
function sort(keys: Float64Array, entries: readonly Entry[], target: IdWords): void {
  const { length } = entries
  for (let i = 0; i < length; i++) keys[i] = (((entries[i] as Entry).w0 ^ target.w0) >>> 0) * PLACES + i
  for (let i = 1; i < length; i++) {
    const key = keys[i] as number
    let at = i
    for (; at > 0 && (keys[at - 1] as number) > key; at--) keys[at] = keys[at - 1] as number
    keys[at] = key
  }
  for (let i = 1; i < length; i++) {
    // Of ids whose first words are equal the rest decides: hardly ever needed.
    if (distanceIn(keys[i] as number) === distanceIn(keys[i - 1] as number)) sortEqual(keys, i, entries, target)
  }
}

/** Puts the key at `i` in its place among those before it that have the same first word. */
function sortEqual(keys: Float64Array, i: number, entries: readonly Entry[], target: IdWords): void {
  const key = keys[i] as number
  const distance = distanceIn(key)
  const entry = entries[placeIn(key)] as Entry
  let at = i
  for (; at > 0; at--) {
    const before = keys[at - 1] as number
    if (distanceIn(before) !== distance || !target.isNearer(entry, entries[placeIn(before)] as Entry)) break
    keys[at] = before
  }
  keys[at] = key
}
