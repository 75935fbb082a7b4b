import { describe, expect, test } from 'vitest'
import { sharedPrefixBits } from '../../../src/keyspace/index.js'
import type { StoredRecord } from '../../../src/storage/index.js'
import { MemoryStore } from '../../../src/storage/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { FIND_NODE } from '../../../src/wire/index.js'
import { befriend, openNode, targetOf } from './node-fixture.js'

const HOUR_MS = 3_600_000

/** A node that knows three contacts in each of its regions 0 to 3. */
async function setUp(seed = 6) {
  const simulator = new Simulator({ seed, latency: fixedLatency(10) })
  const storage = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
  const node = await openNode(simulator, { k: 4, storage })
  const peers = []
  for (let region = 0; region < 4; region++) peers.push(...(await befriend(simulator, node.dht, 3, region)))
  /** The regions that lookups ran in, with the time of their first request. */
  const lookedUp = (): { region: number; atMs: number }[] => lookups
  const lookups: { region: number; atMs: number }[] = []
  const known = new Set<string>()
  for (const peer of peers) {
    const answer = peer.onRequest
    peer.onRequest = (request, from) => {
      answer(request, from)
      const target = request.method === FIND_NODE.code ? targetOf(request) : undefined
      if (target === undefined || known.has(target.join())) return
      known.add(target.join())
      lookups.push({ region: sharedPrefixBits(node.dht.id, target), atMs: simulator.nowMs })
    }
  }
  return { simulator, storage, peers, lookedUp, ...node }
}

describe('refresh', () => {
  test('looks up every region within its interval, give or take a quarter, again and again', async () => {
    const { simulator, lookedUp } = await setUp()
    const startMs = simulator.nowMs
    await simulator.advance(24 * HOUR_MS)
    for (let region = 0; region < 4; region++) {
      const times = lookedUp().flatMap(({ region: other, atMs }) => (other === region ? [atMs] : []))
      const pauses = [...times, simulator.nowMs].map((atMs, i) => atMs - (times[i - 1] ?? startMs))
      expect(Math.max(...pauses)).toBeLessThanOrEqual(1.26 * HOUR_MS)
      expect(times.length).toBeLessThanOrEqual(33)
    }
    // Not one lookup for each of the 256 bits.
    expect(Math.max(...lookedUp().map(({ region }) => region))).toBeLessThanOrEqual(4)
  })

  test('leaves out a region that the application asked for lately', async () => {
    const { simulator, dht, peers, lookedUp } = await setUp()
    await simulator.advance(40 * 60_000)
    // Refresh is 45 to 75 minutes after the start.
    expect(lookedUp()).toEqual([])
    const inRegion1 = peers.find(({ id }) => sharedPrefixBits(dht.id, id) === 1)!
    await simulator.run(() => dht.findNode(inRegion1.id))
    await simulator.advance(30_000)
    const asked = lookedUp().length
    expect(asked).toBe(1)
    await simulator.advance(36 * 60_000)
    const refreshed = lookedUp().slice(asked)
    expect(refreshed.map(({ region }) => region).sort()).toEqual([0, 2, 3, 4])
  })

  test('runs at other times at other nodes', async () => {
    const times = []
    for (const seed of [1, 2, 3, 4]) {
      const { simulator, lookedUp } = await setUp(seed)
      await simulator.advance(1.3 * HOUR_MS)
      times.push(Math.round((lookedUp()[0]?.atMs ?? 0) / 1_000))
    }
    expect(new Set(times).size).toBe(4)
    for (const time of times) {
      expect(time).toBeGreaterThan(44 * 60)
      expect(time).toBeLessThan(76 * 60)
    }
  })

  test('gives contacts that failed another chance: who lives is named again, who is dead leaves', async () => {
    const { simulator, dht, peers } = await setUp()
    const [mended, dead] = [peers[0]!, peers[1]!]
    const answers = [mended, dead].map((peer) => peer.onRequest)
    for (const peer of [mended, dead]) peer.onRequest = () => {}
    // One failed call each, while others answer.
    for (const peer of [mended, dead]) {
      await simulator.run(async () => {
        const lost = dht.ping(peer.contact).catch(() => {})
        await simulator.delay(100)
        await dht.ping(peers[2]!.contact)
        await lost
      })
    }
    mended.onRequest = answers[0]!
    await simulator.advance(1.3 * HOUR_MS)
    const left = dht.contacts().map(({ address }) => address)
    expect(left).toContain(mended.address)
    expect(left).not.toContain(dead.address)
  })

  test('keeps contacts that nobody asks for within those that are named first', async () => {
    const { simulator, peers } = await setUp()
    const before = peers.map((peer) => peer.requests().length)
    await simulator.advance(1.3 * HOUR_MS)
    const asked = peers.filter((peer, i) => peer.requests().length > (before[i] as number))
    expect(asked.length).toBe(peers.length)
  })
})

test('what is expired leaves the store within a minute, and nothing else', async () => {
  const { simulator, storage, host } = await setUp()
  const record = (number: number, expiresAtMs: number): StoredRecord => ({
    key: new Uint8Array(32).fill(number),
    kind: 0,
    slot: new Uint8Array(0),
    record: Uint8Array.of(0, number),
    storedAtMs: 0,
    expiresAtMs,
    source: new Uint8Array(4),
  })
  const nowMs = host.clock.wallNow()
  for (const [i, minutes] of [5, 10, 15].entries()) storage.put(record(i, nowMs + minutes * 60_000))
  const left = []
  for (let minute = 1; minute <= 16; minute++) {
    await simulator.advance(60_000)
    left.push(storage.stats().records)
  }
  expect(left.slice(0, 4)).toEqual([3, 3, 3, 3])
  expect([left[5], left[8], left[10], left[13], left[15]]).toEqual([2, 2, 1, 1, 0])
})

test('a closed node refreshes nothing and removes nothing', async () => {
  const { simulator, dht } = await setUp()
  await simulator.run(() => dht.close())
  const { sent } = simulator.stats
  await simulator.advance(24 * HOUR_MS)
  expect(simulator.stats.sent).toBe(sent)
})
