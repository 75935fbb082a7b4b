/** What is under way and has to be cancelled together when the node closes. */
export class Running {
  /** Made when something begins: a node has five of these, and mostly nothing is under way. */
  #cancels: Set<() => void> | undefined
  #isCancelled = false

  /**
   * Begins something, unless all was cancelled: who is told of an end may cancel what would follow it.
   *
   * @param start - begins it and returns its cancel; it calls `ended` when it has ended by itself, maybe at once
   */
  begin(start: (ended: () => void) => () => void): void {
    if (this.#isCancelled) return
    let hasEnded = false
    const ended = (): void => {
      hasEnded = true
      this.#remove(cancel)
    }
    let cancel = (): void => {}
    cancel = start(ended)
    if (hasEnded) return
    if (this.#isCancelled) cancel()
    else this.#add(cancel)
  }

  /**
   * Does something for each of the items in their order, at most `max` at once.
   *
   * @param items - more may be added at the end while some are under way
   * @param start - begins it for one and returns its cancel; it calls `ended` when that has ended, maybe at once
   * @param done - called once, when all have ended; not when they were cancelled
   */
  each<T>(
    items: readonly T[],
    max: number,
    start: (item: T, ended: () => void) => () => void,
    done: () => void = () => {},
  ): void {
    let begun = 0
    let open = 0
    let isFilling = false
    let isDone = false
    const proceed = (): void => {
      // One that ends at once comes back here: the loop that is under way goes on.
      if (isFilling || this.#isCancelled) return
      isFilling = true
      while (open < max && begun < items.length && !this.#isCancelled) {
        const item = items[begun++] as T
        open++
        this.begin((ended) =>
          start(item, () => {
            ended()
            open--
            proceed()
          }),
        )
      }
      isFilling = false
      if (open > 0 || begun < items.length || isDone || this.#isCancelled) return
      isDone = true
      done()
    }
    proceed()
  }

  /** Waits for a promise; `cancel` is called if all is cancelled meanwhile, or was already. */
  during<T>(work: Promise<T>, cancel: () => void): Promise<T> {
    if (this.#isCancelled) cancel()
    else this.#add(cancel)
    return work.finally(() => this.#remove(cancel))
  }

  /** Cancels all of it, for good: nothing begins any more. */
  cancelAll(): void {
    this.#isCancelled = true
    const cancels = this.#cancels
    this.#cancels = undefined
    for (const cancel of cancels ?? []) cancel()
  }

  #remove(cancel: () => void): void {
    this.#cancels?.delete(cancel)
    if (this.#cancels?.size === 0) this.#cancels = undefined
  }

  #add(cancel: () => void): void {
    this.#cancels ??= new Set()
    this.#cancels.add(cancel)
  }
}
