import type { NodeId } from '../keyspace/index.js'
import { nearest } from '../keyspace/index.js'
import type { Entry, TableEntry } from './entry.js'

/**
 * The entries of a table by bucket: by how many leading bits their ids share with ours. So the nearest to a target are
 * found in one or two of the buckets, where a walk through k-bucket's tree would see all.
 */
export class Buckets {
  readonly #buckets: readonly Entry[][]
  readonly #ownId: NodeId
  /** No bucket beyond this one was ever in use. */
  #deepest = 0

  /** @param ownId - the bits that it shares with another id tell that one's bucket */
  constructor(ownId: NodeId) {
    this.#ownId = ownId
    this.#buckets = Array.from({ length: ownId.length * 8 }, () => [])
  }

  /** How many there are: one for each number of leading bits that another id can share with ours. */
  get length(): number {
    return this.#buckets.length
  }

  /** The entries of a bucket, in no order that means anything; none for our own id's. */
  in(bucket: number): readonly Entry[] {
    return this.#buckets[bucket] ?? []
  }

  /** How many entries a bucket has. */
  count(bucket: number): number {
    return this.in(bucket).length
  }

  add(entry: Entry): void {
    this.#buckets[entry.bucket]?.push(entry)
    this.#deepest = Math.max(this.#deepest, entry.bucket)
  }

  /** Removes an entry, or puts another one of its id in its place. */
  remove(entry: Entry, successor?: Entry): void {
    const entries = this.#buckets[entry.bucket] as Entry[]
    const at = entries.indexOf(entry)
    if (at < 0) return
    if (successor) entries[at] = successor
    else entries.splice(at, 1)
  }

  /**
   * The entries nearest to a target, nearest first, in exact XOR order.
   *
   * Those of the target's own bucket share more bits with it than all others. Of the deeper ones, bucket `i` differs
   * from all beyond it in bit `i`: where the target differs from us there, the bucket comes before them, else behind.
   * Each shallower bucket shares fewer bits with the target than all before.
   *
   * @param bucket - which the target belongs to
   */
  nearest(target: NodeId, bucket: number, count: number, accept?: (entry: TableEntry) => boolean): TableEntry[] {
    const found: TableEntry[] = []
    const take = (entries: readonly Entry[]): void => {
      if (entries.length === 0 || found.length >= count) return
      for (const entry of nearest<TableEntry>(entries, target, count - found.length, accept)) found.push(entry)
    }
    take(this.in(bucket))
    for (let i = bucket + 1; i <= this.#deepest; i++) if (this.#differs(target, i)) take(this.in(i))
    for (let i = this.#deepest; i > bucket; i--) if (!this.#differs(target, i)) take(this.in(i))
    for (let i = bucket - 1; i >= 0 && found.length < count; i--) take(this.in(i))
    return found
  }

  #differs(target: NodeId, bit: number): boolean {
    const differences = (target[bit >> 3] as number) ^ (this.#ownId[bit >> 3] as number)
    return (differences & (0x80 >> (bit & 7))) !== 0
  }
}
