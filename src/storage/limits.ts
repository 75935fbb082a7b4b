import type { RecordStoreLimits } from './record-store.js'

/** What a store may hold unless it is told otherwise. One network in eight may fill it together with others, but none alone. */
export const STORE_LIMITS: Required<RecordStoreLimits> = {
  bytesMax: 64 * 2 ** 20,
  recordsMax: 65_536,
  recordsPerSourceMax: 8_192,
}
