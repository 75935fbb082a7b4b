import type { Contact, NodeId } from './keyspace/index.js'
import { ID_BYTES } from './keyspace/index.js'
import type { NodeConfig } from './node/index.js'
import { CONTACTS_MAX, keptIn, mustBeContacts, SECRET_KEY_BYTES } from './node/index.js'
import type { Clock } from './platform/clock.js'
import type { RandomBytes } from './platform/random.js'
import type { Signatures } from './platform/signatures.js'
import { systemClock, systemRandomBytes, systemSignatures } from './platform/system.js'
import type { AddressScope, Transport } from './platform/transport.js'
import type { RecordKind } from './records/index.js'
import { APP_KIND_CODE_MIN, KIND_CODE_MAX, PEER_LIFETIME_MAX_MS } from './records/index.js'
import type { RoutingTableOptions } from './routing/index.js'
import type { RpcConfig } from './rpc/index.js'
import type { RecordStore } from './storage/index.js'
import { MemoryStore, STORE_LIMITS } from './storage/index.js'
import { DATAGRAM_BYTES_MAX, RECORD_BYTES_MAX } from './wire/index.js'

/** What `createDht` takes. Only `transport` is required. */
export interface DhtOptions {
  /** How datagrams travel, for example `udp({ port: 7400 })` of `xorbit/udp`. The node starts and closes it. */
  transport: Transport
  /**
   * Places of nodes that are in the network already, `host:port` or `[v6]:port`, DNS names included. Whichever
   * answers will do.
   *
   * @defaultValue none: the node is the first of a network
   */
  bootstrap?: readonly string[] | undefined
  /**
   * Contacts of an earlier run, what `dht.contacts()` gave: asked together with the bootstrap addresses, and checked
   * before anybody else is told of them. At most 4,096.
   *
   * @defaultValue none, beside those that the store has kept
   */
  contacts?: readonly Contact[] | undefined
  /**
   * Keeps networks apart: datagrams of a network with another name are dropped unread. Hides nothing.
   *
   * @defaultValue `'xorbit'`
   */
  network?: string | undefined
  /**
   * The node's id, 32 bytes.
   *
   * @defaultValue the one that the store has kept, else random: ids must be spread evenly, and nobody else may guess or
   *   claim one
   */
  id?: Uint8Array | undefined
  /**
   * A client asks and is never asked: it enters no table and keeps nothing for others. For nodes that can't be
   * reached or are online for minutes only.
   *
   * @defaultValue false
   */
  client?: boolean | undefined
  /**
   * Where others' records are kept, and the node's own state where the store has a place for it. The node closes it.
   *
   * @defaultValue in memory, at most 64 MiB and 65,536 records
   */
  storage?: RecordStore | undefined
  /**
   * How many nodes keep a value, and how many contacts a bucket holds: the paper's k. The same for all nodes of a
   * network.
   *
   * @defaultValue 20: with a median session of one hour, the chance that all are gone after an hour is 1e-6
   */
  k?: number | undefined
  /**
   * How many queries a lookup keeps in flight: the paper's alpha.
   *
   * @defaultValue 4: more gains little time for many more messages
   */
  alpha?: number | undefined

  /**
   * Over how many disjoint paths lookups go (S/Kademlia), 1 to 8: no node is asked by two of them, so a liar misleads
   * one. Each further path takes about as many messages as the first.
   *
   * @defaultValue 1
   */
  disjointPaths?: number | undefined
  /**
   * How long one call may take, its resend included, in ms.
   *
   * @defaultValue 2000: several times the 99th percentile of round trips between distant hosts
   */
  requestTimeoutMs?: number | undefined
  /**
   * How long others are asked to keep what is put, in ms; they cap it at 48 h.
   *
   * @defaultValue 24 h
   */
  valueLifetimeMs?: number | undefined
  /**
   * How long holders are asked to keep an announcement, in ms; it is renewed at half of that. They cap it at 2 h.
   *
   * @defaultValue 1 h: a peer that left without a word is named no longer than that
   */
  peerLifetimeMs?: number | undefined
  /**
   * Kinds of records that the application adds to those of the protocol, with codes from 64 on. Only nodes that have a
   * kind keep its records, so all nodes of a network should.
   *
   * @defaultValue none
   */
  records?: readonly RecordKind[] | undefined
  /**
   * Whether the node passes on what it keeps for others: hourly to the k nearest of each key, and to newcomers. A node
   * that does not lets values die with their holders.
   *
   * @defaultValue true
   */
  repair?: boolean | undefined
  /**
   * How often the regions of the table that nobody asked for are looked up, in ms, give or take a quarter.
   *
   * @defaultValue 1 h (paper 2.3)
   */
  refreshIntervalMs?: number | undefined
  /**
   * The pause after a failed attempt to reach any bootstrap address, in ms; it doubles with each, up to a minute.
   *
   * @defaultValue 1000
   */
  bootstrapRetryMs?: number | undefined
  /**
   * Requests that one host may make in a second; twice as many at once.
   *
   * @defaultValue 256: a busy publisher stays below, a flood is cut
   */
  requestsPerSecondMax?: number | undefined
  /**
   * Scopes of the addresses that limits apply to: requests a second, and contacts of one /24 or /64.
   *
   * @defaultValue `['public']`: on one machine or in one office all nodes share a network
   */
  limitedScopes?: readonly AddressScope[] | undefined
  /** Time as the node sees it; a simulator gives its own. */
  clock?: Clock | undefined
  /** Unpredictable bytes; a simulator gives its own. */
  randomBytes?: RandomBytes | undefined
}

/** Everything decided: what `assemble.ts` builds a node from. */
export interface DhtConfig extends NodeConfig, RpcSettings, TableSettings {
  readonly network: string
  readonly id: NodeId
  /** Of the key pair that `announce` uses by default; undefined where nobody keeps one: it is made when it is needed. */
  readonly secretKey: Uint8Array | undefined
  readonly storage: RecordStore
  readonly signatures: Signatures
  readonly records: readonly RecordKind[]
}

type RpcSettings = Omit<RpcConfig, 'codec' | 'identity' | 'mayClaim' | 'observer'>
type TableSettings = Pick<
  RoutingTableOptions,
  'failuresMax' | 'replacementsMax' | 'groupPerBucketMax' | 'groupPerTableMax'
>

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof DhtOptions>([
  'transport',
  'bootstrap',
  'contacts',
  'network',
  'id',
  'client',
  'storage',
  'k',
  'alpha',
  'disjointPaths',
  'requestTimeoutMs',
  'valueLifetimeMs',
  'peerLifetimeMs',
  'records',
  'repair',
  'refreshIntervalMs',
  'bootstrapRetryMs',
  'requestsPerSecondMax',
  'limitedScopes',
  'clock',
  'randomBytes',
])

/**
 * Checks what a user gave and adds the defaults.
 *
 * @throws TypeError for a wrong type, RangeError for a value out of range
 */
export function resolveOptions(options: DhtOptions): DhtConfig {
  if (typeof options !== 'object' || options === null) throw new TypeError('createDht takes an object of options')
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) throw new TypeError(`there is no option ${name}`)
  }
  const transport = mustBeTransport(options.transport)
  const randomBytes = options.randomBytes ?? systemRandomBytes
  if (typeof randomBytes !== 'function') throw new TypeError('randomBytes must be a function')
  const storage = mustBeStore(options.storage ?? new MemoryStore(STORE_LIMITS))
  const kept = keptIn(storage, transport)
  const requestsPerSecondMax = integer('requestsPerSecondMax', options.requestsPerSecondMax ?? 256, 1, 1e6)
  const requestTimeoutMs = integer('requestTimeoutMs', options.requestTimeoutMs ?? 2 * SECOND_MS, 10, MINUTE_MS)
  // No more contacts fit into a reply.
  const k = integer('k', options.k ?? 20, 1, 20)
  return Object.freeze({
    transport,
    bootstrap: Object.freeze([...strings('bootstrap', options.bootstrap ?? [])]),
    contacts: Object.freeze(
      [...mustBeContacts(options.contacts ?? [], transport), ...kept.contacts].slice(0, CONTACTS_MAX),
    ),
    network: text('network', options.network ?? 'xorbit'),
    id: mustBeId(options.id ?? kept.id ?? randomBytes(ID_BYTES)),
    secretKey: storage.nodeState && (kept.secretKey ?? randomBytes(SECRET_KEY_BYTES)),
    client: flag('client', options.client ?? false),
    storage,
    clock: mustHave('clock', options.clock ?? systemClock, ['now', 'wallNow', 'after']),
    randomBytes,
    k,
    // Three in four: the slowest of so many takes no longer than a usual round trip, and a dead one delays nobody.
    acknowledgements: Math.ceil(0.75 * k),
    alpha: integer('alpha', options.alpha ?? 4, 1, 100),
    disjointPaths: integer('disjointPaths', options.disjointPaths ?? 1, 1, 8),
    valueLifetimeMs: integer('valueLifetimeMs', options.valueLifetimeMs ?? 24 * HOUR_MS, SECOND_MS, 48 * HOUR_MS),
    // Whoever stores asks for a lifetime; nobody can fill a store for good.
    valueLifetimeMaxMs: 48 * HOUR_MS,
    peerLifetimeMs: integer('peerLifetimeMs', options.peerLifetimeMs ?? HOUR_MS, 10 * SECOND_MS, PEER_LIFETIME_MAX_MS),
    signatures: systemSignatures,
    records: Object.freeze([...kinds(options.records ?? [])]),
    repair: flag('repair', options.repair ?? true),
    // Paper 2.3: hourly; with sessions of an hour, 20 holders lose one of a million records between two repairs.
    repairIntervalMs: HOUR_MS,
    // Several newcomers at once take one pass over the store.
    handOffDelayMs: 5 * SECOND_MS,
    // What readers leave on their way is soon of no use.
    cachedLifetimeMaxMs: HOUR_MS,
    // Early enough that what belongs here still finds room.
    nearlyFull: 0.9,
    // As many as a store holds for others: 60 MiB of the longest values.
    publicationsMax: 65_536,
    // The far regions are full within a minute, and a crowd that joins together has joined by then.
    explorePauseMs: 5 * SECOND_MS,
    refreshIntervalMs: integer('refreshIntervalMs', options.refreshIntervalMs ?? HOUR_MS, SECOND_MS, 24 * HOUR_MS),
    // Often enough that little is kept in vain, seldom enough to cost nothing.
    expiryIntervalMs: MINUTE_MS,
    bootstrapRetryMinMs: integer('bootstrapRetryMs', options.bootstrapRetryMs ?? SECOND_MS, 10, MINUTE_MS),
    bootstrapRetryMaxMs: MINUTE_MS,
    requestTimeoutMs,
    // One resend, when an answer is overdue; the bounds keep a wrong estimate from doing harm.
    resendMinMs: Math.min(150, requestTimeoutMs / 2),
    resendMaxMs: Math.min(SECOND_MS, requestTimeoutMs / 2),
    // Below 10 ms the pauses of a busy process look like losses; above 1 s a lookup would wait for the dead.
    softTimeoutMinMs: Math.min(10, requestTimeoutMs / 2),
    softTimeoutMaxMs: Math.min(SECOND_MS, requestTimeoutMs / 2),
    // Longer than nine of ten round trips between distant hosts.
    softTimeoutFirstMs: Math.min(300, requestTimeoutMs / 2),
    requestsPerSecondMax,
    requestsBurstMax: 2 * requestsPerSecondMax,
    limitedScopes: Object.freeze([...scopes(options.limitedScopes ?? ['public'])]),
    // Each failed call was resent, so four datagrams in a row must get lost before a live contact leaves.
    failuresMax: 2,
    // As many as a bucket of the default k: enough to fill it once.
    replacementsMax: 20,
    // The limits of geth: the owner of one network can't fill a bucket or the table.
    groupPerBucketMax: 2,
    groupPerTableMax: 10,
    // Jimenez et al. 2011: contacts verified within 15 minutes are rarely dead; older ones are asked when named.
    verifiedWithinMs: 15 * MINUTE_MS,
    // A flood of strangers must not become a flood of our pings.
    fullBucketCheckIntervalMs: MINUTE_MS,
    // BEP 5: the secret changes every five minutes, tokens hold for up to ten.
    tokenLifetimeMs: 5 * MINUTE_MS,
  })
}

function mustBeTransport(transport: Transport): Transport {
  const methods = ['start', 'send', 'encodeAddress', 'decodeAddress', 'resolve', 'describe', 'close'] as const
  mustHave('transport', transport, methods)
  if (!(transport.maxDatagramBytes >= DATAGRAM_BYTES_MAX)) {
    throw new RangeError(`transport must carry datagrams of ${DATAGRAM_BYTES_MAX} bytes`)
  }
  return transport
}

function mustHave<T>(name: string, given: T, methods: readonly (keyof T & string)[]): T {
  for (const method of methods) {
    if (typeof given?.[method] !== 'function') throw new TypeError(`${name} must have a method ${method}`)
  }
  return given
}

function mustBeStore(storage: RecordStore): RecordStore {
  const given: unknown = storage
  if (given instanceof Promise) throw new TypeError('storage is a promise: await openLevelStore(...) first')
  if (typeof (given as { batch?: unknown } | null)?.batch === 'function') {
    throw new TypeError('storage is a database: give what openLevelStore of xorbit/level makes of it')
  }
  mustHave('storage', storage, ['list', 'put', 'delete', 'entries', 'removeExpired', 'stats', 'close'])
  const { nodeState } = storage
  if (nodeState !== undefined && (typeof nodeState?.save !== 'function' || !nodeState.loaded)) {
    throw new TypeError('the nodeState of storage must have loaded and a method save')
  }
  return storage
}

function mustBeId(id: unknown): NodeId {
  if (!(id instanceof Uint8Array)) throw new TypeError('id must be a Uint8Array')
  if (id.length !== ID_BYTES) throw new RangeError(`id must have ${ID_BYTES} bytes`)
  return new Uint8Array(id)
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}`)
  }
  return value
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
  return value
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
  if (value.length === 0) throw new RangeError(`${name} must not be empty`)
  return value
}

function strings(name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.some((element) => typeof element !== 'string')) {
    throw new TypeError(`${name} must be an array of strings`)
  }
  return value
}

function kinds(value: unknown): readonly RecordKind[] {
  if (!Array.isArray(value)) throw new TypeError('records must be an array of record kinds')
  const codes = new Set<number>()
  for (const kind of value as readonly RecordKind[]) {
    mustHave('each of records', kind, ['isValid', 'merge'])
    integer('the code of a record kind', kind.code, APP_KIND_CODE_MIN, KIND_CODE_MAX)
    integer('recordBytesMax', kind.recordBytesMax, 1, RECORD_BYTES_MAX)
    integer('slotsPerKeyMax', kind.slotsPerKeyMax, 1, 65_535)
    if (kind.lifetimeMaxMs !== undefined) integer('lifetimeMaxMs', kind.lifetimeMaxMs, SECOND_MS, 48 * HOUR_MS)
    text('the name of a record kind', kind.name)
    flag('isRelayed', kind.isRelayed)
    flag('isFirstEnough', kind.isFirstEnough)
    if (kind.isFirstEnough && kind.slotsPerKeyMax > 1)
      throw new RangeError(`isFirstEnough of ${kind.name} needs slotsPerKeyMax 1: of several none is enough`)
    if (kind.accept) throw new TypeError("only the protocol's own record kinds are made for one holder each by accept")
    const members = [kind.slot, kind.seq, kind.lifetimeMs, kind.isTombstone]
    if (members.some((member) => member !== undefined && typeof member !== 'function')) {
      throw new TypeError(`slot, seq, lifetimeMs and isTombstone of ${kind.name} must be functions`)
    }
    if (codes.has(kind.code)) throw new RangeError(`two record kinds have the code ${kind.code}`)
    codes.add(kind.code)
  }
  return value as readonly RecordKind[]
}

function scopes(value: unknown): readonly AddressScope[] {
  const known: readonly string[] = ['loopback', 'private', 'public']
  if (strings('limitedScopes', value).some((scope) => !known.includes(scope))) {
    throw new RangeError(`limitedScopes may hold ${known.join(', ')}`)
  }
  return value as AddressScope[]
}
