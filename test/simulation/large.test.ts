// A short version of `npm run simulate:large`: values of many parts under loss, among the dead, among liars, and over hours
// in which every node that stored them leaves.

import { expect, test } from 'vitest'
import { createDht } from '../../src/index.js'
import { fixedLatency, Simulator } from '../../src/testing/index.js'
import { FIND_VALUE, PING, STORE, TOKENS } from '../../src/wire/index.js'
import { answerHonestly, openNetwork } from '../unit/node/node-fixture.js'
import { RawPeer } from '../unit/rpc/raw-peer.js'
import { atMost, buildNetwork } from './network.js'

const HOUR_MS = 3_600_000

test.each([1, 2])(
  'half a MiB comes back under a fifth of loss after a third of the nodes died, seed %i',
  async (seed) => {
    const simulator = new Simulator({ seed, trace: false })
    await simulator.run(async () => {
      const nodes = await buildNetwork(simulator, 60)
      simulator.setFaults({ lossRate: 0.2 })
      const value = simulator.random.bytes(2 ** 19)
      const { key, parts, replicasMin } = await nodes[0]!.dht.put(value)
      expect(parts).toBeGreaterThan(600)
      expect(replicasMin).toBeGreaterThanOrEqual(12)
      await simulator.delay(60_000)
      for (const { host } of nodes.slice(0, 20)) host.kill()
      const found = await nodes[30]!.dht.get(key)
      expect(Buffer.compare(found?.value as Uint8Array, value)).toBe(0)
    })
  },
)

test.each([3, 20])(
  'among %i nodes so near that their limits of requests are met, every put succeeds',
  async (count) => {
    const simulator = new Simulator({ seed: 5, latency: fixedLatency(2), trace: false })
    await simulator.run(async () => {
      const nodes = await buildNetwork(simulator, count)
      const [a, b] = [simulator.random.bytes(2 ** 20), simulator.random.bytes(300_000)]
      const puts = await Promise.all([nodes[1]!.dht.put(a), nodes[1]!.dht.put(b)])
      for (const { replicasMin } of puts) expect(replicasMin).toBeGreaterThanOrEqual(Math.ceil(0.75 * (count - 1)))
      for (const [i, value] of [a, b].entries()) {
        const found = await nodes[2]!.dht.get(puts[i]!.key)
        expect(Buffer.compare(found?.value as Uint8Array, value)).toBe(0)
      }
      const limited = nodes.reduce((sum, { dht }) => sum + (dht.stats().dropped.rateLimited ?? 0), 0)
      expect(limited).toBeGreaterThan(0)
    })
  },
)

test('holders that take every part and hand out other bytes are found out, and others asked in their place', async () => {
  const simulator = new Simulator({ seed: 3, latency: fixedLatency(20), trace: false })
  const nodes = await openNetwork(simulator, 25)
  let lies = 0
  for (let i = 0; i < 10; i++) {
    const liar = await RawPeer.on(simulator.host(), simulator.random.bytes(32))
    liar.onRequest = (request, from) => {
      const token = Uint8Array.of(1)
      if (request.method === FIND_VALUE.code) {
        const params = FIND_VALUE.readParams(request.params)
        const records = params?.want === 0 ? [] : [new Uint8Array(881)]
        lies += records.length
        const ttlsSeconds = records.map(() => 3600)
        const result = {
          token,
          heldSeq: 0n,
          records,
          contacts: new Uint8Array(0),
          leftOut: 0,
          recordsLeft: 0,
          ttlsSeconds,
        }
        liar.answer(from, request, FIND_VALUE, result)
      } else if (request.method === TOKENS.code) {
        const keys = TOKENS.readParams(request.params)?.keys ?? []
        liar.answer(from, request, TOKENS, { tokens: keys.map(() => ({ token, heldSeq: undefined })) })
      } else if (request.method === STORE.code) {
        liar.answer(from, request, STORE, { ttlSeconds: 3600 })
      } else {
        answerHonestly(liar, request, from)
      }
    }
    for (const { address } of nodes) liar.ask(address, PING, {})
  }
  await simulator.advance(10_000)
  const value = simulator.random.bytes(100_000)
  const { key } = await simulator.run(() => nodes[1]!.dht.put(value))
  const reader = await simulator.run(async () => {
    const { transport, clock, randomBytes } = simulator.host()
    const dht = createDht({ transport, clock, randomBytes, bootstrap: [nodes[0]!.address] })
    await dht.start()
    return dht
  })
  await simulator.advance(60_000)
  const found = await simulator.run(() => reader.get(key))
  expect(found?.value).toEqual(value)
  expect(lies).toBeGreaterThan(10)
  expect(reader.stats().invalidRecords).toBe(lies)
})

test('all parts outlive every node that stored them, as the holders repair them', async () => {
  const simulator = new Simulator({ seed: 4, trace: false, poison: false })
  await simulator.run(
    async () => {
      let nodes = await buildNetwork(simulator, 40)
      const value = simulator.random.bytes(50_000)
      const { key } = await nodes[0]!.dht.put(value)
      // The publisher goes first; then, hour by hour, a third of those that were there.
      const first = new Set(nodes)
      nodes[0]!.host.kill()
      nodes = nodes.slice(1)
      for (let hour = 0; hour < 4; hour++) {
        await simulator.delay(HOUR_MS)
        const leaving = nodes.filter((node) => first.has(node)).slice(0, 10)
        for (const { host } of leaving) host.kill()
        nodes = nodes.filter((node) => !leaving.includes(node))
        await atMost(5, leaving.length, async () => {
          const host = simulator.host()
          const { transport, clock, randomBytes } = host
          const bootstrap = nodes.slice(-3).map(({ address }) => address)
          const dht = createDht({ transport, clock, randomBytes, bootstrap })
          await dht.start()
          nodes.push({ host, dht, id: dht.id, address: host.address })
        })
      }
      expect(nodes.some((node) => first.has(node))).toBe(false)
      await simulator.delay(HOUR_MS)
      expect((await nodes[3]!.dht.get(key))?.value).toEqual(value)
    },
    { limitMs: 10 * HOUR_MS },
  )
})
