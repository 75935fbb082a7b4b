import { describe, expect, test } from 'vitest'
import { createCodec } from '../../../src/wire/index.js'
import { isPlain } from '../../../src/wire/plain.js'
import { countUp, NETWORK, pack, REQUEST } from './raw.js'

const bytes = (...values: number[]) => Uint8Array.from(values)

describe('isPlain', () => {
  test.each([
    ['nil and booleans', [null, true, false]],
    ['small integers', [0, 127, -1, -32]],
    ['integers of each width', [128, 255, 256, 65_536, 2 ** 32, 2n ** 63n, -33, -129, -40_000, -(2 ** 40)]],
    ['floats', [1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300]],
    ['strings of each width', ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(256), 'x'.repeat(70_000)]],
    ['byte arrays of each width', [countUp(0), countUp(1), countUp(255), countUp(256), countUp(70_000)]],
    ['arrays of each width', [[], [[]], Array(15).fill([1]), Array(16).fill(0), Array(70_000).fill(null)]],
    ['maps of each width', [new Map(), new Map([[1, new Map([[[], 'x']])]]), new Map(countUp(200).entries())]],
  ])('takes %s', (_what, values) => {
    for (const value of values) {
      const packed = pack(value)
      expect(isPlain(packed)).toBe(true)
      expect(isPlain(packed.subarray(0, -1))).toBe(false)
      expect(isPlain(bytes(...packed.subarray(0, 1000), 0))).toBe(false)
    }
  })

  test('takes lengths that are wider than they have to be', () => {
    for (const head of [0xc4, 0xd9]) expect(isPlain(bytes(head, 1, 7))).toBe(true)
    for (const head of [0xc5, 0xda, 0xdc]) expect(isPlain(bytes(head, 0, 1, 7))).toBe(true)
    for (const head of [0xc6, 0xdb, 0xdd]) expect(isPlain(bytes(head, 0, 0, 0, 1, 7))).toBe(true)
    expect(isPlain(bytes(0xde, 0, 1, 7, 7))).toBe(true)
    expect(isPlain(bytes(0xdf, 0, 0, 0, 1, 7, 7))).toBe(true)
  })

  test('refuses extension types and the byte that is never used', () => {
    const never = [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]
    for (const head of never) {
      expect(isPlain(bytes(head, 1, 1, ...countUp(16)))).toBe(false)
      expect(isPlain(bytes(0x91, head, 1, 1, ...countUp(16)))).toBe(false)
    }
  })

  test('refuses a length that the bytes can not hold, in no time', () => {
    for (const head of [0xc6, 0xdb, 0xdd, 0xdf]) expect(isPlain(bytes(head, 0xff, 0xff, 0xff, 0xff, 0))).toBe(false)
    const nested = new Uint8Array(1200).fill(0xdd)
    expect(isPlain(nested)).toBe(false)
    expect(isPlain(bytes())).toBe(false)
  })
})

describe('a datagram', () => {
  /** References to references: 6 to the power of `levels` values when it is unfolded. */
  function unfolding(levels: number): Uint8Array {
    const parts = [0xdc, 0, levels]
    for (let level = 0; level < levels; level++) {
      parts.push(0xd6, 0x69, 0, 0, 0, level, 0x96)
      for (let i = 0; i < 6; i++) parts.push(...(level === 0 ? [1] : [0xd6, 0x70, 0, 0, 0, level - 1]))
    }
    return bytes(...parts)
  }

  test('whose values refer to each other is dropped before it unfolds', () => {
    // With bytes left over, the decoder would spell all of it out for its error message.
    const datagram = bytes(...unfolding(10), 0)
    expect(datagram.length).toBeLessThan(450)
    const startedAtMs = performance.now()
    expect(createCodec(NETWORK).decode(datagram)).toEqual({ type: 'unreadable', reason: 'undecodable' })
    expect(performance.now() - startedAtMs).toBeLessThan(1000)
  })

  test.each([
    ['a record definition', [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1]],
    ['a date', [0xd6, 0xff, 0, 0, 0, 1]],
    ['a big integer', [0xc7, 2, 0x42, 1, 1]],
    ['a set', [0xd4, 0x73, 0, 0x90]],
    ['a regular expression', [0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa0]],
    ['an error', [0xd4, 0x65, 0, 0x92, 0xa1, 0x61, 0xa0]],
    ['a typed array', [0xc7, 3, 0x74, 1, 1, 1]],
    ['undefined', [0xd4, 0, 0]],
  ])('with %s after its elements is dropped', (_what, extension) => {
    const elements = pack([...REQUEST, new Map()])
    const datagram = bytes(0x9a, ...elements.subarray(1), ...extension)
    expect(createCodec(NETWORK).decode(datagram)).toEqual({ type: 'unreadable', reason: 'undecodable' })
    const plain = bytes(0x9a, ...elements.subarray(1), 7)
    expect(createCodec(NETWORK).decode(plain)).toMatchObject({ type: 'request' })
  })

  test('that is nested as deep as it can be is read', () => {
    const deep = [...new Uint8Array(1000).fill(0x91), 0]
    const elements = pack([...REQUEST, new Map()])
    const datagram = bytes(0x9a, ...elements.subarray(1), ...deep)
    expect(createCodec(NETWORK).decode(datagram)).toMatchObject({ type: 'request' })
  })
})
