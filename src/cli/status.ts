import type { DhtErrorCode } from '../index.js'
import { DhtError } from '../index.js'
import type { EndSignal } from './surroundings.js'

/** What the program exits with. */
export const STATUS: Readonly<Record<'done' | 'failed' | 'misused' | 'notFound' | 'noAnswer' | 'overtaken', number>> = {
  done: 0,
  failed: 1,
  /** Wrong arguments, or a file that can't be read. */
  misused: 2,
  notFound: 3,
  /** Nobody answered: not found out whether it is there. */
  noAnswer: 4,
  /** Another value than the expected one is held. */
  overtaken: 5,
}

const STATUS_OF: Partial<Record<DhtErrorCode, number>> = {
  ERR_BOOTSTRAP_FAILED: STATUS.noAnswer,
  ERR_NO_CONTACTS: STATUS.noAnswer,
  ERR_TIMEOUT: STATUS.noAnswer,
  ERR_CAS_MISMATCH: STATUS.overtaken,
  ERR_SEQ_TOO_LOW: STATUS.overtaken,
  ERR_SEQ_CONFLICT: STATUS.overtaken,
}

/** The user asked for something that there is not. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The user ended the program before it was done. */
export class Interrupted extends Error {
  override name = 'Interrupted'
  readonly signal: EndSignal

  constructor(signal: EndSignal) {
    super('interrupted')
    this.signal = signal
  }
}

/** What the program exits with after this error; what shells say of a signal is 128 and its number. */
export function statusOf(error: unknown): number {
  if (error instanceof Interrupted) return error.signal === 'SIGINT' ? 130 : 143
  if (error instanceof UsageError) return STATUS.misused
  if (error instanceof DhtError) return STATUS_OF[error.code] ?? STATUS.failed
  return STATUS.failed
}
