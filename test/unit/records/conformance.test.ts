import { describe, expect, test } from 'vitest'
import { hash } from '../../../src/keyspace/index.js'
import type { RecordKind } from '../../../src/records/index.js'
import { createMutableKind, createPeerKind, encodeImmutable, immutableKind } from '../../../src/records/index.js'
import type { RecordKindConformanceOptions } from '../../../src/testing/index.js'
import { recordKindConformance } from '../../../src/testing/index.js'
import { forgeMutable, forgePeer, KEYS, NETWORK, NONE, node, OTHER_KEYS, PEER, text } from './record-fixture.js'

const immutable = encodeImmutable(text('a value'))
const mutableRecords = [
  forgeMutable(),
  forgeMutable({ seq: 8n, value: NONE }),
  forgeMutable({ seq: 8n, value: text('other') }),
].map(({ record }) => record)
const peerRecords = [
  forgePeer({ seq: 1n }),
  forgePeer({ seq: 1n, port: 0 }),
  forgePeer({ seq: 2n, lifetimeSeconds: 0 }),
  forgePeer({ keys: OTHER_KEYS }),
].map(({ kept }) => kept)

const subjects: Record<string, RecordKindConformanceOptions> = {
  immutable: {
    kind: immutableKind,
    samples: [
      { key: immutable.key, records: [immutable.record, immutable.record] },
      { key: hash(NONE), records: [encodeImmutable(NONE).record] },
    ],
  },
  mutable: {
    kind: createMutableKind({ network: NETWORK, signatures: node }),
    samples: [
      { key: forgeMutable().key, records: mutableRecords },
      { key: forgeMutable({ keys: OTHER_KEYS }).key, records: [forgeMutable({ keys: OTHER_KEYS }).record] },
    ],
  },
  peer: {
    kind: createPeerKind({ network: NETWORK, signatures: node }),
    samples: [{ key: PEER.topic, records: peerRecords }],
    holder: PEER.holder,
  },
}

describe.each(Object.entries(subjects))('the %s kind keeps what a record kind promises', (_, options) => {
  for (const { name, run } of recordKindConformance(options)) test(name, run)
})

// A kind of an application, as small as can be: a counter under the hash of its name.
// record = name 4 | count u64
const KEY = hash(text('name'))
const counter = (count: number) => Uint8Array.of(...text('name'), 0, 0, 0, 0, 0, 0, 0, count)
const hasForm = (record: Uint8Array) => record.length === 12
const isValid = (key: Uint8Array, record: Uint8Array) =>
  hasForm(record) && hash(record.subarray(0, 4)).every((byte, i) => byte === key[i])
const seq = (record: Uint8Array) => new DataView(record.buffer, record.byteOffset).getBigUint64(4)
const higher = (a: Uint8Array, b: Uint8Array) => (seq(a) >= seq(b) ? a : b)
const counterKind: RecordKind = {
  code: 64,
  name: 'counter',
  recordBytesMax: 12,
  slotsPerKeyMax: 1,
  isRelayed: true,
  isFirstEnough: false,
  isValid,
  slot: (record) => record.subarray(0, 4),
  seq,
  merge: higher,
}
const samples = [{ key: KEY, records: [counter(1), counter(2), counter(3)] }]

/** The names of the checks that fail, and what they say. */
async function failures(options: RecordKindConformanceOptions): Promise<string[]> {
  const found: string[] = []
  for (const { name, run } of recordKindConformance(options)) {
    await run().catch((error: Error) => found.push(`${name}: ${error.message}`))
  }
  return found
}

test('a small kind of an application keeps it too', async () => {
  expect(await failures({ kind: counterKind, samples })).toEqual([])
})

const LONG = Uint8Array.of(...text('name'), ...new Uint8Array(13))

// Kinds with memory, as none may be.
function forgetful(): Partial<RecordKind> {
  let calls = 0
  return { isValid: (key, record) => isValid(key, record) && calls++ % 2 === 0 }
}
function alternating(): Partial<RecordKind> {
  let calls = 0
  return { lifetimeMs: () => calls++ }
}

test.each<[flaw: string, broken: Partial<RecordKind>, says: RegExp]>([
  ['code 256', { code: 256 }, /code is 256/],
  ['code 0.5', { code: 0.5 }, /code is 0.5/],
  ['no name', { name: '' }, /name is no text/],
  ['records of 1,052 bytes', { recordBytesMax: 1052 }, /recordBytesMax is 1052/],
  ['records of 0 bytes', { recordBytesMax: 0 }, /recordBytesMax is 0/],
  ['no slots', { slotsPerKeyMax: 0 }, /slotsPerKeyMax is 0/],
  ['a lifetime over 48 h', { lifetimeMaxMs: 172_800_001 }, /lifetimeMaxMs is 172800001/],
  ['a lifetime of NaN', { lifetimeMaxMs: Number.NaN }, /lifetimeMaxMs is NaN/],
  ['isRelayed that is no boolean', { isRelayed: 1 as unknown as boolean }, /isRelayed is 1/],
  ['isFirstEnough that is no boolean', { isFirstEnough: 0 as unknown as boolean }, /isFirstEnough is 0/],
  ['samples that are too long', { recordBytesMax: 11 }, /record 0 of key .* has 12 bytes, recordBytesMax is 11/],
  ['samples that are not valid', { isValid: () => false }, /record 0 of key .* is not valid/],
  [
    'isValid that ignores the key',
    { isValid: (_, record) => hasForm(record) },
    /another key|differs from its own in byte 0/,
  ],
  [
    'isValid that looks at the first byte of the key alone',
    { isValid: (key, record) => hasForm(record) && key[0] === KEY[0] },
    /differs from its own in byte 1\b/,
  ],
  [
    'isValid that ignores the end of the key',
    { isValid: (key, record) => hasForm(record) && KEY.subarray(0, 31).every((byte, i) => byte === key[i]) },
    /differs from its own in byte 31/,
  ],
  [
    'isValid that throws at short records',
    { isValid: (key, record) => seq(record) >= 0n && isValid(key, record) },
    /isValid throws at (no bytes|a record cut to 0)/,
  ],
  [
    'isValid that throws at one changed byte',
    {
      isValid(key, record) {
        if (record[11] === 255) throw new Error('unheard of')
        return isValid(key, record)
      },
    },
    /isValid throws at a record with byte 11 set to 255: Error: unheard of/,
  ],
  [
    'isValid that answers undefined',
    { isValid: (key, record) => (isValid(key, record) || undefined) as boolean },
    /isValid answers undefined/,
  ],
  [
    'isValid that takes records over the limit',
    { isValid: (key, record) => record.length >= 12 && isValid(key, record.subarray(0, 12)) },
    /which is valid, has 13 bytes, recordBytesMax is 12/,
  ],
  [
    'a member that throws at what is valid',
    {
      seq(record) {
        if (seq(record) > 255n) throw new RangeError('too many')
        return seq(record)
      },
    },
    /a member throws at .*, which is valid: RangeError: too many/,
  ],
  [
    'seq that reads the buffer behind a view',
    { seq: (record) => new DataView(record.buffer).getBigUint64(4), merge: higher },
    /seq gives another answer to a view/,
  ],
  [
    'isValid that reads the buffer behind a view',
    { isValid: (key, record) => hasForm(record) && isValid(key, new Uint8Array(record.buffer, 0, 12)) },
    /a valid record is not valid as a view/,
  ],
  ['isValid that changes its mind', forgetful(), /isValid is not true at a second call/],
  ['answers that change', alternating(), /lifetimeMs gives another answer at a second call/],
  [
    'isValid that writes',
    { isValid: (key, record) => isValid(key, record) && record.fill(9, 11) !== undefined },
    /isValid changes/,
  ],
  ['merge that writes', { merge: (a, b) => a.fill(0).fill(b[11] as number, 11) }, /merge changes its arguments/],
  ['seq that writes', { seq: (record) => seq(record.fill(1, 11)) }, /seq changes its arguments/],
  ['slots of 256 bytes', { slot: () => new Uint8Array(256) }, /a slot has 256 bytes/],
  ['slots that are no bytes', { slot: () => [] as unknown as Uint8Array }, /slot gives no Uint8Array/],
  ['merge that prefers the first argument', { merge: (a) => a }, /merge\(a, b\) and merge\(b, a\) differ/],
  [
    'merge that changes what it merges with itself',
    { merge: (a, b) => counter((a[11] as number) + (b[11] as number)) },
    /merge\(a, a\) is not a/,
  ],
  [
    'merge that is not associative',
    // Rock, paper, scissors.
    { merge: (a, b) => (((a[11] as number) - (b[11] as number) + 3) % 3 === 1 ? a : b) },
    /merge\(merge\(a, b\), c\) and merge\(a, merge\(b, c\)\) differ/,
  ],
  ['merge that gives what is not valid', { merge: (a, b) => (a === b ? a : NONE), slot: () => NONE }, /is not valid/],
  [
    'merge that gives too much',
    {
      recordBytesMax: 16,
      isValid: (key, record) => isValid(key, record.subarray(0, 12)),
      merge: () => LONG,
    },
    /what merge gives has 17 bytes, recordBytesMax is 16/,
  ],
  [
    'seq that falls in a merge',
    { merge: (a, b) => (seq(a) <= seq(b) ? a : b) },
    /merge of the sequence numbers 1 and 2 has 1/,
  ],
  ['seq of a number', { seq: () => 1 as unknown as bigint }, /seq is 1 and not a bigint/],
  ['seq below 0', { seq: () => -1n }, /seq is -1/],
  ['seq of 65 bits', { seq: () => 2n ** 64n }, /seq is 18446744073709551616/],
  ['a lifetime of NaN for a record', { lifetimeMs: () => Number.NaN }, /lifetimeMs is NaN/],
  ['a lifetime below 0', { lifetimeMs: () => -1 }, /lifetimeMs is -1/],
  ['isTombstone that is no boolean', { isTombstone: () => 0 as unknown as boolean }, /isTombstone is 0/],
  ['accept that throws', { accept: (_, record) => new Uint8Array(record.length - 1) }, /accept throws at/],
  [
    'accept that keeps too much',
    { isValid: (key, record) => isValid(key, record.subarray(0, 12)), accept: () => LONG },
    /what accept keeps of .* has 17 bytes, recordBytesMax is 12/,
  ],
  ['accept that answers null', { accept: () => null as unknown as undefined }, /accept answers neither/],
  ['accept that keeps anything', { accept: (_, record) => record }, /what accept keeps of .* is not valid/],
  [
    'accept that writes',
    { accept: (_, __, { token }) => void token.fill(0) as undefined },
    /accept changes its arguments/,
  ],
])('the suite notices %s', async (_, broken, says) => {
  const found = await failures({ kind: { ...counterKind, ...broken }, samples })
  expect(found.join('\n')).toMatch(says)
})

test('a merge that moves a record to another slot is noticed', async () => {
  const slot = (record: Uint8Array) => record.subarray(11)
  const merge = (a: Uint8Array, b: Uint8Array) => counter((a[11] as number) + (b[11] as number))
  const same = [{ key: KEY, records: [counter(1), counter(1)] }]
  const found = await failures({ kind: { ...counterKind, slot, merge }, samples: same })
  expect(found.join('\n')).toMatch(/the slot after a merge: byte 0 is 2 instead of 1/)
})

test.each<[string, RecordKindConformanceOptions['samples']]>([
  ['no samples', []],
  ['one record', [{ key: KEY, records: [counter(1)] }]],
  [
    'no two records of one key',
    [
      { key: KEY, records: [counter(1)] },
      { key: hash(NONE), records: [counter(1)] },
    ],
  ],
])('the suite asks for more than %s', async (_, few) => {
  expect((await failures({ kind: counterKind, samples: few })).join('\n')).toMatch(
    /no key of the samples has two records/,
  )
})

test('a record that is valid under the key of another sample is noticed', async () => {
  // Under keys that differ in one byte it is not.
  const other = hash(text('other'))
  const kind: RecordKind = {
    ...counterKind,
    isValid: (key, record) => hasForm(record) && [KEY, other].some((own) => own.every((byte, i) => byte === key[i])),
  }
  const found = await failures({ kind, samples: [...samples, { key: other, records: [counter(4)] }] })
  expect(found.join('\n')).toMatch(/valid under the key of another sample/)
})

test('the suite works on copies: not even a kind that writes changes the samples', async () => {
  const kind: RecordKind = { ...counterKind, merge: (a) => a.fill(0) }
  await failures({ kind, samples })
  expect(samples).toEqual([{ key: KEY, records: [counter(1), counter(2), counter(3)] }])
})

test('the holder is the one that was given, else 32 bytes 0', async () => {
  const seen = new Set<string>()
  const kind: RecordKind = {
    ...counterKind,
    isValid: (key, record, holder) => seen.add(holder.join()) !== undefined && isValid(key, record),
  }
  await failures({ kind, samples, holder: KEYS.publicKey })
  expect([...seen]).toEqual([KEYS.publicKey.join()])
  seen.clear()
  await failures({ kind, samples })
  expect([...seen]).toEqual([new Uint8Array(32).join()])
})
