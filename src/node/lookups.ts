import type { Contact, NodeId } from '../keyspace/index.js'
import type { LookupOutcome, LookupRun, Query, QueryEvents } from '../lookup/index.js'
import { Lookup, runLookup } from '../lookup/index.js'
import type { RecordKind } from '../records/index.js'
import { FIND_NODE, FIND_VALUE } from '../wire/index.js'
import { worthAsking } from './contact-filter.js'
import type { NodeContext } from './node-context.js'

/** What an operation cost. */
export interface Costs {
  /** Steps from the routing table to the nearest node or to the holder; 0 when nobody had to be asked. */
  readonly hops: number
  /** Request datagrams sent, resent ones included. */
  readonly messages: number
  /** From the call to its end. */
  readonly elapsedMs: number
}

/** Contacts of one reply that are considered, as multiples of k: an honest reply names k. */
const TAKE_PER_REPLY = 2

const NO_CURSOR = new Uint8Array(0)

/**
 * Finds the k nodes nearest to `target` (paper 2.3).
 *
 * @param seeds - whom to begin with; by default the nearest in the table
 */
export function lookUpNodes(
  node: NodeContext,
  target: NodeId,
  done: (outcome: LookupOutcome) => void,
  seeds: readonly Contact[] = nearestSeeds(node, target),
): LookupRun {
  const query: Query = (contact, events) =>
    askNodes(node, contact, target, 0, events, (error, contacts) => {
      if (error) events.failed(error)
      else events.answered(contacts)
    })
  return start(node, createLookup(node, target, seeds), target, query, done)
}

/** What a value lookup reports while it runs. */
export interface ValueLookupEvents {
  /** A contact gave a token that allows to store there. */
  token?(contact: Contact, token: Uint8Array): void
  /** A contact gave a record that is valid for the key. `end` ends the lookup with it and tells what it cost. */
  record?(record: Uint8Array, end: () => Costs): void
  done(outcome: LookupOutcome): void
}

/**
 * Looks for the records of a key (paper 2.3), and for the nodes that should hold them.
 *
 * @param want - how many records each holder is asked for; 0 for tokens and contacts only
 */
export function lookUpRecords(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  want: number,
  events: ValueLookupEvents,
): LookupRun {
  const params = { key, kind: kind.code, want, minSeq: 0n, cursor: NO_CURSOR }
  const lookup = createLookup(node, key, nearestSeeds(node, key))
  const query: Query = (contact, queryEvents, run) => {
    let isOpen = true
    let cancel = node.rpc.call(FIND_VALUE, contact, params, {
      sent: queryEvents.sent,
      slow: queryEvents.slow,
      lost: queryEvents.lost,
      done(error, result, from) {
        if (!isOpen) return
        if (error || !result) return queryEvents.failed(error)
        events.token?.(from, result.token)
        for (const record of result.records) {
          if (!kind.isValid(key, record)) {
            node.counters.invalidRecords++
            continue
          }
          events.record?.(record, () => {
            const { messages, elapsedMs } = run.finish()
            return { hops: lookup.hops(contact.id), messages, elapsedMs }
          })
          if (!isOpen) return
        }
        const { contacts, count } = readContacts(node, result.contacts, from)
        if (result.leftOut === 0) return queryEvents.answered(contacts)
        // Records took the room of contacts: the rest is asked for, and what came counts even if that fails.
        cancel = askNodes(node, contact, key, count, queryEvents, (_error, more) =>
          queryEvents.answered([...contacts, ...more]),
        )
      },
    })
    return () => {
      isOpen = false
      cancel()
    }
  }
  return start(node, lookup, key, query, events.done)
}

function createLookup({ config, id }: NodeContext, target: NodeId, seeds: readonly Contact[]): Lookup {
  const { k, alpha } = config
  return new Lookup({ target, k, alpha, ownId: id, takePerReplyMax: TAKE_PER_REPLY * k }, seeds)
}

function start(
  node: NodeContext,
  lookup: Lookup,
  target: NodeId,
  query: Query,
  done: (outcome: LookupOutcome) => void,
): LookupRun {
  return runLookup(lookup, {
    query,
    now: () => node.clock.now(),
    done(outcome) {
      if (outcome.answered > 0) node.table.markLookedUp(target)
      done(outcome)
    },
  })
}

/** The contacts of a reply that are worth asking, and how many it named. */
export function readContacts(
  { config, isSilent, packer, transport }: NodeContext,
  packed: Uint8Array,
  from: Contact,
): { contacts: Contact[]; count: number } {
  const { contacts, count } = packer.unpack(packed, TAKE_PER_REPLY * config.k)
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
  { sent, slow, lost }: Pick<QueryEvents, 'sent' | 'slow' | 'lost'>,
  done: (error: unknown, contacts: Contact[]) => void,
): () => void {
  return node.rpc.call(
    FIND_NODE,
    contact,
    { target, skip },
    {
      sent,
      slow,
      lost,
      done(error, result, from) {
        if (error || !result) return done(error, [])
        done(undefined, readContacts(node, result.contacts, from).contacts)
      },
    },
  )
}
