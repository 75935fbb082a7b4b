// @ts-check
// What became of all requests, and whether that is as it should be.

import { rounded } from '../statistics.js'
import { metricOf, RATE_LIMITED } from './rows.js'

/** @import { Row, Sample } from './rows.js' */
/** @typedef {{ requests: number, replies: number, refusals: number, unanswered: number, named: number, unnamed: number, pending: number }} Account datagrams */

/** A shorter run is not judged by its memory: its store is not full when it begins to count. */
export const JUDGED_MINUTES_MIN = 4
/**
 * A minute may bring so much more of what is taken, in per cent, and be called flat. The process keeps some MiB more or
 * less of what it has given back, from one minute to the next.
 */
const GROWTH_PERCENT_MAX = { heap: 1, rss: 3 }
/** Of the requests that are asked for. */
const LOAD_PERCENT_MIN = 95
/**
 * One datagram of so many may be lost and nobody say where, rounded up: the system drops some when a process can't read
 * for a moment and its socket is full, and neither side hears of it.
 */
const DATAGRAMS_PER_UNNAMED = 10_000
/** What the node counts when it does not answer a request. The others are about replies, or are sent again. */
const NOT_ANSWERED =
  /^xorbit_(?:replies_withheld_total|dropped_total\{reason="(?:oversize|undecodable|malformed|foreign_network|refused_id|rate_limited|unknown_method|malformed_params)"\})$/
const SEEN = /^xorbit_(?:dropped|replies_withheld|send_failures)_total/

/**
 * Of the datagrams between the node and all others, from the first sample to the last.
 *
 * @param {Sample} first
 * @param {Sample} last
 * @returns {Account} `unnamed`: how many more requests got no reply than the node's own counters say; negative where the
 *   node counts more than there were
 */
export function accountOf(first, last) {
  const sum = (/** @type {'requests' | 'replies' | 'refusals'} */ name) =>
    [last.clients, last.prober].reduce((total, { traffic }) => total + traffic[name], last.ordinary[name]) -
    [first.clients, first.prober].reduce((total, { traffic }) => total + traffic[name], first.ordinary[name])
  const [requests, replies, refusals] = [sum('requests'), sum('replies'), sum('refusals')]
  const counted = Object.entries(countersOf(first, last, NOT_ANSWERED)).reduce((total, [, count]) => total + count, 0)
  const unanswered = requests - replies
  // Some are told that their request was dropped: these have a reply.
  const named = counted - refusals
  const pending = last.clients.pending + last.prober.pending
  return { requests, replies, refusals, unanswered, named, unnamed: unanswered - named, pending }
}

/**
 * @param {{ minutes: number, rate: number, limited: boolean }} wanted
 * @param {Row[]} rows
 * @param {Sample} first
 * @param {Sample} last
 */
export function verdictOf({ minutes, rate, limited }, rows, first, last) {
  const account = accountOf(first, last)
  const { requests, replies, refusals, unanswered, named, unnamed, pending } = account
  const unnamedMax = Math.ceil(requests / DATAGRAMS_PER_UNNAMED)
  const rateLimited = metricOf(last.node, RATE_LIMITED) - metricOf(first.node, RATE_LIMITED)
  const isLong = minutes >= JUDGED_MINUTES_MIN
  const { calls, answered, refused, timeouts, cancelled, operations, failures, replaced } = last.clients
  const resends = last.clients.resends + last.prober.resends
  const late = last.clients.late + last.prober.late
  const slopes = { rss: slopeOf(rows.slice(1), 'rssMiB'), heap: slopeOf(rows.slice(1), 'heapMiB') }
  const isFlat = isLong
    ? slopes.heap.percent <= GROWTH_PERCENT_MAX.heap && slopes.rss.percent <= GROWTH_PERCENT_MAX.rss
    : undefined
  const memory = (/** @type {'rss' | 'heap'} */ name) =>
    `${name} ${slopes[name].mibPerMinute.toFixed(2)} MiB a minute (${slopes[name].percent.toFixed(2)} %)`
  const flat = isLong
    ? `up to ${GROWTH_PERCENT_MAX.rss} and ${GROWTH_PERCENT_MAX.heap} % a minute allowed`
    : `not judged, as it ran for less than ${JUDGED_MINUTES_MIN} minutes`
  const notAnswered = countersOf(first, last, SEEN)
  const contacts = contactsIn(first, last)
  const leastPerSecond = leastLoad(rows, isLong)
  const leastAllowed = (rate * LOAD_PERCENT_MIN) / 100
  const failed = Object.keys(failures).length > 0
  const faults = [
    ...(Math.abs(unnamed) > unnamedMax ? [`${unnamed} datagrams lost that nobody names`] : []),
    ...(leastPerSecond < leastAllowed ? [`only ${leastPerSecond} requests a second sent`] : []),
    // Where the limit is in force, what it refuses fails.
    ...(failed && !limited ? ['operations failed'] : []),
    ...(limited && rateLimited === 0 ? ['the limit refused nothing'] : []),
    ...(pending > 0 ? [`still pending: ${pending}`] : []),
    ...(isFlat === false ? ['memory grows'] : []),
  ]
  const lines = [
    `operations: ${listed(operations)}; failed: ${listed(failures)}; ${replaced} clients replaced`,
    `requests: ${calls} sent by clients, ${answered} answered (${refused} with an error), ${timeouts} timed out, ` +
      `${cancelled} given up by lookups that went on without them, ${pending} pending; ` +
      `the one that asks by turns: ${last.prober.timeouts} of ${last.prober.calls} timed out`,
    `replies with contacts: ${contacts.replies}, ${contacts.median} contacts in the middle`,
    `datagrams: ${requests} requests to the node, ${resends} of them resent, ${replies} replies, ${late} of them late; ` +
      `${unanswered} without a reply, of which the node names ${named}: ` +
      `${unnamed} lost that nobody names, up to ${unnamedMax} allowed (1 in ${DATAGRAMS_PER_UNNAMED})`,
    `what the node dropped, withheld or could not send: ${listed(notAnswered)}; ` +
      `of what it dropped, it told ${refusals} who asked`,
    `load: ${leastPerSecond} requests a second sent ${isLong ? 'in the minute with the fewest' : 'in all'}, ` +
      `at least ${leastAllowed} wanted`,
    `memory after the first minute: ${memory('rss')}, ${memory('heap')}: ${flat}`,
    `verdict: ${faults.length > 0 ? `FAILED, ${faults.join(', ')}` : 'passed'}`,
  ]
  const datagrams = { ...account, unnamedMax, resends, late }
  return { datagrams, rateLimited, notAnswered, contacts, leastPerSecond, slopes, isFlat, faults, lines }
}

/** A minute each; of a shorter run all together, as its pieces are too short. @param {Row[]} rows @param {boolean} isLong */
function leastLoad(rows, isLong) {
  const loads = rows.map(({ sentPerSecond }) => sentPerSecond)
  return isLong ? Math.min(...loads) : Math.round(mean(loads))
}

/** @param {Record<string, number>} counts */
function listed(counts) {
  return (
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ') || 'none'
  )
}

/** By how much the node's own counters went up. @param {Sample} first @param {Sample} last @param {RegExp} pattern */
function countersOf(first, last, pattern) {
  /** @type {Record<string, number>} */
  const counts = {}
  for (const name of last.node.metrics.keys()) {
    const count = metricOf(last.node, name) - metricOf(first.node, name)
    if (count > 0 && pattern.test(name)) counts[name] = count
  }
  return counts
}

/** Of the replies to clients that had any. @param {Sample} first @param {Sample} last */
function contactsIn(first, last) {
  const before = first.clients.traffic.replyContacts
  const counts = last.clients.traffic.replyContacts.map((count, contacts) => (count ?? 0) - (before[contacts] ?? 0))
  const replies = counts.reduce((sum, count) => sum + (count ?? 0), 0)
  let seen = 0
  const median = counts.findIndex((count) => {
    seen += count ?? 0
    return seen > 0 && seen >= replies / 2
  })
  return { replies, median: Math.max(0, median) }
}

/** Of the straight line that fits best. @param {Row[]} rows @param {'rssMiB' | 'heapMiB'} name */
function slopeOf(rows, name) {
  const meanMinute = mean(rows.map(({ minute }) => minute))
  const meanValue = mean(rows.map((row) => row[name]))
  const up = rows.reduce((sum, row) => sum + (row.minute - meanMinute) * (row[name] - meanValue), 0)
  const wide = rows.reduce((sum, { minute }) => sum + (minute - meanMinute) ** 2, 0)
  const mibPerMinute = up / wide
  return { mibPerMinute: rounded(mibPerMinute), percent: rounded((100 * mibPerMinute) / meanValue) }
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
