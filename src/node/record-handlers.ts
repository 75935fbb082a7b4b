import { DhtError } from '../errors.js'
import type { NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { IncomingRequest, Reply } from '../rpc/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import type {
  FindValueParams,
  FindValueResult,
  KeyToken,
  StoreParams,
  StoreResult,
  TokensParams,
  TokensResult,
} from '../wire/index.js'
import { nearestFor } from './contact-handlers.js'
import { isCached, keepRecord } from './copies.js'
import type { NodeContext } from './node-context.js'
import { decodeCursor, inOrderOf, randomSeed } from './samples.js'
import { sourceOf } from './sources.js'
import type { WriteTokens } from './write-tokens.js'

/** A record is not kept for less than this, in ms: the wire counts in seconds. */
const SECOND_MS = 1000

/**
 * What a FIND_VALUE result holds beside records and packed contacts, in bytes: token, seq, headers of records and
 * contacts, two counts, header of the lifetimes.
 */
const FIND_VALUE_FIXED_BYTES = 10 + 9 + 3 + 3 + 3 + 3 + 3

/** What a record on the wire takes beside its bytes: its header and its lifetime. */
const RECORD_EXTRA_BYTES = 3 + 5

/** The most records of one answer. */
const RECORDS_MAX = 64

/** What a TOKENS result takes for each key, and beside them, in bytes. */
const KEY_TOKEN_BYTES = 1 + 10 + 9
const TOKENS_FIXED_BYTES = 3

/** What the asker is told when our store fails: no more, because that is this node's own affair. */
const STORE_FAILED = 'the store failed'

const NO_SEQ = 0n

export function findValue(
  node: NodeContext,
  tokens: WriteTokens,
  params: FindValueParams,
  request: IncomingRequest,
  reply: Reply<FindValueResult>,
): void {
  const { key } = params
  const kind = node.kinds.get(params.kind)
  const token = tokens.issue(request.from.address, key)
  const answer = (stored: readonly StoredRecord[]): void => {
    const nowMs = node.clock.wallNow()
    const held = kind ? aliveOf(kind, stored, nowMs) : []
    const { chosen, recordsLeft, roomBytes } = choose(node, kind, held, params, request.roomBytes)
    const nearest = nearestFor(node, key, 0, request)
    const { bytes, count } = node.packer.pack(nearest, roomBytes)
    reply.result({
      token,
      heldSeq: heldSeqOf(kind, held),
      records: chosen.map(({ record }) => record),
      contacts: bytes,
      leftOut: nearest.length - count,
      recordsLeft,
      ttlsSeconds: chosen.map((stored) => ttlSecondsOf(stored, nowMs, node.config.valueLifetimeMaxMs)),
    })
  }
  // Who only wants a token and contacts gets them from a node whose store fails, too.
  const failed = (): void => (params.want === 0 ? answer([]) : reply.error('ERR_REMOTE', STORE_FAILED))
  whenReady(() => (kind ? node.store.list(key, kind.code) : []), answer, failed)
}

/** Clamped: a clock may have been wrong when it was stored. */
function ttlSecondsOf({ expiresAtMs }: StoredRecord, nowMs: number, lifetimeMaxMs: number): number {
  return Math.floor(Math.min(expiresAtMs - nowMs, lifetimeMaxMs) / SECOND_MS)
}

/** Which of the records go into the answer: as many as were asked for and fit, a fair sample where there are more. */
function choose(
  node: NodeContext,
  kind: RecordKind | undefined,
  held: readonly StoredRecord[],
  { want, minSeq, cursor }: FindValueParams,
  bytesMax: number,
): { chosen: StoredRecord[]; recordsLeft: number; roomBytes: number } {
  let roomBytes = bytesMax - FIND_VALUE_FIXED_BYTES
  const chosen: StoredRecord[] = []
  if (want === 0 || held.length === 0) return { chosen, recordsLeft: 0, roomBytes }
  const isWanted = ({ record }: StoredRecord): boolean => (kind?.seq?.(record) ?? minSeq) >= minSeq
  const wanted = minSeq > NO_SEQ ? held.filter(isWanted) : held
  const { seed, skip } = decodeCursor(cursor) ?? { seed: randomSeed(node), skip: 0 }
  const ordered = wanted.length > 1 ? inOrderOf(seed, wanted) : wanted
  let at = skip
  for (; at < ordered.length && chosen.length < Math.min(want, RECORDS_MAX); at++) {
    const stored = ordered[at] as StoredRecord
    const bytes = stored.record.length + RECORD_EXTRA_BYTES
    if (bytes > roomBytes) break
    chosen.push(stored)
    roomBytes -= bytes
  }
  return { chosen, recordsLeft: Math.min(0xffff, Math.max(0, ordered.length - at)), roomBytes }
}

/** The records that may be handed out. */
function aliveOf(kind: RecordKind, stored: readonly StoredRecord[], nowMs: number): readonly StoredRecord[] {
  const isAlive = ({ expiresAtMs, record }: StoredRecord): boolean =>
    expiresAtMs > nowMs && kind.isTombstone?.(record) !== true
  return stored.filter(isAlive)
}

/** Of a key with one record; the numbers of several have nothing in common. */
function heldSeqOf(kind: RecordKind | undefined, held: readonly StoredRecord[]): bigint | undefined {
  const [first] = held
  if (!kind || !first) return undefined
  return kind.slotsPerKeyMax === 1 ? (kind.seq?.(first.record) ?? NO_SEQ) : NO_SEQ
}

export function store(
  node: NodeContext,
  tokens: WriteTokens,
  params: StoreParams,
  request: IncomingRequest,
  reply: Reply<StoreResult>,
): void {
  const { key, record, token, ttlSeconds, cas } = params
  const { address } = request.from
  if (!tokens.isValid(token, address, key)) {
    reply.error('ERR_BAD_TOKEN', 'no valid token of this host for this key')
    return
  }
  request.prove()
  const kind = node.kinds.get(params.kind)
  if (!kind) {
    reply.error('ERR_INVALID_RECORD', 'records of this kind are not kept here')
    return
  }
  keepRecord(
    node,
    {
      key,
      kind,
      lifetimeMs: Math.max(ttlSeconds, 1) * SECOND_MS,
      source: sourceOf(node, address),
      cas,
      // Only where a cached copy can't be an old one.
      isCached: params.isCached && kind.isFirstEnough,
      accept: (held) => accept(node, kind, { key, record, token }, request, held),
    },
    (refusal, lifetimeMs) => {
      if (refusal) reply.error(refusal.code, refusal.text)
      else reply.result({ ttlSeconds: Math.max(0, Math.floor(lifetimeMs / SECOND_MS)) })
    },
    // A disk that is full refuses as a store that is full does.
    (error) => reply.error(isFull(error) ? 'ERR_STORE_FULL' : 'ERR_REMOTE', STORE_FAILED),
  )
}

function isFull(error: unknown): boolean {
  return error instanceof DhtError && error.code === 'ERR_STORE_FULL'
}

function accept(
  node: NodeContext,
  kind: RecordKind,
  { key, record, token }: { key: NodeId; record: Uint8Array; token: Uint8Array },
  request: IncomingRequest,
  held: readonly StoredRecord[],
): Uint8Array | undefined {
  if (record.length > kind.recordBytesMax) return undefined
  if (kind.accept) {
    const observed = node.transport.encodeAddress(request.from.address)
    return kind.accept(key, record, { holder: node.id, token, observed })
  }
  // Repair brings what is held already, again and again: a signature costs more than all else here.
  if (held.some((other) => sameBytes(other.record, record))) return record
  return kind.isValid(key, record, node.id) ? record : undefined
}

export function issueTokens(
  node: NodeContext,
  tokens: WriteTokens,
  params: TokensParams,
  request: IncomingRequest,
  reply: Reply<TokensResult>,
): void {
  const kind = node.kinds.get(params.kind)
  const fitting = Math.floor((request.roomBytes - TOKENS_FIXED_BYTES) / KEY_TOKEN_BYTES)
  const keys = params.keys.slice(0, Math.max(0, fitting))
  const nowMs = node.clock.wallNow()
  const answers = new Map<string, KeyToken>()
  // Each key once: a full topic takes a while to look through.
  const distinct = [...new Map(keys.map((key) => [mapKey(key), key])).entries()]
  let open = distinct.length
  const finish = (): void => reply.result({ tokens: keys.map((key) => answers.get(mapKey(key)) as KeyToken) })
  const failed = (): void => reply.error('ERR_REMOTE', STORE_FAILED)
  if (open === 0) finish()
  for (const [name, key] of distinct) {
    const answer = (stored: readonly StoredRecord[]): void => {
      const token = tokens.issue(request.from.address, key)
      // Whoever asks for many tokens passes records on: a cached copy is no reason to leave one out.
      const held = kind ? aliveOf(kind, stored, nowMs).filter((one) => !isCached(one)) : []
      answers.set(name, { token, heldSeq: heldSeqOf(kind, held) })
      if (--open === 0) finish()
    }
    whenReady(() => (kind ? node.store.list(key, kind.code) : []), answer, failed)
  }
}
