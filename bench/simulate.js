// @ts-check
// Whole networks of real nodes in virtual time: what their lookups find and what that costs. One seed gives one
// run, bit for bit, on every version of Node; the exit status is 1 when a bound is missed.
//
//   npm run simulate -- --nodes 1000 --seed 1 --scenario all|none|dead|loss|digest --json

import { parseArgs } from 'node:util'
import { Simulator } from 'xorbit/testing'
import {
  build,
  HOUR_MS,
  inBatches,
  noCosts,
  note,
  percentiles,
  print,
  report,
  summary,
  trueNearest,
} from './simulation.js'

/** @import { Faults } from 'xorbit/testing' */
/** @import { Node, Report } from './simulation.js' */

const VALUES = 250
const LOOKUPS = 300
const DEAD_SHARE = 0.3
/** How much virtual time one scenario may take. */
const LIMIT_MS = 6 * HOUR_MS

/** @type {Partial<Faults>} */
const BAD_NETWORK = { lossRate: 0.2, reorderRate: 0.1, reorderMs: 500, duplicateRate: 0.05 }

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    scenario: { type: 'string', default: 'all' },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
const seed = options.seed

/** @type {Record<string, (() => Promise<Report>)[]>} */
const scenarios = {
  none: [noFaults],
  dead: [deadNodes],
  loss: [() => lossyNetwork('loss, once all have joined', false), () => lossyNetwork('loss, also while joining', true)],
  digest: [sameDigest],
}
const chosen = options.scenario === 'all' ? Object.values(scenarios).flat() : scenarios[options.scenario]
if (!chosen || !Number.isInteger(nodeCount) || nodeCount < 2) {
  console.error('usage: simulate.js [--nodes 1000] [--seed 1] [--scenario all|none|dead|loss|digest] [--json]')
  process.exit(2)
}

/** @type {Report[]} */
const reports = []
for (const scenario of chosen) {
  const startedAtMs = performance.now()
  const report = await scenario()
  reports.push(report)
  if (!options.json) print(report, (performance.now() - startedAtMs) / 1000)
}
if (options.json) console.log(JSON.stringify(reports, undefined, 2))
process.exitCode = reports.some(({ missed }) => missed.length > 0) ? 1 : 0

/**
 * The k nearest found must be exactly the true ones.
 * @returns {Promise<Report>}
 */
async function noFaults() {
  const simulator = new Simulator({ seed })
  return simulator.run(
    async () => {
      const { nodes, joining } = await build(simulator, nodeCount)
      const lookups = await lookUpRandomTargets(simulator, nodes, nodes, LOOKUPS, 1)
      return report('no faults', simulator, { joining, lookups }, [
        [lookups.recall >= 0.999, 'the recall of lookups must be 0.999 or more'],
      ])
    },
    { limitMs: LIMIT_MS },
  )
}

/**
 * Values put before 30 % of the nodes died silently must be found at once, from tables full of the dead.
 * @returns {Promise<Report>}
 */
async function deadNodes() {
  const simulator = new Simulator({ seed })
  return simulator.run(
    async () => {
      const { nodes } = await build(simulator, nodeCount)
      const { keys, puts } = await putValues(simulator, nodes, VALUES)
      const dead = simulator.random.shuffle(nodes).slice(0, Math.round(DEAD_SHARE * nodes.length))
      for (const { host } of dead) host.kill()
      const alive = nodes.filter(({ host }) => host.isAlive)
      // All at the same moment, so that no table has had the time to heal.
      const [gets, lookups] = await Promise.all([
        getValues(simulator, alive, keys, VALUES),
        lookUpRandomTargets(simulator, alive, alive, LOOKUPS, LOOKUPS),
      ])
      await simulator.delay(60_000)
      const later = {
        gets: await getValues(simulator, alive, keys, 1),
        lookups: await lookUpRandomTargets(simulator, alive, alive, LOOKUPS, 1),
      }
      return report(
        `${dead.length} nodes dead`,
        simulator,
        { puts, gets, lookups, 'gets later': later.gets, 'lookups later': later.lookups },
        [
          [gets.foundRate >= 0.999, 'at least 99.9 % of the gets must find the value'],
          [later.gets.foundRate >= 0.999, 'at least 99.9 % of the later gets must find the value'],
          [Math.max(gets.ms.p99, later.gets.ms.p99) <= 1600, 'the 99th percentile of gets must be at most 1.6 s'],
        ],
      )
    },
    { limitMs: LIMIT_MS },
  )
}

/**
 * Values must be stored and found in spite of 20 % loss, 10 % reordering and 5 % duplicates.
 * @param {string} name
 * @param {boolean} fromTheStart
 * @returns {Promise<Report>}
 */
async function lossyNetwork(name, fromTheStart) {
  const simulator = new Simulator({ seed, ...(fromTheStart ? BAD_NETWORK : {}) })
  return simulator.run(
    async () => {
      const { nodes, joining } = await build(simulator, nodeCount)
      simulator.setFaults(BAD_NETWORK)
      const { keys, puts } = await putValues(simulator, nodes, VALUES)
      const gets = await getValues(simulator, nodes, keys, 10)
      const lookups = await lookUpRandomTargets(simulator, nodes, nodes, LOOKUPS, 10)
      return report(name, simulator, { joining, puts, gets, lookups }, [
        [gets.foundRate >= 0.99, 'at least 99 % of the gets must find the value'],
      ])
    },
    { limitMs: LIMIT_MS },
  )
}

/**
 * One seed, one trace: to be compared between versions of Node too.
 * @returns {Promise<Report>}
 */
async function sameDigest() {
  const run = async () => {
    const simulator = new Simulator({ seed, jitterMs: 20, ...BAD_NETWORK })
    await simulator.run(
      async () => {
        const { nodes } = await build(simulator, Math.min(nodeCount, 50))
        const { keys } = await putValues(simulator, nodes, 20)
        await getValues(simulator, nodes, keys, 5)
      },
      { limitMs: LIMIT_MS },
    )
    return simulator
  }
  const first = await run()
  const second = await run()
  return report('digest of a small network', second, { events: second.events }, [
    [first.digest() === second.digest(), 'two runs of one seed must have one digest'],
  ])
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} askers
 * @param {readonly Node[]} alive
 * @param {number} count
 * @param {number} atOnce
 */
async function lookUpRandomTargets(simulator, askers, alive, count, atOnce) {
  const costs = noCosts()
  let found = 0
  let wanted = 0
  await inBatches(count, atOnce, async () => {
    const asker = simulator.random.pick(askers)
    const target = simulator.random.bytes(32)
    const { closest, ...cost } = await asker.dht.findNode(target)
    note(costs, cost)
    const addresses = new Set(closest.map(({ address }) => address))
    const truth = trueNearest(alive, target, asker)
    wanted += truth.length
    found += truth.filter(({ address }) => addresses.has(address)).length
  })
  return { count, recall: found / wanted, missing: wanted - found, ...summary(costs) }
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
async function putValues(simulator, nodes, count) {
  const costs = noCosts()
  /** @type {Uint8Array[]} */
  const keys = []
  /** @type {number[]} */
  const acknowledged = []
  let failed = 0
  await inBatches(count, 10, async () => {
    const value = simulator.random.bytes(1 + simulator.random.int(880))
    try {
      const { key, storedAt, ...cost } = await simulator.random.pick(nodes).dht.put(value)
      note(costs, cost)
      acknowledged.push(storedAt.length)
      keys.push(key)
    } catch {
      failed++
    }
  })
  return { keys, puts: { count, failed, acknowledged: percentiles(acknowledged), ...summary(costs) } }
}

/**
 * Gets each value once, from a random node.
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {readonly Uint8Array[]} keys
 * @param {number} atOnce
 */
async function getValues(simulator, nodes, keys, atOnce) {
  const costs = noCosts()
  let absent = 0
  let failed = 0
  await inBatches(keys.length, atOnce, async (i) => {
    try {
      const found = await simulator.random.pick(nodes).dht.get(/** @type {Uint8Array} */ (keys[i]))
      if (found) note(costs, found)
      else absent++
    } catch {
      failed++
    }
  })
  return { count: keys.length, foundRate: costs.ms.length / keys.length, absent, failed, ...summary(costs) }
}
