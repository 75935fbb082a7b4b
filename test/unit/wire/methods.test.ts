import { describe, expect, test } from 'vitest'
import type { Method } from '../../../src/wire/index.js'
import { appMethod, FIND_NODE, FIND_VALUE, PING, STORE } from '../../../src/wire/index.js'
import { countUp } from './raw.js'

const KEY = countUp(32)
const TOKEN = countUp(8)
const RECORD = countUp(100)
const NONE = new Uint8Array(0)
const NAN = Number.NaN

interface Case {
  readonly what: string
  readonly read: (raw: readonly unknown[]) => unknown
  /** A valid list. */
  readonly valid: readonly unknown[]
  /** For each element, values that are right and values that are wrong. */
  readonly elements: readonly { readonly right: readonly unknown[]; readonly wrong: readonly unknown[] }[]
}

const ids = { right: [KEY], wrong: [null, NONE, countUp(31), countUp(33), 'x'.repeat(32), 7, [...KEY]] }
const integers = (max: number) => ({ right: [0, 1, max], wrong: [null, -1, 0.5, max + 1, NAN, '1', [1], 2n ** 63n] })
const blobs = (min: number, max: number) => ({
  right: [countUp(min), countUp(max)],
  wrong: [null, 7, 'text', [1], new Map(), countUp(max + 1), ...(min > 0 ? [countUp(min - 1)] : [])],
})
const u64Wrong = [-1, 0.5, -1n, 2n ** 64n, '1', true, [1], NONE, 2 ** 60]

const CASES: readonly Case[] = [
  {
    what: 'params of FIND_NODE',
    read: FIND_NODE.readParams,
    valid: [KEY, 0],
    elements: [ids, integers(1000)],
  },
  { what: 'result of FIND_NODE', read: FIND_NODE.readResult, valid: [NONE], elements: [blobs(0, 1200)] },
  {
    what: 'params of FIND_VALUE',
    read: FIND_VALUE.readParams,
    valid: [KEY, 0, [1, 0, NONE]],
    elements: [
      ids,
      integers(255),
      {
        right: [
          [0, 0, NONE],
          [1000, 2n ** 64n - 1n, countUp(64)],
          [1, 5, NONE, 'later'],
        ],
        wrong: [
          ...[null, 7, [], [1, 0], new Map(), [-1, 0, NONE], [1001, 0, NONE], ['1', 0, NONE]],
          ...[[1, 0, null], [1, 0, countUp(65)], [1, null, NONE], ...u64Wrong.map((wrong) => [1, wrong, NONE])],
        ],
      },
    ],
  },
  {
    what: 'result of FIND_VALUE',
    read: FIND_VALUE.readResult,
    valid: [TOKEN, null, [], NONE, 0],
    elements: [
      blobs(1, 32),
      { right: [null, 0, 7, 2n ** 64n - 1n], wrong: u64Wrong },
      {
        right: [[], [RECORD], [countUp(1), countUp(1051)], Array(64).fill(RECORD)],
        wrong: [null, 7, RECORD, new Map(), [NONE], [countUp(1052)], [RECORD, 'x'], [null], Array(65).fill(RECORD)],
      },
      blobs(0, 1200),
      integers(1000),
    ],
  },
  {
    what: 'params of STORE',
    read: STORE.readParams,
    valid: [KEY, 0, TOKEN, RECORD, 60, new Map()],
    elements: [
      ids,
      integers(255),
      blobs(0, 32),
      blobs(1, 1051),
      integers(2 ** 32 - 1),
      {
        right: [new Map(), new Map([[0, 0]]), new Map([[0, 2n ** 64n - 1n]]), new Map([[99, 'later']])],
        wrong: [null, 7, [], 'x', ...[null, ...u64Wrong].map((cas) => new Map([[0, cas]]))],
      },
    ],
  },
  { what: 'result of STORE', read: STORE.readResult, valid: [60], elements: [integers(2 ** 32 - 1)] },
  { what: "params of an app's method", read: appMethod('x').readParams, valid: [NONE], elements: [blobs(0, 1000)] },
  { what: "result of an app's method", read: appMethod('x').readResult, valid: [NONE], elements: [blobs(0, 1000)] },
]

describe.each(CASES)('$what', ({ read, valid, elements }) => {
  test('are read where every element is right', () => {
    expect(elements).toHaveLength(valid.length)
    elements.forEach(({ right }, at) => {
      for (const value of right) expect(read(valid.with(at, value)), `element ${at}: ${value}`).toBeDefined()
    })
  })

  test('are refused where one element is wrong', () => {
    elements.forEach(({ wrong }, at) => {
      for (const value of wrong) expect(read(valid.with(at, value)), `element ${at}: ${value}`).toBeUndefined()
    })
  })

  test('are refused where an element is missing', () => {
    for (let count = 0; count < valid.length; count++) expect(read(valid.slice(0, count))).toBeUndefined()
  })

  test('may have further elements', () => {
    expect(read([...valid, 'later', [1], null])).toEqual(read(valid))
  })

  test('are copies', () => {
    const buffers = valid.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value))
    const before = structuredClone(read(buffers))
    const parsed = read(buffers)
    for (const value of buffers) if (value instanceof Uint8Array) value.fill(0xc1)
    expect(parsed).toEqual(before)
  })
})

test('the cursor and the records in lists are copies too', () => {
  const bytes = countUp(8)
  const params = FIND_VALUE.readParams([KEY, 0, [1, 0, bytes]])
  const result = FIND_VALUE.readResult([TOKEN, null, [bytes], NONE, 0])
  bytes.fill(0xc1)
  expect(params?.cursor).toEqual(countUp(8))
  expect(result?.records).toEqual([countUp(8)])
})

test('PING has neither params nor result, and ignores both', () => {
  expect(PING.writeParams({})).toEqual([])
  expect(PING.writeResult({})).toEqual([])
  for (const raw of [[], [1], ['x', null]]) {
    expect(PING.readParams(raw)).toEqual({})
    expect(PING.readResult(raw)).toEqual({})
  }
})

test('numbers of methods never change', () => {
  const methods: readonly Pick<Method<never, never>, 'code'>[] = [PING, FIND_NODE, FIND_VALUE, STORE]
  expect(methods.map(({ code }) => code)).toEqual([0, 1, 2, 3])
})
