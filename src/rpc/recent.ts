interface Entry<K, V> {
  readonly key: K
  value: V
  sinceMs: number
  /** The one that was set before it, and the one after it. */
  older: Entry<K, V> | undefined
  newer: Entry<K, V> | undefined
}

/**
 * A map that forgets: entries leave when they are older than `lifetimeMs`, and the oldest when there are more
 * than `sizeMax`, so that nothing a stranger sends makes it grow. Time is handed in.
 *
 * The order of age is a chain of its own: to find the first entry of a Map, all that left before it are passed over.
 */
export class Recent<V, K extends string | number = string> {
  /** None while nothing was ever remembered, as most of these are for what seldom happens. */
  #entries: Map<K, Entry<K, V>> | undefined
  readonly #lifetimeMs: number
  readonly #sizeMax: number
  #oldest: Entry<K, V> | undefined
  #newest: Entry<K, V> | undefined

  constructor(lifetimeMs: number, sizeMax: number) {
    this.#lifetimeMs = lifetimeMs
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#entries?.size ?? 0
  }

  /** Whether a new key would push out an entry that is not too old yet. */
  isFull(nowMs: number): boolean {
    if (this.size < this.#sizeMax) return false
    return this.#oldest !== undefined && nowMs - this.#oldest.sinceMs <= this.#lifetimeMs
  }

  /** The value, unless it is too old. */
  get(key: K, nowMs: number): V | undefined {
    const entry = this.#entries?.get(key)
    if (!entry) return undefined
    if (nowMs - entry.sinceMs <= this.#lifetimeMs) return entry.value
    this.#delete(entry)
    return undefined
  }

  /** Sets the value, as new as can be. */
  set(key: K, value: V, nowMs: number): void {
    this.#entries ??= new Map()
    let entry = this.#entries.get(key)
    if (entry) {
      this.#unlink(entry)
      entry.value = value
      entry.sinceMs = nowMs
    } else {
      entry = { key, value, sinceMs: nowMs, older: undefined, newer: undefined }
      this.#entries.set(key, entry)
    }
    this.#link(entry)
    for (let oldest = this.#oldest; oldest !== undefined; oldest = this.#oldest) {
      if (this.size <= this.#sizeMax && nowMs - oldest.sinceMs <= this.#lifetimeMs) break
      this.#delete(oldest)
    }
  }

  clear(): void {
    this.#entries = undefined
    this.#oldest = undefined
    this.#newest = undefined
  }

  #delete(entry: Entry<K, V>): void {
    this.#entries?.delete(entry.key)
    this.#unlink(entry)
  }

  #link(entry: Entry<K, V>): void {
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest) this.#newest.newer = entry
    else this.#oldest = entry
    this.#newest = entry
  }

  #unlink(entry: Entry<K, V>): void {
    const { newer, older } = entry
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
    // One that waits to be collected must not keep those alive that came after it.
    entry.newer = undefined
    entry.older = undefined
  }
}
