/**
 * Why a simulation stopped:
 * - `deadlock`: nothing was left to happen while the work of `run` was pending;
 * - `limit`: `run` took more virtual time than its `limitMs`;
 * - `livelock`: a million events happened without virtual time moving on;
 * - `callback`: a timer or a datagram handler threw, which is the `cause`.
 */
export type SimulationFailure = 'deadlock' | 'limit' | 'livelock' | 'callback'

/** Where a simulation stands: with the seed, all that is needed to get there again. */
export interface SimulationPoint {
  /** The seed of the whole run. */
  readonly seed: string
  /** The virtual time. */
  readonly atMs: number
  /** How many events have run. */
  readonly events: number
}

/** A simulation could not go on. */
export class SimulationError extends Error implements SimulationPoint {
  /** What went wrong. */
  readonly reason: SimulationFailure
  readonly seed: string
  readonly atMs: number
  readonly events: number

  constructor(reason: SimulationFailure, message: string, point: SimulationPoint, options?: { cause?: unknown }) {
    super(`${message} (seed '${point.seed}', ${point.atMs} virtual ms, ${point.events} events)`, options)
    this.name = 'SimulationError'
    this.reason = reason
    this.seed = point.seed
    this.atMs = point.atMs
    this.events = point.events
  }
}
