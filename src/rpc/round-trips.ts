import type { Address } from '../keyspace/index.js'
import { RecentNumbers } from './recent-numbers.js'

/** What is kept of an address: its smoothed round trip and the mean deviation of it, in ms (RFC 6298, 2). */
const SMOOTHED = 0
const DEVIATION = 1
const NUMBERS = 2

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

/** Of how many samples the slowest is remembered, at least; of twice as many at most. */
const SLOWEST_OF = 128

/** How much more than the slowest of them is waited for. */
const PATIENCE = 1.5

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
  readonly #estimates = new RecentNumbers(REMEMBERED_MS, ADDRESSES_MAX, NUMBERS)
  #pooledMs = Number.NaN
  #pooledDeviationMs = Number.NaN
  #pooledCount = 0
  #slowestMs = 0
  #slowestBeforeMs = 0

  constructor(options: RoundTripOptions) {
    this.#options = options
  }

  /** Takes in the round trip of a call that was sent once: after a resend nobody knows which was answered (Karn). */
  measured(address: Address, roundTripMs: number, nowMs: number): void {
    const slot = this.#estimates.touch(address, nowMs)
    const smoothedMs = this.#estimates.get(slot, SMOOTHED)
    const deviationMs = this.#estimates.get(slot, DEVIATION)
    this.#estimates.set(slot, DEVIATION, newDeviationMs(smoothedMs, deviationMs, roundTripMs, DEVIATION_GAIN))
    this.#estimates.set(slot, SMOOTHED, newSmoothedMs(smoothedMs, roundTripMs, MEAN_GAIN))
    if (this.#pooledCount % SLOWEST_OF === 0) {
      this.#slowestBeforeMs = this.#slowestMs
      this.#slowestMs = 0
    }
    this.#slowestMs = Math.max(this.#slowestMs, roundTripMs)
    this.#pooledCount++
    const gain = Math.max(POOLED_GAIN_MIN, 1 / this.#pooledCount)
    this.#pooledDeviationMs = newDeviationMs(this.#pooledMs, this.#pooledDeviationMs, roundTripMs, gain)
    this.#pooledMs = newSmoothedMs(this.#pooledMs, roundTripMs, gain)
  }

  /** The smoothed round trip of an address that was measured, in ms. */
  smoothedMs(address: Address, nowMs: number): number | undefined {
    const slot = this.#estimates.find(address, nowMs)
    return slot < 0 ? undefined : this.#estimates.get(slot, SMOOTHED)
  }

  /**
   * How long an answer that did come has taken lately, at most, in ms: what is longer overdue than that is hardly
   * slow any more. Of an address that was measured nothing is said, as its own round trips tell more.
   */
  patienceMs(address: Address, nowMs: number): number {
    if (this.#estimates.find(address, nowMs) >= 0) return 0
    return PATIENCE * Math.max(this.#slowestMs, this.#slowestBeforeMs)
  }

  /**
   * An address's smoothed round trip as a multiple of the pooled one, or of 40 ms where that is less, because in one
   * building the differences are noise. 1 for a pooled one, which is what is expected of an address not measured.
   */
  relative(address: Address, nowMs: number): number {
    if (Number.isNaN(this.#pooledMs)) return 0
    return (this.smoothedMs(address, nowMs) ?? this.#pooledMs) / Math.max(USUAL_MIN_MS, this.#pooledMs)
  }

  /**
   * From when on an answer is late, in ms after the request: srtt + max(G, 4 rttvar) (RFC 6298, 2.3), within the
   * bounds. G is the least of them: else, once round trips were steady for a while, the least delay looked like a loss.
   */
  softTimeoutMs(address: Address, nowMs: number): number {
    const slot = this.#estimates.find(address, nowMs)
    const smoothedMs = slot < 0 ? this.#pooledMs : this.#estimates.get(slot, SMOOTHED)
    const deviationMs = slot < 0 ? this.#pooledDeviationMs : this.#estimates.get(slot, DEVIATION)
    const { softTimeoutFirstMs, softTimeoutMaxMs, softTimeoutMinMs } = this.#options
    if (Number.isNaN(smoothedMs)) return softTimeoutFirstMs
    const deviations = slot < 0 ? POOLED_DEVIATIONS : DEVIATIONS
    return Math.min(softTimeoutMaxMs, smoothedMs + Math.max(softTimeoutMinMs, deviations * deviationMs))
  }
}

/** RFC 6298, 2.2 and 2.3; before the first sample all is NaN. */
function newSmoothedMs(smoothedMs: number, sampleMs: number, gain: number): number {
  return Number.isNaN(smoothedMs) ? sampleMs : smoothedMs + gain * (sampleMs - smoothedMs)
}

function newDeviationMs(smoothedMs: number, deviationMs: number, sampleMs: number, gain: number): number {
  if (Number.isNaN(smoothedMs)) return sampleMs / 4
  return deviationMs + gain * (Math.abs(smoothedMs - sampleMs) - deviationMs)
}
