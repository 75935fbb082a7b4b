// @ts-check
import { amount } from './amount.js'

/** @import { DemoResult, Spread, Traffic } from './demo.js' */

const BAR_CHARACTERS_MAX = 40
const LABEL_CHARACTERS = 24
/** More keys than this are counted, not listed. */
const MISSING_SHOWN_MAX = 20

/**
 * The result for people.
 *
 * @param {DemoResult} result
 * @param {boolean} colourful
 */
export function formatReport(result, colourful) {
  const paint = (/** @type {number} */ code, /** @type {string} */ text) =>
    colourful ? `\x1b[${code}m${text}\x1b[0m` : text
  const bold = (/** @type {string} */ text) => paint(1, text)
  const { file, fetched, phasesMs, replicas, messages, traffic, bytesPerSecond } = result
  const lines = [
    bold(`${file.name}, ${amount(file.bytes)}, through ${result.nodes} nodes on UDP sockets of 127.0.0.1`),
    '',
    phase('start', phasesMs.start, `${result.nodes} nodes joined, knowing only ${result.bootstrap}`),
    phase('store', phasesMs.store, `${stored(result)}, ${amount(bytesPerSecond.store)}/s`),
    phase('publish', phasesMs.publish, "where the file is, signed, under the publisher's public key"),
    phase('announce', phasesMs.announce, `${result.peers.announced} nodes say that they have the file`),
    phase('kill', phasesMs.kill, `${result.killed} nodes without a word, the publisher among them`),
    phase('join', phasesMs.join, `a newcomer, knowing only ${result.bootstrap}`),
    phase(
      'resolve',
      phasesMs.resolve,
      result.signedPointer === null ? 'NOTHING' : 'where the file is, its publisher dead',
    ),
    phase(
      'locate',
      phasesMs.locate,
      `${result.peers.located} of ${result.peers.announced} announced nodes, dead ones included`,
    ),
    phase(
      'fetch',
      phasesMs.fetch,
      `${amount(fetched.bytes)} of ${amount(file.bytes)}, ${amount(bytesPerSecond.fetch)}/s`,
    ),
    '',
    bold(`${' '.repeat(LABEL_CHARACTERS + 2)}${['min', 'median', 'max'].map((name) => name.padStart(8)).join('')}`),
    spread('nodes that keep a part', replicas.stored),
    spread('  alive after the kill', replicas.alive),
    '',
    bold('  parts by how many of their nodes are alive'),
    ...bars(result.partsByAlive).map(([label, bar, count]) => `  ${label} ${paint(36, bar)} ${count}`),
    '',
    bold('  sent while storing'),
    `  by the publisher  ${requests(messages.store, result)}`,
    `  by all nodes      ${datagrams(traffic.store)}`,
    bold('  sent while fetching'),
    `  by the newcomer   ${requests(messages.fetch, result)}`,
    `  by all nodes      ${datagrams(traffic.fetch)}`,
    '',
    `  SHA-256 stored   ${file.sha256}`,
    `  SHA-256 fetched  ${fetched.sha256 ?? 'none: not all of it came back'}`,
    '',
  ]
  if (result.complete) lines.push(paint(32, `  every byte came back: ${amount(fetched.bytes)}`))
  else lines.push(paint(31, `  NOT COMPLETE: ${whatIsMissing(result)}`), ...missing(result))
  return lines.join('\n')
}

/** @param {DemoResult} result */
function stored({ values, distinctValues, pieces, parts, replicasMin }) {
  const distinct = values === distinctValues ? '' : `, ${distinctValues} of them distinct`
  const of = parts < pieces ? ` for ${plural(pieces, 'piece')}, equal ones once` : ''
  return `${plural(values, 'value')}${distinct}, ${plural(parts, 'part')}${of}, at ${replicasMin} nodes or more`
}

/**
 * @param {number} count
 * @param {string} noun
 */
function plural(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

/**
 * @param {string} name
 * @param {number} ms
 * @param {string} what
 */
function phase(name, ms, what) {
  return `  ${name.padEnd(8)} ${duration(ms).padStart(9)}   ${what}`
}

/**
 * @param {string} label
 * @param {Spread} numbers
 */
function spread(label, { min, median, max }) {
  return `  ${label.padEnd(LABEL_CHARACTERS)}${[min, median, max].map((number) => String(number).padStart(8)).join('')}`
}

/**
 * One bar for each number of nodes, as long as its share.
 *
 * @param {Record<string, number>} counts
 * @returns {[label: string, bar: string, count: number][]}
 */
function bars(counts) {
  const most = Math.max(1, ...Object.values(counts))
  return Object.entries(counts).map(([nodes, count]) => {
    const length = Math.max(1, Math.round((count / most) * BAR_CHARACTERS_MAX))
    return [nodes.padStart(3), '\u2588'.repeat(length), count]
  })
}

/** @param {Traffic} traffic */
function datagrams({ datagrams, bytes }) {
  return `${datagrams.toLocaleString('en')} datagrams, ${amount(bytes)}`
}

/**
 * @param {number} messages
 * @param {DemoResult} result
 */
function requests(messages, { parts }) {
  return `${messages.toLocaleString('en')} requests, ${(messages / parts).toFixed(1)} for each part`
}

/** @param {DemoResult} result */
function whatIsMissing({ missing, signedPointer }) {
  if (signedPointer === null) return 'where the file is did not come back'
  return missing.length > 0 ? `${plural(missing.length, 'value')} missing` : 'what came back is something else'
}

/** @param {DemoResult} result */
function missing({ missing }) {
  const shown = missing.slice(0, MISSING_SHOWN_MAX).map(({ key, reason }) => `    ${key}: ${reason}`)
  if (missing.length > shown.length) shown.push(`    and ${missing.length - shown.length} more`)
  return shown
}

/** @param {number} ms */
function duration(ms) {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`
}
