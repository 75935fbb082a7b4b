import { ID_BYTES } from '../keyspace/index.js'
import type { LevelDatabase } from './level-database.js'
import { AS_BYTES } from './level-database.js'
import { RECORD_PREFIX } from './level-layout.js'

/** What the keys of nearly all records begin with: theirs have 32 bytes. Only there smaller ranges are worth while. */
const CROWDED = Uint8Array.of(...RECORD_PREFIX, ID_BYTES)

/** How many entries are read at a time. */
const CHUNK_ENTRIES = 256

/**
 * How many bytes of keys a range may have in common before it is given up: layout, letter and length of a record's
 * key, and two bytes of the key. So a damaged place costs the records beside it at most 1 in 65,536 of the key space.
 */
const PREFIX_BYTES_MAX = CROWDED.length + 2

/** Keys that begin with `prefix`, and come after `after`. */
interface Range {
  readonly prefix: Uint8Array
  readonly after: Uint8Array | undefined
  /** Where it begins: before its prefix where that ends in zeros, as shorter keys come there. */
  readonly from?: Uint8Array
}

/**
 * Reads every entry that can be read, in the order of their keys as far as they are intact. Where the database fails
 * in the middle, it goes on behind that place by smaller and smaller ranges; where nothing at all can be read, it ends
 * after some 66,000 of them.
 *
 * @param visit - whether the entry is intact
 * @returns how many ranges had to be given up
 * @throws what the database fails with, where that is no sign of damage
 */
export async function scan(
  database: LevelDatabase,
  visit: (key: Uint8Array, value: Uint8Array) => boolean,
  isDamage: (error: unknown) => boolean,
): Promise<number> {
  let unreadable = 0
  // The last one is next, so that few are open at a time.
  const ranges: Range[] = [{ prefix: new Uint8Array(0), after: undefined }]
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    const isSmallest = range.prefix.length >= PREFIX_BYTES_MAX || !isCrowded(range.prefix)
    const { last, error } = await scanRange(database, range, isSmallest ? 1 : CHUNK_ENTRIES, visit)
    if (error === undefined) continue
    if (!isDamage(error)) throw error
    if (isSmallest) unreadable++
    else ranges.push(...partsOf({ ...range, after: last }))
  }
  return unreadable
}

async function scanRange(
  database: LevelDatabase,
  { prefix, after, from = prefix }: Range,
  chunkEntries: number,
  visit: (key: Uint8Array, value: Uint8Array) => boolean,
): Promise<{ last: Uint8Array | undefined; error: unknown }> {
  const end = endOf(prefix)
  const begin = after === undefined || compare(after, from) < 0 ? { gte: from } : { gt: after }
  let last = after
  const iterator = database.iterator({ ...AS_BYTES, ...begin, ...(end && { lt: end }) })
  try {
    for (;;) {
      const entries = await iterator.nextv(chunkEntries)
      if (entries.length === 0) return { last, error: undefined }
      for (const [key, value] of entries) {
        // A damaged key says nothing of where the iterator is, nor does it come in order.
        if (visit(key, value)) last = new Uint8Array(key)
      }
    }
  } catch (error) {
    return { last, error: error ?? new Error('the database failed without a reason') }
  } finally {
    // What it fails with was told by nextv.
    await iterator.close().catch(() => {})
  }
}

/** What is left of a range by the next byte, the first one last. */
function partsOf({ prefix, after, from = prefix }: Range): Range[] {
  const parts: Range[] = []
  for (let byte = 255; byte >= 0; byte--) {
    const part = Uint8Array.of(...prefix, byte)
    const end = endOf(part)
    if (after === undefined || end === undefined || compare(after, end) < 0)
      parts.push({ prefix: part, after, ...(byte === 0 && { from }) })
  }
  return parts
}

/** The first key behind all that begin with `prefix`; none behind those that begin with 255 alone. */
function endOf(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 255) length--
  if (length === 0) return undefined
  const end = prefix.slice(0, length)
  end[length - 1] = (end[length - 1] as number) + 1
  return end
}

function isCrowded(prefix: Uint8Array): boolean {
  return CROWDED.every((byte, i) => i >= prefix.length || prefix[i] === byte)
}

/** Negative when `a` comes first. */
function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
