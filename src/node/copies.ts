import type { DhtErrorCode } from '../errors.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import type { NodeContext } from './node-context.js'

/** The slot of kinds with one record a key. */
const NO_SLOT = new Uint8Array(0)

/** The note beside a copy that a reader left on its way: nobody passes it on. */
const CACHED = Uint8Array.of(1)

/** Of a full key, one network may have this share before its newcomers take the places of its own. */
const SLOTS_SHARE = 1 / 16

/** A record that is to be kept. */
export interface RecordToKeep {
  readonly key: Uint8Array
  readonly kind: RecordKind
  /** The record in the form that is kept, if it is valid; given what is held, as what is held was found valid before. */
  accept(held: readonly StoredRecord[]): Uint8Array | undefined
  /** The lifetime that is asked for. */
  readonly lifetimeMs: number
  /** Who is charged for it. */
  readonly source: Uint8Array
  /** Keep it only when the record held has this sequence number. */
  readonly cas: bigint | undefined
  /** Whether it is a copy that a reader left on its way. */
  readonly isCached: boolean
}

/** Why a record is not kept. */
export interface Refusal {
  readonly code: DhtErrorCode
  readonly text: string
}

interface Kept {
  readonly copy: StoredRecord
  /** Whose place it takes, beside that of its own name. */
  readonly victim: StoredRecord | undefined
}

/** Whether a stored record is a copy that a reader left on its way. */
export function isCached({ meta }: StoredRecord): boolean {
  return meta !== undefined && meta.length > 0
}

/** Those of our own records of a key that a search may use: neither expired nor tombstones, and valid still. */
export function usable(
  { clock, id }: Pick<NodeContext, 'clock' | 'id'>,
  key: Uint8Array,
  kind: RecordKind,
  held: readonly StoredRecord[],
): StoredRecord[] {
  const nowMs = clock.wallNow()
  return held.filter(({ expiresAtMs, record }) => {
    return expiresAtMs > nowMs && kind.isTombstone?.(record) !== true && kind.isValid(key, record, id)
  })
}

/** The one slot that a record has in its key. */
export function slotOf(kind: RecordKind, record: Uint8Array): Uint8Array {
  return kind.slot?.(record) ?? NO_SLOT
}

/**
 * Keeps a record if it is the one to keep, given what is held of its key.
 *
 * @param done - why it was not kept, or else for how long it is kept, in ms
 * @param failed - the store failed
 */
export function keepRecord(
  node: NodeContext,
  offer: RecordToKeep,
  done: (refusal: Refusal | undefined, lifetimeMs: number) => void,
  failed: (error: unknown) => void,
): void {
  const { store } = node
  const { key, kind } = offer
  const isTaken = node.turns.take(turnOf(key, kind), (end) => {
    const fail = (error: unknown): void => {
      end()
      failed(error)
    }
    const finish = (refusal: Refusal | undefined, lifetimeMs: number): void => {
      end()
      done(refusal, lifetimeMs)
    }
    const put = ({ copy, victim }: Kept, lifetimeMs: number): void => {
      const removeVictim = () => (victim ? store.delete(key, kind.code, victim.slot) : false)
      const stored = (outcome: 'stored' | 'full'): void => {
        if (outcome === 'full') finish({ code: 'ERR_STORE_FULL', text: 'no room for the record' }, 0)
        else whenReady(removeVictim, () => finish(undefined, lifetimeMs), fail)
      }
      whenReady(() => store.put(copy), stored, fail)
    }
    const keep = (held: readonly StoredRecord[]): void => {
      const nowMs = node.clock.wallNow()
      const verdict = judge(node, offer, held, nowMs)
      if ('code' in verdict) finish(verdict, 0)
      else put(verdict, verdict.copy.expiresAtMs - nowMs)
    }
    whenReady(() => store.list(key, kind.code), keep, fail)
  })
  if (!isTaken) done({ code: 'ERR_RATE_LIMITED', text: 'too many records of this key wait for the store' }, 0)
}

/** The name of the turn in which the records of a key are read and written. */
export function turnOf(key: Uint8Array, kind: RecordKind): string {
  return String.fromCharCode(kind.code) + mapKey(key)
}

/** What becomes of a record, given what is held of its key. */
function judge(node: NodeContext, offer: RecordToKeep, held: readonly StoredRecord[], nowMs: number): Kept | Refusal {
  const { key, kind, cas } = offer
  const record = offer.accept(held)
  if (!record) return { code: 'ERR_INVALID_RECORD', text: 'the record is not of its kind or not of its key' }
  const slot = slotOf(kind, record)
  const alive = held.filter(({ expiresAtMs }) => expiresAtMs > nowMs)
  const rival = alive.find((other) => sameBytes(other.slot, slot))
  const isSame = rival !== undefined && sameBytes(rival.record, record)
  let kept = record
  if (rival && !isSame) {
    const heldSeq = kind.seq?.(rival.record)
    if (cas !== undefined && heldSeq !== undefined && heldSeq !== cas) {
      return { code: 'ERR_CAS_MISMATCH', text: `the record held has sequence number ${heldSeq}` }
    }
    kept = kind.merge(rival.record, record)
    if (kind.seq && heldSeq !== undefined && !sameBytes(kept, record)) {
      if (kind.seq(record) < heldSeq) {
        return { code: 'ERR_SEQ_TOO_LOW', text: `the record held has sequence number ${heldSeq}` }
      }
      return { code: 'ERR_SEQ_CONFLICT', text: 'another record with this sequence number is held, and wins' }
    }
  }
  const beyond = kind.isRelayed ? nodesBetween(node, key) : 0
  if (!rival && beyond > 0 && node.store.stats().fill >= node.config.nearlyFull) {
    return { code: 'ERR_TOO_FAR', text: 'nearly full, and others are nearer to the key' }
  }
  // What is held for its publisher or by right stays so, whoever caches it too.
  const rivalIsOwn = rival !== undefined && !isCached(rival)
  if (offer.isCached && rivalIsOwn) return { copy: rival, victim: undefined }
  // A clock that was wrong when it was stored must not keep it alive for ever.
  const clamped = (atMs: number): number => Math.min(atMs, nowMs + node.config.valueLifetimeMaxMs)
  const expiresAtMs = nowMs + lifetimeOf(node, offer, kept, beyond)
  // A higher sequence number is another record, whose writer decides; all else goes on from what was held.
  const isProlonged = rival !== undefined && (!kind.seq || sameBytes(rival.record, kept))
  const copy: StoredRecord = {
    key,
    kind: kind.code,
    slot,
    record: kept,
    storedAtMs: nowMs,
    // Whoever stores the same again may prolong its life, never shorten it.
    expiresAtMs: isProlonged ? Math.max(clamped(rival.expiresAtMs), expiresAtMs) : expiresAtMs,
    // Else a flooder could take over others' records by repeating them.
    source: isProlonged ? rival.source : offer.source,
    ...(offer.isCached && { meta: CACHED }),
  }
  const isFull = !rival && alive.length >= kind.slotsPerKeyMax
  return { copy, victim: isFull ? randomVictim(node, alive, offer) : undefined }
}

/** How long a record is kept: what is asked for, capped, and shorter the more nodes stand between us and the key. */
function lifetimeOf({ config }: NodeContext, offer: RecordToKeep, record: Uint8Array, beyond: number): number {
  const { kind, lifetimeMs, isCached } = offer
  const capMs = Math.min(kind.lifetimeMaxMs ?? Number.POSITIVE_INFINITY, config.valueLifetimeMaxMs)
  const cachedCapMs = isCached ? config.cachedLifetimeMaxMs : capMs
  const ownMs = kind.lifetimeMs?.(record) ?? lifetimeMs
  const askedMs = Math.min(kind.isRelayed ? Math.min(ownMs, lifetimeMs) : ownMs, capMs, cachedCapMs)
  // Paper 2.3: exponentially inversely proportional to the number of nodes between us and the nearest to the key.
  // Between whole halvings a straight line, as powers of fractions differ from engine to engine.
  const halvings = Math.floor(beyond / config.k)
  return (askedMs * (1 - (beyond / config.k - halvings) / 2)) / 2 ** Math.min(halvings, 30)
}

/** About how many nodes stand between the k nearest to the key and us; 0 when we are one of these. */
export function nodesBetween({ config, table }: NodeContext, key: Uint8Array): number {
  return Math.max(0, table.countNearer(key) - config.k + 1)
}

/** Whose place a newcomer takes: anybody's, or one of its own network's where that has its share. */
function randomVictim(node: NodeContext, alive: readonly StoredRecord[], { kind, source }: RecordToKeep): StoredRecord {
  const ofSource = alive.filter((other) => sameBytes(other.source, source))
  const candidates = ofSource.length >= Math.max(1, kind.slotsPerKeyMax * SLOTS_SHARE) ? ofSource : alive
  const [a, b, c] = node.randomBytes(3) as unknown as [number, number, number]
  return candidates[((a << 16) | (b << 8) | c) % candidates.length] as StoredRecord
}
