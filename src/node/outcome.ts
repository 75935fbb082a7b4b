import { DhtError } from '../errors.js'
import type { LookupOutcome } from '../lookup/index.js'

/** What an operation cost. */
export interface Costs {
  /** Steps from the routing table to the nearest node or to the holder; 0 when nobody had to be asked. */
  readonly hops: number
  /** Request datagrams sent, resent ones included. */
  readonly messages: number
  /** From the call to its end. */
  readonly elapsedMs: number
}

/** Ends an operation: with an error, or with its result. */
export type Done<T> = (error: DhtError | undefined, result: T | undefined) => void

/** Ends an operation that has nobody to ask. */
export function refuse<T>(done: Done<T>): () => void {
  done(new DhtError('ERR_NO_CONTACTS', 'the routing table is empty: there is nobody to ask'), undefined)
  return () => {}
}

/** The reason why nothing can be said: too few answers. */
export function inconclusive(outcome: Pick<LookupOutcome, 'answered'>): DhtError {
  const { answered } = outcome
  const text = answered === 0 ? 'nobody answered' : `only ${answered} answered, too few of the nearest to tell`
  return new DhtError('ERR_TIMEOUT', text)
}
