// Many peers of one topic. bench/topic.js shows the same with ten thousand of them.

import { describe, expect, test } from 'vitest'
import type { Announcement } from '../../src/index.js'
import { generateKeyPair, keyOf, toHex } from '../../src/index.js'
import { Simulator } from '../../src/testing/index.js'
import type { Member } from '../unit/dht/network.js'
import { grow } from '../unit/dht/network.js'
import { atMost } from './network.js'

const MINUTE_MS = 60_000
/** That of an announcement. */
const LIFETIME_MS = 60 * MINUTE_MS
const TOPIC = keyOf('a topic')
const K = 20
/** What a holder keeps of one topic. */
const PEERS_MAX = 1_024

interface Peer {
  readonly node: Member
  readonly announcement: Announcement
  readonly name: string
}

function simulate(seed: string, work: (simulator: Simulator) => Promise<void>): Promise<void> {
  const simulator = new Simulator({ seed, trace: false })
  return simulator.run(() => work(simulator), { limitMs: 24 * 60 * MINUTE_MS })
}

/** As many peers, spread over the nodes. */
async function announce(simulator: Simulator, nodes: readonly Member[], count: number): Promise<Peer[]> {
  const peers: Peer[] = []
  await atMost(50, count, async (i) => {
    const node = nodes[i % nodes.length]!
    const keys = generateKeyPair({ seed: simulator.random.bytes(32) })
    const announcement = await node.dht.announce(TOPIC, { keys, port: 1 + i })
    peers.push({ node, announcement, name: toHex(keys.publicKey) })
  })
  return peers
}

/** The names of the peers that one node locates, and after how long the first came. */
async function locate(simulator: Simulator, { dht }: Member, atMostPeers = Number.POSITIVE_INFINITY) {
  const startedAtMs = simulator.nowMs
  const names: string[] = []
  let firstMs = Number.POSITIVE_INFINITY
  for await (const { publicKey } of dht.locate(TOPIC)) {
    if (names.length === 0) firstMs = simulator.nowMs - startedAtMs
    if (names.push(toHex(publicKey)) >= atMostPeers) break
  }
  return { names, firstMs }
}

/** The nodes farthest from the topic: none of them holds it. */
function farthest(nodes: readonly Member[], count: number): Member[] {
  const distance = ({ dht }: Member) => toHex(dht.id.map((byte, i) => byte ^ TOPIC[i]!))
  const farthestFirst = [...nodes].sort((a, b) => (distance(a) < distance(b) ? 1 : -1))
  return farthestFirst.slice(0, count)
}

function among(names: readonly string[], peers: readonly Peer[]): number {
  return peers.filter(({ name }) => names.includes(name)).length
}

describe('a topic of many peers', () => {
  test('locate finds nearly all, each once, the first within one lookup, and no peer absurdly often among the first', async () => {
    await simulate('many', async (simulator) => {
      const nodes = await grow(simulator, 60)
      const peers = await announce(simulator, nodes, 150)
      for (const node of farthest(nodes, 3)) {
        const { names, firstMs } = await locate(simulator, node)
        expect(new Set(names).size).toBe(names.length)
        expect(among(names, peers)).toBe(names.length)
        expect(names.length).toBeGreaterThanOrEqual(0.95 * peers.length)
        const { elapsedMs } = await node.dht.findNode(TOPIC)
        expect(firstMs).toBeLessThanOrEqual(elapsedMs)
      }

      // Holders know peers of their own, so that others are asked here.
      const times = new Map<string, number>()
      const readers = farthest(nodes, nodes.length - K)
      const [rounds, first] = [3, 10]
      for (let round = 0; round < rounds; round++) {
        for (const node of readers) {
          const { names } = await locate(simulator, node, first)
          expect(names).toHaveLength(first)
          for (const name of names) times.set(name, (times.get(name) ?? 0) + 1)
        }
      }
      const mean = (rounds * readers.length * first) / peers.length
      expect(mean).toBe(8)
      expect(times.size).toBe(peers.length)
      expect(Math.max(...times.values())).toBeLessThan(4 * mean)
    })
  })

  test('who stops is gone at once, who dies is gone after its lifetime, the others stay for hours', async () => {
    await simulate('leaving', async (simulator) => {
      const nodes = await grow(simulator, 30)
      const peers = await announce(simulator, nodes, nodes.length)
      const others = farthest(nodes, 10)
      const [dying, leaving] = [others.slice(0, 4), others.slice(4, 8)]
      const dead = peers.filter(({ node }) => dying.includes(node))
      const left = peers.filter(({ node }) => leaving.includes(node))
      const staying = peers.filter((peer) => !dead.includes(peer) && !left.includes(peer))
      expect([dead.length, left.length, staying.length]).toEqual([4, 4, 22])

      const removedAt = await Promise.all(left.map(({ announcement }) => announcement.stop()))
      for (const removed of removedAt) expect(removed.removedAt.length).toBeGreaterThanOrEqual(K)
      for (const { host } of dying) host.kill()
      const diedAtMs = simulator.nowMs
      const readers = others.slice(8)
      const check = async (afterMs: number, areDeadNamed: boolean) => {
        await simulator.delay(diedAtMs + afterMs - simulator.nowMs)
        for (const node of readers) {
          const { names } = await locate(simulator, node)
          expect(among(names, left)).toBe(0)
          if (areDeadNamed) expect(among(names, dead)).toBe(4)
          else expect(among(names, dead)).toBe(0)
          expect(among(names, staying)).toBeGreaterThanOrEqual(staying.length - 1)
        }
      }
      await check(1_000, true)
      // It was announced less than half a lifetime before it died.
      await check(LIFETIME_MS / 4, true)
      await check(LIFETIME_MS + MINUTE_MS, false)
      await check(3 * LIFETIME_MS, false)
    })
  })

  test('one holder keeps a thousand of it at most, and a locate finds a thousand', async () => {
    await simulate('full', async (simulator) => {
      const nodes = await grow(simulator, 4)
      await announce(simulator, nodes, PEERS_MAX + 176)
      for (const { dht } of nodes) {
        // Each but those of the node itself.
        expect(dht.stats().storage.records).toBeGreaterThanOrEqual(880)
        expect(dht.stats().storage.records).toBeLessThanOrEqual(PEERS_MAX)
      }
      const { names } = await locate(simulator, nodes[1]!)
      expect(names.length).toBeGreaterThanOrEqual(1_000)
    })
  })
})
