import type { LevelDatabase } from './level-database.js'
import { claimDatabase, mustBeDatabase, releaseDatabase } from './level-database.js'
import type { LevelStoreConfig } from './level-store.js'
import { LevelStore } from './level-store.js'
import { STORE_LIMITS } from './limits.js'
import type { RecordStoreLimits } from './record-store.js'

export type {
  ByteEncodings,
  LevelDatabase,
  LevelDelete,
  LevelIterator,
  LevelOperation,
  LevelPut,
  LevelRange,
} from './level-database.js'
export type { LevelReport } from './level-load.js'
export type { LevelStore } from './level-store.js'

/** What {@link openLevelStore} takes beside the database. Without limits it has those of a node's store in memory. */
export interface LevelStoreOptions extends Partial<RecordStoreLimits> {
  /**
   * Whether each write is flushed to the disk before it is acknowledged. Without, a write outlives the end of the
   * process, however it ends, but not always that of the machine. For databases that can flush, such as classic-level.
   *
   * @defaultValue true
   */
  sync?: boolean
}

/**
 * Opens a store on a disk, or in whatever the database keeps its entries.
 *
 * What is damaged is dropped and told by `report`; opening fails only where the database can't be opened at all. Then
 * the database is closed, unless it was open before.
 *
 * @param database - any database of abstract-level from version 2 on, open or not, with nothing else in it. The store
 * closes it. Its own encodings don't matter, but its `storeEncoding` must be one for bytes, as it is by default
 * @throws DhtError when the database can't be opened, or another store uses it
 *
 * @example
 * ```ts
 * const storage = await openLevelStore(new ClassicLevel('records'))
 * const dht = createDht({ transport: udp(), storage })
 * ```
 */
export async function openLevelStore(database: LevelDatabase, options: LevelStoreOptions = {}): Promise<LevelStore> {
  mustBeDatabase(database)
  claimDatabase(database)
  const wasOpen = database.status === 'open'
  try {
    return await LevelStore.open(database, configOf(options))
  } catch (error) {
    // A database of abstract-level opens itself when it is made.
    if (!wasOpen) await database.close().catch(() => {})
    releaseDatabase(database)
    throw error
  }
}

/** @throws TypeError when there is no such option */
function configOf(options: LevelStoreOptions): LevelStoreConfig {
  const { bytesMax, recordsMax, recordsPerSourceMax, sync = true, ...others } = options
  for (const name of Object.keys(others)) throw new TypeError(`there is no option ${name}`)
  if (typeof sync !== 'boolean') throw new TypeError('sync must be true or false')
  const limits: RecordStoreLimits = {
    bytesMax: bytesMax ?? STORE_LIMITS.bytesMax,
    recordsMax: recordsMax ?? STORE_LIMITS.recordsMax,
    // Whoever sets the one without the other means what `RecordStoreLimits` says.
    recordsPerSourceMax: recordsPerSourceMax ?? recordsMax ?? STORE_LIMITS.recordsPerSourceMax,
  }
  return { limits, sync }
}
