import type { DhtError } from './errors.js'

/** Ends an operation, with an error or else with its result. */
export type Done<T> = (error: unknown, result?: T) => void

type GiveUp = (reason: unknown) => void

interface Operation {
  readonly giveUp: GiveUp
  /** How many were begun before. */
  readonly number: number
  /** Its place in the list of those that are open. */
  place: number
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
  readonly #open: Operation[] = []
  #begun = 0
  readonly #bySignal = new Map<AbortSignal, Shared>()

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
      let isOpen = true
      let cancel = (): void => {}
      const end = (): void => {
        isOpen = false
        this.#remove(operation)
        stopListening()
      }
      const giveUp = (reason: unknown): void => {
        if (!isOpen) return
        end()
        reject(reason)
        cancel()
      }
      const stopListening = signal ? this.#listen(signal, giveUp) : () => {}
      const operation: Operation = { giveUp, number: this.#begun++, place: this.#open.length }
      this.#open.push(operation)
      const done: Done<T> = (error, result) => {
        if (!isOpen) return
        end()
        if (error === undefined) resolve(result as T)
        else reject(error)
      }
      try {
        const begun = begin(done)
        // It may have been given up from within, by an abort or by the close of the node.
        if (isOpen) cancel = begun
        else begun()
      } catch (error) {
        done(error)
      }
    })
  }

  /** One listener a signal, however many calls share it: from the eleventh on Node would warn of a leak. */
  #listen(signal: AbortSignal, giveUp: GiveUp): () => void {
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
      this.#bySignal.delete(signal)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Rejects all that are open. */
  giveUpAll(reason: DhtError): void {
    for (const { giveUp } of this.#open.toSorted((a, b) => a.number - b.number)) giveUp(reason)
  }

  #remove({ place }: Operation): void {
    const last = this.#open.pop() as Operation
    if (last.place === place) return
    this.#open[place] = last
    last.place = place
  }
}
