// @ts-check
// How many PINGs a second two nodes exchange over UDP on the loopback, and how long one takes, beside a bare echo of
// node:dgram in the same run.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'
import { profile } from '../rpc/profile.js'
import { openAsker, openEcho } from '../rpc/raw.js'
import { readNumber } from '../tool/options.js'

const OUTSTANDING = 64
const WARM_UP_MS = 500
const PROFILE_MS = 1000
const RATE_TARGET = 0.75
const LATENCY_TARGET = 1.25

/** @typedef {(outstanding: number, answered: (elapsedMs: number) => boolean) => Promise<void>} Exchange */
/** @typedef {{ address: string, cpuMicros(): Promise<number>, openEcho(replyBytes: number): Promise<number>, close(): Promise<void> }} OtherSide */
/** @typedef {{ perSecond: number, cpuMicros: number }} Rate */

export default {
  name: 'rpc',
  summary: 'PINGs a second and their round trip over UDP on the loopback, beside a bare echo of node:dgram',
  page: 'docs/benchmarks/rpc.md',
  options: {
    rounds: { value: '40', quick: '10', help: 'how many times each is measured, ours and the echo by turns' },
    sliceMs: { value: '150', quick: '100', help: 'how long each is measured at a time, in ms' },
  },

  /** @param {Record<string, string>} options */
  cases(options) {
    for (const name of ['rounds', 'sliceMs']) readNumber(options, name, { min: 1 })
    return [
      { id: 'one process', processes: 1 },
      { id: 'two processes', processes: 2 },
    ]
  },

  /**
   * @param {{ processes: number }} theCase
   * @param {{ options: { rounds: string, sliceMs: string }, progress(text: string, share?: number): void }} context
   */
  async run({ processes }, { options, progress }) {
    const rounds = readNumber(options, 'rounds')
    const sliceMs = readNumber(options, 'sliceMs')
    const other = processes === 1 ? await openHere() : await openElsewhere()
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }) })
    await dht.start()
    const sizes = await sizesOfPing(dht, other.address)
    const asker = await openAsker(await other.openEcho(sizes.replyBytes), sizes.requestBytes)
    const ours = pings(dht, other.address)
    const raw = asker.exchange

    progress('warming up', 0)
    for (const exchange of [raw, ours, raw, ours]) await rate(exchange, other, OUTSTANDING, WARM_UP_MS)
    /** @type {{ raw: Rate, ours: Rate, rawP50Micros: number, oursP50Micros: number }[]} */
    const measured = []
    for (let round = 0; round < rounds; round++) {
      progress(`round ${round + 1} of ${rounds}`, round / rounds)
      measured.push({
        raw: await rate(raw, other, OUTSTANDING, sliceMs),
        ours: await rate(ours, other, OUTSTANDING, sliceMs),
        rawP50Micros: await p50Micros(raw, sliceMs),
        oursP50Micros: await p50Micros(ours, sliceMs),
      })
    }
    progress('profiling', 1)
    const rawCosts = await costs(raw, PROFILE_MS)
    const { functions, layers } = await costs(ours, PROFILE_MS)
    const { resends, timeouts } = dht.stats()
    asker.close()
    await Promise.all([dht.close(), other.close()])

    const medianOf = (/** @type {(round: (typeof measured)[number]) => number} */ figure) =>
      median(measured.map(figure))
    return {
      ...sizes,
      rounds,
      rawPerSecond: medianOf((round) => round.raw.perSecond),
      perSecond: medianOf((round) => round.ours.perSecond),
      rateRatio: medianOf((round) => round.ours.perSecond / round.raw.perSecond),
      rateRatios: measured.map((round) => round.ours.perSecond / round.raw.perSecond),
      rawP50Micros: medianOf((round) => round.rawP50Micros),
      p50Micros: medianOf((round) => round.oursP50Micros),
      latencyRatio: medianOf((round) => round.oursP50Micros / round.rawP50Micros),
      latencyRatios: measured.map((round) => round.oursP50Micros / round.rawP50Micros),
      rawCpuMicros: medianOf((round) => round.raw.cpuMicros),
      cpuMicros: medianOf((round) => round.ours.cpuMicros),
      cpuRatio: medianOf((round) => round.raw.cpuMicros / round.ours.cpuMicros),
      timeouts,
      resends,
      layers,
      functions,
      rawLayers: rawCosts.layers,
    }
  },

  /** @param {{ case: { id: string }, result: any }[]} results */
  report(results) {
    const layers = [...new Set(results.flatMap(({ result }) => Object.keys({ ...result.layers, ...result.rawLayers })))]
    const costColumns = results.flatMap(({ case: { id }, result }) => [
      { name: `${id}, xorbit`, costs: result.layers },
      { name: `${id}, bare`, costs: result.rawLayers },
    ])
    return {
      tables: [
        {
          title: `PINGs a second, ${OUTSTANDING} outstanding`,
          columns: [
            '',
            'xorbit',
            'bare echo',
            'ratio',
            'worst round',
            'best round',
            'CPU us each',
            'CPU us, bare',
            'CPU ratio',
          ],
          rows: results.map(({ case: { id }, result }) => [
            id,
            Math.round(result.perSecond),
            Math.round(result.rawPerSecond),
            result.rateRatio.toFixed(3),
            Math.min(...result.rateRatios).toFixed(2),
            Math.max(...result.rateRatios).toFixed(2),
            result.cpuMicros.toFixed(1),
            result.rawCpuMicros.toFixed(1),
            result.cpuRatio.toFixed(3),
          ]),
        },
        {
          title: 'round trip of a PING, one outstanding: p50 in microseconds',
          columns: ['', 'xorbit', 'bare echo', 'ratio'],
          rows: results.map(({ case: { id }, result }) => [
            id,
            result.p50Micros.toFixed(1),
            result.rawP50Micros.toFixed(1),
            result.latencyRatio.toFixed(3),
          ]),
        },
        {
          title: 'processor time of a PING by layer, in microseconds, of the process that asks',
          columns: ['', ...costColumns.map(({ name }) => name)],
          rows: layers.map((layer) => [layer, ...costColumns.map(({ costs }) => (costs[layer] ?? 0).toFixed(2))]),
        },
      ],
      plots: [
        {
          file: 'rpc-rate',
          title: `PINGs a second over UDP on the loopback, ${OUTSTANDING} outstanding`,
          kind: 'bar',
          xName: '',
          yName: 'a second',
          categories: results.map(({ case: { id } }) => id),
          series: [
            { name: 'bare echo of node:dgram', points: results.map(({ result }, i) => [i, result.rawPerSecond]) },
            { name: 'xorbit', points: results.map(({ result }, i) => [i, result.perSecond]) },
          ],
        },
        {
          file: 'rpc-layers',
          title: 'Processor time of a PING by layer, in the process that asks',
          kind: 'bar',
          xName: '',
          yName: 'microseconds',
          categories: layers,
          series: costColumns.map(({ name, costs }) => ({
            name,
            points: layers.map((layer, i) => [i, costs[layer] ?? 0]),
          })),
        },
      ],
      checks: results.flatMap(({ case: { id }, result }) => [
        {
          name: `rate, of the bare echo's, ${id}`,
          value: round3(result.rateRatio),
          bound: `>= ${RATE_TARGET}`,
          met: result.rateRatio >= RATE_TARGET,
        },
        {
          name: `p50 round trip, of the bare echo's, ${id}`,
          value: round3(result.latencyRatio),
          bound: `<= ${LATENCY_TARGET}`,
          met: result.latencyRatio <= LATENCY_TARGET,
        },
        {
          name: `PINGs that nobody answered, ${id}`,
          value: result.timeouts,
          bound: '0',
          met: result.timeouts === 0,
        },
      ]),
      notes: [
        'ours and the echo are measured by turns; a ratio is the median of the ratios of the rounds',
        'with one process, both sides share a core: a rate there is that of two nodes',
        'CPU is user and system time of all processes that take part; its ratio is what the rate would be of the bare one on a machine that does nothing else',
      ],
    }
  },
}

/** @returns {Promise<OtherSide>} */
async function openHere() {
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }) })
  const { address } = await dht.start()
  let closeEcho = () => {}
  return {
    address,
    cpuMicros: async () => 0,
    async openEcho(replyBytes) {
      const echo = await openEcho(replyBytes)
      closeEcho = echo.close
      return echo.port
    },
    async close() {
      closeEcho()
      await dht.close()
    },
  }
}

/** @returns {Promise<OtherSide>} */
async function openElsewhere() {
  const child = fork(fileURLToPath(new URL('../rpc/peer.js', import.meta.url)), { execArgv: [] })
  const next = async () => (await once(child, 'message'))[0]
  const { address } = await next()
  const ask = (/** @type {object} */ question) => {
    child.send(question)
    return next()
  }
  return {
    address,
    cpuMicros: async () => (await ask({})).cpuMicros,
    openEcho: async (replyBytes) => (await ask({ replyBytes })).echoPort,
    async close() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

/**
 * How long the datagrams of a PING are. At its answer nothing else was sent yet.
 *
 * @param {import('xorbit').Dht} dht
 * @param {string} address
 */
async function sizesOfPing(dht, address) {
  await dht.ping(address)
  const { bytesReceived, bytesSent, datagramsReceived, datagramsSent } = dht.stats()
  const sizes = { requestBytes: bytesSent / datagramsSent, replyBytes: bytesReceived / datagramsReceived }
  // The other side asks back; then both know each other.
  await sleep(50)
  return sizes
}

/**
 * @param {import('xorbit').Dht} dht
 * @param {string} address
 * @returns {Exchange}
 */
function pings(dht, address) {
  return async (outstanding, answered) => {
    const one = async () => {
      for (;;) {
        const sentAtMs = performance.now()
        await dht.ping(address)
        if (!answered(performance.now() - sentAtMs)) return
      }
    }
    await Promise.all(Array.from({ length: outstanding }, one))
  }
}

/**
 * @param {Exchange} exchange
 * @param {number} outstanding
 * @param {number} ms
 * @returns {Promise<number>} how many were answered
 */
async function count(exchange, outstanding, ms) {
  const untilMs = performance.now() + ms
  let answers = 0
  await exchange(outstanding, () => {
    answers++
    return performance.now() < untilMs
  })
  return answers
}

/**
 * @param {Exchange} exchange
 * @param {OtherSide} other
 * @param {number} outstanding
 * @param {number} ms
 * @returns {Promise<Rate>}
 */
async function rate(exchange, other, outstanding, ms) {
  const otherBefore = await other.cpuMicros()
  const before = process.cpuUsage()
  const startMs = performance.now()
  const answers = await count(exchange, outstanding, ms)
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(before)
  const otherMicros = (await other.cpuMicros()) - otherBefore
  return { perSecond: (answers * 1000) / elapsedMs, cpuMicros: (user + system + otherMicros) / answers }
}

/**
 * @param {Exchange} exchange
 * @param {number} ms
 */
async function p50Micros(exchange, ms) {
  const untilMs = performance.now() + ms
  /** @type {number[]} */
  const elapsed = []
  await exchange(1, (elapsedMs) => {
    elapsed.push(elapsedMs)
    return performance.now() < untilMs
  })
  return 1000 * median(elapsed)
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = /** @type {number} */ (sorted[middle])
  return sorted.length % 2 === 1 ? upper : (upper + /** @type {number} */ (sorted[middle - 1])) / 2
}

/**
 * Where the time of one exchange goes, in microseconds.
 *
 * @param {Exchange} exchange
 * @param {number} ms
 */
async function costs(exchange, ms) {
  let answers = 0
  const { functions, layers } = await profile(async () => {
    answers = await count(exchange, OUTSTANDING, ms)
  })
  return {
    layers: Object.fromEntries(Object.entries(layers).map(([layer, micros]) => [layer, micros / answers])),
    functions: functions.map(([name, micros]) => [name, micros / answers]),
  }
}

/** @param {number} value */
function round3(value) {
  return Number(value.toFixed(3))
}
