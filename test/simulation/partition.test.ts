// One key pair, many publishers: at once, on both sides of a cut, in contests, among holders that lie.
// bench/partition.js shows the same with a thousand nodes.

import { describe, expect, test } from 'vitest'
import { DhtError } from '../../src/errors.js'
import type { KeyPair } from '../../src/index.js'
import { createDht, generateKeyPair, keyOf, MemoryStore, toHex } from '../../src/index.js'
import type { Transport } from '../../src/platform/transport.js'
import { KindCode, mutableKey, readMutable } from '../../src/records/index.js'
import type { SimulatedHost } from '../../src/testing/index.js'
import { Simulator } from '../../src/testing/index.js'
import type { RequestMessage } from '../../src/wire/index.js'
import { createCodec, errorNumber, FIND_VALUE, Flag, STORE } from '../../src/wire/index.js'
import type { Member } from '../unit/dht/network.js'
import { grow } from '../unit/dht/network.js'
import { atMost } from './network.js'

const MINUTE_MS = 60_000
const NO_SALT = new Uint8Array(0)
const NODES = 40
const K = 20

type Outcome = 'stored' | string

function simulate(seed: string, work: (simulator: Simulator) => Promise<void>): Promise<void> {
  const simulator = new Simulator({ seed, trace: false })
  return simulator.run(() => work(simulator), { limitMs: 24 * 60 * MINUTE_MS })
}

function newKeys(simulator: Simulator): KeyPair {
  return generateKeyPair({ seed: simulator.random.bytes(32) })
}

/** 'stored', or the code of the refusal. */
function outcome(publishing: Promise<unknown>): Promise<Outcome> {
  return publishing.then(
    () => 'stored',
    (error) => {
      if (error instanceof DhtError) return error.code
      throw error
    },
  )
}

/** Sequence number and value, as text. */
async function read({ dht }: Member, { publicKey }: KeyPair): Promise<string> {
  const found = await dht.resolve(publicKey)
  return found ? `${found.seq} ${toHex(found.value)}` : 'nothing'
}

/** What all nodes read; each once. */
async function readAll(nodes: readonly Member[], keys: KeyPair): Promise<Set<string>> {
  const seen = new Set<string>()
  await atMost(25, nodes.length, async (i) => {
    seen.add(await read(nodes[i]!, keys))
  })
  return seen
}

describe('many publishers of one key pair at once', () => {
  test('one succeeds at least, the others learn that they lost, and all readers see one value', async () => {
    await simulate('at once', async (simulator) => {
      const nodes = await grow(simulator, NODES)
      const keys = newKeys(simulator)
      for (let round = 0; round < 2; round++) {
        const publishers = simulator.random.shuffle(nodes).slice(0, 12)
        const values = publishers.map(() => simulator.random.bytes(20))
        const told = await Promise.all(publishers.map(({ dht }, i) => outcome(dht.publish(keys, values[i]!))))
        expect(new Set([...told, 'stored', 'ERR_SEQ_CONFLICT', 'ERR_SEQ_TOO_LOW']).size).toBe(3)
        expect(told).toContain('stored')
        expect(told.filter((one) => one !== 'stored')).not.toEqual([])
        const [seen, ...others] = await readAll(nodes, keys)
        expect(others).toEqual([])
        // The losers' values are gone, too: what all see is that of one who was told that it is stored.
        const stored = values.filter((_, i) => told[i] === 'stored').map(toHex)
        expect(stored.some((value) => seen?.endsWith(value))).toBe(true)
      }
    })
  })
})

describe('a compare-and-swap', () => {
  test('never has two winners without faults, and readers see the value of one that won', async () => {
    await simulate('contest', async (simulator) => {
      const nodes = await grow(simulator, NODES)
      let won = 0
      for (let contest = 0; contest < 10; contest++) {
        const keys = newKeys(simulator)
        const contenders = simulator.random.shuffle(nodes).slice(0, 5)
        // Half of them begin at the same moment, the others within a lookup's time.
        const spreadMs = (contest % 2) * 600
        const told = await Promise.all(
          contenders.map(async ({ dht }, i) => {
            await simulator.delay(simulator.random.int(spreadMs + 1))
            return outcome(dht.publish(keys, Uint8Array.of(i), { cas: 0n }))
          }),
        )
        const winners = told.flatMap((one, i) => (one === 'stored' ? [i] : []))
        expect(winners.length).toBeLessThanOrEqual(1)
        const [winner] = winners
        if (winner === undefined) continue
        won++
        for (const reader of simulator.random.shuffle(nodes).slice(0, 5)) {
          expect((await reader.dht.resolve(keys.publicKey))?.value).toEqual(Uint8Array.of(winner))
        }
      }
      expect(won).toBeGreaterThanOrEqual(7)
    })
  })
})

describe('a network cut in two', () => {
  async function cutAndHealed(simulator: Simulator, times: readonly [number, number]) {
    const stores: MemoryStore[] = []
    const nodes = await grow(simulator, NODES, (i) => {
      stores[i] = new MemoryStore({ bytesMax: 2 ** 24, recordsMax: 1_000 })
      return { storage: stores[i] }
    })
    const keys = newKeys(simulator)
    await nodes[0]!.dht.publish(keys, keyOf('before'))
    const mixed = simulator.random.shuffle(nodes)
    const sides = [mixed.slice(0, NODES / 2), mixed.slice(NODES / 2)]
    simulator.partition(sides.map((side) => side.map(({ host }) => host)))
    const cutAtMs = simulator.nowMs
    for (let turn = 0; turn < Math.max(...times); turn++) {
      await Promise.all(
        sides.map((side, s) =>
          turn < times[s]! ? simulator.random.pick(side).dht.publish(keys, keyOf(`side ${s}, ${turn}`)) : undefined,
        ),
      )
      await simulator.delay(2 * MINUTE_MS)
    }
    await simulator.delay(cutAtMs + 10 * MINUTE_MS - simulator.nowMs)
    // Each side sees its own last value.
    for (const [s, side] of sides.entries()) {
      expect(await read(side[0]!, keys)).toBe(`${1 + times[s]!} ${toHex(keyOf(`side ${s}, ${times[s]! - 1}`))}`)
    }
    simulator.heal()
    const most = Math.max(...times)
    // Of equal sequence numbers the greater bytes win.
    const last = times.flatMap((time, s) => (time === most ? [toHex(keyOf(`side ${s}, ${most - 1}`))] : [])).sort()
    /** What the holders have, nearest to the key first. */
    const held = (): string[] => {
      const key = mutableKey(keys.publicKey, NO_SALT)
      const distance = ({ dht }: Member) => toHex(dht.id.map((byte, i) => byte ^ key[i]!))
      const nearest = [...nodes].sort((a, b) => (distance(a) < distance(b) ? -1 : 1)).slice(0, K)
      return nearest.map((node) => {
        const [stored] = stores[nodes.indexOf(node)]!.list(key, KindCode.mutable)
        if (!stored) return 'nothing'
        const { seq, value } = readMutable(stored.record)
        return `${seq} ${toHex(value)}`
      })
    }
    return { nodes, keys, expected: `${1 + most} ${last.at(-1)}`, held }
  }

  test.each([
    ['the higher sequence number', [4, 2]],
    ['the greater of two values with one sequence number', [3, 3]],
  ] as const)('ends on %s: all readers see it within a minute after the heal', async (_what, times) => {
    await simulate('cut and read', async (simulator) => {
      const { nodes, keys, expected, held } = await cutAndHealed(simulator, times)
      // Not all holders have it, so there is something to be found out.
      expect(new Set(held()).size).toBeGreaterThan(1)
      await atMost(NODES / 2, NODES / 2, async (i) => {
        await read(nodes[2 * i]!, keys)
      })
      await simulator.delay(5_000)
      expect(await readAll(nodes, keys)).toEqual(new Set([expected]))
      // Readers have brought the holders up to it.
      expect(new Set(held())).toEqual(new Set([expected]))
    })
  })

  test.each([
    ['the higher sequence number', [2, 4]],
    ['the greater of two values with one sequence number', [3, 3]],
  ] as const)('ends on %s also when nobody reads: the hourly repair spreads it', async (_what, times) => {
    await simulate('cut and repair', async (simulator) => {
      const { nodes, keys, expected, held } = await cutAndHealed(simulator, times)
      expect(new Set(held()).size).toBeGreaterThan(1)
      // Repair comes after 45 to 75 minutes, and a holder that another one stored at leaves it out once.
      await simulator.delay(150 * MINUTE_MS)
      expect(new Set(held())).toEqual(new Set([expected]))
      expect(await readAll(nodes, keys)).toEqual(new Set([expected]))
    })
  })
})

type Lie = 'replays' | 'claims' | 'refuses'

/** A node that joins like any other, and lies about mutable records. Returns a count of its lies. */
async function openLiar(simulator: Simulator, id: Uint8Array, lie: Lie, bootstrap: string[]): Promise<() => number> {
  let oldest: Uint8Array | undefined
  let lies = 0
  const answer = ({ method, params }: RequestMessage): readonly unknown[] | 'refused' | undefined => {
    if (method === FIND_VALUE.code && params[1] === KindCode.mutable) {
      lies++
      const records = lie === 'replays' && oldest ? [oldest] : []
      const heldSeq = lie === 'claims' ? 2n ** 64n - 1n : undefined
      const none = { contacts: new Uint8Array(0), leftOut: 0, recordsLeft: 0 }
      const ttlsSeconds = records.map(() => 86_400)
      return FIND_VALUE.writeResult({ token: Uint8Array.of(1), heldSeq, records, ttlsSeconds, ...none })
    }
    const storing = method === STORE.code ? STORE.readParams(params) : undefined
    if (storing?.kind !== KindCode.mutable) return undefined
    lies++
    oldest ??= storing.record
    return lie === 'refuses' ? 'refused' : STORE.writeResult({ ttlSeconds: storing.ttlSeconds })
  }
  const host = simulator.host()
  const { clock, randomBytes } = host
  await createDht({ transport: intercepted(host, id, answer), clock, randomBytes, id, bootstrap }).start()
  return () => lies
}

/** A host's transport on which some requests are answered by hand. */
function intercepted(
  { transport }: SimulatedHost,
  sender: Uint8Array,
  answer: (request: RequestMessage) => readonly unknown[] | 'refused' | undefined,
): Transport {
  const codec = createCodec('xorbit')
  return {
    maxDatagramBytes: transport.maxDatagramBytes,
    start: (receive) =>
      transport.start((from, bytes) => {
        const message = codec.decode(new Uint8Array(bytes))
        const result = message.type === 'request' ? answer(message) : undefined
        if (message.type !== 'request' || !result) return receive(from, bytes)
        const observed = transport.encodeAddress(from)
        const head = { tid: message.tid, flags: Flag.ipv4 | Flag.ipv6, sender, observed }
        const reply =
          result === 'refused'
            ? codec.encode({ type: 'error', ...head, code: errorNumber('ERR_SEQ_CONFLICT'), text: 'no' })
            : codec.encode({ type: 'response', ...head, result })
        transport.send(from, reply)
      }),
    send: (to, bytes) => transport.send(to, bytes),
    encodeAddress: (address) => transport.encodeAddress(address),
    decodeAddress: (bytes) => transport.decodeAddress(bytes),
    resolve: (name, options) => transport.resolve(name, options),
    describe: (address) => transport.describe(address),
    close: () => transport.close(),
  }
}

describe('holders that lie', () => {
  test.each<[Lie[]]>([[['replays']], [['replays', 'claims', 'refuses']]])(
    '(%s) never get an old value to a reader, nor stop a publisher',
    async (lies) => {
      await simulate('liars', async (simulator) => {
        const nodes = await grow(simulator, 30)
        const keys = newKeys(simulator)
        const key = mutableKey(keys.publicKey, NO_SALT)
        const counts: (() => number)[] = []
        // The 15 nearest to the key: five holders are honest.
        for (let i = 0; i < 15; i++) {
          const id = key.map((byte, at) => (at === 31 ? byte ^ (i + 1) : byte))
          counts.push(await openLiar(simulator, id, lies[i % lies.length]!, [nodes[0]!.host.address]))
        }
        await simulator.delay(10_000)
        for (let n = 1; n <= 3; n++) {
          // Another node each time, which remembers nothing.
          const { seq, storedAt } = await nodes[n]!.dht.publish(keys, Uint8Array.of(n), { republish: false })
          expect(seq).toBe(BigInt(n))
          expect(storedAt.length).toBeGreaterThanOrEqual(5)
          expect(await readAll(nodes, keys)).toEqual(new Set([`${n} ${toHex(Uint8Array.of(n))}`]))
        }
        for (const count of counts) expect(count()).toBeGreaterThan(20)
      })
    },
  )
})
