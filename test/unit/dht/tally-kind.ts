import type { RecordKind } from '../../../src/index.js'
import { distance } from '../../../src/index.js'

const KEY_BYTES = 32

/** A kind of an application's own: a counter for each slot of a key, of which the higher wins. */
export const tally: RecordKind = {
  code: 64,
  name: 'tally',
  recordBytesMax: KEY_BYTES + 100,
  slotsPerKeyMax: 16,
  isRelayed: true,
  isFirstEnough: false,
  isValid: (key, record) =>
    record.length >= KEY_BYTES + 2 && distance(record.slice(0, KEY_BYTES), key).every((byte) => byte === 0),
  slot: (record) => record.slice(KEY_BYTES, KEY_BYTES + 1),
  merge: (a, b) => (orderOf(a) >= orderOf(b) ? a : b),
}

/** A record of {@link tally}. */
export function count(key: Uint8Array, slot: number, counter: number, more = 0): Uint8Array {
  return Uint8Array.of(...key, slot, counter, ...new Uint8Array(more))
}

/** What records of {@link tally} say, slot by slot. */
export function countsOf(records: readonly Uint8Array[]): Record<number, number> {
  return Object.fromEntries(records.map((record) => [record[KEY_BYTES], record[KEY_BYTES + 1]]))
}

function orderOf(record: Uint8Array): string {
  return String.fromCharCode(...record.slice(KEY_BYTES + 1))
}
