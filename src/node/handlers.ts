import type { NodeId } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { TableEntry } from '../routing/index.js'
import type { IncomingRequest, Reply } from '../rpc/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import type {
  FindNodeParams,
  FindNodeResult,
  FindValueParams,
  FindValueResult,
  StoreParams,
  StoreResult,
} from '../wire/index.js'
import { FIND_NODE, FIND_VALUE, PING, STORE } from '../wire/index.js'
import { usableBy } from './contact-filter.js'
import { copyToKeep } from './copies.js'
import type { NodeContext } from './node-context.js'
import type { WriteTokens } from './write-tokens.js'

/** A record is not kept for less than this, in ms: the wire counts in seconds. */
const SECOND_MS = 1000

/** What a FIND_VALUE result holds beside records and packed contacts, in bytes: token, seq, three headers, a count. */
const FIND_VALUE_FIXED_BYTES = 10 + 9 + 3 + 3 + 3

/** What a record on the wire takes beside its bytes. */
const RECORD_HEADER_BYTES = 3

/** What the asker is told when our store fails: no more, because that is this node's own affair. */
const STORE_FAILED = 'the store failed'

/** What a FIND_NODE result holds beside the packed contacts, in bytes. */
const FIND_NODE_FIXED_BYTES = 3

/** Answers the four requests of the protocol. A client answers only PING: nothing should be looked for there. */
export function serveProtocol(node: NodeContext, tokens: WriteTokens, kinds: ReadonlyMap<number, RecordKind>): void {
  node.rpc.serve(PING, (_params, _request, reply) => reply.result({}))
  if (node.config.client) return
  node.rpc.serve(FIND_NODE, (params, request, reply) => findNode(node, params, request, reply))
  node.rpc.serve(FIND_VALUE, (params, request, reply) => findValue(node, tokens, params, request, reply))
  node.rpc.serve(STORE, (params, request, reply) => store(node, tokens, kinds, params, request, reply))
}

function findNode(
  node: NodeContext,
  { target, skip }: FindNodeParams,
  request: IncomingRequest,
  reply: Reply<FindNodeResult>,
): void {
  const contacts = nearestFor(node, target, skip, request)
  reply.result({ contacts: node.packer.pack(contacts, request.roomBytes - FIND_NODE_FIXED_BYTES).bytes })
}

function findValue(
  node: NodeContext,
  tokens: WriteTokens,
  params: FindValueParams,
  request: IncomingRequest,
  reply: Reply<FindValueResult>,
): void {
  const { key, kind, want } = params
  const token = tokens.issue(request.from.address, key)
  const list = () => (want === 0 ? [] : node.store.list(key, kind))
  const answer = (stored: readonly StoredRecord[]): void => {
    const nowMs = node.clock.wallNow()
    let roomBytes = request.roomBytes - FIND_VALUE_FIXED_BYTES
    const records: Uint8Array[] = []
    for (const { record, expiresAtMs } of stored) {
      if (expiresAtMs <= nowMs || records.length >= want || record.length + RECORD_HEADER_BYTES > roomBytes) continue
      records.push(record)
      roomBytes -= record.length + RECORD_HEADER_BYTES
    }
    const nearest = nearestFor(node, key, 0, request)
    const { bytes, count } = node.packer.pack(nearest, roomBytes)
    reply.result({ token, heldSeq: undefined, records, contacts: bytes, leftOut: nearest.length - count })
  }
  whenReady(list, answer, () => reply.error('ERR_REMOTE', STORE_FAILED))
}

function store(
  node: NodeContext,
  tokens: WriteTokens,
  kinds: ReadonlyMap<number, RecordKind>,
  params: StoreParams,
  request: IncomingRequest,
  reply: Reply<StoreResult>,
): void {
  const { key, kind, token, record, ttlSeconds } = params
  if (!tokens.isValid(token, request.from.address, key)) {
    reply.error('ERR_BAD_TOKEN', 'no valid token of this host for this key')
    return
  }
  request.prove()
  if (kinds.get(kind)?.isValid(key, record) !== true) {
    reply.error('ERR_INVALID_RECORD', 'the record is not of its kind or not of its key')
    return
  }
  const lifetimeMs = Math.min(Math.max(ttlSeconds, 1) * SECOND_MS, node.config.valueLifetimeMaxMs)
  const source = node.transport.describe(request.from.address).group
  const failed = (): void => reply.error('ERR_REMOTE', STORE_FAILED)
  const keep = (held: readonly StoredRecord[]): void => {
    const copy = copyToKeep(node, { key, kind, record, lifetimeMs, source }, held)
    whenReady(
      () => node.store.put(copy),
      (outcome) => {
        if (outcome === 'stored') reply.result({ ttlSeconds: Math.floor(lifetimeMs / SECOND_MS) })
        else reply.error('ERR_STORE_FULL', 'no room for the record')
      },
      failed,
    )
  }
  whenReady(() => node.store.list(key, kind), keep, failed)
}

/**
 * The contacts to name to a requester: the nearest that it can use, none that failed lately. The one of them that
 * was silent for longest is asked for a sign of life when that is long ago, because a reply full of dead contacts
 * costs the asker dearly (Jimenez et al. 2011), and a far contact in place of a near one costs it more.
 */
function nearestFor(node: NodeContext, target: NodeId, skip: number, request: IncomingRequest): TableEntry[] {
  const { clock, config, table } = node
  const usable = usableBy(node.transport, request)
  const found = table.nearest(target, config.k + skip, (entry) => entry.failures === 0 && usable(entry)).slice(skip)
  const seenSinceMs = clock.now() - config.verifiedWithinMs
  let stalest: TableEntry | undefined
  for (const entry of found) {
    if (entry.lastSeenMs < (stalest?.lastSeenMs ?? seenSinceMs)) stalest = entry
  }
  if (stalest) node.verify(stalest)
  return found
}
