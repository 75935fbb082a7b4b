export { MemoryStore } from './memory-store.js'
export type { MaybePromise, PutOutcome, RecordStore, RecordStoreLimits, StoredRecord } from './record-store.js'
export { whenReady } from './when-ready.js'
