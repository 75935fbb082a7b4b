// @ts-check
// One key pair, many publishers: at once, on both sides of a cut, in compare-and-swap contests, among holders that lie.
// What every reader ends on, and how soon. The exit status is 1 when a bound is missed.
//
//   npm run simulate:partition -- --nodes 1000 --seed 1 --json

import { parseArgs } from 'node:util'
import { createDht, DhtError, generateKeyPair, keyOf, MemoryStore } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { build, HOUR_MS, inBatches, percentiles, print, report, trueNearest } from './simulation.js'

/** @import { KeyPair, Transport } from 'xorbit' */
/** @import { SimulatedHost } from 'xorbit/testing' */
/** @import { Node, Report } from './simulation.js' */
/** @import { RequestMessage } from '../src/wire/index.js' */
/** @typedef {'replays' | 'claims' | 'refuses'} Lie */

// Not of the package's interface: liars have to speak the protocol by hand.
/** @type {typeof import('../src/wire/index.js')} */
const { createCodec, errorNumber, FIND_VALUE, Flag, STORE } = await import(
  new URL('../dist/wire/index.js', import.meta.url).href
)

const MINUTE_MS = 60_000
const MUTABLE = 1
const SEQ_MAX = 2n ** 64n - 1n
const PUBLISHERS = 50
const CUT_MS = 10 * MINUTE_MS
const FIRST_READERS = 100
/** Repair comes after 45 to 75 minutes, and a holder that was stored at by another one leaves it out once. */
const REPAIRED_WITHIN_MS = 150 * MINUTE_MS
const CONTESTS = 50
const CONTENDERS = 5
const LOSS_RATE = 0.1
/** Of the 20 holders, the nearest to the key. */
const LIARS = 15
const LIED_TO_PUBLISHES = 6
const LIED_TO_RESOLVES = 100

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const nodeCount = Number(options.nodes)
if (!Number.isInteger(nodeCount) || nodeCount < 40) {
  console.error('usage: partition.js [--nodes 1000] [--seed 1] [--json], at least 40 nodes')
  process.exit(2)
}

const simulator = new Simulator({ seed: options.seed })
/** @type {Map<Node, MemoryStore>} */
const stores = new Map()
/** @type {Report[]} */
const reports = []
await simulator.run(
  async () => {
    const nodes = await network()
    for (const scenario of [manyAtOnce, contests, contestsWithLoss, twoSides, liars]) {
      const startedAtMs = performance.now()
      const result = await scenario(nodes)
      reports.push(result)
      if (!options.json) print(result, (performance.now() - startedAtMs) / 1000)
    }
  },
  { limitMs: 24 * HOUR_MS },
)
if (options.json) console.log(JSON.stringify(reports, undefined, 2))
process.exitCode = reports.some(({ missed }) => missed.length > 0) ? 1 : 0

/** Nodes whose stores can be looked into. */
async function network() {
  const ids = Array.from({ length: nodeCount }, () => simulator.random.bytes(32))
  const storages = ids.map(() => new MemoryStore({ bytesMax: 64 * 2 ** 20, recordsMax: 65_536 }))
  const optionsOf = (/** @type {number} */ i) => ({
    id: /** @type {Uint8Array} */ (ids[i]),
    storage: /** @type {MemoryStore} */ (storages[i]),
  })
  const { nodes } = await build(simulator, nodeCount, { optionsOf })
  const byId = new Map(ids.map((id, i) => [text(id), storages[i]]))
  for (const node of nodes) stores.set(node, /** @type {MemoryStore} */ (byId.get(text(node.id))))
  return nodes
}

/**
 * Losers learn it, and all readers see one value.
 * @param {readonly Node[]} nodes
 */
async function manyAtOnce(nodes) {
  const keys = newKeys()
  /** @type {Record<string, number>} */
  const outcomes = {}
  const rounds = 3
  let isOneStored = true
  let agreeing = 0
  for (let round = 0; round < rounds; round++) {
    const publishers = simulator.random.shuffle(nodes).slice(0, PUBLISHERS)
    const told = await Promise.all(publishers.map(({ dht }) => outcome(dht.publish(keys, simulator.random.bytes(20)))))
    count(outcomes, told)
    isOneStored &&= told.includes('stored')
    if (new Set(await readAll(nodes, keys)).size === 1) agreeing++
  }
  const known = ['stored', 'ERR_SEQ_CONFLICT', 'ERR_SEQ_TOO_LOW']
  return report(
    `${PUBLISHERS} publishers at once, ${rounds} times`,
    simulator,
    { outcomes, readers: `all ${nodes.length} agree after ${agreeing} of ${rounds} rounds` },
    [
      [
        Object.keys(outcomes).every((one) => known.includes(one)),
        'losers are told ERR_SEQ_CONFLICT or ERR_SEQ_TOO_LOW',
      ],
      [isOneStored, 'at least one publisher succeeds'],
      [agreeing === rounds, 'all readers resolve the same value'],
    ],
  )
}

/** @param {readonly Node[]} nodes */
async function contests(nodes) {
  const { figures, twoWinners, unseen } = await contend(nodes)
  return report('compare-and-swap contests without faults', simulator, figures, [
    [twoWinners === 0, 'no contest has two winners'],
    [unseen === 0, 'readers see the value of a winner'],
  ])
}

/**
 * Advisory only: the figures say how far to trust it.
 * @param {readonly Node[]} nodes
 */
async function contestsWithLoss(nodes) {
  simulator.setFaults({ lossRate: LOSS_RATE })
  const { figures } = await contend(nodes)
  simulator.setFaults({ lossRate: 0 })
  return report(`compare-and-swap contests with ${100 * LOSS_RATE} % loss`, simulator, figures, [])
}

/** @param {readonly Node[]} nodes */
async function contend(nodes) {
  let [won, twoWinners, unseen, split] = [0, 0, 0, 0]
  /** @type {Record<string, number>} */
  const outcomes = {}
  await inBatches(CONTESTS, 1, async () => {
    const keys = newKeys()
    const contenders = simulator.random.shuffle(nodes).slice(0, CONTENDERS)
    const values = contenders.map((_, i) => Uint8Array.of(i, ...simulator.random.bytes(8)))
    // Half of the contests begin at the same moment, the others within a lookup's time.
    const spreadMs = simulator.random.int(2) * 600
    const told = await Promise.all(
      contenders.map(async ({ dht }, i) => {
        await simulator.delay(simulator.random.int(spreadMs + 1))
        return outcome(dht.publish(keys, /** @type {Uint8Array} */ (values[i]), { cas: 0n }))
      }),
    )
    count(outcomes, told)
    const winners = told.flatMap((one, i) => (one === 'stored' ? [i] : []))
    if (winners.length > 0) won++
    if (winners.length > 1) twoWinners++
    const readers = simulator.random.shuffle(nodes).slice(0, 10)
    const seen = await Promise.all(readers.map((node) => read(node, keys)))
    if (new Set(seen).size > 1) split++
    const values16 = winners.map((i) => text(/** @type {Uint8Array} */ (values[i])))
    if (winners.length > 0 && !seen.every((one) => values16.some((value) => one.endsWith(value)))) unseen++
  })
  const figures = {
    contests: `${CONTESTS} of ${CONTENDERS}: ${won} with a winner, ${twoWinners} with two or more`,
    readers: `${unseen} contests whose winner was not seen by all, ${split} whose readers did not agree`,
    outcomes,
  }
  return { figures, twoWinners, unseen }
}

/**
 * Both halves go on publishing; then they meet again.
 * @param {readonly Node[]} nodes
 */
async function twoSides(nodes) {
  const mixed = simulator.random.shuffle(nodes)
  const sides = [mixed.slice(0, mixed.length / 2), mixed.slice(mixed.length / 2)]
  // How often each side publishes, and whether readers come at once.
  const contested = [
    { name: 'read at once, 4 to 2', keys: newKeys(), times: [4, 2], isRead: true },
    { name: 'read at once, 3 to 3', keys: newKeys(), times: [3, 3], isRead: true },
    { name: 'left alone, 2 to 4', keys: newKeys(), times: [2, 4], isRead: false },
    { name: 'left alone, 3 to 3', keys: newKeys(), times: [3, 3], isRead: false },
  ]
  for (const { keys } of contested) await simulator.random.pick(nodes).dht.publish(keys, keyOf('before'))
  simulator.partition(sides.map((side) => side.map(({ host }) => host)))
  const cutAtMs = simulator.nowMs
  let [published, failed] = [0, 0]
  for (let turn = 0; turn < 4; turn++) {
    await simulator.delay(Math.max(0, cutAtMs + turn * 2.5 * MINUTE_MS - simulator.nowMs))
    const publishing = contested.flatMap(({ keys, times }) =>
      sides.map(async (side, s) => {
        if (turn >= /** @type {number} */ (times[s])) return
        published++
        const told = await outcome(simulator.random.pick(side).dht.publish(keys, keyOf(`side ${s}, ${turn}`)))
        if (told !== 'stored') failed++
      }),
    )
    await Promise.all(publishing)
  }
  await simulator.delay(Math.max(0, cutAtMs + CUT_MS - simulator.nowMs))
  // Of equal sequence numbers the greater bytes win.
  const expected = contested.map(({ times }) => {
    const most = Math.max(...times)
    const last = times.flatMap((time, s) => (time === most ? [text(keyOf(`side ${s}, ${most - 1}`))] : []))
    return `${1 + most} ${last.sort().at(-1)}`
  })
  simulator.heal()
  const healedAtMs = simulator.nowMs

  /** @type {Record<string, string>} */
  const words = { publishing: `${published} in ${CUT_MS / MINUTE_MS} minutes of two networks, ${failed} failed` }
  let isFinal = failed === 0
  const reading = contested.map(async ({ name, keys, isRead }, i) => {
    if (!isRead) return
    const readers = simulator.random.shuffle(nodes).slice(0, FIRST_READERS)
    const first = await Promise.all(readers.map((node) => read(node, keys)))
    const right = first.filter((one) => one === expected[i]).length
    let all = await readAll(nodes, keys)
    while (all.some((one) => one !== expected[i]) && simulator.nowMs < healedAtMs + MINUTE_MS) {
      await simulator.delay(1_000)
      all = await readAll(nodes, keys)
    }
    const isAgreed = all.every((one) => one === expected[i])
    isFinal &&= isAgreed
    words[name] =
      `${right} of the first ${first.length} readers right, ` +
      `${isAgreed ? `all ${nodes.length}` : 'not all'} ${seconds(simulator.nowMs - healedAtMs)} after the heal`
  })
  await Promise.all(reading)
  const open = new Map(contested.flatMap((one, i) => (one.isRead ? [] : [[one, /** @type {string} */ (expected[i])]])))
  const holders = new Map([...open.keys()].map((one) => [one, trueNearest(nodes, keyOf(one.keys.publicKey))]))
  for (const [one, value] of open) {
    const nearest = /** @type {Node[]} */ (holders.get(one))
    words[`${one.name}, at once`] = `${upToDate(nearest, one.keys, value)} of ${nearest.length} holders right`
  }
  while (open.size > 0 && simulator.nowMs < healedAtMs + REPAIRED_WITHIN_MS) {
    await simulator.delay(MINUTE_MS)
    for (const [one, value] of open) {
      const nearest = /** @type {Node[]} */ (holders.get(one))
      if (upToDate(nearest, one.keys, value) < nearest.length) continue
      const all = await readAll(nodes, one.keys)
      if (!all.every((seen) => seen === value)) continue
      open.delete(one)
      words[one.name] = `all holders and all readers right ${minutes(simulator.nowMs - healedAtMs)} after the heal`
    }
  }
  return report(`a network cut in two for ${CUT_MS / MINUTE_MS} minutes`, simulator, words, [
    [isFinal, 'a minute after the heal all readers see the last of a key that is read'],
    [open.size === 0, 'after the repair all holders have the last of a key that nobody read'],
  ])
}

/**
 * How many of the holders have that value.
 * @param {readonly Node[]} holders
 * @param {KeyPair} keys
 * @param {string} value - as `read` gives it
 */
function upToDate(holders, { publicKey }, value) {
  const bytes = Buffer.from(/** @type {string} */ (value.split(' ')[1]), 'hex')
  return holders.filter((node) => {
    const held = /** @type {MemoryStore} */ (stores.get(node)).list(keyOf(publicKey), MUTABLE)
    return held.some(({ record }) => Buffer.from(record).subarray(-bytes.length).equals(bytes))
  }).length
}

/**
 * Most of the nearest holders lie; the others keep readers and publishers right.
 * @param {readonly Node[]} nodes
 */
async function liars(nodes) {
  const keys = newKeys()
  const key = keyOf(keys.publicKey)
  const bootstrap = nodes.slice(0, 3).map(({ address }) => address)
  const told = { findValue: 0, store: 0 }
  for (let i = 0; i < LIARS; i++) {
    const lie = /** @type {Lie} */ (['replays', 'claims', 'refuses'][i % 3])
    const id = key.map((byte, at) => (at === 31 ? byte ^ (i + 1) : byte))
    await liar(id, lie, bootstrap, told)
  }
  await simulator.delay(MINUTE_MS)
  let [old, absent, failed, resolves, wrongSeqs, refusals] = [0, 0, 0, 0, 0, 0]
  /** @type {number[]} */
  const storedAt = []
  for (let n = 1; n <= LIED_TO_PUBLISHES; n++) {
    // Another node each time, which remembers nothing.
    const { dht } = simulator.random.pick(nodes)
    try {
      const published = await dht.publish(keys, Uint8Array.of(n), { republish: false })
      if (published.seq !== BigInt(n)) wrongSeqs++
      storedAt.push(published.storedAt.length)
    } catch {
      refusals++
    }
    await inBatches(LIED_TO_RESOLVES, 10, async () => {
      resolves++
      try {
        const found = await simulator.random.pick(nodes).dht.resolve(keys.publicKey)
        if (!found) absent++
        else if (found.seq !== BigInt(n)) old++
      } catch {
        failed++
      }
    })
  }
  return report(
    `${LIARS} of 20 holders lie`,
    simulator,
    {
      publishes: `${LIED_TO_PUBLISHES}, ${refusals} failed, ${wrongSeqs} with a wrong number`,
      'stored at': percentiles(storedAt),
      resolves: `${resolves}, ${old} of an old value, ${absent} of none, ${failed} failed`,
      lies: `${told.findValue} to FIND_VALUE, ${told.store} to STORE`,
    },
    [
      [old + absent + failed === 0, 'no resolve gives an old value, or none'],
      [refusals === 0, 'every publish succeeds'],
      [wrongSeqs === 0, 'every publish goes on from the number that is really held'],
    ],
  )
}

/**
 * A node that joins like any other, and lies about mutable records.
 * @param {Uint8Array} id
 * @param {Lie} lie
 * @param {string[]} bootstrap
 * @param {{ findValue: number, store: number }} told - counts its lies
 */
async function liar(id, lie, bootstrap, told) {
  const host = simulator.host()
  const transport = intercepted(host, id, (request) => {
    if (request.method === FIND_VALUE.code && request.params[1] === MUTABLE) {
      told.findValue++
      const heldSeq = lie === 'claims' ? SEQ_MAX : undefined
      const records = lie === 'replays' && oldest ? [oldest] : []
      const rest = { contacts: new Uint8Array(0), leftOut: 0, recordsLeft: 0, ttlsSeconds: records.map(() => 86_400) }
      return { result: FIND_VALUE.writeResult({ token: Uint8Array.of(1), heldSeq, records, ...rest }) }
    }
    if (request.method !== STORE.code) return undefined
    const params = STORE.readParams(request.params)
    if (params?.kind !== MUTABLE) return undefined
    told.store++
    oldest ??= params.record
    if (lie === 'refuses') return { error: errorNumber('ERR_SEQ_CONFLICT') }
    return { result: STORE.writeResult({ ttlSeconds: params.ttlSeconds }) }
  })
  /** @type {Uint8Array | undefined} */
  let oldest
  const { clock, randomBytes } = host
  await createDht({ transport, clock, randomBytes, id, bootstrap }).start()
}

/**
 * A host's transport on which some requests are answered by hand.
 * @param {SimulatedHost} host
 * @param {Uint8Array} sender
 * @param {(request: RequestMessage) => { result: unknown[] } | { error: number } | undefined} answer
 * @returns {Transport}
 */
function intercepted({ transport }, sender, answer) {
  const codec = createCodec('xorbit')
  const flags = Flag.ipv4 | Flag.ipv6
  return {
    maxDatagramBytes: transport.maxDatagramBytes,
    start: (receive) =>
      transport.start((from, bytes) => {
        const message = codec.decode(new Uint8Array(bytes))
        const said = message.type === 'request' ? answer(message) : undefined
        if (message.type !== 'request' || !said) return receive(from, bytes)
        const head = { tid: message.tid, flags, sender, observed: transport.encodeAddress(from) }
        const reply = codec.encode(
          'error' in said
            ? { type: 'error', ...head, code: said.error, text: 'no' }
            : { type: 'response', ...head, result: said.result },
        )
        transport.send(from, reply)
      }),
    send: (to, bytes) => transport.send(to, bytes),
    encodeAddress: (address) => transport.encodeAddress(address),
    decodeAddress: (bytes) => transport.decodeAddress(bytes),
    resolve: (name, settings) => transport.resolve(name, settings),
    describe: (address) => transport.describe(address),
    close: () => transport.close(),
  }
}

function newKeys() {
  return generateKeyPair({ seed: simulator.random.bytes(32) })
}

/**
 * What every node resolves.
 * @param {readonly Node[]} nodes
 * @param {KeyPair} keys
 */
async function readAll(nodes, keys) {
  /** @type {string[]} */
  const seen = []
  await inBatches(nodes.length, 100, async (i) => {
    seen.push(await read(/** @type {Node} */ (nodes[i]), keys))
  })
  return seen
}

/**
 * Sequence number and value, or why there is none.
 * @param {Node} node
 * @param {KeyPair} keys
 */
async function read({ dht }, { publicKey }) {
  try {
    const found = await dht.resolve(publicKey)
    return found ? `${found.seq} ${text(found.value)}` : 'nothing'
  } catch (error) {
    return codeOf(error)
  }
}

/** @param {Promise<unknown>} publishing */
function outcome(publishing) {
  return publishing.then(() => 'stored', codeOf)
}

/** @param {unknown} error */
function codeOf(error) {
  if (error instanceof DhtError) return error.code
  throw error
}

/**
 * @param {Record<string, number>} counts
 * @param {readonly string[]} names
 */
function count(counts, names) {
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
}

/** @param {Uint8Array} bytes */
function text(bytes) {
  return Buffer.from(bytes).toString('hex')
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`
}

/** @param {number} ms */
function minutes(ms) {
  return `${Math.round(ms / MINUTE_MS)} minutes`
}
