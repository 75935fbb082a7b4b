import type { NodeId } from '../keyspace/index.js'
import type { RecordKind, StoreContext } from '../records/index.js'
import { SEQ_MAX } from '../records/index.js'

const SLOT_BYTES_MAX = 255

/** The kinds by their code, each made safe: what an application's own throws must not end the node. */
export function kindsByCode(kinds: readonly RecordKind[]): ReadonlyMap<number, RecordKind> {
  return new Map(kinds.map((kind) => [kind.code, guarded(kind)]))
}

/** The same kind, for which a record is invalid where any of its answers about it is unusable. */
function guarded(kind: RecordKind): RecordKind {
  const { accept } = kind
  return {
    code: kind.code,
    name: kind.name,
    recordBytesMax: kind.recordBytesMax,
    slotsPerKeyMax: kind.slotsPerKeyMax,
    ...(kind.lifetimeMaxMs !== undefined && { lifetimeMaxMs: kind.lifetimeMaxMs }),
    isRelayed: kind.isRelayed,
    isFirstEnough: kind.isFirstEnough,
    isValid: (key, record, holder) =>
      tried(() => kind.isValid(key, record, holder) === true && isUsable(kind, record)) ?? false,
    merge: (a, b) => mergedOf(kind, a, b),
    ...(kind.slot && { slot: (record: Uint8Array) => tried(() => kind.slot?.(record)) ?? new Uint8Array(0) }),
    ...(kind.seq && { seq: (record: Uint8Array) => tried(() => kind.seq?.(record)) ?? 0n }),
    ...(accept && {
      accept(key: NodeId, record: Uint8Array, context: StoreContext) {
        const kept = tried(() => kind.accept?.(key, record, context))
        return kept && isUsable(kind, kept) ? kept : undefined
      },
    }),
    ...(kind.lifetimeMs && { lifetimeMs: (record: Uint8Array) => tried(() => kind.lifetimeMs?.(record)) ?? 0 }),
    ...(kind.isTombstone && { isTombstone: (record: Uint8Array) => tried(() => kind.isTombstone?.(record)) === true }),
  }
}

/** Whether all that is asked about a record has a usable answer; pure members give the same ones later. */
function isUsable(kind: RecordKind, record: Uint8Array): boolean {
  const isFine = tried(() => {
    if (!(record instanceof Uint8Array) || record.length === 0 || record.length > kind.recordBytesMax) return false
    kind.isTombstone?.(record)
    const slot = kind.slot?.(record)
    const seq = kind.seq?.(record)
    const lifetimeMs = kind.lifetimeMs?.(record)
    if (kind.slot && (!(slot instanceof Uint8Array) || slot.length > SLOT_BYTES_MAX)) return false
    if (kind.seq && (typeof seq !== 'bigint' || seq < 0n || seq > SEQ_MAX)) return false
    return !kind.lifetimeMs || (typeof lifetimeMs === 'number' && lifetimeMs >= 0)
  })
  return isFine === true
}

/** What two records make; the first where the kind fails to say. */
function mergedOf(kind: RecordKind, a: Uint8Array, b: Uint8Array): Uint8Array {
  const merged = tried(() => kind.merge(a, b))
  return merged && isUsable(kind, merged) ? merged : a
}

function tried<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}
