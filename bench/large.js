// @ts-check
// A value of many parts: what it takes to store it beside its parts put one by one, and to fetch it after nodes died. On
// the simulated internet, with losses if wanted, or over UDP on this machine. The exit status is 1 when a bound is missed.
//
//   npm run simulate:large -- --nodes 200 --kib 1024 --loss 0.2 --dead 0.33 --seed 1 --json
//   npm run simulate:large -- --udp --nodes 200 --dead 0.33

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, VALUE_BYTES_MAX } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { udp } from 'xorbit/udp'
import { build, inBatches, join, print, report } from './simulation.js'

/** @import { Dht } from 'xorbit' */
/** @import { Report } from './simulation.js' */
/** @typedef {{ dht: Dht, kill: () => unknown }} Member */
/**
 * Where the nodes are.
 * @typedef {object} World
 * @property {() => Promise<Member[]>} build - a network at rest
 * @property {(bootstrap: readonly Member[]) => Promise<Member>} join
 * @property {(length: number) => Uint8Array} bytes - random ones
 * @property {(ms: number) => Promise<unknown>} delay
 * @property {() => void} lose - from now on datagrams get lost
 */

/** Parts put one by one for comparison: a sample, as all of them would take most of the time. */
const SINGLE_PUTS = 100

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    kib: { type: 'string', default: '1024' },
    loss: { type: 'string', default: '0' },
    dead: { type: 'string', default: '0.33' },
    seed: { type: 'string', default: '1' },
    udp: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
const kib = Number(options.kib)
const loss = Number(options.loss)
const dead = Number(options.dead)
const isPossible = !(options.udp && loss > 0)
if (!(nodeCount >= 10 && kib > 0 && kib <= 1024 && loss >= 0 && loss < 1 && dead >= 0 && dead < 1 && isPossible)) {
  console.error('usage: large.js [--nodes 200] [--kib 1024] [--loss 0 | --udp] [--dead 0.33] [--seed 1] [--json]')
  console.error('at least 10 nodes, at most 1024 KiB; shares from 0 to below 1; the loss is simulated')
  process.exit(2)
}

const startedAtMs = performance.now()
const simulator = new Simulator({ seed: options.seed })
const result = options.udp
  ? await largeValue(loopback())
  : await simulator.run(() => largeValue(simulated()), { limitMs: 24 * 3_600_000 })
if (options.json) console.log(JSON.stringify([result], undefined, 2))
else print(result, (performance.now() - startedAtMs) / 1000)
process.exitCode = result.missed.length > 0 ? 1 : 0

/**
 * @param {World} world
 * @returns {Promise<Report>}
 */
async function largeValue(world) {
  const members = await world.build()
  progress('joined')
  world.lose()
  const [publisher, ...others] = /** @type {[Member, ...Member[]]} */ (members)
  const value = world.bytes(Math.floor(kib * 1024))
  const stored = await publisher.dht.put(value)
  progress('stored')
  // What goes on behind ends, so that the single puts are alone.
  await world.delay(5_000)

  let singleMs = 0
  let singleMessages = 0
  await inBatches(SINGLE_PUTS, 1, async () => {
    const put = await publisher.dht.put(world.bytes(VALUE_BYTES_MAX), { republish: false })
    singleMs += put.elapsedMs
    singleMessages += put.messages
  })
  const singly = {
    messages: Math.round((singleMessages / SINGLE_PUTS) * stored.parts),
    ms: Math.round((singleMs / SINGLE_PUTS) * stored.parts),
  }
  progress('parts put one by one')

  // The publisher first: from here on only the others have it.
  const dying = [publisher, ...others].slice(0, Math.round(dead * nodeCount))
  await Promise.all(dying.map((member) => member.kill()))
  const living = members.filter((member) => !dying.includes(member))
  const reader = await world.join(living.slice(0, 5))
  const got = await fetch(reader.dht, stored.key, value)
  await Promise.all([...living, reader].map((member) => member.kill()))

  const { parts, replicasMin, messages, elapsedMs } = stored
  const figures = {
    put: { parts, replicasMin, messages, ms: Math.round(elapsedMs) },
    'parts singly': singly,
    get: got,
  }
  const where = options.udp ? 'over UDP' : `simulated, loss ${loss}`
  const scenario = `${kib} KiB at ${nodeCount} nodes, ${dying.length} of them dead before the get; ${where}`
  const outcome = report(scenario, simulator, figures, [
    [got.whole, 'the value came back'],
    [messages < singly.messages, 'putting it takes fewer messages than its parts one by one'],
    [elapsedMs < singly.ms, 'putting it takes less time than its parts one by one'],
  ])
  return options.udp ? { ...outcome, seed: 'none', digest: 'none of real sockets' } : outcome
}

/**
 * @param {Dht} dht
 * @param {Uint8Array} key
 * @param {Uint8Array} value
 */
async function fetch(dht, key, value) {
  try {
    const found = await dht.get(key)
    const whole = found !== undefined && Buffer.compare(found.value, value) === 0
    return { whole, messages: found?.messages ?? 0, ms: Math.round(found?.elapsedMs ?? 0), resent: dht.stats().resends }
  } catch (error) {
    if (!(error instanceof DhtError)) throw error
    return { whole: false, error: `${error.code}: ${error.message}` }
  }
}

/** @returns {World} */
function simulated() {
  /** @param {import('./simulation.js').Node} node */
  const memberOf = ({ dht, host }) => ({ dht, kill: () => host.kill() })
  return {
    build: async () => (await build(simulator, nodeCount)).nodes.map(memberOf),
    join: async (bootstrap) =>
      memberOf(
        await join(
          simulator,
          bootstrap.map(({ dht }) => String(dht.address)),
        ),
      ),
    bytes: (length) => simulator.random.bytes(length),
    delay: (ms) => simulator.delay(ms),
    lose: () => simulator.setFaults({ lossRate: loss }),
  }
}

/** @returns {World} */
function loopback() {
  /** @param {readonly Member[]} bootstrap */
  const joinOne = async (bootstrap) => {
    const addresses = bootstrap.map(({ dht }) => String(dht.address))
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: addresses })
    await dht.start()
    // Nobody is told, so for the others it is as if the machine had died.
    return { dht, kill: () => dht.close() }
  }
  return {
    async build() {
      const members = [await joinOne([])]
      while (members.length < nodeCount) {
        const count = Math.min(10, nodeCount - members.length)
        members.push(...(await Promise.all(Array.from({ length: count }, () => joinOne(members.slice(0, 1))))))
      }
      await delay(10_000)
      return members
    },
    join: joinOne,
    bytes: (length) => randomBytes(length),
    delay: (ms) => delay(ms),
    lose() {},
  }
}

/** @param {string} done */
function progress(done) {
  console.error(`${((performance.now() - startedAtMs) / 1000).toFixed(1)} s: ${done}`)
}
