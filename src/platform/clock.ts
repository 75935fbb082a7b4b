/** Time, as a node sees it. */
export interface Clock {
  /** Monotonic milliseconds, from any start: for time-outs and ages. */
  now(): number

  /** Milliseconds since 1970: only for expiries that outlive the process. Never runs backwards within one process. */
  wallNow(): number

  /**
   * Calls back once, after `delayMs`. A pending call keeps no process alive that has nothing else to do.
   *
   * @returns a function that cancels the call; calling it late or twice does nothing
   */
  after(delayMs: number, callback: () => void): () => void
}
