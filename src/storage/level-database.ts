import { DhtError } from '../errors.js'

/** Keys and values as bytes, whatever the database's own encodings are. */
export const AS_BYTES: ByteEncodings = { keyEncoding: 'view', valueEncoding: 'view' }

/** Options that each call gets. */
export interface ByteEncodings {
  /** Keys are `Uint8Array`. */
  readonly keyEncoding: 'view'
  /** Values are `Uint8Array`. */
  readonly valueEncoding: 'view'
}

/** Adds an entry or replaces it. */
export interface LevelPut {
  /** Which change it is. */
  readonly type: 'put'
  /** The entry's key. */
  readonly key: Uint8Array
  /** Its new value. */
  readonly value: Uint8Array
}

/** Removes an entry, if it is there. */
export interface LevelDelete {
  /** Which change it is. */
  readonly type: 'del'
  /** The entry's key. */
  readonly key: Uint8Array
}

/** One change of a batch. */
export type LevelOperation = LevelPut | LevelDelete

/** Where an iterator begins and ends. */
export interface LevelRange extends ByteEncodings {
  /** After this key. */
  readonly gt?: Uint8Array
  /** At this key or after it. */
  readonly gte?: Uint8Array
  /** Before this key. */
  readonly lt?: Uint8Array
}

/** What is read one after the other. */
export interface LevelIterator {
  /** The next entries, `size` at most; none at the end. */
  nextv(size: number): Promise<[key: Uint8Array, value: Uint8Array][]>
  /** Ends it. */
  close(): Promise<void>
}

/**
 * What a store asks of a database. Every database of abstract-level from version 2 on has it: classic-level,
 * browser-level, memory-level, also a sublevel.
 */
export interface LevelDatabase {
  /** `open`, `opening`, `closed` or `closing`. */
  readonly status: string
  /** Opens it; resolves when it is open. */
  open(): Promise<void>
  /** Closes it. */
  close(): Promise<void>
  /** The values of these keys, undefined where there is none. */
  getMany(keys: Uint8Array[], options: ByteEncodings): Promise<(Uint8Array | undefined)[]>
  /** Makes all of these changes or none. `sync` is for databases that can flush to a disk. */
  batch(operations: LevelOperation[], options: ByteEncodings & { readonly sync: boolean }): Promise<void>
  /** Entries in the order of their keys. */
  iterator(range: LevelRange): LevelIterator
}

/** Where the system refuses to read or write, nothing is wrong with the files. */
const REFUSED =
  /permission denied|not permitted|read-only file system|too many open files|EACCES|EPERM|EROFS|E[MN]FILE/i

/** Databases that have a store. Two would not know of each other's records. */
const IN_USE = new WeakSet<LevelDatabase>()

const DAMAGED: readonly string[] = ['LEVEL_CORRUPTION', 'LEVEL_IO_ERROR']

const METHODS = ['open', 'close', 'getMany', 'batch', 'iterator'] as const

/** @throws TypeError when it is no database */
export function mustBeDatabase(database: LevelDatabase): void {
  const given = database as Partial<LevelDatabase> | null | undefined
  for (const method of METHODS) {
    if (typeof given?.[method] !== 'function') {
      throw new TypeError('openLevelStore takes a database of abstract-level, such as new ClassicLevel(folder)')
    }
  }
}

/** Takes a database for one store. @throws DhtError when another one has it */
export function claimDatabase(database: LevelDatabase): void {
  if (IN_USE.has(database)) throw new DhtError('ERR_STORE_FAILED', 'another store uses this database')
  IN_USE.add(database)
}

/** Lets another store have it. */
export function releaseDatabase(database: LevelDatabase): void {
  IN_USE.delete(database)
}

/** Opens a database that may be open already. @throws DhtError when it can't be opened */
export async function openDatabase(database: LevelDatabase): Promise<void> {
  if (database.status === 'open') return
  try {
    await database.open()
  } catch (error) {
    throw failureOf('the database can not be opened', error)
  }
}

/** What a database has under a key: null where it could not be read now, as after too many open files. */
export type ReadValue = Uint8Array | undefined | null

/**
 * Values by their keys; undefined where there is none, or where what is there is damaged.
 *
 * @throws DhtError when the database fails
 */
export async function readMany(database: LevelDatabase, keys: Uint8Array[]): Promise<ReadValue[]> {
  try {
    return await database.getMany(keys, AS_BYTES)
  } catch (error) {
    if (!mayBeDamage(error)) throw failureOf('the store can not be read', error)
    if (keys.length === 1) return [isCorruption(error) ? undefined : null]
  }
  // One of them can't be read: the others can.
  const values: ReadValue[] = []
  for (const key of keys) values.push(...(await readMany(database, [key])))
  return values
}

/** The error for a database that failed: what is to be done, and the database's own error as its cause. */
export function failureOf(what: string, error: unknown): DhtError {
  const chain = causesOf(error)
  const reason = chain.at(-1)?.message ?? String(error)
  const codes = chain.map(({ code }) => code)
  if (/ENOSPC|no space left|quota/i.test(chain.map(({ name, message }) => `${name} ${message}`).join())) {
    return new DhtError('ERR_STORE_FULL', `${what}: ${reason}. Make room on the disk`, { cause: error })
  }
  const advice = codes.includes('LEVEL_LOCKED')
    ? '. Another process, or another object in this one, has it open'
    : isDamage(error)
      ? '. If it is damaged, ClassicLevel.repair(folder) restores what is intact'
      : ''
  return new DhtError('ERR_STORE_FAILED', `${what}: ${reason}${advice}`, { cause: error })
}

/** Whether what a database could not read may be damaged: of a file that was cut off, LevelDB says an IO error. */
function mayBeDamage(error: unknown): boolean {
  return causesOf(error).some(({ code }) => DAMAGED.includes(String(code)))
}

/** As {@link mayBeDamage}, without what the system refuses: that is right again when the system allows it. */
export function isDamage(error: unknown): boolean {
  return mayBeDamage(error) && !causesOf(error).some(({ message }) => REFUSED.test(message))
}

/** Whether a database says that what it read is damaged. */
function isCorruption(error: unknown): boolean {
  return causesOf(error).some(({ code }) => code === 'LEVEL_CORRUPTION')
}

function causesOf(error: unknown): (Error & { readonly code?: unknown })[] {
  const chain: Error[] = []
  let at = error
  while (at instanceof Error && chain.length < 8) {
    chain.push(at)
    at = at.cause
  }
  return chain
}
