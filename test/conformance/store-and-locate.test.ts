import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Address, Dht, DhtOptions, LocatedPeer, RecordKind } from '../../src/index.js'
import { createDht, generateKeyPair, keyOf, sign, toHex, verify } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'

const TOPIC = keyOf('a topic')
const NODES = 12

/** A network on 127.0.0.1 that is closed when the test ends. */
async function grow(options: Partial<DhtOptions> = {}): Promise<Dht[]> {
  const nodes: Dht[] = []
  for (let i = 0; i < NODES; i++) {
    const bootstrap = nodes.slice(0, 1).map(({ address }) => address as Address)
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }), requestTimeoutMs: 500, bootstrap, ...options })
    onTestFinished(() => dht.close())
    await dht.start()
    nodes.push(dht)
  }
  return nodes
}

async function locateAll(dht: Dht): Promise<LocatedPeer[]> {
  const peers: LocatedPeer[] = []
  for await (const peer of dht.locate(TOPIC)) peers.push(peer)
  return peers
}

/** Asks until the answer is the expected one; a busy machine may take its time. */
async function eventually<T>(ask: () => Promise<T>, isExpected: (answer: T) => boolean): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  while (!isExpected(await ask())) {
    expect(performance.now()).toBeLessThan(deadlineMs)
    await delay(50)
  }
}

/** One mark for each author, signed; the later one wins. */
const marks: RecordKind = {
  code: 100,
  name: 'marks',
  recordBytesMax: 97,
  slotsPerKeyMax: 32,
  isRelayed: true,
  isFirstEnough: false,
  isValid(key, record) {
    if (record.length !== 97) return false
    return verify(record.subarray(33), Uint8Array.of(...key, ...record.subarray(32, 33)), record.subarray(0, 32))
  },
  slot: (record) => record.slice(0, 32),
  merge: (a, b) => ((a[32] as number) >= (b[32] as number) ? a : b),
}

test('over UDP a signed value is published, moved, swapped and resolved', async () => {
  const nodes = await grow()
  const keys = generateKeyPair()
  const [first, second] = nodes as [Dht, Dht]
  expect(await second.resolve(keys.publicKey)).toBeUndefined()
  const { storedAt, seq } = await first.publish(keys, Uint8Array.of(1))
  // A lookup ends without those that are overdue, and a busy machine makes some so.
  expect(storedAt.length).toBeGreaterThan(NODES / 2)
  expect(seq).toBe(1n)
  for (const dht of nodes) expect(await dht.resolve(keys.publicKey)).toMatchObject({ seq, value: Uint8Array.of(1) })
  expect((await second.publish(keys, Uint8Array.of(2), { cas: 1n })).seq).toBe(2n)
  await expect(first.publish(keys, Uint8Array.of(3), { cas: 1n })).rejects.toMatchObject({ code: 'ERR_CAS_MISMATCH' })
  await expect(first.publish(keys, Uint8Array.of(3), { seq: 1n })).rejects.toMatchObject({ code: 'ERR_SEQ_TOO_LOW' })
  for (const dht of nodes) expect(await dht.resolve(keys.publicKey)).toMatchObject({ seq: 2n, value: Uint8Array.of(2) })
})

test('over UDP peers are announced, located and gone when they stop', async () => {
  const nodes = await grow()
  const announcements = []
  for (const [i, dht] of nodes.slice(0, 4).entries()) {
    announcements.push(await dht.announce(TOPIC, i === 0 ? {} : { port: 8000 + i, data: Uint8Array.of(i) }))
  }
  const expected = [`${nodes[0]?.address}`, '127.0.0.1:8001', '127.0.0.1:8002', '127.0.0.1:8003'].sort()
  for (const dht of [nodes[0]!, nodes[5]!, nodes[11]!]) {
    expect((await locateAll(dht)).map(({ address }) => address).sort()).toEqual(expected)
  }
  const { removedAt } = await announcements[1]!.stop()
  expect(removedAt.length).toBeGreaterThan(NODES / 2)
  await Promise.all([announcements[2]!.stop(), announcements[3]!.stop()])
  const only = (peers: LocatedPeer[]): boolean => peers.map(({ address }) => address).join() === nodes[0]?.address
  await eventually(() => locateAll(nodes[7]!), only)
})

test("over UDP records of an application's own kind are stored, merged and found", async () => {
  const nodes = await grow({ records: [marks] })
  const record = (author: number, mark: number): Uint8Array => {
    const { publicKey, secretKey } = generateKeyPair({ seed: keyOf(`author ${author}`) })
    return Uint8Array.of(...publicKey, mark, ...sign(Uint8Array.of(...TOPIC, mark), secretKey))
  }
  for (const [author, mark] of [
    [1, 5],
    [2, 6],
    [1, 7],
    [3, 8],
    [2, 4],
  ] as const) {
    const { storedAt } = await nodes[author]!.storeRecord(marks, TOPIC, record(author, mark))
    expect(storedAt.length).toBeGreaterThan(NODES / 2)
  }
  for (const dht of [nodes[0]!, nodes[11]!]) {
    const { records } = await dht.findRecords(marks, TOPIC)
    expect(records.map(toHex).sort()).toEqual([record(1, 7), record(2, 6), record(3, 8)].map(toHex).sort())
  }
})

test('over UDP what a node stored outlives its lifetime while the node is open, and not longer', async () => {
  const nodes = await grow()
  const [publisher, reader] = nodes as [Dht, Dht]
  const { key } = await publisher.put(Uint8Array.of(7), { lifetimeMs: 2000 })
  const fleeting = await publisher.put(Uint8Array.of(8), { lifetimeMs: 2000, republish: false })
  await eventually(
    () => reader.get(fleeting.key),
    (found) => found === undefined,
  )
  await delay(1000)
  // Holders are asked for 2 s each time: that it is still there means that it was stored again.
  expect((await reader.get(key))?.value).toEqual(Uint8Array.of(7))
  expect(publisher.stats().republished).toBeGreaterThan(0)
  await publisher.close()
  await eventually(
    () => reader.get(key),
    (found) => found === undefined,
  )
})
