import type { NodeId } from '../keyspace/index.js'
import { IdWords, sharedPrefixBits, wordAt } from '../keyspace/index.js'
import type { Entry, TableEntry } from './entry.js'
import { moveUp } from './move-up.js'

const NONE: readonly Entry[] = []

/** How many entries a bucket may have, so that the first word of a distance and a place in it fit into one number. */
const PLACES = 2 ** 20

/** Distances and places of the bucket that is being sorted; for all tables, as a sort ends before the next begins. */
let sortKeys = new Float64Array(32)

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
    const found: TableEntry[] = []
    if (count <= 0) return found
    const deepest = this.#buckets.length - 1
    const bucket = this.indexOf(target)
    const words = new IdWords(target)
    /** Takes what it may of a bucket; whether that was enough. */
    const take = (i: number): boolean => {
      const entries = this.in(i)
      if (entries.length === 0) return false
      for (const entry of sorted(entries, words)) {
        if (accept !== undefined && !accept(entry)) continue
        found.push(entry)
        if (found.length === count) return true
      }
      return false
    }
    if (take(bucket)) return found
    for (let i = bucket + 1; i <= deepest; i++) if (this.#differs(target, i) && take(i)) return found
    for (let i = deepest; i > bucket; i--) if (!this.#differs(target, i) && take(i)) return found
    for (let i = Math.min(bucket - 1, deepest); i >= 0; i--) if (take(i)) return found
    return found
  }

  #differs(target: NodeId, bit: number): boolean {
    const differences = (target[bit >> 3] as number) ^ (this.#ownId[bit >> 3] as number)
    return (differences & (0x80 >> (bit & 7))) !== 0
  }
}

/**
 * The entries by their distance to a target: an insertion sort, which for the k of a bucket is the fastest. First all
 * are read, then sorted: so the processor waits for the memory of all at once, not for that of one after the other.
 */
function sorted(entries: readonly Entry[], target: IdWords): Entry[] {
  const { length } = entries
  if (sortKeys.length < length) sortKeys = new Float64Array(2 * length)
  const keys = sortKeys
  for (let i = 0; i < length; i++) keys[i] = (((entries[i] as Entry).w0 ^ target.w0) >>> 0) * PLACES + i
  for (let i = 1; i < length; i++) {
    const key = keys[i] as number
    let at = i
    for (; at > 0 && (keys[at - 1] as number) > key; at--) keys[at] = keys[at - 1] as number
    keys[at] = key
  }
  const list: Entry[] = new Array(length)
  let before = Number.NaN
  for (let i = 0; i < length; i++) {
    const key = keys[i] as number
    const distance = Math.floor(key / PLACES)
    const entry = entries[key - distance * PLACES] as Entry
    let at = i
    // Of ids that are equal so far the rest decides: hardly ever needed.
    if (distance === before)
      for (; at > 0 && target.isNearer(entry, list[at - 1] as Entry); at--) list[at] = list[at - 1] as Entry
    list[at] = entry
    before = distance
  }
  return list
}
