import type { Address, AddressDescription } from '../platform/transport.js'
import type { Endpoint, IpKind } from './ip.js'
import {
  decodeEndpoint,
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

/** The latest addresses, by their text and by the bytes of those of IPv4. */
interface Generation {
  readonly byText: Map<Address, ParsedAddress>
  readonly byIpv4: Map<number, ParsedAddress>
}

/**
 * Reads addresses, the latest ones from memory, because each datagram asks for one several times. Whoever reads an
 * address gets the same object and the same string, so that it is kept once however many know it.
 *
 * It keeps two generations of at most `generationSize` addresses: when the newer one is full the older one
 * goes, so that no flood of senders makes it grow.
 */
export class ParsedAddresses {
  readonly #generationSize: number
  #newer = emptyGeneration()
  #older = emptyGeneration()

  constructor(generationSize: number) {
    this.#generationSize = generationSize
  }

  /** The parts of an address, in whatever spelling; undefined where it is none. */
  read(address: Address): ParsedAddress | undefined {
    const known = this.#newer.byText.get(address)
    if (known !== undefined) return known
    const parsed = this.#older.byText.get(address) ?? this.#parse(address)
    if (parsed !== undefined) this.#remember(address, parsed)
    return parsed
  }

  /**
   * The parts of the address of a sender, whose host and port are known.
   *
   * @param latest - what may well be it
   */
  readSender(kind: IpKind, host: string, port: number, latest: ParsedAddress | undefined): ParsedAddress | undefined {
    // To make one text of both takes longer, and so does it to compare that.
    if (latest !== undefined && latest.endpoint.port === port && latest.host === host) return latest
    return this.read(kind === 4 ? `${host}:${port}` : `[${host}]:${port}`)
  }

  /** The parts of the address of these bytes; undefined where they are none. */
  readBytes(encoded: Uint8Array): ParsedAddress | undefined {
    const ipv4 = ipv4Of(encoded)
    const known = ipv4 === undefined ? undefined : this.#newer.byIpv4.get(ipv4)
    if (known !== undefined) return known
    const endpoint = decodeEndpoint(encoded)
    return endpoint && this.read(formatEndpoint(endpoint))
  }

  /** One object for all spellings of an address. */
  #parse(address: Address): ParsedAddress | undefined {
    const parsed = parse(address)
    return parsed === undefined || parsed.address === address ? parsed : (this.read(parsed.address) ?? parsed)
  }

  #remember(address: Address, parsed: ParsedAddress): void {
    if (this.#newer.byText.size >= this.#generationSize) {
      this.#older = this.#newer
      this.#newer = emptyGeneration()
    }
    // The parsed one's own string where it is the same, as the other may be held by nobody else.
    this.#newer.byText.set(address === parsed.address ? parsed.address : address, parsed)
    const ipv4 = ipv4Of(parsed.encoded)
    if (ipv4 !== undefined) this.#newer.byIpv4.set(ipv4, parsed)
  }
}

function emptyGeneration(): Generation {
  return { byText: new Map(), byIpv4: new Map() }
}

/** The IPv4 address and port of an encoded endpoint as one number. */
function ipv4Of(encoded: Uint8Array): number | undefined {
  if (encoded[0] !== 4 || encoded.length !== 7) return undefined
  let number = 0
  for (let i = 1; i < 7; i++) number = number * 256 + (encoded[i] as number)
  return number
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
