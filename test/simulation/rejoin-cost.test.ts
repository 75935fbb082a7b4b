// What it costs to come back, beside what it costs to come for the first time.

import { expect, test } from 'vitest'
import { createDht } from '../../src/index.js'
import type { SimulatedHost, Simulator } from '../../src/testing/index.js'
import { quantile } from './network.js'
import { inNetwork, killKept } from './rejoin-network.js'

const SEEDS = [1, 2, 3]
const DEAD_SHARES = [0, 0.3, 0.7]
const NODES = 300

/** Datagrams that a machine sends or gets, from now on. */
function counting(simulator: Simulator, { address }: SimulatedHost): { count: number } {
  const counted = { count: 0 }
  simulator.setFilter(({ from, to }) => {
    if (from === address || to === address) counted.count++
    return true
  })
  return counted
}

interface Cost {
  readonly joinMs: number
  readonly untilJoined: number
  readonly inMinutes: number
  readonly contacts: number
}

/** Starts a node and tells what its join took, and what it sent and got in its first two minutes. */
async function costOf(
  simulator: Simulator,
  host: SimulatedHost,
  node: { start(): Promise<{ elapsedMs: number }>; contacts(): unknown[] },
): Promise<Cost> {
  const counted = counting(simulator, host)
  const { elapsedMs } = await node.start()
  const untilJoined = counted.count
  await simulator.delay(120_000)
  simulator.setFilter(undefined)
  return { joinMs: elapsedMs, untilJoined, inMinutes: counted.count, contacts: node.contacts().length }
}

/** What a newcomer's join costs, and after it each return of the node, with so many of its kept contacts dead. */
function costsOf(seed: number): Promise<Cost[]> {
  return inNetwork(seed, NODES, async (scene) => {
    const { before, nodes, simulator } = scene
    const host = simulator.host()
    const { transport, clock, randomBytes } = host
    const newcomer = createDht({ transport, clock, randomBytes, bootstrap: [nodes[0]?.address as string] })
    const costs = [await costOf(simulator, host, newcomer)]
    let last = before
    for (const share of DEAD_SHARES) {
      await last.dht.close()
      killKept(scene, share)
      last = scene.restart()
      costs.push(await costOf(simulator, last.host, last.dht))
    }
    return costs
  })
}

function row(name: string, costs: readonly Cost[]): string {
  const median = (pick: (cost: Cost) => number): number => Math.round(quantile(costs.map(pick), 0.5))
  const [joinMs, most] = [median((cost) => cost.joinMs), Math.round(Math.max(...costs.map((cost) => cost.joinMs)))]
  const [until, minutes] = [median((cost) => cost.untilJoined), median((cost) => cost.inMinutes)]
  const contacts = median((cost) => cost.contacts)
  return `${name}: ${joinMs} ms (at most ${most}), ${until} datagrams until joined, ${minutes} in two minutes, ${contacts} contacts`
}

test(`a node comes back for about as many datagrams as a newcomer needs (seeds ${SEEDS})`, async () => {
  const bySeed: Cost[][] = []
  for (const seed of SEEDS) bySeed.push(await costsOf(seed))
  const [first, ...again] = ['join', ...DEAD_SHARES].map((_, i) => bySeed.map((costs) => costs[i] as Cost))
  const lines = again.map((costs, i) =>
    row(`rejoin, ${100 * (DEAD_SHARES[i] as number)} % of the kept contacts dead`, costs),
  )
  console.log([row('join through one bootstrap node', first as Cost[]), ...lines].join('\n'))
  const newcomers = quantile(
    (first as Cost[]).map(({ inMinutes }) => inMinutes),
    0.5,
  )
  for (const { inMinutes, joinMs } of again.flat()) {
    expect(inMinutes).toBeLessThan(1.5 * newcomers)
    expect(joinMs).toBeLessThan(5_000)
  }
})
