export type {
  AnnounceOptions,
  CallOptions,
  FindNodeOptions,
  GetOptions,
  ProgressListener,
  PublishOptions,
  PutOptions,
  ResolveOptions,
  StoreOptions,
  StoreRecordOptions,
} from './arguments.js'
export { createDht, type Dht } from './dht.js'
export { DhtError, type DhtErrorCode } from './errors.js'
export type { DhtEvents, Listener } from './events.js'
export { generateKeyPair, sign, verify } from './keys.js'
export { type Address, type Contact, distance, fromHex, keyOf, type NodeId, toHex } from './keyspace/index.js'
export type {
  Costs,
  LocatedPeer,
  LookupStep,
  NodeCounters,
  QueryReply,
  Refused,
  StepListener,
  ValueProgress,
} from './node/index.js'
export type { DhtOptions } from './options.js'
export type { Clock } from './platform/clock.js'
export type { RandomBytes } from './platform/random.js'
export type { KeyPair, Signatures } from './platform/signatures.js'
export type { AddressDescription, AddressScope, Transport } from './platform/transport.js'
export {
  LARGE_VALUE_BYTES_MAX,
  PEER_DATA_BYTES_MAX,
  type RecordKind,
  SALT_BYTES_MAX,
  type StoreContext,
  VALUE_BYTES_MAX,
} from './records/index.js'
export type {
  Announcement,
  AppHandler,
  DhtStats,
  FindNodeResult,
  FindRecordsResult,
  GetResult,
  PingResult,
  PublishResult,
  PutResult,
  ResolveResult,
  Started,
  StopResult,
  StoreRecordResult,
} from './results.js'
export type { DropReason, RpcCounters } from './rpc/index.js'
export {
  type MaybePromise,
  MemoryStore,
  type NodeState,
  type NodeStateStore,
  type PutOutcome,
  type RecordStore,
  type RecordStoreLimits,
  type StoredRecord,
} from './storage/index.js'
