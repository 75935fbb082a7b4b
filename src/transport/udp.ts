import type { RemoteInfo, Socket } from 'node:dgram'
import { createSocket } from 'node:dgram'
import { lookup, Resolver } from 'node:dns'
import process from 'node:process'
import { DhtError } from '../errors.js'
import type { Address, AddressDescription, Transport } from '../platform/transport.js'
import type { NameSources } from './host-names.js'
import { findAddresses } from './host-names.js'
import type { IpKind } from './ip.js'
import { formatEndpoint, isUnicast, parseIp, readPlace } from './ip.js'
import type { ParsedAddress } from './parsed-addresses.js'
import { ParsedAddresses } from './parsed-addresses.js'
import { asDhtError, asError, closedWhileStarting, codeOf } from './udp-errors.js'
import type { UdpConfig, UdpOptions } from './udp-options.js'
import { withDefaults } from './udp-options.js'
import { answerLiterally, enlarge, queueOf } from './udp-socket.js'

export type { UdpOptions } from './udp-options.js'

/** The longest UDP datagram over IPv4 (RFC 768 and RFC 791): 65,535 bytes less 20 and 8 of headers. */
const MAX_DATAGRAM_BYTES = 65_507

/** With port 0 the port that IPv4 got may be taken on IPv6; each attempt asks for another. */
const SAME_PORT_ATTEMPTS = 10

/** What may wait for the system to take it. More than that would leave too late to be of use. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024

/** Whether the system took a datagram is asked for the first ones, also after one that it refused, then for one in 16. */
const FOLLOWED_AT_FIRST = 64
const FOLLOWED_EVERY = 16

/** How many kinds of errors get a counter of their own. */
const ERROR_COUNTERS_MAX = 64

/** The addresses that stay parsed: the senders of a busy minute. One for all sockets, as nodes of one process meet. */
const ADDRESSES = new ParsedAddresses(4096)

/** How patient a DNS query is: the first of two attempts waits 2 s for each server. */
const DNS_PATIENCE = { timeout: 2000, tries: 2 }

/** An error of `bind` that says: this machine has no such family. */
const NO_SUCH_FAMILY = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT'])

/**
 * A transport over UDP, IPv4 and IPv6. Does no I/O until its `start`.
 *
 * Addresses are `203.0.113.7:7400` and `[2001:db8::1]:7400`, in the spelling of RFC 5952; IPv4-mapped IPv6
 * addresses are spelled as IPv4. A link-local IPv6 address carries the interface that it was heard on, as in
 * `[fe80::1%eth0]:7400`. It can be answered, but as bytes it lacks the interface, so no other node takes it.
 *
 * `start` resolves with `0.0.0.0:port` when it listens at every address: a node learns from others where it
 * can be reached. After a failed `start` another may be tried; a second one after a successful one rejects
 * with `ERR_TRANSPORT`, and one after `close` with `ERR_CLOSED`.
 *
 * `decodeAddress` and `resolve` give only addresses of a family that is in use: of the families that the
 * options allow, and once started of those that the machine has. `resolve` asks DNS, and what DNS does not know
 * it asks the system, which has the hosts file; when DNS stays silent for some seconds, or `close` is called,
 * there are no addresses. `localhost` is the loopback addresses. The arrays that `describe` gives are shared
 * and not to be changed.
 *
 * Nothing that the network does throws or ends it: errors are counted and the sockets are kept. One that
 * the system breaks for good is not reopened; its errors show in `stats()`, whose counters are
 * - `datagramsSent`, `bytesSent`: what the system took, as far as is known: as asking takes as long as sending, it is
 *   asked for all of the first 64 datagrams after the start and after one that it refused, and then for one in 16; on
 *   Deno for all, as its sockets do not say how much waits in them;
 * - `datagramsReceived`, `bytesReceived`;
 * - `receivedUnanswerable`: datagrams dropped because their sender's address can't be sent to;
 * - `callbackErrors`: what `onDatagram` threw, which is a fault of the program; the first is also a warning
 *   of the process;
 * - `sendError...`, `socketError...`, `resolveError...` with the system's code, such as `sendErrorEMSGSIZE`,
 *   or with `Address` (none that can be sent to), `Family` (none in use), `NotOpen` (before `start` or after
 *   `close`), `Busy` (4 MiB already wait to be sent) or `Other`.
 *
 * @throws TypeError or RangeError at once, when an option is wrong
 *
 * @example
 * ```ts
 * const dht = createDht({ transport: udp({ port: 7400 }), bootstrap: ['203.0.113.7:7400'] })
 * ```
 */
export function udp(options: UdpOptions = {}): Transport {
  return new UdpTransport(withDefaults(options))
}

class UdpTransport implements Transport {
  readonly maxDatagramBytes = MAX_DATAGRAM_BYTES
  readonly #config: UdpConfig
  /** None while there was none. */
  #errors: Map<string, number> | undefined
  #lookups: Set<AbortController> | undefined
  #latest: ParsedAddress | undefined
  #state: 'idle' | 'starting' | 'open' | 'closed' = 'idle'
  #sockets = new Map<IpKind, Socket>()
  #starting: Promise<Address> | undefined
  #closing: Promise<void> | undefined
  #onDatagram: ((from: Address, bytes: Uint8Array) => void) | undefined
  /** Datagrams sent since the start or the last refusal. */
  #sentWell = 0
  /** What sockets have not yet said to be gone, where they can't tell the length of their queue. */
  #unsentBytes = 0
  #datagramsSent = 0
  #bytesSent = 0
  #datagramsReceived = 0
  #bytesReceived = 0

  constructor(config: UdpConfig) {
    this.#config = config
  }

  async start(onDatagram: (from: Address, bytes: Uint8Array) => void): Promise<Address> {
    if (typeof onDatagram !== 'function') throw new TypeError('start takes a function')
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the transport is closed')
    if (this.#state !== 'idle') throw new DhtError('ERR_TRANSPORT', 'the transport was started before')
    this.#state = 'starting'
    this.#starting = this.#start(onDatagram)
    return this.#starting
  }

  async #start(onDatagram: (from: Address, bytes: Uint8Array) => void): Promise<Address> {
    let sockets: Map<IpKind, Socket>
    try {
      sockets = await this.#bindAll()
    } catch (error) {
      if (!this.#isClosed()) this.#state = 'idle'
      throw this.#isClosed() ? closedWhileStarting() : asDhtError(error, this.#config)
    }
    if (this.#isClosed()) {
      await closeAll(sockets.values())
      throw closedWhileStarting()
    }
    this.#sockets = sockets
    this.#onDatagram = onDatagram
    this.#state = 'open'
    const [[kind, socket]] = [...sockets] as [[IpKind, Socket]]
    const { address, port } = socket.address()
    return kind === 4 ? `${address}:${port}` : `[${address}]:${port}`
  }

  /** One socket for each family, all on one port; on failure none stays open. */
  async #bindAll(): Promise<Map<IpKind, Socket>> {
    const { hosts, port: wantedPort } = this.#config
    for (let attempt = 1; ; attempt++) {
      const sockets = new Map<IpKind, Socket>()
      let failure: unknown
      for (const { kind, host } of hosts) {
        const port = sockets.size > 0 ? (sockets.get(4) as Socket).address().port : wantedPort
        try {
          sockets.set(kind, await this.#bind(kind, host, port))
        } catch (error) {
          failure = error
          if (hosts.length === 1 || !NO_SUCH_FAMILY.has(codeOf(error))) break
        }
      }
      const isComplete = failure === undefined || (sockets.size > 0 && NO_SUCH_FAMILY.has(codeOf(failure)))
      if (isComplete) return sockets
      const mayRetry = wantedPort === 0 && sockets.size > 0 && codeOf(failure) === 'EADDRINUSE'
      await closeAll(sockets.values())
      if (!mayRetry || attempt === SAME_PORT_ATTEMPTS) throw failure
    }
  }

  #bind(kind: IpKind, host: string, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({ type: `udp${kind}`, ipv6Only: kind === 6, lookup: answerLiterally })
      let state: 'binding' | 'bound' | 'failed' = 'binding'
      const fail = (error: unknown) => {
        if (state === 'bound') this.#count('socketError', codeOf(error))
        if (state !== 'binding') return
        state = 'failed'
        socket.close(() => reject(error))
      }
      socket.on('error', fail)
      this.#listen(socket, kind)
      socket.once('listening', () => {
        state = 'bound'
        enlarge(() => socket.setRecvBufferSize(this.#config.receiveBufferBytes))
        enlarge(() => socket.setSendBufferSize(this.#config.sendBufferBytes))
        resolve(socket)
      })
      try {
        // Exclusive: in a cluster the workers would share one socket, and take each other's replies.
        socket.bind({ port, address: host, exclusive: true })
      } catch (error) {
        fail(error)
      }
    })
  }

  /** Made here, as whatever is made beside the end of the start would keep it for as long as the socket is open. */
  #listen(socket: Socket, kind: IpKind): void {
    socket.on('message', (bytes, from) => this.#receive(kind, bytes, from))
  }

  #receive(kind: IpKind, bytes: Uint8Array, from: RemoteInfo): void {
    if (this.#state !== 'open') return
    this.#datagramsReceived++
    this.#bytesReceived += bytes.length
    const sender = ADDRESSES.readSender(kind, from.address, from.port, this.#latest)
    this.#latest = sender
    if (!sender?.isUnicast) {
      this.#count('receivedUnanswerable')
      return
    }
    try {
      // A Buffer is no plain Uint8Array: its slice() does not copy.
      this.#onDatagram?.(sender.address, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
    } catch (error) {
      if (!this.#errors?.has('callbackErrors')) process.emitWarning(asError(error))
      this.#count('callbackErrors')
    }
  }

  send(to: Address, bytes: Uint8Array): void {
    const target = this.#parse(to)
    const socket = target && this.#sockets.get(target.endpoint.kind)
    if (this.#state !== 'open') this.#count('sendError', 'NotOpen')
    else if (!target?.isUnicast) this.#count('sendError', 'Address')
    else if (socket === undefined) this.#count('sendError', 'Family')
    else this.#sendWith(socket, target.endpoint.port, target.host, bytes)
  }

  #sendWith(socket: Socket, port: number, host: string, bytes: Uint8Array): void {
    try {
      const { length } = bytes
      const queuedBytes = queueOf(socket)
      if ((queuedBytes ?? this.#unsentBytes) + length > UNSENT_BYTES_MAX) {
        this.#count('sendError', 'Busy')
        return
      }
      this.#sentWell++
      const isFollowed =
        queuedBytes === undefined || this.#sentWell <= FOLLOWED_AT_FIRST || this.#sentWell % FOLLOWED_EVERY === 0
      socket.send(bytes, port, host, isFollowed ? this.#afterSend(length) : undefined)
      if (queuedBytes === undefined) this.#unsentBytes += length
      this.#datagramsSent++
      this.#bytesSent += length
    } catch (error) {
      this.#count('sendError', codeOf(error))
    }
  }

  #afterSend(length: number): (error: Error | null) => void {
    return (error) => {
      this.#unsentBytes = Math.max(0, this.#unsentBytes - length)
      if (!error) return
      this.#sentWell = 0
      this.#datagramsSent--
      this.#bytesSent -= length
      this.#count('sendError', codeOf(error))
    }
  }

  encodeAddress(address: Address): Uint8Array {
    return this.#read(address).encoded
  }

  decodeAddress(bytes: Uint8Array): Address {
    const parsed = ADDRESSES.readBytes(bytes)
    if (!parsed?.isUnicast || !this.#canUse(parsed.endpoint.kind)) {
      throw new DhtError('ERR_MALFORMED_MESSAGE', `${bytes.length} bytes are no address that UDP could send to`)
    }
    return parsed.address
  }

  describe(address: Address): AddressDescription {
    return this.#read(address).description
  }

  async resolve(name: string, { signal }: { signal?: AbortSignal } = {}): Promise<Address[]> {
    // A literal address is most often one that was seen before.
    const known = ADDRESSES.read(name)
    const place = known?.isUnicast ? known.endpoint : readPlace(name)
    signal?.throwIfAborted()
    if ('kind' in place) return this.#canUse(place.kind) ? [known?.address ?? formatEndpoint(place)] : []
    const found = new Set<Address>()
    for (const address of await this.#lookup(place.hostName, signal)) {
      const parsed = parseIp(address)
      if (parsed === undefined || !isUnicast(parsed) || !this.#canUse(parsed.kind)) continue
      found.add(formatEndpoint({ ...parsed, port: place.port }))
    }
    return [...found]
  }

  async #lookup(hostname: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const stop = new AbortController()
    const onAbort = () => stop.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort)
    this.#lookups ??= new Set()
    this.#lookups.add(stop)
    try {
      if (this.#isClosed()) throw lookupCancelled()
      const kinds = ([4, 6] as const).filter((kind) => this.#canUse(kind))
      return await findAddresses(hostname, kinds, nameSources(), stop.signal)
    } catch (error) {
      signal?.throwIfAborted()
      this.#count('resolveError', codeOf(error))
      return []
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#lookups?.delete(stop)
    }
  }

  close(): Promise<void> {
    this.#state = 'closed'
    for (const stop of this.#lookups ?? []) stop.abort(lookupCancelled())
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#onDatagram = undefined
    await this.#starting?.catch(() => undefined)
    await closeAll(this.#sockets.values())
    this.#sockets.clear()
  }

  stats(): Readonly<Record<string, number>> {
    return {
      datagramsSent: this.#datagramsSent,
      bytesSent: this.#bytesSent,
      datagramsReceived: this.#datagramsReceived,
      bytesReceived: this.#bytesReceived,
      ...Object.fromEntries(this.#errors ?? []),
    }
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #canUse(kind: IpKind): boolean {
    return this.#state === 'open' ? this.#sockets.has(kind) : this.#config.hosts.some((host) => host.kind === kind)
  }

  #read(address: Address): ParsedAddress {
    const parsed = this.#parse(address)
    if (parsed === undefined) throw new TypeError(`'${address}' is no address of UDP`)
    return parsed
  }

  #parse(address: Address): ParsedAddress | undefined {
    // What comes in and what answers it are about one address.
    if (address !== this.#latest?.address) this.#latest = ADDRESSES.read(address)
    return this.#latest
  }

  /** Counts an event. Reasons other than the system's codes and our own few words are one: `Other`. */
  #count(event: string, reason = ''): void {
    const name = `${event}${reason}`
    this.#errors ??= new Map()
    const isBounded = this.#errors.has(name) || this.#errors.size < ERROR_COUNTERS_MAX
    const counter = isBounded ? name : `${event}Other`
    this.#errors.set(counter, (this.#errors.get(counter) ?? 0) + 1)
  }
}

/** A resolver of its own for each look-up: `cancel` ends all that one waits for. */
function nameSources(): NameSources {
  const resolver = new Resolver(DNS_PATIENCE)
  return {
    askDns: (hostname, kind) =>
      new Promise((resolve, reject) => {
        const done = (error: Error | null, addresses: string[]) => (error ? reject(error) : resolve(addresses))
        if (kind === 4) resolver.resolve4(hostname, done)
        else resolver.resolve6(hostname, done)
      }),
    cancelDns: () => resolver.cancel(),
    askSystem: (hostname, kinds) =>
      new Promise((resolve, reject) => {
        const family = kinds.length === 1 ? (kinds[0] as IpKind) : 0
        lookup(hostname, { all: true, family }, (error, found) => {
          if (error) reject(error)
          else resolve(found.map(({ address }) => address))
        })
      }),
  }
}

function lookupCancelled(): Error {
  return Object.assign(new Error('the transport is closed'), { code: 'ECANCELLED' })
}

async function closeAll(sockets: Iterable<Socket>): Promise<void> {
  await Promise.all(Array.from(sockets, (socket) => new Promise<void>((resolve) => socket.close(() => resolve()))))
}
