import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHex } from '../../src/keyspace/index.js'
import type { RecordKind } from '../../src/records/index.js'
import {
  createMutableKind,
  createPeerKind,
  encodeImmutable,
  encodeMutable,
  encodePeer,
  immutableKind,
  immutableValue,
  readMutable,
  readPeer,
} from '../../src/records/index.js'
import { forgeMutable, forgePeer, KEYS, MUTABLE, NETWORK, node, PEER } from '../unit/records/record-fixture.js'

const mutableKind = createMutableKind({ network: NETWORK, signatures: node })
const peerKind = createPeerKind({ network: NETWORK, signatures: node })

// Few different ones, so that ties are met; and signatures that were never made: merge looks at none.
const few = (max: number) => fc.nat(max).map((value) => Uint8Array.of(value))
const seq = fc.oneof(fc.constantFrom(0n, 1n, 255n, 256n, 2n ** 53n + 1n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n))
const shortBytes = fc.oneof(few(2), fc.uint8Array({ maxLength: 3 }))
const unsigned = { sign: () => new Uint8Array(64) }
const withSignature = (record: Uint8Array, first: number) => {
  record[32] = first
  return record
}
const tiedSeq = fc.constantFrom(0n, 2n ** 64n - 1n)
const mutableRecord = fc
  .tuple(fc.record({ seq: fc.oneof({ weight: 3, arbitrary: tiedSeq }, seq), value: shortBytes }), fc.nat(2))
  .map(([parts, first]) => withSignature(forgeMutable(parts, unsigned).record, first))
const peerRecord = fc
  .tuple(
    fc.record({
      seq: fc.oneof({ weight: 3, arbitrary: tiedSeq }, seq),
      lifetimeSeconds: fc.oneof({ weight: 5, arbitrary: fc.constant(3600) }, fc.constantFrom(0, 1, 2 ** 32 - 1)),
      port: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.constantFrom(255, 256)),
      data: fc.oneof({ weight: 5, arbitrary: few(0) }, shortBytes),
      token: fc.oneof({ weight: 3, arbitrary: few(1) }, fc.uint8Array({ minLength: 1, maxLength: 2 })),
      observed: fc.oneof(few(1), fc.uint8Array({ minLength: 1, maxLength: 2 })),
    }),
    fc.nat(2),
  )
  .map(([parts, first]) => withSignature(forgePeer(parts, unsigned).kept, first))
const anyBytes = fc.oneof(shortBytes, fc.uint8Array({ maxLength: 1200, size: 'max' }))

/** A record as its sequence number and hexadecimal texts, which sort as their bytes do. */
type Rank = readonly [seq: bigint, ...digits: string[]]

// The naive model: what decides, most important first.
const mutableRank = (record: Uint8Array): Rank => [
  readMutable(record).seq,
  toHex(record.subarray(96)),
  toHex(record.subarray(32, 96)),
]
const peerRank = (record: Uint8Array): Rank => {
  const { seq: number, observed } = readPeer(record)
  return [
    number,
    toHex(record.subarray(96, record.length - observed.length)),
    toHex(record.subarray(32, 96)),
    toHex(observed),
  ]
}
function compareRanks(a: Rank, b: Rank): number {
  const at = a.findIndex((part, i) => part !== b[i])
  if (at < 0) return 0
  return (a[at] as string) < (b[at] as string) ? -1 : 1
}

const mergeAll = (kind: RecordKind, records: readonly Uint8Array[]) => records.reduce((a, b) => kind.merge(a, b))

describe.each<[name: string, kind: RecordKind, record: fc.Arbitrary<Uint8Array>]>([
  ['immutable', immutableKind, anyBytes],
  ['mutable', mutableKind, mutableRecord],
  ['mutable, of any bytes,', mutableKind, fc.oneof(mutableRecord, anyBytes)],
  ['peer', peerKind, peerRecord],
  ['peer, of any bytes,', peerKind, fc.oneof(peerRecord, anyBytes)],
])('merge of %s records', (_, kind, record) => {
  test('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(record, record, record, (a, b, c) => {
        const { merge } = kind
        expect(toHex(merge(a, b))).toBe(toHex(merge(b, a)))
        expect(toHex(merge(merge(a, b), c))).toBe(toHex(merge(a, merge(b, c))))
        expect(toHex(merge(a, a))).toBe(toHex(a))
        expect([a, b]).toContain(merge(a, b))
      }),
    )
  })

  test('gives one result whatever the order of arrival, with duplicates', () => {
    const arrivals = fc.array(record, { minLength: 1, maxLength: 6 }).chain((records) => {
      const more = fc.array(fc.constantFrom(...records), { maxLength: 4 })
      const order = more.chain((again) => {
        const all = [...records, ...again]
        return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })
      })
      return fc.tuple(fc.constant(records), order)
    })
    fc.assert(
      fc.property(arrivals, ([records, arrived]) => {
        expect(toHex(mergeAll(kind, arrived))).toBe(toHex(mergeAll(kind, records)))
      }),
    )
  })

  test('never lets the sequence number fall', () => {
    fc.assert(
      fc.property(record, record, (a, b) => {
        const [seqA, seqB, merged] = [a, b, kind.merge(a, b)].map((bytes) => kind.seq?.(bytes) ?? 0n) as [
          bigint,
          bigint,
          bigint,
        ]
        expect(merged).toBe(seqA > seqB ? seqA : seqB)
      }),
    )
  })
})

test.each<[name: string, kind: RecordKind, record: fc.Arbitrary<Uint8Array>, rank: (record: Uint8Array) => Rank]>([
  ['mutable', mutableKind, mutableRecord, mutableRank],
  ['peer', peerKind, peerRecord, peerRank],
])('of %s records the last in the order of seq, signed bytes and the rest wins', (_, kind, record, rank) => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (records) => {
      const sorted = [...records].sort((a, b) => compareRanks(rank(a), rank(b)))
      expect(toHex(mergeAll(kind, records))).toBe(toHex(sorted.at(-1) as Uint8Array))
    }),
    { numRuns: 300 },
  )
})

describe('records of any content come back as they were made', () => {
  const runs = { numRuns: 60 }

  test('immutable', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 880, size: 'max' }), (value) => {
        const { key, record } = encodeImmutable(value)
        expect(immutableKind.isValid(key, record, PEER.holder)).toBe(true)
        expect(immutableValue(record)).toEqual(value)
      }),
      runs,
    )
  })

  test('mutable', () => {
    const content = fc.record({
      salt: fc.uint8Array({ maxLength: 64, size: 'max' }),
      seq,
      value: fc.uint8Array({ maxLength: 880, size: 'max' }),
    })
    fc.assert(
      fc.property(content, (made) => {
        const { key, record } = encodeMutable({ network: NETWORK, keys: KEYS, ...made }, node)
        expect(toHex(record)).toBe(toHex(forgeMutable(made).record))
        expect(mutableKind.isValid(key, record, PEER.holder)).toBe(true)
        expect(readMutable(record)).toEqual({ publicKey: KEYS.publicKey, ...made })
      }),
      runs,
    )
  })

  test('peer', () => {
    const content = fc.record({
      seq,
      lifetimeSeconds: fc.nat(2 ** 32 - 1),
      port: fc.nat(65_535),
      data: fc.uint8Array({ maxLength: 200, size: 'max' }),
    })
    const context = fc.record({
      holder: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      token: fc.uint8Array({ minLength: 1, maxLength: 32 }),
      observed: fc.uint8Array({ minLength: 1, maxLength: 64, size: 'max' }),
    })
    fc.assert(
      fc.property(content, context, (made, { holder, token, observed }) => {
        const sent = encodePeer({ network: NETWORK, topic: PEER.topic, keys: KEYS, holder, token, ...made }, node)
        const kept = peerKind.accept?.(PEER.topic, sent, { holder, token, observed }) as Uint8Array
        expect(toHex(kept)).toBe(toHex(forgePeer({ ...made, holder, token, observed }).kept))
        expect(peerKind.isValid(PEER.topic, kept, holder)).toBe(true)
        expect(readPeer(kept)).toEqual({ publicKey: KEYS.publicKey, ...made, observed })
      }),
      runs,
    )
  })
})

describe('bytes from anyone', () => {
  // A record, with bytes changed, cut off and added: it gets further than random bytes do.
  const edit = fc.record({ at: fc.nat(500), byte: fc.constantFrom(0, 1, 31, 32, 33, 64, 65, 127, 128, 200, 201, 255) })
  const edited = fc
    .tuple(
      fc.constantFrom(forgeMutable().record, forgePeer().kept, forgePeer().sent, encodeImmutable(MUTABLE.value).record),
      fc.array(edit, { maxLength: 4 }),
      fc.option(fc.nat(500)),
      fc.uint8Array({ maxLength: 8 }),
    )
    .map(([record, edits, end, more]) => {
      const bytes = Uint8Array.of(...record.subarray(0, end ?? undefined), ...more)
      for (const { at, byte } of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })
  const key = fc.oneof(fc.constantFrom(MUTABLE.salt, PEER.topic, forgeMutable().key), fc.uint8Array({ maxLength: 40 }))

  test.each([immutableKind, mutableKind, peerKind])('no member of the $name kind throws', (kind) => {
    fc.assert(
      fc.property(
        fc.oneof(edited, anyBytes),
        anyBytes,
        key,
        key,
        shortBytes,
        shortBytes,
        (a, b, k, holder, token, observed) => {
          expect(typeof kind.isValid(k, a, holder)).toBe('boolean')
          const kept = kind.accept?.(k, a, { holder, token, observed })
          if (kept !== undefined) expect(kind.isValid(k, kept, holder)).toBe(true)
          expect([a, b]).toContain(kind.merge(a, b))
          expect(kind.slot?.(a).length ?? 0).toBeLessThanOrEqual(255)
          const number = kind.seq?.(a) ?? 0n
          expect(number >= 0n && number < 2n ** 64n).toBe(true)
          expect(kind.lifetimeMs?.(a) ?? 0).toBeGreaterThanOrEqual(0)
          expect(typeof (kind.isTombstone?.(a) ?? false)).toBe('boolean')
        },
      ),
      { numRuns: 500 },
    )
  })

  test('readers of malformed records do not throw either', () => {
    fc.assert(
      fc.property(fc.oneof(edited, anyBytes), (bytes) => {
        for (const read of [immutableValue, readMutable, readPeer]) expect(() => read(bytes)).not.toThrow()
      }),
    )
  })

  test('an edited record is valid only where it is the record', () => {
    fc.assert(
      fc.property(edited, (bytes) => {
        const isRecord = toHex(bytes) === toHex(forgeMutable().record)
        expect(mutableKind.isValid(forgeMutable().key, bytes, PEER.holder)).toBe(isRecord)
      }),
      { numRuns: 500 },
    )
  })
})
