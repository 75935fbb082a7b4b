import type { NodeId } from '../keyspace/index.js'
import { sameBytes } from '../keyspace/index.js'
import type { RecordKind, StoreContext } from '../records/index.js'
import type { ConformanceTest } from './conformance.js'
import { assert, assertSameBytes } from './conformance.js'
import { SeededRandom } from './random.js'

/** What {@link recordKindConformance} checks, and with which records. */
export interface RecordKindConformanceOptions {
  /** The kind to be checked. */
  readonly kind: RecordKind
  /**
   * Keys and records that are valid for them, in the form that a holder hands out. At least one key needs two
   * records of one slot, better three or more; where a key can have only one record, give that one twice.
   */
  readonly samples: readonly RecordKindSample[]
  /**
   * The holder that the records are for.
   *
   * @defaultValue 32 bytes 0
   */
  readonly holder?: NodeId
}

/** A key of {@link RecordKindConformanceOptions} and records of it. */
export interface RecordKindSample {
  /** The key that the records are valid for. */
  readonly key: NodeId
  /** At least two; some of one slot and some of others where the kind has slots. */
  readonly records: readonly Uint8Array[]
}

/** What a check works with: copies of its own, so that no check can spoil another one's. */
interface Subject {
  readonly kind: RecordKind
  readonly holder: NodeId
  readonly samples: readonly RecordKindSample[]
}

const RECORD_BYTES_MAX = 1051
const SLOT_BYTES_MAX = 255
const LIFETIME_MAX_MS = 48 * 60 * 60 * 1000
const SEQ_MAX = 0xffff_ffff_ffff_ffffn

/** Bounds of the work: a kind's isValid may cost a millisecond. */
const RECORDS_PER_SLOT_MAX = 8
const CUTS_MAX = 64
const FLIPS_MAX = 128
const RANDOM_COUNT = 64

/**
 * Every promise of {@link RecordKind} as a test, for any test runner.
 *
 * @example
 * ```ts
 * const samples = [{ key, records: [first, second, third] }]
 * for (const { name, run } of recordKindConformance({ kind, samples })) test(name, run)
 * ```
 */
export function recordKindConformance(options: RecordKindConformanceOptions): ConformanceTest[] {
  const checks: [name: string, check: (subject: Subject) => void][] = [
    ['code, name and limits are ones that a node can work with', hasSaneLimits],
    ['the samples are enough to check the rest', hasEnoughSamples],
    ['the samples are valid and within the limits', acceptsSamples],
    ['a record is valid under no other key', refusesOtherKeys],
    ['the same bytes give the same answers, as a view into others too', repeatsItself],
    ['no member changes its arguments', leavesArguments],
    ['cut, longer and changed records are answered, never thrown at', survivesChangedRecords],
    ['random bytes are answered, never thrown at', survivesRandomBytes],
    ['a slot has at most 255 bytes, and merge keeps it', keepsSlots],
    ['merge does not depend on the order', mergeCommutes],
    ['merge does not depend on what is merged first', mergeAssociates],
    ['merge of a record with itself is this record', mergeIsIdempotent],
    ['what merge gives is valid and within the limits', mergeStaysValid],
    ['the sequence number of a merge is the higher of both', mergeKeepsSeq],
    ['lifetimes and tombstones are told of every sample', tellsLifetimes],
  ]
  return checks.map(([name, check]) => ({ name, run: async () => check(subjectOf(options)) }))
}

function subjectOf({ kind, samples, holder }: RecordKindConformanceOptions): Subject {
  return {
    kind,
    holder: new Uint8Array(holder ?? new Uint8Array(32)),
    samples: samples.map(({ key, records }) => ({
      key: new Uint8Array(key),
      records: records.map((record) => new Uint8Array(record)),
    })),
  }
}

function hasSaneLimits({ kind }: Subject): void {
  const { code, name, recordBytesMax, slotsPerKeyMax, lifetimeMaxMs, isRelayed, isFirstEnough } = kind
  assert(isIntegerIn(code, 0, 255), `code is ${code} and not an integer from 0 to 255`)
  assert(typeof name === 'string' && name !== '', 'name is no text, or empty')
  const isSane = isIntegerIn(recordBytesMax, 1, RECORD_BYTES_MAX)
  assert(isSane, `recordBytesMax is ${recordBytesMax} and not an integer from 1 to ${RECORD_BYTES_MAX}`)
  const isSome = isIntegerIn(slotsPerKeyMax, 1, 65_535)
  assert(isSome, `slotsPerKeyMax is ${slotsPerKeyMax} and not an integer from 1 to 65,535`)
  const isKept = lifetimeMaxMs === undefined || (lifetimeMaxMs > 0 && lifetimeMaxMs <= LIFETIME_MAX_MS)
  assert(isKept, `lifetimeMaxMs is ${lifetimeMaxMs} and not above 0 and at most 48 h`)
  assert(typeof isRelayed === 'boolean', `isRelayed is ${isRelayed} and no boolean`)
  assert(typeof isFirstEnough === 'boolean', `isFirstEnough is ${isFirstEnough} and no boolean`)
}

function hasEnoughSamples(subject: Subject): void {
  const isEnough = groupsOf(subject).some(({ records }) => records.length > 1)
  assert(isEnough, 'no key of the samples has two records of one slot')
}

function acceptsSamples({ kind, holder, samples }: Subject): void {
  for (const { key, records } of samples) {
    records.forEach((record, i) => {
      const what = `record ${i} of key ${key[0]}..`
      assert(judge(kind, key, record, holder, what), `${what} is not valid`)
      assertWithinLimit(kind, record, what)
    })
  }
}

function refusesOtherKeys({ kind, holder, samples }: Subject): void {
  for (const { key, records } of samples) {
    for (const record of records.slice(0, RECORDS_PER_SLOT_MAX)) {
      for (let i = 0; i < key.length; i++) {
        const other = flipped(key, 8 * i + (i % 8))
        const isRefused = !judge(kind, other, record, holder, 'a record under another key')
        assert(isRefused, `a record is valid under a key that differs from its own in byte ${i}`)
      }
      for (const { key: other } of samples) {
        if (sameBytes(other, key)) continue
        const isRefused = !judge(kind, other, record, holder, "a record under another sample's key")
        assert(isRefused, `a record is valid under the key of another sample`)
      }
    }
  }
}

function repeatsItself({ kind, holder, samples }: Subject): void {
  for (const { key, records } of samples) {
    for (const record of records) {
      const view = viewOf(record)
      assert(judge(kind, viewOf(key), view, viewOf(holder), 'a view'), 'a valid record is not valid as a view')
      assert(judge(kind, key, record, holder, 'a second call'), 'isValid is not true at a second call')
      const [first, second, ofView] = [record, record, view].map((bytes) => answers(kind, bytes, record)) as Answers[]
      for (const member of Object.keys(first as Answers)) {
        assert(first?.[member] === second?.[member], `${member} gives another answer at a second call`)
        assert(first?.[member] === ofView?.[member], `${member} gives another answer to a view of the same bytes`)
      }
    }
  }
}

function leavesArguments(subject: Subject): void {
  const { kind, holder } = subject
  const context = contextOf(holder, 8, 7)
  forPairs(subject, (a, b, { key }) => {
    const given = [key, a, b, holder, context.token, context.observed]
    const before = given.map((bytes) => new Uint8Array(bytes))
    const calls = {
      isValid: () => kind.isValid(key, a, holder),
      accept: () => kind.accept?.(key, a, context),
      slot: () => kind.slot?.(a),
      seq: () => kind.seq?.(a),
      merge: () => kind.merge(a, b),
      lifetimeMs: () => kind.lifetimeMs?.(a),
      isTombstone: () => kind.isTombstone?.(a),
    }
    for (const [member, call] of Object.entries(calls)) {
      call()
      const isUnchanged = given.every((bytes, i) => sameBytes(bytes, before[i] as Uint8Array))
      assert(isUnchanged, `${member} changes its arguments`)
    }
  })
}

function survivesChangedRecords(subject: Subject): void {
  const { kind, samples } = subject
  const flipsEach = share(FLIPS_MAX, samples)
  const cutsEach = share(CUTS_MAX, samples)
  for (const { key, records } of samples) {
    for (const record of records) {
      for (const end of spread(record.length, cutsEach)) {
        face(subject, key, record.subarray(0, end), `a record cut to ${end} of ${record.length} bytes`)
      }
      for (const more of [1, 2, 255, Math.max(1, kind.recordBytesMax - record.length + 1)]) {
        for (const fill of [0, 255]) {
          const longer = new Uint8Array(record.length + more).fill(fill)
          longer.set(record)
          face(subject, key, longer, `a record with ${more} bytes ${fill} behind it`)
        }
      }
      for (const bit of spread(8 * record.length, flipsEach)) {
        face(subject, key, flipped(record, bit), `a record with bit ${bit % 8} of byte ${bit >> 3} changed`)
      }
      // Lengths and counts are single bytes, wherever they stand: the highest is the one that breaks a reader.
      for (const at of spread(record.length, flipsEach)) {
        const high = new Uint8Array(record)
        high[at] = 255
        face(subject, key, high, `a record with byte ${at} set to 255`)
      }
    }
  }
}

function survivesRandomBytes(subject: Subject): void {
  const { kind, samples } = subject
  const random = new SeededRandom('record kind conformance')
  const { key } = samples[0] ?? { key: new Uint8Array(32) }
  face(subject, key, new Uint8Array(0), 'no bytes')
  for (let i = 0; i < RANDOM_COUNT; i++) {
    const length = i < 16 ? i : random.int(kind.recordBytesMax + 2)
    face(subject, key, random.bytes(length), `${length} random bytes`)
    face(subject, key, new Uint8Array(length), `${length} bytes 0`)
    face(subject, key, new Uint8Array(length).fill(255), `${length} bytes 255`)
  }
}

function keepsSlots(subject: Subject): void {
  const { kind, samples } = subject
  if (kind.slot === undefined) return
  for (const { records } of samples) {
    for (const record of records) {
      const found = kind.slot?.(record)
      assert(found instanceof Uint8Array, 'slot gives no Uint8Array')
      assert(found.length <= SLOT_BYTES_MAX, `a slot has ${found.length} bytes, more than ${SLOT_BYTES_MAX}`)
    }
  }
  forPairs(subject, (a, b) => {
    const merged = kind.slot?.(kind.merge(a, b)) as Uint8Array
    assertSameBytes(merged, kind.slot?.(a) as Uint8Array, 'the slot after a merge')
  })
}

function mergeCommutes(subject: Subject): void {
  forPairs(subject, (a, b) => {
    assertSameBytes(subject.kind.merge(a, b), subject.kind.merge(b, a), 'merge(a, b) and merge(b, a) differ')
  })
}

function mergeAssociates(subject: Subject): void {
  const { kind } = subject
  forPairs(subject, (a, b, { records }) => {
    for (const c of records) {
      const left = kind.merge(kind.merge(a, b), c)
      const right = kind.merge(a, kind.merge(b, c))
      assertSameBytes(left, right, 'merge(merge(a, b), c) and merge(a, merge(b, c)) differ')
    }
  })
}

function mergeIsIdempotent(subject: Subject): void {
  // That merge(merge(a, b), b) is merge(a, b) follows, since it is associative.
  forPairs(subject, (a) => assertSameBytes(subject.kind.merge(a, a), a, 'merge(a, a) is not a'))
}

function mergeStaysValid(subject: Subject): void {
  const { kind, holder } = subject
  forPairs(subject, (a, b, { key }) => {
    const merged = kind.merge(a, b)
    assert(judge(kind, key, merged, holder, 'a merge'), 'merge of two valid records is not valid')
    assertWithinLimit(kind, merged, 'what merge gives')
  })
}

function mergeKeepsSeq(subject: Subject): void {
  const { kind } = subject
  if (kind.seq === undefined) return
  forPairs(subject, (a, b) => {
    const [seqA, seqB, merged] = [kind.seq?.(a), kind.seq?.(b), kind.seq?.(kind.merge(a, b))]
    for (const seq of [seqA, seqB]) {
      assert(
        typeof seq === 'bigint' && seq >= 0n && seq <= SEQ_MAX,
        `seq is ${seq} and not a bigint from 0 to 2^64 - 1`,
      )
    }
    const highest = (seqA as bigint) > (seqB as bigint) ? seqA : seqB
    assert(merged === highest, `merge of the sequence numbers ${seqA} and ${seqB} has ${merged}`)
  })
}

function tellsLifetimes({ kind, samples }: Subject): void {
  for (const { records } of samples) {
    for (const record of records) {
      const lifetimeMs = kind.lifetimeMs?.(record) ?? 0
      assert(Number.isFinite(lifetimeMs) && lifetimeMs >= 0, `lifetimeMs is ${lifetimeMs} and no duration`)
      const isTombstone = kind.isTombstone?.(record) ?? false
      assert(typeof isTombstone === 'boolean', `isTombstone is ${isTombstone} and no boolean`)
    }
  }
}

/** isValid's answer; fails where it throws or is no boolean. */
function judge(kind: RecordKind, key: NodeId, record: Uint8Array, holder: NodeId, what: string): boolean {
  const isValid: unknown = answerOf(() => kind.isValid(key, record, holder), 'isValid', what)
  assert(typeof isValid === 'boolean', `isValid answers ${String(isValid)} and no boolean to ${what}`)
  return isValid
}

/** Shows bytes as they may come from anyone to all that looks at such. */
function face({ kind, holder }: Subject, key: NodeId, record: Uint8Array, what: string): void {
  const isValid = judge(kind, key, record, holder, what)
  if (isValid) {
    assertWithinLimit(kind, record, `${what}, which is valid,`)
    // Whatever is valid reaches the other members, whoever made it.
    answerOf(() => answers(kind, record, record), 'a member', `${what}, which is valid`)
  }
  if (kind.accept === undefined) return
  for (const context of [contextOf(holder, 1, 1), contextOf(holder, 32, 64)]) {
    const kept: unknown = answerOf(() => kind.accept?.(key, record, context), 'accept', what)
    if (kept === undefined) continue
    assert(kept instanceof Uint8Array, `accept answers neither bytes nor undefined to ${what}`)
    assert(judge(kind, key, kept, holder, `what accept keeps of ${what}`), `what accept keeps of ${what} is not valid`)
    assertWithinLimit(kind, kept, `what accept keeps of ${what}`)
  }
}

function answerOf<T>(call: () => T, member: string, what: string): T {
  try {
    return call()
  } catch (error) {
    throw new Error(`${member} throws at ${what}: ${String(error)}`, { cause: error })
  }
}

type Answers = Readonly<Record<string, unknown>>

/** What the members other than isValid and accept say. */
function answers(kind: RecordKind, a: Uint8Array, b: Uint8Array): Answers {
  return {
    slot: kind.slot?.(a).join(),
    seq: kind.seq?.(a),
    merge: kind.merge(a, b).join(),
    lifetimeMs: kind.lifetimeMs?.(a),
    isTombstone: kind.isTombstone?.(a),
  }
}

function assertWithinLimit({ recordBytesMax }: RecordKind, record: Uint8Array, what: string): void {
  const isShort = record.length <= recordBytesMax
  assert(isShort, `${what} has ${record.length} bytes, recordBytesMax is ${recordBytesMax}`)
}

/** The records that merge may meet: those of one key and one slot. */
function groupsOf({ kind, samples }: Subject): RecordKindSample[] {
  return samples.flatMap(({ key, records }) => {
    const bySlot = new Map<string, Uint8Array[]>()
    for (const record of records) {
      const slot = kind.slot?.(record).join() ?? ''
      const group = bySlot.get(slot) ?? []
      if (group.length < RECORDS_PER_SLOT_MAX) group.push(record)
      bySlot.set(slot, group)
    }
    return [...bySlot.values()].map((group) => ({ key, records: group }))
  })
}

/** Calls `check` with every two records that merge may meet, and all of their key and slot. */
function forPairs(subject: Subject, check: (a: Uint8Array, b: Uint8Array, group: RecordKindSample) => void): void {
  for (const group of groupsOf(subject)) {
    for (const a of group.records) for (const b of group.records) check(a, b, group)
  }
}

function contextOf(holder: NodeId, tokenBytes: number, observedBytes: number): StoreContext {
  return { holder, token: new Uint8Array(tokenBytes).fill(7), observed: new Uint8Array(observedBytes).fill(4) }
}

/** How many of `count` cases each record of the samples gets; at least one. */
function share(count: number, samples: readonly RecordKindSample[]): number {
  const records = samples.reduce((sum, sample) => sum + sample.records.length, 0)
  return Math.ceil(count / Math.max(1, records))
}

/** At most `count` of the integers from 0 up to, not including, `end`: evenly spread, with the first and the last. */
function spread(end: number, count: number): number[] {
  if (end <= count) return Array.from({ length: end }, (_, i) => i)
  if (count < 2) return [end - 1]
  return Array.from({ length: count }, (_, i) => Math.floor((i * (end - 1)) / (count - 1)))
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}

/** The same bytes in the midst of others. */
function viewOf(bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(bytes.length + 8).fill(0xa5)
  frame.set(bytes, 3)
  return frame.subarray(3, 3 + bytes.length)
}

function isIntegerIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}
