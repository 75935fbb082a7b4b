import type { LevelDatabase } from './level-database.js'
import { mustBeDatabase } from './level-database.js'
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
 * What is damaged is dropped and told by `report`; opening fails only where the database can't be opened at all.
 *
 * @param database - any database of abstract-level from version 2 on, open or not, with nothing else in it. The store
 * closes it
 * @throws DhtError when the database can't be opened
 *
 * @example
 * ```ts
 * const storage = await openLevelStore(new ClassicLevel('records'))
 * const dht = createDht({ transport: udp(), storage })
 * ```
 */
export async function openLevelStore(database: LevelDatabase, options: LevelStoreOptions = {}): Promise<LevelStore> {
  mustBeDatabase(database)
  const { bytesMax, recordsMax, recordsPerSourceMax, sync = true, ...others } = options
  for (const name of Object.keys(others)) throw new TypeError(`there is no option ${name}`)
  if (typeof sync !== 'boolean') throw new TypeError('sync must be true or false')
  const limits: RecordStoreLimits = {
    bytesMax: bytesMax ?? STORE_LIMITS.bytesMax,
    recordsMax: recordsMax ?? STORE_LIMITS.recordsMax,
    // Whoever sets the one without the other means what `RecordStoreLimits` says.
    recordsPerSourceMax: recordsPerSourceMax ?? recordsMax ?? STORE_LIMITS.recordsPerSourceMax,
  }
  return LevelStore.open(database, { limits, sync })
}
