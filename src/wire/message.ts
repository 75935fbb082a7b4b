import type { NodeId } from '../keyspace/index.js'

/** The version that we speak, position 0 of every message. */
export const PROTOCOL_VERSION = 1

/** Position 1 of every message. */
export const TYPE_REQUEST = 0
export const TYPE_RESPONSE = 1
export const TYPE_ERROR = 2

/** Bits of a message's `flags`. Unknown bits are ignored. */
export const Flag = {
  /** The sender only asks: it must not enter a table. */
  client: 1,
  /** The sender can use contacts at IPv4 addresses. */
  ipv4: 2,
  /** The sender can use contacts at IPv6 addresses. */
  ipv6: 4,
} as const

interface MessageHeader {
  /** Transaction id: the requester's choice, echoed by the reply. */
  readonly tid: Uint8Array
  /** The bits of {@link Flag}. */
  readonly flags: number
  /** The id of the node that sent this. */
  readonly sender: NodeId
}

/** Asks something. */
export interface RequestMessage extends MessageHeader {
  readonly type: 'request'
  /** A number of the protocol, or a name of the application. */
  readonly method: number | string
  readonly params: readonly unknown[]
}

/** Answers a request. */
export interface ResponseMessage extends MessageHeader {
  readonly type: 'response'
  /** The requester's encoded address as the responder sees it. */
  readonly observed: Uint8Array
  readonly result: readonly unknown[]
}

/** Refuses a request. */
export interface ErrorMessage extends MessageHeader {
  readonly type: 'error'
  /** The requester's encoded address as the responder sees it. */
  readonly observed: Uint8Array
  /** A number of the table in `error-codes.ts`. */
  readonly code: number
  /** For people. */
  readonly text: string
}

/** Any message of this version. */
export type Message = RequestMessage | ResponseMessage | ErrorMessage

/** Why a datagram is no message for us. */
export type Unreadable =
  | { readonly type: 'unreadable'; readonly reason: 'oversize' | 'undecodable' | 'malformed' | 'foreignNetwork' }
  /** Another version of our network: only its transaction id is known, and whether an answer is due. */
  | { readonly type: 'unknownVersion'; readonly tid: Uint8Array; readonly isRequest: boolean }
