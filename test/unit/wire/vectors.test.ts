import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../../../src/keyspace/index.js'
import { encodeImmutable, encodeTree, immutableKind, immutableValue } from '../../../src/records/index.js'
import type { Message, Method } from '../../../src/wire/index.js'
import {
  appMethod,
  createCodec,
  FIND_NODE,
  FIND_VALUE,
  networkTag,
  PING,
  STORE,
  TOKENS,
} from '../../../src/wire/index.js'

interface MessageVector {
  readonly name: string
  readonly message: Readonly<Record<string, unknown>>
  readonly bytes: string
  readonly padToBytes?: number
  /** The method that a result belongs to. */
  readonly answers?: number | string
}

interface Messages {
  readonly network: string
  readonly networkTag: string
  readonly messages: readonly MessageVector[]
  readonly tolerated: readonly MessageVector[]
  readonly refused: readonly MessageVector[]
  readonly invalid: readonly { readonly name: string; readonly reason: string; readonly bytes: string }[]
}

/** Whoever keeps it: immutable records are made for no holder. */
const HOLDER = new Uint8Array(32)

interface Records {
  readonly trees: {
    readonly valid: readonly { name: string; length: number; key: string; root: string; records: number }[]
    readonly invalid: readonly { name: string; key: string; record: string }[]
  }
  readonly kind: number
  readonly valid: readonly Record<'name' | 'value' | 'key' | 'record', string>[]
  readonly invalid: readonly Record<'name' | 'key' | 'record', string>[]
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8')) as T
}

const { network, networkTag: tag, messages, tolerated, refused, invalid } = read<Messages>('messages.json')
const records = read<Records>('records.json')
const codec = createCodec(network)

/** A value of the vectors: `{bytes}`, `{u64}` and `{map}` stand for what JSON has no word for. */
function value(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(value)
  if (typeof json !== 'object' || json === null) return json
  const { bytes, u64, map } = json as { bytes?: string; u64?: string; map?: [unknown, unknown][] }
  if (bytes !== undefined) return fromHex(bytes)
  if (u64 !== undefined) return BigInt(u64)
  if (map !== undefined) return new Map(map.map(([key, entry]) => [value(key), value(entry)]))
  throw new Error(`${JSON.stringify(json)} is nothing that a vector holds`)
}

function messageOf({ message }: MessageVector): Message {
  const fields = Object.entries(message).map(([name, field]) => {
    const isBytes = name === 'tid' || name === 'sender' || name === 'observed'
    return [name, isBytes ? fromHex(field as string) : value(field)]
  })
  return Object.fromEntries(fields) as Message
}

function methodOf(code: number | string): Method<unknown, unknown> | undefined {
  const methods = [PING, FIND_NODE, FIND_VALUE, STORE, TOKENS] as unknown as Method<unknown, unknown>[]
  if (typeof code === 'string') return appMethod(code) as unknown as Method<unknown, unknown>
  return methods.find((method) => method.code === code)
}

describe('messages', () => {
  test('the vectors show every kind of message, every method and every reason to drop one', () => {
    const decoded = messages.map(messageOf)
    expect(new Set(decoded.map(({ type }) => type))).toEqual(new Set(['request', 'response', 'error']))
    const asked = decoded.map((message) => message.type === 'request' && message.method)
    const answered = messages.map(({ answers }) => answers)
    expect(asked).toEqual(expect.arrayContaining([0, 1, 2, 3, 4, 'chat/say']))
    expect(answered).toEqual(expect.arrayContaining([0, 1, 2, 3, 4, 'chat/say']))
    const reasons = new Set(invalid.map(({ reason }) => reason))
    expect(reasons).toEqual(new Set(['undecodable', 'oversize', 'foreignNetwork', 'malformed']))
    expect(tolerated.length).toBeGreaterThan(10)
    expect(refused.length).toBeGreaterThan(20)
    expect(toHex(networkTag(network))).toBe(tag)
  })

  test.each(messages)('$name: encodes to its bytes', (vector) => {
    expect(toHex(codec.encode(messageOf(vector), vector.padToBytes))).toBe(vector.bytes)
  })

  test.each([...messages, ...tolerated, ...refused])('$name: its bytes decode to it', (vector) => {
    expect(codec.decode(fromHex(vector.bytes))).toEqual(messageOf(vector))
  })

  test.each([...messages, ...tolerated])('$name: its method reads the params or the result', (vector) => {
    const message = codec.decode(fromHex(vector.bytes))
    if (message.type === 'request') {
      const method = methodOf(message.method)
      if (method) expect(method.readParams(message.params)).toBeDefined()
      else expect(message.method).toBe(60_000)
    } else if (message.type === 'response') {
      expect(methodOf(vector.answers as number | string)?.readResult(message.result)).toBeDefined()
    } else {
      expect(['error', 'unknownVersion']).toContain(message.type)
    }
  })

  test.each(refused)('$name: its method refuses the params or the result', (vector) => {
    const message = codec.decode(fromHex(vector.bytes))
    if (message.type === 'request') {
      const method = methodOf(message.method) as Method<unknown, unknown>
      expect(method.readParams(message.params)).toBeUndefined()
    } else if (message.type === 'response') {
      const method = methodOf(vector.answers as number) as Method<unknown, unknown>
      expect(method.readResult(message.result)).toBeUndefined()
    } else {
      expect.unreachable(`${message.type} has neither params nor result`)
    }
  })

  test.each(messages)('$name: its method writes what it reads', ({ bytes, answers, padToBytes = 0 }) => {
    const message = codec.decode(fromHex(bytes))
    if (message.type === 'request') {
      const method = methodOf(message.method) as Method<unknown, unknown>
      const params = method.writeParams(method.readParams(message.params))
      if (padToBytes > 0) expect(padToBytes).toBe(method.paddedBytes)
      expect(toHex(codec.encode({ ...message, params }, padToBytes))).toBe(bytes)
    } else if (message.type === 'response') {
      const method = methodOf(answers as number | string) as Method<unknown, unknown>
      const result = method.writeResult(method.readResult(message.result))
      expect(toHex(codec.encode({ ...message, result }))).toBe(bytes)
    } else {
      expect(message.type).toBe('error')
    }
  })

  test.each(invalid)('$name is dropped as $reason', ({ bytes, reason }) => {
    expect(codec.decode(fromHex(bytes))).toEqual({ type: 'unreadable', reason })
  })
})

describe('records', () => {
  test('are of the immutable kind', () => {
    expect(records.kind).toBe(immutableKind.code)
    expect(records.valid.length).toBeGreaterThan(3)
    expect(records.invalid.length).toBeGreaterThan(3)
  })

  test.each(records.valid)('$name: the value makes the key and the record', ({ value, key, record }) => {
    const made = encodeImmutable(fromHex(value))
    expect({ key: toHex(made.key), record: toHex(made.record) }).toEqual({ key, record })
  })

  test.each(records.valid)('$name: the record is valid for the key and holds the value', ({ value, key, record }) => {
    expect(immutableKind.isValid(fromHex(key), fromHex(record), HOLDER)).toBe(true)
    expect(toHex(immutableValue(fromHex(record)))).toBe(value)
  })

  test.each(records.invalid)('$name is invalid', ({ key, record }) => {
    expect(immutableKind.isValid(fromHex(key), fromHex(record), HOLDER)).toBe(false)
  })
})

describe('trees', () => {
  const { valid, invalid } = records.trees
  const counting = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i % 251)

  test.each(valid)(
    '$name: the value makes the key, the root and so many records',
    ({ length, key, root, records: count }) => {
      const made = encodeTree(counting(length))
      expect({ key: toHex(made.root.key), root: toHex(made.root.record) }).toEqual({ key, root })
      expect(made.parts.length + 1).toBe(count)
      expect(immutableKind.isValid(fromHex(key), fromHex(root), HOLDER)).toBe(true)
    },
  )

  test.each(invalid)('$name is invalid', ({ key, record }) => {
    expect(immutableKind.isValid(fromHex(key), fromHex(record), HOLDER)).toBe(false)
  })
})
