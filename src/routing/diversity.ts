import { toHex, wordAt } from '../keyspace/index.js'
import type { Entry, Group } from './entry.js'

/** The network's bytes, as the transport describes them, as what entries are compared by. */
export function groupOf(bytes: Uint8Array): Group {
  // Those of IPv4, the kind byte and the /24, are one number: it takes no memory of its own, and no time to compare.
  return bytes.length === 4 ? wordAt(bytes, 0) : toHex(bytes)
}

/**
 * Counts how many entries each network has in the table, so that the owner of one network can't fill a bucket
 * or the table, however many hosts and ids he makes (geth's limits, for the attack of Marcus, Heilman and
 * Goldberg, "Low-Resource Eclipse Attacks on Ethereum", 2018).
 */
export class Diversity {
  readonly #perBucketMax: number
  readonly #perTableMax: number
  /** The network of each entry that has one, in any order: a pass over some hundred numbers takes 0.1 us. */
  readonly #groups: Group[] = []

  constructor(perBucketMax: number, perTableMax: number) {
    this.#perBucketMax = perBucketMax
    this.#perTableMax = perTableMax
  }

  /**
   * Whether the bucket and the table take one more of the group, once `leaving` has left.
   *
   * @param bucket - its entries
   * @param leaving - one of the table's
   */
  allows(group: Group | undefined, bucket: readonly Entry[], leaving?: Entry): boolean {
    if (group === undefined) return true
    let inTable = 0
    for (const other of this.#groups) if (other === group) inTable++
    if (inTable === 0) return true
    if (leaving?.group === group) inTable--
    let inBucket = 0
    for (const other of bucket) if (other.group === group && other !== leaving) inBucket++
    return inTable < this.#perTableMax && inBucket < this.#perBucketMax
  }

  add({ group }: Entry): void {
    if (group !== undefined) this.#groups.push(group)
  }

  delete({ group }: Entry): void {
    const at = group === undefined ? -1 : this.#groups.indexOf(group)
    if (at < 0) return
    const last = this.#groups.pop() as Group
    if (at < this.#groups.length) this.#groups[at] = last
  }
}
