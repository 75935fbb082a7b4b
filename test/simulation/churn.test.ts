// A short version of `npm run simulate:churn`: 40 nodes for two hours and a half, with sessions of half an hour.

import { expect, test } from 'vitest'
import type { Dht } from '../../src/index.js'
import { createDht, generateKeyPair } from '../../src/index.js'
import { Simulator } from '../../src/testing/index.js'
import type { SimulatedNode } from './network.js'
import { atMost } from './network.js'

const SEED = 1
const NODES = 40
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** The mean of an exponential distribution is its median divided by ln 2. */
const MEAN_SESSION_MS = Math.round((30 * MINUTE_MS) / Math.LN2)
/** Of each kind. Each value is read once: a reader would bring the holders up to date. */
const VALUES = 30
const TOPICS = 6
/** When a half of the values is read. */
const READS_AFTER_MS = [HOUR_MS, 2.5 * HOUR_MS]

type Read = (dht: Dht) => Promise<unknown>

interface Outcome {
  immutable: number
  mutable: number
  peers: number
}

/** How many reads of each kind fail while all nodes are replaced, with or without repair. */
async function failuresUnderChurn(repair: boolean): Promise<Outcome> {
  const simulator = new Simulator({ seed: SEED, trace: false, poison: false })
  const { random } = simulator
  const joined: SimulatedNode[] = []

  const join = async (begun?: (node: SimulatedNode) => void, client = false): Promise<SimulatedNode> => {
    const host = simulator.host()
    const { transport, clock, randomBytes } = host
    const bootstrap = random.shuffle(joined).slice(0, 3)
    const addresses = bootstrap.map(({ address }) => address)
    const dht = createDht({ transport, clock, randomBytes, bootstrap: addresses, repair, client })
    const node = { host, dht, id: dht.id, address: host.address }
    begun?.(node)
    const hasJoined = new Promise((resolve) => dht.on('joined', resolve))
    // All of its bootstrap nodes may have just died.
    await dht.start().catch(() => hasJoined)
    if (!client) joined.push(node)
    return node
  }
  const begin = (node: SimulatedNode): void => {
    const sessionMs = Math.round(-Math.log(1 - random.float()) * MEAN_SESSION_MS)
    simulator.after(sessionMs, () => {
      node.host.kill()
      const at = joined.indexOf(node)
      if (at >= 0) joined.splice(at, 1)
      void join(begin)
    })
  }

  const work = async (): Promise<Outcome> => {
    await join()
    await atMost(20, NODES - 1, async () => {
      await join()
    })
    // A client holds nothing: else the values that happen to be its own would never be lost.
    const announcer = await join(undefined, true)
    const reads = await storeAll(simulator, joined, announcer)
    for (const node of joined) begin(node)
    const startedAtMs = simulator.nowMs
    const failures = { immutable: 0, mutable: 0, peers: 0 }
    for (const [part, afterMs] of READS_AFTER_MS.entries()) {
      await simulator.delay(startedAtMs + afterMs - simulator.nowMs)
      for (const kind of ['immutable', 'mutable', 'peers'] as const) {
        const due = reads[kind].filter((_, i) => i % READS_AFTER_MS.length === part)
        await atMost(20, due.length, async (i) => {
          if (!(await hasSucceeded(simulator, joined, due[i] as Read))) failures[kind]++
        })
      }
    }
    return failures
  }
  return simulator.run(work, { limitMs: 6 * HOUR_MS })
}

/** Values that nobody stores again but their holders, and peers that a client announces. */
async function storeAll(
  simulator: Simulator,
  nodes: readonly SimulatedNode[],
  announcer: SimulatedNode,
): Promise<Record<keyof Outcome, Read[]>> {
  const { random } = simulator
  const stored = { lifetimeMs: 24 * HOUR_MS, republish: false }
  const reads: Record<keyof Outcome, Read[]> = { immutable: [], mutable: [], peers: [] }
  await atMost(10, VALUES, async () => {
    const { key } = await random.pick(nodes).dht.put(random.bytes(100), stored)
    reads.immutable.push((dht) => dht.get(key))
    const keys = generateKeyPair({ seed: random.bytes(32) })
    await random.pick(nodes).dht.publish(keys, random.bytes(100), stored)
    reads.mutable.push((dht) => dht.resolve(keys.publicKey))
  })
  await atMost(10, TOPICS, async () => {
    const topic = random.bytes(32)
    await announcer.dht.announce(topic)
    reads.peers.push((dht) => firstPeer(dht, topic))
  })
  return reads
}

async function firstPeer(dht: Dht, topic: Uint8Array): Promise<unknown> {
  for await (const peer of dht.locate(topic)) return peer
  return undefined
}

/** Whether a random node finds it; if that node dies meanwhile, another one reads. */
async function hasSucceeded(simulator: Simulator, readers: readonly SimulatedNode[], read: Read): Promise<boolean> {
  for (;;) {
    const { dht, host } = simulator.random.pick(readers)
    const outcome = await Promise.race([
      read(dht).then(
        (found) => found !== undefined,
        () => false,
      ),
      // Longer than any read takes.
      simulator.delay(MINUTE_MS).then(() => 'late'),
    ])
    if (typeof outcome === 'boolean') return outcome
    expect(host.isAlive).toBe(false)
  }
}

test(`holders that leave without a word take no value with them (seed ${SEED})`, async () => {
  expect(await failuresUnderChurn(true)).toEqual({ immutable: 0, mutable: 0, peers: 0 })
})

test(`without repair the same churn loses values, but no peer that renews itself (seed ${SEED})`, async () => {
  const failures = await failuresUnderChurn(false)
  expect(failures.immutable).toBeGreaterThan(0)
  expect(failures.mutable).toBeGreaterThan(0)
  expect(failures.peers).toBe(0)
})
