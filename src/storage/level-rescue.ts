import type { Ledger } from './ledger.js'
import type { LevelDatabase } from './level-database.js'
import { readMany } from './level-database.js'
import { recordKey } from './level-layout.js'
import type { OnDisk } from './level-load.js'

/** How many records are read at a time where all are. */
export const CHUNK_RECORDS = 64

/** Up to so many bytes of records are held in memory while the database is closed. */
const RESCUED_BYTES_MAX = 256 * 2 ** 20

/**
 * Takes into memory what is held, unless it is too much: where the disk is full, a database that was closed can't be
 * opened.
 */
export async function takeIntoMemory(database: LevelDatabase, ledger: Ledger<OnDisk>): Promise<void> {
  if (ledger.stats().bytes > RESCUED_BYTES_MAX) return
  const all = ledger.all().filter(({ held }) => held.value === undefined)
  for (let at = 0; at < all.length; at += CHUNK_RECORDS) {
    const chunk = all.slice(at, at + CHUNK_RECORDS)
    const keys = chunk.map(({ place, slot }) => recordKey(place, slot))
    const values = await readMany(database, keys)
    for (const [i, { held }] of chunk.entries()) {
      const value = values[i]
      held.value = value ? new Uint8Array(value) : undefined
    }
  }
}
