// What becomes of the records of a node that was away.

import { describe, expect, test } from 'vitest'
import type { DhtOptions, StoredRecord } from '../../src/index.js'
import { createDht, keyOf, toHex } from '../../src/index.js'
import { encodeImmutable } from '../../src/records/index.js'
import { createCodec, STORE } from '../../src/wire/index.js'
import type { SimulatedNode } from './network.js'
import { trueNearest } from './network.js'
import type { Scene } from './rejoin-network.js'
import { inNetwork } from './rejoin-network.js'

const SEED = 42
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const IMMUTABLE = 0

/** Values that the node in question keeps, put by others near to its id, so that it is among the nearest. */
async function putNear(scene: Scene, count: number, lifetimeMs: number): Promise<Uint8Array[]> {
  const { before, medium, nodes, simulator } = scene
  const keys: Uint8Array[] = []
  while (keys.length < count) {
    const value = simulator.random.bytes(20)
    // Half of the key space is nearer to us than to most.
    if ((keyOf(value)[0] as number) >> 5 !== (before.id[0] as number) >> 5) continue
    const { key } = await simulator.random.pick(nodes).dht.put(value, { lifetimeMs, republish: false })
    await simulator.delay(1000)
    if (medium.records.list(key, IMMUTABLE).length > 0) keys.push(key)
  }
  return keys
}

/** A value that the node's store has from before, and nobody else. */
function inherit({ medium, before }: Scene, text: string, part: Partial<StoredRecord> = {}): Uint8Array {
  const { key, record } = encodeImmutable(new TextEncoder().encode(text))
  const nowMs = before.host.clock.wallNow()
  const times = { storedAtMs: nowMs, expiresAtMs: nowMs + 2 * DAY_MS }
  medium.records.put({
    key,
    kind: IMMUTABLE,
    slot: new Uint8Array(0),
    record,
    source: Uint8Array.of(1),
    ...times,
    ...part,
  })
  return key
}

/** What a machine stores at others from now on, by key, resends included. */
function watchStores({ simulator }: Scene, { address }: SimulatedNode): Map<string, number> {
  const codec = createCodec('xorbit')
  const stores = new Map<string, number>()
  simulator.setFilter(({ from, bytes }) => {
    const message = from === address ? codec.decode(new Uint8Array(bytes)) : undefined
    if (message?.type !== 'request' || message.method !== STORE.code) return true
    const key = toHex(STORE.readParams(message.params)?.key as Uint8Array)
    stores.set(key, (stores.get(key) ?? 0) + 1)
    return true
  })
  return stores
}

/** Asks a node for a value over the wire, as anybody may. */
async function ask({ simulator }: Scene, node: SimulatedNode, key: Uint8Array): Promise<boolean> {
  const { transport, clock, randomBytes } = simulator.host()
  // It knows this one node only.
  const asker = createDht({ transport, clock, randomBytes, client: true, k: 1 })
  await asker.start()
  await asker.ping(node.address)
  const found = await asker.get(key).catch(() => undefined)
  await asker.close()
  return found !== undefined
}

describe(`the records of a node that was away (seed ${SEED})`, () => {
  test('are offered to their present k nearest, all of which hold them soon after, following hours of churn', async () => {
    await inNetwork(SEED, 200, async (scene) => {
      const { before, medium, nodes, simulator } = scene
      const keys = await putNear(scene, 8, DAY_MS)
      await before.dht.close()
      // All others are replaced while it is away, and none of them repairs: only it has the values.
      const bootstrap = (medium.state.contacts ?? []).slice(0, 5).map(({ address }) => address)
      const stay = new Set(bootstrap)
      for (const node of nodes) if (!stay.has(node.address)) node.host.kill()
      const holders = nodes.filter(({ host }) => host.isAlive)
      for (let i = 0; i < 150; i++) {
        const host = simulator.host()
        const { transport, clock, randomBytes } = host
        const dht = createDht({ transport, clock, randomBytes, bootstrap, repair: false })
        await dht.start()
        holders.push({ host, dht, id: dht.id, address: host.address })
        await simulator.delay(60_000)
      }
      const again = scene.restart()
      await again.dht.start()
      await simulator.delay(60_000)
      for (const key of keys) {
        const nearest = trueNearest(holders, key, again)
        const has = await Promise.all(nearest.map((node) => ask(scene, node, key)))
        expect(has.filter(Boolean).length).toBe(20)
      }
    })
  })

  test('cost no STORE where their holders have them still', async () => {
    await inNetwork(SEED, 60, async (scene) => {
      const { before, simulator } = scene
      const keys = await putNear(scene, 10, DAY_MS)
      await before.dht.close()
      const again = scene.restart()
      const stores = watchStores(scene, again)
      await again.dht.start()
      await simulator.delay(60_000)
      expect(again.dht.stats().isJoined).toBe(true)
      const ofKeys = keys.map((key) => stores.get(toHex(key)) ?? 0)
      // At some key it may have been left out by the put, which returns when three quarters have it.
      expect(ofKeys.reduce((a, b) => a + b)).toBeLessThan(10)
    })
  })

  test.each([
    ['a client', { client: true }],
    ['without repair', { repair: false }],
  ] as const)('are not offered by a node that is %s', async (_, options: Partial<DhtOptions>) => {
    await inNetwork(SEED, 30, async (scene) => {
      const { before, nodes, simulator } = scene
      await putNear(scene, 5, DAY_MS)
      await before.dht.close()
      for (const { host } of nodes.slice(20)) host.kill()
      const again = scene.restart(options)
      const stores = watchStores(scene, again)
      await again.dht.start()
      await simulator.delay(5 * 60_000)
      expect(stores.size).toBe(0)
    })
  })

  test('that expired while it was away are gone before it answers anybody, and the others are there', async () => {
    await inNetwork(SEED, 30, async (scene) => {
      const { before, medium, simulator } = scene
      const short = await putNear(scene, 3, 2 * HOUR_MS)
      const long = await putNear(scene, 3, DAY_MS)
      await before.dht.close()
      await simulator.delay(3 * HOUR_MS)
      expect(short.map((key) => medium.records.list(key, IMMUTABLE).length)).toEqual([1, 1, 1])
      const again = scene.restart()
      const stores = watchStores(scene, again)
      let leftAtFirstReply = -1
      const { send } = again.host.transport
      again.host.transport.send = (to, bytes) => {
        if (leftAtFirstReply < 0) leftAtFirstReply = short.flatMap((key) => medium.records.list(key, IMMUTABLE)).length
        send.call(again.host.transport, to, bytes)
      }
      await again.dht.start()
      expect(leftAtFirstReply).toBe(0)
      for (const key of short) expect(await ask(scene, again, key)).toBe(false)
      for (const key of long) expect(await ask(scene, again, key)).toBe(true)
      await simulator.delay(60_000)
      for (const key of short) expect(stores.has(toHex(key))).toBe(false)
    })
  })

  test('live no longer for a clock that went back by a day, and are offered all the same', async () => {
    await inNetwork(SEED, 30, async (scene) => {
      const { before, medium, simulator } = scene
      const keys = await putNear(scene, 5, 2 * DAY_MS)
      await before.dht.announce(keyOf('topic'))
      await before.dht.close()
      const lonely = inherit(scene, 'nobody else has it')
      const host = simulator.host({ address: before.address, wallSkewMs: -DAY_MS })
      const again = scene.restart({}, host)
      const stores = watchStores(scene, again)
      await again.dht.start()
      const nowMs = host.clock.wallNow()
      for (const { kind, storedAtMs, expiresAtMs } of medium.records.entries() as Iterable<StoredRecord>) {
        expect(storedAtMs).toBeLessThanOrEqual(nowMs)
        expect(expiresAtMs - nowMs).toBeLessThanOrEqual(kind === IMMUTABLE ? 2 * DAY_MS : 2 * HOUR_MS)
      }
      expect(keys.flatMap((key) => medium.records.list(key, IMMUTABLE))).toHaveLength(5)
      await simulator.delay(60_000)
      expect(stores.get(toHex(lonely))).toBeGreaterThanOrEqual(20)
    })
  })

  test('outlive a start with a clock that stands decades back until it hears the time', async () => {
    await inNetwork(SEED, 30, async (scene) => {
      const { before, medium, simulator } = scene
      const keys = await putNear(scene, 5, DAY_MS)
      await before.dht.close()
      const yearsBack = simulator.host({ address: before.address, wallSkewMs: -40 * 365 * DAY_MS })
      const wrong = scene.restart({}, yearsBack)
      await wrong.dht.start()
      await simulator.delay(60_000)
      await wrong.dht.close()
      const right = scene.restart({}, simulator.host())
      await right.dht.start()
      expect(keys.flatMap((key) => medium.records.list(key, IMMUTABLE))).toHaveLength(5)
    })
  })

  test('are gone where the clock went forward by a day and they had less, and no others', async () => {
    await inNetwork(SEED, 30, async (scene) => {
      const { before, medium, simulator } = scene
      const day = await putNear(scene, 3, DAY_MS)
      const two = await putNear(scene, 3, 2 * DAY_MS)
      await before.dht.close()
      const again = scene.restart({}, simulator.host({ address: before.address, wallSkewMs: DAY_MS }))
      await again.dht.start()
      expect(day.flatMap((key) => medium.records.list(key, IMMUTABLE))).toEqual([])
      expect(two.flatMap((key) => medium.records.list(key, IMMUTABLE))).toHaveLength(3)
    })
  })

  test('of peers, and copies that readers left, are offered to nobody', async () => {
    await inNetwork(SEED, 60, async (scene) => {
      const { before, medium, nodes, simulator } = scene
      const topic = new Uint8Array(before.id)
      topic[31] = (topic[31] as number) ^ 1
      await (nodes[3] as SimulatedNode).dht.announce(topic)
      const plain = inherit(scene, 'a value')
      const cached = inherit(scene, 'a copy', { meta: Uint8Array.of(1) })
      expect(medium.records.stats().records).toBeGreaterThanOrEqual(3)
      await before.dht.close()
      const again = scene.restart()
      const stores = watchStores(scene, again)
      await again.dht.start()
      await simulator.delay(60_000)
      expect(stores.has(toHex(topic))).toBe(false)
      expect(stores.has(toHex(cached))).toBe(false)
      expect(stores.get(toHex(plain))).toBeGreaterThanOrEqual(20)
    })
  })
})
