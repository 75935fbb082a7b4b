export { MemoryStore } from './memory-store.js'
export type { NodeState, NodeStateStore } from './node-state.js'
export type { MaybePromise, PutOutcome, RecordStore, RecordStoreLimits, StoredRecord } from './record-store.js'
export { whenReady } from './when-ready.js'
