// @ts-check
// How long get, put and findNode take, among dead nodes and with loss, and how much they find.

import { fixedLatency, internetLatency, Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, trueNearest } from '../simulation.js'
import { distribution, rounded } from '../statistics.js'
import { readNumber, readNumbers, readWords } from '../tool/options.js'

/** @import { Contact } from 'xorbit' */
/** @import { LatencyModel } from 'xorbit/testing' */
/** @import { Node } from '../simulation.js' */
/** @import { Distribution } from '../statistics.js' */
/** @import { Bench, CaseResult, Check, Plot, Table } from '../tool/suites.js' */
/** @typedef {'get' | 'put' | 'findNode'} Operation */
/** @typedef {{ ms: Distribution, messages: Distribution, hops: Distribution, recall?: number, success: number, failures: Record<string, number> }} Figures */
/** @typedef {Record<Operation, Figures> & { put: Figures & { acknowledged?: number }, roundTripMs: Distribution, living: number }} Result */

/** @type {Record<string, () => LatencyModel>} */
const MODELS = { internet: internetLatency, flat50: () => fixedLatency(25) }
/** @type {readonly Operation[]} */
const OPERATIONS = ['get', 'put', 'findNode']
const PUTS_AT_ONCE = 10
const PINGS = 300
const REST_MS = 60_000
/** A put returns at most of its acknowledgements: what it does behind has ended by then, resends included. */
const BEHIND_MS = 30_000
/** All begin within it, before tables can have healed. */
const BEGIN_WITHIN_MS = 1000
const IMMUTABLE = 0
/** The median round trip of `internetLatency`, as its documentation says. */
const INTERNET_ROUND_TRIP_MS = 148

/** @type {Bench} */
export default {
  name: 'latency',
  summary: 'time, messages and recall of get, put and findNode, by latency model, share of dead nodes and loss',
  page: 'docs/benchmarks/latency.md',
  options: {
    nodes: { value: '1000', quick: '60', help: 'sizes of the network', selects: true },
    models: {
      value: 'internet,flat50',
      help: 'internet (five regions), flat50 (each round trip 50 ms)',
      selects: true,
    },
    stale: { value: '0,10,30', quick: '0,10', help: 'which shares of the nodes are dead, in %', selects: true },
    loss: { value: '0,1,5', quick: '0,5', help: 'which shares of the datagrams are lost, in %', selects: true },
    operations: { value: '300', quick: '40', help: 'gets, puts and lookups, so many of each' },
  },
  nodeArgs: ['--max-old-space-size=14000', '--max-semi-space-size=64'],
  revision: 1,

  cases(options) {
    readNumber(options, 'operations', { min: 1 })
    const stales = readNumbers(options, 'stale', { max: 90, isWhole: false })
    const losses = readNumbers(options, 'loss', { max: 90, isWhole: false })
    // Each by itself: both together would say nothing of either.
    const conditions = [...stales.map((stale) => [stale, 0]), ...losses.map((loss) => [0, loss])]
    const distinct = [...new Map(conditions.map((each) => [each.join(), each])).values()]
    return readNumbers(options, 'nodes', { min: 10 }).flatMap((nodes) =>
      readWords(options, 'models', Object.keys(MODELS)).flatMap((model) =>
        distinct.map(([stale, loss]) => ({
          id: `n=${nodes} ${model} stale=${stale}% loss=${loss}%`,
          ...{ nodes, model, stale, loss },
        })),
      ),
    )
  },

  async run({ nodes: count, model, stale, loss }, { seed, options, progress }) {
    const latency = /** @type {() => LatencyModel} */ (MODELS[model])()
    const simulator = new Simulator({ seed, latency, trace: false, poison: false })
    const work = async () => {
      const onJoined = (/** @type {number} */ joined) => progress('joins', (0.9 * joined) / count)
      const { nodes } = await build(simulator, count, { onJoined })
      progress('operations', 0.9)
      return measure(simulator, nodes, { stale, loss, operations: readNumber(options, 'operations') })
    }
    return simulator.run(work, { limitMs: 24 * HOUR_MS })
  },

  report(results) {
    const rows = [...results].sort(
      ({ case: a }, { case: b }) =>
        a.nodes - b.nodes || b.model.localeCompare(a.model) || a.loss - b.loss || a.stale - b.stale,
    )
    return {
      tables: OPERATIONS.map((operation) => tableOf(operation, rows)),
      plots: plotsOf(rows),
      checks: rows.flatMap(checksOf),
      notes: [
        'Dead nodes die together, without a word, after the network has come to rest, and everything begins within the ' +
          'second after that: no table has had the time to heal. Loss begins then too.',
        'Recall is the share of the true k nearest living nodes that were found (findNode) or store the value ' +
          `${BEHIND_MS / 1000} virtual seconds after the last call (put). "acknowledged" is the share of them that had ` +
          'acknowledged the value when the put returned: it does not wait for the last ones. ' +
          'Success: a get brought the value, a put at least one holder, a lookup an answer; only these have times.',
        '"round trip": the median of pings between random living nodes, after all else.',
      ],
    }
  },
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {{ stale: number, loss: number, operations: number }} settings - shares in %
 * @returns {Promise<Result>}
 */
async function measure(simulator, nodes, { stale, loss, operations }) {
  const { random } = simulator
  /** @type {{ key: Uint8Array, putter: Node }[]} */
  const values = []
  await inBatches(operations, PUTS_AT_ONCE, async () => {
    const putter = random.pick(nodes)
    const { key } = await putter.dht.put(random.bytes(32))
    values.push({ key, putter })
  })
  await simulator.delay(REST_MS)

  for (const { host } of random.shuffle(nodes).slice(0, Math.round((stale / 100) * nodes.length))) host.kill()
  simulator.setFaults({ lossRate: loss / 100 })
  const living = nodes.filter(({ host }) => host.isAlive)
  const askers = random.shuffle(living)
  const askerAt = (/** @type {number} */ i) => /** @type {Node} */ (askers[i % askers.length])
  /** @type {Put[]} */
  const puts = []
  const recorders = { get: createRecorder(), put: createRecorder(), findNode: createRecorder() }
  const all = Array.from({ length: operations }, (_, i) => i).flatMap((i) => [
    () => recorders.get.add(getOne(/** @type {any} */ (values[i]), askers, 3 * i)),
    () => recorders.put.add(putOne(living, askerAt(3 * i + 1), random.bytes(32), puts)),
    () => recorders.findNode.add(findOne(living, askerAt(3 * i + 2), random.bytes(32))),
  ])
  await Promise.all(
    all.map(async (begin, i) => {
      await simulator.delay((i * BEGIN_WITHIN_MS) / all.length)
      await begin()
    }),
  )
  await simulator.delay(BEHIND_MS)
  const { recall: acknowledged, ...put } = recorders.put.figures()
  const stored = { ...(acknowledged !== undefined && { acknowledged, recall: storedShare(puts) }) }
  const roundTripMs = distribution(await pingAll(simulator, living))
  const figures = {
    get: recorders.get.figures(),
    put: { ...put, ...stored },
    findNode: recorders.findNode.figures(),
  }
  return { ...figures, roundTripMs, living: living.length }
}

/** @typedef {{ key: Uint8Array, truth: readonly Node[] }} Put a value that was put, and the living nodes nearest to it */
/** @typedef {{ cost: { elapsedMs: number, messages: number, hops: number } | undefined, found?: number, wanted?: number }} Outcome */

/**
 * By somebody who neither put it nor has it; where all do, by nobody.
 * @param {{ key: Uint8Array, putter: Node }} value
 * @param {readonly Node[]} askers
 * @param {number} first
 * @returns {Promise<Outcome | undefined>}
 */
async function getOne({ key, putter }, askers, first) {
  for (let tries = 0; tries < askers.length; tries++) {
    const asker = /** @type {Node} */ (askers[(first + tries) % askers.length])
    if (asker !== putter && asker.storage.list(key, IMMUTABLE).length === 0) return { cost: await asker.dht.get(key) }
  }
  return undefined
}

/**
 * Found are those of the nearest that had acknowledged when the call returned.
 * @param {readonly Node[]} living
 * @param {Node} asker
 * @param {Uint8Array} value
 * @param {Put[]} puts - gets what was put
 * @returns {Promise<Outcome>}
 */
async function putOne(living, asker, value, puts) {
  const { key, storedAt, ...cost } = await asker.dht.put(value)
  // Who puts keeps a copy himself where he is one of the k nearest.
  const holders = asker.storage.list(key, IMMUTABLE).length > 0 ? [...storedAt, asker] : storedAt
  const truth = trueNearest(living, key)
  puts.push({ key, truth })
  return { cost, ...recallOf(holders, truth) }
}

/**
 * Which share of those that should hold what was put have it in their stores.
 * @param {readonly Put[]} puts
 */
function storedShare(puts) {
  const wanted = puts.reduce((sum, { truth }) => sum + truth.length, 0)
  const holders = (/** @type {Put} */ { key, truth }) =>
    truth.filter(({ storage }) => storage.list(key, IMMUTABLE).length > 0)
  return puts.reduce((sum, each) => sum + holders(each).length, 0) / wanted
}

/**
 * @param {readonly Node[]} living
 * @param {Node} asker
 * @param {Uint8Array} target
 * @returns {Promise<Outcome>}
 */
async function findOne(living, asker, target) {
  const { closest, ...cost } = await asker.dht.findNode(target)
  return { cost, ...recallOf(closest, trueNearest(living, target, asker)) }
}

/**
 * @param {readonly Pick<Contact, 'address'>[]} found
 * @param {readonly Node[]} truth
 */
function recallOf(found, truth) {
  const addresses = new Set(found.map(({ address }) => address))
  return { found: truth.filter(({ address }) => addresses.has(address)).length, wanted: truth.length }
}

/** Takes what operations come to. */
function createRecorder() {
  const [ms, messages, hops] = /** @type {[number[], number[], number[]]} */ ([[], [], []])
  /** @type {Record<string, number>} */
  const failures = {}
  let count = 0
  let found = 0
  let wanted = 0
  const fail = (/** @type {string} */ reason) => {
    failures[reason] = (failures[reason] ?? 0) + 1
  }
  return {
    /** @param {Promise<Outcome | undefined>} operation */
    async add(operation) {
      const outcome = await operation.catch((error) => {
        fail(String(error.code ?? error))
        return { cost: null }
      })
      if (outcome === undefined) return
      count++
      if (outcome.cost === undefined) fail('absent')
      if (!outcome.cost) return
      ms.push(outcome.cost.elapsedMs)
      messages.push(outcome.cost.messages)
      hops.push(outcome.cost.hops)
      found += outcome.found ?? 0
      wanted += outcome.wanted ?? 0
    },
    /** @returns {Figures} */
    figures: () => ({
      ms: distribution(ms),
      messages: distribution(messages),
      hops: distribution(hops),
      ...(wanted > 0 && { recall: found / wanted }),
      success: rounded(ms.length / count),
      failures,
    }),
  }
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} living
 */
async function pingAll(simulator, living) {
  const { random } = simulator
  /** @type {number[]} */
  const ms = []
  await inBatches(PINGS, PUTS_AT_ONCE, async () => {
    const [from, to] = /** @type {[Node, Node]} */ (random.shuffle(living).slice(0, 2))
    // With loss, some get no answer.
    const pinged = await from.dht.ping(to.address).catch(() => undefined)
    if (pinged) ms.push(pinged.elapsedMs)
  })
  return ms
}

/**
 * @param {Operation} operation
 * @param {readonly CaseResult[]} rows
 * @returns {Table}
 */
function tableOf(operation, rows) {
  const hasRecall = operation !== 'get'
  return {
    title: operation,
    columns: [
      ...['nodes', 'model', 'dead %', 'loss %', 'p50 ms', 'p95 ms', 'p99 ms', 'messages mean', 'messages p99', 'hops'],
      ...(hasRecall ? ['recall'] : []),
      ...(operation === 'put' ? ['acknowledged'] : []),
      ...['success', 'round trip ms'],
    ],
    rows: rows.map(({ case: { nodes, model, stale, loss }, result }) => {
      const { ms, messages, hops, recall, acknowledged, success } = result[operation]
      return [
        ...[nodes, model, String(stale), String(loss), ms.p50, ms.p95, ms.p99, messages.mean, messages.p99, hops.mean],
        ...(hasRecall ? [shareCell(recall)] : []),
        ...(operation === 'put' ? [shareCell(acknowledged)] : []),
        ...[success === 1 ? '1' : success.toFixed(3), result.roundTripMs.p50],
      ]
    }),
  }
}

/** @param {number | undefined} share */
function shareCell(share) {
  return share === undefined ? '–' : share.toFixed(4)
}

/**
 * For the largest network: the times of each operation, as bars by condition.
 * @param {readonly CaseResult[]} rows
 * @returns {Plot[]}
 */
function plotsOf(rows) {
  const nodes = Math.max(...rows.map((row) => row.case.nodes))
  const largest = rows.filter((row) => row.case.nodes === nodes)
  const models = [...new Set(largest.map((row) => row.case.model))]
  return models.flatMap((model) => {
    const ofModel = largest.filter((row) => row.case.model === model)
    const categories = ofModel.map(({ case: { stale, loss } }) =>
      loss > 0 ? `${loss} % loss` : stale > 0 ? `${stale} % dead` : 'no faults',
    )
    const bars = (/** @type {'p50' | 'p99'} */ at) => ({
      file: `${model}-${at}`,
      title: `${at === 'p50' ? 'Median' : '99th percentile'} of the times, ${model}, ${nodes.toLocaleString('en-US')} nodes`,
      kind: /** @type {const} */ ('bar'),
      yName: 'ms',
      categories,
      series: OPERATIONS.map((operation) => ({
        name: operation,
        points: ofModel.map(({ result }, i) => /** @type {[number, number]} */ ([i, result[operation].ms[at]])),
      })),
    })
    return [bars('p50'), bars('p99')]
  })
}

/**
 * The targets hold for one case.
 * @param {CaseResult} each
 * @returns {Check[]}
 */
function checksOf({ case: { nodes, model, stale, loss }, result }) {
  if (model !== 'internet' || nodes !== 10_000 || stale !== 10 || loss !== 0) return []
  const { get, put, findNode } = /** @type {Result} */ (result)
  const atMost = (/** @type {string} */ name, /** @type {number} */ value, /** @type {number} */ bound) => ({
    name: `${name}, internet, 10,000 nodes, 10 % dead`,
    value,
    bound: `<= ${bound}`,
    met: value <= bound,
  })
  const recall = findNode.recall ?? 0
  return [
    atMost('median time of get in median round trips', rounded(get.ms.p50 / INTERNET_ROUND_TRIP_MS), 0.9),
    atMost('99th percentile of get in ms', get.ms.p99, 400),
    atMost('messages of a get, mean', get.messages.mean, 10),
    atMost('median time of findNode in ms', findNode.ms.p50, 900),
    {
      name: 'recall of findNode, internet, 10,000 nodes, 10 % dead',
      value: recall,
      bound: '>= 0.98',
      met: recall >= 0.98,
    },
    atMost('median time of put in ms', put.ms.p50, 500),
  ]
}
