// @ts-check
// What lookups cost at least. The model is a network with perfect tables: each k-bucket holds k of those that belong
// there, or all where there are no more, everybody answers, and each reply names the k nearest of that table.

/** @typedef {{ roundTrips: number, first: number, close: number }} LowerBounds */

/**
 * Of that model: round trips to the first holder, RPCs to the first holder, RPCs to close the k nearest.
 * @type {Record<number, [nodes: number, roundTrips: number, first: number, close: number][]>}
 */
const MODEL = {
  8: [
    [1e3, 1.8, 5, 13],
    [1e4, 2.5, 7, 15],
    [1e5, 3.3, 9, 16],
    [1e6, 3.9, 10, 18],
  ],
  16: [
    [1e3, 1.5, 4, 20],
    [1e4, 2.0, 6, 21],
    [1e5, 2.6, 7, 23],
    [1e6, 3.2, 8, 24],
  ],
  20: [
    [1e3, 1.3, 4, 23],
    [1e4, 1.9, 5, 25],
    [1e5, 2.5, 7, 26],
    [1e6, 3.0, 8, 28],
  ],
}

/**
 * Between the sizes of the model it goes straight over the logarithm of the number of nodes.
 *
 * @param {number} nodes
 * @param {number} k
 * @returns {LowerBounds | undefined} undefined where the model has no figures: below 1,000 nodes, or for another k
 */
export function lowerBounds(nodes, k) {
  const rows = MODEL[k] ?? []
  const above = rows.findIndex(([size]) => nodes <= size)
  const to = rows[above]
  const from = rows[Math.max(0, above - 1)]
  if (!to || !from || nodes < /** @type {any} */ (rows[0])[0]) return undefined
  const share = to === from ? 0 : Math.log(nodes / from[0]) / Math.log(to[0] / from[0])
  const at = (/** @type {1 | 2 | 3} */ i) => Math.round((from[i] + share * (to[i] - from[i])) * 100) / 100
  return { roundTrips: at(1), first: at(2), close: at(3) }
}

/**
 * How many round trips to the first holder each factor e of nodes adds: 1 / (H_k + 0.6), with H_k the k-th harmonic
 * number. One hop among k random contacts of the right bucket brings so much nearer.
 * @param {number} k
 */
export function roundTripsPerLnNodes(k) {
  const harmonic = Array.from({ length: k }, (_, i) => 1 / (i + 1)).reduce((sum, term) => sum + term, 0)
  return 1 / (harmonic + 0.6)
}

/**
 * The messages that no lookup can do without that has the k nearest answer: one to each, and one for each hop before.
 * @param {number} k
 * @param {number} hops
 */
export function closeMessagesFloor(k, hops) {
  return k + hops - 1
}
