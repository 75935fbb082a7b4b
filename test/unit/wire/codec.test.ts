import { describe, expect, test } from 'vitest'
import type { Message } from '../../../src/wire/index.js'
import {
  appMethod,
  createCodec,
  DATAGRAM_BYTES_MAX,
  ERROR_TEXT_MAX,
  FIND_NODE,
  FIND_VALUE,
  networkTag,
} from '../../../src/wire/index.js'
import { countUp, ERROR, NETWORK, OBSERVED, pack, REQUEST, RESPONSE, SENDER, TID, withElement } from './raw.js'

const codec = createCodec(NETWORK)
const header = { tid: TID, flags: 6, sender: SENDER }
const MALFORMED = { type: 'unreadable', reason: 'malformed' }
const FOREIGN = { type: 'unreadable', reason: 'foreignNetwork' }
const NO_BYTES = new Uint8Array(0)

describe('decode', () => {
  test('reads each kind of message', () => {
    expect(codec.decode(pack(REQUEST))).toEqual({ type: 'request', ...header, method: 0, params: [] })
    expect(codec.decode(pack(RESPONSE))).toEqual({ type: 'response', ...header, observed: OBSERVED, result: [] })
    expect(codec.decode(pack(ERROR))).toEqual({
      ...{ type: 'error', ...header, observed: OBSERVED },
      ...{ code: 3, text: 'unknown' },
    })
  })

  test('keeps no view of the datagram in the fields of a message', () => {
    for (const elements of [REQUEST, RESPONSE, ERROR]) {
      const datagram = pack(elements)
      const message = codec.decode(datagram)
      const before = structuredClone(message)
      datagram.fill(0xc1)
      expect(message).toEqual(before)
    }
  })

  const wrong: readonly [what: string, elements: readonly unknown[], at: number, values: readonly unknown[]][] = [
    ['version', REQUEST, 0, [null, '1', -1, 1.5, [], TID, 2 ** 32]],
    ['type', REQUEST, 1, [3, -1, null, '0', true]],
    ['tid', REQUEST, 2, [NO_BYTES, countUp(21), 'abcdefgh', null, 7, [1]]],
    ['network', REQUEST, 3, ['test', null, 7]],
    ['flags', REQUEST, 4, [-1, 1.5, 2 ** 32, null, true, TID, 2n ** 63n]],
    ['sender', REQUEST, 5, [countUp(31), countUp(33), NO_BYTES, 'x'.repeat(32), null, 7]],
    ['method', REQUEST, 6, ['', 'x'.repeat(33), '€'.repeat(11), -1, 65_536, 1.5, null, TID, []]],
    ['params', REQUEST, 7, [null, 7, 'x', TID, new Map()]],
    ['ext', REQUEST, 8, [null, 7, [], TID]],
    ['observed', RESPONSE, 6, [NO_BYTES, countUp(65), 'x', null, 7]],
    ['result', RESPONSE, 7, [null, 7, 'x', TID, new Map()]],
    ['ext', RESPONSE, 8, [null]],
    ['observed', ERROR, 6, [NO_BYTES, countUp(65), null]],
    ['error', ERROR, 7, [null, [], [1], ['1', 'x'], [-1, 'x'], [65_536, 'x'], [1, null], [1, TID], new Map()]],
  ]
  test.each(wrong)('is strict about the %s, case %#', (_what, elements, at, values) => {
    for (const value of values) expect(codec.decode(withElement(elements, at, value)), String(value)).toEqual(MALFORMED)
  })

  const right: readonly [what: string, elements: readonly unknown[], at: number, values: readonly unknown[]][] = [
    ['tid', REQUEST, 2, [countUp(1), countUp(8), countUp(20)]],
    ['flags', REQUEST, 4, [0, 1, 7, 2 ** 32 - 1]],
    ['method', REQUEST, 6, [0, 65_535, 'x', 'x'.repeat(32), '€'.repeat(10)]],
    ['params', REQUEST, 7, [[], [1, 'x', [TID]]]],
    ['ext', REQUEST, 8, [new Map(), new Map([[99, 'new']])]],
    ['observed', RESPONSE, 6, [countUp(1), countUp(64)]],
    [
      'error',
      ERROR,
      7,
      [
        [0, ''],
        [65_535, 'x'],
        [1, 'x', 'later'],
      ],
    ],
  ]
  test.each(right)('takes the whole range of the %s, case %#', (_what, elements, at, values) => {
    const { type } = codec.decode(pack(elements))
    for (const value of values) expect(codec.decode(withElement(elements, at, value))).toMatchObject({ type })
  })

  test('needs all eight elements, in an array', () => {
    for (const elements of [REQUEST, RESPONSE, ERROR]) {
      for (let count = 0; count < 8; count++) {
        expect(codec.decode(pack(elements.slice(0, count)))).toEqual(MALFORMED)
      }
    }
    for (const value of [null, 7, 'text', TID, new Map([[0, 1]])]) expect(codec.decode(pack(value))).toEqual(MALFORMED)
  })

  test('ignores elements after ext, unknown keys in it, and unknown flags', () => {
    const plain = codec.decode(pack(REQUEST))
    expect(codec.decode(pack([...REQUEST, new Map()]))).toEqual(plain)
    const ext = new Map<unknown, unknown>([
      [0, countUp(9)],
      [77, [1, new Map()]],
      ['name', true],
    ])
    expect(codec.decode(pack([...REQUEST, ext]))).toEqual(plain)
    expect(codec.decode(pack([...REQUEST, ext, null, 'later', [1, 2]]))).toEqual(plain)
    expect(codec.decode(withElement(REQUEST, 4, 0xffff_fff8))).toEqual({ ...plain, flags: 0xffff_fff8 })
  })

  test('of another version reads only what is the same in all of them', () => {
    const unknown = { type: 'unknownVersion', tid: TID }
    for (const version of [0, 2, 127, 2 ** 32 - 1]) {
      expect(codec.decode(withElement(REQUEST, 0, version))).toEqual({ ...unknown, isRequest: true })
      expect(codec.decode(withElement(RESPONSE, 0, version))).toEqual({ ...unknown, isRequest: false })
    }
    expect(codec.decode(pack([2, 0, TID, networkTag(NETWORK)]))).toEqual({ ...unknown, isRequest: true })
    expect(codec.decode(pack([2, 'new', TID, networkTag(NETWORK), { any: 1 }]))).toEqual({
      ...unknown,
      isRequest: false,
    })
  })

  test('drops what another network sent, whatever its version', () => {
    const other = createCodec('test2').encode({ type: 'request', ...header, method: 0, params: [] })
    expect(codec.decode(other)).toEqual(FOREIGN)
    expect(codec.decode(withElement(REQUEST, 3, countUp(3)))).toEqual(FOREIGN)
    expect(codec.decode(pack([2, 0, TID, countUp(4)]))).toEqual(FOREIGN)
  })

  test('drops a datagram that is longer than any message', () => {
    const request = (padding: number) => pack([...REQUEST, new Map([[0, new Uint8Array(padding)]])])
    const most = DATAGRAM_BYTES_MAX - request(1000).length + 1000
    expect(request(most)).toHaveLength(DATAGRAM_BYTES_MAX)
    expect(codec.decode(request(most))).toMatchObject({ type: 'request' })
    expect(codec.decode(request(most + 1))).toEqual({ type: 'unreadable', reason: 'oversize' })
  })

  test('cuts a long error text', () => {
    const message = codec.decode(withElement(ERROR, 7, [1, 'x'.repeat(500)]))
    expect(message).toMatchObject({ type: 'error', text: 'x'.repeat(ERROR_TEXT_MAX) })
  })

  test('takes any encoding of a number', () => {
    // Flags as a 64-bit integer and as a float, where a byte would do.
    const [head, tail] = [pack(REQUEST.slice(0, 4)).subarray(1), pack(REQUEST.slice(5)).subarray(1)]
    for (const flags of [
      [0xcf, 0, 0, 0, 0, 0, 0, 0, 6],
      [0xcb, 0x40, 0x18, 0, 0, 0, 0, 0, 0],
      [0xce, 0, 0, 0, 6],
    ]) {
      const message = codec.decode(Uint8Array.from([0x98, ...head, ...flags, ...tail]))
      expect(message).toMatchObject({ type: 'request', flags: 6 })
    }
  })
})

describe('encode', () => {
  test('cuts a long error text', () => {
    const error: Message = { type: 'error', ...header, observed: OBSERVED, code: 1, text: 'y'.repeat(500) }
    expect(codec.decode(codec.encode(error))).toEqual({ ...error, text: 'y'.repeat(ERROR_TEXT_MAX) })
  })

  test('pads the requests with long answers to exactly 400 bytes, FIND_VALUE to 424', () => {
    const key = countUp(32)
    const requests = [
      [400, FIND_NODE, { target: key, skip: 0 }],
      [400, FIND_NODE, { target: key, skip: 1000 }],
      [424, FIND_VALUE, { key, kind: 0, want: 1, minSeq: 0n, cursor: NO_BYTES }],
      [424, FIND_VALUE, { key, kind: 255, want: 1000, minSeq: 2n ** 64n - 1n, cursor: countUp(6) }],
      [400, appMethod('chat'), { payload: NO_BYTES }],
      [400, appMethod('chat'), { payload: countUp(200) }],
    ] as const
    for (const [expectedBytes, method, params] of requests) {
      const { code, paddedBytes, writeParams } = method as typeof FIND_NODE
      expect(paddedBytes).toBe(expectedBytes)
      const message: Message = { type: 'request', ...header, method: code, params: writeParams(params as never) }
      const datagram = codec.encode(message, paddedBytes)
      expect(datagram).toHaveLength(expectedBytes)
      expect(codec.decode(datagram)).toEqual(codec.decode(codec.encode(message)))
    }
  })
})

describe('networkTag', () => {
  test('is the beginning of the SHA-256 of the name in UTF-8', () => {
    expect([...networkTag('abc')]).toEqual([0xba, 0x78, 0x16, 0xbf])
    expect(networkTag('é')).toEqual(networkTag('\u00e9'))
    expect(networkTag('a')).not.toEqual(networkTag('b'))
  })
})
