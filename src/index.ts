export type { CallOptions } from './arguments.js'
export { createDht, type Dht } from './dht.js'
export { DhtError, type DhtErrorCode } from './errors.js'
export type { DhtEvents, Listener } from './events.js'
export { type Address, type Contact, distance, fromHex, keyOf, type NodeId, toHex } from './keyspace/index.js'
export type { Costs } from './node/index.js'
export type { DhtOptions } from './options.js'
export type { Clock } from './platform/clock.js'
export type { RandomBytes } from './platform/random.js'
export type { AddressDescription, AddressScope, Transport } from './platform/transport.js'
export { VALUE_BYTES_MAX } from './records/index.js'
export type {
  AppHandler,
  DhtStats,
  FindNodeResult,
  GetResult,
  PingResult,
  PutResult,
  Started,
} from './results.js'
export type { DropReason, RpcCounters } from './rpc/index.js'
export {
  type MaybePromise,
  MemoryStore,
  type PutOutcome,
  type RecordStore,
  type RecordStoreLimits,
  type StoredRecord,
} from './storage/index.js'
