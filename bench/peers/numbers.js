// @ts-check

/**
 * A reproducible source of numbers from 0 up to 1, 1 left out (mulberry32).
 *
 * @param {number} seed
 * @returns {() => number}
 */
export function randomFrom(seed) {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * @param {number[]} values
 * @param {number} share - 0.5 for the median
 * @returns {number | null} null where there are no values
 */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return value === undefined ? null : round(value)
}

/** @param {number} value - to be read, not to be calculated with */
export function round(value) {
  return Number(value.toPrecision(4))
}

/**
 * The share of the k truly nearest that was found.
 *
 * @param {Uint8Array[]} found
 * @param {Uint8Array[]} ids - all that could be found
 * @param {Uint8Array} place - in the key space
 * @param {number} k
 * @returns {number}
 */
export function recallOf(found, ids, place, k) {
  const foundIds = new Set(found.map(numberOf))
  const placeNumber = numberOf(place)
  const nearest = ids
    .map((id) => ({ id: numberOf(id), distance: numberOf(id) ^ placeNumber }))
    .sort((a, b) => (a.distance < b.distance ? -1 : 1))
    .slice(0, k)
  return nearest.filter(({ id }) => foundIds.has(id)).length / nearest.length
}

/** @param {Uint8Array} id */
function numberOf(id) {
  return BigInt(`0x${Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex')}`)
}
