// @ts-check
// What the checks of the store on a disk write: everything follows from a seed.

import { randomFrom } from '../../bench/peers/numbers.js'

/** @typedef {{ key: Uint8Array, kind: number, slot: Uint8Array, record: Uint8Array, storedAtMs: number, expiresAtMs: number, source: Uint8Array }} StoredRecord */

const NOW_MS = 1_700_000_000_000
const DAY_MS = 86_400_000
const RECORD_BYTES_MAX = 880

/**
 * The record of that name in that version.
 *
 * @param {number} seed
 * @param {number} name
 * @param {number} version
 * @returns {StoredRecord}
 */
export function recordOf(seed, name, version) {
  const random = randomFrom(Math.imul(seed, 31) ^ Math.imul(name + 1, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b))
  const record = new Uint8Array(Math.floor(random() * RECORD_BYTES_MAX))
  for (let i = 0; i < record.length; i++) record[i] = random() * 256
  return {
    key: keyOf(seed, name),
    kind: name % 3,
    slot: name % 3 === 2 ? Uint8Array.of(name & 255, 7) : new Uint8Array(0),
    record,
    storedAtMs: NOW_MS + version,
    expiresAtMs: NOW_MS + DAY_MS + name,
    source: Uint8Array.of(4, name % 50, 0, 2),
  }
}

/**
 * @param {number} seed
 * @param {number} name
 */
function keyOf(seed, name) {
  const random = randomFrom(Math.imul(seed, 17) ^ Math.imul(name + 7, 0xc2b2ae35))
  const key = Uint8Array.from({ length: 32 }, () => random() * 256)
  // Two random numbers may begin alike; two names never do.
  new DataView(key.buffer).setUint32(28, name)
  return key
}

/**
 * Which name a record has.
 *
 * @param {StoredRecord} record
 */
export function nameOf({ key }) {
  return new DataView(key.buffer, key.byteOffset).getUint32(28)
}

/**
 * Which version a record says to be.
 *
 * @param {StoredRecord} record
 */
export function versionOf({ storedAtMs }) {
  return storedAtMs - NOW_MS
}

/**
 * Whether every byte is as it was put.
 *
 * @param {StoredRecord} found
 * @param {StoredRecord} put
 */
export function isSame(found, put) {
  const fields = /** @type {const} */ (['key', 'slot', 'record', 'source'])
  const times = found.storedAtMs === put.storedAtMs && found.expiresAtMs === put.expiresAtMs && found.kind === put.kind
  return times && fields.every((field) => Buffer.from(found[field]).equals(put[field]))
}

/**
 * The `i`th write of a run: of a few names again and again, one in ten takes a record away.
 *
 * @param {number} i
 * @param {number} writes
 */
export function writeAt(i, writes) {
  return { name: Math.imul(i, 7919) % Math.max(1, writes >> 2), version: i, isDelete: i % 10 === 9 }
}
