import { resolve } from 'node:path'
import { DhtError } from '../index.js'
import type { LevelStore } from '../storage/level.js'
import { openLevelStore } from '../storage/level.js'
import { FolderInUseError } from './folder-lock.js'
import type { JournalReport } from './journal.js'
import { Journal } from './journal.js'

/** The folder of a node. */
export interface DataFolder {
  /**
   * Keeps the node's records, id, key and contacts. The folder belongs to this process until it is closed, as `dht.close()`
   * does. Its `report` tells which records were found.
   */
  readonly storage: LevelStore
  /** What was found in the file itself. */
  readonly report: JournalReport
}

/**
 * Opens the folder that a node keeps its state in, and makes it where there is none. Only this user may read what is
 * written there: a secret key is in it.
 *
 * @throws DhtError with code `ERR_STORE_FAILED` or `ERR_STORE_FULL` when it can't be used, or another process uses it
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const folder = resolve(path)
  const journal = new Journal(folder)
  try {
    const storage = await openLevelStore(journal)
    return { storage, report: journal.report as JournalReport }
  } catch (error) {
    throw failureIn(folder, error)
  }
}

function failureIn(folder: string, error: unknown): DhtError {
  const reason = lastCauseOf(error)
  const code = error instanceof DhtError ? error.code : 'ERR_STORE_FAILED'
  const message = `the data folder can not be used: ${reason.message}${adviceOn(reason, folder)}`
  return new DhtError(code, message, { cause: error })
}

function adviceOn(reason: Error & { readonly code?: unknown }, folder: string): string {
  if (reason instanceof FolderInUseError) return ''
  switch (reason.code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `. This user has to be allowed to write in ${folder}`
    case 'EEXIST':
    case 'ENOTDIR':
      return `. ${folder} has to be a folder`
    case 'ENOSPC':
    case 'EDQUOT':
      return '. Make room on the disk'
    default:
      return ''
  }
}

function lastCauseOf(error: unknown): Error & { readonly code?: unknown } {
  let last = error instanceof Error ? error : new Error(String(error))
  for (let depth = 0; depth < 8 && last.cause instanceof Error; depth++) last = last.cause
  return last
}
