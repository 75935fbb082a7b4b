import { DhtError } from '../errors.js'
import { mapKey } from '../keyspace/index.js'
import type { Entry, Placed } from './ledger.js'
import { isHeld, Ledger, mustBeRecord, placeOf, snapshotOf, undoOf } from './ledger.js'
import type { LevelDatabase, LevelOperation, LevelPut, ReadValue } from './level-database.js'
import { AS_BYTES, failureOf, openDatabase, readMany, releaseDatabase } from './level-database.js'
import { checksumOf, decodeRecord, encodeHeader, encodeRecord, HEADER_KEY, recordKey } from './level-layout.js'
import type { LevelReport, OnDisk } from './level-load.js'
import { load, weightOf } from './level-load.js'
import { LevelNodeState } from './level-node-state.js'
import { CHUNK_RECORDS, takeIntoMemory } from './level-rescue.js'
import type { WriteGroup } from './level-writer.js'
import { LevelWriter } from './level-writer.js'
import type { NodeStateStore } from './node-state.js'
import type { MaybePromise, PutOutcome, RecordStore, RecordStoreLimits, StoredRecord } from './record-store.js'

/** How many expired records are removed at a time: some ten milliseconds of work, then the disk is waited for. */
const EXPIRED_RECORDS = 1_000

/** What {@link LevelStore.open} is given, complete. */
export interface LevelStoreConfig {
  readonly limits: RecordStoreLimits
  readonly sync: boolean
}

/**
 * A {@link RecordStore} whose records outlive the process. Made by `openLevelStore`.
 *
 * Which records there are is known in memory, their bytes are on the disk: `list` of a key that has none answers at
 * once. Who gives way when it is full is decided as in `MemoryStore`; of each record, `bytesMax` counts its fields and
 * 768 bytes. A write is acknowledged when the disk has it, together with the removal of what it displaced; until
 * then its bytes are in memory too, and reads see it.
 *
 * When the database fails to write, every call that waits rejects, all is again as it was before them, and reads go
 * on. From then on writes are refused, since LevelDB must be opened again before it can be trusted with any. See `reopen`.
 */
export class LevelStore implements RecordStore {
  readonly #database: LevelDatabase
  readonly #config: LevelStoreConfig
  #ledger: Ledger<OnDisk>
  readonly #writer: LevelWriter
  readonly #reads = new Set<Promise<unknown>>()
  #report!: LevelReport
  #dropped = 0
  /** Of all records that are held, the exclusive or of their checksums. */
  #high = 0
  #low = 0
  #batch = 0
  /** Whether the database says that the store is closed; the next batch says otherwise. */
  #isMarkedClosed = false
  #nodeState: LevelNodeState | undefined
  #failure: DhtError | undefined
  /** Settles when the database is open again, or is not; never rejects. */
  #reopening: Promise<void> | undefined
  #generation = 0
  /** Settles when what is expired is removed; never rejects. */
  #expiring: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(database: LevelDatabase, config: LevelStoreConfig) {
    this.#database = database
    this.#config = config
    this.#ledger = new Ledger(config.limits)
    this.#writer = new LevelWriter(
      (group) => this.#write(group),
      (error) => {
        this.#failure = failureOf('the store can not be written', error)
        return this.#failure
      },
    )
  }

  /** @internal Opens the database where it is not open, and reads it. */
  static async open(database: LevelDatabase, config: LevelStoreConfig): Promise<LevelStore> {
    const store = new LevelStore(database, config)
    await openDatabase(database)
    await store.#load()
    return store
  }

  /** What was found when the database was opened last. */
  get report(): LevelReport {
    return this.#report
  }

  /** How many records were dropped since then, as they could not be read as they had been written. */
  get dropped(): number {
    return this.#dropped
  }

  /** Why writes are refused, if they are. */
  get failure(): DhtError | undefined {
    return this.#failure
  }

  /** @throws DhtError when the store is closed: so no node is made with it */
  get nodeState(): NodeStateStore {
    this.#mustBeOpen()
    return this.#nodeState as LevelNodeState
  }

  list(key: Uint8Array, kind: number): MaybePromise<readonly StoredRecord[]> {
    this.#mustBeOpen()
    const place = placeOf(key, kind)
    for (const _ of this.#ledger.at(place)) return this.#listPlace(place)
    return []
  }

  put(record: StoredRecord): MaybePromise<PutOutcome> {
    this.#mustBeWritable()
    mustBeRecord(record)
    const [place, slot] = [placeOf(record.key, record.kind), mapKey(record.slot)]
    const levelKey = recordKey(place, slot)
    const placed = this.#ledger.put({
      place,
      slot,
      expiresAtMs: record.expiresAtMs,
      bytes: weightOf(record),
      source: record.source,
      hold: (_, order) => {
        const value = encodeRecord(levelKey, record, order)
        return { ...checksumOf(value), value }
      },
    })
    if (!placed) return 'full'
    const { held } = placed.entry
    const group = this.#writer.group()
    group.add(mapKey(levelKey), { type: 'put', key: levelKey, value: held.value as Uint8Array })
    for (const { place, slot } of placed.evicted) this.#deleteIn(group, recordKey(place, slot))
    this.#count(placed)
    group.onWritten(() => {
      held.value = undefined
    })
    // The last one first.
    group.onFailure(undoOf(this.#ledger, placed))
    group.onFailure(() => this.#count(placed))
    return group.done.then(() => 'stored')
  }

  delete(key: Uint8Array, kind: number, slot: Uint8Array): MaybePromise<boolean> {
    this.#mustBeWritable()
    const entry = this.#ledger.find(placeOf(key, kind), mapKey(slot))
    if (!entry) return false
    this.#ledger.remove(entry)
    return this.#removed([entry]).then(() => true)
  }

  removeExpired(nowMs: number): MaybePromise<number> {
    this.#mustBeOpen()
    if (this.#reopening) return this.#reopening.then(() => this.removeExpired(nowMs))
    // A node calls this every minute: often enough to find out that there is room again, and not too often.
    if (this.#failure) return this.reopen().then(() => this.removeExpired(nowMs))
    const expired = this.#ledger.removeExpired(nowMs, EXPIRED_RECORDS)
    if (expired.length === 0) return 0
    const removing = this.#removeExpired(nowMs, expired)
    this.#expiring = Promise.allSettled([this.#expiring, removing]).then(() => {})
    return removing
  }

  /** With what is expired besides. Each batch is waited for, so that the process gets to other things meanwhile. */
  async #removeExpired(nowMs: number, first: readonly Entry<OnDisk>[]): Promise<number> {
    await this.#removed(first)
    let count = first.length
    for (let last = count; last === EXPIRED_RECORDS; count += last) {
      if (this.#reopening) await this.#reopening
      if (this.#failure) throw this.#failure
      const expired = this.#ledger.removeExpired(nowMs, EXPIRED_RECORDS)
      await this.#removed(expired)
      last = expired.length
    }
    return count
  }

  async *entries(): AsyncGenerator<StoredRecord, void, undefined> {
    this.#mustBeOpen()
    if (this.#reopening) await this.#reopening
    const generation = this.#generation
    const all = this.#ledger.all()
    for (let at = 0; at < all.length; at += CHUNK_RECORDS) {
      const chunk = all.slice(at, at + CHUNK_RECORDS).filter(isHeld)
      const helds = chunk.map(({ held }) => held)
      const found = await this.#read(chunk)
      for (const [i, entry] of chunk.entries()) {
        this.#mustBeOpen()
        if (generation !== this.#generation) {
          throw new DhtError('ERR_STORE_FAILED', 'the database was opened again while its entries were read')
        }
        if (!isHeld(entry)) continue
        const stored = entry.held === helds[i] ? found[i] : (await this.#read([entry]))[0]
        if (stored && isHeld(entry)) yield stored
      }
    }
  }

  stats(): ReturnType<RecordStore['stats']> {
    return this.#ledger.stats()
  }

  /**
   * Closes the database and opens it again, after a write has failed; `removeExpired`, which a node calls every minute,
   * does so by itself. Meanwhile, and where it can't be opened, records are read from memory, unless they take more
   * than 256 MiB. A part of a database can't be healed alone: open the whole again before you call this.
   *
   * @throws DhtError when it can't be opened; a later attempt may succeed
   */
  async reopen(): Promise<void> {
    this.#mustBeOpen()
    this.#reopening ??= (async () => {
      try {
        await this.#writer.idle()
        if (this.#database.status === 'open') await takeIntoMemory(this.#database, this.#ledger)
        await Promise.allSettled(this.#reads)
        await this.#database.close()
        await openDatabase(this.#database)
        await this.#load()
      } catch (error) {
        this.#failure = error instanceof DhtError ? error : failureOf('the database can not be opened again', error)
      }
      this.#reopening = undefined
    })()
    await this.#reopening
    if (this.#failure) throw this.#failure
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#expiring
    await this.#writer.idle()
    await this.#reopening
    await Promise.allSettled(this.#reads)
    try {
      // Where that fails it is as if the process had been killed, which loses nothing.
      if (!this.#isMarkedClosed && !this.#failure) await this.#batchOf([this.#header(true)]).catch(() => {})
      await this.#database.close()
    } catch (error) {
      throw failureOf('the database can not be closed', error)
    } finally {
      releaseDatabase(this.#database)
    }
  }

  async #load(): Promise<void> {
    const ledger = new Ledger<OnDisk>(this.#config.limits)
    const { report, useless, state, batch, sum } = await load(this.#database, ledger).catch((error: unknown) => {
      throw failureOf('the database can not be read', error)
    })
    this.#nodeState ??= new LevelNodeState(state, () => {
      this.#mustBeWritable()
      return this.#writer.group()
    })
    this.#generation++
    this.#ledger = ledger
    this.#report = report
    this.#dropped = 0
    this.#batch = batch
    this.#isMarkedClosed = report.wasClosed
    ;[this.#high, this.#low] = [sum.high, sum.low]
    this.#failure = undefined
    if (useless.length > 0 || !report.isComplete) {
      const group = this.#writer.group()
      for (const key of useless) this.#deleteIn(group, key)
      // Where that fails, what is intact can be read all the same.
      await group.done.catch(() => {})
    }
  }

  /** What is on the disk, as it is counted, goes along with every change of it. */
  async #write(group: WriteGroup): Promise<void> {
    this.#isMarkedClosed = false
    await this.#batchOf([...group.operations, this.#header(false)])
  }

  #header(isClosed: boolean): LevelPut {
    this.#batch++
    const sum = { high: this.#high, low: this.#low }
    const hasIdentity = this.#nodeState?.hasIdentity ?? false
    const value = encodeHeader({ records: this.#ledger.size, batch: this.#batch, sum, hasIdentity, isClosed })
    return { type: 'put', key: HEADER_KEY, value }
  }

  #batchOf(operations: LevelOperation[]): Promise<void> {
    return this.#database.batch(operations, { ...AS_BYTES, sync: this.#config.sync })
  }

  #deleteIn(group: WriteGroup, key: Uint8Array): void {
    group.add(mapKey(key), { type: 'del', key })
  }

  /** Has what the ledger removed deleted. */
  #removed(entries: readonly Entry<OnDisk>[]): Promise<void> {
    const group = this.#writer.group()
    const before = entries.map(snapshotOf)
    for (const { place, slot, held } of entries) {
      this.#deleteIn(group, recordKey(place, slot))
      this.#countOne(held)
    }
    group.onFailure(() => {
      for (const snapshot of before) {
        this.#ledger.restore(snapshot)
        this.#countOne(snapshot.held)
      }
    })
    return group.done
  }

  /** An exclusive or: the same for what comes and for what goes. */
  #count({ entry, before, evicted }: Placed<OnDisk>): void {
    this.#countOne(entry.held)
    if (before) this.#countOne(before.held)
    for (const one of evicted) this.#countOne(one.held)
  }

  #countOne({ high, low }: OnDisk): void {
    this.#high ^= high
    this.#low ^= low
  }

  #listPlace(place: string): MaybePromise<readonly StoredRecord[]> {
    const entries = [...this.#ledger.at(place)]
    const found: StoredRecord[] = []
    for (const { slot, held } of entries) {
      const named = held.value && decodeRecord(recordKey(place, slot), held.value)
      if (named) found.push(named.stored)
    }
    return found.length === entries.length ? found : this.#readPlace(place)
  }

  async #readPlace(place: string): Promise<readonly StoredRecord[]> {
    for (;;) {
      if (this.#reopening) await this.#reopening
      const generation = this.#generation
      const found = await this.#read([...this.#ledger.at(place)])
      if (generation === this.#generation) return found.filter((stored) => stored !== undefined)
    }
  }

  /** Their bytes as they are now or will be soon; undefined for those that are gone, or can't be read now. */
  async #read(entries: readonly Entry<OnDisk>[]): Promise<(StoredRecord | undefined)[]> {
    const asked = entries.map((entry) => {
      const { place, slot, held, order } = entry
      return { entry, held, order, key: recordKey(place, slot), value: held.value as ReadValue }
    })
    const fromDisk = asked.filter(({ value }) => value === undefined)
    const values = fromDisk.length > 0 ? await this.#getMany(fromDisk.map(({ key }) => key)) : []
    for (const [i, one] of fromDisk.entries()) one.value = values[i]

    const found: (StoredRecord | undefined)[] = []
    for (const { entry, held, order, key, value } of asked) {
      const named = value && decodeRecord(key, value)
      if (named && named.order >= order) found.push(named.stored)
      else if (this.#ledger.find(entry.place, entry.slot) !== entry) found.push(undefined)
      // It was replaced while it was read.
      else if (entry.held !== held) found.push((await this.#read([entry]))[0])
      else if (value === null) found.push(undefined)
      else found.push(this.#drop(entry))
    }
    return found
  }

  /** What is not on the disk as it was written is not there. */
  #drop(entry: Entry<OnDisk>): undefined {
    this.#ledger.remove(entry)
    this.#countOne(entry.held)
    this.#dropped++
    if (this.#failure || this.#closing || this.#reopening) return
    this.#deleteIn(this.#writer.group(), recordKey(entry.place, entry.slot))
  }

  async #getMany(keys: Uint8Array[]): Promise<ReadValue[]> {
    if (this.#reopening) await this.#reopening
    this.#mustBeOpen()
    const reading = readMany(this.#database, keys)
    this.#reads.add(reading)
    try {
      return await reading
    } finally {
      this.#reads.delete(reading)
    }
  }

  #mustBeOpen(): void {
    if (this.#closing) throw new DhtError('ERR_CLOSED', 'the store is closed')
  }

  #mustBeWritable(): void {
    this.#mustBeOpen()
    if (this.#failure) throw new DhtError(this.#failure.code, this.#failure.message, { cause: this.#failure.cause })
    if (this.#reopening) throw new DhtError('ERR_STORE_FAILED', 'the database is being opened again')
  }
}
