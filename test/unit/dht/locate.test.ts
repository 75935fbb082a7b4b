import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Dht, LocatedPeer } from '../../../src/index.js'
import { generateKeyPair, keyOf, toHex } from '../../../src/index.js'
import type { Simulator } from '../../../src/testing/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, kill, newcomer, ONE_WAY_MS, simulate, simulateToTheEnd } from './network.js'

const TOPIC = keyOf('a topic')
const DONE = { value: undefined, done: true }

/** A network in which each of the members has announced so many peers. */
async function growWithPeers(simulator: Simulator, memberCount: number, peersEach: number): Promise<Member[]> {
  const members = await grow(simulator, memberCount)
  for (const [i, { dht }] of members.entries()) {
    const pairs = Array.from({ length: peersEach }, (_, j) => generateKeyPair({ seed: keyOf(`peer ${j} of ${i}`) }))
    await Promise.all(pairs.map((keys) => dht.announce(TOPIC, { keys, data: bytes(150) })))
  }
  return members
}

/** A node that holds nothing itself, so that all it finds comes from others. */
async function reader(simulator: Simulator, [member]: readonly Member[]): Promise<Dht> {
  const { dht } = newcomer(simulator, { client: true, bootstrap: [member!.host.address] })
  await dht.start()
  await simulator.delay(5000)
  return dht
}

function namesOf(peers: readonly LocatedPeer[]): Set<string> {
  return new Set(peers.map(({ publicKey }) => toHex(publicKey)))
}

describe('locate', () => {
  test('finds nearly all of many peers, each once', async () => {
    await simulate('many peers', async (simulator) => {
      const members = await growWithPeers(simulator, 8, 20)
      for (const dht of [await reader(simulator, members), members[1]!.dht, members[6]!.dht]) {
        const found: LocatedPeer[] = []
        for await (const peer of dht.locate(TOPIC)) found.push(peer)
        // The search ends when it stops learning, so a few may be missing.
        expect(found.length).toBeGreaterThan(128)
        expect(namesOf(found).size).toBe(found.length)
        expect(dht.stats().pendingCalls).toBe(0)
      }
    })
  })

  test('gives a peer as soon as it is known, while others have not answered', async () => {
    await simulate('soon', async (simulator) => {
      const members = await growWithPeers(simulator, 8, 1)
      const [{ dht }, ...others] = members as [Member, ...Member[]]
      kill(others.slice(0, 5))
      const startedAtMs = simulator.nowMs
      const search = dht.locate(TOPIC)
      expect((await search.next()).done).toBe(false)
      expect(simulator.nowMs - startedAtMs).toBeLessThanOrEqual(2 * ONE_WAY_MS)
      let end = await search.next()
      while (!end.done) end = await search.next()
      expect(simulator.nowMs - startedAtMs).toBeGreaterThan(2 * ONE_WAY_MS)
    })
  })

  test('of a topic under which there is nobody ends without any', async () => {
    await simulate('nobody', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 6)) as [Member]
      const search = dht.locate(TOPIC)
      expect(await search.next()).toEqual(DONE)
      expect(await search.next()).toEqual(DONE)
    })
  })

  test('with an empty table fails with ERR_NO_CONTACTS, and where most are dead with ERR_TIMEOUT', async () => {
    await simulate('locate fails', async (simulator) => {
      const [alone] = (await grow(simulator, 1)) as [Member]
      await failure(alone.dht.locate(TOPIC).next(), 'ERR_NO_CONTACTS')
      const [{ dht }, ...others] = (await grow(simulator, 6)) as [Member, ...Member[]]
      kill(others.slice(1))
      const search = dht.locate(TOPIC)
      await failure(search.next(), 'ERR_TIMEOUT')
      // A failure is told once.
      expect(await search.next()).toEqual(DONE)
      expect(await search.next()).toEqual(DONE)
    })
  })

  test('does nothing before the first next, and fails then where the node is not open', async () => {
    await simulate('lazy', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 4)) as [Member]
      const before = dht.stats().lookups
      dht.locate(TOPIC)
      await simulator.delay(1000)
      expect(dht.stats().lookups).toBe(before)
      const early = newcomer(simulator).dht
      await failure(early.locate(TOPIC).next(), 'ERR_NOT_STARTED')
      const search = dht.locate(TOPIC)
      await dht.close()
      await failure(search.next(), 'ERR_CLOSED')
      expect(await search.next()).toEqual(DONE)
    })
  })
})

describe('a search that is left', () => {
  test('by a break cancels its calls, and the iteration is over', async () => {
    await simulate('break', async (simulator) => {
      const dht = await reader(simulator, await growWithPeers(simulator, 6, 10))
      const search = dht.locate(TOPIC)
      let count = 0
      for await (const _ of search) if (++count === 3) break
      expect(dht.stats().pendingCalls).toBe(0)
      expect(await search.next()).toEqual(DONE)
      const { datagramsSent } = dht.stats()
      await simulator.delay(5000)
      expect(dht.stats().datagramsSent).toBe(datagramsSent)
    })
  })

  test('by a throw in the loop cancels its calls, and the error is passed on', async () => {
    await simulate('throw', async (simulator) => {
      const dht = await reader(simulator, await growWithPeers(simulator, 6, 10))
      const loop = async (): Promise<void> => {
        for await (const { port } of dht.locate(TOPIC)) throw new Error(`port ${port}`)
      }
      await expect(loop()).rejects.toThrow('port 7400')
      expect(dht.stats().pendingCalls).toBe(0)
    })
  })

  test('by return before the first next sends nothing', async () => {
    await simulate('return first', async (simulator) => {
      const dht = await reader(simulator, await growWithPeers(simulator, 4, 1))
      const before = dht.stats().lookups
      const search = dht.locate(TOPIC)
      expect(await search.return?.()).toEqual(DONE)
      expect(await search.next()).toEqual(DONE)
      expect(await search.return?.()).toEqual(DONE)
      await simulator.delay(1000)
      expect(dht.stats().lookups).toBe(before)
    })
  })

  test('by return while next waits ends that too', async () => {
    await simulate('return meanwhile', async (simulator) => {
      const dht = await reader(simulator, await growWithPeers(simulator, 4, 1))
      const search = dht.locate(TOPIC)
      const waiting = [search.next(), search.next()]
      await simulator.delay(5)
      expect(dht.stats().pendingCalls).toBeGreaterThan(0)
      await search.return?.()
      expect(dht.stats().pendingCalls).toBe(0)
      expect(await Promise.all(waiting)).toEqual([DONE, DONE])
    })
  })

  test('keeps no listener at its signal, however it ends', async () => {
    await simulate('locate listeners', async (simulator) => {
      const dht = await reader(simulator, await growWithPeers(simulator, 6, 2))
      const { signal } = new AbortController()
      const listeners = (): number => getEventListeners(signal, 'abort').length
      for await (const _ of dht.locate(TOPIC, { signal })) expect(listeners()).toBeLessThanOrEqual(1)
      expect(listeners(), 'after its end').toBe(0)
      for await (const _ of dht.locate(TOPIC, { signal })) break
      expect(listeners(), 'after a break').toBe(0)
      const search = dht.locate(TOPIC, { signal })
      const next = search.next()
      expect(listeners(), 'under way').toBe(1)
      await Promise.all([failure(next, 'ERR_CLOSED'), dht.close()])
      expect(listeners(), 'after close').toBe(0)
    })
  })
})

test('concurrent calls of next are answered in order, each with a peer of its own', async () => {
  await simulate('concurrent', async (simulator) => {
    const dht = await reader(simulator, await growWithPeers(simulator, 8, 2))
    const search = dht.locate(TOPIC)
    const results = await Promise.all(Array.from({ length: 20 }, () => search.next()))
    const firstDone = results.findIndex(({ done }) => done)
    expect(firstDone).toBe(16)
    expect(results.slice(firstDone).every(({ done }) => done)).toBe(true)
    expect(namesOf(results.slice(0, 16).map(({ value }) => value as LocatedPeer)).size).toBe(16)
  })
})

test('of concurrent calls of next the first is told the failure, and the others that it is over', async () => {
  await simulate('concurrent failure', async (simulator) => {
    const [{ dht }, ...others] = (await grow(simulator, 6)) as [Member, ...Member[]]
    kill(others)
    const search = dht.locate(TOPIC)
    const [first, second, third] = [search.next(), search.next(), search.next()]
    await failure(first, 'ERR_TIMEOUT')
    expect(await Promise.all([second, third, search.next()])).toEqual([DONE, DONE, DONE])
  })
})

test('an abort rejects the waiting next with its reason at once, cancels the calls, and the iteration is over', async () => {
  await simulate('abort locate', async (simulator) => {
    const [{ dht }, ...others] = (await grow(simulator, 6)) as [Member, ...Member[]]
    kill(others)
    const controller = new AbortController()
    const search = dht.locate(TOPIC, { signal: controller.signal })
    const waiting = search.next()
    await simulator.delay(5)
    const abortedAtMs = simulator.nowMs
    controller.abort('enough')
    expect(dht.stats().pendingCalls).toBe(0)
    await expect(waiting).rejects.toBe('enough')
    expect(simulator.nowMs).toBe(abortedAtMs)
    expect(await search.next()).toEqual(DONE)
  })
})

test('an abort between two calls of next is told by the second, and what was not taken goes with it', async () => {
  await simulate('abort between', async (simulator) => {
    const dht = await reader(simulator, await growWithPeers(simulator, 8, 20))
    const controller = new AbortController()
    const search = dht.locate(TOPIC, { signal: controller.signal })
    await search.next()
    await simulator.delay(1000)
    controller.abort('enough')
    await simulator.delay(1)
    await expect(search.next()).rejects.toBe('enough')
    expect(await search.next()).toEqual(DONE)
  })
})

test('an abort after the end changes nothing', async () => {
  await simulate('abort late', async (simulator) => {
    const dht = await reader(simulator, await growWithPeers(simulator, 4, 1))
    const controller = new AbortController()
    const search = dht.locate(TOPIC, { signal: controller.signal })
    await search.next()
    await simulator.delay(10_000)
    controller.abort()
    const rest = [await search.next(), await search.next(), await search.next(), await search.next()]
    expect(rest.map(({ done }) => done)).toEqual([false, false, false, true])
  })
})

test('a signal that was aborted before is told by the first next, and nothing is sent', async () => {
  await simulate('aborted before', async (simulator) => {
    const [{ dht }] = (await grow(simulator, 4)) as [Member]
    const before = dht.stats().lookups
    await expect(dht.locate(TOPIC, { signal: AbortSignal.abort('enough') }).next()).rejects.toBe('enough')
    expect(dht.stats().lookups).toBe(before)
  })
})

test('close ends a search with ERR_CLOSED and leaves nothing behind', async () => {
  await simulateToTheEnd('close locate', async (simulator) => {
    const members = await growWithPeers(simulator, 6, 2)
    const dht = await reader(simulator, members)
    const search = dht.locate(TOPIC)
    const loop = async (): Promise<void> => {
      for await (const _ of search) await simulator.delay(1)
    }
    const running = failure(loop(), 'ERR_CLOSED')
    await simulator.delay(5)
    await dht.close()
    await running
    expect(await search.next()).toEqual(DONE)
    await Promise.all(members.map((member) => member.dht.close()))
  })
})

test('a slow consumer gets further pages only as it takes what came', async () => {
  await simulate('slow consumer', async (simulator) => {
    const dht = await reader(simulator, await growWithPeers(simulator, 8, 30))
    const search = dht.locate(TOPIC)
    const found = [(await search.next()).value as LocatedPeer]
    await simulator.delay(60_000)
    const sentWhileWaiting = dht.stats().datagramsSent
    await simulator.delay(60_000)
    // Nothing goes on by itself, but for the upkeep of the node.
    expect(dht.stats().pendingCalls).toBe(0)
    expect(dht.stats().datagramsSent - sentWhileWaiting).toBeLessThan(10)
    const first = dht.stats().datagramsSent
    for (let i = 0; i < 20; i++) found.push((await search.next()).value as LocatedPeer)
    expect(dht.stats().datagramsSent - first).toBeLessThan(10)
    for await (const peer of search) found.push(peer)
    expect(dht.stats().datagramsSent - first).toBeGreaterThan(20)
    expect(namesOf(found).size).toBe(found.length)
    expect(found.length).toBeGreaterThan(160)
  })
})
