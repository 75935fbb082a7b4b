import type { MaybePromise, NodeState, NodeStateStore, RecordStore, StoredRecord } from '../../src/index.js'
import { MemoryStore } from '../../src/index.js'

/** What a disk is to a store: it keeps everything, however the store that uses it ends. */
export class Medium {
  readonly records: MemoryStore = new MemoryStore({ bytesMax: 64 * 2 ** 20, recordsMax: 65_536 })
  state: Partial<NodeState> = {}
  /** How often the node's own state was saved, with what. */
  readonly saves: Partial<NodeState>[] = []
  /** What a save does beside; it may throw or never end. */
  onSave: () => MaybePromise<void> = () => {}

  /** The store as it opens after a restart. */
  open(): DurableStore {
    return new DurableStore(this)
  }
}

/** A store whose content survives its close, and the process. */
export class DurableStore implements RecordStore {
  readonly nodeState: NodeStateStore
  readonly #medium: Medium
  #isClosed = false

  constructor(medium: Medium) {
    this.#medium = medium
    this.nodeState = {
      loaded: medium.state,
      save: (changes) => this.#save(changes),
    }
  }

  list(key: Uint8Array, kind: number): readonly StoredRecord[] {
    return this.#records().list(key, kind)
  }

  put(record: StoredRecord): 'stored' | 'full' {
    return this.#records().put(record)
  }

  delete(key: Uint8Array, kind: number, slot: Uint8Array): boolean {
    return this.#records().delete(key, kind, slot)
  }

  entries(): Iterable<StoredRecord> {
    return this.#records().entries()
  }

  removeExpired(nowMs: number): number {
    return this.#records().removeExpired(nowMs)
  }

  stats(): ReturnType<RecordStore['stats']> {
    return this.#medium.records.stats()
  }

  close(): void {
    this.#isClosed = true
  }

  #records(): MemoryStore {
    if (this.#isClosed) throw new Error('the store is closed')
    return this.#medium.records
  }

  #save(changes: Partial<NodeState>): MaybePromise<void> {
    if (this.#isClosed) throw new Error('the store is closed')
    const medium = this.#medium
    medium.saves.push(changes)
    // A copy, as on a disk.
    const copy = structuredClone(changes)
    const keep = (): void => {
      medium.state = { ...medium.state, ...copy }
    }
    const later = medium.onSave()
    if (later) return later.then(keep)
    return keep()
  }
}
