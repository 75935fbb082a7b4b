// @ts-check
// A file in the network. Up to 1 MiB it is one value, and its pointer is the key of that. A longer one is a value for
// each MiB, and one more that lists their keys: its pointer is the key of the list, with one byte behind it. One list
// has room for 32 GiB. Who has the pointer can fetch the file, and get nothing else in its place.
import { createHash } from 'node:crypto'
import { LARGE_VALUE_BYTES_MAX, toHex, VALUE_BYTES_MAX } from 'xorbit'

/** @import { Dht, PutResult } from 'xorbit' */

const KEY_BYTES = 32
/** Stands behind the key of a list. */
const IS_LIST = 1

/**
 * @typedef {object} StoredFile
 * @property {Uint8Array} pointer
 * @property {number} values how many the file takes, the list not counted
 * @property {number} distinctValues those of equal content have one key and are stored once
 * @property {number} pieces that one record holds each, in all values
 * @property {number} bytes of the distinct values and the list: what a fetch brings
 * @property {PutResult[]} puts one for each distinct value, then one for the list, if there is one
 */

/**
 * @typedef {object} FetchedFile
 * @property {Uint8Array} bytes of the values that came, in their order
 * @property {{ key: string, reason: string }[]} missing the values that did not
 * @property {number} messages request datagrams, resent ones included; those for what is missing are not known
 */

/**
 * Values go one after the other: the parts of one keep all nodes busy.
 *
 * @param {Dht} dht
 * @param {Uint8Array} bytes
 * @param {{ signal: AbortSignal, onProgress: (bytes: number, bytesTotal: number) => void }} options
 * @returns {Promise<StoredFile>}
 */
export async function storeFile(dht, bytes, { signal, onProgress }) {
  const values = split(bytes).map((value) => ({ value, hash: createHash('sha256').update(value).digest('hex') }))
  const distinct = new Map(values.map(({ value, hash }) => [hash, value]))
  const listBytes = values.length > 1 ? values.length * KEY_BYTES : 0
  const bytesTotal = [...distinct.values()].reduce((sum, { length }) => sum + length, listBytes)
  let before = 0
  const put = async (/** @type {Uint8Array} */ value) => {
    const stored = await dht.put(value, { signal, onProgress: ({ bytes }) => onProgress(before + bytes, bytesTotal) })
    before += value.length
    return stored
  }

  /** @type {Map<string, PutResult>} */
  const puts = new Map()
  for (const [hash, value] of distinct) puts.set(hash, await put(value))
  const keys = values.map(({ hash }) => /** @type {PutResult} */ (puts.get(hash)).key)
  const pieces = values.reduce((sum, { value }) => sum + Math.max(1, Math.ceil(value.length / VALUE_BYTES_MAX)), 0)
  const counts = { values: values.length, distinctValues: distinct.size, pieces, bytes: bytesTotal }
  const [key] = keys
  if (key !== undefined && keys.length === 1) return { pointer: key, ...counts, puts: [...puts.values()] }
  const list = await put(new Uint8Array(Buffer.concat(keys)))
  return { pointer: Uint8Array.of(...list.key, IS_LIST), ...counts, puts: [...puts.values(), list] }
}

/**
 * What can't be had is missing, whatever the reason; only an interruption rejects.
 *
 * @param {Pick<Dht, 'get'>} dht
 * @param {Uint8Array} pointer
 * @param {{ signal: AbortSignal, onProgress: (bytes: number) => void }} options
 * @returns {Promise<FetchedFile>}
 */
export async function fetchFile(dht, pointer, { signal, onProgress }) {
  /** @type {FetchedFile['missing']} */
  const missing = []
  let before = 0
  let messages = 0
  const get = async (/** @type {Uint8Array} */ key) => {
    let reason = 'nobody has it'
    try {
      const found = await dht.get(key, { signal, onProgress: ({ bytes }) => onProgress(before + bytes) })
      if (found !== undefined) {
        before += found.value.length
        messages += found.messages
        return found.value
      }
    } catch (error) {
      signal.throwIfAborted()
      reason = error instanceof Error ? error.message : String(error)
    }
    missing.push({ key: toHex(key), reason })
    return undefined
  }

  let keys = [pointer]
  if (pointer.length === KEY_BYTES + 1 && pointer[KEY_BYTES] === IS_LIST) {
    const list = await get(pointer.subarray(0, KEY_BYTES))
    keys = list === undefined ? [] : split(list, KEY_BYTES)
  }
  /** @type {Map<string, Uint8Array | undefined>} */
  const values = new Map()
  for (const key of keys) if (!values.has(toHex(key))) values.set(toHex(key), await get(key))
  const bytes = Buffer.concat(keys.map((key) => values.get(toHex(key)) ?? new Uint8Array(0)))
  return { bytes: new Uint8Array(bytes), missing, messages }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} partBytesMax
 * @returns {Uint8Array[]} at least one: no bytes are a value too
 */
function split(bytes, partBytesMax = LARGE_VALUE_BYTES_MAX) {
  const parts = [bytes.subarray(0, partBytesMax)]
  for (let at = partBytesMax; at < bytes.length; at += partBytesMax) parts.push(bytes.subarray(at, at + partBytesMax))
  return parts
}
