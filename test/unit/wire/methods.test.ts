import { describe, expect, test } from 'vitest'
import type { Method } from '../../../src/wire/index.js'
import { appMethod, FIND_NODE, FIND_VALUE, PING, STORE, TOKENS, TOKENS_KEYS_MAX } from '../../../src/wire/index.js'
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
    valid: [TOKEN, null, [], NONE, 0, 0, []],
    elements: [
      blobs(1, 32),
      { right: [null, 0, 7, 2n ** 64n - 1n], wrong: u64Wrong },
      {
        right: [[], [RECORD], [countUp(1), countUp(1051)], Array(64).fill(RECORD)],
        wrong: [null, 7, RECORD, new Map(), [NONE], [countUp(1052)], [RECORD, 'x'], [null], Array(65).fill(RECORD)],
      },
      blobs(0, 1200),
      integers(1000),
      integers(65_535),
      {
        right: [[], [0], [60, 2 ** 32 - 1], Array(64).fill(60)],
        wrong: [null, 7, TOKEN, new Map(), [-1], [0.5], [2 ** 32], [60, null], ['60'], [[60]], Array(65).fill(60)],
      },
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
        right: [
          ...[new Map(), new Map([[0, 0]]), new Map([[0, 2n ** 64n - 1n]]), new Map([[99, 'later']])],
          ...[true, false, null, 1, 'true'].map((cached) => new Map([[1, cached]])),
        ],
        wrong: [null, 7, [], 'x', ...[null, ...u64Wrong].map((cas) => new Map([[0, cas]]))],
      },
    ],
  },
  { what: 'result of STORE', read: STORE.readResult, valid: [60], elements: [integers(2 ** 32 - 1)] },
  {
    what: 'params of TOKENS',
    read: TOKENS.readParams,
    valid: [0, [KEY]],
    elements: [
      integers(255),
      {
        right: [[KEY], [KEY, KEY], Array(32).fill(KEY)],
        wrong: [null, 7, KEY, new Map(), [], Array(33).fill(KEY), ...ids.wrong.map((wrong) => [KEY, wrong])],
      },
    ],
  },
  {
    what: 'result of TOKENS',
    read: TOKENS.readResult,
    valid: [[[TOKEN, null]]],
    elements: [
      {
        right: [
          ...[[], [[countUp(1), 0]], [[countUp(32), 2n ** 64n - 1n]], [[TOKEN, null, 'later']]],
          Array(32).fill([TOKEN, 7]),
        ],
        wrong: [
          ...[null, 7, TOKEN, new Map(), [TOKEN], [TOKEN, null], [null], [[]], [[TOKEN]], [new Map([[0, TOKEN]])]],
          ...blobs(1, 32).wrong.map((wrong) => [[wrong, null]]),
          ...u64Wrong.map((wrong) => [[TOKEN, wrong]]),
          [[TOKEN, null], null],
          Array(33).fill([TOKEN, 7]),
        ],
      },
    ],
  },
  {
    what: "params of an app's query",
    read: (raw) => (raw.length > 1 ? appMethod('x').readParams(raw) : undefined),
    valid: [NONE, KEY],
    elements: [blobs(0, 1000), blobs(32, 32)],
  },
  {
    what: "result of an app's query",
    read: (raw) => (raw.length > 2 ? appMethod('x').readResult(raw) : undefined),
    valid: [NONE, NONE, 0],
    elements: [blobs(0, 1000), blobs(0, 1200), integers(1000)],
  },
]

test("an app's method needs its payload only", () => {
  const { readParams, readResult } = appMethod('x')
  expect(readParams([RECORD])).toEqual({ payload: RECORD })
  expect(readResult([RECORD])).toEqual({ payload: RECORD })
  for (const wrong of blobs(0, 1000).wrong) {
    expect(readParams([wrong])).toBeUndefined()
    expect(readResult([wrong])).toBeUndefined()
  }
})

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

test('the cursor, and what lists hold, are copies too', () => {
  const bytes = countUp(8)
  const params = FIND_VALUE.readParams([KEY, 0, [1, 0, bytes]])
  const result = FIND_VALUE.readResult([TOKEN, null, [bytes], NONE, 0, 0, [60]])
  const id = countUp(32)
  const asked = TOKENS.readParams([0, [id]])
  const answered = TOKENS.readResult([[[bytes, null]]])
  bytes.fill(0xc1)
  id.fill(0xc1)
  expect(params?.cursor).toEqual(countUp(8))
  expect(result?.records).toEqual([countUp(8)])
  expect(asked?.keys).toEqual([KEY])
  expect(answered?.tokens).toEqual([{ token: countUp(8), heldSeq: undefined }])
})

test('FIND_VALUE tells what is not held from what has no sequence number', () => {
  const heldSeq = (raw: unknown) => FIND_VALUE.readResult([TOKEN, raw, [], NONE, 0, 0, []])
  expect(heldSeq(null)).toMatchObject({ heldSeq: undefined })
  expect(heldSeq(0)).toMatchObject({ heldSeq: 0n })
  expect(heldSeq(undefined)).toBeUndefined()
})

test('FIND_VALUE takes fewer lifetimes than records, in their order', () => {
  const result = FIND_VALUE.readResult([TOKEN, 0, [RECORD, RECORD, RECORD], NONE, 0, 1021, [60, 7]])
  expect(result).toMatchObject({ recordsLeft: 1021, ttlsSeconds: [60, 7] })
  expect(result?.records).toHaveLength(3)
})

describe('the options of STORE', () => {
  const params = { key: KEY, kind: 0, token: TOKEN, record: RECORD, ttlSeconds: 60 }
  const options = (cas: bigint | undefined, isCached: boolean) => STORE.writeParams({ ...params, cas, isCached })[5]

  test('are written only where they say something', () => {
    expect(options(undefined, false)).toEqual(new Map())
    expect(options(0n, false)).toEqual(new Map([[0, 0]]))
    expect(options(undefined, true)).toEqual(new Map([[1, true]]))
    expect(options(7n, true)).toEqual(
      new Map<number, unknown>([
        [0, 7],
        [1, true],
      ]),
    )
  })

  test('mark a cached copy by true and by nothing else', () => {
    const isCached = (map: Map<unknown, unknown>) => STORE.readParams([KEY, 0, TOKEN, RECORD, 60, map])?.isCached
    expect(isCached(new Map([[1, true]]))).toBe(true)
    for (const value of [false, null, 1, 'true', [true], TOKEN]) expect(isCached(new Map([[1, value]]))).toBe(false)
    for (const key of [0n, '1', true]) expect(isCached(new Map([[key, true]]))).toBe(false)
    expect(isCached(new Map())).toBe(false)
  })
})

describe('TOKENS', () => {
  const keys = Array.from({ length: TOKENS_KEYS_MAX }, (_, i) => countUp(32, i))

  test('asks for 1 to 32 keys, in an order that is kept', () => {
    expect(TOKENS_KEYS_MAX).toBe(32)
    for (const count of [1, 2, 32]) {
      const asked = { kind: 64, keys: keys.slice(0, count) }
      expect(TOKENS.readParams(TOKENS.writeParams(asked))).toEqual(asked)
    }
    expect(TOKENS.readParams(TOKENS.writeParams({ kind: 0, keys: [] }))).toBeUndefined()
    expect(TOKENS.readParams(TOKENS.writeParams({ kind: 0, keys: [...keys, KEY] }))).toBeUndefined()
  })

  test('answers with any number of tokens up to 32, whatever was asked', () => {
    const token = { token: TOKEN, heldSeq: 2n ** 64n - 1n }
    for (const count of [0, 1, 31, 32]) {
      const answered = { tokens: Array.from({ length: count }, () => token) }
      expect(TOKENS.readResult(TOKENS.writeResult(answered))).toEqual(answered)
    }
    expect(TOKENS.readResult(TOKENS.writeResult({ tokens: Array.from({ length: 33 }, () => token) }))).toBeUndefined()
  })

  test('tells what is not held from what has no sequence number', () => {
    const tokens = [undefined, 0n, 5n].map((heldSeq) => ({ token: TOKEN, heldSeq }))
    expect(TOKENS.writeResult({ tokens })).toEqual([
      [
        [TOKEN, null],
        [TOKEN, 0],
        [TOKEN, 5],
      ],
    ])
  })
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
  const methods: readonly Pick<Method<never, never>, 'code'>[] = [PING, FIND_NODE, FIND_VALUE, STORE, TOKENS]
  expect(methods.map(({ code }) => code)).toEqual([0, 1, 2, 3, 4])
})
