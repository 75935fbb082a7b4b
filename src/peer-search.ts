import type { NodeId } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { LocatedPeer, Search } from './node/index.js'
import { locatePeers } from './node/index.js'
import type { RecordKind } from './records/index.js'

/** So many found peers may wait for the application before no further pages are asked for. */
const WAITING_MAX = 64

type Next = IteratorResult<LocatedPeer, undefined>

/** The peers of a topic as they are found: begins with the first `next`, and ends with the loop that is left. */
export class PeerSearch implements AsyncIterableIterator<LocatedPeer, undefined> {
  readonly #begin: () => void
  readonly #found: LocatedPeer[] = []
  readonly #waiting: { resolve(next: Next): void; reject(error: unknown): void }[] = []
  #search: Search | undefined
  #hasBegun = false
  #end: { readonly error?: unknown } | undefined
  #stop = (): void => {}

  constructor(life: LifeCycle, topic: NodeId, kind: RecordKind, signal: AbortSignal | undefined) {
    this.#begin = () => {
      const over = life.run<undefined>(signal, (done) => {
        this.#stop = () => done(undefined)
        this.#search = locatePeers(life.parts.node, topic, kind, {
          found: (peer) => this.#onFound(peer),
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

  next(): Promise<Next> {
    if (!this.#hasBegun) {
      this.#hasBegun = true
      this.#begin()
    }
    const peer = this.#found.shift()
    if (peer) {
      if (this.#found.length < WAITING_MAX / 2) this.#search?.resume()
      return Promise.resolve({ value: peer, done: false })
    }
    if (this.#end) return this.#last()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  return(): Promise<Next> {
    this.#hasBegun = true
    this.#found.length = 0
    this.#search?.stop()
    this.#stop()
    this.#over({})
    return Promise.resolve({ value: undefined, done: true })
  }

  #onFound(peer: LocatedPeer): void {
    if (this.#end) return
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve({ value: peer, done: false })
    else this.#found.push(peer)
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
  #last(): Promise<Next> {
    const end = this.#end
    this.#end = {}
    return end && 'error' in end ? Promise.reject(end.error) : Promise.resolve({ value: undefined, done: true })
  }
}
