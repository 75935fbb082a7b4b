// @ts-check
// The process of one case: its heap and its compiled code are its own, and its crash is nobody else's.

import process from 'node:process'
import { loadBench } from './suites.js'

/** @import { BenchCase, Progress, Suite } from './suites.js' */
/** @typedef {{ suite: Suite, theCase: BenchCase, seed: string, options: Record<string, string> }} Order */
/** @typedef {{ progress: string, share?: number | undefined } | { result: unknown } | { error: string }} Told */

// A terminal sends SIGINT to it too. Whoever waits for the result decides what becomes of it.
process.on('SIGINT', () => {})
process.once('message', (order) => void run(/** @type {Order} */ (order)))
// Whoever waits for the result is gone.
process.once('disconnect', () => process.exit(1))

/** @param {Order} order */
async function run({ suite, theCase, seed, options }) {
  try {
    const bench = await loadBench(suite)
    /** @type {Progress} */
    const progress = (text, share) => tell({ progress: text, share })
    const result = await bench.run(theCase, { seed, options, progress })
    if (result === undefined) throw new Error('the case returned nothing')
    tell({ result }, () => process.exit(0))
  } catch (error) {
    tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () => process.exit(1))
  }
}

/**
 * @param {Told} told
 * @param {() => void} [sent]
 */
function tell(told, sent) {
  process.send?.(told, undefined, undefined, () => sent?.())
}
