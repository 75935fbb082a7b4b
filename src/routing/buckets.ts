import type { NodeId } from '../keyspace/index.js'
import { nearest } from '../keyspace/index.js'
import type { Entry, TableEntry } from './entry.js'

/**
 * The entries of a table by bucket: by how many leading bits their ids share with ours. So the nearest to a target are
 * found in one or two of the buckets, where a walk through k-bucket's tree would see all.
 */
export class Buckets {
  readonly #buckets: readonly Entry[][]

  /** @param bits - of an id */
  constructor(bits: number) {
    this.#buckets = Array.from({ length: bits }, () => [])
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
   * Those of the target's own bucket share more bits with it than all others. Those of deeper buckets share exactly as
   * many as the target shares with us, and those of each shallower one fewer, the shallower the fewer.
   *
   * @param bucket - which the target belongs to
   */
  nearest(target: NodeId, bucket: number, count: number, accept?: (entry: TableEntry) => boolean): TableEntry[] {
    const found: TableEntry[] = []
    const take = (entries: readonly Entry[]): void => {
      if (entries.length > 0) found.push(...nearest<TableEntry>(entries, target, count - found.length, accept))
    }
    take(this.in(bucket))
    if (found.length < count) take(this.#buckets.slice(bucket + 1).flat())
    for (let shallower = bucket - 1; shallower >= 0 && found.length < count; shallower--) take(this.in(shallower))
    return found
  }
}
