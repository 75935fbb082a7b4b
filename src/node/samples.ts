import type { RandomBytes } from '../platform/random.js'
import type { StoredRecord } from '../storage/index.js'

/** Bytes of a cursor: the seed of a sample, and how many of its records to leave out. */
const CURSOR_BYTES = 6

/** More slots than any kind has. */
const SLOTS_MAX = 65_536

/** Which sample of a key's records is wanted, and where to go on in it. */
export interface Cursor {
  /** 32 random bits: another seed is another order of the records. */
  readonly seed: number
  /** How many of the first to leave out: those that came already. */
  readonly skip: number
}

export function encodeCursor({ seed, skip }: Cursor): Uint8Array {
  const bytes = new Uint8Array(CURSOR_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, seed)
  view.setUint16(4, Math.min(skip, 0xffff))
  return bytes
}

/** Reads a cursor; undefined for one of another form, which stands for any sample. */
export function decodeCursor(bytes: Uint8Array): Cursor | undefined {
  if (bytes.length !== CURSOR_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return { seed: view.getUint32(0), skip: view.getUint16(4) }
}

/** A seed that nobody can foresee. */
export function randomSeed({ randomBytes }: { readonly randomBytes: RandomBytes }): number {
  return new DataView(randomBytes(4).buffer).getUint32(0)
}

/**
 * The records in the order of a seed: over all seeds each is equally likely to come first, whatever slots their
 * writers chose, and one seed gives one order, so that a reader may go on where it stopped.
 */
export function inOrderOf(seed: number, records: readonly StoredRecord[]): StoredRecord[] {
  // Rank and index in one number: sorting numbers takes a tenth of the time that sorting records does.
  const ranks = Float64Array.from(records, ({ slot }, i) => mix(wordOf(slot) ^ seed) * SLOTS_MAX + i)
  return Array.from(ranks.sort(), (rank) => records[rank % SLOTS_MAX] as StoredRecord)
}

/** A word of the slot's hash would cost 1,000 hashes a request; the writer may choose these bytes, but not the seed. */
function wordOf(slot: Uint8Array): number {
  let word = slot.length
  for (let i = 0; i < 8; i++) word = Math.imul(word, 31) + (slot[i] ?? 0)
  return word
}

/** The finalizer of MurmurHash3: each bit of the input changes half of the output's. */
function mix(word: number): number {
  let mixed = word
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
