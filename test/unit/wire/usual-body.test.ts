import { Packr } from 'msgpackr/index-no-eval'
import { expect, test } from 'vitest'
import { bodyBytes, bodyEnd, readBody, writeBody } from '../../../src/wire/usual-body.js'

const packr = new Packr({ useRecords: false, mapsAsObjects: false, int64AsType: 'auto' })
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)

const USUAL: readonly (readonly unknown[])[] = [
  [],
  [0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295],
  [bytes(0), bytes(1), bytes(255), bytes(256), bytes(1_000)],
  [null, [], [bytes(32), null, [1, 300]]],
  Array.from({ length: 15 }, (_, i) => i),
]
const UNUSUAL: readonly (readonly unknown[])[] = [
  ['text'],
  [-1],
  [1.5],
  [4_294_967_296],
  [5n],
  [true],
  [new Map()],
  [undefined],
  [[[[]]]],
  Array.from({ length: 16 }, () => 0),
]

test('what is usual is written as the encoder writes it, and read as it was', () => {
  for (const elements of USUAL) {
    const expected = new Uint8Array(packr.pack(elements))
    expect(bodyBytes(elements)).toBe(expected.length)
    const written = new Uint8Array(expected.length + 2)
    expect(writeBody(written, 1, elements)).toBe(expected.length + 1)
    expect(written.subarray(1, -1)).toEqual(expected)
    expect(readBody(written, 1)).toEqual(elements)
    expect(bodyEnd()).toBe(expected.length + 1)
  }
})

test('anything else is left to the encoder', () => {
  for (const elements of UNUSUAL) {
    expect(bodyBytes(elements)).toBeLessThan(0)
    expect(readBody(new Uint8Array(packr.pack(elements)), 0)).toBeUndefined()
  }
})

test('what has no end is not read', () => {
  for (const elements of USUAL) {
    const whole = new Uint8Array(packr.pack(elements))
    for (let length = 0; length < whole.length; length++) expect(readBody(whole.subarray(0, length), 0)).toBeUndefined()
  }
})
