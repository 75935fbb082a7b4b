import { join } from 'node:path'
import debug from 'debug'
import { mapKey } from '../keyspace/index.js'
import type { LevelDatabase, LevelIterator, LevelOperation, LevelPut, LevelRange } from '../storage/level.js'
import type { Disk } from './disk.js'
import { systemDisk } from './disk.js'
import type { FileDamage } from './journal-file.js'
import { JournalFile, putBytes } from './journal-file.js'

const log = debug('xorbit:store')

/** The journal's file in its folder. */
const JOURNAL_NAME = 'journal'
/** What takes its place when it is complete. */
const NEXT_NAME = 'journal.new'

/** The file is rewritten when it is longer than twice what lives in it, and this. */
const SPARE_BYTES = 4 * 2 ** 20

/** How much is encoded in one go while the file is rewritten: less than a millisecond of work. */
const PIECE_BYTES = 256 * 2 ** 10

/** The batches of the meantime are written in rounds, until so few changes are left that batches may wait for them. */
const CHANGES_MAX = 256
const ROUNDS_MAX = 8

/** What was found when a journal was opened. */
export interface JournalReport extends FileDamage {
  /** How many entries there are. */
  readonly entries: number
}

/**
 * Entries in memory, and on the disk a file that each batch is added to: a database for `openLevelStore` that needs no
 * native code. One process, and one object in it, has the folder at a time, from `open` to `close`.
 *
 * A batch is all there or not at all, whenever the process or the machine ends. What is torn off at the end of the file
 * is dropped when it is opened; behind a place that is damaged it goes on with the next batch that is intact. What
 * is lost by that is told by `report`, and by the store above, which knows what should be there.
 *
 * Where the disk can't be read, `open` fails and nothing is changed. After a batch that could not be written, all
 * further ones are refused until the journal is opened again; reads go on.
 */
export class Journal implements LevelDatabase {
  readonly #folder: string
  readonly #disk: Disk
  #status: 'closed' | 'opening' | 'open' | 'closing' = 'closed'
  #changing: Promise<void> | undefined
  /** By key, one character each byte: so their order is that of the bytes. */
  readonly #entries = new Map<string, Uint8Array>()
  #file: JournalFile | undefined
  #unlock: (() => Promise<void>) | undefined
  #report: JournalReport | undefined
  /** What a file with these entries alone would have. */
  #liveBytes = 0
  #failure: Error | undefined
  /** Where a batch begins that was refused, and may be in the file all the same. */
  #refused: { readonly marker: Buffer; readonly at: number } | undefined
  /** Settles when the file is not in use; never rejects. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Settles when the file is rewritten, or is not; never rejects. */
  #rewriting: Promise<void> | undefined
  /** Which entries changed since that began. */
  #changed: Set<string> | undefined
  /** A file shorter than this is not rewritten. */
  #rewriteFromBytes = 0
  /** Whether a place in the file is damaged. It goes away when the file is rewritten, so as not to be told each time. */
  #isDamaged = false

  /** Nothing is read, locked or made before `open`. */
  constructor(folder: string, disk: Disk = systemDisk) {
    this.#folder = folder
    this.#disk = disk
  }

  get status(): string {
    return this.#status
  }

  /** What was found when it was opened last. */
  get report(): JournalReport | undefined {
    return this.#report
  }

  /** How long the file is, in bytes. */
  get bytes(): number {
    return this.#file?.bytes ?? 0
  }

  /** @throws Error when another process has the folder, or it can't be read or written */
  async open(): Promise<void> {
    if (this.status === 'closing') await this.#changing?.catch(() => {})
    if (this.status === 'closed') this.#changing = this.#open()
    if (this.status === 'opening') await this.#changing
  }

  /** Waits for the batches that were given before; gives up to rewrite the file. */
  async close(): Promise<void> {
    if (this.status === 'opening') await this.#changing?.catch(() => {})
    if (this.status === 'open') this.#changing = this.#close()
    if (this.status === 'closing') await this.#changing
  }

  async getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#mustBeOpen()
    return keys.map((key) => this.#entries.get(mapKey(key)))
  }

  /** With `sync`, resolves when the disk has it; without, when the system has it. */
  async batch(operations: LevelOperation[], { sync }: { readonly sync: boolean }): Promise<void> {
    this.#mustBeOpen()
    const copies = operations.map(copyOf)
    await this.#inTurn(() => this.#append(copies, sync))
  }

  /** The entries as they are at each step, of those that there are now. */
  iterator({ gt, gte, lt }: LevelRange): LevelIterator {
    this.#mustBeOpen()
    const [after, from, before] = [gt, gte, lt].map((bound) => bound && mapKey(bound))
    const isInside = (key: string) =>
      !(after !== undefined && key <= after) &&
      !(from !== undefined && key < from) &&
      !(before !== undefined && key >= before)
    const keys = [...this.#entries.keys()].filter(isInside).sort()
    let next = 0
    return {
      nextv: async (size) => {
        this.#mustBeOpen()
        const found: [Uint8Array, Uint8Array][] = []
        while (next < keys.length && found.length < size) {
          const key = keys[next++] as string
          const value = this.#entries.get(key)
          if (value) found.push([bytesOf(key), value])
        }
        return found
      },
      close: async () => {},
    }
  }

  async #open(): Promise<void> {
    this.#status = 'opening'
    try {
      await this.#disk.makeFolder(this.#folder)
      this.#unlock = await this.#disk.lock(this.#folder)
      const path = join(this.#folder, JOURNAL_NAME)
      // Left by a process that ended while it rewrote the file.
      await this.#disk.remove(join(this.#folder, NEXT_NAME))
      this.#file = (await JournalFile.open(this.#disk, path)) ?? (await this.#create(path))
      // Also when it was renamed before, and then the folder could not be written.
      await this.#disk.syncFolder(this.#folder)
      const refused = this.#refused?.marker.equals(this.#file.marker) ? this.#refused : undefined
      const damage = await this.#file.load(refused?.at ?? Number.POSITIVE_INFINITY, (operations) => {
        this.#apply(operations)
      })
      this.#refused = undefined
      this.#failure = undefined
      this.#isDamaged = damage.damagedBytes > 0
      this.#rewriteFromBytes = 0
      this.#report = { ...damage, entries: this.#entries.size }
      this.#status = 'open'
    } catch (error) {
      await this.#release().catch(() => {})
      throw error
    }
  }

  /** It has its name only when it is complete. */
  async #create(path: string): Promise<JournalFile> {
    const nextPath = join(this.#folder, NEXT_NAME)
    const file = await JournalFile.create(this.#disk, nextPath)
    try {
      await file.sync()
      await this.#disk.rename(nextPath, path)
      return file
    } catch (error) {
      await file.close().catch(() => {})
      await this.#disk.remove(nextPath).catch(() => {})
      throw error
    }
  }

  async #close(): Promise<void> {
    this.#status = 'closing'
    await this.#rewriting
    await this.#turn
    await this.#release()
  }

  async #release(): Promise<void> {
    const [file, unlock] = [this.#file, this.#unlock]
    this.#file = undefined
    this.#unlock = undefined
    this.#entries.clear()
    this.#liveBytes = 0
    try {
      await file?.close()
    } finally {
      await unlock?.().catch((error: unknown) => log('the folder could not be given back: %s', error))
      this.#status = 'closed'
    }
  }

  async #append(operations: readonly LevelOperation[], sync: boolean): Promise<void> {
    const file = this.#mustBeWritable()
    const begin = file.bytes
    try {
      await file.append(operations)
      if (sync) await file.sync()
    } catch (error) {
      this.#failure = new Error('an earlier batch could not be written', { cause: error })
      // After a flush that failed, what the system tells of the file is not what the disk has.
      this.#refused = { marker: file.marker, at: begin }
      await file.cutOff(begin).catch(() => {})
      throw new Error('the journal can not be written', { cause: error })
    }
    this.#apply(operations)
    this.#rewriteWhereDue()
  }

  #apply(operations: readonly LevelOperation[]): void {
    for (const one of operations) {
      const key = mapKey(one.key)
      const before = this.#entries.get(key)
      if (before) this.#liveBytes -= putBytes(key.length, before.length)
      if (one.type === 'put') {
        this.#liveBytes += putBytes(key.length, one.value.length)
        this.#entries.set(key, one.value)
      } else {
        this.#entries.delete(key)
      }
      this.#changed?.add(key)
    }
  }

  #rewriteWhereDue(): void {
    const { bytes } = this
    if (this.#rewriting || bytes < this.#rewriteFromBytes) return
    if (!this.#isDamaged && bytes <= 2 * this.#liveBytes + SPARE_BYTES) return
    this.#changed = new Set()
    this.#rewriting = this.#rewrite()
      .then(
        () => {
          this.#isDamaged = false
          this.#rewriteFromBytes = 0
        },
        // As on a full disk: the file that there is stays right, and grows further before it is tried again.
        (error: unknown) => {
          log('the journal was not rewritten: %s', error)
          this.#rewriteFromBytes = this.bytes + SPARE_BYTES
        },
      )
      .then(() => {
        this.#changed = undefined
        this.#rewriting = undefined
      })
  }

  /** Writes what lives to a new file, and then what changes meanwhile, until that file can take the place of this one. */
  async #rewrite(): Promise<void> {
    const nextPath = join(this.#folder, NEXT_NAME)
    const next = await JournalFile.create(this.#disk, nextPath)
    try {
      await this.#writeTo(next, [...this.#entries.keys()])
      for (let round = 0; round < ROUNDS_MAX && this.#countChanged() > CHANGES_MAX; round++) {
        await this.#writeTo(next, this.#takeChanged())
      }
      await next.sync()
      await this.#inTurn(() => this.#replaceBy(next))
    } catch (error) {
      await next.close().catch(() => {})
      // Where it was renamed there is none.
      await this.#disk.remove(nextPath).catch(() => {})
      throw error
    }
  }

  /** No batch is being written meanwhile. */
  async #replaceBy(next: JournalFile): Promise<void> {
    this.#mustBeOpen()
    const file = this.#mustBeWritable()
    await this.#writeTo(next, this.#takeChanged())
    await next.sync()
    try {
      await this.#disk.rename(join(this.#folder, NEXT_NAME), join(this.#folder, JOURNAL_NAME))
      await this.#disk.syncFolder(this.#folder)
    } catch (error) {
      // Which of the two has the name after the end of the machine is not known: a batch could be in the other one.
      this.#failure = new Error('the journal could not be rewritten', { cause: error })
      throw error
    }
    this.#file = next
    await file.close().catch(() => {})
  }

  /** The entries of these keys as they are when each piece is written; what is gone as a deletion. */
  async #writeTo(next: JournalFile, keys: readonly string[]): Promise<void> {
    let piece: LevelOperation[] = []
    let bytes = 0
    for (const key of keys) {
      const value = this.#entries.get(key)
      piece.push(value ? putOf(key, value) : { type: 'del', key: bytesOf(key) })
      bytes += putBytes(key.length, value?.length ?? 0)
      if (bytes < PIECE_BYTES) continue
      await next.append(piece)
      if (this.#status !== 'open') throw new Error('the journal is closed')
      piece = []
      bytes = 0
    }
    if (piece.length > 0) await next.append(piece)
  }

  #takeChanged(): string[] {
    const keys = [...(this.#changed ?? [])]
    this.#changed?.clear()
    return keys
  }

  #countChanged(): number {
    return this.#changed?.size ?? 0
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(run)
    this.#turn = done.catch(() => {})
    return done
  }

  #mustBeOpen(): void {
    if (this.#status !== 'open') throw new Error('the journal is not open')
  }

  /** Also while it is being closed, which waits for what was given before. */
  #mustBeWritable(): JournalFile {
    if (this.#failure) throw this.#failure
    if (!this.#file) throw new Error('the journal is not open')
    return this.#file
  }
}

/** What is kept shares no memory with what a caller may change. */
function copyOf(operation: LevelOperation): LevelOperation {
  return operation.type === 'put' ? { ...operation, value: new Uint8Array(operation.value) } : operation
}

function putOf(key: string, value: Uint8Array): LevelPut {
  return { type: 'put', key: bytesOf(key), value }
}

function bytesOf(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'))
}
