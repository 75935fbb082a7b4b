/**
 * A map that forgets: entries leave when they are older than `lifetimeMs`, and the oldest when there are more
 * than `sizeMax`, so that nothing a stranger sends makes it grow. Time is handed in.
 */
export class Recent<V> {
  readonly #entries = new Map<string, { value: V; sinceMs: number }>()
  readonly #lifetimeMs: number
  readonly #sizeMax: number

  constructor(lifetimeMs: number, sizeMax: number) {
    this.#lifetimeMs = lifetimeMs
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#entries.size
  }

  /** Whether a new key would push out an entry that is not too old yet. */
  isFull(nowMs: number): boolean {
    if (this.#entries.size < this.#sizeMax) return false
    const [oldest] = this.#entries.values()
    return oldest !== undefined && nowMs - oldest.sinceMs <= this.#lifetimeMs
  }

  /** The value, unless it is too old. */
  get(key: string, nowMs: number): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    if (nowMs - entry.sinceMs <= this.#lifetimeMs) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  /** Sets the value, as new as can be. */
  set(key: string, value: V, nowMs: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, sinceMs: nowMs })
    // Insertion order is age order, so what must go stands first.
    for (const [oldest, { sinceMs }] of this.#entries) {
      if (this.#entries.size <= this.#sizeMax && nowMs - sinceMs <= this.#lifetimeMs) break
      this.#entries.delete(oldest)
    }
  }

  clear(): void {
    this.#entries.clear()
  }
}
