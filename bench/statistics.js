// @ts-check
// What many values come to.

/** @typedef {{ count: number, mean: number, p50: number, p95: number, p99: number, max: number }} Distribution */
/** @typedef {Record<string, number>} Histogram */

/**
 * Percentiles by nearest rank: each is a value that was there. Of no values all are NaN.
 * @param {readonly number[]} values
 * @returns {Distribution}
 */
export function distribution(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (/** @type {number} */ share) =>
    rounded(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN)
  const sum = sorted.reduce((all, value) => all + value, 0)
  return {
    count: sorted.length,
    mean: rounded(sum / sorted.length),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
  }
}

/**
 * How often each value was there.
 * @param {readonly number[]} values
 * @returns {Histogram}
 */
export function histogram(values) {
  /** @type {Histogram} */
  const counts = {}
  for (const value of [...values].sort((a, b) => a - b)) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

/**
 * To a thousandth: what is beyond is no news, and makes results long.
 * @param {number} value
 */
export function rounded(value) {
  return Math.round(value * 1000) / 1000
}
