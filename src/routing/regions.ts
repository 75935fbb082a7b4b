/**
 * Remembers when a lookup last ran for each region of the key space, so that those nobody asks for can be
 * refreshed (paper 2.3). Region `i` is all ids that share exactly `i` leading bits with ours.
 */
export class Regions {
  readonly #last: number
  /** Of the regions that were looked up: about as many as there are full buckets, and the last. */
  readonly #lookedUpMs = new Map<number, number>()

  constructor(count: number) {
    this.#last = count - 1
  }

  /** A lookup of our own id is one of the last region. */
  markLookedUp(region: number, nowMs: number): void {
    this.#lookedUpMs.set(Math.min(region, this.#last), nowMs)
  }

  /** The regions up to `deepest` whose last lookup is `ageMs` old or older; `deepest` stands for all beyond it too. */
  stale(deepest: number, nowMs: number, ageMs: number): number[] {
    const isStale = (lookedUpMs = Number.NEGATIVE_INFINITY): boolean => nowMs - lookedUpMs >= ageMs
    const stale: number[] = []
    for (let region = 0; region < deepest; region++) if (isStale(this.#lookedUpMs.get(region))) stale.push(region)
    let latestMs = Number.NEGATIVE_INFINITY
    for (const [region, atMs] of this.#lookedUpMs) if (region >= deepest && atMs > latestMs) latestMs = atMs
    if (isStale(latestMs)) stale.push(deepest)
    return stale
  }

  clear(): void {
    this.#lookedUpMs.clear()
  }
}
