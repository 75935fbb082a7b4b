import type { Address, AddressDescription } from '../platform/transport.js'
import type { Endpoint } from '../transport/ip.js'
import { encodeEndpoint, formatEndpoint, groupBytes, hostBytes, scopeOf } from '../transport/ip.js'
import type { Place } from './latency.js'
import type { SeededRandom } from './random.js'

/** What a network delivers to. */
export interface Socket {
  /** Takes a datagram, which is a copy of its own. */
  receive(from: Address, bytes: Uint8Array): void
}

/** An address and what is there. It outlives the machines that use it one after the other. */
export class Site {
  /** In its one spelling. */
  readonly address: Address
  readonly port: number
  readonly place: Place
  /** The address as bytes, one array for all that ask: not to be changed. */
  readonly encoded: Uint8Array
  readonly description: AddressDescription
  /** The side of the partition that it is on; 0 for those that were not named. */
  side = 0
  /** What listens there. */
  socket: Socket | undefined = undefined
  /** Another site of the same host. */
  sibling: Site | undefined = undefined
  readonly #networkRandom: SeededRandom
  #random: SeededRandom | undefined = undefined

  /** @param networkRandom - the stream that each site's is forked from */
  constructor(endpoint: Endpoint, place: Place, networkRandom: SeededRandom) {
    this.address = formatEndpoint(endpoint)
    this.port = endpoint.port
    this.place = place
    this.encoded = encodeEndpoint(endpoint)
    // Both are how the encoded address begins: views of it, as there are as many sites as nodes.
    const host = this.encoded.subarray(0, hostBytes(endpoint).length)
    const group = this.encoded.subarray(0, groupBytes(endpoint).length)
    this.description = Object.freeze({ host, group, scope: scopeOf(endpoint) })
    this.#networkRandom = networkRandom
  }

  /** Decides the fate of the datagrams that leave here. A network without faults draws nothing, so needs none. */
  get random(): SeededRandom {
    this.#random ??= this.#networkRandom.fork(`datagrams from ${this.address}`)
    return this.#random
  }
}

/** All sites, found by the text of an address and by its bytes. */
export class Sites {
  readonly #byAddress = new Map<Address, Site>()
  /** The first site of each IPv4 host, whose others are its siblings. */
  readonly #byIpv4 = new Map<number, Site>()

  /** The site of an address in its one spelling. */
  at(address: Address): Site | undefined {
    return this.#byAddress.get(address)
  }

  add(site: Site): void {
    this.#byAddress.set(site.address, site)
    const ip = ipv4Of(site.encoded)
    if (ip === undefined) return
    site.sibling = this.#byIpv4.get(ip)
    this.#byIpv4.set(ip, site)
  }

  /** The site of the bytes of an IPv4 address and port: what replies name twenty of is found without reading them. */
  ofBytes(encoded: Uint8Array): Site | undefined {
    const ip = ipv4Of(encoded)
    if (ip === undefined) return undefined
    const port = ((encoded[5] as number) << 8) | (encoded[6] as number)
    let site = this.#byIpv4.get(ip)
    while (site !== undefined && site.port !== port) site = site.sibling
    return site
  }

  all(): IterableIterator<Site> {
    return this.#byAddress.values()
  }
}

/** The IPv4 address of an encoded endpoint as a signed number. */
function ipv4Of(encoded: Uint8Array): number | undefined {
  if (encoded[0] !== 4 || encoded.length !== 7) return undefined
  return (
    ((encoded[1] as number) << 24) |
    ((encoded[2] as number) << 16) |
    ((encoded[3] as number) << 8) |
    (encoded[4] as number)
  )
}
