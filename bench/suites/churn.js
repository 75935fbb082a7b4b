// @ts-check
// Gets while nodes come and go, what upkeep sends, how stale tables are; and what an idle network sends.

import { Simulator } from 'xorbit/testing'
import { beginChurn, exponentialSessions, weibullSessions } from '../population.js'
import { build, HOUR_MS, inBatches } from '../simulation.js'
import { distribution, rounded } from '../statistics.js'
import { readNumber, readWords } from '../tool/options.js'

/** @import { Population, Sessions } from '../population.js' */
/** @import { Node } from '../simulation.js' */
/** @import { Distribution } from '../statistics.js' */
/** @import { Bench, CaseResult, Plot, Progress, Table } from '../tool/suites.js' */
/** @typedef {{ minute: number, packetsPerSecond: number, staleShare: number }} Sample packets are those of one node, since the sample before */
/** @typedef {{ gets: number, absent: number, failed: number, lost: number, ms: Distribution, messages: Distribution }} Gets */
/** @typedef {{ hours: number, packetsPerSecond: number, bytesPerSecond: number, requestsPerHour: number, joinsPerHour: number, passedOnPerHour: number, ended: number, samples: Sample[], gets?: Gets }} Result all of one node, gets left out */
/** @typedef {{ requests: number, passedOn: number }} Counts */

const MINUTE_MS = 60_000
const SAMPLES_APART_MS = 5 * MINUTE_MS
const PUTS_AT_ONCE = 10
const WEIBULL_SHAPE = 0.5
const IMMUTABLE = 0
const IDLE_PACKETS_MAX = 0.3
const IDLE_HOURS_MIN = 2

/** @type {Record<string, ((medianMs: number) => Sessions) | undefined>} */
const MODELS = {
  idle: undefined,
  exponential: exponentialSessions,
  weibull: (medianMs) => weibullSessions(medianMs, WEIBULL_SHAPE),
}

/** @type {Bench} */
export default {
  name: 'churn',
  summary: 'gets, upkeep and stale contacts while nodes come and go, and what an idle network sends',
  page: 'docs/benchmarks/churn.md',
  options: {
    nodes: { value: '200', quick: '30', help: 'size of the network' },
    hours: { value: '2', quick: '0.25', help: 'virtual hours' },
    session: { value: '60', help: 'median session in minutes' },
    values: { value: '200', quick: '10', help: 'values that are put before and got at random' },
    gets: { value: '1000', quick: '100', help: 'gets in an hour' },
    models: {
      value: 'idle,exponential,weibull',
      help: `idle (nobody comes or goes), exponential or weibull (shape ${WEIBULL_SHAPE}) sessions`,
      selects: true,
    },
  },
  nodeArgs: ['--max-old-space-size=14000', '--max-semi-space-size=64'],

  cases(options) {
    // More than bootstrap nodes, or those that come would find nobody.
    readNumber(options, 'nodes', { min: 10 })
    for (const name of ['values', 'gets']) readNumber(options, name, { min: 1 })
    for (const name of ['hours', 'session']) readNumber(options, name, { min: 0.1, isWhole: false })
    return readWords(options, 'models', Object.keys(MODELS)).map((model) => ({ id: model, model }))
  },

  async run({ model }, { seed, options, progress }) {
    const number = (/** @type {string} */ name) => readNumber(options, name, { isWhole: false })
    const simulator = new Simulator({ seed, trace: false, poison: false })
    const durationMs = number('hours') * HOUR_MS
    const sessionsOf = MODELS[model]
    const work = async () => {
      const { nodes } = await build(simulator, number('nodes'), { onJoined: () => progress('joins') })
      if (!sessionsOf) return watch(simulator, nodes, { durationMs, progress })
      const keys = await putValues(simulator, nodes, number('values'))
      const sessions = sessionsOf(number('session') * MINUTE_MS)
      return watch(simulator, nodes, { durationMs, progress, churn: { sessions, keys, getsPerHour: number('gets') } })
    }
    return simulator.run(work, { limitMs: durationMs + 6 * HOUR_MS })
  },

  report(results, { options }) {
    const idle = results.find(({ case: { model } }) => model === 'idle')
    const churning = results.filter(({ result }) => result.gets)
    const packets = idle?.result.packetsPerSecond
    return {
      tables: [...(churning.length > 0 ? [getsTable(churning)] : []), upkeepTable(results)],
      plots: plotsOf(results),
      // Most of upkeep comes once an hour.
      checks:
        idle && idle.result.hours >= IDLE_HOURS_MIN
          ? [
              {
                name: 'datagrams a second of an idle node',
                value: packets,
                bound: `<= ${IDLE_PACKETS_MAX}`,
                met: packets <= IDLE_PACKETS_MAX,
              },
            ]
          : [],
      notes: [
        `${options.nodes} nodes; sessions have a median of ${options.session} minutes. All sessions begin with the ` +
          'measurement: with Weibull that is a wave of short ones first, which is harder than a network that is long since there.',
        '"lost": of the gets that failed, those of values that no living node held. Values are put with the defaults, ' +
          'so whoever put one stores it again for as long as he lives.',
        'Requests of upkeep are all requests but those of the gets themselves; "joins" and "passed on" (STOREs of ' +
          'repair, hand-off and caching) are part of them. Datagrams are requests and replies, gets included.',
      ],
    }
  },
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
async function putValues({ random }, nodes, count) {
  /** @type {Uint8Array[]} */
  const keys = []
  await inBatches(count, PUTS_AT_ONCE, async () => {
    keys.push((await random.pick(nodes).dht.put(random.bytes(32))).key)
  })
  return keys
}

/**
 * Lets the network live, and looks at it every five minutes.
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {{ durationMs: number, progress: Progress, churn?: { sessions: Sessions, keys: Uint8Array[], getsPerHour: number } }} settings
 * @returns {Promise<Result>}
 */
async function watch(simulator, nodes, { durationMs, progress, churn }) {
  const beganAtMs = simulator.nowMs
  const gone = { requests: 0, passedOn: 0, joins: 0, ended: 0 }
  const population = churn && begin(simulator, nodes, churn.sessions, gone)
  const living = population ? () => population.living() : () => nodes
  const all = () => living().reduce((sum, node) => add(sum, node), { ...gone })
  const [before, sentBefore] = [all(), simulator.stats]
  const gets = population && churn && getUntil(simulator, population, churn, beganAtMs + durationMs)
  /** @type {Sample[]} */
  const samples = []
  for (let sent = sentBefore.sent; simulator.nowMs < beganAtMs + durationMs; sent = simulator.stats.sent) {
    const stepMs = Math.min(SAMPLES_APART_MS, beganAtMs + durationMs - simulator.nowMs)
    await simulator.delay(stepMs)
    samples.push({
      minute: rounded((simulator.nowMs - beganAtMs) / MINUTE_MS),
      packetsPerSecond: perNode(simulator.stats.sent - sent, stepMs / 1000),
      staleShare: staleShareOf(living()),
    })
    progress('virtual time', (simulator.nowMs - beganAtMs) / durationMs)
  }
  const [after, sentAfter] = [all(), simulator.stats]
  const result = await gets
  const hours = durationMs / HOUR_MS
  const asked = result ? result.messages.mean * result.messages.count : 0
  return {
    hours,
    packetsPerSecond: perNode(sentAfter.sent - sentBefore.sent, durationMs / 1000),
    bytesPerSecond: perNode(sentAfter.bytesSent - sentBefore.bytesSent, durationMs / 1000),
    requestsPerHour: perNode(after.requests - before.requests - asked, hours),
    joinsPerHour: perNode(gone.joins, hours),
    passedOnPerHour: perNode(after.passedOn - before.passedOn, hours),
    ended: gone.ended,
    samples,
    ...(result && { gets: result }),
  }

  /**
   * @param {number} count
   * @param {number} time
   */
  function perNode(count, time) {
    // One comes for each that goes.
    return rounded(count / nodes.length / time)
  }
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {Sessions} sessions
 * @param {Counts & { joins: number, ended: number }} gone
 */
function begin(simulator, nodes, sessions, gone) {
  return beginChurn(simulator, nodes, {
    sessions,
    onEnd(node) {
      add(gone, node)
      gone.ended++
    },
    onReplaced({ dht }) {
      const { calls, resends } = dht.stats()
      gone.joins += calls + resends
    },
  })
}

/**
 * @template {Counts} T
 * @param {T} counts
 * @param {Node} node
 */
function add(counts, { dht }) {
  const { calls, resends, passedOn } = dht.stats()
  counts.requests += calls + resends
  counts.passedOn += passedOn
  return counts
}

/**
 * Which share of the contacts in all tables is dead.
 * @param {readonly Node[]} living
 */
function staleShareOf(living) {
  const alive = new Set(living.map(({ address }) => address))
  const contacts = living.flatMap(({ dht }) => dht.contacts())
  const stale = contacts.filter(({ address }) => !alive.has(address))
  return contacts.length === 0 ? 0 : rounded(stale.length / contacts.length)
}

/**
 * Gets at even distances, each of a random value by a random node that does not hold it.
 * @param {Simulator} simulator
 * @param {Population} population
 * @param {{ keys: Uint8Array[], getsPerHour: number }} churn
 * @param {number} untilMs
 * @returns {Promise<Gets>}
 */
async function getUntil(simulator, population, { keys, getsPerHour }, untilMs) {
  const { random } = simulator
  /** @type {number[]} */
  const ms = []
  /** @type {number[]} */
  const messages = []
  const tally = { gets: 0, absent: 0, failed: 0, lost: 0 }
  const getOne = async () => {
    const key = random.pick(keys)
    const holds = (/** @type {Node} */ { storage }) => storage.list(key, IMMUTABLE).length > 0
    const reader = population.pick()
    if (holds(reader)) return
    // Who is gone waits for nothing.
    const died = population.died(reader).then(() => 'died')
    const outcome = await Promise.race([died, reader.dht.get(key).catch(() => 'failed')])
    if (outcome === 'died') return
    tally.gets++
    if (typeof outcome === 'object') {
      ms.push(outcome.elapsedMs)
      messages.push(outcome.messages)
      return
    }
    if (outcome === undefined) tally.absent++
    else tally.failed++
    if (!population.living().some(holds)) tally.lost++
  }
  /** @type {Promise<void>[]} */
  const open = []
  const apartMs = HOUR_MS / getsPerHour
  while (simulator.nowMs + apartMs < untilMs) {
    await simulator.delay(apartMs)
    open.push(getOne())
  }
  await Promise.all(open)
  return { ...tally, ms: distribution(ms), messages: distribution(messages) }
}

/**
 * @param {readonly CaseResult[]} results
 * @returns {Table}
 */
function getsTable(results) {
  return {
    title: 'Gets during churn',
    columns: ['sessions', 'gets', 'found %', 'absent', 'failed', 'lost', 'p50 ms', 'p95 ms', 'p99 ms', 'messages mean'],
    rows: results.map(({ case: { model }, result: { gets } }) => [
      ...[model, gets.gets, found(gets).toFixed(2), gets.absent, gets.failed, gets.lost],
      ...[gets.ms.p50, gets.ms.p95, gets.ms.p99, gets.messages.mean],
    ]),
  }
}

/** @param {Gets} gets */
function found({ gets, absent, failed }) {
  return (100 * (gets - absent - failed)) / gets
}

/**
 * @param {readonly CaseResult[]} results
 * @returns {Table}
 */
function upkeepTable(results) {
  return {
    title: 'What one node sends',
    columns: [
      ...['sessions', 'hours', 'nodes that left', 'upkeep requests / hour', 'joins / hour', 'passed on / hour'],
      ...['datagrams / s', 'bytes / s', 'stale contacts %, mean', 'stale contacts %, most'],
    ],
    rows: results.map(({ case: { model }, result }) => {
      const shares = /** @type {Result} */ (result).samples.map(({ staleShare }) => 100 * staleShare)
      return [
        ...[model, result.hours, result.ended, result.requestsPerHour, result.joinsPerHour, result.passedOnPerHour],
        ...[result.packetsPerSecond, result.bytesPerSecond, distribution(shares).mean, Math.max(...shares)],
      ]
    }),
  }
}

/**
 * @param {readonly CaseResult[]} results
 * @returns {Plot[]}
 */
function plotsOf(results) {
  const curves = (/** @type {(sample: Sample) => number} */ of) =>
    results.map(({ case: { model }, result }) => ({
      name: model,
      points: /** @type {Result} */ (result).samples.map(
        (sample) => /** @type {[number, number]} */ ([sample.minute, of(sample)]),
      ),
    }))
  const timed = { kind: /** @type {const} */ ('line'), xName: 'virtual minutes' }
  return [
    {
      ...timed,
      file: 'stale',
      title: 'Dead contacts in all routing tables',
      yName: '%',
      series: curves(({ staleShare }) => 100 * staleShare),
    },
    {
      ...timed,
      file: 'packets',
      title: 'Datagrams a second that one node sends',
      yName: 'datagrams / s',
      series: curves(({ packetsPerSecond }) => packetsPerSecond),
    },
  ]
}
