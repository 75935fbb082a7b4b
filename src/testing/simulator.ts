import type { Address } from '../platform/transport.js'
import { EventQueue } from './event-queue.js'
import { internetLatency } from './latency.js'
import { SeededRandom } from './random.js'
import { SimulatedHost } from './simulated-host.js'
import type { Datagram, Faults, NetworkStats } from './simulated-network.js'
import { SimulatedNetwork } from './simulated-network.js'
import type { SimulatedTransportConfig } from './simulated-transport.js'
import { SimulatedTransport } from './simulated-transport.js'
import type { SimulationPoint } from './simulation-error.js'
import { SimulationError } from './simulation-error.js'
import type { SimulatedHostOptions, SimulatorOptions } from './simulator-options.js'
import { checkHostOptions, checkSimulatorOptions, NO_FAULTS, readHost, withFaults } from './simulator-options.js'
import { Trace } from './trace.js'
import { eachTurn } from './turns.js'
import { VirtualClock } from './virtual-clock.js'

const RUN_LIMIT_MS = 3_600_000
const EVENTS_AT_ONCE_MAX = 1_000_000
const CLOCK_OFFSET_MS_MAX = 1_000_000_000

/**
 * A network of machines in one process, in virtual time. It takes the earliest event, a timer or a datagram, lets
 * it happen, waits until every microtask that it set off has finished, and goes on. So one seed gives one trace,
 * bit for bit, on every engine, and an hour passes as fast as its events can be worked off.
 *
 * Code that runs inside must take time, randomness and network from its host only: a promise that something
 * outside settles (WebCrypto, files, `setTimeout`) looks like a deadlock or makes the trace depend on the machine.
 *
 * @example
 * ```ts
 * const simulator = new Simulator({ seed: 7, lossRate: 0.05 })
 * const [a, b] = [simulator.host(), simulator.host()]
 * await simulator.run(async () => {
 *   await b.transport.start((from, bytes) => console.log(from, bytes))
 *   await a.transport.start(() => {})
 *   a.transport.send(b.address, Uint8Array.of(1, 2, 3))
 *   await simulator.delay(1000)
 * })
 * console.log(simulator.stats, simulator.digest())
 * ```
 */
export class Simulator {
  /** The seed, as text. */
  readonly seed: string
  /** A stream of random numbers for the test itself. */
  readonly random: SeededRandom
  readonly #root: SeededRandom
  readonly #queue = new EventQueue()
  readonly #clock: VirtualClock
  readonly #trace: Trace | undefined
  readonly #network: SimulatedNetwork
  readonly #transportConfig: SimulatedTransportConfig
  #hosts = 0
  #addresses = 0
  #events = 0
  #eventsAtOnce = 0
  #isRunning = false

  /**
   * @throws TypeError when the seed is missing, or an option does not exist
   * @throws RangeError when an option is out of its range
   */
  constructor(options: SimulatorOptions) {
    checkSimulatorOptions(options)
    const {
      seed,
      latency = internetLatency(),
      trace = true,
      poison = true,
      maxDatagramBytes = 1472,
      resolveMs = 20,
    } = options
    if (!(maxDatagramBytes >= 1200)) throw new RangeError('maxDatagramBytes must be 1200 or more')
    if (!(resolveMs >= 0)) throw new RangeError('resolveMs must be 0 or more')
    this.seed = String(seed)
    this.#root = new SeededRandom(this.seed)
    this.random = this.#root.fork('test')
    this.#clock = new VirtualClock(this.#queue, { offsetMs: 0, rate: 1, wallSkewMs: 0 })
    this.#trace = trace ? new Trace() : undefined
    this.#transportConfig = { poison, resolveMs }
    this.#network = new SimulatedNetwork({
      queue: this.#queue,
      random: this.#root.fork('network'),
      latency,
      trace: this.#trace,
      maxDatagramBytes,
      faults: withFaults(NO_FAULTS, options),
    })
  }

  /** Virtual time: milliseconds since the start. */
  get nowMs(): number {
    return this.#queue.nowMs
  }

  /** How many events have run. */
  get events(): number {
    return this.#events
  }

  /** What became of all datagrams so far; a copy. */
  get stats(): NetworkStats {
    return { ...this.#network.stats }
  }

  /** What the network does to datagrams now. */
  get faults(): Faults {
    return this.#network.faults
  }

  /**
   * Makes a machine.
   *
   * @throws TypeError when no host can have the address, or an option does not exist
   */
  host(options: SimulatedHostOptions = {}): SimulatedHost {
    checkHostOptions(options)
    const { address = this.#nextAddress(), wallSkewMs = 0, clockRate = 1 } = options
    const site = this.#network.site(address)
    // Numbered, so that a machine that starts again at its old address does not draw the same id and secrets.
    const random = this.#root.fork(`host ${this.#hosts++}`)
    const offsetMs = random.fork('clock').int(CLOCK_OFFSET_MS_MAX)
    const clock = new VirtualClock(this.#queue, { offsetMs, rate: clockRate, wallSkewMs })
    const transport = new SimulatedTransport(this.#network, site, this.#transportConfig)
    return new SimulatedHost(site, transport, clock, random)
  }

  /**
   * Does the work and drives virtual time until it settled. What it rejects with is passed on, with a property
   * `simulation` that tells seed and time.
   *
   * @param options - `limitMs`: how much virtual time it may take, one hour by default
   * @returns what the work returned
   * @throws SimulationError on a deadlock, beyond the limit, or when a callback threw
   * @throws Error when the simulation is being driven already: inside, await {@link Simulator.delay}
   */
  run<T>(work: () => T | PromiseLike<T>, options: { limitMs?: number } = {}): Promise<T> {
    const { limitMs = RUN_LIMIT_MS } = options
    return this.#exclusively((resolve: (value: T) => void, reject) => {
      const deadlineMs = this.nowMs + limitMs
      let outcome: (() => void) | undefined
      new Promise<T>((done) => done(work())).then(
        (value) => {
          outcome = () => resolve(value)
        },
        (error: unknown) => {
          outcome = () => reject(this.#located(error))
        },
      )
      return () => {
        if (outcome !== undefined) return outcome()
        const nextMs = this.#queue.peekMs()
        if (nextMs === undefined) throw this.#error('deadlock', 'nothing is left to happen, and run() still waits')
        if (nextMs > deadlineMs) {
          this.#queue.skipTo(deadlineMs)
          throw this.#error('limit', `run() took more than its ${limitMs} ms`)
        }
        this.#runNext()
        return undefined
      }
    })
  }

  /**
   * Lets virtual time pass, with all that is due in it.
   *
   * @throws SimulationError when a callback threw
   * @throws Error when the simulation is being driven already: inside `run`, await {@link Simulator.delay}
   */
  advance(durationMs: number): Promise<void> {
    if (!(durationMs >= 0)) throw new RangeError('durationMs must be 0 or more')
    return this.#exclusively((resolve: () => void) => {
      const endMs = this.nowMs + durationMs
      return () => {
        const nextMs = this.#queue.peekMs()
        if (nextMs !== undefined && nextMs <= endMs) return this.#runNext()
        this.#queue.skipTo(endMs)
        return resolve()
      }
    })
  }

  /** Resolves after `delayMs` of virtual time: for the work inside `run`. */
  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve))
  }

  /** Calls back after `delayMs` of virtual time: for what befalls the network meanwhile. Returns its cancel. */
  after(delayMs: number, callback: () => void): () => void {
    return this.#clock.after(delayMs, callback)
  }

  /**
   * Changes what the network does to datagrams from now on; what is not named stays.
   *
   * @throws RangeError when a rate is not from 0 to 1, or a time is negative
   */
  setFaults(faults: Partial<Faults>): void {
    this.#network.faults = withFaults(this.#network.faults, faults)
  }

  /** Asks `filter` about every datagram as it is sent: false drops it. `undefined` takes the filter away. */
  setFilter(filter: ((datagram: Datagram) => boolean) | undefined): void {
    this.#network.filter = filter
  }

  /**
   * Cuts the network into sides that can't reach each other; hosts that are not named are one more side together.
   * It holds for addresses, so a machine that starts again stays where it was. Replaces an earlier partition.
   *
   * @throws TypeError when a host is named twice
   */
  partition(sides: readonly (readonly SimulatedHost[])[]): void {
    this.#network.partition(sides.map((side) => side.map((host) => host.site)))
  }

  /** Ends a partition. */
  heal(): void {
    this.#network.heal()
  }

  /**
   * Registers a DNS name, in place of an earlier one; with no addresses it does not resolve any more.
   *
   * @param addresses - IP addresses; a port is ignored, as DNS knows none
   * @throws TypeError when one is neither
   */
  name(name: string, addresses: readonly string[]): void {
    this.#network.setName(name, addresses.map(readHost))
  }

  /**
   * SHA-256 over everything that was sent and delivered so far, with its time, as 64 hexadecimal digits: two runs
   * with one digest were the same run.
   *
   * @throws Error when the option `trace` is false
   */
  digest(): string {
    if (this.#trace === undefined) throw new Error('a simulator without a trace has no digest')
    return this.#trace.digest()
  }

  /** Calls what `begin` returns once a turn until a promise function was called or it threw. */
  #exclusively<T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isRunning) throw new Error('the simulator is being driven already: inside run(), await delay() instead')
      this.#isRunning = true
      const finish = <V>(settle: (value: V) => void) => {
        return (value: V): void => {
          this.#isRunning = false
          settle(value)
        }
      }
      const fail = finish(reject)
      const step = begin(finish(resolve), fail)
      eachTurn(() => {
        try {
          step()
        } catch (error) {
          fail(error)
        }
        return this.#isRunning
      })
    })
  }

  #runNext(): void {
    const beforeMs = this.nowMs
    const event = this.#queue.next()
    if (event === undefined) return
    this.#eventsAtOnce = this.nowMs === beforeMs ? this.#eventsAtOnce + 1 : 0
    if (this.#eventsAtOnce > EVENTS_AT_ONCE_MAX) throw this.#error('livelock', 'virtual time stands still')
    this.#events++
    try {
      event.run()
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      throw this.#error('callback', `a callback threw: ${what}`, { cause: error })
    }
  }

  #error(reason: SimulationError['reason'], message: string, options?: { cause?: unknown }): SimulationError {
    return new SimulationError(reason, message, this.#point(), options)
  }

  #point(): SimulationPoint {
    return { seed: this.seed, atMs: this.nowMs, events: this.#events }
  }

  #located(error: unknown): unknown {
    // Not wrapped: whoever expects the work to fail looks for its own error.
    if (error instanceof Error && Object.isExtensible(error) && !('simulation' in error)) {
      Object.defineProperty(error, 'simulation', { value: this.#point(), enumerable: true })
    }
    return error
  }

  #nextAddress(): Address {
    for (;;) {
      const number = this.#addresses++
      const address = `${41 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}.7:7400`
      if (this.#network.knownSite(address) === undefined) return address
    }
  }
}
