// A node of 200 that stops and comes back through whom it knew.

import { describe, expect, test } from 'vitest'
import type { Contact, Dht } from '../../src/index.js'
import { createDht, fromHex, toHex } from '../../src/index.js'
import { idInRegion } from '../../src/keyspace/index.js'
import { Simulator } from '../../src/testing/index.js'
import { Medium } from './durable-store.js'
import { watchNamed } from './named-contacts.js'
import type { SimulatedNode } from './network.js'
import { buildNetwork, trueNearest } from './network.js'
import type { Scene } from './rejoin-network.js'
import { inNetwork, killKept } from './rejoin-network.js'

const SEED = 41
const NODES = 200
const MINUTE_MS = 60_000

async function closed(scene: Scene): Promise<Scene> {
  await scene.before.dht.close()
  return scene
}

/** Has others look up an id twice a second, so that its node is asked for contacts from its first moment on. */
function askFor(simulator: Simulator, nodes: readonly SimulatedNode[], id: Uint8Array): () => void {
  let isOver = false
  const ask = (): void => {
    if (isOver) return
    simulator.random
      .pick(nodes)
      .dht.findNode(id)
      .catch(() => {})
    simulator.after(500, ask)
  }
  ask()
  return () => {
    isOver = true
  }
}

describe(`a node that comes back while no bootstrap address answers (seed ${SEED})`, () => {
  test.each([0, 0.3, 0.7])('joins within 5 s, as itself, with a share of %f of its contacts dead', async (share) => {
    await inNetwork(SEED, NODES, async (scene) => {
      const { before, simulator } = await closed(scene)
      const alive = killKept(scene, share)
      const bootstrap = [scene.nodes[0]?.address as string]
      const again = scene.restart({ bootstrap })
      const named = watchNamed(simulator, again.host)
      const stopAsking = askFor(simulator, alive, again.id)
      const { elapsedMs } = await again.dht.start()
      console.log(`${100 * share} % dead: joined after ${Math.round(elapsedMs)} ms`)
      expect(elapsedMs).toBeLessThan(5_000)
      expect(toHex(again.id)).toBe(toHex(before.id))
      await simulator.delay(2 * MINUTE_MS)
      stopAsking()
      const nearest = trueNearest(alive, again.id, again).map(({ address }) => address)
      const known = new Set(again.dht.contacts().map(({ address }) => address))
      expect(nearest.filter((address) => known.has(address)).length).toBeGreaterThanOrEqual(19)
      const deaf = [...known].filter((address) => !alive.some((node) => node.address === address))
      expect(deaf).toEqual([])
      expect(named.replies).toBeGreaterThan(10)
      expect(named.unverified).toEqual([])
    })
  })

  test('fails where all it knew are dead, says how many it tried, and joins when one comes back', async () => {
    await inNetwork(SEED, NODES, async (scene) => {
      const { simulator } = await closed(scene)
      const [one] = scene.medium.state.contacts as readonly [Contact]
      killKept(scene, 1)
      const again = scene.restart()
      const startedAtMs = simulator.nowMs
      const failure = await again.dht.start().catch((error) => error)
      expect(failure).toMatchObject({ code: 'ERR_BOOTSTRAP_FAILED' })
      expect(failure.message).toMatch(/^none of 64 known contacts answered$/)
      console.log(`all dead: told after ${Math.round(simulator.nowMs - startedAtMs)} ms`)
      expect(simulator.nowMs - startedAtMs).toBeLessThan(6_000)
      await simulator.delay(30 * MINUTE_MS)
      expect(again.dht.stats()).toMatchObject({ isJoined: false, contacts: 0 })
      let joinedAtMs = 0
      again.dht.on('joined', () => {
        joinedAtMs = simulator.nowMs
      })
      const { transport, clock, randomBytes } = simulator.host({ address: one.address })
      const back = createDht({ transport, clock, randomBytes })
      await back.start()
      const backAtMs = simulator.nowMs
      await simulator.delay(10 * MINUTE_MS)
      expect(joinedAtMs).toBeGreaterThan(0)
      expect(joinedAtMs - backAtMs).toBeLessThan(4 * MINUTE_MS)
      expect(again.dht.contacts()).toContainEqual({ id: back.id, address: one.address })
    })
  })

  test('names bootstrap addresses and known contacts when neither answer', async () => {
    await inNetwork(SEED, 10, async (scene) => {
      await closed(scene)
      killKept(scene, 1)
      const bootstrap = [scene.nodes[0]?.address as string]
      const { dht } = scene.restart({ bootstrap })
      await expect(dht.start()).rejects.toThrow(
        `none of the bootstrap addresses answered: ${bootstrap}; nor did any of 9 known contacts`,
      )
    })
  })

  test('gets in through another node that has the address of a contact by now, and takes it for itself alone', async () => {
    await inNetwork(SEED, NODES, async (scene) => {
      const { simulator, nodes } = await closed(scene)
      const kept = scene.medium.state.contacts as readonly Contact[]
      const former = kept[7] as Contact
      killKept(scene, 1)
      const { transport, clock, randomBytes } = simulator.host({ address: former.address })
      const survivor = nodes.find(({ host }) => host.isAlive)
      const heir = createDht({ transport, clock, randomBytes, bootstrap: [survivor?.address as string] })
      await heir.start()
      const again = scene.restart()
      const named = watchNamed(simulator, again.host)
      await again.dht.start().catch(() => new Promise((resolve) => again.dht.on('joined', resolve)))
      await simulator.delay(MINUTE_MS)
      const contacts = again.dht.contacts()
      expect(contacts).toContainEqual({ id: heir.id, address: former.address })
      expect(contacts.map(({ id }) => toHex(id))).not.toContain(toHex(former.id))
      expect(named.unverified).toEqual([])
    })
  })
})

describe(`contacts that are given as an option (seed ${SEED})`, () => {
  test('bring a node back without a store, through JSON, without any bootstrap address', async () => {
    await inNetwork(SEED, NODES, async ({ before, simulator }) => {
      const text = JSON.stringify(before.dht.contacts().map(({ id, address }) => ({ id: toHex(id), address })))
      await before.dht.close()
      const read: { id: string; address: string }[] = JSON.parse(text)
      const contacts = read.map(({ id, address }) => ({ id: fromHex(id), address }))
      const { transport, clock, randomBytes } = simulator.host()
      const dht = createDht({ transport, clock, randomBytes, contacts })
      const { contacts: count } = await dht.start()
      expect(count).toBeGreaterThan(10)
      expect(toHex(dht.id)).not.toBe(toHex(before.id))
    })
  })

  test('that are junk or hostile cost little and are handed to nobody', async () => {
    await inNetwork(SEED, NODES, async ({ nodes, simulator }) => {
      const host = simulator.host()
      const { transport, clock, randomBytes } = host
      const id = randomBytes(32)
      const some = nodes.slice(0, 40).map((node) => ({ id: node.id, address: node.address }))
      const [good, other] = some as [Contact, Contact]
      const contacts = [
        { id: randomBytes(32), address: host.address },
        { id, address: good.address },
        { id, address: '41.77.1.1:7400' },
        { id: other.id, address: '41.77.1.2:7400' },
        ...['10.1.2.3:7400', '192.168.1.1:53', '127.0.0.1:1', '224.0.0.1:7400', '0.0.0.0:7400'].map((address) => ({
          id: randomBytes(32),
          address,
        })),
        ...some.flatMap((contact) => [contact, contact, { id: randomBytes(32), address: contact.address }]),
      ]
      const dht = createDht({ transport, clock, randomBytes, id, contacts })
      const named = watchNamed(simulator, host)
      const stopAsking = askFor(simulator, nodes, id)
      const { elapsedMs } = await dht.start()
      expect(elapsedMs).toBeLessThan(2_000)
      await simulator.delay(2 * MINUTE_MS)
      stopAsking()
      expect(named.unverified).toEqual([])
      expect(named.replies).toBeGreaterThan(0)
      const places = dht.contacts().map(({ address }) => address)
      const living = new Set(nodes.map(({ address }) => address))
      expect(places.filter((address) => !living.has(address))).toEqual([])
      expect(places.length).toBeGreaterThan(60)
      expect(new Set(dht.contacts().map((contact) => toHex(contact.id))).size).toBe(places.length)
      expect(dht.stats().datagramsSent).toBeLessThan(600)
    })
  })

  test('of which 4,096 are of one network do not keep it from the others, nor fill its table', async () => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    await simulator.run(async () => {
      const nodes = await buildNetwork(simulator, 60)
      const host = simulator.host()
      const { transport, clock, randomBytes } = host
      const id = randomBytes(32)
      // Ids next to our own, and 200 machines that do answer.
      const forged = Array.from({ length: 4_086 }, (_, i) => ({
        id: idInRegion(id, i % 12, randomBytes(32)),
        address: `41.66.6.${i % 250}:${7_000 + Math.floor(i / 250)}`,
      }))
      for (const { id: forgedId, address } of forged.slice(0, 200)) {
        const machine = simulator.host({ address })
        const { transport, clock, randomBytes } = machine
        await createDht({ transport, clock, randomBytes, id: forgedId }).start()
      }
      const honest = nodes.slice(0, 10).map((node) => ({ id: node.id, address: node.address }))
      const dht = createDht({ transport, clock, randomBytes, id, contacts: [...forged, ...honest] })
      const startedAtMs = simulator.nowMs
      await dht.start()
      expect(simulator.nowMs - startedAtMs).toBeLessThan(3_000)
      const sent = dht.stats().datagramsSent
      await simulator.delay(10 * MINUTE_MS)
      const places = dht.contacts().map(({ address }) => address)
      expect(places.filter((address) => address.startsWith('41.66.6.')).length).toBeLessThanOrEqual(10)
      expect(places.filter((address) => !address.startsWith('41.66.6.')).length).toBeGreaterThan(30)
      // Of one bucket no more are asked than have a place there.
      expect(dht.stats().datagramsSent - sent).toBeLessThan(800)
    })
  })
})

test(`a node that lost everybody finds its network through whom it knew, without a bootstrap address (seed ${SEED})`, async () => {
  await inNetwork(SEED, 60, async ({ simulator, nodes }) => {
    // The first of the network was given no bootstrap address.
    const [first, ...others] = nodes as [SimulatedNode, ...SimulatedNode[]]
    const before = first.dht.contacts()
    // It stays connected to one node only, which then dies: so the others are dead as far as it can tell.
    const [last] = others as [SimulatedNode]
    simulator.setFilter(({ from, to }) => {
      const other = from === first.address ? to : to === first.address ? from : undefined
      return other === undefined || other === last.address
    })
    for (let i = 0; i < 40 && first.dht.contacts().length > 1; i++) {
      await first.dht.findNode(simulator.random.bytes(32)).catch(() => {})
      for (const contact of first.dht.contacts()) {
        await first.dht.ping(contact).catch(() => {})
        await first.dht.ping(last.address)
      }
    }
    last.host.kill()
    const events: string[] = []
    first.dht.on('joined', () => events.push('joined'))
    for (let i = 0; i < 4; i++) {
      for (const contact of first.dht.contacts()) await first.dht.ping(contact).catch(() => {})
      await simulator.delay(5_000)
    }
    await simulator.delay(5 * MINUTE_MS)
    expect(before.length).toBeGreaterThan(20)
    simulator.setFilter(undefined)
    await simulator.delay(5 * MINUTE_MS)
    expect(first.dht.contacts().length).toBeGreaterThan(20)
    expect(first.dht.stats().isJoined).toBe(true)
  })
})

test.each([0, 20_000])(
  `a network all of whose nodes stopped comes together again, its nodes starting within %i ms (seed ${SEED})`,
  async (withinMs) => {
    const simulator = new Simulator({ seed: SEED, trace: false })
    const work = async (): Promise<void> => {
      const machines = Array.from({ length: 60 }, () => ({ address: simulator.host().address, medium: new Medium() }))
      const open = ({ address, medium }: (typeof machines)[0], bootstrap: readonly string[]): Dht => {
        const { transport, clock, randomBytes } = simulator.host({ address })
        return createDht({ transport, clock, randomBytes, bootstrap, storage: medium.open() })
      }
      const [first] = machines as [(typeof machines)[0]]
      const before: Dht[] = []
      for (const machine of machines) {
        const dht = open(machine, machine === first ? [] : [first.address])
        await dht.start()
        before.push(dht)
      }
      await simulator.delay(2 * MINUTE_MS)
      const { key } = await (before[7] as Dht).put(new TextEncoder().encode('outlives us all'))
      await simulator.delay(1000)
      await Promise.all(before.map((dht) => dht.close()))
      await simulator.delay(MINUTE_MS)
      const after: Dht[] = []
      await Promise.all(
        machines.map(async (machine) => {
          await simulator.delay(simulator.random.int(withinMs + 1))
          const dht = open(machine, [])
          after.push(dht)
          await dht.start().catch(() => {})
        }),
      )
      await simulator.delay(MINUTE_MS)
      const counts = after.map((dht) => dht.contacts().length)
      console.log(
        `all nodes restarted within ${withinMs} ms: ${Math.min(...counts)} to ${Math.max(...counts)} contacts`,
      )
      expect(after.map((dht) => dht.stats().isJoined)).toEqual(Array(60).fill(true))
      expect(Math.min(...counts)).toBeGreaterThan(30)
      const found = await Promise.all(after.map((dht) => dht.get(key)))
      expect(found.every((result) => result !== undefined)).toBe(true)
    }
    await simulator.run(work)
  },
)
