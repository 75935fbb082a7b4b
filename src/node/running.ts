/** What is under way and has to be cancelled together when the node closes. */
export class Running {
  readonly #cancels = new Set<() => void>()

  /**
   * Begins something.
   *
   * @param start - begins it and returns its cancel; it calls `ended` when it has ended by itself, maybe at once
   */
  begin(start: (ended: () => void) => () => void): void {
    let hasEnded = false
    const ended = (): void => {
      hasEnded = true
      this.#cancels.delete(cancel)
    }
    let cancel = (): void => {}
    cancel = start(ended)
    if (!hasEnded) this.#cancels.add(cancel)
  }

  /** Waits for a promise; `cancel` is called if all is cancelled meanwhile. */
  during<T>(work: Promise<T>, cancel: () => void): Promise<T> {
    this.#cancels.add(cancel)
    return work.finally(() => this.#cancels.delete(cancel))
  }

  /** Cancels all of it. */
  cancelAll(): void {
    const cancels = [...this.#cancels]
    this.#cancels.clear()
    for (const cancel of cancels) cancel()
  }
}
