// @ts-check
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
  const found = result.distinctValues - result.missing.length
  const lines = [
    bold(`${file.name}, ${amount(file.bytes)}, through ${result.nodes} nodes on UDP sockets of 127.0.0.1`),
    '',
    phase('start', phasesMs.start, `${result.nodes} nodes joined, knowing only ${result.bootstrap}`),
    phase('store', phasesMs.store, `${values(result)}, ${amount(bytesPerSecond.store)}/s`),
    phase('publish', phasesMs.publish, "the file's hash, signed, under the publisher's public key"),
    phase('announce', phasesMs.announce, `${result.peers.announced} nodes say that they have the file`),
    phase('kill', phasesMs.kill, `${result.killed} nodes without a word, the publisher among them`),
    phase('join', phasesMs.join, `a newcomer, knowing only ${result.bootstrap}`),
    phase(
      'resolve',
      phasesMs.resolve,
      result.signedHash === file.sha256 ? 'the signed hash, its publisher dead' : 'NOTHING',
    ),
    phase(
      'locate',
      phasesMs.locate,
      `${result.peers.located} of ${result.peers.announced} announced nodes, dead ones included`,
    ),
    phase('fetch', phasesMs.fetch, `${found} of ${result.distinctValues} values, ${amount(bytesPerSecond.fetch)}/s`),
  ]
  if (replicas !== null && messages !== null) {
    lines.push(
      '',
      bold(`${' '.repeat(LABEL_CHARACTERS + 2)}${['min', 'median', 'max'].map((name) => name.padStart(8)).join('')}`),
      spread('replicas confirmed, of 20', replicas.stored),
      spread('  alive after the kill', replicas.alive),
      spread('requests sent by a put', messages.put),
      spread('requests sent by a get', messages.get),
      '',
      bold('  hops of a get'),
      ...bars(result.hops).map(([label, bar, count]) => `  ${label} ${paint(36, bar)} ${count}`),
    )
  }
  lines.push(
    '',
    bold('  sent by all nodes together'),
    `  while storing   ${datagrams(traffic.store)}`,
    `  while fetching  ${datagrams(traffic.fetch)}`,
    '',
    `  SHA-256 stored   ${file.sha256}`,
    `  SHA-256 fetched  ${fetched.sha256 ?? 'none: not all of it came back'}`,
    '',
  )
  if (result.complete) lines.push(paint(32, `  every byte came back: ${amount(fetched.bytes)}`))
  else lines.push(paint(31, `  NOT COMPLETE: ${whatIsMissing(result)}`), ...missing(result))
  return lines.join('\n')
}

/** @param {DemoResult} result */
function values({ values, distinctValues }) {
  return values === distinctValues ? `${values} values` : `${values} values, ${distinctValues} of them distinct`
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
 * One bar for each number of hops, as long as its share.
 *
 * @param {Record<string, number>} counts
 * @returns {[label: string, bar: string, count: number][]}
 */
function bars(counts) {
  const most = Math.max(1, ...Object.values(counts))
  return Object.entries(counts).map(([hops, count]) => {
    const length = Math.max(1, Math.round((count / most) * BAR_CHARACTERS_MAX))
    return [hops.padStart(3), '\u2588'.repeat(length), count]
  })
}

/** @param {Traffic} traffic */
function datagrams({ datagrams, bytes }) {
  return `${datagrams.toLocaleString('en')} datagrams, ${amount(bytes)}`
}

/** @param {DemoResult} result */
function whatIsMissing({ missing, signedHash }) {
  if (missing.length > 0) return `${missing.length} values are missing`
  return signedHash === null ? 'the signed hash is missing' : 'the signed hash is another one'
}

/** @param {DemoResult} result */
function missing({ missing }) {
  const shown = missing.slice(0, MISSING_SHOWN_MAX).map((key) => `    ${key}`)
  if (missing.length > shown.length) shown.push(`    and ${missing.length - shown.length} more`)
  return shown
}

/** @param {number} ms */
function duration(ms) {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** @param {number} bytes */
function amount(bytes) {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`
}
