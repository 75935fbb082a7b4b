// @ts-check
// Do values survive their holders? A network in which every node leaves without a word after an hour or so, and another
// one comes. All values are stored before that and never again by whoever put them. The peers are announced, and renewed,
// by a few clients that stay.
//
//   npm run simulate:churn -- --nodes 1000 --hours 24 --values 1000 --seed 1 --repair on|off|both --json
//
// Each value is read once an hour, which alone keeps it alive: a reader brings holders up to date, and leaves copies.
// So there are as many more values that are read only once in the whole run ("once"): these show what repair does.

import { parseArgs } from 'node:util'
import { generateKeyPair } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { beginChurn, exponentialSessions } from './population.js'
import { build, HOUR_MS, inBatches, join, trueNearest } from './simulation.js'

/** @import { Dht, DhtStats } from 'xorbit' */
/** @import { Population } from './population.js' */
/** @import { Node } from './simulation.js' */
/** @typedef {{ name: string, code: number, keys: Uint8Array[], items: Uint8Array[], read: (node: Node, item: Uint8Array) => Promise<number | undefined> }} Group */
/** @typedef {{ reads: number, absent: number, failed: number, lost: number, messages: number }} Tally */
/** @typedef {{ ended: number, joins: number, announcers: number, requests: number, passedOn: number, lookups: number, datagrams: number }} Counts */
/** @typedef {{ hour: number, tallies: Record<string, Tally>, upkeep: Record<string, number>, seconds: number }} Hour */
/** @typedef {{ repair: boolean, hours: Hour[] }} Run */
/** @typedef {Population & { counts: () => Counts }} CountedPopulation */

const LIFETIME_MS = 48 * HOUR_MS
const ANNOUNCERS = 10
const BOOTSTRAP_NODES = 3
const PUTS_AT_ONCE = 20
/** The reads of an hour are spread over so much of it. */
const READING_MS = HOUR_MS - 60_000
const FAILED_SHARE_MAX = 0.001

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    hours: { type: 'string', default: '24' },
    values: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    repair: { type: 'string', default: 'both' },
    /** The median session, in minutes. */
    session: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
})
const seed = options.seed
const [nodeCount, hourCount, valueCount, medianMinutes] = /** @type {[number, number, number, number]} */ (
  [options.nodes, options.hours, options.values, options.session].map(Number)
)
/** @type {Record<string, boolean[]>} */
const MODES = { on: [true], off: [false], both: [true, false] }
const modes = MODES[options.repair]
if (!modes || !(nodeCount > BOOTSTRAP_NODES) || !(hourCount >= 1) || !(valueCount >= 1) || !(medianMinutes > 0)) {
  console.error('usage: churn.js [--nodes 1000] [--hours 24] [--values 1000] [--seed 1] [--repair on|off|both]')
  console.error('                [--session 60] [--json]')
  process.exit(2)
}

/** @type {Run[]} */
const runs = []
for (const repair of modes) runs.push({ repair, hours: await simulate(repair) })
const missed = missedBounds(runs)
if (options.json) {
  console.log(JSON.stringify({ seed, nodeCount, valueCount, medianMinutes, runs, missed }, undefined, 2))
} else {
  print(runs, missed)
}
process.exitCode = missed.length > 0 ? 1 : 0

/**
 * @param {boolean} repair
 * @returns {Promise<Hour[]>}
 */
async function simulate(repair) {
  const simulator = new Simulator({ seed, trace: false, poison: false })
  const work = async () => {
    const { nodes } = await build(simulator, nodeCount, { optionsOf: () => ({ repair }) })
    const addresses = nodes.slice(0, BOOTSTRAP_NODES).map(({ address }) => address)
    // Clients hold nothing: else the values that happen to be theirs would never be lost.
    const announcers = await Promise.all(
      Array.from({ length: ANNOUNCERS }, () => join(simulator, addresses, { client: true })),
    )
    console.error(`repair ${word(repair)}: the network stands`)
    const groups = await storeAll(simulator, nodes, announcers)
    console.error(`repair ${word(repair)}: all is stored`)
    const population = beginCountedChurn(simulator, nodes, announcers, repair)
    const startedAtMs = simulator.nowMs
    /** @type {Hour[]} */
    const hours = []
    for (let hour = 1; hour <= hourCount; hour++) {
      const wallMs = performance.now()
      const before = population.counts()
      const tallies = await readAll(simulator, population, groups, hour)
      await simulator.delay(Math.max(0, startedAtMs + hour * HOUR_MS - simulator.nowMs))
      const after = population.counts()
      const seconds = (performance.now() - wallMs) / 1000
      const upkeep = upkeepOf(before, after, tallies)
      hours.push({ hour, tallies, upkeep, seconds })
      console.error(`repair ${word(repair)}, hour ${hour}: ${failuresOf(tallies)}, ${seconds.toFixed(0)} s`)
      console.error(`  requests of a node: ${wordsOf(upkeep)}`)
    }
    return hours
  }
  return simulator.run(work, { limitMs: (hourCount + 6) * HOUR_MS })
}

/**
 * Stores all that will be read.
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {readonly Node[]} announcers - of the peers
 * @returns {Promise<Group[]>}
 */
async function storeAll(simulator, nodes, announcers) {
  const { random } = simulator
  const stored = { lifetimeMs: LIFETIME_MS, republish: false }
  const keysOf = () => generateKeyPair({ seed: random.bytes(32) })
  const value = () => random.bytes(1 + random.int(200))
  /** @type {Group} */
  const immutable = {
    name: 'immutable',
    code: 0,
    keys: [],
    items: [],
    read: async ({ dht }, key) => (await dht.get(key))?.messages,
  }
  /** @type {Group} */
  const mutable = {
    name: 'mutable',
    code: 1,
    keys: [],
    items: [],
    read: async ({ dht }, publicKey) => (await dht.resolve(publicKey))?.messages,
  }
  /** @type {Group} */
  const peers = { name: 'peers', code: 2, keys: [], items: [], read: ({ dht }, topic) => locateFirst(dht, topic) }
  await inBatches(2 * valueCount, PUTS_AT_ONCE, async (i) => {
    const { key } = await random.pick(nodes).dht.put(value(), stored)
    immutable.keys[i] = key
    immutable.items[i] = key
    const keys = keysOf()
    const published = await random.pick(nodes).dht.publish(keys, value(), stored)
    mutable.keys[i] = published.key
    mutable.items[i] = keys.publicKey
  })
  await inBatches(valueCount, PUTS_AT_ONCE, async (i) => {
    const topic = random.bytes(32)
    await /** @type {Node} */ (announcers[i % announcers.length]).dht.announce(topic, { keys: keysOf() })
    peers.keys[i] = topic
    peers.items[i] = topic
  })
  return [immutable, mutable, peers]
}

/**
 * The peer found first ends the search.
 * @param {Dht} dht
 * @param {Uint8Array} topic
 */
async function locateFirst(dht, topic) {
  const { calls, resends } = dht.stats()
  for await (const _peer of dht.locate(topic)) {
    const now = dht.stats()
    // What the node did beside in this second is little.
    return now.calls + now.resends - calls - resends
  }
  return undefined
}

/**
 * Churn, and what all nodes sent, those that are gone included.
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {readonly Node[]} announcers - stay
 * @param {boolean} repair
 * @returns {CountedPopulation}
 */
function beginCountedChurn(simulator, nodes, announcers, repair) {
  const gone = noCounts()
  const population = beginChurn(simulator, nodes, {
    sessions: exponentialSessions(medianMinutes * 60_000),
    options: { repair },
    onEnd({ dht }) {
      add(gone, dht.stats())
      gone.ended++
    },
    onReplaced({ dht }) {
      const { calls, resends } = dht.stats()
      gone.joins += calls + resends
    },
  })
  return {
    ...population,
    counts() {
      const counts = { ...gone }
      for (const { dht } of population.living()) add(counts, dht.stats())
      for (const { dht } of announcers) {
        const stats = dht.stats()
        add(counts, stats)
        counts.announcers += stats.calls + stats.resends
      }
      return counts
    },
  }
}

/** @returns {Counts} */
function noCounts() {
  return { ended: 0, joins: 0, announcers: 0, requests: 0, passedOn: 0, lookups: 0, datagrams: 0 }
}

/**
 * @param {Counts} counts
 * @param {DhtStats} stats
 */
function add(counts, { calls, resends, passedOn, lookups, datagramsSent }) {
  counts.requests += calls + resends
  counts.passedOn += passedOn
  counts.lookups += lookups
  counts.datagrams += datagramsSent
}

/**
 * Reads all that is due in an hour, spread evenly over it.
 * @param {Simulator} simulator
 * @param {CountedPopulation} population
 * @param {readonly Group[]} groups
 * @param {number} hour
 */
async function readAll(simulator, population, groups, hour) {
  /** @type {Record<string, Tally>} */
  const tallies = {}
  /** @type {(() => Promise<void>)[]} */
  const reads = []
  for (const group of groups) {
    for (let i = 0; i < group.keys.length; i++) {
      const isOnce = i >= valueCount
      const name = isOnce ? `${group.name} once` : group.name
      tallies[name] ??= { reads: 0, absent: 0, failed: 0, lost: 0, messages: 0 }
      const tally = tallies[name]
      if (!isOnce || i % hourCount === hour - 1) reads.push(() => readOne(simulator, population, group, i, tally))
    }
  }
  const shuffled = simulator.random.shuffle(reads)
  await Promise.all(
    shuffled.map(async (read, i) => {
      await simulator.delay(Math.floor((i * READING_MS) / shuffled.length))
      await read()
    }),
  )
  return tallies
}

/**
 * @param {Simulator} simulator
 * @param {CountedPopulation} population
 * @param {Group} group
 * @param {number} i
 * @param {Tally} tally
 */
async function readOne(simulator, population, group, i, tally) {
  const key = /** @type {Uint8Array} */ (group.keys[i])
  const item = /** @type {Uint8Array} */ (group.items[i])
  for (;;) {
    const reader = population.pick()
    const beganAtMs = simulator.nowMs
    const outcome = await Promise.race([
      population.died(reader).then(() => 'died'),
      group.read(reader, item).catch((error) => String(error.code)),
    ])
    // Nobody waits for the answer any more: another one asks.
    if (outcome === 'died') continue
    tally.reads++
    if (typeof outcome === 'number') {
      tally.messages += outcome
      return
    }
    const { held, nearest } = await holdersOf(population.living(), key, group.code, reader)
    if (outcome === undefined) tally.absent++
    else tally.failed++
    if (held.length === 0) tally.lost++
    const took = simulator.nowMs - beganAtMs
    console.error(
      `  ${group.name} ${i}: ${outcome ?? 'absent'} after ${took.toFixed(0)} ms; ${held.length} nodes hold it, of the nearest ${nearest}`,
    )
    return
  }
}

/**
 * Who holds a record in truth, and how many of the k nearest do.
 * @param {readonly Node[]} living
 * @param {Uint8Array} key
 * @param {number} code
 * @param {Node} reader
 */
function holdersOf(living, key, code, reader) {
  const holds = (/** @type {Node} */ { host, storage }) => {
    const nowMs = host.clock.wallNow()
    return storage.list(key, code).some(({ expiresAtMs }) => expiresAtMs > nowMs)
  }
  return { held: living.filter(holds), nearest: trueNearest(living, key, reader).filter(holds).length }
}

/**
 * Requests of all nodes together, what the reads asked for left out.
 * @param {Counts} before
 * @param {Counts} after
 * @param {Record<string, Tally>} tallies
 * @returns {Record<string, number>}
 */
function upkeepOf(before, after, tallies) {
  const during = (/** @type {keyof Counts} */ name) => after[name] - before[name]
  const read = Object.values(tallies).reduce((sum, { messages }) => sum + messages, 0)
  const [joins, passedOn, announcers] = [during('joins'), during('passedOn'), during('announcers')]
  const all = during('requests') - read
  const total = {
    all,
    joins,
    passedOn,
    announcers,
    rest: all - joins - passedOn - announcers,
    lookups: during('lookups'),
    datagrams: during('datagrams'),
  }
  const perNode = Object.entries(total).map(([name, count]) => [name, Math.round((count / nodeCount) * 10) / 10])
  return { ...Object.fromEntries(perNode), ended: during('ended') }
}

/** @param {boolean} repair */
function word(repair) {
  return repair ? 'on' : 'off'
}

/** @param {Record<string, Tally>} tallies */
function failuresOf(tallies) {
  return Object.entries(tallies)
    .map(([name, { reads, absent, failed, lost }]) => `${name} ${absent + failed}/${reads} (${lost} lost)`)
    .join(', ')
}

/** @param {Record<string, number>} upkeep */
function wordsOf({ ended: _, ...perNode }) {
  return Object.entries(perNode)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

/** @param {Tally} tally */
function failedShare({ reads, absent, failed }) {
  return reads === 0 ? 0 : (absent + failed) / reads
}

/**
 * @param {readonly Run[]} runs
 * @returns {string[]}
 */
function missedBounds(runs) {
  /** @type {string[]} */
  const missed = []
  const failures = (/** @type {Run | undefined} */ run) =>
    run?.hours
      .flatMap(({ tallies }) => Object.values(tallies))
      .reduce((sum, { absent, failed }) => sum + absent + failed, 0)
  const on = runs.find(({ repair }) => repair)
  const off = runs.find(({ repair }) => !repair)
  for (const { hour, tallies } of on?.hours ?? []) {
    for (const [name, tally] of Object.entries(tallies)) {
      if (failedShare(tally) <= FAILED_SHARE_MAX) continue
      missed.push(`hour ${hour}, ${name}: with repair at most 0.1 % of the reads may fail`)
    }
  }
  if (off && !(Number(failures(off)) > (failures(on) ?? 0))) missed.push('without repair more reads must fail')
  return missed
}

/**
 * @param {readonly Run[]} runs
 * @param {readonly string[]} missed
 */
function print(runs, missed) {
  console.log(
    `${nodeCount} nodes, sessions of ${medianMinutes} minutes (median), ${valueCount} values of each kind, seed ${seed}`,
  )
  console.log(`reads that failed, in %, and requests of a node in an hour, reads left out`)
  console.log(`repair ${runs.map(({ repair }) => word(repair)).join(' / ')}`)
  console.log(
    '"passedOn": STOREs of repair, hand-off, caching; "announcers": the nodes that renew the peers\' records\n',
  )
  const [first] = /** @type {[Run]} */ (runs)
  const rows = first.hours.map(({ hour }, i) => {
    const hours = runs.map((run) => /** @type {Hour} */ (run.hours[i]))
    const cells = (/** @type {(hour: Hour) => string} */ cell) => hours.map(cell).join(' / ')
    /** @type {[string, string][]} */
    const row = [['hour', String(hour)]]
    for (const name of Object.keys(hours[0]?.tallies ?? {})) {
      row.push([name, cells(({ tallies }) => failedPercent(/** @type {Tally} */ (tallies[name])))])
    }
    for (const name of Object.keys(hours[0]?.upkeep ?? {})) {
      row.push([name, cells(({ upkeep }) => String(upkeep[name]))])
    }
    return row
  })
  printTable(rows)
  for (const bound of missed) console.log(`MISSED ${bound}`)
}

/** @param {readonly (readonly [name: string, cell: string][])[]} rows */
function printTable(rows) {
  const lines = [(rows[0] ?? []).map(([name]) => name), ...rows.map((row) => row.map(([, cell]) => cell))]
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)))
  for (const line of lines) console.log(line.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  '))
}

/** @param {Tally} tally */
function failedPercent(tally) {
  return (100 * failedShare(tally)).toFixed(2)
}
