// Compiled, not run: databases of abstract-level are what the store on a disk takes, with whatever types of their own.
import type { AbstractLevel } from 'abstract-level'
import { MemoryLevel } from 'memory-level'
import type { LevelReport, LevelStore, LevelStoreOptions } from 'xorbit/level'
import { openLevelStore } from 'xorbit/level'

export async function open(any: AbstractLevel<string | Uint8Array, string, unknown>): Promise<LevelReport[]> {
  const options: LevelStoreOptions = { recordsMax: 1_000, sync: false }
  const stores: LevelStore[] = [
    await openLevelStore(any, options),
    await openLevelStore(new MemoryLevel()),
    await openLevelStore(new MemoryLevel<Uint8Array, { json: true }>({ valueEncoding: 'json' })),
    await openLevelStore(new MemoryLevel().sublevel('records')),
  ]
  return stores.map(({ report }) => report)
}

// @ts-expect-error a Map is no database.
export const wrong: Promise<LevelStore> = openLevelStore(new Map())
