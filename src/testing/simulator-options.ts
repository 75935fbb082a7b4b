import type { Address } from '../platform/transport.js'
import type { Endpoint } from '../transport/ip.js'
import { parseEndpoint, parseIp } from '../transport/ip.js'
import type { LatencyModel } from './latency.js'
import type { Faults } from './simulated-network.js'

/** What a simulation is like. An `undefined` option is not given. */
export interface SimulatorOptions extends Partial<{ readonly [Name in keyof Faults]: Faults[Name] | undefined }> {
  /** Decides every random number. One seed gives one trace. A number is the same seed as its digits. */
  readonly seed: string | number
  /** @defaultValue {@link internetLatency} */
  readonly latency?: LatencyModel | undefined
  /**
   * Whether {@link Simulator.digest} is kept. It costs about 7 ns for each byte sent.
   *
   * @defaultValue true
   */
  readonly trace?: boolean | undefined
  /**
   * Whether each datagram is overwritten once its handler returned: whoever kept a view of it instead of a copy is found out.
   *
   * @defaultValue true
   */
  readonly poison?: boolean | undefined
  /**
   * The longest datagram that is carried, at least 1,200.
   *
   * @defaultValue 1472 bytes: what passes the internet in one piece (Ethernet's 1,500 less 28 of headers)
   */
  readonly maxDatagramBytes?: number | undefined
  /**
   * How long a DNS name takes to resolve.
   *
   * @defaultValue 20 ms
   */
  readonly resolveMs?: number | undefined
}

/** What one machine is like. An `undefined` option is not given. */
export interface SimulatedHostOptions {
  /**
   * Its address, `a.b.c.d:port` or `[IPv6]:port`.
   *
   * @defaultValue the next of 41.0.0.7:7400, 41.0.1.7:7400 and so on: public, each in a /24 of its own
   */
  readonly address?: Address | undefined
  /**
   * How far its wall clock is ahead.
   *
   * @defaultValue 0 ms
   */
  readonly wallSkewMs?: number | undefined
  /**
   * How fast its monotonic clock and its timers run.
   *
   * @defaultValue 1
   */
  readonly clockRate?: number | undefined
}

/** A network that only takes time. */
export const NO_FAULTS: Faults = { jitterMs: 0, lossRate: 0, duplicateRate: 0, reorderRate: 0, reorderMs: 0 }

const SIMULATOR_OPTION_NAMES: ReadonlySet<string> = new Set([
  ...['seed', 'latency', 'trace', 'poison', 'maxDatagramBytes', 'resolveMs'],
  ...Object.keys(NO_FAULTS),
])

const HOST_OPTION_NAMES: ReadonlySet<string> = new Set(['address', 'wallSkewMs', 'clockRate'])

/** @throws TypeError when there is no seed, or an option does not exist */
export function checkSimulatorOptions(options: SimulatorOptions): void {
  checkNames('Simulator', options, SIMULATOR_OPTION_NAMES)
  const { seed } = options
  if (typeof seed !== 'string' && typeof seed !== 'number') throw new TypeError('seed must be a string or a number')
}

/** @throws TypeError when an option does not exist */
export function checkHostOptions(options: SimulatedHostOptions): void {
  checkNames('host', options, HOST_OPTION_NAMES)
}

function checkNames(owner: string, options: unknown, names: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${owner} takes an object of options`)
  for (const name of Object.keys(options)) {
    if (!names.has(name)) throw new TypeError(`${owner} has no option ${name}`)
  }
}

/**
 * The faults with some of them changed.
 *
 * @throws RangeError when a rate is not from 0 to 1, or a time is negative
 */
export function withFaults(faults: Faults, changes: Pick<SimulatorOptions, keyof Faults>): Faults {
  const changed = { ...faults }
  for (const name of Object.keys(faults) as (keyof Faults)[]) {
    const value = changes[name]
    if (value === undefined) continue
    const most = name.endsWith('Rate') ? 1 : Number.MAX_SAFE_INTEGER
    if (!(value >= 0 && value <= most)) throw new RangeError(`${name} must be from 0 to ${most}, not ${value}`)
    Object.assign(changed, { [name]: value })
  }
  return Object.freeze(changed)
}

/**
 * Reads an IP address with or without a port.
 *
 * @throws TypeError when it is neither
 */
export function readHost(address: string): Endpoint {
  const ip = parseIp(address)
  const endpoint = parseEndpoint(address) ?? (ip && { ...ip, port: 1 })
  if (endpoint === undefined) throw new TypeError(`'${address}' is no IP address`)
  return endpoint
}
