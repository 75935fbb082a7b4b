import type { DhtError } from './errors.js'

/** Ends an operation, with an error or else with its result. */
export type Done<T> = (error: unknown, result?: T) => void

type GiveUp = (reason: unknown) => void

const NOTHING = (): void => {}

/** One that is open. */
class Operation<T> {
  cancel: () => void = NOTHING
  stopListening: () => void = NOTHING
  isOpen = true
  /** Its place in the list of those that are open. */
  place = 0
  /** How many were begun before. */
  readonly number: number
  readonly resolve: (result: T) => void
  readonly reject: (reason: unknown) => void

  constructor(number: number, resolve: (result: T) => void, reject: (reason: unknown) => void) {
    this.number = number
    this.resolve = resolve
    this.reject = reject
  }
}

/** The open calls of one signal, and what it calls. */
interface Shared {
  readonly open: Set<GiveUp>
  readonly onAbort: () => void
}

/**
 * The open calls of an application: here callbacks become promises, aborts become cancels, and closing the node
 * settles whatever is left.
 */
export class Operations {
  /** In no order: a Set under so much coming and going would burden the garbage collector. */
  readonly #open: Operation<never>[] = []
  #begun = 0
  #bySignal: Map<AbortSignal, Shared> | undefined

  /** How many are open. */
  get size(): number {
    return this.#open.length
  }

  /**
   * Runs one to its end.
   *
   * @param begin - starts it; returns its cancel. It may be done before it returns; what it throws ends it too.
   */
  run<T>(signal: AbortSignal | undefined, begin: (done: Done<T>) => () => void): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise<T>((resolve, reject) => {
      const operation = new Operation<T>(this.#begun++, resolve, reject)
      operation.place = this.#open.push(operation) - 1
      if (signal) operation.stopListening = this.#listen(signal, (reason) => this.#giveUp(operation, reason))
      const done: Done<T> = (error, result) => {
        if (!operation.isOpen) return
        this.#end(operation)
        if (error === undefined) resolve(result as T)
        else reject(error)
      }
      try {
        const begun = begin(done)
        // It may have been given up from within, by an abort or by the close of the node.
        if (operation.isOpen) operation.cancel = begun
        else begun()
      } catch (error) {
        done(error)
      }
    })
  }

  #giveUp(operation: Operation<never>, reason: unknown): void {
    if (!operation.isOpen) return
    this.#end(operation)
    operation.reject(reason)
    operation.cancel()
  }

  #end(operation: Operation<never>): void {
    operation.isOpen = false
    const last = this.#open.pop() as Operation<never>
    if (last !== operation) {
      this.#open[operation.place] = last
      last.place = operation.place
    }
    operation.stopListening()
  }

  /** One listener a signal, however many calls share it: from the eleventh on Node would warn of a leak. */
  #listen(signal: AbortSignal, giveUp: GiveUp): () => void {
    this.#bySignal ??= new Map()
    let shared = this.#bySignal.get(signal)
    if (shared === undefined) {
      const open = new Set<GiveUp>()
      const onAbort = (): void => {
        for (const each of [...open]) each(signal.reason)
      }
      shared = { open, onAbort }
      this.#bySignal.set(signal, shared)
      signal.addEventListener('abort', onAbort)
    }
    const { open, onAbort } = shared
    open.add(giveUp)
    return () => {
      open.delete(giveUp)
      if (open.size > 0) return
      this.#bySignal?.delete(signal)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Rejects all that are open. */
  giveUpAll(reason: DhtError): void {
    for (const operation of this.#open.toSorted((a, b) => a.number - b.number)) this.#giveUp(operation, reason)
  }
}
