import { describe, expect, test } from 'vitest'
import type { AppHandler, Contact } from '../../../src/index.js'
import { DhtError } from '../../../src/index.js'
import { PAYLOAD_BYTES_MAX } from '../../../src/wire/index.js'
import type { Member } from './network.js'
import { bytes, failure, grow, kill, newcomer, ONE_WAY_MS, simulate } from './network.js'

function contactOf({ dht, host }: Member): Contact {
  return { id: dht.id, address: host.address }
}

describe('ping', () => {
  test('tells who answered and how long it took, by address and by contact', async () => {
    await simulate('ping', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      for (const to of [peer.host.address, contactOf(peer)]) {
        const { elapsedMs, ...contact } = await dht.ping(to)
        expect(contact).toEqual(contactOf(peer))
        expect(elapsedMs).toBeCloseTo(2 * ONE_WAY_MS, 3)
      }
    })
  })

  test('resolves names', async () => {
    await simulate('ping a name', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      simulator.name('peer.example', [peer.host.address])
      expect(await dht.ping('peer.example:7400')).toMatchObject(contactOf(peer))
      await failure(dht.ping('unknown.example:7400'), 'ERR_UNRESOLVED')
    })
  })

  test('another node at the address is ERR_WRONG_ID, and the wrong contact leaves the table', async () => {
    await simulate('wrong id', async (simulator) => {
      const [{ dht }, old, other] = (await grow(simulator, 3)) as [Member, Member, Member]
      await failure(dht.ping({ id: other.dht.id, address: old.host.address }), 'ERR_WRONG_ID')
      // The contact that really is there stays.
      expect(dht.contacts()).toHaveLength(2)
      kill([old])
      const again = simulator.host({ address: old.host.address })
      const { transport, clock, randomBytes } = again
      const replaced = newcomer(simulator, { transport, clock, randomBytes })
      await replaced.dht.start()
      await failure(dht.ping(contactOf(old)), 'ERR_WRONG_ID')
      expect(dht.contacts()).not.toContainEqual(contactOf(old))
      expect(dht.contacts()).toContainEqual({ id: replaced.dht.id, address: old.host.address })
    })
  })

  test('ourselves is ERR_WRONG_ID: nobody else may have our id', async () => {
    await simulate('ping ourselves', async (simulator) => {
      const [member] = (await grow(simulator, 2)) as [Member]
      await expect(member.dht.ping(member.host.address)).rejects.toBeInstanceOf(DhtError)
      expect(member.dht.contacts()).toHaveLength(1)
    })
  })

  test('silence is ERR_TIMEOUT after requestTimeoutMs, all attempts together', async () => {
    await simulate('ping silence', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 1, () => ({ requestTimeoutMs: 700 }))) as [Member]
      const nobody = simulator.host().address
      const startedAtMs = simulator.nowMs
      const sentBefore = dht.stats().datagramsSent
      await failure(dht.ping(nobody), 'ERR_TIMEOUT')
      expect(simulator.nowMs - startedAtMs).toBeCloseTo(700, 3)
      expect(dht.stats().datagramsSent - sentBefore).toBe(2)
    })
  })
})

describe('request and handle', () => {
  test.each([0, 1, PAYLOAD_BYTES_MAX])('%i bytes there and back, from a stranger too', async (length) => {
    await simulate(`payload ${length}`, async (simulator) => {
      for (const address of [undefined, '[2001:db8::7]:7400']) {
        const host = simulator.host(address ? { address } : {})
        const { transport, clock, randomBytes } = host
        const server = { host, dht: newcomer(simulator, { transport, clock, randomBytes }).dht }
        await server.dht.start()
        const seen: unknown[] = []
        server.dht.handle('echo', (payload, { from }) => {
          seen.push(from)
          return payload
        })
        const asker = newcomer(simulator)
        await asker.dht.start()
        expect(await asker.dht.request(server.host.address, 'echo', bytes(length))).toEqual(bytes(length))
        expect(seen).toEqual([contactOf(asker)])
      }
    })
  })

  test('no payload is an empty one, and a handler that returns nothing answers nothing', async () => {
    await simulate('no payload', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      const payloads: Uint8Array[] = []
      peer.dht.handle('note', (payload) => {
        payloads.push(payload)
        return undefined
      })
      expect(await dht.request(contactOf(peer), 'note')).toEqual(new Uint8Array(0))
      expect(payloads).toEqual([new Uint8Array(0)])
    })
  })

  test('a handler may answer later, and concurrent requests get each their own answer', async () => {
    await simulate('concurrent', async (simulator) => {
      const [{ dht }, peer, third] = (await grow(simulator, 3)) as [Member, Member, Member]
      peer.dht.handle('late', async (payload) => {
        await simulator.delay(100 - (payload[0] as number))
        return payload
      })
      const askers = [dht, third.dht]
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, i) => askers[i % 2]!.request(contactOf(peer), 'late', Uint8Array.of(i, 7))),
      )
      expect(answers).toEqual(Array.from({ length: 100 }, (_, i) => Uint8Array.of(i, 7)))
    })
  })

  test('a request that has to be resent runs its handler once', async () => {
    await simulate('once', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      let runs = 0
      peer.dht.handle('count', () => {
        runs++
        return Uint8Array.of(runs)
      })
      let lost = 0
      simulator.setFilter(({ from }) => from !== peer.host.address || lost++ > 0)
      expect(await dht.request(contactOf(peer), 'count')).toEqual(Uint8Array.of(1))
      expect(lost).toBe(2)
      expect(runs).toBe(1)
    })
  })

  test('a method that the other side does not handle is ERR_UNKNOWN_METHOD', async () => {
    await simulate('unknown method', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      const stop = peer.dht.handle('echo', (payload) => payload)
      await failure(dht.request(contactOf(peer), 'other'), 'ERR_UNKNOWN_METHOD')
      await dht.request(contactOf(peer), 'echo')
      stop()
      await failure(dht.request(contactOf(peer), 'echo'), 'ERR_UNKNOWN_METHOD')
    })
  })

  test('a handler that answers too late is ERR_TIMEOUT for the requester', async () => {
    await simulate('too late', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      peer.dht.handle('never', () => new Promise(() => {}))
      peer.dht.handle('late', async () => {
        await simulator.delay(3000)
        return undefined
      })
      await failure(dht.request(contactOf(peer), 'never'), 'ERR_TIMEOUT')
      await failure(dht.request(contactOf(peer), 'late'), 'ERR_TIMEOUT')
      await simulator.delay(5000)
      expect(dht.contacts()).toHaveLength(1)
    })
  })

  test('another node at the address is ERR_WRONG_ID', async () => {
    await simulate('request wrong id', async (simulator) => {
      const [{ dht }, peer, other] = (await grow(simulator, 3)) as [Member, Member, Member]
      peer.dht.handle('echo', (payload) => payload)
      await failure(dht.request({ id: other.dht.id, address: peer.host.address }, 'echo'), 'ERR_WRONG_ID')
    })
  })

  const junk: [string, AppHandler, unknown][] = [
    ['throws', () => fail(new Error('thrown')), new Error('thrown')],
    ['throws no error', () => fail('text'), 'text'],
    ['rejects', () => Promise.reject(new Error('rejected')), new Error('rejected')],
    ['returns text', () => 'text' as never, expect.any(TypeError)],
    ['returns null', () => null as never, expect.any(TypeError)],
    ['resolves with an array', () => Promise.resolve([1] as never), expect.any(TypeError)],
    ['returns too much', () => bytes(PAYLOAD_BYTES_MAX + 1), expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' })],
    // biome-ignore lint/suspicious/noThenProperty: a thenable that throws is the point.
    ['returns a broken thenable', () => ({ then: () => fail('then') }) as never, 'then'],
  ]

  function fail(error: unknown): never {
    throw error
  }

  test.each(junk)('a handler that %s is ERR_REMOTE there and handlerFailed here', async (name, handler, error) => {
    await simulate(`handler ${name}`, async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      const failed: unknown[] = []
      peer.dht.on('handlerFailed', (event) => failed.push(event))
      peer.dht.handle('junk', handler)
      const remote = await failure(dht.request(contactOf(peer), 'junk'), 'ERR_REMOTE')
      // What went wrong is the other side's own affair.
      expect(remote.message).not.toMatch(/thrown|rejected|text/)
      expect(failed).toEqual([{ method: 'junk', error }])
      peer.dht.handle('echo', (payload) => payload)
      expect(await dht.request(contactOf(peer), 'echo', bytes(3))).toEqual(bytes(3))
    })
  })

  test('a client can ask, and be asked while its address is known', async () => {
    await simulate('client', async (simulator) => {
      const [server] = (await grow(simulator, 2)) as [Member]
      const client = newcomer(simulator, { client: true, bootstrap: [server.host.address] })
      await client.dht.start()
      server.dht.handle('call back', async (payload, { from }) => server.dht.request(from, 'answer', payload))
      client.dht.handle('answer', (payload) => payload.map((byte) => byte + 1))
      expect(await client.dht.request(server.host.address, 'call back', bytes(3))).toEqual(
        bytes(3).map((byte) => byte + 1),
      )
    })
  })

  test('what a handler answers after close goes nowhere', async () => {
    await simulate('answer after close', async (simulator) => {
      const [{ dht }, peer] = (await grow(simulator, 2)) as [Member, Member]
      peer.dht.handle('late', async () => {
        await simulator.delay(500)
        return bytes(3)
      })
      const asking = failure(dht.request(contactOf(peer), 'late'), 'ERR_TIMEOUT')
      await simulator.delay(100)
      await peer.dht.close()
      const { datagramsSent } = peer.dht.stats()
      await asking
      expect(peer.dht.stats().datagramsSent).toBe(datagramsSent)
    })
  })
})
