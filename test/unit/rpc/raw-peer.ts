import type { Address, NodeId } from '../../../src/keyspace/index.js'
import { sameBytes } from '../../../src/keyspace/index.js'
import type { Transport } from '../../../src/platform/transport.js'
import type { SimulatedHost, Simulator } from '../../../src/testing/index.js'
import type {
  ErrorMessage,
  Message,
  Method,
  RequestMessage,
  ResponseMessage,
  Unreadable,
} from '../../../src/wire/index.js'
import { createCodec, errorNumber, Flag } from '../../../src/wire/index.js'

/** What a peer says otherwise than an honest node would. */
export interface Says {
  readonly id?: NodeId
  readonly tid?: Uint8Array
  readonly flags?: number
  readonly network?: string
  readonly paddedBytes?: number
}

type Reply = ResponseMessage | ErrorMessage

const BOTH_FAMILIES = Flag.ipv4 | Flag.ipv6
const NETWORK = 'xorbit'

/** A bare socket that speaks the protocol by hand: it says what a test wants said, and keeps what it hears. */
export class RawPeer {
  readonly id: NodeId
  readonly heard: { readonly from: Address; readonly message: Message | Unreadable }[] = []
  /** What it does about a request; nothing at first. */
  onRequest: (request: RequestMessage, from: Address) => void = () => {}
  readonly #transport: Transport
  #address: Address = ''
  #tids = 0

  private constructor(transport: Transport, id: NodeId) {
    this.#transport = transport
    this.id = id
  }

  static async open(transport: Transport, id: NodeId): Promise<RawPeer> {
    const peer = new RawPeer(transport, id)
    const codec = createCodec(NETWORK)
    peer.#address = await transport.start((from, bytes) => {
      // A copy, for what a reply or a request carries may be a view into the datagram.
      const message = codec.decode(new Uint8Array(bytes))
      peer.heard.push({ from, message })
      if (message.type === 'request') peer.onRequest(message, from)
    })
    return peer
  }

  /** On a host of a simulation, with an id of its random numbers. */
  static on(host: SimulatedHost, id: NodeId = host.randomBytes(32)): Promise<RawPeer> {
    return RawPeer.open(host.transport, id)
  }

  get address(): Address {
    return this.#address
  }

  get contact(): { id: NodeId; address: Address } {
    return { id: this.id, address: this.#address }
  }

  /** The requests that it heard, of one method or of all. */
  requests(method?: { readonly code: number | string }): RequestMessage[] {
    return this.heard.flatMap(({ message }) =>
      message.type === 'request' && (method === undefined || message.method === method.code) ? [message] : [],
    )
  }

  /** The replies that it heard to a request. */
  repliesTo(tid: Uint8Array): Reply[] {
    return this.heard.flatMap(({ message }) =>
      (message.type === 'response' || message.type === 'error') && sameBytes(message.tid, tid) ? [message] : [],
    )
  }

  /** Sends any bytes. */
  send(to: Address, bytes: Uint8Array): void {
    this.#transport.send(to, bytes)
  }

  /** Sends a request; returns its transaction id. */
  ask<P, R>(to: Address, method: Method<P, R>, params: P, says: Says = {}): Uint8Array {
    return this.askRaw(to, method.code, method.writeParams(params), { paddedBytes: method.paddedBytes, ...says })
  }

  /** Sends a request with any parameters; returns its transaction id. */
  askRaw(to: Address, method: number | string, params: readonly unknown[], says: Says = {}): Uint8Array {
    const { id = this.id, flags = BOTH_FAMILIES, network = NETWORK, paddedBytes } = says
    const tid = says.tid ?? Uint8Array.of(0xee, 0, 0, 0, 0, 0, this.#tids >> 8, this.#tids++ & 0xff)
    const message = { type: 'request', tid, flags, sender: id, method, params } as const
    this.send(to, createCodec(network).encode(message, paddedBytes))
    return tid
  }

  /** Answers a request. */
  answer<P, R>(to: Address, request: RequestMessage, method: Method<P, R>, result: R, says: Says = {}): void {
    this.answerRaw(to, request, method.writeResult(result), says)
  }

  /** Answers a request with any result. */
  answerRaw(to: Address, request: RequestMessage, result: readonly unknown[], says: Says = {}): void {
    const { id = this.id, tid = request.tid, flags = BOTH_FAMILIES, network = NETWORK } = says
    const observed = this.#transport.encodeAddress(to)
    this.send(to, createCodec(network).encode({ type: 'response', tid, flags, sender: id, observed, result }))
  }

  /** Answers a request by an error. */
  refuse(to: Address, request: RequestMessage, code: Parameters<typeof errorNumber>[0], says: Says = {}): void {
    const { id = this.id, tid = request.tid, flags = BOTH_FAMILIES, network = NETWORK } = says
    const observed = this.#transport.encodeAddress(to)
    const error = { type: 'error', tid, flags, sender: id, observed, code: errorNumber(code), text: 'no' } as const
    this.send(to, createCodec(network).encode(error))
  }
}

/** Asks and lets time pass: the first reply, if there is any. */
export async function exchange<P, R>(
  simulator: Simulator,
  peer: RawPeer,
  to: Address,
  method: Method<P, R>,
  params: P,
  says: Says = {},
): Promise<Reply | undefined> {
  const tid = peer.ask(to, method, params, says)
  await simulator.advance(1_500)
  return peer.repliesTo(tid)[0]
}
