import { expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { mapKey, nearest } from '../../../src/keyspace/index.js'
import type { Parcel } from '../../../src/node/deliver.js'
import { sweep } from '../../../src/node/sweep.js'
import { encodeImmutable } from '../../../src/records/index.js'
import { RawPeer } from '../rpc/raw-peer.js'
import { HOUR_MS, Holder, openLab } from './holder-fixture.js'
import { packed } from './node-fixture.js'

/** A network in which each holder names the k nearest of all to whoever asks. */
async function setUp(count: number, k = 4) {
  const lab = await openLab({ k, alpha: 3, config: { replacementsMax: 0 } })
  const { simulator, host, node } = lab
  const holders: Holder[] = []
  for (let i = 0; i < count; i++) holders.push(new Holder(await RawPeer.on(simulator.host())))
  const contacts = holders.map(({ contact }) => contact)
  for (const holder of holders) {
    // Both say whom they know: FIND_NODE has a target, which the fixture does not pass on.
    const { onRequest } = holder.peer
    holder.peer.onRequest = (request, from) => {
      const target = request.params[0] as Uint8Array
      holder.findNode = () => ({ contacts: packed(host, nearest(contacts, target, k)) })
      onRequest(request, from)
    }
    node.table.answered(holder.contact)
  }
  const parcels = (howMany: number): Parcel[] =>
    Array.from({ length: howMany }, (_, i) => ({
      ...encodeImmutable(Uint8Array.of(i & 0xff, i >> 8)),
      kind: lab.immutable,
      lifetimeMs: () => HOUR_MS,
    }))
  const start = (all: readonly Parcel[]) => {
    const told = { taken: 0, failed: [] as (DhtErrorCode | undefined)[], sent: 0, done: [] as number[] }
    const cancel = sweep(node, all, {
      sent: () => void told.sent++,
      settled(_parcel, error) {
        if (error) told.failed.push(error.code)
        else told.taken++
      },
      done: (lookups) => told.done.push(lookups),
    })
    return { told, cancel }
  }
  return { ...lab, holders, contacts, parcels, start }
}

test('stores every record at the k nearest of its key, with far fewer lookups than records', async () => {
  const { simulator, holders, contacts, parcels, start } = await setUp(24)
  const all = parcels(200)
  const { told } = start(all)
  await simulator.advance(60_000)
  expect(told).toMatchObject({ taken: 800, failed: [], sent: 800 })
  expect(told.done).toHaveLength(1)
  expect(told.done[0]).toBeLessThan(50)
  const stored = new Map<string, string[]>()
  for (const holder of holders) {
    for (const { key } of holder.stored)
      stored.set(mapKey(key), [...(stored.get(mapKey(key)) ?? []), mapKey(holder.peer.id)])
  }
  for (const { key } of all) {
    expect(stored.get(mapKey(key))?.sort()).toEqual(
      nearest(contacts, key, 4)
        .map(({ id }) => mapKey(id))
        .sort(),
    )
  }
})

test('visits each holder once for all that it is to keep', async () => {
  const { simulator, holders, parcels, start } = await setUp(8, 8)
  start(parcels(32))
  await simulator.advance(60_000)
  for (const { tokensAsked, stored } of holders) expect([tokensAsked.length, stored.length]).toEqual([1, 32])
})

test('a dead holder costs its share only, and the sweep ends once', async () => {
  const { simulator, holders, parcels, start } = await setUp(8, 8)
  const [dead] = holders as [Holder]
  const { onRequest } = dead.peer
  dead.peer.onRequest = (request, from) => {
    if (request.method !== 4) onRequest(request, from)
  }
  const { told } = start(parcels(40))
  await simulator.advance(60_000)
  expect(told.taken).toBe(280)
  expect(told.failed).toEqual(new Array(40).fill('ERR_TIMEOUT'))
  expect(told.done).toHaveLength(1)
})

test('no records end at once without a lookup', async () => {
  const { start } = await setUp(1)
  expect(start([]).told.done).toEqual([0])
})

test('a node without contacts ends its sweep at once, however many records it has', async () => {
  for (const count of [1, 2, 3, 5_000]) {
    const { start, parcels } = await setUp(0)
    const { told } = start(parcels(count))
    expect(told).toMatchObject({ taken: 0, failed: [], sent: 0, done: [Math.min(count, 3)] })
  }
})

test('a node that is cut off ends its sweep after three lookups', async () => {
  const { simulator, holders, parcels, start } = await setUp(6)
  for (const holder of holders) holder.die()
  const { told } = start(parcels(500))
  await simulator.advance(120_000)
  expect(told.taken).toBe(0)
  expect(told.done).toEqual([3])
})

test('a network smaller than k is swept with one lookup', async () => {
  const { simulator, parcels, start } = await setUp(3, 8)
  const { told } = start(parcels(50))
  await simulator.advance(60_000)
  expect(told).toMatchObject({ taken: 150, done: [1] })
})

test('more records than are planned at once are all stored', async () => {
  const { simulator, parcels, start } = await setUp(2, 2)
  const { told } = start(parcels(2_100))
  await simulator.advance(600_000)
  expect(told).toMatchObject({ taken: 4_200, failed: [] })
  expect(told.done).toHaveLength(1)
})

test.each([0, 15, 50, 75, 95, 130])(
  'a sweep that is cancelled after %i ms sends and tells nothing more',
  async (afterMs) => {
    const { simulator, node, parcels, start } = await setUp(8, 8)
    const { told, cancel } = start(parcels(300))
    await simulator.advance(afterMs)
    cancel()
    expect(node.rpc.pendingCalls).toBe(0)
    const before = { ...told, failed: [...told.failed] }
    await simulator.advance(60_000)
    expect(told).toEqual({ ...before, done: [] })
  },
)

test('a record that nobody takes is told so by each holder', async () => {
  const { simulator, holders, parcels, start } = await setUp(4)
  for (const holder of holders) holder.store = () => 'ERR_TOO_FAR'
  const { told } = start(parcels(3))
  await simulator.advance(30_000)
  expect(told).toMatchObject({ taken: 0, failed: new Array(12).fill('ERR_TOO_FAR') })
})
