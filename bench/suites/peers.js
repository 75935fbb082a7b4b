// @ts-check
// xorbit beside other Kademlia DHTs for Node, each formed, asked and wounded in the same way. See
// docs/benchmarks/peers.md. The others are installed by `npm ci --prefix bench/peers`.

import { measure } from '../peers/measure.js'
import { SYSTEM_NAMES } from '../peers/network.js'

/**
 * @typedef {import('../peers/measure.js').Case & { id: string }} PeerCase
 * @typedef {import('../peers/measure.js').Figures} Figures
 * @typedef {{ case: PeerCase, result: Figures }} Measured
 * @typedef {{ name: string, value: number, bound: string, met: boolean }} Check
 */

const OWN = 'xorbit'
const HEAVY = 'kad-dht'
const DEAD_SHARE = 0.3
const DELAY_MS = 25

export default {
  name: 'peers',
  summary: 'lookups, puts and gets beside bittorrent-dht, hyperdht and libp2p kad-dht, on 127.0.0.1',
  page: 'docs/benchmarks/peers.md',
  options: {
    systems: { value: SYSTEM_NAMES.join(','), selects: true, help: 'which systems, by commas' },
    nodes: { value: '300,1000', selects: true, help: 'sizes of the networks, by commas', quick: '100' },
    'kad-dht-nodes': {
      value: '30',
      selects: true,
      help: 'size of the networks of kad-dht, whose nodes are heavy',
      quick: '30',
    },
    delays: { value: `0,${DELAY_MS}`, selects: true, help: 'ms added to each message, by commas' },
    'dead-shares': { value: `0,${DEAD_SHARE}`, selects: true, help: 'shares of the nodes that are killed, by commas' },
    lookups: { value: '200', help: 'lookups one at a time, and as many 16 at a time', quick: '50' },
    puts: { value: '500', help: 'values that are put', quick: '50' },
    gets: { value: '500', help: 'values that are got', quick: '50' },
    'part-seconds': { value: '60', help: 'a part ends after so long, however many are done', quick: '10' },
    'idle-seconds': { value: '10', help: 'how long the traffic of an idle network is measured', quick: '2' },
  },
  nodeArgs: ['--expose-gc', '--max-old-space-size=8000'],

  /** @param {Record<string, string>} options */
  cases(options) {
    /** @type {PeerCase[]} */
    const cases = []
    const systems = list(options.systems)
    const common = list(options.nodes).map(Number)
    const few = systems.includes(HEAVY) ? list(options['kad-dht-nodes']).map(Number) : []
    for (const system of systems) {
      // So that the heavy one is compared too, with networks of its size.
      const sizes = system === HEAVY ? few : [...new Set([...few, ...common])]
      for (const nodes of sizes) {
        for (const delayMs of list(options.delays).map(Number)) {
          for (const deadShare of list(options['dead-shares']).map(Number)) {
            const id = `${system} n=${nodes} delay=${delayMs} dead=${deadShare}`
            cases.push({ id, system, nodes, delayMs, deadShare })
          }
        }
      }
    }
    return cases
  },

  /**
   * @param {PeerCase} theCase
   * @param {{ seed: number, options: Record<string, string>, progress: (text: string, share?: number) => void }} run
   */
  run(theCase, { seed, options, progress }) {
    const amounts = {
      lookups: Number(options.lookups),
      puts: Number(options.puts),
      gets: Number(options.gets),
      partSeconds: Number(options['part-seconds']),
      idleSeconds: Number(options['idle-seconds']),
      seed: Number(seed),
    }
    return measure(theCase, amounts, progress)
  },

  /** @param {Measured[]} results */
  report(results) {
    return {
      tables: situationsOf(results).flatMap(tablesOf),
      plots: plotsOf(results),
      checks: checksOf(results),
      notes: [
        'A message is a datagram, or with kad-dht one write to a TCP connection; all nodes together, requests and replies.',
        'Traffic of an idle network is taken off, except from that of joining. kad-dht has smaller networks.',
        'hyperdht goes on sending for long after it has joined: what is taken off may be more than what belongs to others, so its messages are too low.',
        'done: operations that were measured before the time was up, with those that failed after the sign !.',
        'acks of hyperdht are copies that were found at its nodes, as it does not tell.',
        ...results.flatMap(({ case: { id }, result }) =>
          result.failures.length > 0 ? [`Failed in ${id}: ${result.failures.join('; ')}`] : [],
        ),
      ],
    }
  },
}

/** @param {string | undefined} text */
function list(text) {
  return (text ?? '').split(',').filter((part) => part !== '')
}

/**
 * @param {Measured[]} results
 * @returns {Measured[][]} those of one size, delay and share of dead nodes together
 */
function situationsOf(results) {
  /** @type {Map<string, Measured[]>} */
  const situations = new Map()
  for (const measured of results) {
    const { nodes, delayMs, deadShare } = measured.case
    const key = `${nodes} ${delayMs} ${deadShare}`
    situations.set(key, [...(situations.get(key) ?? []), measured])
  }
  return [...situations.values()]
}

/** @param {Measured[]} measured */
function tablesOf(measured) {
  const [{ case: first }] = /** @type {[Measured]} */ (measured)
  const deaths = first.deadShare === 0 ? 'all alive' : `${100 * first.deadShare} % killed`
  const delay = first.delayMs === 0 ? 'no delay' : `${first.delayMs} ms added to each message`
  const title = `${first.nodes} nodes, ${deaths}, ${delay}`
  const lookups = measured.map(({ case: { system }, result: { lookup, recall } }) => [
    system,
    recall,
    ...timesOf(lookup),
    lookup.messages,
    lookup.bytes,
  ])
  const atOnce = measured.map(({ case: { system }, result: { together } }) => [
    system,
    together.perSecond,
    together.cpuMs,
    ...timesOf(together),
  ])
  const values = measured.flatMap(({ case: { system }, result: { put, get } }) => [
    [`${system} put`, ...timesOf(put), put.messages, put.bytes, put.acknowledgements],
    [`${system} get`, ...timesOf(get), get.messages, get.bytes, ''],
  ])
  const forming = measured.map(({ case: { system }, result: { forming: formed, idleMessagesPerSecond } }) => [
    system,
    formed.seconds,
    formed.messagesPerJoin,
    formed.messagesPerJoinAtRest,
    formed.bytesPerJoin,
    round1(formed.rssBytesPerNode / 1024),
    round1(formed.heapBytesPerNode / 1024),
    round1(idleMessagesPerSecond / first.nodes),
  ])
  const times = ['p50 ms', 'p95 ms', 'p99 ms', 'done']
  return [
    {
      title: `Complete lookups: ${title}`,
      columns: ['system', 'recall', ...times, 'messages', 'bytes'],
      rows: lookups,
    },
    {
      title: `Complete lookups, 16 at a time: ${title}`,
      columns: ['system', 'lookups per s', 'CPU ms', ...times],
      rows: atOnce,
    },
    { title: `Values: ${title}`, columns: ['operation', ...times, 'messages', 'bytes', 'acks'], rows: values },
    // The dead died after the network was formed.
    ...(first.deadShare === 0
      ? [
          {
            title: `Forming: ${title}`,
            columns: [
              'system',
              's',
              'messages a join',
              'the same until at rest',
              'bytes a join',
              'RSS KB',
              'heap KB',
              'idle messages a node, s',
            ],
            rows: forming,
          },
        ]
      : []),
  ]
}

/** @param {{ p50Ms: number | null, p95Ms: number | null, p99Ms: number | null, count: number, failed: number }} part */
function timesOf(part) {
  return [part.p50Ms ?? '', part.p95Ms ?? '', part.p99Ms ?? '', done(part)]
}

/** @param {{ count: number, failed: number }} part */
function done({ count, failed }) {
  return failed === 0 ? String(count) : `${count} !${failed}`
}

/** @param {Measured[]} results */
function plotsOf(results) {
  const sizes = [...new Set(results.filter(({ case: { system } }) => system === OWN).map(({ case: c }) => c.nodes))]
  return sizes.flatMap((nodes) => {
    const systems = [...new Set(results.filter(({ case: c }) => c.nodes === nodes).map(({ case: c }) => c.system))]
    const situations = [...new Set(results.map(({ case: c }) => `${c.delayMs} ms, ${100 * c.deadShare} % dead`))]
    /** @param {(figures: Figures) => number | null} figure */
    const series = (figure) =>
      systems.map((name) => ({
        name,
        points: results
          .filter(({ case: c }) => c.system === name && c.nodes === nodes)
          .map(({ case: c, result }) => [
            situations.indexOf(`${c.delayMs} ms, ${100 * c.deadShare} % dead`),
            figure(result) ?? 0,
          ]),
      }))
    const common = { kind: 'bar', xName: 'delay and deaths', categories: situations, yLog: true }
    return [
      {
        ...common,
        file: `lookup-ms-${nodes}`,
        title: `Median of a complete lookup, ${nodes} nodes`,
        yName: 'ms',
        series: series(({ lookup }) => lookup.p50Ms),
      },
      {
        ...common,
        file: `lookup-messages-${nodes}`,
        title: `Messages of a complete lookup, ${nodes} nodes`,
        yName: 'messages',
        yLog: false,
        series: series(({ lookup }) => lookup.messages),
      },
    ]
  })
}

/**
 * What xorbit is to reach. What was not measured is left out.
 *
 * @param {Measured[]} results
 * @returns {Check[]}
 */
function checksOf(results) {
  /** @type {Check[]} */
  const checks = []
  /** @param {string} system @param {number} nodes @param {number} delayMs @param {number} deadShare */
  const figures = (system, nodes, delayMs, deadShare) =>
    results.find(
      ({ case: c }) => c.system === system && c.nodes === nodes && c.delayMs === delayMs && c.deadShare === deadShare,
    )?.result
  /** @param {string} name @param {number | null} value @param {'<=' | '>='} sign @param {number} bound */
  const check = (name, value, sign, bound) => {
    if (value === null) return
    checks.push({ name, value, bound: `${sign} ${bound}`, met: sign === '<=' ? value <= bound : value >= bound })
  }
  const at300 = figures(OWN, 300, 0, 0)
  if (at300) {
    check('messages of a lookup, 300 nodes', at300.lookup.messages, '<=', 60)
    check('messages of a put, 300 nodes', at300.put.messages, '<=', 115)
    check('messages of a get, 300 nodes', at300.get.messages, '<=', 20)
  }
  const at1000 = figures(OWN, 1000, 0, 0)
  if (at1000) {
    check('recall, 1,000 nodes', at1000.recall, '>=', 0.999)
    check('messages of a lookup, 1,000 nodes', at1000.lookup.messages, '<=', 70)
    check('CPU of a lookup, 1,000 nodes, ms', at1000.together.cpuMs, '<=', 1.8)
    check('RSS of a node, 1,000 nodes, KB', at1000.forming.rssBytesPerNode / 1024, '<=', 80)
    const others = SYSTEM_NAMES.filter((name) => name !== OWN).flatMap((name) => figures(name, 1000, 0, 0) ?? [])
    if (others.length > 0) {
      const best = Math.max(...others.map(({ together }) => together.perSecond))
      const times = at1000.together.perSecond / best
      check('lookups a second, 1,000 nodes, times the best of the others', times, '>=', 2.5)
    }
  }
  const delayed = figures(OWN, 300, DELAY_MS, 0)
  if (delayed) {
    // A round is 50 ms.
    check('lookup of three rounds, 300 nodes, 25 ms: p50 ms', delayed.lookup.p50Ms, '<=', 150)
    check('messages of a lookup, 300 nodes, 25 ms', delayed.lookup.messages, '<=', 70)
    check('put, 300 nodes, 25 ms: p50 ms', delayed.put.p50Ms, '<=', 205)
    check('acknowledgements of a put, 300 nodes, 25 ms', delayed.put.acknowledgements, '>=', 15)
    check('get, 300 nodes, 25 ms: p95 ms', delayed.get.p95Ms, '<=', 105)
    check('forming 300 nodes, 25 ms: s', delayed.forming.seconds, '<=', 6)
    check('messages of a join until all have joined, 300 nodes, 25 ms', delayed.forming.messagesPerJoin, '<=', 120)
    check('the same until at rest', delayed.forming.messagesPerJoinAtRest, '<=', 120)
    check('recall, 300 nodes, 25 ms', delayed.recall, '>=', 0.999)
  }
  const wounded = figures(OWN, 300, 0, DEAD_SHARE)
  if (wounded) {
    check('lookup, 300 nodes, 30 % dead: p50 ms', wounded.lookup.p50Ms, '<=', 300)
    check('recall, 300 nodes, 30 % dead', wounded.recall, '>=', 0.99)
    check('get, 300 nodes, 30 % dead: p50 ms', wounded.get.p50Ms, '<=', 4)
    check('get, 300 nodes, 30 % dead: p99 ms', wounded.get.p99Ms, '<=', 100)
  }
  return checks
}

/** @param {number} value */
function round1(value) {
  return Math.round(10 * value) / 10
}
