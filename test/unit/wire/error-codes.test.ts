import { expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { errorCode, errorNumber } from '../../../src/wire/index.js'

// Written out once more: a number on the wire never changes its meaning.
const NUMBERS: readonly [DhtErrorCode, number][] = [
  ['ERR_MALFORMED_MESSAGE', 1],
  ['ERR_UNKNOWN_VERSION', 2],
  ['ERR_UNKNOWN_METHOD', 3],
  ['ERR_RATE_LIMITED', 4],
  ['ERR_REMOTE', 5],
  ['ERR_BAD_TOKEN', 16],
  ['ERR_INVALID_RECORD', 17],
  ['ERR_STORE_FULL', 18],
  ['ERR_SEQ_TOO_LOW', 19],
  ['ERR_SEQ_CONFLICT', 20],
  ['ERR_CAS_MISMATCH', 21],
  ['ERR_TOO_FAR', 22],
]

test.each(NUMBERS)('%s is %i, both ways', (code, number) => {
  expect(errorNumber(code)).toBe(number)
  expect(errorCode(number)).toBe(code)
})

test('every other number is ERR_REMOTE', () => {
  const known = new Set(NUMBERS.map(([, number]) => number))
  for (let number = 0; number <= 65_535; number++) {
    if (!known.has(number)) expect(errorCode(number)).toBe('ERR_REMOTE')
  }
})

test('a code that is our own affair travels as ERR_REMOTE', () => {
  for (const code of ['ERR_TIMEOUT', 'ERR_CLOSED', 'ERR_NOT_STORED', 'ERR_TRANSPORT'] as const) {
    expect(errorNumber(code)).toBe(5)
  }
})
