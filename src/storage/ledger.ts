import { mapKey } from '../keyspace/index.js'
import { Heap } from './heap.js'
import type { RecordStoreLimits, StoredRecord } from './record-store.js'

/** A record in its place. Replacing a record changes `held`, so that an iteration under way sees the new one. */
export interface Entry<Held> {
  /** Key and kind, as {@link placeOf} writes them. */
  readonly place: string
  /** As `mapKey` writes it. */
  readonly slot: string
  /** What the store keeps of it. */
  held: Held
  expiresAtMs: number
  /** What it weighs, overhead included. */
  bytes: number
  source: Source<Held>
  /** Counts up with each put: of equal expiries, the older goes first. */
  order: number
  expiryPosition: number
  sourcePosition: number
}

/** Who stored something, and how much. */
interface Source<Held> {
  readonly name: string
  /** The name as bytes, shared by all its records. */
  readonly group: Uint8Array
  readonly entries: Heap<'sourcePosition', Entry<Held>>
  bytes: number
  /** The `order` of what it was given last: of equally heavy sources, the one that grew last gives way. */
  order: number
  weightPosition: number
}

/** A record that asks for a place. */
export interface Candidate<Held> {
  readonly place: string
  readonly slot: string
  readonly expiresAtMs: number
  readonly bytes: number
  /** Who is charged for it. */
  readonly source: Uint8Array
  /**
   * Makes what is kept of it; called only when the record may get a place.
   *
   * @param source - the source's name, to be shared by its records
   * @param order - the number of this put
   */
  hold(source: Uint8Array, order: number): Held
}

/** What an entry was at some moment. */
export interface Snapshot<Held> extends Pick<Entry<Held>, 'held' | 'expiresAtMs' | 'bytes' | 'source' | 'order'> {
  readonly entry: Entry<Held>
}

/** What a put changed. */
export interface Placed<Held> {
  readonly entry: Entry<Held>
  /** What had this name before. */
  readonly before: Snapshot<Held> | undefined
  /** What gave way. */
  readonly evicted: readonly Entry<Held>[]
}

/**
 * Which records a store holds, and which give way to others: the book-keeping behind every store. It decides at once
 * and in memory; what a record consists of is the store's affair. Every operation is O(log n), whatever is held.
 *
 * When it is full, records of the heaviest source go first, soonest expiry first. When the new record makes its own
 * source the heaviest, or equally heavy, it displaces that source's own records; if it would expire before all of
 * them it is refused. So a flood from one network displaces only itself as soon as it outweighs everybody else.
 * What a source adds to `recordsPerSourceMax` records is refused and displaces nothing.
 */
export class Ledger<Held> {
  readonly #limits: Required<RecordStoreLimits>
  /** By key and kind, then by slot. */
  readonly #places = new Map<string, Map<string, Entry<Held>>>()
  readonly #sources = new Map<string, Source<Held>>()
  readonly #byExpiry = new Heap<'expiryPosition', Entry<Held>>('expiryPosition', goesBefore)
  readonly #byWeight = new Heap<'weightPosition', Source<Held>>('weightPosition', outweighs)
  #bytes = 0
  #order = 0

  /** @throws RangeError when a limit is no whole number from 0 up */
  constructor({ bytesMax, recordsMax, recordsPerSourceMax = recordsMax }: RecordStoreLimits) {
    this.#limits = { bytesMax, recordsMax, recordsPerSourceMax }
    for (const [name, max] of Object.entries(this.#limits)) {
      if (!Number.isSafeInteger(max) || max < 0) throw new RangeError(`${name} must be a whole number`)
    }
  }

  /** How many records there are. */
  get size(): number {
    return this.#byExpiry.size
  }

  /** The records of a place, none when there are none. */
  at(place: string): Iterable<Entry<Held>> {
    return this.#places.get(place)?.values() ?? NOTHING
  }

  /** The record of that name. */
  find(place: string, slot: string): Entry<Held> | undefined {
    return this.#places.get(place)?.get(slot)
  }

  /** All records as they are now, in no particular order. What is removed later is told by {@link isHeld}. */
  all(): Entry<Held>[] {
    const all: Entry<Held>[] = []
    for (const slots of this.#places.values()) for (const entry of slots.values()) all.push(entry)
    return all
  }

  /** As `RecordStore.stats` gives it. */
  stats(): { readonly records: number; readonly bytes: number; readonly fill: number } {
    const { bytesMax, recordsMax } = this.#limits
    const [records, bytes] = [this.#byExpiry.size, this.#bytes]
    return { records, bytes, fill: Math.max(share(records, recordsMax), share(bytes, bytesMax)) }
  }

  /** Gives a record its place, or leaves all as it was: undefined. */
  put(candidate: Candidate<Held>): Placed<Held> | undefined {
    if (candidate.bytes > this.#limits.bytesMax || this.#limits.recordsMax === 0) return undefined
    const { place, slot, expiresAtMs, bytes } = candidate
    const known = this.find(place, slot)
    const source = this.#sourceOf(candidate.source)
    if (known?.source !== source && source.entries.size >= this.#limits.recordsPerSourceMax) return undefined
    const sourceOrder = source.order
    const before = known && snapshotOf(known)
    if (known) this.remove(known)
    const order = this.#order++
    const change = { held: candidate.hold(source.group, order), expiresAtMs, bytes, source, order }
    const entry = known
      ? Object.assign(known, change)
      : { place, slot, expiryPosition: -1, sourcePosition: -1, ...change }
    this.#add(entry)
    const evicted = this.#makeRoom(entry, sourceOrder, before)
    return evicted && { entry, before, evicted }
  }

  /** Takes a record back that was put in an earlier run, whatever the limits say; {@link trim} makes them hold again. */
  load(candidate: Candidate<Held>, order: number): void {
    const { place, slot, expiresAtMs, bytes } = candidate
    const source = this.#sourceOf(candidate.source)
    this.#order = Math.max(this.#order, order + 1)
    const held = candidate.hold(source.group, order)
    this.#add({ place, slot, expiryPosition: -1, sourcePosition: -1, held, expiresAtMs, bytes, source, order })
  }

  /** Evicts until the limits hold. */
  trim(): Entry<Held>[] {
    const evicted: Entry<Held>[] = []
    const evict = (source: Source<Held>): void => {
      const victim = source.entries.first() as Entry<Held>
      this.remove(victim)
      evicted.push(victim)
    }
    for (const source of [...this.#sources.values()]) {
      while (source.entries.size > this.#limits.recordsPerSourceMax) evict(source)
    }
    while (this.#isOverfull()) evict(this.#byWeight.first() as Source<Held>)
    return evicted
  }

  /** Makes a record what it was, whatever became of it since and whatever the limits say. */
  restore({ entry, ...before }: Snapshot<Held>): void {
    const now = this.find(entry.place, entry.slot)
    if (now) this.remove(now)
    // Its source may have gone and come again meanwhile.
    Object.assign(entry, before, { source: this.#sourceOf(before.source.group) })
    this.#add(entry)
  }

  /** Removes a record that is held. */
  remove(entry: Entry<Held>): void {
    const slots = this.#places.get(entry.place) as Map<string, Entry<Held>>
    slots.delete(entry.slot)
    if (slots.size === 0) this.#places.delete(entry.place)
    this.#byExpiry.remove(entry)
    this.#bytes -= entry.bytes

    const { source } = entry
    source.entries.remove(entry)
    source.bytes -= entry.bytes
    if (source.entries.size > 0) {
      this.#byWeight.moved(source)
    } else {
      this.#byWeight.remove(source)
      this.#sources.delete(source.name)
    }
  }

  /** Removes what is expired by then, soonest expiry first, and no more than `max` of it. */
  removeExpired(nowMs: number, max: number = Number.POSITIVE_INFINITY): Entry<Held>[] {
    const removed: Entry<Held>[] = []
    while (removed.length < max) {
      const entry = this.#byExpiry.first()
      if (entry === undefined || !(entry.expiresAtMs <= nowMs)) break
      this.remove(entry)
      removed.push(entry)
    }
    return removed
  }

  /** Removes everything. */
  clear(): void {
    while (this.#byExpiry.size > 0) this.remove(this.#byExpiry.first() as Entry<Held>)
  }

  /** Evicts until the limits hold again; if that would take the new entry itself, all is put back as it was. */
  #makeRoom(
    added: Entry<Held>,
    sourceOrder: number,
    before: Snapshot<Held> | undefined,
  ): readonly Entry<Held>[] | undefined {
    // Most puts evict nothing: no array is made for them.
    let evicted: Entry<Held>[] | undefined
    while (this.#isOverfull()) {
      const victim = (this.#byWeight.first() as Source<Held>).entries.first() as Entry<Held>
      this.remove(victim)
      if (victim !== added) {
        evicted ??= []
        evicted.push(victim)
        continue
      }
      added.source.order = sourceOrder
      if (added.source.weightPosition >= 0) this.#byWeight.moved(added.source)
      for (const entry of evicted ?? NOTHING) this.#add(entry)
      if (before) {
        const { held, expiresAtMs, bytes, source, order } = before
        this.#add(Object.assign(added, { held, expiresAtMs, bytes, source, order }))
      }
      return undefined
    }
    return evicted ?? NOTHING
  }

  #isOverfull(): boolean {
    return this.#bytes > this.#limits.bytesMax || this.#byExpiry.size > this.#limits.recordsMax
  }

  #add(entry: Entry<Held>): void {
    const slots = this.#places.get(entry.place)
    if (slots) slots.set(entry.slot, entry)
    else this.#places.set(entry.place, new Map([[entry.slot, entry]]))
    this.#byExpiry.add(entry)
    this.#bytes += entry.bytes

    const { source } = entry
    source.entries.add(entry)
    source.bytes += entry.bytes
    source.order = Math.max(source.order, entry.order)
    if (source.weightPosition >= 0) {
      this.#byWeight.moved(source)
    } else {
      this.#sources.set(source.name, source)
      this.#byWeight.add(source)
    }
  }

  /** The source of that name, or a new one that `#add` is to enter. */
  #sourceOf(group: Uint8Array): Source<Held> {
    const name = mapKey(group)
    const known = this.#sources.get(name)
    if (known) return known
    const entries = new Heap<'sourcePosition', Entry<Held>>('sourcePosition', goesBefore)
    return { name, group: new Uint8Array(group), entries, bytes: 0, order: 0, weightPosition: -1 }
  }
}

/** Whether a record is still in its ledger. */
export function isHeld({ expiryPosition }: Pick<Entry<unknown>, 'expiryPosition'>): boolean {
  return expiryPosition >= 0
}

/** What an entry is now. */
export function snapshotOf<Held>(entry: Entry<Held>): Snapshot<Held> {
  const { held, expiresAtMs, bytes, source, order } = entry
  return { entry, held, expiresAtMs, bytes, source, order }
}

/** What makes the ledger what it was before a put; to be called at most once. */
export function undoOf<Held>(ledger: Ledger<Held>, { entry, before, evicted }: Placed<Held>): () => void {
  const gone = evicted.map(snapshotOf)
  return () => {
    if (isHeld(entry)) ledger.remove(entry)
    for (const snapshot of gone) ledger.restore(snapshot)
    if (before) ledger.restore(before)
  }
}

/** Where the records of one key and kind are. */
export function placeOf(key: Uint8Array, kind: number): string {
  return String.fromCharCode(kind) + mapKey(key)
}

/** What a record weighs beside a store's overhead: the bytes of its fields. */
export function fieldBytesOf({ key, slot, record, source, meta }: StoredRecord): number {
  return key.length + slot.length + record.length + source.length + (meta?.length ?? 0)
}

/** @throws RangeError when a record has no name that a store can keep, or a time that is none */
export function mustBeRecord({ key, kind, slot, storedAtMs, expiresAtMs }: StoredRecord): void {
  if (key.length === 0 || key.length > 255) throw new RangeError('key must have 1 to 255 bytes')
  if (slot.length > 255) throw new RangeError('slot must have at most 255 bytes')
  if (!Number.isInteger(kind) || kind < 0 || kind > 255)
    throw new RangeError('kind must be a whole number from 0 to 255')
  if (!Number.isFinite(storedAtMs) || !Number.isFinite(expiresAtMs)) throw new RangeError('times must be finite')
}

const NOTHING: readonly never[] = []

type Dated = Pick<Entry<unknown>, 'expiresAtMs' | 'order'>
type Weighed = Pick<Source<unknown>, 'bytes' | 'order'>

function goesBefore(a: Dated, b: Dated): boolean {
  const differenceMs = a.expiresAtMs - b.expiresAtMs
  return differenceMs < 0 || (differenceMs === 0 && a.order < b.order)
}

function outweighs(a: Weighed, b: Weighed): boolean {
  return a.bytes > b.bytes || (a.bytes === b.bytes && a.order > b.order)
}

function share(held: number, max: number): number {
  return max === 0 ? 1 : held / max
}
