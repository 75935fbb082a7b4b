// Whole networks in the simulator, for tests.

import type { Dht } from '../../src/index.js'
import { createDht } from '../../src/index.js'
import type { Simulator } from '../../src/testing/index.js'

/** A machine of the simulation. */
export type Host = ReturnType<Simulator['host']>

/** A node and the machine that it runs on. */
export interface SimulatedNode {
  readonly host: Host
  readonly dht: Dht
  readonly id: Uint8Array
  readonly address: string
}

/** A network of so many nodes that joined through the first one and came to rest; for use inside `run`. */
export async function buildNetwork(simulator: Simulator, count: number, atOnce = 30): Promise<SimulatedNode[]> {
  const nodes: SimulatedNode[] = []
  const add = async (bootstrap: readonly string[]): Promise<void> => {
    const host = simulator.host()
    const { transport, clock, randomBytes } = host
    const dht = createDht({ transport, clock, randomBytes, bootstrap })
    const joined = new Promise((resolve) => dht.on('joined', resolve))
    // A bad network may take several attempts: the node goes on by itself.
    await dht.start().catch(() => joined)
    nodes.push({ host, dht, id: dht.id, address: host.address })
  }
  await add([])
  const bootstrap = nodes.map(({ address }) => address)
  while (nodes.length < count) {
    await atMost(atOnce, Math.min(atOnce, count - nodes.length), () => add(bootstrap))
  }
  await simulator.delay(60_000)
  return nodes
}

/** Does something so many times, at most so many at once. */
export async function atMost(atOnce: number, times: number, act: (i: number) => Promise<void>): Promise<void> {
  for (let i = 0; i < times; i += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, times - i) }, (_, j) => act(i + j)))
  }
}

/** The k nodes that are truly nearest to a target, by brute force; the asker left out, as nobody finds himself. */
export function trueNearest(
  nodes: readonly SimulatedNode[],
  target: Uint8Array,
  asker: SimulatedNode,
  k = 20,
): SimulatedNode[] {
  const others = nodes.filter((node) => node !== asker)
  const distances = new Map(others.map((node) => [node, node.id.map((byte, i) => byte ^ (target[i] as number))]))
  const compare = (a: Uint8Array, b: Uint8Array): number => {
    const at = a.findIndex((byte, i) => byte !== b[i])
    return (a[at] as number) - (b[at] as number)
  }
  return others.sort((a, b) => compare(distances.get(a) as Uint8Array, distances.get(b) as Uint8Array)).slice(0, k)
}

/** Puts random values from random nodes. */
export async function putValues(
  simulator: Simulator,
  nodes: readonly SimulatedNode[],
  count: number,
): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  await atMost(10, count, async () => {
    const value = simulator.random.bytes(1 + simulator.random.int(880))
    const { key } = await simulator.random.pick(nodes).dht.put(value)
    keys.push(key)
  })
  return keys
}

/** Which share of the values random nodes find, and how long each took that was found. */
export async function getValues(
  simulator: Simulator,
  nodes: readonly SimulatedNode[],
  keys: readonly Uint8Array[],
  atOnce: number,
): Promise<{ foundRate: number; elapsedMs: number[] }> {
  const elapsedMs: number[] = []
  await atMost(atOnce, keys.length, async (i) => {
    const found = await simulator.random
      .pick(nodes)
      .dht.get(keys[i] as Uint8Array)
      .catch(() => undefined)
    if (found) elapsedMs.push(found.elapsedMs)
  })
  return { foundRate: elapsedMs.length / keys.length, elapsedMs }
}

/** The value that this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
}
