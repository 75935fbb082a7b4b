import type { LifeCycle } from './life-cycle.js'
import type { Search } from './node/index.js'
import type { Done } from './operations.js'

/** So many finds may wait for the application before no further ones are asked for. */
const WAITING_MAX = 64

type Next<T> = IteratorResult<T, undefined>

/** What a search reports. */
export interface SearchEvents<T> {
  found(find: T): void
  /** Whether further finds are wanted now; else {@link Search.resume} goes on. */
  wantsMore(): boolean
  done: Done<undefined>
}

/** What a search finds, as it is found: begins with the first `next`, and ends with the loop that is left. */
export class SearchIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #begin: () => void
  readonly #found: T[] = []
  readonly #waiting: { resolve(next: Next<T>): void; reject(error: unknown): void }[] = []
  #search: Search | undefined
  #hasBegun = false
  #end: { readonly error?: unknown } | undefined
  #stop = (): void => {}

  constructor(life: LifeCycle, signal: AbortSignal | undefined, search: (events: SearchEvents<T>) => Search) {
    this.#begin = () => {
      const over = life.run<undefined>(signal, (done) => {
        this.#stop = () => done(undefined)
        this.#search = search({
          found: (find) => this.#onFound(find),
          wantsMore: () => this.#found.length < WAITING_MAX,
          done,
        })
        const { stop } = this.#search
        return stop
      })
      over.then(
        () => this.#over({}),
        (error) => this.#over({ error }),
      )
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Next<T>> {
    if (!this.#hasBegun) {
      this.#hasBegun = true
      this.#begin()
    }
    const find = this.#found.shift()
    if (find !== undefined) {
      if (this.#found.length < WAITING_MAX / 2) this.#search?.resume()
      return Promise.resolve({ value: find, done: false })
    }
    if (this.#end) return this.#last()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  return(): Promise<Next<T>> {
    this.#hasBegun = true
    this.#found.length = 0
    this.#search?.stop()
    this.#stop()
    this.#over({})
    return Promise.resolve({ value: undefined, done: true })
  }

  #onFound(find: T): void {
    if (this.#end) return
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve({ value: find, done: false })
    else this.#found.push(find)
  }

  #over(end: { readonly error?: unknown }): void {
    if (this.#end) return
    this.#end = end
    const waiting = this.#waiting.splice(0)
    if ('error' in end) {
      // An abort or a close ends it at once: what was found and not yet taken goes with it.
      this.#found.length = 0
      const [first] = waiting
      if (first) this.#end = {}
      first?.reject(end.error)
      waiting.shift()
    }
    for (const { resolve } of waiting) resolve({ value: undefined, done: true })
  }

  /** A failure is told once; after it the iteration is over. */
  #last(): Promise<Next<T>> {
    const end = this.#end
    this.#end = {}
    return end && 'error' in end ? Promise.reject(end.error) : Promise.resolve({ value: undefined, done: true })
  }
}
