/**
 * Remembers when a lookup last ran for each region of the key space, so that those nobody asks for can be
 * refreshed (paper 2.3). Region `i` is all ids that share exactly `i` leading bits with ours.
 */
export class Regions {
  readonly #lookedUpMs: Float64Array

  constructor(count: number) {
    this.#lookedUpMs = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
  }

  /** A lookup of our own id is one of the last region. */
  markLookedUp(region: number, nowMs: number): void {
    this.#lookedUpMs[Math.min(region, this.#lookedUpMs.length - 1)] = nowMs
  }

  /** The regions up to `deepest` whose last lookup is `ageMs` old or older; `deepest` stands for all beyond it too. */
  stale(deepest: number, nowMs: number, ageMs: number): number[] {
    const stale: number[] = []
    for (let region = 0; region < deepest; region++) {
      if (nowMs - (this.#lookedUpMs[region] as number) >= ageMs) stale.push(region)
    }
    const latestMs = this.#lookedUpMs.subarray(deepest).reduce((latest, at) => Math.max(latest, at))
    if (nowMs - latestMs >= ageMs) stale.push(deepest)
    return stale
  }

  clear(): void {
    this.#lookedUpMs.fill(Number.NEGATIVE_INFINITY)
  }
}
