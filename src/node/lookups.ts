import type { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { sameBytes } from '../keyspace/index.js'
import type {
  AnyLookup,
  LookupOutcome,
  LookupRun,
  PageQuery,
  Query,
  QueryEvents,
  RunLookupOptions,
} from '../lookup/index.js'
import { DisjointLookup, Lookup, runLookup } from '../lookup/index.js'
import type { RecordKind } from '../records/index.js'
import type { CallEvents } from '../rpc/index.js'
import type { FindNodeResult } from '../wire/index.js'
import { FIND_NODE, FIND_VALUE } from '../wire/index.js'
import { worthAsking } from './contact-filter.js'
import type { NodeContext } from './node-context.js'
import type { Costs } from './outcome.js'
import type { StepListener } from './trace.js'
import { traced } from './trace.js'

/** Contacts of one reply that are considered, as multiples of k: an honest reply names k. */
const TAKE_PER_REPLY = 2

/** Replies in a row that bring nothing nearer, after which all of the k nearest that are left are asked at once. */
const FRUITLESS_REPLIES_MAX = 1

/**
 * So many bits of distance a usual round trip is worth: of two contacts whose turn could come, one that answers in
 * half of it is asked before one that is 2.5 bits nearer. A hop gains 4 to 5 bits, so for half a hop's time.
 */
const BITS_PER_ROUND_TRIP = 5

const NO_CURSOR = new Uint8Array(0)

/**
 * Finds the k nodes nearest to `target` (paper 2.3).
 *
 * @param seeds - whom to begin with; by default the nearest in the table
 * @param told - of each question that ended
 */
export function lookUpNodes(
  node: NodeContext,
  target: NodeId,
  done: (outcome: LookupOutcome) => void,
  seeds: readonly Contact[] = nearestSeeds(node, target),
  told?: StepListener,
): LookupRun {
  const lookup = createLookup(node, target, seeds)
  return start(node, lookup, target, { query: nodesFrom(node, target, 0), done }, told)
}

/** Looks for the k nodes nearest to `target` with a query of one's own. */
export function lookUpWith(
  node: NodeContext,
  target: NodeId,
  query: Query,
  done: (outcome: LookupOutcome) => void,
): LookupRun {
  return start(node, createLookup(node, target, nearestSeeds(node, target)), target, { query, done })
}

/** Asks each contact for those that it knows nearest to the target, from the `skip`-th on. */
function nodesFrom(node: NodeContext, target: NodeId, skip: number): PageQuery {
  return (contact, events) =>
    askNodes(node, contact, target, skip, events, (error, contacts, from) => {
      if (error) events.failed(error, whoElse(error, from))
      else events.answered(contacts)
    })
}

/** Who answered in the place of the contact that was asked, if it was another node. */
export function whoElse(error: DhtError | undefined, from: Contact): Contact | undefined {
  return error?.code === 'ERR_WRONG_ID' ? from : undefined
}

/** A record of a reply, valid for the key that was asked for. */
export interface ReceivedRecord {
  readonly record: Uint8Array
  /** For how long its holder keeps it from now on, as it says. */
  readonly lifetimeMs: number
}

/** What a holder answered. */
export interface RecordAnswer {
  /** Allows to store under the key at this holder. */
  readonly token: Uint8Array
  /** The sequence number that it says it holds, 0 for a kind without them or with many records; undefined for none. */
  readonly heldSeq: bigint | undefined
  readonly records: readonly ReceivedRecord[]
  /** How many records it sent, invalid ones included. */
  readonly sent: number
  /** How many it has beyond these. */
  readonly recordsLeft: number
}

/** What a {@link lookUpRecords} asks each holder for. */
export interface RecordRequest {
  /** How many records; 0 for tokens and contacts only. */
  readonly want: number
  /** Records of a lower sequence number need not be sent. */
  readonly minSeq: bigint
  /** Which sample of many records, see `samples.ts`; empty for any. */
  readonly cursor: Uint8Array
  /** A record that was found valid before, and need not be verified again. */
  readonly known?: Uint8Array | undefined
}

/** What a value lookup reports while it runs. */
export interface RecordLookupEvents {
  /** A contact answered. `end` ends the lookup with this answer and tells what it cost. */
  answer(contact: Contact, answer: RecordAnswer, end: () => Costs): void
  /** Who answered of the k nearest, while the lookup is about to end; called again and again. */
  settled?(contacts: Contact[]): void
  done(outcome: LookupOutcome): void
}

/** How hasty a lookup is. */
export interface Pace {
  /** How many queries it keeps in flight. */
  readonly alpha: number
  /** Replies in a row that bring nothing nearer, after which all of the k nearest that are left are asked at once. */
  readonly fruitlessRepliesMax: number
}

/** Asks for tokens and contacts only. */
export const TOKENS_ONLY: RecordRequest = { want: 0, minSeq: 0n, cursor: NO_CURSOR }

/** Asks for the one record of a key. */
export const ONE_RECORD: RecordRequest = { want: 1, minSeq: 0n, cursor: NO_CURSOR }

/**
 * Looks for the records of a key (paper 2.3), and for the nodes that should hold them.
 *
 * @param request - what a contact is asked for, given what came until then
 * @param pace - that of all lookups by default
 */
export function lookUpRecords(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  request: (contact: Contact) => RecordRequest,
  events: RecordLookupEvents,
  pace: Partial<Pace> = {},
): LookupRun {
  const lookup = createLookup(node, key, nearestSeeds(node, key), pace)
  const query: Query = (contact, queryEvents, run) => {
    let isOpen = true
    let cancel = askRecords(node, contact, key, kind, request(contact), queryEvents, (error, result, from) => {
      if (!isOpen) return
      if (!result) return queryEvents.failed(error, whoElse(error, from))
      events.answer(from, result, () => {
        const { messages, elapsedMs } = run.finish()
        return { hops: lookup.hops(contact.id), messages, elapsedMs }
      })
      if (!isOpen) return
      const { contacts, count } = readContacts(node, result.contacts, from, queryEvents)
      if (result.leftOut === 0) return queryEvents.answered(contacts)
      // Records took the room of contacts.
      cancel = askMoreNodes(node, contact, key, count, contacts, queryEvents)
    })
    return () => {
      isOpen = false
      cancel()
    }
  }
  const progressed = events.settled && (() => events.settled?.(lookup.settled()))
  return start(node, lookup, key, { query, done: events.done, ...(progressed && { progressed }) })
}

/** An answer, and the contacts beside it. */
interface FullAnswer extends RecordAnswer {
  readonly contacts: Uint8Array
  readonly leftOut: number
}

/** Asks one contact for the records of a key; of what it sends, the valid ones are passed on. */
export function askRecords(
  node: NodeContext,
  contact: Contact,
  key: NodeId,
  kind: RecordKind,
  { known, ...asked }: RecordRequest,
  events: Partial<Pick<QueryEvents, 'sent' | 'slow' | 'lost'>>,
  done: (error: DhtError | undefined, answer: FullAnswer | undefined, from: Contact) => void,
): () => void {
  const params = { key, kind: kind.code, ...asked }
  // Where records are made for one holder each, another holder's tells nothing.
  const isKnown = (record: Uint8Array): boolean => known !== undefined && !kind.accept && sameBytes(record, known)
  return node.rpc.call(FIND_VALUE, contact, params, {
    sent: () => events.sent?.(),
    slow: () => events.slow?.(),
    lost: () => events.lost?.(),
    done(error, result, from) {
      if (error || !result) return done(error, undefined, from)
      const { records, ttlsSeconds, ...rest } = result
      const valid: ReceivedRecord[] = []
      records.forEach((record, i) => {
        if (isKnown(record) || (record.length <= kind.recordBytesMax && kind.isValid(key, record, from.id))) {
          valid.push({ record, lifetimeMs: (ttlsSeconds[i] ?? 0) * 1000 })
        } else {
          node.counters.invalidRecords++
        }
      })
      done(undefined, { ...rest, records: valid, sent: records.length }, from)
    },
  })
}

function createLookup(
  node: NodeContext,
  target: NodeId,
  seeds: readonly Contact[],
  { alpha = node.config.alpha, fruitlessRepliesMax = FRUITLESS_REPLIES_MAX }: Partial<Pace> = {},
): AnyLookup {
  const { config, id, rpc } = node
  const { k, disjointPaths } = config
  const delayBits = ({ address }: Contact): number => BITS_PER_ROUND_TRIP * rpc.relativeDelay(address)
  const takePerReplyMax = TAKE_PER_REPLY * k
  const options = { target, k, alpha, ownId: id, takePerReplyMax, fruitlessRepliesMax, delayBits }
  // Plain contacts: an entry of the table makes its id anew for each reader, and a lookup reads it again and again.
  const copies = seeds.map((seed) => ({ id: seed.id, address: seed.address }))
  return disjointPaths > 1 ? new DisjointLookup(options, copies, disjointPaths) : new Lookup(options, copies)
}

function start(
  node: NodeContext,
  lookup: AnyLookup,
  target: NodeId,
  { done, query, ...options }: Pick<RunLookupOptions, 'query' | 'progressed' | 'done'>,
  told?: StepListener,
): LookupRun {
  node.counters.lookups++
  const now = (): number => node.clock.now()
  const queryPage = nodesFrom(node, target, node.config.k)
  const trace = told && { told, now, hopOf: ({ id }: Contact): number => lookup.hops(id) }
  return runLookup(lookup, {
    ...options,
    query: trace ? traced(query, trace) : query,
    queryPage: trace ? traced(queryPage, trace) : queryPage,
    now,
    done(outcome) {
      if (outcome.answered > 0) node.table.markLookedUp(target)
      done(outcome)
    },
  })
}

/**
 * Asks a contact for the rest of its contacts, for which its answer had no room. What came counts even if that fails.
 *
 * @param skip - how many came
 * @param known - those of them that are worth asking
 */
export function askMoreNodes(
  node: NodeContext,
  contact: Contact,
  target: NodeId,
  skip: number,
  known: readonly Contact[],
  events: QueryEvents,
): () => void {
  return askNodes(node, contact, target, skip, events, (_error, more) => events.answered([...known, ...more]))
}

/**
 * The contacts of a reply that are worth asking, and how many it named.
 *
 * @param known - which to leave out: see {@link QueryEvents.knows}
 */
export function readContacts(
  { config, isSilent, packer, transport }: NodeContext,
  packed: Uint8Array,
  from: Contact,
  known?: Pick<QueryEvents, 'knows'>,
): { contacts: Contact[]; count: number } {
  const { contacts, count } = packer.unpack(packed, TAKE_PER_REPLY * config.k, known)
  if (contacts.length === 0) return { contacts, count }
  const reachable = worthAsking(transport, contacts, from.address)
  return { contacts: reachable.filter(({ address }) => !isSilent(address)), count }
}

/** The contacts of the table to begin with; those that failed lately only where there are no others. */
function nearestSeeds({ table, config }: NodeContext, target: NodeId): Contact[] {
  const seeds = table.nearest(target, config.k, ({ failures }) => failures === 0)
  return seeds.length > 0 ? seeds : table.nearest(target, config.k)
}

/** Asks one contact for those that it knows nearest to the target. */
function askNodes(
  node: NodeContext,
  contact: Contact,
  target: NodeId,
  skip: number,
  events: QueryEvents,
  done: NodesDone,
): () => void {
  return node.rpc.call(FIND_NODE, contact, { target, skip }, new NodesCall(node, events, done))
}

type NodesDone = (error: DhtError | undefined, contacts: Contact[], from: Contact) => void

/** What becomes of a FIND_NODE, told to the query that it is for. */
class NodesCall implements CallEvents<FindNodeResult> {
  readonly #node: NodeContext
  readonly #events: QueryEvents
  readonly #done: NodesDone

  constructor(node: NodeContext, events: QueryEvents, done: NodesDone) {
    this.#node = node
    this.#events = events
    this.#done = done
  }

  sent(): void {
    this.#events.sent()
  }

  slow(): void {
    this.#events.slow()
  }

  lost(): void {
    this.#events.lost()
  }

  done(error: DhtError | undefined, result: FindNodeResult | undefined, from: Contact): void {
    this.#done(error, result ? this.#contactsOf(result, from) : [], from)
  }

  #contactsOf({ contacts }: FindNodeResult, from: Contact): Contact[] {
    return readContacts(this.#node, contacts, from, this.#events).contacts
  }
}
