import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from '../../../src/node/samples.js'

test('a cursor is 4 bytes of seed and 2 bytes of skip, big-endian', () => {
  expect(encodeCursor({ seed: 0x01020304, skip: 0x0506 })).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6))
  expect(decodeCursor(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xfe))).toEqual({ seed: 2 ** 32 - 1, skip: 0xfffe })
})

test('a skip that is too large for its place is the largest one', () => {
  expect(decodeCursor(encodeCursor({ seed: 1, skip: 70_000 }))).toEqual({ seed: 1, skip: 0xffff })
})

test.each([0, 1, 5, 7, 64])('a cursor of %i bytes is none', (length) => {
  expect(decodeCursor(new Uint8Array(length))).toBeUndefined()
})

test('a cursor is read from where it stands in a datagram', () => {
  const datagram = Uint8Array.of(9, 9, 9, 0, 0, 0, 7, 0, 3, 9)
  expect(decodeCursor(datagram.subarray(3, 9))).toEqual({ seed: 7, skip: 3 })
})
