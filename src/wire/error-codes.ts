import type { DhtErrorCode } from '../errors.js'

/** Numbers of error replies, as `docs/protocol.md` lists them. A number is never reused. */
const NUMBERS: Readonly<Partial<Record<DhtErrorCode, number>>> = {
  ERR_MALFORMED_MESSAGE: 1,
  ERR_UNKNOWN_VERSION: 2,
  ERR_UNKNOWN_METHOD: 3,
  ERR_RATE_LIMITED: 4,
  ERR_REMOTE: 5,
  ERR_BAD_TOKEN: 16,
  ERR_INVALID_RECORD: 17,
  ERR_STORE_FULL: 18,
  ERR_SEQ_TOO_LOW: 19,
  ERR_SEQ_CONFLICT: 20,
  ERR_CAS_MISMATCH: 21,
  ERR_TOO_FAR: 22,
}

const CODES: ReadonlyMap<number, DhtErrorCode> = new Map(
  Object.entries(NUMBERS).map(([code, number]) => [number, code as DhtErrorCode]),
)

/** The number of a code on the wire; that of `ERR_REMOTE` for a code that has none. */
export function errorNumber(code: DhtErrorCode): number {
  return NUMBERS[code] ?? (NUMBERS.ERR_REMOTE as number)
}

/** The code of a number from the wire; `ERR_REMOTE` for a number that is not known here. */
export function errorCode(number: number): DhtErrorCode {
  return CODES.get(number) ?? 'ERR_REMOTE'
}
