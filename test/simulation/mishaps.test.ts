// Accidents that no attacker is needed for.

import { expect, test } from 'vitest'
import type { Dht } from '../../src/dht.js'
import { createDht } from '../../src/dht.js'
import type { DhtOptions } from '../../src/options.js'
import type { StoredRecord } from '../../src/storage/index.js'
import { MemoryStore } from '../../src/storage/index.js'
import type { SimulatedHost } from '../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../src/testing/index.js'
import { udp } from '../../src/transport/udp.js'

const SEED = 11

interface Member {
  host: SimulatedHost
  dht: Dht
}

function setUp(): Simulator {
  return new Simulator({ seed: SEED, latency: fixedLatency(20) })
}

function nodeOn(host: SimulatedHost, options: Partial<DhtOptions> = {}): Dht {
  const { transport, clock, randomBytes } = host
  return createDht({ transport, clock, randomBytes, ...options })
}

/** Nodes that joined through the first. */
async function network(simulator: Simulator, count: number, options: Partial<DhtOptions> = {}) {
  const nodes: Member[] = []
  for (let i = 0; i < count; i++) {
    const host = simulator.host()
    const bootstrap = i === 0 ? [] : [nodes[0]!.host.address]
    const dht = nodeOn(host, { bootstrap, ...options })
    await dht.start()
    nodes.push({ host, dht })
  }
  await simulator.delay(2000)
  return nodes
}

test('more requests at once than replies can be kept: no handler runs twice', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [server, client] = (await network(simulator, 2, { limitedScopes: [] })) as [Member, Member]
    const runs = new Map<number, number>()
    server.dht.handle('count', async (payload) => {
      const number = new DataView(payload.buffer).getUint16(0)
      runs.set(number, (runs.get(number) ?? 0) + 1)
      await simulator.delay(900)
      return payload
    })
    const { address } = server.dht
    const requests = Array.from({ length: 1500 }, (_, i) =>
      client.dht.request(address as string, 'count', Uint8Array.of(i >> 8, i & 255)).then(
        () => 'answered',
        ({ code }) => code,
      ),
    )
    const outcomes = new Set(await Promise.all(requests))
    expect([...outcomes].sort()).toEqual(['ERR_TIMEOUT', 'answered'])
    expect(Math.max(...runs.values())).toBe(1)
    expect(runs.size).toBe(1024)
    expect(server.dht.stats().dropped.rateLimited).toBeGreaterThan(0)
  })
})

test('what a transport does to the bytes that it sent changes no resend and no kept reply', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const host = simulator.host()
    const { clock, randomBytes } = host
    let lost = 0
    // Overwrites what it sent, as it may, and loses the first reply.
    const transport = Object.create(host.transport) as typeof host.transport
    for (const name of ['start', 'close', 'resolve', 'describe', 'encodeAddress', 'decodeAddress', 'stats'] as const) {
      transport[name] = (host.transport[name] as () => never).bind(host.transport)
    }
    transport.send = (to, bytes) => {
      if (bytes.length > 60 && lost++ === 0) bytes.fill(0xc1)
      else host.transport.send(to, bytes.slice())
      bytes.fill(0xc1)
    }
    Object.defineProperty(transport, 'maxDatagramBytes', { value: 1472 })
    const server = createDht({ transport, clock, randomBytes })
    await server.start()
    server.handle('echo', async (payload) => payload)
    const client = nodeOn(simulator.host())
    await client.start()
    const answer = await client.request(host.address, 'echo', Uint8Array.of(1, 2, 3))
    expect([...answer]).toEqual([1, 2, 3])
    expect(lost).toBeGreaterThan(1)
  })
})

test('a value is a copy even where the store returns Buffers', async () => {
  class BufferStore extends MemoryStore {
    override list(key: Uint8Array, kind: number): readonly StoredRecord[] {
      const buffered = (record: StoredRecord) => ({ ...record, record: Buffer.from(record.record.buffer) })
      return super.list(key, kind).map(buffered)
    }
  }
  const simulator = setUp()
  await simulator.run(async () => {
    const storage = new BufferStore({ bytesMax: 2 ** 20, recordsMax: 100 })
    const [first] = (await network(simulator, 2)) as [Member]
    const dht = nodeOn(simulator.host(), { storage, bootstrap: [first.host.address] })
    await dht.start()
    const { key } = await dht.put(Uint8Array.of(1, 2, 3))
    const found = await dht.get(key)
    expect(found?.messages).toBe(0)
    found?.value.fill(9)
    expect(await dht.get(key)).toMatchObject({ messages: 0, value: Uint8Array.of(1, 2, 3) })
  })
})

test('a bootstrap name that takes long to resolve delays no other', async () => {
  const simulator = new Simulator({ seed: SEED, latency: fixedLatency(20), resolveMs: 9000 })
  await simulator.run(async () => {
    const [first] = (await network(simulator, 1)) as [Member]
    const startedAtMs = simulator.nowMs
    const dht = nodeOn(simulator.host(), { bootstrap: ['slow.example:7400', first.host.address] })
    await dht.start()
    expect(simulator.nowMs - startedAtMs).toBeLessThan(500)
  })
})

// Over UDP, because in virtual time an answer and the call that follows it happen at the very same moment.
test('in a network of two, a node that comes back with its id at a new address is found there', async () => {
  const id = new Uint8Array(32).fill(7)
  const nodes: Dht[] = []
  const start = async (options: Partial<DhtOptions>): Promise<Dht> => {
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }), requestTimeoutMs: 200, ...options })
    nodes.push(dht)
    await dht.start()
    return dht
  }
  try {
    const stays = await start({})
    const bootstrap = [stays.address as string]
    const before = await start({ id, bootstrap })
    await before.ping(bootstrap[0] as string)
    await before.close()
    const after = await start({ id, bootstrap })
    await expect
      .poll(() => stays.contacts().map(({ address }) => address), { timeout: 5000 })
      .toEqual([after.address as string])
    const { storedAt } = await stays.put(Uint8Array.of(1))
    expect(storedAt.map(({ address }) => address)).toEqual([after.address])
  } finally {
    await Promise.all(nodes.map((dht) => dht.close()))
  }
})

test('calls that are under way together in one silence count as one failure', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [asker, quiet, other] = (await network(simulator, 6)) as Member[]
    const to = { id: quiet!.dht.id, address: quiet!.host.address }
    simulator.setFilter(({ from, to }) => from !== quiet!.host.address && to !== quiet!.host.address)
    const calls = Array.from({ length: 5 }, () => asker!.dht.ping(to).catch(({ code }) => code))
    await simulator.delay(500)
    await asker!.dht.ping(other!.host.address)
    expect(await Promise.all(calls)).toEqual(Array(5).fill('ERR_TIMEOUT'))
    simulator.setFilter(undefined)
    expect(asker!.dht.contacts().map(({ address }) => address)).toContain(to.address)
  })
})

test('a handler that takes longer than a call may does not cost its node a place in the table', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [slow, asker, other] = (await network(simulator, 4)) as [Member, Member, Member]
    slow.dht.handle('think', async () => {
      await simulator.delay(5000)
      return undefined
    })
    for (let i = 0; i < 4; i++) {
      await expect(asker.dht.request(slow.host.address, 'think')).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
      const to = { id: slow.dht.id, address: slow.host.address }
      const thinking = expect(asker.dht.request(to, 'think')).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
      await simulator.delay(500)
      await asker.dht.ping(other.host.address)
      await thinking
    }
    expect(asker.dht.contacts().map(({ address }) => address)).toContain(slow.host.address)
  })
})

test('in a network of three, the others soon stop waiting for the one that died', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [a, b, dead] = (await network(simulator, 3)) as [Member, Member, Member]
    dead.host.kill()
    for (let i = 0; i < 4; i++) {
      await a.dht.put(Uint8Array.of(i))
      await simulator.delay(1000)
    }
    const { elapsedMs, storedAt } = await a.dht.put(Uint8Array.of(99))
    expect(elapsedMs).toBeLessThan(500)
    expect(storedAt.map(({ address }) => address)).toEqual([b.host.address])
  })
})

test('a contact that answered between two lost calls is asked in lookups', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [asker, shaky, other] = (await network(simulator, 3)) as [Member, Member, Member]
    const to = { id: shaky.dht.id, address: shaky.host.address }
    for (let i = 0; i < 2; i++) {
      simulator.setFilter(({ from, to }) => from !== shaky.host.address && to !== shaky.host.address)
      const lost = asker.dht.ping(to).catch(({ code }) => code)
      await simulator.delay(500)
      await asker.dht.ping(other.host.address)
      expect(await lost).toBe('ERR_TIMEOUT')
      simulator.setFilter(undefined)
      if (i === 0) await asker.dht.ping(to)
    }
    // Its one failure keeps it from being a seed, but the other names it.
    const { closest } = await asker.dht.findNode(shaky.dht.id)
    expect(closest.map(({ address }) => address)).toContain(to.address)
  })
})

test('a transport that throws when it sends ends nothing', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const [first] = (await network(simulator, 2)) as [Member]
    const host = simulator.host()
    const dht = nodeOn(host, { bootstrap: [first.host.address] })
    await dht.start()
    const { send } = host.transport
    host.transport.send = () => {
      throw new Error('send!')
    }
    await expect(dht.ping(first.host.address)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(dht.stats().sendFailures).toBeGreaterThanOrEqual(2)
    host.transport.send = send
    await dht.ping(first.host.address)
  })
})

test('a transport whose close throws still lets the store be closed, and the event comes', async () => {
  const simulator = setUp()
  await simulator.run(async () => {
    const host = simulator.host()
    const storage = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
    const dht = nodeOn(host, { storage })
    await dht.start()
    let closedEvents = 0
    dht.on('closed', () => closedEvents++)
    host.transport.close = () => {
      throw new Error('close!')
    }
    await expect(dht.close()).rejects.toThrow('close!')
    expect(() => storage.list(new Uint8Array(32), 0)).toThrow()
    expect(closedEvents).toBe(1)
    expect(() => dht.handle('late', () => undefined)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })
})
