import type { Contact, NodeId } from '../keyspace/index.js'
import type { Query } from '../lookup/index.js'
import type { IncomingRequest } from '../rpc/index.js'
import type { AppParams, AppResult } from '../wire/index.js'
import { appMethod } from '../wire/index.js'
import { nearestFor } from './contact-handlers.js'
import { askMoreNodes, lookUpWith, readContacts, whoElse } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'

/** What a node answered to an application's query. */
export interface QueryReply {
  /** Who answered. */
  readonly from: Contact
  /** What its handler returned. */
  readonly payload: Uint8Array
}

/** What {@link queryNodes} reports. */
export interface QueryNodesEvents {
  /** A node answered, near or far. */
  found(reply: QueryReply): void
  /** The end. That nobody handles the method is no error. */
  done: Done<undefined>
}

/** What an answer to a query holds beside payload and packed contacts, in bytes. */
const QUERY_FIXED_BYTES = 3 + 3 + 3

/**
 * Sends an application's message to each node on the way to a point of the key space, and to the k nearest: a node
 * lookup (paper 2.3) with the application's method in the place of FIND_NODE. Who does not handle it, or fails to,
 * is asked for contacts only.
 *
 * @returns cancels it
 */
export function queryNodes(
  node: NodeContext,
  target: NodeId,
  name: string,
  payload: Uint8Array,
  events: QueryNodesEvents,
): () => void {
  if (node.table.size === 0) return refuse(events.done)
  const method = appMethod(name)
  const query: Query = (contact, queryEvents) => {
    let isOpen = true
    const askMore = (skip: number, known: readonly Contact[]): void => {
      cancel = askMoreNodes(node, contact, target, skip, known, queryEvents)
    }
    let cancel = node.rpc.call(
      method,
      contact,
      { payload, target },
      {
        // Never lost: a handler may take its time, and its answer is what is wanted.
        sent: () => queryEvents.sent(),
        slow: () => queryEvents.slow(),
        done(error, result, from) {
          if (!isOpen) return
          if (!result) {
            // A refusal is a sign of life.
            if (error?.code === 'ERR_UNKNOWN_METHOD' || error?.code === 'ERR_REMOTE') askMore(0, [])
            else queryEvents.failed(error, whoElse(error, from))
            return
          }
          events.found({ from, payload: result.payload })
          if (!isOpen) return
          if (!result.contacts) return askMore(0, [])
          const { contacts, count } = readContacts(node, result.contacts, from, queryEvents)
          if (result.leftOut === 0) queryEvents.answered(contacts)
          else askMore(count, contacts)
        },
      },
    )
    return () => {
      isOpen = false
      cancel()
    }
  }
  const run = lookUpWith(node, target, query, (outcome) => {
    if (outcome.answered === 0) events.done(inconclusive(outcome), undefined)
    else events.done(undefined, undefined)
  })
  return run.stop
}

/** The answer to an application's message: with contacts where it is part of a query. */
export function answerApp(
  node: NodeContext,
  { target }: AppParams,
  request: IncomingRequest,
  payload: Uint8Array,
): AppResult {
  if (!target) return { payload }
  const nearest = nearestFor(node, target, 0, request)
  const roomBytes = Math.max(0, request.roomBytes - QUERY_FIXED_BYTES - payload.length)
  const { bytes, count } = node.packer.pack(nearest, roomBytes)
  return { payload, contacts: bytes, leftOut: nearest.length - count }
}
