import type { Address } from '../keyspace/index.js'
import { Recent } from './recent.js'

/** A smoothed round trip and its mean deviation, in ms (RFC 6298, 2). */
interface Estimate {
  smoothedMs: number
  deviationMs: number
}

const REMEMBERED_MS = 3_600_000
const ADDRESSES_MAX = 4096

/** How much one sample moves the estimate of its address (RFC 6298, 2.3). */
const MEAN_GAIN = 1 / 8
const DEVIATION_GAIN = 1 / 4

/**
 * How much one sample moves the pooled estimate at least; at first it is a plain mean. Less than for one address:
 * a few near contacts in a row must not make every far one look late.
 */
const POOLED_GAIN_MIN = 1 / 32

/** Round trips below this differ by noise, in ms. */
const USUAL_MIN_MS = 40

/** How many mean deviations later than expected an answer is late: of one address (RFC 6298, 2.3), and of any. */
const DEVIATIONS = 4
const POOLED_DEVIATIONS = 2

/** Bounds and first guess of the soft time-out, in ms. */
export interface RoundTripOptions {
  readonly softTimeoutMinMs: number
  readonly softTimeoutMaxMs: number
  /** Used until the first round trip of all was measured. */
  readonly softTimeoutFirstMs: number
}

/**
 * How long answers take, for each address and for all of them together: a contact that was never measured is
 * judged by the node's pooled round trip.
 */
export class RoundTrips {
  readonly #options: RoundTripOptions
  readonly #estimates = new Recent<Estimate>(REMEMBERED_MS, ADDRESSES_MAX)
  #pooled: Estimate | undefined
  #pooledCount = 0

  constructor(options: RoundTripOptions) {
    this.#options = options
  }

  /** Takes in the round trip of a call that was sent once: after a resend nobody knows which was answered (Karn). */
  measured(address: Address, roundTripMs: number, nowMs: number): void {
    const known = this.#estimates.get(address, nowMs)
    this.#estimates.set(address, smoothed(known, roundTripMs, MEAN_GAIN, DEVIATION_GAIN), nowMs)
    this.#pooledCount++
    const pooledGain = Math.max(POOLED_GAIN_MIN, 1 / this.#pooledCount)
    this.#pooled = smoothed(this.#pooled, roundTripMs, pooledGain, pooledGain)
  }

  /** The smoothed round trip of an address that was measured, in ms. */
  smoothedMs(address: Address, nowMs: number): number | undefined {
    return this.#estimates.get(address, nowMs)?.smoothedMs
  }

  /**
   * An address's smoothed round trip as a multiple of the pooled one, or of 40 ms where that is less, because in one
   * building the differences are noise. 1 for a pooled one, which is what is expected of an address not measured.
   */
  relative(address: Address, nowMs: number): number {
    if (this.#pooled === undefined) return 0
    const { smoothedMs } = this.#estimates.get(address, nowMs) ?? this.#pooled
    return smoothedMs / Math.max(USUAL_MIN_MS, this.#pooled.smoothedMs)
  }

  /**
   * From when on an answer is late, in ms after the request: srtt + max(G, 4 rttvar) (RFC 6298, 2.3), within the
   * bounds. G is the least of them: else, once round trips were steady for a while, the least delay looked like a loss.
   */
  softTimeoutMs(address: Address, nowMs: number): number {
    const known = this.#estimates.get(address, nowMs)
    const estimate = known ?? this.#pooled
    const deviations = known ? DEVIATIONS : POOLED_DEVIATIONS
    if (!estimate) return this.#options.softTimeoutFirstMs
    const { softTimeoutMaxMs, softTimeoutMinMs } = this.#options
    return Math.min(
      softTimeoutMaxMs,
      estimate.smoothedMs + Math.max(softTimeoutMinMs, deviations * estimate.deviationMs),
    )
  }
}

/** RFC 6298, 2.2 and 2.3. */
function smoothed(estimate: Estimate | undefined, sampleMs: number, meanGain: number, deviationGain: number): Estimate {
  if (!estimate) return { smoothedMs: sampleMs, deviationMs: sampleMs / 4 }
  const { smoothedMs, deviationMs } = estimate
  return {
    deviationMs: deviationMs + deviationGain * (Math.abs(smoothedMs - sampleMs) - deviationMs),
    smoothedMs: smoothedMs + meanGain * (sampleMs - smoothedMs),
  }
}
