import type { Address, AddressDescription } from '../platform/transport.js'
import type { Endpoint } from './ip.js'
import {
  encodeEndpoint,
  formatEndpoint,
  formatIp,
  groupBytes,
  hostBytes,
  isUnicast,
  parseEndpoint,
  scopeOf,
} from './ip.js'

/** An address that was read once. */
export interface ParsedAddress {
  readonly endpoint: Endpoint
  /** The one spelling of the endpoint. */
  readonly address: Address
  /** The host in the spelling that a socket takes. */
  readonly host: string
  readonly isUnicast: boolean
  readonly description: AddressDescription
  /** The kind byte, host and port. Shared: not to be changed. */
  readonly encoded: Uint8Array
}

/**
 * Reads addresses, the latest ones from memory, because each datagram asks for one several times.
 *
 * It keeps two generations of at most `generationSize` addresses: when the newer one is full the older one
 * goes, so that no flood of senders makes it grow.
 */
export class ParsedAddresses {
  readonly #generationSize: number
  #newer = new Map<string, ParsedAddress>()
  #older = new Map<string, ParsedAddress>()

  constructor(generationSize: number) {
    this.#generationSize = generationSize
  }

  /** The parts of an address, in whatever spelling; undefined where it is none. */
  read(address: Address): ParsedAddress | undefined {
    const known = this.#newer.get(address)
    if (known !== undefined) return known
    const parsed = this.#older.get(address) ?? parse(address)
    if (parsed === undefined) return undefined
    if (this.#newer.size === this.#generationSize) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(address, parsed)
    return parsed
  }
}

function parse(address: Address): ParsedAddress | undefined {
  const endpoint = typeof address === 'string' ? parseEndpoint(address) : undefined
  if (endpoint === undefined) return undefined
  return {
    endpoint,
    address: formatEndpoint(endpoint),
    host: formatIp(endpoint),
    isUnicast: isUnicast(endpoint),
    encoded: encodeEndpoint(endpoint),
    description: Object.freeze({ host: hostBytes(endpoint), group: groupBytes(endpoint), scope: scopeOf(endpoint) }),
  }
}
