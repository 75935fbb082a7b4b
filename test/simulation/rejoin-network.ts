// A node that stops and starts again in a network that went on without it.

import type { Contact, DhtOptions } from '../../src/index.js'
import { createDht } from '../../src/index.js'
import type { SimulatedHost } from '../../src/testing/index.js'
import { Simulator } from '../../src/testing/index.js'
import { Medium } from './durable-store.js'
import type { SimulatedNode } from './network.js'
import { buildNetwork } from './network.js'

/** How much virtual time one of these tests may take. */
const LIMIT_MS = 100 * 3_600_000

/** A network, and a node of it that keeps its state. */
export interface Scene {
  readonly simulator: Simulator
  /** All but the node in question; the first one was everybody's bootstrap node. */
  readonly nodes: readonly SimulatedNode[]
  readonly medium: Medium
  /** The node before its restart, still open. */
  readonly before: SimulatedNode
  /** Starts it on its machine again, with nothing but its store. */
  restart(options?: Partial<DhtOptions>, host?: SimulatedHost): SimulatedNode
}

/** Runs the work in a network of so many nodes, of which one keeps its state. */
export function inNetwork<T>(seed: number | string, count: number, work: (scene: Scene) => Promise<T>): Promise<T> {
  const simulator = new Simulator({ seed, trace: false })
  const run = async (): Promise<T> => {
    const nodes = await buildNetwork(simulator, count - 1)
    const medium = new Medium()
    const on = (host: SimulatedHost, options: Partial<DhtOptions>): SimulatedNode => {
      const { transport, clock, randomBytes } = host
      const dht = createDht({ transport, clock, randomBytes, storage: medium.open(), ...options })
      return { host, dht, id: dht.id, address: host.address }
    }
    const before = on(simulator.host(), { bootstrap: [(nodes[0] as SimulatedNode).address] })
    await before.dht.start()
    await simulator.delay(10 * 60_000)
    return work({
      ...{ simulator, nodes, medium, before },
      restart: (options = {}, host = simulator.host({ address: before.address })) => on(host, options),
    })
  }
  return simulator.run(run, { limitMs: LIMIT_MS })
}

/** Kills that share of the contacts that are kept, the first bootstrap node always. Returns who lives. */
export function killKept({ simulator, nodes, medium }: Scene, share: number): SimulatedNode[] {
  const kept = new Set((medium.state.contacts as readonly Contact[]).map(({ address }) => address))
  const victims = simulator.random.shuffle(nodes.filter(({ address }) => kept.has(address)))
  for (const { host } of victims.slice(0, Math.round(share * victims.length))) host.kill()
  nodes[0]?.host.kill()
  return nodes.filter(({ host }) => host.isAlive)
}
