import type { Owner, Parts } from '../../../src/assemble.js'
import { assemble } from '../../../src/assemble.js'
import type { DhtError, DhtErrorCode } from '../../../src/errors.js'
import type { Address, NodeId } from '../../../src/keyspace/index.js'
import { idInRegion } from '../../../src/keyspace/index.js'
import type { NodeContext } from '../../../src/node/index.js'
import type { DhtConfig, DhtOptions } from '../../../src/options.js'
import { resolveOptions } from '../../../src/options.js'
import type { KeyPair } from '../../../src/platform/signatures.js'
import { systemSignatures } from '../../../src/platform/system.js'
import type { RecordKind } from '../../../src/records/index.js'
import { encodeMutable } from '../../../src/records/index.js'
import type { RecordStore, StoredRecord } from '../../../src/storage/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import type { SimulatedHost } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import type {
  FindNodeResult,
  FindValueParams,
  FindValueResult,
  Method,
  RequestMessage,
  StoreParams,
  StoreResult,
  TokensParams,
  TokensResult,
} from '../../../src/wire/index.js'
import { FIND_NODE, FIND_VALUE, networkTag, PING, STORE, TOKENS } from '../../../src/wire/index.js'
import { RawPeer } from '../rpc/raw-peer.js'

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS

/** The wall clock of a simulation's start. */
export const START_MS = 1_700_000_000_000

export const NETWORK: Uint8Array = networkTag('xorbit')
export const KEYS: KeyPair = systemSignatures.generate(new Uint8Array(32).fill(1))
export const NO_BYTES: Uint8Array = new Uint8Array(0)

/** An answer, a refusal, or silence. */
type Answer<R> = R | DhtErrorCode | undefined

/** A peer that does what a test says about requests, and keeps what it was asked. Without orders it holds nothing and takes all. */
export class Holder {
  readonly peer: RawPeer
  readonly asked: FindValueParams[] = []
  readonly stored: StoreParams[] = []
  readonly tokensAsked: TokensParams[] = []
  findValue: (params: FindValueParams) => Answer<Partial<FindValueResult>> = () => ({})
  findNode: () => Answer<FindNodeResult> = () => ({ contacts: NO_BYTES })
  store: (params: StoreParams) => Answer<StoreResult> = ({ ttlSeconds }) => ({ ttlSeconds })
  tokens: (params: TokensParams) => Answer<TokensResult> = ({ keys }) => ({
    tokens: keys.map(() => ({ token: this.token, heldSeq: undefined })),
  })

  constructor(peer: RawPeer) {
    this.peer = peer
    peer.onRequest = (request, from) => this.#answer(request, from)
  }

  /** The token that it gives to everybody. */
  get token(): Uint8Array {
    return this.peer.id.slice(0, 8)
  }

  get contact() {
    return this.peer.contact
  }

  /** From now on it answers nothing. */
  die(): void {
    this.peer.onRequest = () => {}
  }

  /** Lets it hold this record. */
  holds(kind: RecordKind, record: Uint8Array, ttlSeconds = 3_600): this {
    const heldSeq = kind.seq?.(record) ?? 0n
    this.findValue = ({ want, minSeq }) =>
      want === 0 || (kind.seq && heldSeq < minSeq)
        ? { heldSeq }
        : { heldSeq, records: [record], ttlsSeconds: [ttlSeconds] }
    return this
  }

  #answer(request: RequestMessage, from: Address): void {
    const { method, params } = request
    if (method === PING.code) this.peer.answer(from, request, PING, {})
    if (method === FIND_NODE.code) this.#say(from, request, FIND_NODE, this.findNode())
    if (method === TOKENS.code) {
      const read = TOKENS.readParams(params)!
      this.tokensAsked.push(read)
      this.#say(from, request, TOKENS, this.tokens(read))
    }
    if (method === STORE.code) {
      const read = STORE.readParams(params)!
      this.stored.push(read)
      this.#say(from, request, STORE, this.store(read))
    }
    if (method !== FIND_VALUE.code) return
    const read = FIND_VALUE.readParams(params)!
    this.asked.push(read)
    const said = this.findValue(read)
    const nothing = { heldSeq: undefined, records: [], contacts: NO_BYTES, leftOut: 0, recordsLeft: 0, ttlsSeconds: [] }
    const full = typeof said === 'object' ? { token: this.token, ...nothing, ...said } : said
    this.#say(from, request, FIND_VALUE, full)
  }

  #say<P, R extends object>(to: Address, request: RequestMessage, method: Method<P, R>, answer: Answer<R>): void {
    if (typeof answer === 'string') this.peer.refuse(to, request, answer)
    else if (answer !== undefined) this.peer.answer(to, request, method, answer)
  }
}

/** What a test may set beside the options of a user. */
export type LabOptions = Partial<DhtOptions> & { readonly seed?: number; readonly config?: Partial<DhtConfig> }

/** One node whose parts can be reached, in a simulator. */
export interface Lab {
  readonly simulator: Simulator
  readonly host: SimulatedHost
  readonly parts: Parts
  readonly node: NodeContext
  /** The store in memory behind the node, if no other was given. */
  readonly storage: MemoryStore
  readonly immutable: RecordKind
  readonly mutable: RecordKind
  readonly peer: RecordKind
  readonly republishFailed: { readonly key: NodeId; readonly error: DhtError }[]
  /** Holders in the node's table, the first nearest to the key, each a bit farther than the one before. */
  holdersNear(key: NodeId, count: number): Promise<Holder[]>
  /** A peer that the node does not know. */
  stranger(id?: NodeId): Promise<RawPeer>
}

export async function openLab({ seed = 1, config = {}, ...options }: LabOptions = {}): Promise<Lab> {
  const simulator = new Simulator({ seed, latency: fixedLatency(10), trace: false })
  const host = simulator.host()
  const storage = (options.storage ?? new MemoryStore({ bytesMax: 2 ** 26, recordsMax: 65_536 })) as MemoryStore
  const { transport, clock, randomBytes } = host
  const resolved = resolveOptions({ transport, clock, randomBytes, limitedScopes: [], ...options, storage })
  const republishFailed: Lab['republishFailed'] = []
  let address: Address | undefined
  const owner: Owner = {
    address: () => address,
    flags: () => 3,
    contactAdded: () => {},
    contactRemoved: () => {},
    lonely: () => {},
    joined: () => {},
    joinFailed: () => {},
    republishFailed: (key, error) => republishFailed.push({ key, error }),
  }
  const parts = assemble({ ...resolved, ...config }, owner)
  address = await transport.start((from, bytes) => parts.node.rpc.receive(from, bytes))
  const { node } = parts
  const [immutable, mutable, peer] = [0, 1, 2].map((code) => node.kinds.get(code)) as [
    RecordKind,
    RecordKind,
    RecordKind,
  ]
  return {
    ...{ simulator, host, parts, node, storage, immutable, mutable, peer, republishFailed },
    async holdersNear(key, count) {
      const holders: Holder[] = []
      for (let i = 0; i < count; i++) {
        const id = idInRegion(key, 200 - i, new Uint8Array(32).fill(i))
        const holder = new Holder(await RawPeer.on(simulator.host(), id))
        node.table.answered(holder.contact)
        holders.push(holder)
      }
      return holders
    },
    stranger: (id) => RawPeer.on(simulator.host(), id ?? simulator.random.bytes(32)),
  }
}

/** What an operation called back with. */
export interface Outcome<T> {
  /** How often. */
  calls: number
  error: DhtError | undefined
  result: T | undefined
}

/** Begins an operation; what it calls back with, and its cancel. */
export function begin<T>(start: (done: (error: DhtError | undefined, result: T | undefined) => void) => () => void): {
  outcome: Outcome<T>
  cancel: () => void
} {
  const outcome: Outcome<T> = { calls: 0, error: undefined, result: undefined }
  const cancel = start((error, result) => {
    outcome.calls++
    outcome.error = error
    outcome.result = result
  })
  return { outcome, cancel }
}

/** A signed value of {@link KEYS}. */
export function signed(seq: bigint, value: number | Uint8Array = 1, salt: Uint8Array = NO_BYTES) {
  const bytes = typeof value === 'number' ? Uint8Array.of(value) : value
  return encodeMutable({ network: NETWORK, keys: KEYS, salt, seq, value: bytes }, systemSignatures)
}

/** A record as the node holds it, for a day from the start on. */
export function held(
  { code, slot }: Pick<RecordKind, 'code' | 'slot'>,
  key: NodeId,
  record: Uint8Array,
  changes: Partial<StoredRecord> = {},
): StoredRecord {
  const fallback = { storedAtMs: 0, expiresAtMs: START_MS + 24 * HOUR_MS, source: Uint8Array.of(1) }
  return { key, kind: code, slot: slot?.(record) ?? NO_BYTES, record, ...fallback, ...changes }
}

/** A store that answers later, each call by a promise of some turns. */
export function laterStore(inner = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 1_000 }), turns = 3): RecordStore {
  const later = async <T>(work: () => T): Promise<T> => {
    for (let i = 0; i < turns; i++) await undefined
    return work()
  }
  return {
    list: (...args) => later(() => inner.list(...args)),
    put: (...args) => later(() => inner.put(...args)),
    delete: (...args) => later(() => inner.delete(...args)),
    async *entries() {
      for (const stored of inner.entries()) yield later(() => stored)
    },
    removeExpired: (nowMs) => later(() => inner.removeExpired(nowMs)),
    stats: () => inner.stats(),
    close: () => later(() => inner.close()),
  }
}

/** The same store with some methods of its own. */
export function storeWith(store: RecordStore, changes: Partial<RecordStore>): RecordStore {
  return {
    list: (...args) => store.list(...args),
    put: (...args) => store.put(...args),
    delete: (...args) => store.delete(...args),
    entries: () => store.entries(),
    removeExpired: (nowMs) => store.removeExpired(nowMs),
    stats: () => store.stats(),
    close: () => store.close(),
    ...changes,
  }
}

/** Lets promises settle that need no virtual time. */
export async function settle(turns = 200): Promise<void> {
  for (let i = 0; i < turns; i++) await undefined
}
