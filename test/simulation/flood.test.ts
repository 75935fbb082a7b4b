// One /24 stores all that it can at one node, which others store at too. bench/flood.js shows the same with a hundred
// thousand keys.

import { describe, expect, test } from 'vitest'
import type { Dht } from '../../src/index.js'
import { keyOf, MemoryStore } from '../../src/index.js'
import { KindCode } from '../../src/records/index.js'
import type { RecordStoreLimits } from '../../src/storage/index.js'
import { fixedLatency, Simulator } from '../../src/testing/index.js'
import type { Message, Method } from '../../src/wire/index.js'
import { createCodec, errorCode, FIND_VALUE, Flag, STORE, TOKENS } from '../../src/wire/index.js'
import { befriend, openNode } from '../unit/node/node-fixture.js'
import { atMost } from './network.js'

const MIB = 2 ** 20
const K = 20
/** Keys of one TOKENS request. */
const KEYS_AT_ONCE = 32

interface Value {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

type Told = 'stored' | 'silence' | string
type Ask = <P, R>(to: string, method: Method<P, R>, params: P) => Promise<{ told: Told; result: R | undefined }>

/** A node that knows k others, all in the other half of the key space, and what befalls it. */
async function openVictim(limits: RecordStoreLimits) {
  const simulator = new Simulator({ seed: 'flood', latency: fixedLatency(20), trace: false })
  const { dht, address } = await openNode(simulator, { storage: new MemoryStore(limits) })
  await befriend(simulator, dht, K, 0)
  expect(dht.stats().contacts).toBe(K)
  return { simulator, dht, address }
}

/** A bare socket of a client. */
async function openPeer(simulator: Simulator, address: string): Promise<Ask> {
  const { transport, randomBytes } = simulator.host({ address })
  const codec = createCodec('xorbit')
  const sender = randomBytes(32)
  const open = new Map<string, (message: Message) => void>()
  await transport.start((_from, bytes) => {
    const message = codec.decode(new Uint8Array(bytes))
    if (message.type === 'response' || message.type === 'error') open.get(String(message.tid))?.(message)
  })
  return (to, method, params) =>
    new Promise((resolve) => {
      const tid = randomBytes(8)
      const cancel = simulator.after(5_000, () => resolve({ told: 'silence', result: undefined }))
      open.set(String(tid), (message) => {
        cancel()
        open.delete(String(tid))
        if (message.type === 'error') resolve({ told: errorCode(message.code), result: undefined })
        if (message.type === 'response') resolve({ told: 'stored', result: method.readResult(message.result) })
      })
      const head = { type: 'request', tid, flags: Flag.ipv4 | Flag.client, sender, method: method.code } as const
      transport.send(to, codec.encode({ ...head, params: method.writeParams(params) }, method.paddedBytes))
    })
}

/** Stores at most 32 values at one node: what it says to each. */
async function store(ask: Ask, to: string, values: readonly Value[]): Promise<Told[]> {
  const keys = values.map(({ key }) => key)
  const { told, result } = await ask(to, TOKENS, { kind: KindCode.immutable, keys })
  if (!result) return values.map(() => told)
  return Promise.all(
    values.map(async ({ key, value }, i) => {
      const { token } = result.tokens[i]!
      const rest = { kind: KindCode.immutable, ttlSeconds: 86_400, cas: undefined, isCached: false }
      return (await ask(to, STORE, { key, token, record: Uint8Array.of(0, ...value), ...rest })).told
    }),
  )
}

/** A value whose key belongs at the node, or one in the other half, where it knows k nodes that are nearer. */
function newValue(simulator: Simulator, dht: Dht, place: 'near' | 'far', bytes: number): Value {
  for (;;) {
    const value = simulator.random.bytes(bytes)
    const key = keyOf(value)
    const isFar = (key[0]! ^ dht.id[0]!) >= 0x80
    if (isFar === (place === 'far')) return { key, value }
  }
}

function tally(all: readonly Told[]): Record<Told, number> {
  const counts: Record<Told, number> = {}
  for (const one of all) counts[one] = (counts[one] ?? 0) + 1
  return counts
}

interface Flood {
  readonly sources: number
  readonly valuesEach: number
  /** Keys of each host of the /24, half of them near. */
  readonly hosts: number
  readonly keysOfEach: number
}

/** Others store, then the flood comes: what both are told, and what is left. For use inside `run`. */
async function flood(simulator: Simulator, dht: Dht, to: string, { sources, valuesEach, hosts, keysOfEach }: Flood) {
  const others: { ask: Ask; values: Value[] }[] = []
  const toldOthers: Told[] = []
  await atMost(20, sources, async (i) => {
    const ask = await openPeer(simulator, `60.${i >> 8}.${i & 0xff}.1:4000`)
    const values = Array.from({ length: valuesEach }, () => newValue(simulator, dht, 'near', 100))
    toldOthers.push(...(await store(ask, to, values)))
    others.push({ ask, values })
  })
  expect(tally(toldOthers)).toEqual({ stored: sources * valuesEach })

  const told = { near: [] as Told[], far: [] as Told[] }
  let [bytesMost, fillMost] = [0, 0]
  await atMost(hosts, hosts, async (i) => {
    const ask = await openPeer(simulator, `52.1.2.${1 + i}:4000`)
    for (let open = keysOfEach; open > 0; open -= KEYS_AT_ONCE) {
      for (const place of ['near', 'far'] as const) {
        const count = Math.min(open, KEYS_AT_ONCE) / 2
        const values = Array.from({ length: count }, () => newValue(simulator, dht, place, 880))
        told[place].push(...(await store(ask, to, values)))
        const { bytes, fill } = dht.stats().storage
        bytesMost = Math.max(bytesMost, bytes)
        fillMost = Math.max(fillMost, fill)
      }
      // Below the 256 requests a second that a host is served.
      await simulator.delay(1_000)
    }
  })

  let held = 0
  await atMost(50, others.length, async (i) => {
    const { ask, values } = others[i]!
    for (const { key } of values) {
      const params = { key, kind: KindCode.immutable, want: 1, minSeq: 0n, cursor: new Uint8Array(0) }
      if ((await ask(to, FIND_VALUE, params)).result?.records.length === 1) held++
    }
  })
  return { heldShare: held / toldOthers.length, near: tally(told.near), far: tally(told.far), bytesMost, fillMost }
}

describe('a flood from one /24', () => {
  test('gets the share of one source, displaces nobody, and every refusal has a code', async () => {
    const limits = { bytesMax: 4 * MIB, recordsMax: 2_000, recordsPerSourceMax: 250 }
    const { simulator, dht, address } = await openVictim(limits)
    await simulator.run(async () => {
      const settings = { sources: 100, valuesEach: 5, hosts: 60, keysOfEach: 64 }
      const { heldShare, near, far, bytesMost } = await flood(simulator, dht, address, settings)
      expect(heldShare).toBeGreaterThanOrEqual(0.99)
      expect(bytesMost).toBeLessThanOrEqual(limits.bytesMax)
      const [taken, ofEach] = [limits.recordsPerSourceMax, (60 * 64) / 2]
      // All hosts begin with near ones.
      expect(near).toEqual({ stored: taken, ERR_STORE_FULL: ofEach - taken })
      expect(far).toEqual({ ERR_STORE_FULL: ofEach })
    })
  })

  test('of a store that is nearly full is turned away with its far keys, and so is everybody, but near ones are taken', async () => {
    const limits = { bytesMax: 4 * MIB, recordsMax: 2_000, recordsPerSourceMax: 250 }
    const { simulator, dht, address } = await openVictim(limits)
    await simulator.run(async () => {
      const settings = { sources: 175, valuesEach: 10, hosts: 60, keysOfEach: 32 }
      const { heldShare, near, far, bytesMost, fillMost } = await flood(simulator, dht, address, settings)
      expect(heldShare).toBeGreaterThanOrEqual(0.99)
      expect(bytesMost).toBeLessThanOrEqual(limits.bytesMax)
      expect(fillMost).toBeGreaterThanOrEqual(0.9)
      expect(Object.keys(near).sort()).toEqual(['ERR_STORE_FULL', 'stored'])
      expect(far.ERR_TOO_FAR).toBeGreaterThanOrEqual(800)
      expect(far.silence).toBeUndefined()

      const newcomer = await openPeer(simulator, '61.1.1.1:4000')
      const values = (['far', 'near'] as const).map((place) => newValue(simulator, dht, place, 100))
      expect(await store(newcomer, address, values)).toEqual(['ERR_TOO_FAR', 'stored'])
    })
  })

  test('that is not limited by records displaces only itself, and the bytes stay below the limit', async () => {
    const limits = { bytesMax: MIB / 2, recordsMax: 100_000 }
    const { simulator, dht, address } = await openVictim(limits)
    await simulator.run(async () => {
      const settings = { sources: 50, valuesEach: 2, hosts: 50, keysOfEach: 32 }
      const { heldShare, near, far, bytesMost, fillMost } = await flood(simulator, dht, address, settings)
      expect(heldShare).toBeGreaterThanOrEqual(0.99)
      expect(bytesMost).toBeLessThanOrEqual(limits.bytesMax)
      expect(fillMost).toBeGreaterThan(0.99)
      // Each takes the place of one that it brought before.
      expect(near).toEqual({ stored: 800 })
      expect(far).toEqual({ ERR_TOO_FAR: 800 })
    })
  })
})
