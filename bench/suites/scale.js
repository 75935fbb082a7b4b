// @ts-check
// What many nodes in one process take: memory, time, messages; and whether lookups still find all.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, trueNearest } from '../simulation.js'
import { distribution, rounded } from '../statistics.js'
import { readNumber, readNumbers } from '../tool/options.js'

/** @import { Node } from '../simulation.js' */
/** @import { Distribution } from '../statistics.js' */
/** @import { Bench, CaseResult, Check, Plot } from '../tool/suites.js' */
/** @typedef {{ nodes: number, heapBytes: number, externalBytes: number, rssMiB: number, contacts: Distribution, formSeconds: number, formVirtualSeconds: number, formEventsPerSecond: number, joinMs: number, joinDatagrams: number, joinRequests: number, eventsPerSecond: number, virtualPerSecond: number, idlePackets: number, recall: number, lookups: number }} Result bytes, datagrams and requests of one node */

/** What a node takes without contacts: the rest is divided by them. */
const EMPTY_NODE_BYTES = 15 * 1024
const IDLE_MS = 600_000
const STEP_MS = 10_000
const AT_ONCE = 10
const WARM_UP_NODES = 50
const BYTES_PER_CONTACT_MAX = 250
/** Below it what the simulator takes for itself is a large part of a node's share. */
const MEMORY_NODES_MIN = 1000
const RECALL_MIN = 0.999
/** The targets that are those of one size. */
const LARGE = { nodes: 100_000, formSecondsMax: 600, rssMiBMax: 10 * 1024 }

/** @type {Bench} */
export default {
  name: 'scale',
  summary: 'memory, time to form, messages of a join and speed of simulated networks, by nodes',
  page: 'docs/benchmarks/scale.md',
  options: {
    nodes: { value: '1000,3000,10000', quick: '50,100', help: 'sizes of the network', selects: true },
    lookups: { value: '100', quick: '20', help: 'lookups whose recall is measured' },
  },
  nodeArgs: ['--expose-gc', '--max-old-space-size=14000', '--max-semi-space-size=64'],
  revision: 1,

  cases(options) {
    readNumber(options, 'lookups', { min: 1 })
    return readNumbers(options, 'nodes', { min: 2 }).map((nodes) => ({ id: `n=${nodes}`, nodes }))
  },

  async run({ nodes: count }, { seed, options, progress }) {
    const simulator = new Simulator({ seed, trace: false, poison: false })
    await warmUp(seed)
    const before = memory()
    const work = async () => {
      const began = { wallMs: performance.now(), virtualMs: simulator.nowMs }
      // At the last join: the network comes to rest for a minute after it.
      const formed = { wallMs: 0, virtualMs: 0, events: 0 }
      const onJoined = (/** @type {number} */ joined) => {
        progress('joins', (0.7 * joined) / count)
        const { events, nowMs } = simulator
        if (joined === count) Object.assign(formed, { wallMs: performance.now(), virtualMs: nowMs, events })
      }
      const { nodes, joining } = await build(simulator, count, { onJoined })
      const formSeconds = (formed.wallMs - began.wallMs) / 1000
      const forming = {
        formSeconds: rounded(formSeconds),
        formVirtualSeconds: rounded((formed.virtualMs - began.virtualMs) / 1000),
        formEventsPerSecond: Math.round(formed.events / formSeconds),
        joinMs: joining.ms.p50,
        joinDatagrams: rounded(simulator.stats.sent / count),
        joinRequests: rounded(sum(nodes, ({ dht }) => dht.stats().calls + dht.stats().resends) / count),
      }
      const now = memory()
      const taken = {
        heapBytes: Math.round((now.heapUsed - before.heapUsed) / count),
        externalBytes: Math.round((now.external - before.external) / count),
        rssMiB: Math.round(now.rss / 2 ** 20),
        contacts: distribution(nodes.map(({ dht }) => dht.stats().contacts)),
      }
      const idle = await idleFor(simulator, nodes, (share) => progress('idles', 0.7 + 0.2 * share))
      progress('lookups', 0.9)
      const lookups = readNumber(options, 'lookups')
      return { nodes: count, ...taken, ...forming, ...idle, recall: await recallOf(simulator, nodes, lookups), lookups }
    }
    return simulator.run(work, { limitMs: 48 * HOUR_MS })
  },

  report(results) {
    const rows = [...results].map(resultOf).sort((a, b) => a.nodes - b.nodes)
    return {
      tables: [
        {
          title: 'Memory',
          columns: ['nodes', 'heap KB / node', 'external KB / node', 'contacts, mean', 'bytes / contact', 'rss MiB'],
          rows: rows.map((row) => [
            ...[row.nodes, row.heapBytes / 1024, row.externalBytes / 1024, row.contacts.mean],
            ...[bytesPerContact(row), row.rssMiB],
          ]),
        },
        {
          title: 'Forming',
          columns: [
            ...['nodes', 'seconds', 'events / s', 'virtual seconds', 'ms of a join, p50'],
            ...['datagrams / join', 'requests / join'],
          ],
          rows: rows.map((row) => [
            ...[row.nodes, row.formSeconds, row.formEventsPerSecond, row.formVirtualSeconds],
            ...[row.joinMs, row.joinDatagrams, row.joinRequests],
          ]),
        },
        {
          title: 'Ten idle virtual minutes after that, and lookups of random targets',
          columns: [
            ...['nodes', 'events / s', 'virtual seconds / s', 'datagrams / s and node', 'recall'],
            ...['lookups'],
          ],
          rows: rows.map((row) => [
            ...[
              row.nodes,
              row.eventsPerSecond,
              row.virtualPerSecond,
              row.idlePackets,
              row.recall.toFixed(5),
              row.lookups,
            ],
          ]),
        },
      ],
      plots: plotsOf(rows),
      checks: rows.flatMap(checksOf),
      notes: [
        'Heap is that of nodes and of the simulator, after a garbage collection, divided by the nodes. Bytes a contact: ' +
          `what is beyond ${EMPTY_NODE_BYTES / 1024} KB a node, external memory included, divided by its contacts. The ` +
          'text of an address is one string for all nodes of a simulation.',
        'Forming ends with the last join; 50 nodes join at once. Requests and datagrams of a join are all that were sent ' +
          'until 60 virtual seconds after the last one, divided by the nodes: what others check because of a newcomer is ' +
          'in it, and what it looks up afterwards.',
      ],
    }
  },
}

/**
 * Compiled code and tables that all nodes share are no node's memory: they are there once some nodes have lived.
 * @param {string} seed
 */
async function warmUp(seed) {
  const simulator = new Simulator({ seed: `${seed} warm-up`, trace: false, poison: false })
  await simulator.run(async () => {
    const { nodes } = await build(simulator, WARM_UP_NODES)
    await recallOf(simulator, nodes, WARM_UP_NODES)
  })
  // Turns that the simulator had asked for still hold it.
  await sleep(100)
}

/** Of what is alive only. */
function memory() {
  if (!globalThis.gc) throw new Error('the bench scale needs node --expose-gc')
  globalThis.gc()
  globalThis.gc()
  return process.memoryUsage()
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {(share: number) => void} told
 */
async function idleFor(simulator, nodes, told) {
  const { events, stats } = simulator
  const startedAtMs = performance.now()
  for (let passedMs = 0; passedMs < IDLE_MS; passedMs += STEP_MS) {
    await simulator.delay(STEP_MS)
    told(passedMs / IDLE_MS)
  }
  const seconds = (performance.now() - startedAtMs) / 1000
  return {
    eventsPerSecond: Math.round((simulator.events - events) / seconds),
    virtualPerSecond: rounded(IDLE_MS / 1000 / seconds),
    idlePackets: rounded((simulator.stats.sent - stats.sent) / nodes.length / (IDLE_MS / 1000)),
  }
}

/**
 * @param {Simulator} simulator
 * @param {readonly Node[]} nodes
 * @param {number} count
 */
async function recallOf({ random }, nodes, count) {
  let found = 0
  let wanted = 0
  await inBatches(count, AT_ONCE, async () => {
    const asker = random.pick(nodes)
    const target = random.bytes(32)
    const { closest } = await asker.dht.findNode(target)
    const addresses = new Set(closest.map(({ address }) => address))
    const truth = trueNearest(nodes, target, asker)
    wanted += truth.length
    found += truth.filter(({ address }) => addresses.has(address)).length
  })
  return found / wanted
}

/**
 * @param {readonly Node[]} nodes
 * @param {(node: Node) => number} of
 */
function sum(nodes, of) {
  return nodes.reduce((all, node) => all + of(node), 0)
}

/**
 * @param {CaseResult} each
 * @returns {Result}
 */
function resultOf({ result }) {
  return result
}

/** @param {Result} result */
function bytesPerContact({ heapBytes, externalBytes, contacts }) {
  return (heapBytes + externalBytes - EMPTY_NODE_BYTES) / contacts.mean
}

/**
 * @param {Result} row
 * @returns {Check[]}
 */
function checksOf(row) {
  const { nodes, heapBytes, contacts, recall } = row
  const of = `${nodes.toLocaleString('en-US')} nodes`
  const heapMax = (EMPTY_NODE_BYTES + BYTES_PER_CONTACT_MAX * contacts.mean) / 1024
  const heapName = `KB of heap a node (${EMPTY_NODE_BYTES / 1024} KB and ${BYTES_PER_CONTACT_MAX} bytes a contact)`
  const atMost = (/** @type {string} */ name, /** @type {number} */ value, /** @type {number} */ bound) => ({
    name: `${name}, ${of}`,
    value,
    bound: `<= ${rounded(bound)}`,
    met: value <= bound,
  })
  return [
    ...(nodes >= MEMORY_NODES_MIN ? [atMost(heapName, rounded(heapBytes / 1024), heapMax)] : []),
    { name: `recall of lookups, ${of}`, value: recall, bound: `>= ${RECALL_MIN}`, met: recall >= RECALL_MIN },
    ...(nodes === LARGE.nodes
      ? [
          atMost('seconds until all have joined', row.formSeconds, LARGE.formSecondsMax),
          atMost('rss in MiB', row.rssMiB, LARGE.rssMiBMax),
        ]
      : []),
  ]
}

/**
 * @param {readonly Result[]} rows
 * @returns {Plot[]}
 */
function plotsOf(rows) {
  const points = (/** @type {(row: Result) => number} */ of) =>
    rows.map((row) => /** @type {[number, number]} */ ([row.nodes, of(row)]))
  const sized = { kind: /** @type {const} */ ('line'), xName: 'nodes', xLog: true }
  return [
    {
      ...sized,
      file: 'memory',
      title: 'Memory of a node',
      yName: 'KB',
      series: [
        { name: 'heap', points: points(({ heapBytes }) => heapBytes / 1024) },
        { name: 'external', points: points(({ externalBytes }) => externalBytes / 1024) },
      ],
    },
    {
      ...sized,
      file: 'join',
      title: 'What one join takes until a minute after the last',
      yName: 'messages',
      series: [
        { name: 'datagrams', points: points(({ joinDatagrams }) => joinDatagrams) },
        { name: 'requests', points: points(({ joinRequests }) => joinRequests) },
      ],
    },
    {
      ...sized,
      file: 'form',
      title: 'Time until all have joined',
      yLog: true,
      yName: 'seconds',
      series: [
        { name: 'on this machine', points: points(({ formSeconds }) => formSeconds) },
        { name: 'virtual', points: points(({ formVirtualSeconds }) => formVirtualSeconds) },
      ],
    },
  ]
}
