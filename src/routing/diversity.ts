import type { Entry } from './entry.js'

/**
 * Counts how many entries each network has in the table, so that the owner of one network can't fill a bucket
 * or the table, however many hosts and ids he makes (geth's limits, for the attack of Marcus, Heilman and
 * Goldberg, "Low-Resource Eclipse Attacks on Ethereum", 2018).
 */
export class Diversity {
  readonly #perBucketMax: number
  readonly #perTableMax: number
  /** The entries of each network: never more than `perTableMax`, so a list is enough. */
  readonly #members = new Map<string, Entry[]>()

  constructor(perBucketMax: number, perTableMax: number) {
    this.#perBucketMax = perBucketMax
    this.#perTableMax = perTableMax
  }

  /** Whether the bucket and the table take one more of the group, once `leaving` has left. */
  allows(group: string | undefined, bucket: number, leaving?: Entry): boolean {
    if (group === undefined) return true
    let inTable = 0
    let inBucket = 0
    for (const member of this.#members.get(group) ?? []) {
      if (member === leaving) continue
      inTable++
      if (member.bucket === bucket) inBucket++
    }
    return inTable < this.#perTableMax && inBucket < this.#perBucketMax
  }

  add(entry: Entry): void {
    if (entry.group === undefined) return
    const members = this.#members.get(entry.group)
    if (members === undefined) this.#members.set(entry.group, [entry])
    else members.push(entry)
  }

  delete(entry: Entry): void {
    if (entry.group === undefined) return
    const others = this.#members.get(entry.group)?.filter((member) => member !== entry) ?? []
    if (others.length === 0) this.#members.delete(entry.group)
    else this.#members.set(entry.group, others)
  }
}
