import type { Clock } from '../platform/clock.js'
import type { RandomBytes } from '../platform/random.js'
import type { Address, Transport } from '../platform/transport.js'
import type { SeededRandom } from './random.js'
import type { SimulatedTransport } from './simulated-transport.js'
import type { Site } from './site.js'
import type { VirtualClock } from './virtual-clock.js'

/**
 * One machine of a simulation: what a node needs to run on it. `simulator.host()` makes them.
 *
 * @example
 * ```ts
 * const { transport, clock, randomBytes } = simulator.host()
 * const dht = createDht({ transport, clock, randomBytes })
 * ```
 */
export class SimulatedHost {
  /** Where it listens once its transport was started. */
  readonly address: Address
  /** Its socket; a test can use it bare, to send any bytes and to see what arrives. */
  readonly transport: Transport
  /** Its own view of virtual time. */
  readonly clock: Clock
  /** Its own stream of random numbers, whatever other hosts draw. */
  readonly random: SeededRandom
  /** The same stream as bytes. */
  readonly randomBytes: RandomBytes
  /** @internal */
  readonly site: Site
  readonly #transport: SimulatedTransport
  readonly #clock: VirtualClock
  #isAlive = true

  /**
   * For `simulator.host()`.
   *
   * @hidden
   */
  constructor(site: Site, transport: SimulatedTransport, clock: VirtualClock, random: SeededRandom) {
    this.site = site
    this.address = site.address
    this.transport = transport
    this.#transport = transport
    this.clock = clock
    this.#clock = clock
    this.random = random
    this.randomBytes = (length) => random.bytes(length)
  }

  /** Whether it was not killed. */
  get isAlive(): boolean {
    return this.#isAlive
  }

  /**
   * Pulls the plug: its timers never fire again, what it sends and what is sent to it vanishes, and nobody is told.
   * Datagrams that it sent before still arrive. Another `simulator.host` with the same address is the machine
   * started again, with other random numbers.
   */
  kill(): void {
    this.#isAlive = false
    this.#transport.die()
    this.#clock.stop()
  }

  /** Lets its wall clock jump to `wallSkewMs` ahead of virtual time. Back means: it stands until time catches up. */
  setWallSkew(wallSkewMs: number): void {
    this.#clock.setWallSkew(wallSkewMs)
  }
}
