// What a node keeps of itself in a store that outlives it.

import { describe, expect, onTestFinished, test } from 'vitest'
import type { DhtOptions, NodeState, NodeStateStore } from '../../src/index.js'
import { createDht, keyOf, MemoryStore, toHex } from '../../src/index.js'
import { Simulator } from '../../src/testing/index.js'
import { Medium } from './durable-store.js'
import type { Host } from './network.js'
import { buildNetwork } from './network.js'
import { inNetwork } from './rejoin-network.js'

const SEED = 43
const NODES = 40
const MINUTE_MS = 60_000

/** What a node needs to run on a machine. */
function platformOf({ transport, clock, randomBytes }: Host): Pick<DhtOptions, 'transport' | 'clock' | 'randomBytes'> {
  return { transport, clock, randomBytes }
}

describe(`a store with a place for the node's state (seed ${SEED})`, () => {
  test('makes a restarted node the same one: id, the key pair of announce, contacts', async () => {
    await inNetwork(SEED, NODES, async ({ before, medium, restart }) => {
      const topic = keyOf('topic')
      const first = await before.dht.announce(topic)
      const contacts = before.dht.contacts().length
      await before.dht.close()
      expect(medium.state.contacts).toHaveLength(contacts)
      const again = restart()
      await again.dht.start()
      expect(toHex(again.id)).toBe(toHex(before.id))
      const second = await again.dht.announce(topic)
      expect(toHex(second.publicKey)).toBe(toHex(first.publicKey))
      expect(again.dht.contacts().length).toBeGreaterThan(10)
    })
  })

  test('gets id and key at the start, the first contact at once, contacts as soon as it has joined, and again only when they changed', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(
      async () => {
        const nodes = await buildNetwork(simulator, 8)
        const medium = new Medium()
        const platform = platformOf(simulator.host())
        const bootstrap = nodes.slice(0, 1).map(({ address }) => address)
        const dht = createDht({ ...platform, bootstrap, storage: medium.open() })
        expect(medium.saves).toEqual([])
        await dht.start()
        expect(medium.saves.map((save) => Object.keys(save))).toEqual([['id', 'secretKey'], ['contacts'], ['contacts']])
        expect(medium.saves[1]?.contacts).toHaveLength(1)
        expect(medium.state.contacts?.length).toBeGreaterThan(0)
        await simulator.delay(6_000)
        expect(medium.state.contacts).toHaveLength(8)
        // Nobody comes or goes.
        const count = medium.saves.length
        expect(count).toBeLessThanOrEqual(4)
        await simulator.delay(60 * MINUTE_MS)
        expect(medium.saves).toHaveLength(count)
        await createDht({ ...platformOf(simulator.host()), bootstrap }).start()
        await simulator.delay(10_000)
        expect(medium.saves).toHaveLength(count + 1)
        expect(medium.state.contacts).toHaveLength(9)
        await dht.close()
        expect(medium.saves).toHaveLength(count + 1)
      },
      { limitMs: 120 * MINUTE_MS },
    )
  })

  test('keeps what a node lost without a close had known', async () => {
    await inNetwork(SEED, NODES, async ({ before, medium, restart }) => {
      before.host.kill()
      expect(medium.state.contacts?.length).toBeGreaterThan(20)
      const again = restart()
      await again.dht.start()
      expect(toHex(again.id)).toBe(toHex(before.id))
    })
  })

  test('keeps those that find the first node of a network, some seconds after they came', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(async () => {
      const medium = new Medium()
      const first = simulator.host()
      await createDht({ ...platformOf(first), storage: medium.open() }).start()
      await simulator.delay(8_000)
      const bootstrap = [first.address]
      for (let i = 0; i < 6; i++) await createDht({ ...platformOf(simulator.host()), bootstrap }).start()
      await simulator.delay(6_000)
      first.kill()
      expect(medium.state.contacts).toHaveLength(6)
      const again = createDht({ ...platformOf(simulator.host()), storage: medium.open() })
      expect((await again.start()).contacts).toBeGreaterThan(0)
    })
  })

  test('is for one node, and for as long as that is open', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(async () => {
      const storage = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
      const one = createDht({ ...platformOf(simulator.host()), storage })
      const other = createDht({ ...platformOf(simulator.host()), storage })
      await one.start()
      await expect(other.start()).rejects.toMatchObject({ code: 'ERR_STORE_FAILED', message: /another node/ })
      await other.close()
      expect(storage.stats().records).toBe(0)
      expect(storage.list(new Uint8Array(32), 0)).toEqual([])
      await one.close()
      const late = createDht({ ...platformOf(simulator.host()), storage })
      await expect(late.start()).rejects.toMatchObject({ code: 'ERR_STORE_FAILED', message: /is closed/ })
    })
  })

  test('that does not close fails the close after a while', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(async () => {
      const storage = new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 })
      const dht = createDht({
        ...platformOf(simulator.host()),
        storage: Object.assign(storage, { close: () => new Promise<void>(() => {}) }),
      })
      await dht.start()
      const startedAtMs = simulator.nowMs
      await expect(dht.close()).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
      expect(simulator.nowMs - startedAtMs).toBe(10_000)
    })
  })

  test('takes over an id that is given as an option, which wins', async () => {
    await inNetwork(SEED, 5, async ({ before, medium, restart }) => {
      await before.dht.close()
      const id = keyOf('another id')
      const again = restart({ id })
      expect(toHex(again.id)).toBe(toHex(id))
      await again.dht.start()
      expect(toHex(medium.state.id as Uint8Array)).toBe(toHex(id))
      await again.dht.close()
      expect(toHex(restart().id)).toBe(toHex(id))
    })
  })

  test('keeps its contacts while the node meets nobody', async () => {
    await inNetwork(SEED, NODES, async ({ before, medium, nodes, restart, simulator }) => {
      await before.dht.close()
      const kept = medium.state.contacts
      expect(kept?.length).toBeGreaterThan(20)
      simulator.partition([nodes.map(({ host }) => host)])
      const again = restart()
      await expect(again.dht.start()).rejects.toMatchObject({ code: 'ERR_BOOTSTRAP_FAILED' })
      await simulator.delay(20 * MINUTE_MS)
      await again.dht.close()
      expect(medium.state.contacts).toEqual(kept)
      simulator.heal()
      await restart().dht.start()
    })
  })

  test('keeps contacts of before while the node meets only one, for the others may live', async () => {
    await inNetwork(SEED, NODES, async ({ before, medium, nodes, restart, simulator }) => {
      await before.dht.close()
      const kept = new Set(medium.state.contacts?.map(({ address }) => address))
      const [one, ...others] = nodes.filter(({ address }) => kept.has(address))
      simulator.partition([
        others.map(({ host }) => host),
        nodes.filter(({ address }) => !kept.has(address)).map(({ host }) => host),
      ])
      const again = restart()
      await again.dht.start()
      await simulator.delay(20 * MINUTE_MS)
      expect(again.dht.contacts().map(({ address }) => address)).toEqual([one?.address])
      await again.dht.close()
      expect(medium.state.contacts?.length).toBeGreaterThan(20)
      simulator.heal()
      one?.host.kill()
      await restart().dht.start()
    })
  })

  test('is not what a node needs that met only one, whom it loses: it still knows the others itself', async () => {
    await inNetwork(SEED, NODES, async ({ before, medium, nodes, restart, simulator }) => {
      const contacts = before.dht.contacts()
      await before.dht.close()
      const [one, ...others] = nodes.filter(({ address }) => contacts.some((contact) => contact.address === address))
      const strangers = nodes.filter((node) => node !== one && !others.includes(node))
      simulator.partition([others.map(({ host }) => host), strangers.map(({ host }) => host)])
      const again = restart({ storage: new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 }), contacts })
      await again.dht.start()
      await simulator.delay(MINUTE_MS)
      expect(again.dht.contacts()).toHaveLength(1)
      expect(medium.saves.length).toBeGreaterThan(0)
      simulator.heal()
      one?.host.kill()
      for (let i = 0; i < 3; i++)
        for (const contact of again.dht.contacts()) await again.dht.ping(contact).catch(() => {})
      await simulator.delay(5 * MINUTE_MS)
      expect(again.dht.contacts().length).toBeGreaterThan(10)
    })
  })

  test('that throws, rejects or never ends costs a count, and no close waits for it', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', note)
    onTestFinished(() => {
      process.off('unhandledRejection', note)
    })
    const failures: (() => void | Promise<void>)[] = [
      () => {
        throw new Error('disk full')
      },
      () => Promise.reject(new Error('disk full')),
      () => new Promise(() => {}),
    ]
    for (const [i, onSave] of failures.entries()) {
      await inNetwork(SEED, 10, async ({ before, medium, restart, simulator }) => {
        await before.dht.close()
        medium.onSave = onSave
        const again = restart({ id: keyOf('another id') })
        await again.dht.start()
        await simulator.delay(20_000)
        expect(again.dht.stats().saveFailures).toBe(i === 2 ? 0 : 4)
        const startedAtMs = simulator.nowMs
        await again.dht.close()
        expect(simulator.nowMs - startedAtMs).toBeLessThanOrEqual(2_001)
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(unhandled).toEqual([])
  })

  test('that fails once gets id and key the next time', async () => {
    await inNetwork(SEED, 10, async ({ before, medium, restart, simulator }) => {
      await before.dht.close()
      medium.onSave = () => {
        throw new Error('disk full')
      }
      const again = restart({ id: keyOf('another id') })
      await again.dht.start()
      medium.onSave = () => {}
      await simulator.delay(20_000)
      expect(medium.state.id).toEqual(again.id)
    })
  })

  test('is not written by a node that was never started', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    const medium = new Medium()
    const { transport, clock, randomBytes } = simulator.host()
    const dht = createDht({ transport, clock, randomBytes, storage: medium.open() })
    await simulator.run(() => dht.close())
    expect(medium.saves).toEqual([])
  })

  test('whose content is no state is as good as an empty one', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(async () => {
      const junk: unknown[] = [
        {},
        { id: new Uint8Array(31), secretKey: 'secret', contacts: 'many' },
        {
          id: [1],
          secretKey: new Uint8Array(0),
          contacts: [undefined, 7, {}, { id: new Uint8Array(32), address: 'nowhere' }],
        },
      ]
      for (const loaded of junk) {
        const { transport, clock, randomBytes } = simulator.host()
        const saves: Partial<NodeState>[] = []
        const nodeState: NodeStateStore = {
          loaded: loaded as Partial<NodeState>,
          save(changes) {
            saves.push(changes)
          },
        }
        const storage = Object.assign(new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 100 }), { nodeState })
        const dht = createDht({ transport, clock, randomBytes, storage })
        await dht.start()
        expect(dht.id).toHaveLength(32)
        expect(saves).toMatchObject([{ id: dht.id }])
        expect(saves[0]?.secretKey).toHaveLength(32)
        await dht.close()
      }
    })
  })
})
