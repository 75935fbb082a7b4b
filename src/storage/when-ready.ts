import type { MaybePromise } from './record-store.js'

/**
 * Goes on with what a store returns: at once where it answers plainly, so that no promise is made for a store in
 * memory, else when it is there.
 *
 * @param failed - called when the store throws or rejects
 */
export function whenReady<T>(
  call: () => MaybePromise<T>,
  next: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  let value: MaybePromise<T>
  try {
    value = call()
  } catch (error) {
    failed(error)
    return
  }
  if (isPromise(value)) value.then(next, failed)
  else next(value)
}

/** Also of another realm or library. */
function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | undefined)?.then === 'function'
}
