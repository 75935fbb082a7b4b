// @ts-check
// How many steps, round trips and messages lookups take, by the number of nodes, by k and by alpha.

import { fixedLatency, Simulator } from 'xorbit/testing'
import { closeMessagesFloor, lowerBounds, roundTripsPerLnNodes } from '../lower-bounds.js'
import { build, HOUR_MS, inBatches } from '../simulation.js'
import { distribution, histogram, rounded } from '../statistics.js'
import { readNumber, readNumbers } from '../tool/options.js'

/** @import { SeededRandom } from 'xorbit/testing' */
/** @import { Node } from '../simulation.js' */
/** @import { Distribution, Histogram } from '../statistics.js' */
/** @import { Bench, CaseResult, Check, Plot, Series, Table } from '../tool/suites.js' */
/** @typedef {Distribution & { histogram: Histogram }} Figure */
/** @typedef {{ hops: Figure, roundTrips: Figure, messages: Figure }} Figures */
/** @typedef {{ contacts: number, lookups: Figures, gets: Figures & { absent: number, failed: number } }} Result */
/** @typedef {{ nodes: number, k: number, alpha: number | undefined, result: Result }} Row */
/** @typedef {{ hops: number, messages: number, elapsedMs: number }} Cost */

const ROUND_TRIP_MS = 50
const AT_ONCE = 10
const REST_MS = 60_000
/** The k whose figures are compared between alphas, and drawn as histograms: the one that is the default. */
const K = 20
const IMMUTABLE = 0
/** How far above their lower bound the round trips of gets may be. */
const ABOVE_BOUND_MAX = 0.15

/** @type {Bench} */
export default {
  name: 'hops',
  summary: 'hops, round trips and messages of lookups and gets in simulated networks, by nodes, k and alpha',
  page: 'docs/benchmarks/hops.md',
  options: {
    nodes: { value: '100,300,1000,3000,10000', quick: '50,100', help: 'sizes of the network', selects: true },
    ks: { value: '8,16,20', quick: '8,20', help: 'k, with the default alpha', selects: true },
    alphas: { value: '1,3,4,10', quick: '1,4', help: `alpha, with k = ${K}`, selects: true },
    'alpha-nodes': { value: '1000', quick: '50', help: 'up to which size alphas are compared', selects: true },
    lookups: { value: '1000', quick: '30', help: 'lookups of a network' },
    gets: { value: '500', quick: '30', help: 'gets of a network, each of a value of its own' },
  },
  nodeArgs: ['--max-old-space-size=14000', '--max-semi-space-size=64'],

  cases(options) {
    const sizes = readNumbers(options, 'nodes', { min: 2 })
    const alphaNodes = readNumber(options, 'alpha-nodes')
    const ks = readNumbers(options, 'ks', { min: 1, max: 20 })
    const alphas = readNumbers(options, 'alphas', { min: 1, max: 100 })
    for (const name of ['lookups', 'gets']) readNumber(options, name, { min: 1 })
    return sizes.flatMap((nodes) => [
      ...ks.map((k) => ({ id: `n=${nodes} k=${k}`, nodes, k })),
      ...alphas
        .filter(() => nodes <= alphaNodes)
        .map((alpha) => ({ id: `n=${nodes} k=${K} alpha=${alpha}`, nodes, k: K, alpha })),
    ])
  },

  async run({ nodes: count, k, alpha }, { seed, options, progress }) {
    const latency = fixedLatency(ROUND_TRIP_MS / 2)
    const simulator = new Simulator({ seed, latency, trace: false, poison: false })
    const { random } = simulator
    const work = async () => {
      const nodeOptions = { k, ...(alpha !== undefined && { alpha }) }
      const { nodes, joining } = await build(simulator, count, {
        optionsOf: () => nodeOptions,
        onJoined: (joined) => progress('joins', (0.8 * joined) / count),
      })
      const keys = await putValues(random, nodes, readNumber(options, 'gets'))
      await simulator.delay(REST_MS)
      progress('lookups', 0.85)
      const lookups = await lookUp(random, nodes, readNumber(options, 'lookups'))
      progress('gets', 0.95)
      return { contacts: joining.contacts.p50, lookups, gets: await getValues(random, nodes, keys) }
    }
    return simulator.run(work, { limitMs: 24 * HOUR_MS })
  },

  report(results) {
    const rows = results.map(rowOf).sort((a, b) => a.nodes - b.nodes || a.k - b.k || (a.alpha ?? 0) - (b.alpha ?? 0))
    const byK = rows.filter(({ alpha }) => alpha === undefined)
    const byAlpha = rows.filter(({ alpha }) => alpha !== undefined)
    return {
      tables: [hopsTable(byK), getsTable(byK), closeTable(byK), ...(byAlpha.length > 0 ? [alphaTable(byAlpha)] : [])],
      plots: plotsOf(byK),
      checks: byK.flatMap(checksOf),
      notes: [
        'A hop is a step from the own routing table towards the target: 1 is somebody who was in it. A round trip takes ' +
          `${ROUND_TRIP_MS} ms here, for everybody, so round trips are what the caller waited for.`,
        '"bound": a model with perfect tables (bench/lower-bounds.js), without figures below 1,000 nodes. In the model a hop ' +
          'to the first holder is a round trip, so both have the same bound. "floor": ' +
          'k + hops - 1, with the mean hops that were measured; in small networks a hop on the way is one of the k nearest ' +
          'too, and it can take fewer.',
        'A get ends with the first holder. Getters neither held nor cached the value, and nobody had got it before.',
      ],
    }
  },
}

/**
 * Each value is put by some node and got once.
 * @param {SeededRandom} random
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
async function putValues(random, nodes, count) {
  /** @type {{ key: Uint8Array, putter: Node }[]} */
  const keys = []
  await inBatches(count, AT_ONCE, async () => {
    const putter = random.pick(nodes)
    const { key } = await putter.dht.put(random.bytes(32))
    keys.push({ key, putter })
  })
  return keys
}

/**
 * Lookups of random targets, each from another node until all had one.
 * @param {SeededRandom} random
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
async function lookUp(random, nodes, count) {
  const askers = random.shuffle(nodes)
  /** @type {Cost[]} */
  const costs = []
  await inBatches(count, AT_ONCE, async (i) => {
    costs.push(await /** @type {Node} */ (askers[i % askers.length]).dht.findNode(random.bytes(32)))
  })
  return figuresOf(costs)
}

/**
 * @param {SeededRandom} random
 * @param {readonly Node[]} nodes
 * @param {readonly { key: Uint8Array, putter: Node }[]} keys
 */
async function getValues(random, nodes, keys) {
  const askers = random.shuffle(nodes)
  /** @type {Cost[]} */
  const costs = []
  let next = 0
  let absent = 0
  let failed = 0
  await inBatches(keys.length, AT_ONCE, async (i) => {
    const { key, putter } = /** @type {{ key: Uint8Array, putter: Node }} */ (keys[i])
    const knows = (/** @type {Node} */ node) => node === putter || node.storage.list(key, IMMUTABLE).length > 0
    let asker
    // Where the network is so small that all hold it, nobody is left to ask for it.
    for (let tries = 0; !asker && tries < askers.length; tries++) {
      const candidate = /** @type {Node} */ (askers[next++ % askers.length])
      if (!knows(candidate)) asker = candidate
    }
    if (!asker) return
    try {
      const found = await asker.dht.get(key)
      if (found) costs.push(found)
      else absent++
    } catch {
      failed++
    }
  })
  return { ...figuresOf(costs), absent, failed }
}

/**
 * @param {readonly Cost[]} costs
 * @returns {Figures}
 */
function figuresOf(costs) {
  const figure = (/** @type {(cost: Cost) => number} */ of) => {
    const values = costs.map(of)
    return { ...distribution(values), histogram: histogram(values) }
  }
  return {
    hops: figure(({ hops }) => hops),
    // Time-outs, where there are any, end between two round trips.
    roundTrips: figure(({ elapsedMs }) => Math.round((10 * elapsedMs) / ROUND_TRIP_MS) / 10),
    messages: figure(({ messages }) => messages),
  }
}

/**
 * @param {CaseResult} each
 * @returns {Row}
 */
function rowOf({ case: { nodes, k, alpha }, result }) {
  return { nodes, k, alpha, result }
}

/** @param {Figure} figure */
function inFour({ mean, p50, p95, p99 }) {
  return [mean, p50, p95, p99]
}

const FOUR = ['mean', 'p50', 'p95', 'p99']

/**
 * @param {readonly Row[]} rows
 * @returns {Table}
 */
function hopsTable(rows) {
  return {
    title: 'Full lookups (findNode): hops to the nearest node, and round trips until the k nearest have answered',
    columns: [
      'nodes',
      'k',
      ...FOUR.map((name) => `hops ${name}`),
      'ln n',
      ...FOUR.map((name) => `round trips ${name}`),
    ],
    rows: rows.map(({ nodes, k, result: { lookups } }) => [
      nodes,
      k,
      ...inFour(lookups.hops),
      Math.log(nodes),
      ...inFour(lookups.roundTrips),
    ]),
  }
}

/**
 * @param {readonly Row[]} rows
 * @returns {Table}
 */
function getsTable(rows) {
  const names = (/** @type {string} */ what) => FOUR.map((name) => `${what} ${name}`)
  return {
    title: 'Gets: until the first holder has answered',
    columns: [
      ...['nodes', 'k', 'hops mean', 'bound', ...names('round trips'), 'bound'],
      ...[...names('messages'), 'bound', 'not found'],
    ],
    rows: rows.map(({ nodes, k, result: { gets } }) => {
      const bounds = lowerBounds(nodes, k)
      return [
        nodes,
        k,
        gets.hops.mean,
        bounds?.roundTrips ?? '–',
        ...inFour(gets.roundTrips),
        bounds?.roundTrips ?? '–',
        ...inFour(gets.messages),
        bounds?.first ?? '–',
        gets.absent + gets.failed,
      ]
    }),
  }
}

/**
 * @param {readonly Row[]} rows
 * @returns {Table}
 */
function closeTable(rows) {
  return {
    title: 'Full lookups: messages until the k nearest have answered',
    columns: ['nodes', 'k', ...FOUR, 'bound', 'floor', 'contacts in a table'],
    rows: rows.map(({ nodes, k, result: { lookups, contacts } }) => [
      nodes,
      k,
      ...inFour(lookups.messages),
      lowerBounds(nodes, k)?.close ?? '–',
      closeMessagesFloor(k, lookups.hops.mean),
      contacts,
    ]),
  }
}

/**
 * @param {readonly Row[]} rows
 * @returns {Table}
 */
function alphaTable(rows) {
  return {
    title: `By alpha, the queries in flight at once, with k = ${K} (means)`,
    columns: [
      ...['nodes', 'alpha', 'get round trips', 'get messages'],
      ...['lookup hops', 'lookup round trips', 'lookup messages'],
    ],
    rows: rows.map(({ nodes, alpha, result: { lookups, gets } }) => [
      nodes,
      alpha ?? '–',
      gets.roundTrips.mean,
      gets.messages.mean,
      lookups.hops.mean,
      lookups.roundTrips.mean,
      lookups.messages.mean,
    ]),
  }
}

/**
 * Where the model has figures.
 * @param {Row} row
 * @returns {Check[]}
 */
function checksOf({ nodes, k, result: { gets } }) {
  const bound = lowerBounds(nodes, k)?.roundTrips
  if (bound === undefined) return []
  const most = rounded(bound * (1 + ABOVE_BOUND_MAX))
  const value = gets.roundTrips.mean
  const size = `${nodes.toLocaleString('en-US')} nodes, k = ${k}`
  const name = `mean round trips of a get, ${size} (at most ${100 * ABOVE_BOUND_MAX} % above the bound ${bound})`
  return [{ name, value, bound: `<= ${most}`, met: value <= most }]
}

/**
 * @param {readonly Row[]} rows
 * @returns {Plot[]}
 */
function plotsOf(rows) {
  const ks = [...new Set(rows.map(({ k }) => k))].sort((a, b) => a - b)
  const sizes = [...new Set(rows.map(({ nodes }) => nodes))]
  const byNodes = (/** @type {string} */ prefix, /** @type {(row: Row) => number | undefined} */ of) =>
    ks.map((k) => ({
      name: `${prefix}k = ${k}`,
      points: rows.filter((row) => row.k === k).flatMap((row) => pointOf(row.nodes, of(row))),
    }))
  const dashed = (/** @type {Series[]} */ series) =>
    series.filter(({ points }) => points.length > 0).map((each) => ({ ...each, dashed: true }))
  const logarithm = { name: 'ln n', points: sizes.flatMap((nodes) => pointOf(nodes, Math.log(nodes))), dashed: true }
  const sized = { kind: /** @type {const} */ ('line'), xName: 'nodes', xLog: true }
  const ofK = rows.filter(({ k }) => k === Math.max(...ks))
  const histogramOf = (/** @type {(result: Result) => Figure} */ figure) =>
    ofK.map(({ nodes, result }) => ({ name: `${nodes.toLocaleString('en-US')} nodes`, points: shares(figure(result)) }))
  const bars = { kind: /** @type {const} */ ('bar'), yName: 'share of all in %' }
  return [
    {
      ...sized,
      file: 'hops-by-nodes',
      title: 'Hops to the nearest node, mean',
      yName: 'hops',
      series: [...byNodes('', ({ result }) => result.lookups.hops.mean), logarithm],
    },
    {
      ...sized,
      file: 'get-round-trips-by-nodes',
      title: 'Round trips to the first holder, mean, and their lower bound',
      yName: 'round trips',
      series: [
        ...byNodes('', ({ result }) => result.gets.roundTrips.mean),
        ...dashed(byNodes('bound ', boundOfRoundTrips)),
        logarithm,
      ],
    },
    {
      ...sized,
      file: 'messages-by-nodes',
      title: 'Messages until the k nearest have answered, mean, and their lower bound',
      yName: 'messages',
      series: [
        ...byNodes('', ({ result }) => result.lookups.messages.mean),
        ...dashed(byNodes('bound ', ({ nodes, k }) => lowerBounds(nodes, k)?.close)),
      ],
    },
    {
      ...bars,
      file: 'hops',
      title: `Hops of lookups, k = ${Math.max(...ks)}`,
      xName: 'hops',
      series: histogramOf(({ lookups }) => lookups.hops),
    },
    {
      ...bars,
      file: 'get-round-trips',
      title: `Round trips of gets, k = ${Math.max(...ks)}`,
      xName: 'round trips to the first holder',
      series: histogramOf(({ gets }) => gets.roundTrips),
    },
  ]
}

/**
 * Beside the model's figures, those of smaller networks by its slope, so that the line begins where the others do.
 * @param {Row} row
 */
function boundOfRoundTrips({ nodes, k }) {
  const known = lowerBounds(nodes, k)?.roundTrips
  const smallest = lowerBounds(1000, k)?.roundTrips
  if (known !== undefined || smallest === undefined || nodes > 1000) return known
  return Math.max(1, smallest - roundTripsPerLnNodes(k) * Math.log(1000 / nodes))
}

/**
 * @param {number} x
 * @param {number | undefined | null} y
 * @returns {[number, number][]}
 */
function pointOf(x, y) {
  return typeof y === 'number' && Number.isFinite(y) ? [[x, y]] : []
}

/**
 * @param {Figure} figure
 * @returns {[number, number][]}
 */
function shares({ count, histogram: counts }) {
  return Object.entries(counts).map(([value, times]) => [Number(value), (100 * times) / count])
}
