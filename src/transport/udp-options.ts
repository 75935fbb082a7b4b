import type { IpKind } from './ip.js'
import { formatIp, isUnicast, isUnspecified, parseIp } from './ip.js'

/** Where `udp` listens, and how much the system may queue for it. An `undefined` option is not given. */
export interface UdpOptions {
  /**
   * The UDP port, 0 to 65,535. With 0 the system chooses a free one.
   *
   * @defaultValue 0
   */
  port?: number | undefined

  /**
   * The IP address to listen at, not a name: an IPv4 address for IPv4 alone, an IPv6 address for IPv6 alone.
   *
   * @defaultValue every address of the machine, IPv4 and IPv6 on one port; where the machine lacks one of
   * the two, the other alone
   */
  host?: string | undefined

  /**
   * How many bytes the system may hold until they are read, 1 to 2^31 - 1. The system may grant less.
   *
   * @defaultValue 1 MiB: some 900 full datagrams, what a lookup's answers bring while the program is busy
   */
  receiveBufferBytes?: number | undefined

  /**
   * How many bytes the system may hold until they are sent, 1 to 2^31 - 1. The system may grant less.
   *
   * @defaultValue 1 MiB
   */
  sendBufferBytes?: number | undefined
}

/** {@link UdpOptions} that are complete and valid. */
export interface UdpConfig {
  readonly port: number
  /** One entry for each family that may be used. */
  readonly hosts: readonly { readonly kind: IpKind; readonly host: string }[]
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
}

const OPTION_NAMES: ReadonlySet<string> = new Set(['port', 'host', 'receiveBufferBytes', 'sendBufferBytes'])

/**
 * Completes and checks the options.
 *
 * @throws TypeError or RangeError when one is wrong
 */
export function withDefaults(options: UdpOptions): UdpConfig {
  if (typeof options !== 'object' || options === null) throw new TypeError('udp takes an object of options')
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) throw new TypeError(`udp has no option ${name}`)
  }
  const { port = 0, host, receiveBufferBytes = 1024 * 1024, sendBufferBytes = 1024 * 1024 } = options
  checkInteger('port', port, 0, 65_535)
  checkInteger('receiveBufferBytes', receiveBufferBytes, 1, 0x7fff_ffff)
  checkInteger('sendBufferBytes', sendBufferBytes, 1, 0x7fff_ffff)
  const hosts = host === undefined ? everyHost() : [literalHost(host)]
  return Object.freeze({ port, hosts, receiveBufferBytes, sendBufferBytes })
}

function everyHost(): UdpConfig['hosts'] {
  return [
    { kind: 4, host: '0.0.0.0' },
    { kind: 6, host: '::' },
  ]
}

function literalHost(host: unknown): UdpConfig['hosts'][number] {
  if (typeof host !== 'string') throw new TypeError('host must be a string')
  const parsed = parseIp(host)
  if (parsed === undefined) throw new TypeError(`host must be an IP address, not '${host}'`)
  if (!isUnicast(parsed) && !isUnspecified(parsed)) throw new RangeError(`a node can't listen at ${host}`)
  return { kind: parsed.kind, host: formatIp(parsed) }
}

function checkInteger(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be an integer from ${least} to ${most}, not ${value}`)
  }
}
