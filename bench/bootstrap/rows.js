// @ts-check
// What is asked of all processes, and what a minute comes to.

import { rounded } from '../statistics.js'

/** @import { ClientsSample } from './clients.js' */
/** @import { Traffic } from './counting.js' */
/** @import { NodeSample } from './program.js' */
/** @import { ProberSample } from './prober.js' */
/** @typedef {{ atMs: number, node: NodeSample, ordinary: Traffic, clients: ClientsSample, prober: ProberSample }} Sample */
/** @typedef {{ minute: number, sentPerSecond: number, answeredPerSecond: number, timeouts: number, rateLimited: number, resends: number, rssMiB: number, heapMiB: number, cpuPercent: number, records: number, pingP50Ms: number | null, pingP99Ms: number | null, echoP50Ms: number | null, echoP99Ms: number | null }} Row null where none was answered */

const MINUTE_MS = 60_000
const MIB = 2 ** 20
export const RATE_LIMITED = 'xorbit_dropped_total{reason="rate_limited"}'

/** In the order in which they are printed. @type {readonly (readonly [string, (row: Row) => string])[]} */
const COLUMNS = [
  ['minute', (row) => row.minute.toFixed(2)],
  ['sent/s', (row) => String(row.sentPerSecond)],
  ['answered/s', (row) => String(row.answeredPerSecond)],
  ['timed out', (row) => String(row.timeouts)],
  ['limited', (row) => String(row.rateLimited)],
  ['resent', (row) => String(row.resends)],
  ['RSS MiB', (row) => row.rssMiB.toFixed(1)],
  ['heap MiB', (row) => row.heapMiB.toFixed(1)],
  ['CPU %', (row) => row.cpuPercent.toFixed(0)],
  ['records', (row) => String(row.records)],
  ['PING p50 ms', (row) => msText(row.pingP50Ms)],
  ['p99', (row) => msText(row.pingP99Ms)],
  ['echo p50 ms', (row) => msText(row.echoP50Ms)],
  ['p99', (row) => msText(row.echoP99Ms)],
]
const COLUMN_WIDTH_MIN = 8
export const HEADINGS = COLUMNS.map(([name]) => name.padStart(COLUMN_WIDTH_MIN)).join('  ')

/** @param {number | null} ms */
function msText(ms) {
  return ms?.toFixed(3) ?? 'none'
}

/** @param {Row} row */
export function lineOf(row) {
  return COLUMNS.map(([name, text]) => text(row).padStart(Math.max(COLUMN_WIDTH_MIN, name.length))).join('  ')
}

/** @param {Sample} first @param {Sample} before @param {Sample} now @returns {Row} */
export function rowOf(first, before, now) {
  const seconds = (now.atMs - before.atMs) / 1_000
  const ofClients = (/** @type {'calls' | 'answered'} */ name) => now.clients[name] - before.clients[name]
  const ofAll = (/** @type {'timeouts' | 'resends'} */ name) =>
    now.clients[name] + now.prober[name] - before.clients[name] - before.prober[name]
  const { ping, echo } = now.prober
  const orNull = (/** @type {number} */ ms, /** @type {number} */ count) => (count > 0 ? ms : null)
  return {
    minute: rounded((now.atMs - first.atMs) / MINUTE_MS),
    sentPerSecond: Math.round(ofClients('calls') / seconds),
    answeredPerSecond: Math.round(ofClients('answered') / seconds),
    timeouts: ofAll('timeouts'),
    rateLimited: metricOf(now.node, RATE_LIMITED) - metricOf(before.node, RATE_LIMITED),
    resends: ofAll('resends'),
    rssMiB: rounded(now.node.rssBytes / MIB),
    heapMiB: rounded(now.node.heapBytes / MIB),
    cpuPercent: rounded((now.node.cpuMicros - before.node.cpuMicros) / seconds / 10_000),
    records: metricOf(now.node, 'xorbit_store_records'),
    pingP50Ms: orNull(ping.p50, ping.count),
    pingP99Ms: orNull(ping.p99, ping.count),
    echoP50Ms: orNull(echo.p50, echo.count),
    echoP99Ms: orNull(echo.p99, echo.count),
  }
}

/** @param {NodeSample} node @param {string} name */
export function metricOf({ metrics }, name) {
  const value = metrics.get(name)
  if (value === undefined) throw new Error(`the node has no metric ${name}`)
  return value
}
