import { MemoryLevel } from 'memory-level'
import type {
  LevelDatabase,
  LevelIterator,
  LevelOperation,
  LevelStore,
  LevelStoreOptions,
} from '../../../src/storage/level.js'
import { openLevelStore } from '../../../src/storage/level.js'
import type { StoredRecord } from '../../../src/storage/record-store.js'

/** What a test may have a database do. */
export interface Faults {
  /** Called before each batch; throws to have it fail. */
  beforeBatch?: (operations: readonly LevelOperation[]) => void | Promise<void>
  /** Called before each read; throws to have it fail. */
  beforeGet?: (keys: readonly Uint8Array[]) => void | Promise<void>
  beforeOpen?: () => void
  /** Called before each step of an iterator, with what it has read so far. */
  beforeNext?: (read: number) => void
}

/** A database in memory that fails when it is told to. */
export class FaultyLevel implements LevelDatabase {
  readonly inner = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  readonly faults: Faults = {}
  batches: LevelOperation[][] = []
  gets = 0
  opened = 0

  get status(): string {
    return this.inner.status
  }

  async open(): Promise<void> {
    this.opened++
    this.faults.beforeOpen?.()
    await this.inner.open()
  }

  async close(): Promise<void> {
    await this.inner.close()
  }

  async getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.gets++
    await this.faults.beforeGet?.(keys)
    return this.inner.getMany(keys)
  }

  async batch(operations: LevelOperation[]): Promise<void> {
    await this.faults.beforeBatch?.(operations)
    this.batches.push(operations)
    await this.inner.batch(operations)
  }

  iterator(...[range]: Parameters<LevelDatabase['iterator']>): LevelIterator {
    const iterator = this.inner.iterator(range)
    let read = 0
    return {
      nextv: async (size) => {
        this.faults.beforeNext?.(read)
        const entries = await iterator.nextv(size)
        read += entries.length
        return entries
      },
      close: () => iterator.close(),
    }
  }

  /** The same entries and faults as another object, as the next process has it. */
  twin(): FaultyLevel {
    return Object.create(this)
  }

  /** All entries as they are. */
  entries(): Promise<[Uint8Array, Uint8Array][]> {
    return this.inner.iterator().all()
  }
}

/** An error as LevelDB's is. */
export function levelError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** A record, and a key that it makes of its number. */
export function record(number: number, part: Partial<StoredRecord> = {}): StoredRecord {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(0, number)
  return {
    key,
    kind: 1,
    slot: Uint8Array.of(5),
    record: new Uint8Array(10).fill(number),
    storedAtMs: 0,
    expiresAtMs: 1_000,
    source: Uint8Array.of(1),
    ...part,
  }
}

/** A new store. */
export async function opened(options: LevelStoreOptions = {}): Promise<{ level: FaultyLevel; store: LevelStore }> {
  const level = new FaultyLevel()
  return { level, store: await openLevelStore(level, options) }
}

/** A store over what is there, as if the process before had ended in the middle. */
export async function again(level: FaultyLevel, options: LevelStoreOptions = {}): Promise<LevelStore> {
  await level.close()
  return openLevelStore(level.twin(), options)
}

/** The numbers of its records. */
export async function held(store: { entries(): AsyncIterable<StoredRecord> }): Promise<number[]> {
  const numbers: number[] = []
  for await (const { key } of store.entries()) numbers.push(new DataView(key.buffer, key.byteOffset).getUint32(0))
  return numbers.sort((a, b) => a - b)
}
