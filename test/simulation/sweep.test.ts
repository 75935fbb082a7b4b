// A short version of `npm run simulate:sweep`: 150 nodes and 600 values.

import { expect, test } from 'vitest'
import type { Dht, DhtStats } from '../../src/index.js'
import { createDht, MemoryStore } from '../../src/index.js'
import { Simulator } from '../../src/testing/index.js'
import type { SimulatedNode } from './network.js'
import { atMost, trueNearest } from './network.js'

const SEED = 1
const NODES = 150
const VALUES = 600
const K = 20
const HOUR_MS = 3_600_000
const LIFETIME_MS = HOUR_MS
/** Long before the half of the lifetime, at which the values are stored again; all have joined and put by then. */
const BEFORE_SWEEP_MS = 0.4 * HOUR_MS
const AFTER_SWEEP_MS = 0.6 * HOUR_MS
const IMMUTABLE = 0

/** A network of nodes that repair nothing, so that only the publisher prolongs what is stored. */
async function build(simulator: Simulator): Promise<{ nodes: SimulatedNode[]; stores: Map<Dht, MemoryStore> }> {
  const nodes: SimulatedNode[] = []
  const stores = new Map<Dht, MemoryStore>()
  const join = async (): Promise<void> => {
    const host = simulator.host()
    const { transport, clock, randomBytes } = host
    const storage = new MemoryStore({ bytesMax: 2 ** 24, recordsMax: 10_000 })
    const bootstrap = nodes.slice(0, 1).map(({ address }) => address)
    const dht = createDht({ transport, clock, randomBytes, storage, bootstrap, repair: false })
    await dht.start()
    nodes.push({ host, dht, id: dht.id, address: host.address })
    stores.set(dht, storage)
  }
  await join()
  await atMost(30, NODES - 1, join)
  await simulator.delay(10_000)
  return { nodes, stores }
}

function requests({ calls, resends }: DhtStats): number {
  return calls + resends
}

test(`values are republished in one sweep, with a tenth of the lookups at most (seed ${SEED})`, async () => {
  const simulator = new Simulator({ seed: SEED, trace: false, poison: false })
  const work = async (): Promise<void> => {
    const { nodes, stores } = await build(simulator)
    const publisher = simulator.random.pick(nodes)
    const { dht } = publisher
    const beforePuts = dht.stats()
    const keys: Uint8Array[] = []
    const startedAtMs = simulator.nowMs
    await atMost(100, VALUES, async () => {
      const { key } = await dht.put(simulator.random.bytes(32), { lifetimeMs: LIFETIME_MS })
      keys.push(key)
    })
    const afterPuts = dht.stats()
    const putsExpireAtMs = publisher.host.clock.wallNow() + LIFETIME_MS

    await simulator.delay(startedAtMs + BEFORE_SWEEP_MS - simulator.nowMs)
    const before = dht.stats()
    expect(before.republished).toBe(0)
    await simulator.delay(AFTER_SWEEP_MS - BEFORE_SWEEP_MS)
    const after = dht.stats()

    const lookupsOfPuts = afterPuts.lookups - beforePuts.lookups
    expect(lookupsOfPuts).toBeGreaterThanOrEqual(VALUES)
    expect(after.lookups - before.lookups).toBeLessThanOrEqual(0.1 * lookupsOfPuts)
    expect(requests(after) - requests(before)).toBeLessThanOrEqual(1.15 * VALUES * K)

    const holders = keys.flatMap((key) => trueNearest(nodes, key, publisher, K).map((holder) => ({ key, holder })))
    const prolonged = holders.filter(({ key, holder }) => {
      const held = stores.get(holder.dht)?.list(key, IMMUTABLE) ?? []
      return held.some(({ expiresAtMs }) => expiresAtMs > putsExpireAtMs)
    })
    expect(prolonged.length).toBeGreaterThanOrEqual(0.999 * holders.length)
  }
  await simulator.run(work, { limitMs: 6 * HOUR_MS })
})
