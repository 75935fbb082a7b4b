export { encodeImmutable, immutableKind, immutableValue, VALUE_BYTES_MAX } from './immutable.js'
export type { RecordKind } from './record-kind.js'
