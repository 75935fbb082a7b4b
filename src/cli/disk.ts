import { chmod, mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'
import { lockFolder } from './folder-lock.js'

/** An open file. Everything rejects with the system's error. */
export interface DiskFile {
  /** Fills `into` from that offset on, as far as the file goes. Resolves with the number of bytes. */
  read(into: Uint8Array, offset: number): Promise<number>
  /** Writes some of the bytes to that offset, one at least. Resolves with how many. */
  write(bytes: Uint8Array, offset: number): Promise<number>
  /** Resolves when what was written outlives the end of the machine, and the file's length with it. */
  sync(): Promise<void>
  /** Cuts it off. */
  truncate(bytes: number): Promise<void>
  /** How long it is. */
  size(): Promise<number>
  /** Closes it. */
  close(): Promise<void>
}

/** What a journal asks of the system; tests give it disks that fail. */
export interface Disk {
  /** Makes the folder, where there is none, for this user alone. */
  makeFolder(path: string): Promise<void>
  /** Resolves when no other process has the folder, with what gives it back. */
  lock(path: string): Promise<() => Promise<void>>
  /** Opens a file to read and write; undefined where there is none. */
  open(path: string): Promise<DiskFile | undefined>
  /** Makes an empty file that only this user may read, also where there is one. */
  create(path: string): Promise<DiskFile>
  /** Gives a file another name, in the place of what had it. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>
  /** Resolves when the names of the folder's files outlive the end of the machine. */
  syncFolder(path: string): Promise<void>
}

/** The disk of this machine. */
export const systemDisk: Disk = {
  async makeFolder(path) {
    await makeFolders(path)
  },
  lock: lockFolder,
  open: (path) => openFile(path, 'r+').catch((error: unknown) => unlessMissing(error)),
  async create(path) {
    const file = await openFile(path, 'w+')
    // Of a file that was there, the mode is left as it was.
    await chmod(path, 0o600)
    return file
  },
  rename,
  remove: (path) => unlink(path).catch((error: unknown) => unlessMissing(error)),
  syncFolder,
}

async function openFile(path: string, flags: 'r+' | 'w+'): Promise<DiskFile> {
  const handle = await open(path, flags, 0o600)
  return {
    read: async (into, offset) => (await handle.read(into, 0, into.length, offset)).bytesRead,
    write: async (bytes, offset) => (await handle.write(bytes, 0, bytes.length, offset)).bytesWritten,
    sync: () => handle.datasync(),
    truncate: (bytes) => handle.truncate(bytes),
    size: async () => (await handle.stat()).size,
    close: () => handle.close(),
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and keeps names in a journal of its own.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unlessMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error
}

/** How often a folder is tried to be made: others may make the ones above it at the same time. */
const ATTEMPTS_MAX = 3

/** Not `mkdir` with `recursive`: below /proc, for one, Node tries that for ever. */
async function makeFolders(path: string, attempt = 1): Promise<void> {
  const parent = dirname(path)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || parent === path || attempt === ATTEMPTS_MAX) throw error
    if ((await stat(parent).catch(() => undefined)) === undefined) await makeFolders(parent)
    return makeFolders(path, attempt + 1)
  }
  // The folder that is new has to be found after the end of the machine too.
  await syncFolder(parent).catch((error: unknown) => {
    // Who may not read the parent can't have it flushed either.
    if ((error as { code?: unknown }).code !== 'EACCES') throw error
  })
}
