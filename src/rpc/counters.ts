/** Why a datagram was dropped: it changed nothing, or at most ended the call that it claimed to answer. */
export type DropReason =
  /** Longer than any message. */
  | 'oversize'
  /** Not one msgpack value of plain types. */
  | 'undecodable'
  /** Not of a message's shape. */
  | 'malformed'
  /** Of a network with another name. */
  | 'foreignNetwork'
  /** Of a version that is not spoken here. */
  | 'unknownVersion'
  /** A reply to no pending call. */
  | 'unmatched'
  /** A reply to a pending call from elsewhere than it was sent to. */
  | 'wrongAddress'
  /** A reply to a pending call by another node than was asked. */
  | 'wrongId'
  /** From an id that its address may not claim, such as our own. */
  | 'refusedId'
  /** A request whose parameters are not of its method's shape. */
  | 'malformedParams'
  /** A response whose result is not of its method's shape. */
  | 'malformedResult'
  /** A request of a method that is not served here. */
  | 'unknownMethod'
  /** A request beyond what its host may ask in a second. */
  | 'rateLimited'
  /** A request that is being answered already. */
  | 'duplicate'

const DROP_REASONS: readonly DropReason[] = [
  'oversize',
  'undecodable',
  'malformed',
  'foreignNetwork',
  'unknownVersion',
  'unmatched',
  'wrongAddress',
  'wrongId',
  'refusedId',
  'malformedParams',
  'malformedResult',
  'unknownMethod',
  'rateLimited',
  'duplicate',
]

/** What one node's calls and requests came to, since it was made. */
export interface RpcCounters {
  /** Datagrams handed to the transport. */
  datagramsSent: number
  /** Bytes of those, without the headers of UDP and IP. */
  bytesSent: number
  /** Datagrams that the transport threw on. */
  sendFailures: number
  /** Datagrams that the transport delivered. */
  datagramsReceived: number
  /** Bytes of those. */
  bytesReceived: number
  /** Calls begun. */
  calls: number
  /** Second attempts at calls. */
  resends: number
  /** Calls that a response ended. */
  responses: number
  /** Calls that an error reply ended. */
  errorReplies: number
  /** Calls that nobody answered. */
  timeouts: number
  /** Calls given up before their end. */
  cancelled: number
  /** Requests received, those that were dropped left out. */
  requests: number
  /** Replies not sent because their receiver's address is unproven and they exceed the reflection limit. */
  repliesWithheld: number
  /** Datagrams dropped, by reason. */
  dropped: Record<DropReason, number>
}

/** All at zero. */
export function createCounters(): RpcCounters {
  return {
    datagramsSent: 0,
    bytesSent: 0,
    sendFailures: 0,
    datagramsReceived: 0,
    bytesReceived: 0,
    calls: 0,
    resends: 0,
    responses: 0,
    errorReplies: 0,
    timeouts: 0,
    cancelled: 0,
    requests: 0,
    repliesWithheld: 0,
    dropped: Object.fromEntries(DROP_REASONS.map((reason) => [reason, 0])) as Record<DropReason, number>,
  }
}
