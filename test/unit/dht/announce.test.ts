import { describe, expect, test } from 'vitest'
import type { Announcement, Dht, DhtEvents, LocatedPeer } from '../../../src/index.js'
import { generateKeyPair, keyOf, PEER_DATA_BYTES_MAX, toHex } from '../../../src/index.js'
import { Simulator } from '../../../src/testing/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, idsOf, kill, newcomer, simulate, simulateToTheEnd } from './network.js'

const TOPIC = keyOf('a topic')
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

async function locateAll(dht: Dht): Promise<LocatedPeer[]> {
  const peers: LocatedPeer[] = []
  for await (const peer of dht.locate(TOPIC)) peers.push(peer)
  return peers
}

/** Who is found, each time it is found. */
async function namesOf(dht: Dht): Promise<string[]> {
  return (await locateAll(dht)).map(({ publicKey }) => toHex(publicKey)).sort()
}

function nameOf({ publicKey }: Announcement): string {
  return toHex(publicKey)
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

describe('announce and locate', () => {
  test('each peer is found once, by every node, itself included', async () => {
    await simulate('each once', async (simulator) => {
      const members = await grow(simulator, 14, () => ({ k: 5 }))
      const announcements: Announcement[] = []
      for (const { dht } of members.slice(0, 6)) announcements.push(await dht.announce(TOPIC))
      const names = announcements.map(nameOf).sort()
      expect(new Set(names).size).toBe(6)
      for (const { dht } of members) expect(await namesOf(dht)).toEqual(names)
    })
  })

  test('a peer is where its holders see it, with the port and the data that it announced', async () => {
    await simulate('where', async (simulator) => {
      const [a, b, c, reader] = (await grow(simulator, 6)) as [Member, Member, Member, Member]
      const told = [
        { member: a, options: {}, port: portOf(a.host.address), data: bytes(0) },
        { member: b, options: { port: 1 }, port: 1, data: bytes(0) },
        { member: c, options: { port: 65_535, data: bytes(PEER_DATA_BYTES_MAX) }, port: 65_535, data: bytes(200) },
      ]
      for (const { member, options } of told) await member.dht.announce(TOPIC, options)
      const found = await locateAll(reader.dht)
      for (const { member, port, data } of told) {
        const [host] = member.host.address.split(':')
        const peer = found.find((one) => one.host === host)
        expect(peer).toEqual({ publicKey: peer?.publicKey, address: `${host}:${port}`, host, port, data })
      }
      expect(found).toHaveLength(3)
    })
  })

  test('the address of an IPv6 peer has its host in brackets, and the host has none', async () => {
    await simulate('IPv6', async (simulator) => {
      const addresses = Array.from({ length: 5 }, (_, i) => `[2001:db8:${i + 1}::7]:7400`)
      const members: Member[] = []
      for (const address of addresses) {
        const { transport, clock, randomBytes } = simulator.host({ address })
        const bootstrap = members.length > 0 ? [addresses[0] as string] : []
        const member = newcomer(simulator, { transport, clock, randomBytes, bootstrap })
        await member.dht.start()
        members.push(member)
      }
      await members[1]!.dht.announce(TOPIC, { port: 99 })
      expect(await locateAll(members[2]!.dht)).toEqual([
        expect.objectContaining({ address: '[2001:db8:2::7]:99', host: '2001:db8:2::7', port: 99 }),
      ])
    })
  })

  test('announce says who stored it, and what it cost', async () => {
    await simulate('announce result', async (simulator) => {
      const members = await grow(simulator, 6)
      const { dht } = members[2]!
      const announcement = await dht.announce(TOPIC)
      expect(announcement.topic).toEqual(TOPIC)
      expect(idsOf(announcement.storedAt).sort()).toEqual(
        members
          .filter((_, i) => i !== 2)
          .map((member) => toHex(member.dht.id))
          .sort(),
      )
      expect(announcement.messages).toBeGreaterThanOrEqual(10)
      expect(announcement.hops).toBeGreaterThanOrEqual(1)
      expect(announcement.elapsedMs).toBeGreaterThan(0)
    })
  })

  test('a node announces all of its topics with one key pair, and another one with its own', async () => {
    await simulate('own keys', async (simulator) => {
      const [a, b] = (await grow(simulator, 5)) as [Member, Member]
      const first = await a.dht.announce(TOPIC)
      const second = await a.dht.announce(keyOf('another topic'))
      expect(second.publicKey).toEqual(first.publicKey)
      expect((await b.dht.announce(TOPIC)).publicKey).not.toEqual(first.publicKey)
      expect(await namesOf(b.dht)).toHaveLength(2)
    })
  })

  test('one node can announce several peers, each with keys of its own', async () => {
    await simulate('several keys', async (simulator) => {
      const [a, b] = (await grow(simulator, 5)) as [Member, Member]
      const pairs = [1, 2, 3].map((seed) => generateKeyPair({ seed: bytes(32, seed) }))
      const announcements: Announcement[] = []
      for (const [i, keys] of pairs.entries()) announcements.push(await a.dht.announce(TOPIC, { keys, port: 100 + i }))
      const found = new Map((await locateAll(b.dht)).map(({ publicKey, port }) => [toHex(publicKey), port]))
      expect(found).toEqual(new Map(pairs.map(({ publicKey }, i) => [toHex(publicKey), 100 + i])))
      // Each is stopped for itself.
      await announcements[1]!.stop()
      expect((await locateAll(b.dht)).map(({ port }) => port).sort()).toEqual([100, 102])
    })
  })

  test('what is announced again with the same keys takes the place of the earlier one', async () => {
    await simulate('announced again', async (simulator) => {
      const [a, b] = (await grow(simulator, 5)) as [Member, Member]
      await a.dht.announce(TOPIC, { port: 1 })
      await a.dht.announce(TOPIC, { port: 2 })
      expect((await locateAll(b.dht)).map(({ port }) => port)).toEqual([2])
    })
  })

  test('a client can announce and locate', async () => {
    await simulate('client announces', async (simulator) => {
      const [first, second] = (await grow(simulator, 5)) as [Member, Member]
      const client = newcomer(simulator, { client: true, bootstrap: [first.host.address] })
      await client.dht.start()
      const announcement = await client.dht.announce(TOPIC, { port: 80 })
      expect(await namesOf(second.dht)).toEqual([nameOf(announcement)])
      expect(await namesOf(client.dht)).toEqual([nameOf(announcement)])
    })
  })

  test('what announce was given and gave belongs to the application', async () => {
    await simulate('announce aliases', async (simulator) => {
      const [a, b] = (await grow(simulator, 5)) as [Member, Member]
      const { publicKey, secretKey } = generateKeyPair({ seed: bytes(32) })
      const keys = { publicKey: new Uint8Array(publicKey), secretKey: new Uint8Array(secretKey) }
      const [topic, data] = [new Uint8Array(TOPIC), bytes(9)]
      const announcing = a.dht.announce(topic, { keys, data })
      for (const given of [topic, data, keys.publicKey, keys.secretKey]) given.fill(0)
      const announcement = await announcing
      for (const given of [announcement.topic, announcement.publicKey]) given.fill(0)
      for (const { id } of announcement.storedAt) id.fill(0)
      await simulator.delay(3 * HOUR_MS)
      const [peer] = await locateAll(b.dht)
      expect(peer).toMatchObject({ publicKey, data: bytes(9) })
      peer?.data.fill(0)
      expect((await locateAll(b.dht))[0]?.data).toEqual(bytes(9))
      expect((await announcement.stop()).removedAt).toHaveLength(4)
      expect(await locateAll(b.dht)).toEqual([])
    })
  })

  test('with nobody to ask announce fails, and nothing is renewed', async () => {
    await simulateToTheEnd('announce fails', async (simulator) => {
      const [alone] = (await grow(simulator, 1)) as [Member]
      await failure(alone.dht.announce(TOPIC), 'ERR_NO_CONTACTS')
      const peer = newcomer(simulator, { bootstrap: [alone.host.address] })
      await peer.dht.start()
      kill([peer])
      await failure(alone.dht.announce(TOPIC), 'ERR_TIMEOUT')
      const again = newcomer(simulator, { bootstrap: [alone.host.address] })
      await again.dht.start()
      await simulator.delay(2 * HOUR_MS)
      expect(again.dht.stats().storage.records).toBe(0)
      await Promise.all([alone.dht.close(), again.dht.close()])
    })
  })
})

describe('renewal', () => {
  test('keeps a peer known for hours, however often its holders change', async () => {
    await simulate('hours', async (simulator) => {
      const members = await grow(simulator, 6)
      const [peer] = members as [Member]
      const announcement = await peer.dht.announce(TOPIC, { port: 80 })
      for (let hour = 0; hour < 6; hour++) {
        await simulator.delay(50 * MINUTE_MS)
        const late = newcomer(simulator, { bootstrap: [peer.host.address] })
        await late.dht.start()
        kill(members.splice(1, 1))
        members.push(late)
        await simulator.delay(35 * MINUTE_MS)
        expect(await namesOf(late.dht)).toEqual([nameOf(announcement)])
      }
      expect((await announcement.stop()).removedAt).toHaveLength(5)
    })
  })

  test('a peer that was killed is found until its lifetime ends, and no longer', async () => {
    await simulate('killed', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 6, () => ({ peerLifetimeMs: 10 * MINUTE_MS }))) as [Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      kill([peer])
      await simulator.delay(9 * MINUTE_MS)
      expect(await namesOf(reader.dht)).toEqual([nameOf(announcement)])
      await simulator.delay(MINUTE_MS)
      expect(await namesOf(reader.dht)).toEqual([])
    })
  })

  test('a renewal that fails is told, and tried again until somebody takes it', async () => {
    await simulate('renewal fails', async (simulator) => {
      const members = await grow(simulator, 4)
      const [peer, ...others] = members as [Member, ...Member[]]
      const failures: DhtEvents['republishFailed'][] = []
      peer.dht.on('republishFailed', (event) => failures.push(event))
      const announcement = await peer.dht.announce(TOPIC)
      simulator.partition([[peer.host]])
      await simulator.delay(40 * MINUTE_MS)
      expect(failures.length).toBeGreaterThanOrEqual(2)
      for (const { key, error } of failures) {
        expect(key).toEqual(TOPIC)
        expect(['ERR_TIMEOUT', 'ERR_NO_CONTACTS']).toContain(error.code)
      }
      simulator.heal()
      const told = failures.length
      await peer.dht.ping(others[0]!.host.address)
      await simulator.delay(50 * MINUTE_MS)
      expect(failures.length).toBeLessThanOrEqual(told + 1)
      expect(await namesOf(others[0]!.dht)).toEqual([nameOf(announcement)])
    })
  })
})

describe('stop', () => {
  test('also stops what goes on behind: nobody stores it afterwards', async () => {
    const slow = new Set<number>()
    const numberOf = (host: string) => Number(host.split('.')[1]) * 256 + Number(host.split('.')[2])
    const latency = {
      place: (host: string) => [numberOf(host)],
      oneWayMs: (a: readonly number[], b: readonly number[]) => ([...a, ...b].some((host) => slow.has(host)) ? 60 : 10),
    }
    const simulator = new Simulator({ seed: 'stop behind', latency, trace: false })
    await simulator.run(async () => {
      const members = await grow(simulator, 40)
      const [peer, reader] = members as [Member, Member]
      // Four of the nearest have become slow, so that others are asked in their place.
      for (const { address } of (await peer.dht.findNode(TOPIC)).closest.slice(0, 4)) slow.add(numberOf(address))
      const announcement = await peer.dht.announce(TOPIC)
      await announcement.stop()
      await simulator.delay(10_000)
      expect(await locateAll(reader.dht)).toEqual([])
    })
  })

  test('has the holders forget the peer, and ends the renewal', async () => {
    await simulate('stop', async (simulator) => {
      const members = await grow(simulator, 6)
      const [peer, other, reader] = members as [Member, Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      const staying = await other.dht.announce(TOPIC)
      const { removedAt } = await announcement.stop()
      expect(idsOf(removedAt).sort()).toEqual(idsOf(announcement.storedAt).sort())
      for (const { dht } of members) expect(await namesOf(dht)).toEqual([nameOf(staying)])
      await simulator.delay(3 * HOUR_MS)
      expect(await namesOf(reader.dht)).toEqual([nameOf(staying)])
    })
  })

  test('a peer that stopped can announce itself again', async () => {
    await simulate('stop and again', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      for (let i = 0; i < 3; i++) {
        const announcement = await peer.dht.announce(TOPIC)
        expect(await namesOf(reader.dht)).toEqual([nameOf(announcement)])
        await announcement.stop()
        expect(await namesOf(reader.dht)).toEqual([])
      }
    })
  })

  test('may be called twice, one after the other', async () => {
    await simulate('stop twice', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      expect((await announcement.stop()).removedAt).toHaveLength(3)
      await announcement.stop()
      expect(await namesOf(reader.dht)).toEqual([])
    })
  })

  test('may be called twice at once', async () => {
    await simulate('stop twice at once', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      const both = Promise.all([announcement.stop(), announcement.stop()])
      const outcome = await Promise.race([both, simulator.delay(MINUTE_MS)])
      expect(outcome).toHaveLength(2)
      expect(await namesOf(reader.dht)).toEqual([])
    })
  })

  test('of an announcement whose place another one took sends nothing, and the peer stays known', async () => {
    await simulate('stop of a replaced one', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const ports = async () => (await locateAll(reader.dht)).map(({ port }) => port)
      const first = await peer.dht.announce(TOPIC, { port: 1 })
      await simulator.delay(10 * MINUTE_MS)
      const second = await peer.dht.announce(TOPIC, { port: 2 })
      // The first would have been renewed by now, the second not yet.
      await simulator.delay(25 * MINUTE_MS)
      expect(await ports()).toEqual([2])
      const sentBefore = simulator.stats.sent
      expect(await first.stop()).toEqual({ removedAt: [] })
      expect(simulator.stats.sent).toBe(sentBefore)
      expect(await ports()).toEqual([2])
      await simulator.delay(3 * HOUR_MS)
      expect(await ports()).toEqual([2])
      expect((await second.stop()).removedAt).toHaveLength(3)
      expect(await ports()).toEqual([])
      await second.stop()
      await first.stop()
      await simulator.delay(HOUR_MS)
      expect(await ports()).toEqual([])
    })
  })

  test('of another topic or of other keys is not in the way of this one', async () => {
    await simulate('stop of others', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const first = await peer.dht.announce(TOPIC)
      await peer.dht.announce(keyOf('another topic'))
      const other = await peer.dht.announce(TOPIC, { keys: generateKeyPair({ seed: bytes(32) }) })
      expect((await first.stop()).removedAt).toHaveLength(3)
      expect(await namesOf(reader.dht)).toEqual([nameOf(other)])
    })
  })

  test('names only the holders that answered', async () => {
    await simulate('stop with dead', async (simulator) => {
      const [peer, ...others] = (await grow(simulator, 5)) as [Member, ...Member[]]
      const announcement = await peer.dht.announce(TOPIC)
      kill(others.slice(0, 2))
      const { removedAt } = await announcement.stop()
      expect(idsOf(removedAt).sort()).toEqual(
        others
          .slice(2)
          .map(({ dht }) => toHex(dht.id))
          .sort(),
      )
    })
  })

  test('after the close of the node does nothing', async () => {
    await simulate('stop after close', async (simulator) => {
      const [peer] = (await grow(simulator, 4)) as [Member]
      const announcement = await peer.dht.announce(TOPIC)
      await peer.dht.close()
      expect(await announcement.stop()).toEqual({ removedAt: [] })
    })
  })

  test('while the node closes is ERR_CLOSED', async () => {
    await simulate('stop while closing', async (simulator) => {
      const [peer] = (await grow(simulator, 4)) as [Member]
      const announcement = await peer.dht.announce(TOPIC)
      const stopping = failure(announcement.stop(), 'ERR_CLOSED')
      await Promise.all([stopping, peer.dht.close()])
    })
  })

  test('with a signal that was aborted before rejects with its reason, and can be called again', async () => {
    await simulate('stop aborted', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      const reason = new Error('enough')
      await expect(announcement.stop({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      await simulator.delay(2 * HOUR_MS)
      expect(await namesOf(reader.dht)).toEqual([nameOf(announcement)])
      await announcement.stop()
      expect(await namesOf(reader.dht)).toEqual([])
    })
  })

  test('an abort while it tells the holders rejects with the reason, and the renewal has ended', async () => {
    await simulate('stop is aborted', async (simulator) => {
      const [peer, reader] = (await grow(simulator, 4)) as [Member, Member]
      const announcement = await peer.dht.announce(TOPIC)
      const controller = new AbortController()
      const stopping = announcement.stop({ signal: controller.signal })
      await simulator.delay(5)
      expect(peer.dht.stats().pendingCalls).toBeGreaterThan(0)
      controller.abort('enough')
      await expect(stopping).rejects.toBe('enough')
      expect(peer.dht.stats().pendingCalls).toBe(0)
      await simulator.delay(HOUR_MS)
      expect(await namesOf(reader.dht)).toEqual([])
    })
  })

  test.each([null, 7, 'text', { retries: 3 }, { signal: {} }, new AbortController().signal])(
    'with wrong options %o is a TypeError, and changes nothing',
    async (options) => {
      await simulate('stop wrongly', async (simulator) => {
        const [peer, reader] = (await grow(simulator, 3)) as [Member, Member]
        const announcement = await peer.dht.announce(TOPIC)
        await expect(announcement.stop(options as never)).rejects.toThrow(TypeError)
        await simulator.delay(2 * HOUR_MS)
        expect(await namesOf(reader.dht)).toEqual([nameOf(announcement)])
      })
    },
  )
})

test.each([5, 25, 45, 65, 85, 105, 1000])(
  'an abort after %i ms of announce leaves nothing that is renewed',
  async (abortMs) => {
    await simulate(`abort announce ${abortMs}`, async (simulator) => {
      const [peer, reader] = (await grow(simulator, 6)) as [Member, Member]
      const controller = new AbortController()
      const announcing = peer.dht.announce(TOPIC, { signal: controller.signal })
      const settled = announcing.then(
        () => 'announced',
        (reason) => reason,
      )
      await simulator.delay(abortMs)
      controller.abort('enough')
      expect(peer.dht.stats().pendingCalls).toBe(0)
      const outcome = await settled
      await simulator.delay(2 * HOUR_MS)
      // Once it is announced, the signal has nothing to do with it any more.
      expect(outcome).toBe(abortMs < 1000 ? 'enough' : 'announced')
      expect(await namesOf(reader.dht)).toHaveLength(outcome === 'enough' ? 0 : 1)
    })
  },
)

test('close ends the renewal and leaves no timer', async () => {
  await simulateToTheEnd('announced and closed', async (simulator) => {
    const members = await grow(simulator, 5)
    for (const { dht } of members) await dht.announce(TOPIC)
    const stopped = await members[0]!.dht.announce(keyOf('another topic'))
    await stopped.stop()
    await simulator.delay(HOUR_MS)
    // In the middle of a renewal too.
    await Promise.all(members.map(({ dht }) => dht.close()))
  })
})
