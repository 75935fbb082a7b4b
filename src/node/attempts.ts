import type { Clock } from '../platform/clock.js'
import type { Done } from './outcome.js'

/** How often something is tried. */
export interface Attempts {
  readonly max: number
  /** The pause after the first attempt, in ms; it grows by as much with each. */
  readonly pauseMs: number
}

/**
 * Tries something until it comes to an end that counts, or has been tried often enough.
 *
 * @param begin - begins the attempt of that number, from 1 on, and returns its cancel; it may be done at once
 * @param isFinal - whether what an attempt came to is the end
 * @param done - gets what the last attempt came to
 * @returns cancels it
 */
export function tryAgain<T>(
  clock: Pick<Clock, 'after'>,
  { max, pauseMs }: Attempts,
  begin: (attempt: number, done: Done<T>) => () => void,
  isFinal: (...outcome: Parameters<Done<T>>) => boolean,
  done: Done<T>,
): () => void {
  let cancel = (): void => {}
  const attempt = (number: number): void => {
    let isOpen = true
    const begun = begin(number, (error, result) => {
      isOpen = false
      if (number === max || isFinal(error, result)) done(error, result)
      else cancel = clock.after(pauseMs * number, () => attempt(number + 1))
    })
    if (isOpen) cancel = begun
  }
  attempt(1)
  return () => cancel()
}
