import { Packr } from 'msgpackr/index-no-eval'
import { networkTag } from '../../../src/wire/index.js'

/** The network of these tests. */
export const NETWORK = 'test'

const packr = new Packr({ useRecords: false, mapsAsObjects: false, int64AsType: 'auto' })

/** Any value as msgpack: what another implementation may send. */
export function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value))
}

/** Bytes that count up from `first`. */
export function countUp(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i)
}

export const TID: Uint8Array = countUp(8, 0xa0)
export const SENDER: Uint8Array = countUp(32)
export const OBSERVED: Uint8Array = Uint8Array.of(4, 203, 0, 113, 7, 0x1c, 0xe8)

/** The elements of valid messages. */
export const REQUEST: readonly unknown[] = [1, 0, TID, networkTag(NETWORK), 6, SENDER, 0, []]
export const RESPONSE: readonly unknown[] = [1, 1, TID, networkTag(NETWORK), 6, SENDER, OBSERVED, []]
export const ERROR: readonly unknown[] = [1, 2, TID, networkTag(NETWORK), 6, SENDER, OBSERVED, [3, 'unknown']]

/** A message with one of its elements replaced. */
export function withElement(elements: readonly unknown[], at: number, value: unknown): Uint8Array {
  return pack([...elements.slice(0, at), value, ...elements.slice(at + 1)])
}
