// @ts-check
// A bootstrap node that many clients ask for some minutes: what it answers, what is lost, what it takes of memory, and
// how long a PING takes beside a raw echo in the same run. `npm run bench:bootstrap -- --help`. Works on 127.0.0.1 only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startProgram } from './bootstrap/program.js'
import { rounded } from './statistics.js'
import { thisCode, thisMachine } from './tool/machine.js'
import { readNumber } from './tool/options.js'
import { Refusal } from './tool/refusal.js'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { ClientsSample } from './bootstrap/clients.js' */
/** @import { Limits, NodeSample } from './bootstrap/program.js' */
/** @import { ProberSample } from './bootstrap/prober.js' */
/** @typedef {{ atMs: number, node: NodeSample, clients: ClientsSample, prober: ProberSample }} Sample */
/** @typedef {{ minute: number, sentPerSecond: number, answeredPerSecond: number, lost: number, rateLimited: number, resends: number, rssMiB: number, heapMiB: number, cpuPercent: number, records: number, pingP50Ms: number, pingP99Ms: number, echoP50Ms: number, echoP99Ms: number }} Row */

const HELP = `npm run bench:bootstrap -- [options]

The program's node with a data folder, and no limit or other setting changed; clients with a socket each in a second
process; a raw echo in a third; and in a fourth one that asks node and echo by turns. After each minute (each quarter of
a run of less than four) it prints what became of the requests, and what the node takes: after two forced collections,
so that garbage is not counted; the heap with its buffers. Memory is judged by its slope over the minutes after the
first, in which the store fills.

  --minutes 5     how long
  --clients 200   how many
  --rate 2000     requests a second, of all of them together
  --seed 1        decides what they ask for
  --json          prints one document`

/**
 * A minute may bring so much more of what is taken, in per cent, and be called flat. The process keeps some MiB more or
 * less of what it has given back, from one minute to the next.
 */
const GROWTH_PERCENT_MAX = { heap: 1, rss: 3 }
/** A shorter run is not judged: its store is not full when it begins to count. */
const JUDGED_MINUTES_MIN = 4
const MINUTE_MS = 60_000
/** Longer than a call may take, its second attempt included. */
const DRAIN_MS_MAX = 5_000
const MIB = 2 ** 20
const RATE_LIMITED = 'xorbit_dropped_total{reason="rate_limited"}'

/** Of a row, in the order in which they are printed. @type {readonly (readonly [string, (row: Row) => string])[]} */
const COLUMNS = [
  ['minute', (row) => row.minute.toFixed(2)],
  ['sent/s', (row) => String(row.sentPerSecond)],
  ['answered/s', (row) => String(row.answeredPerSecond)],
  ['lost', (row) => String(row.lost)],
  ['limited', (row) => String(row.rateLimited)],
  ['resent', (row) => String(row.resends)],
  ['RSS MiB', (row) => row.rssMiB.toFixed(1)],
  ['heap MiB', (row) => row.heapMiB.toFixed(1)],
  ['CPU %', (row) => row.cpuPercent.toFixed(0)],
  ['records', (row) => String(row.records)],
  ['PING p50 ms', (row) => row.pingP50Ms.toFixed(3)],
  ['p99', (row) => row.pingP99Ms.toFixed(3)],
  ['echo p50 ms', (row) => row.echoP50Ms.toFixed(3)],
  ['p99', (row) => row.echoP99Ms.toFixed(3)],
]
const COLUMN_WIDTH_MIN = 8

/** @type {ChildProcess[]} */
const children = []
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
try {
  await main()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 2
}

function options() {
  const text = { type: /** @type {const} */ ('string') }
  const flag = { type: /** @type {const} */ ('boolean'), default: false }
  try {
    const { values } = parseArgs({
      options: {
        minutes: { ...text, default: '5' },
        clients: { ...text, default: '200' },
        rate: { ...text, default: '2000' },
        seed: { ...text, default: '1' },
        json: flag,
        help: flag,
      },
    })
    const { json, help, ...numbers } = values
    return {
      minutes: readNumber(numbers, 'minutes', { min: 0.02, max: 1440, isWhole: false }),
      clients: readNumber(numbers, 'clients', { min: 1, max: 5000 }),
      rate: readNumber(numbers, 'rate', { min: 1, max: 1e6 }),
      seed: readNumber(numbers, 'seed'),
      json,
      help,
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(/** @type {Error} */ (error).message, { cause: error })
  }
}

async function main() {
  const { json, help, ...wanted } = options()
  if (help) {
    console.log(HELP)
    return
  }
  const tell = (/** @type {string} */ line) => (json ? console.error(line) : console.log(line))
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-bootstrap-'))
  try {
    const outcome = await measure(join(folder, 'node'), wanted, tell)
    if (json) console.log(JSON.stringify(outcome, undefined, 2))
    if (outcome.verdict.isLostUnnamed || outcome.verdict.isFlat === false) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

/**
 * @param {string} folder
 * @param {{ minutes: number, clients: number, rate: number, seed: number }} wanted
 * @param {(line: string) => void} tell
 */
async function measure(folder, wanted, tell) {
  const { minutes, clients: count, rate, seed } = wanted
  const node = await startProgram(folder)
  watch(node.child, 'the node')
  const { address, limits } = node
  const [prober, { requestBytes, replyBytes }] = await start('prober', [address])
  const [, { port }] = await start('echo', [replyBytes])
  await answerOf(prober, { port })
  const [clients] = await start('clients', [address, count, rate, seed])
  const ask = async (/** @type {string} */ what) => {
    const [ofNode, ofClients, ofProber] = await Promise.all([
      node.sample(),
      answerOf(clients, what),
      answerOf(prober, 'sample'),
    ])
    return /** @type {Sample} */ ({ atMs: performance.now(), node: ofNode, clients: ofClients, prober: ofProber })
  }
  tell(`${count} clients, ${rate} requests a second, ${minutes} minutes, seed ${seed}; a data folder on the disk`)
  tell(limitsText(limits))
  tell(`an echo gets ${requestBytes} bytes and answers ${replyBytes}, as a PING does`)
  const pieceMs = minutes >= JUDGED_MINUTES_MIN ? MINUTE_MS : (minutes * MINUTE_MS) / 4
  const first = await ask('go')
  /** @type {Row[]} */
  const rows = []
  let before = first
  tell(COLUMNS.map(([name]) => name.padStart(COLUMN_WIDTH_MIN)).join('  '))
  for (let endMs = pieceMs; endMs <= minutes * MINUTE_MS + 1; endMs += pieceMs) {
    await sleep(Math.max(0, first.atMs + endMs - performance.now()))
    const now = await ask('sample')
    const row = rowOf(first, before, now)
    rows.push(row)
    tell(lineOf(row))
    before = now
  }
  let last = await ask('stop')
  const drainedByMs = performance.now() + DRAIN_MS_MAX
  while (last.clients.pending > 0 && performance.now() < drainedByMs) {
    await sleep(50)
    last = await ask('sample')
  }
  const verdict = verdictOf(minutes, rows, first, last)
  for (const line of verdict.lines) tell(line)
  await Promise.all(children.map(end))
  const { operations, failures, ...requests } = last.clients
  return {
    machine: thisMachine(),
    code: thisCode(),
    options: wanted,
    limits,
    rows,
    requests,
    operations,
    failures,
    verdict,
  }
}

/**
 * @param {'echo' | 'prober' | 'clients'} name
 * @param {(string | number)[]} args
 * @returns {Promise<[ChildProcess, any]>} the process and its first message
 */
async function start(name, args) {
  const child = fork(fileURLToPath(new URL(`bootstrap/${name}.js`, import.meta.url)), args.map(String), {
    execArgv: [],
  })
  const [message] = await messageOf(child)
  watch(child, name)
  return [child, message]
}

/** Without one of them nothing is measured. @param {ChildProcess} child @param {string} name */
function watch(child, name) {
  children.push(child)
  child.once('exit', (code, signal) => {
    if (child.connected || code !== 0) throw new Error(`the process of ${name} ended with ${code ?? signal}`)
  })
}

/** @param {ChildProcess} child */
async function messageOf(child) {
  const ended = new AbortController()
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`a process ended with ${code} before it was ready`)
  })
  try {
    return await Promise.race([once(child, 'message'), exit])
  } finally {
    exit.catch(() => {})
    ended.abort()
  }
}

/** @param {ChildProcess} child @param {string | { port: number }} what */
async function answerOf(child, what) {
  const answer = once(child, 'message')
  child.send(what)
  return (await answer)[0]
}

/** @param {ChildProcess} child */
async function end(child) {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

/** @param {Limits} limits */
function limitsText({ requestsPerSecondMax, limitedScopes, scope }) {
  const limit = `limit: ${requestsPerSecondMax} requests a second of one host, for ${limitedScopes.join(' and ')} addresses`
  return limitedScopes.includes(scope)
    ? `${limit}; all clients are one host, which has ${scope} addresses`
    : `${limit}; these clients have ${scope} ones, so none was in force, and nothing may be lost`
}

/** @param {Sample} first @param {Sample} before @param {Sample} now @returns {Row} */
function rowOf(first, before, now) {
  const seconds = (now.atMs - before.atMs) / 1_000
  const since = (/** @type {'calls' | 'answered' | 'lost' | 'resends'} */ name) =>
    now.clients[name] + now.prober[name] - before.clients[name] - before.prober[name]
  const { ping, echo } = now.prober
  return {
    minute: rounded((now.atMs - first.atMs) / MINUTE_MS),
    sentPerSecond: Math.round(since('calls') / seconds),
    answeredPerSecond: Math.round(since('answered') / seconds),
    lost: since('lost'),
    rateLimited: metricOf(now, RATE_LIMITED) - metricOf(before, RATE_LIMITED),
    resends: since('resends'),
    rssMiB: rounded(now.node.rssBytes / MIB),
    heapMiB: rounded(now.node.heapBytes / MIB),
    cpuPercent: rounded((now.node.cpuMicros - before.node.cpuMicros) / seconds / 10_000),
    records: metricOf(now, 'xorbit_store_records'),
    pingP50Ms: ping.p50,
    pingP99Ms: ping.p99,
    echoP50Ms: echo.p50,
    echoP99Ms: echo.p99,
  }
}

/** @param {Sample} sample @param {string} name */
function metricOf({ node: { metrics } }, name) {
  const value = metrics.get(name)
  if (value === undefined) throw new Error(`the node has no metric ${name}`)
  return value
}

/** @param {Row} row */
function lineOf(row) {
  return COLUMNS.map(([name, text]) => text(row).padStart(Math.max(COLUMN_WIDTH_MIN, name.length))).join('  ')
}

/** @param {number} minutes @param {Row[]} rows @param {Sample} first @param {Sample} last */
function verdictOf(minutes, rows, first, last) {
  const lost = last.clients.lost + last.prober.lost
  const rateLimited = metricOf(last, RATE_LIMITED) - metricOf(first, RATE_LIMITED)
  const isLostUnnamed = lost > rateLimited
  const judged = rows.slice(1)
  const slopes = { rss: slopeOf(judged, 'rssMiB'), heap: slopeOf(judged, 'heapMiB') }
  const isLong = minutes >= JUDGED_MINUTES_MIN
  const isFlat = isLong
    ? slopes.heap.percent <= GROWTH_PERCENT_MAX.heap && slopes.rss.percent <= GROWTH_PERCENT_MAX.rss
    : undefined
  const memory = (/** @type {'rss' | 'heap'} */ name) =>
    `${name} ${slopes[name].mibPerMinute.toFixed(2)} MiB a minute (${slopes[name].percent.toFixed(2)} %)`
  const flat = isLong
    ? `${isFlat ? 'flat' : 'NOT FLAT'}, up to ${GROWTH_PERCENT_MAX.rss} and ${GROWTH_PERCENT_MAX.heap} % a minute allowed`
    : `not judged, as it ran for less than ${JUDGED_MINUTES_MIN} minutes`
  const { calls, answered, cancelled, pending, refused, operations, failures } = last.clients
  const failed = Object.entries(failures).map(([code, count]) => `${count} ${code}`)
  const notAnswered = notAnsweredBy(first, last)
  const reasons = Object.entries(notAnswered).map(([name, count]) => `${count} ${name}`)
  const lines = [
    `operations: ${Object.entries(operations)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ')}; failed: ${failed.join(', ') || 'none'}`,
    `requests: ${calls} sent by clients, ${answered} answered (${refused} with an error), ` +
      `${cancelled} given up by lookups that went on without them, ${pending} pending; ` +
      `${lost} lost, ${rateLimited} refused by the rate limit: ` +
      `${isLostUnnamed ? 'MORE LOST THAN THAT NAMES' : 'nothing lost but what that names'}`,
    `lost by clients ${last.clients.lost}, by the one that asks by turns ${last.prober.lost}; ` +
      `what the node dropped or withheld: ${reasons.join(', ') || 'nothing'}`,
    `memory after the first minute: ${memory('rss')}, ${memory('heap')}: ${flat}`,
  ]
  return { lost, rateLimited, notAnswered, isLostUnnamed, slopes, isFlat, lines }
}

/** What the node had in its hands and did not answer, by its metrics. @param {Sample} first @param {Sample} last */
function notAnsweredBy(first, last) {
  /** @type {Record<string, number>} */
  const counts = {}
  for (const name of last.node.metrics.keys()) {
    const count = metricOf(last, name) - metricOf(first, name)
    if (count > 0 && /^xorbit_(?:dropped|replies_withheld|send_failures)_total/.test(name)) counts[name] = count
  }
  return counts
}

/** Of the straight line that fits best. @param {Row[]} rows @param {'rssMiB' | 'heapMiB'} name */
function slopeOf(rows, name) {
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length
  const meanMinute = mean(rows.map(({ minute }) => minute))
  const meanValue = mean(rows.map((row) => row[name]))
  const up = rows.reduce((sum, row) => sum + (row.minute - meanMinute) * (row[name] - meanValue), 0)
  const wide = rows.reduce((sum, { minute }) => sum + (minute - meanMinute) ** 2, 0)
  const mibPerMinute = up / wide
  return { mibPerMinute: rounded(mibPerMinute), percent: rounded((100 * mibPerMinute) / meanValue) }
}
