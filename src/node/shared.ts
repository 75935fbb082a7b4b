import type { Clock } from '../platform/clock.js'
import type { Costs, Done } from './outcome.js'

/** Who waits for one search. */
interface SharedSearch<T> {
  readonly waiting: Set<Done<T>>
  cancel: () => void
}

/** Searches that several callers wait for: who wants what is being looked for already, joins in. */
export class Shared<T extends Costs> {
  readonly #clock: Pick<Clock, 'now'>
  #searches: Map<string, SharedSearch<T>> | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /**
   * Waits for a search that is under way under this name, or begins it.
   *
   * @param begin - begins it and returns its cancel, which is called when nobody waits any more
   * @param done - gets what the search found and cost; the time is counted from this call on
   * @returns ends the waiting
   */
  join(name: string, begin: (done: Done<T>) => () => void, done: Done<T>): () => void {
    const startedAtMs = this.#clock.now()
    const whenDone: Done<T> = (error, result) =>
      done(error, result && { ...result, elapsedMs: this.#clock.now() - startedAtMs })
    const known = this.#searches?.get(name)
    const search = known ?? { waiting: new Set<Done<T>>(), cancel: () => {} }
    search.waiting.add(whenDone)
    if (known === undefined) this.#begin(name, search, begin)
    return () => {
      if (!search.waiting.delete(whenDone) || search.waiting.size > 0) return
      this.#forget(name, search)
      search.cancel()
    }
  }

  /** Whoever comes from now on begins anew: what is under way may have asked before something changed. */
  renew(name: string): void {
    this.#searches?.delete(name)
  }

  #begin(name: string, search: SharedSearch<T>, begin: (done: Done<T>) => () => void): void {
    this.#searches ??= new Map()
    this.#searches.set(name, search)
    search.cancel = begin((error, result) => {
      this.#forget(name, search)
      // Whoever waits may give another one up meanwhile.
      for (const each of [...search.waiting]) if (search.waiting.delete(each)) each(error, result)
    })
  }

  /** From now on the next one begins anew. */
  #forget(name: string, search: SharedSearch<T>): void {
    if (this.#searches?.get(name) === search) this.#searches.delete(name)
  }
}
