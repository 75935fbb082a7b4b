// @ts-check
// A value of many parts on the simulated internet: what it takes to store it beside its parts put one by one, what it
// takes to fetch it after nodes died, and what comes of holders that serve wrong parts. The exit status is 1 when a
// bound is missed.
//
//   npm run simulate:large -- --nodes 200 --kib 1024 --loss 0.2 --dead 0.33 --seed 1 --json

import { parseArgs } from 'node:util'
import { DhtError, VALUE_BYTES_MAX } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { build, inBatches, join, print, report } from './simulation.js'

/** @import { Report } from './simulation.js' */

/** Parts put one by one for comparison: a sample, as all of them would take most of the time. */
const SINGLE_PUTS = 100

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    kib: { type: 'string', default: '1024' },
    loss: { type: 'string', default: '0' },
    dead: { type: 'string', default: '0.33' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const [nodeCount, kib, loss, dead] = [options.nodes, options.kib, options.loss, options.dead].map(Number)
if (!(nodeCount >= 10) || !(kib > 0 && kib <= 1024) || !(loss >= 0 && loss < 1) || !(dead >= 0 && dead < 1)) {
  console.error('usage: large.js [--nodes 200] [--kib 1024] [--loss 0] [--dead 0.33] [--seed 1] [--json]')
  process.exit(2)
}

const startedAtMs = performance.now()
const simulator = new Simulator({ seed: options.seed })
const result = await simulator.run(largeValue, { limitMs: 6 * 3_600_000 })
if (options.json) console.log(JSON.stringify([result], undefined, 2))
else print(result, (performance.now() - startedAtMs) / 1000)
process.exitCode = result.missed.length > 0 ? 1 : 0

/** @returns {Promise<Report>} */
async function largeValue() {
  const { nodes } = await build(simulator, nodeCount)
  simulator.setFaults({ lossRate: loss })
  const [publisher, ...others] = /** @type {[import('./simulation.js').Node, ...import('./simulation.js').Node[]]} */ (
    nodes
  )
  const value = simulator.random.bytes(Math.floor(kib * 1024))
  const stored = await publisher.dht.put(value)
  await simulator.delay(60_000)
  console.error('stored', stored.elapsedMs, stored.messages, stored.parts, stored.replicasMin)

  /** @type {number[]} */
  const singleMs = []
  let singleMessages = 0
  await inBatches(SINGLE_PUTS, 1, async () => {
    const put = await publisher.dht.put(simulator.random.bytes(VALUE_BYTES_MAX))
    singleMs.push(put.elapsedMs)
    singleMessages += put.messages
  })
  const singles = {
    messages: Math.round((singleMessages / SINGLE_PUTS) * stored.parts),
    ms: Math.round((singleMs.reduce((sum, ms) => sum + ms, 0) / SINGLE_PUTS) * stored.parts),
  }

  const dying = [publisher, ...simulator.random.shuffle(others)].slice(0, Math.round(dead * nodeCount))
  for (const { host } of dying) host.kill()
  const living = nodes.filter((node) => !dying.includes(node))
  const reader = await join(
    simulator,
    living.slice(0, 5).map(({ address }) => address),
  )
  /** @type {{ isWhole: boolean, messages?: number, ms?: number, error?: string }} */
  let fetched
  try {
    const found = await reader.dht.get(stored.key)
    const isWhole = found !== undefined && Buffer.compare(found.value, value) === 0
    fetched = { isWhole, messages: found?.messages ?? 0, ms: found?.elapsedMs ?? 0 }
  } catch (error) {
    fetched = { isWhole: false, error: error instanceof DhtError ? `${error.code} ${error.message}` : String(error) }
  }
  const figures = {
    put: { parts: stored.parts, replicasMin: stored.replicasMin, messages: stored.messages, ms: stored.elapsedMs },
    'parts singly': singles,
    get: fetched,
  }
  return report(`a value of ${kib} KiB at ${nodeCount} nodes, loss ${loss}, ${dying.length} dead`, simulator, figures, [
    [fetched.isWhole, 'the value came back'],
    [stored.messages < singles.messages, 'putting it takes fewer messages than its parts do'],
  ])
}
