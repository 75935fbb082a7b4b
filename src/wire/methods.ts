import type { NodeId } from '../keyspace/index.js'
import {
  PADDED_REQUEST_BYTES,
  PADDED_VALUE_REQUEST_BYTES,
  PAYLOAD_BYTES_MAX,
  RECORD_BYTES_MAX,
  SECONDS_MAX,
  TOKEN_BYTES_MAX,
  TOKENS_KEYS_MAX,
} from './limits.js'
import { readArray, readBriefly, readBytes, readId, readInteger, readU64, writeU64 } from './shape.js'

/** What a request of one method and its answer look like. Readers return undefined for any other shape. */
export interface Method<P, R> {
  /** A number of the protocol, or a name of the application. */
  readonly code: number | string
  /** What its requests are padded to, in bytes; 0 for not at all. */
  readonly paddedBytes: number
  writeParams(params: P): unknown[]
  readParams(raw: readonly unknown[]): P | undefined
  writeResult(result: R): unknown[]
  readResult(raw: readonly unknown[]): R | undefined
}

const EMPTY = {}
type Empty = Record<string, never>

/** 0 PING: asks only for a sign of life (paper 2.3). */
export const PING: Method<Empty, Empty> = {
  code: 0,
  paddedBytes: 0,
  writeParams: () => [],
  readParams: () => EMPTY,
  writeResult: () => [],
  readResult: () => EMPTY,
}

/** Parameters of FIND_NODE. */
export interface FindNodeParams {
  readonly target: NodeId
  /** How many of the nearest to leave out: those that the asker got already. */
  readonly skip: number
}

/** Result of FIND_NODE. */
export interface FindNodeResult {
  /** Packed contacts, nearest first. */
  readonly contacts: Uint8Array
}

const SKIP_MAX = 1000
const PACKED_CONTACTS_BYTES_MAX = 1200

/** 1 FIND_NODE: asks for the contacts nearest to a target (paper 2.3). */
export const FIND_NODE: Method<FindNodeParams, FindNodeResult> = {
  code: 1,
  paddedBytes: PADDED_REQUEST_BYTES,
  writeParams: ({ target, skip }) => [target, skip],
  readParams(raw) {
    const target = readId(raw[0])
    const skip = readInteger(raw[1], SKIP_MAX)
    return target && skip !== undefined ? { target, skip } : undefined
  },
  writeResult: ({ contacts }) => [contacts],
  readResult(raw) {
    const contacts = readBriefly(raw[0], 0, PACKED_CONTACTS_BYTES_MAX)
    return contacts && { contacts }
  },
}

/** Parameters of FIND_VALUE. */
export interface FindValueParams {
  readonly key: NodeId
  /** Number of the record kind. */
  readonly kind: number
  /** How many records are wanted; 0 asks for the token and contacts only. */
  readonly want: number
  /** Records of a lower sequence number need not be sent. */
  readonly minSeq: bigint
  /** Which sample of a long list of records is wanted, and where to go on in it; empty for any. */
  readonly cursor: Uint8Array
}

/** Result of FIND_VALUE. */
export interface FindValueResult {
  /** Allows the asker's host to store under this key at this node, for some minutes. */
  readonly token: Uint8Array
  /** The sequence number held, 0 for a kind without them or with many records a key; undefined where nothing is held. */
  readonly heldSeq: bigint | undefined
  readonly records: readonly Uint8Array[]
  /** Packed contacts nearest to the key, nearest first, as many as fit. */
  readonly contacts: Uint8Array
  /** How many further contacts did not fit: FIND_NODE brings them. */
  readonly leftOut: number
  /** How many further records there are behind those that came. */
  readonly recordsLeft: number
  /** For how long each of the records is kept from now on, in seconds; none where the holder does not say. */
  readonly ttlsSeconds: readonly number[]
}

const WANT_MAX = 1000
const KIND_MAX = 0xff
const CURSOR_BYTES_MAX = 64
const RECORDS_MAX = 64
const RECORDS_LEFT_MAX = 0xffff

/** 2 FIND_VALUE: asks for the records of a key, and for contacts nearer to it (paper 2.3). */
export const FIND_VALUE: Method<FindValueParams, FindValueResult> = {
  code: 2,
  paddedBytes: PADDED_VALUE_REQUEST_BYTES,
  writeParams: ({ key, kind, want, minSeq, cursor }) => [key, kind, [want, writeU64(minSeq), cursor]],
  readParams(raw) {
    const key = readId(raw[0])
    const kind = readInteger(raw[1], KIND_MAX)
    const options = readArray(raw[2], 3)
    const want = options && readInteger(options[0], WANT_MAX)
    const minSeq = options && readU64(options[1])
    const cursor = options && readBytes(options[2], 0, CURSOR_BYTES_MAX)
    if (!key || kind === undefined || want === undefined || minSeq === undefined || !cursor) return undefined
    return { key, kind, want, minSeq, cursor }
  },
  writeResult: ({ token, heldSeq, records, contacts, leftOut, recordsLeft, ttlsSeconds }) => [
    token,
    writeHeldSeq(heldSeq),
    records,
    contacts,
    leftOut,
    recordsLeft,
    ttlsSeconds,
  ],
  readResult(raw) {
    const token = readBytes(raw[0], 1, TOKEN_BYTES_MAX)
    const heldSeq = readHeldSeq(raw[1])
    const records = readRecords(raw[2])
    const contacts = readBriefly(raw[3], 0, PACKED_CONTACTS_BYTES_MAX)
    const leftOut = readInteger(raw[4], SKIP_MAX)
    const recordsLeft = readInteger(raw[5], RECORDS_LEFT_MAX)
    const ttlsSeconds = readTtls(raw[6])
    if (!token || !heldSeq || !records || !contacts || leftOut === undefined) return undefined
    if (recordsLeft === undefined || !ttlsSeconds) return undefined
    return { token, heldSeq: heldSeq.seq, records, contacts, leftOut, recordsLeft, ttlsSeconds }
  },
}

function writeHeldSeq(seq: bigint | undefined): number | bigint | null {
  return seq === undefined ? null : writeU64(seq)
}

function readHeldSeq(value: unknown): { seq: bigint | undefined } | undefined {
  if (value === null) return { seq: undefined }
  const seq = readU64(value)
  return seq === undefined ? undefined : { seq }
}

function readTtls(value: unknown): number[] | undefined {
  const list = readArray(value, 0)
  if (!list || list.length > RECORDS_MAX) return undefined
  const ttls: number[] = []
  for (const element of list) {
    const seconds = readInteger(element, SECONDS_MAX)
    if (seconds === undefined) return undefined
    ttls.push(seconds)
  }
  return ttls
}

function readRecords(value: unknown): Uint8Array[] | undefined {
  const list = readArray(value, 0)
  if (!list || list.length > RECORDS_MAX) return undefined
  const records: Uint8Array[] = []
  for (const element of list) {
    const record = readBytes(element, 1, RECORD_BYTES_MAX)
    if (!record) return undefined
    records.push(record)
  }
  return records
}

/** Parameters of STORE. */
export interface StoreParams {
  readonly key: NodeId
  /** Number of the record kind. */
  readonly kind: number
  /** The token that the same node gave for the same key. */
  readonly token: Uint8Array
  readonly record: Uint8Array
  /** The lifetime that is asked for, in seconds. */
  readonly ttlSeconds: number
  /** Store only when the held record has this sequence number; 0 stands for none. */
  readonly cas: bigint | undefined
  /** Whether the writer is no holder and no publisher, but met the record on its way: a copy that nobody is to pass on. */
  readonly isCached: boolean
}

/** Result of STORE. */
export interface StoreResult {
  /** The lifetime that the holder granted, in seconds. */
  readonly ttlSeconds: number
}

/** Keys of STORE's map of options. */
const STORE_CAS = 0
const STORE_CACHED = 1

/** 3 STORE: asks to keep a record (paper 2.3). */
export const STORE: Method<StoreParams, StoreResult> = {
  code: 3,
  paddedBytes: 0,
  writeParams({ key, kind, token, record, ttlSeconds, cas, isCached }) {
    const options = new Map<number, number | bigint | boolean>()
    if (cas !== undefined) options.set(STORE_CAS, writeU64(cas))
    if (isCached) options.set(STORE_CACHED, true)
    return [key, kind, token, record, ttlSeconds, options]
  },
  readParams(raw) {
    const key = readId(raw[0])
    const kind = readInteger(raw[1], KIND_MAX)
    const token = readBytes(raw[2], 0, TOKEN_BYTES_MAX)
    const record = readBytes(raw[3], 1, RECORD_BYTES_MAX)
    const ttlSeconds = readInteger(raw[4], SECONDS_MAX)
    const options = raw[5]
    if (!key || kind === undefined || !token || !record || ttlSeconds === undefined) return undefined
    if (!(options instanceof Map)) return undefined
    const cas = readU64(options.get(STORE_CAS))
    if (options.has(STORE_CAS) && cas === undefined) return undefined
    return { key, kind, token, record, ttlSeconds, cas, isCached: options.get(STORE_CACHED) === true }
  },
  writeResult: ({ ttlSeconds }) => [ttlSeconds],
  readResult(raw) {
    const ttlSeconds = readInteger(raw[0], SECONDS_MAX)
    return ttlSeconds === undefined ? undefined : { ttlSeconds }
  },
}

/** Parameters of TOKENS. */
export interface TokensParams {
  /** Number of the record kind. */
  readonly kind: number
  /** 1 to {@link TOKENS_KEYS_MAX} keys. */
  readonly keys: readonly NodeId[]
}

/** What a TOKENS result says of one key. */
export interface KeyToken {
  /** Allows the asker's host to store under this key at this node, for some minutes. */
  readonly token: Uint8Array
  /** The sequence number held, 0 for a kind without them or with many records a key; undefined where nothing is held. */
  readonly heldSeq: bigint | undefined
}

/** Result of TOKENS: as many as there were keys, in their order. */
export interface TokensResult {
  readonly tokens: readonly KeyToken[]
}

/** 4 TOKENS: asks for the write tokens of many keys at once, for whoever stores many records at one holder. */
export const TOKENS: Method<TokensParams, TokensResult> = {
  code: 4,
  paddedBytes: 0,
  writeParams: ({ kind, keys }) => [kind, keys],
  readParams(raw) {
    const kind = readInteger(raw[0], KIND_MAX)
    const list = readArray(raw[1], 1)
    if (kind === undefined || !list || list.length > TOKENS_KEYS_MAX) return undefined
    const keys: NodeId[] = []
    for (const element of list) {
      const key = readId(element)
      if (!key) return undefined
      keys.push(key)
    }
    return { kind, keys }
  },
  writeResult: ({ tokens }) => [tokens.map(({ token, heldSeq }) => [token, writeHeldSeq(heldSeq)])],
  readResult(raw) {
    const list = readArray(raw[0], 0)
    if (!list || list.length > TOKENS_KEYS_MAX) return undefined
    const tokens: KeyToken[] = []
    for (const element of list) {
      const pair = readArray(element, 2)
      const token = pair && readBytes(pair[0], 1, TOKEN_BYTES_MAX)
      const heldSeq = pair && readHeldSeq(pair[1])
      if (!token || !heldSeq) return undefined
      tokens.push({ token, heldSeq: heldSeq.seq })
    }
    return { tokens }
  },
}

/** Parameters of an application's own method: bytes that it reads itself. */
export interface AppParams {
  readonly payload: Uint8Array
  /** Of an iterative query: the point that is looked for, so that contacts nearest to it are wanted too. */
  readonly target?: NodeId | undefined
}

/** Result of an application's own method. */
export interface AppResult {
  readonly payload: Uint8Array
  /** Of an iterative query: packed contacts nearest to its target, nearest first, as many as fit; else none. */
  readonly contacts?: Uint8Array | undefined
  /** How many further contacts did not fit: FIND_NODE brings them. */
  readonly leftOut?: number | undefined
}

const NO_CONTACTS = new Uint8Array(0)

/** An application's own method. Padded, so that its first answer to a stranger may fill a datagram too. */
export function appMethod(name: string): Method<AppParams, AppResult> {
  return {
    code: name,
    paddedBytes: PADDED_REQUEST_BYTES,
    writeParams: ({ payload, target }) => (target ? [payload, target] : [payload]),
    readParams(raw) {
      const payload = readBytes(raw[0], 0, PAYLOAD_BYTES_MAX)
      const target = raw.length > 1 ? readId(raw[1]) : undefined
      if (!payload || (raw.length > 1 && !target)) return undefined
      return target ? { payload, target } : { payload }
    },
    writeResult: ({ payload, contacts, leftOut = 0 }) => (contacts ? [payload, contacts, leftOut] : [payload]),
    readResult(raw) {
      const payload = readBytes(raw[0], 0, PAYLOAD_BYTES_MAX)
      const contacts = raw.length > 1 ? readBriefly(raw[1], 0, PACKED_CONTACTS_BYTES_MAX) : NO_CONTACTS
      const leftOut = raw.length > 2 ? readInteger(raw[2], SKIP_MAX) : 0
      if (!payload || !contacts || leftOut === undefined) return undefined
      return raw.length > 1 ? { payload, contacts, leftOut } : { payload }
    },
  }
}
