import type { Address } from '../platform/transport.js'
import type { Endpoint } from '../transport/ip.js'
import { formatEndpoint, formatIp, isUnicast, parseEndpoint } from '../transport/ip.js'
import type { EventQueue, QueuedEvent } from './event-queue.js'
import type { LatencyModel } from './latency.js'
import type { SeededRandom } from './random.js'
import { Site, Sites } from './site.js'
import type { Trace } from './trace.js'

/** What the network does to datagrams. Rates are probabilities, 0 to 1, drawn for each datagram by itself. */
export interface Faults {
  /** How much later than its pair's latency a datagram may be: 0 to this, all equally likely. */
  readonly jitterMs: number
  /** Which share is lost. */
  readonly lossRate: number
  /** Which share arrives twice, each copy with its own delay. */
  readonly duplicateRate: number
  /** Which share is held back, so that later ones overtake it. */
  readonly reorderRate: number
  /** For how long at most one of those is held back. */
  readonly reorderMs: number
}

/** A datagram on its way, as a filter sees it. */
export interface Datagram {
  /** Who sent it. */
  readonly from: Address
  /** Where it goes. */
  readonly to: Address
  /** Its bytes; only to be read. */
  readonly bytes: Uint8Array
}

/**
 * What became of the datagrams so far. `sent + duplicated` equals `delivered + lost + partitioned + filtered +
 * unreachable` and those still on their way.
 */
export interface NetworkStats {
  /** Datagrams that nodes handed to the network. */
  sent: number
  /** Bytes of those. */
  bytesSent: number
  /** Datagrams that a handler was called with, copies counted. */
  delivered: number
  /** Lost by `lossRate`. */
  lost: number
  /** Copies made by `duplicateRate`. */
  duplicated: number
  /** Held back by `reorderRate`. */
  reordered: number
  /** Stopped by a partition, at their start or at their end. */
  partitioned: number
  /** Stopped by the filter. */
  filtered: number
  /** Arrived where no transport was open: nobody was ever there, or closed, or killed. */
  unreachable: number
  /** Refused before they were sent, for they were longer than `maxDatagramBytes`; not in `sent`. */
  oversized: number
}

/** What a {@link SimulatedNetwork} is made of. */
export interface SimulatedNetworkConfig {
  readonly queue: EventQueue
  readonly random: SeededRandom
  readonly latency: LatencyModel
  readonly trace: Trace | undefined
  readonly maxDatagramBytes: number
  readonly faults: Faults
}

// Longer ones are nonsense that some test sends to; the trace shows their beginning.
const SHOWN_ADDRESS_LENGTH = 256

/** Carries datagrams from socket to socket, late or never. */
export class SimulatedNetwork {
  readonly stats: NetworkStats = {
    sent: 0,
    bytesSent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    partitioned: 0,
    filtered: 0,
    unreachable: 0,
    oversized: 0,
  }
  faults: Faults
  filter: ((datagram: Datagram) => boolean) | undefined
  /** All that were asked for: they keep each address once for all hosts, as text and as bytes. */
  readonly sites: Sites = new Sites()
  readonly #config: SimulatedNetworkConfig
  readonly #names = new Map<string, readonly Endpoint[]>()

  constructor(config: SimulatedNetworkConfig) {
    this.#config = config
    this.faults = config.faults
  }

  get maxDatagramBytes(): number {
    return this.#config.maxDatagramBytes
  }

  /**
   * The site of an address, made when first asked for.
   *
   * @throws TypeError when a host can't be there
   */
  site(address: Address): Site {
    const known = this.sites.at(address)
    if (known !== undefined) return known
    const endpoint = typeof address === 'string' ? parseEndpoint(address) : undefined
    if (endpoint === undefined || !isUnicast(endpoint)) throw new TypeError(`'${address}' is no address of a host`)
    const spelled = this.sites.at(formatEndpoint(endpoint))
    if (spelled !== undefined) return spelled
    const { random, latency } = this.#config
    const host = formatIp(endpoint)
    const site = new Site(endpoint, latency.place(host, random.fork(`place of ${host}`)), random)
    this.sites.add(site)
    return site
  }

  /** The site of an address if one was made. */
  knownSite(address: Address): Site | undefined {
    const known = this.sites.at(address)
    if (known !== undefined) return known
    const endpoint = typeof address === 'string' ? parseEndpoint(address) : undefined
    return endpoint && this.sites.at(formatEndpoint(endpoint))
  }

  /** Sends a datagram from a site; false when it is too long. */
  send(from: Site, to: Address, bytes: Uint8Array): boolean {
    const { stats, faults } = this
    if (bytes.length > this.#config.maxDatagramBytes) {
      stats.oversized++
      return false
    }
    const number = stats.sent++
    stats.bytesSent += bytes.length
    this.#config.trace?.sent(
      this.#config.queue.nowMs,
      number,
      from.address,
      String(to).slice(0, SHOWN_ADDRESS_LENGTH),
      bytes,
    )
    const target = this.knownSite(to)
    if (target === undefined) stats.unreachable++
    else if (this.filter?.({ from: from.address, to: target.address, bytes }) === false) stats.filtered++
    else if (from.side !== target.side) stats.partitioned++
    else if (faults.lossRate > 0 && from.random.chance(faults.lossRate)) stats.lost++
    else {
      this.#carry(number, from, target, bytes)
      if (faults.duplicateRate > 0 && from.random.chance(faults.duplicateRate)) {
        stats.duplicated++
        this.#carry(number, from, target, bytes)
      }
    }
    return true
  }

  /** A datagram reaches its end. */
  arrive({ number, from, to, bytes }: Passage): void {
    const { stats } = this
    // Checked again: a cut cable takes what was on its way.
    if (from.side !== to.side) stats.partitioned++
    else if (to.socket === undefined) stats.unreachable++
    else {
      stats.delivered++
      this.#config.trace?.delivered(this.#config.queue.nowMs, number)
      to.socket.receive(from.address, bytes)
    }
  }

  /** Gives each site its side; those not named share one more. */
  partition(sides: readonly (readonly Site[])[]): void {
    const named = sides.flat()
    if (new Set(named).size !== named.length) throw new TypeError('a host can be on one side of a partition only')
    this.heal()
    for (const [index, side] of sides.entries()) for (const site of side) site.side = index + 1
  }

  /** Joins all sides. */
  heal(): void {
    for (const site of this.sites.all()) site.side = 0
  }

  /** Registers a DNS name. */
  setName(name: string, endpoints: readonly Endpoint[]): void {
    this.#names.set(name.toLowerCase(), endpoints)
  }

  /** What a DNS name was registered with. */
  endpointsOf(name: string): readonly Endpoint[] {
    return this.#names.get(name.toLowerCase()) ?? []
  }

  /** Calls back after a delay of the network's own. */
  later(delayMs: number, run: () => void): void {
    const { queue } = this.#config
    queue.add({ order: 0, pending: false, run }, queue.nowMs + delayMs)
  }

  #carry(number: number, from: Site, to: Site, bytes: Uint8Array): void {
    const { latency, queue } = this.#config
    const { jitterMs, reorderRate, reorderMs } = this.faults
    let delayMs = latency.oneWayMs(from.place, to.place)
    if (jitterMs > 0) delayMs += jitterMs * from.random.float()
    if (reorderRate > 0 && from.random.chance(reorderRate)) {
      this.stats.reordered++
      delayMs += reorderMs * from.random.float()
    }
    // A copy for each arrival, made now: what a handler got and sends on is overwritten when it returns.
    queue.add(new Passage(this, number, from, to, new Uint8Array(bytes)), queue.nowMs + delayMs)
  }
}

class Passage implements QueuedEvent {
  order = 0
  pending = false
  readonly #network: SimulatedNetwork
  readonly number: number
  readonly from: Site
  readonly to: Site
  readonly bytes: Uint8Array

  constructor(network: SimulatedNetwork, number: number, from: Site, to: Site, bytes: Uint8Array) {
    this.#network = network
    this.number = number
    this.from = from
    this.to = to
    this.bytes = bytes
  }

  run(): void {
    this.#network.arrive(this)
  }
}
