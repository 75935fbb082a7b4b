import { DhtError } from '../errors.js'
import type { Address, AddressDescription, Transport } from '../platform/transport.js'
import type { Endpoint } from '../transport/ip.js'
import {
  decodeEndpoint,
  encodeEndpoint,
  formatEndpoint,
  groupBytes,
  hostBytes,
  isUnicast,
  parseEndpoint,
  readPlace,
  scopeOf,
} from '../transport/ip.js'
import type { SimulatedNetwork } from './simulated-network.js'
import type { Site, Socket } from './site.js'

type OnDatagram = (from: Address, bytes: Uint8Array) => void

/** How a simulated transport behaves beyond what the network does. */
export interface SimulatedTransportConfig {
  /** Whether a datagram is overwritten once its handler returned. */
  readonly poison: boolean
  /** How long a name takes to resolve. */
  readonly resolveMs: number
}

/** What a kept view into a datagram reads after its handler returned: no msgpack type begins with this byte. */
const POISON = 0xc1

/**
 * A transport of the simulated network. Addresses are those of UDP, in text and in bytes; as there, it opens
 * once, a name resolves to the addresses behind it with the port that was asked for, and an unknown one to none.
 */
export class SimulatedTransport implements Transport, Socket {
  readonly #network: SimulatedNetwork
  readonly #site: Site
  readonly #config: SimulatedTransportConfig
  readonly #stats = { datagramsSent: 0, datagramsReceived: 0, sendErrorNotOpen: 0, sendErrorTooLong: 0 }
  #state: 'idle' | 'open' | 'closed' | 'dead' = 'idle'
  #onDatagram: OnDatagram | undefined

  constructor(network: SimulatedNetwork, site: Site, config: SimulatedTransportConfig) {
    this.#network = network
    this.#site = site
    this.#config = config
  }

  get maxDatagramBytes(): number {
    return this.#network.maxDatagramBytes
  }

  async start(onDatagram: OnDatagram): Promise<Address> {
    if (typeof onDatagram !== 'function') throw new TypeError('start takes a function')
    if (this.#state === 'dead') return never()
    if (this.#state === 'closed') throw new DhtError('ERR_CLOSED', 'the transport is closed')
    if (this.#state === 'open') throw new DhtError('ERR_TRANSPORT', 'the transport was started before')
    const { address } = this.#site
    if (this.#site.socket !== undefined) throw new DhtError('ERR_ADDRESS_IN_USE', `${address} is in use`)
    this.#state = 'open'
    this.#onDatagram = onDatagram
    this.#site.socket = this
    return address
  }

  send(to: Address, bytes: Uint8Array): void {
    if (this.#state !== 'open') this.#stats.sendErrorNotOpen++
    else if (this.#network.send(this.#site, to, bytes)) this.#stats.datagramsSent++
    else this.#stats.sendErrorTooLong++
  }

  /** The network delivers. */
  receive(from: Address, bytes: Uint8Array): void {
    this.#stats.datagramsReceived++
    try {
      this.#onDatagram?.(from, bytes)
    } finally {
      if (this.#config.poison) bytes.fill(POISON)
    }
  }

  encodeAddress(address: Address): Uint8Array {
    return this.#network.sites.at(address)?.encoded ?? encodeEndpoint(read(address))
  }

  decodeAddress(bytes: Uint8Array): Address {
    const known = this.#network.sites.ofBytes(bytes)
    if (known !== undefined) return known.address
    const endpoint = decodeEndpoint(bytes)
    if (endpoint === undefined || !isUnicast(endpoint)) {
      throw new DhtError('ERR_MALFORMED_MESSAGE', `${bytes.length} bytes are no address that could be sent to`)
    }
    return formatEndpoint(endpoint)
  }

  describe(address: Address): AddressDescription {
    const known = this.#network.sites.at(address)
    if (known !== undefined) return known.description
    const endpoint = read(address)
    return { host: hostBytes(endpoint), group: groupBytes(endpoint), scope: scopeOf(endpoint) }
  }

  async resolve(name: string, { signal }: { signal?: AbortSignal } = {}): Promise<Address[]> {
    const place = readPlace(name)
    signal?.throwIfAborted()
    if ('kind' in place) return [formatEndpoint(place)]
    await this.#lookupDelay(signal)
    // The dead learn nothing.
    if (this.#isDead()) return never()
    const found = this.#network.endpointsOf(place.hostName)
    return [...new Set(found.map((endpoint) => formatEndpoint({ ...endpoint, port: place.port })))]
  }

  async close(): Promise<void> {
    if (this.#state === 'dead') return
    this.#leave('closed')
  }

  stats(): Readonly<Record<string, number>> {
    return { ...this.#stats }
  }

  /** Power off: as `close`, except that nothing started on it ever settles. */
  die(): void {
    this.#leave('dead')
  }

  #leave(state: 'closed' | 'dead'): void {
    this.#state = state
    this.#onDatagram = undefined
    if (this.#site.socket === this) this.#site.socket = undefined
  }

  async #lookupDelay(signal: AbortSignal | undefined): Promise<void> {
    let onAbort = (): void => undefined
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () => reject(signal?.reason)
        signal?.addEventListener('abort', onAbort)
        this.#network.later(this.#config.resolveMs, resolve)
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #isDead(): boolean {
    return this.#state === 'dead'
  }
}

/** Reads an address that no host was ever at. */
function read(address: Address): Endpoint {
  const endpoint = typeof address === 'string' ? parseEndpoint(address) : undefined
  if (endpoint === undefined) throw new TypeError(`'${address}' is no address of UDP`)
  return endpoint
}

function never(): Promise<never> {
  return new Promise(() => {})
}
