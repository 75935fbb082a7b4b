import { describe, expect, test } from 'vitest'
import { createDht, keyOf, MemoryStore } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, changed, failure, grow, kill, newcomer, ONE_WAY_MS, simulate } from './network.js'

const KEY = keyOf('some key')

describe('createDht', () => {
  test('does no I/O and draws no timer', async () => {
    await simulate('construction', async (simulator) => {
      const host = simulator.host()
      const touched: string[] = []
      const watch = <T extends object>(name: string, target: T): T =>
        new Proxy(target, {
          get(object, property) {
            const value = Reflect.get(object, property) as unknown
            if (typeof value !== 'function') return value
            return (...values: unknown[]) => {
              touched.push(`${name}.${String(property)}`)
              return Reflect.apply(value, object, values)
            }
          },
        })
      const { dht } = newcomer(simulator, {
        transport: watch('transport', host.transport),
        clock: watch('clock', host.clock),
        storage: watch('storage', new MemoryStore({ bytesMax: 2 ** 20, recordsMax: 10 })),
        bootstrap: ['peer.example:7400'],
      })
      expect(touched.filter((call) => call !== 'clock.now')).toEqual([])
      expect(dht.address).toBeUndefined()
      expect(dht.contacts()).toEqual([])
      expect(dht.stats()).toMatchObject({ isJoined: false, pendingCalls: 0, datagramsSent: 0 })
    })
  })
})

describe('start', () => {
  test('without bootstrap addresses it resolves as the first node of a network', async () => {
    await simulate('first', async (simulator) => {
      const { dht, host } = newcomer(simulator)
      expect(await dht.start()).toEqual({ address: host.address, contacts: 0, elapsedMs: 0 })
      expect(dht.address).toBe(host.address)
      expect(dht.stats().isJoined).toBe(true)
    })
  })

  test('it resolves with what it found', async () => {
    await simulate('found', async (simulator) => {
      const members = await grow(simulator, 5)
      const { dht, host } = newcomer(simulator, { bootstrap: [members[2]!.host.address] })
      const startedAtMs = simulator.nowMs
      const { address, contacts, elapsedMs } = await dht.start()
      expect(address).toBe(host.address)
      expect(contacts).toBe(5)
      expect(dht.contacts()).toHaveLength(5)
      expect(elapsedMs).toBeGreaterThanOrEqual(2 * ONE_WAY_MS)
      expect(elapsedMs).toBeCloseTo(simulator.nowMs - startedAtMs, 3)
    })
  })

  test('a second call returns the first one’s promise, while it joins and afterwards', async () => {
    await simulate('twice', async (simulator) => {
      const [first] = (await grow(simulator, 1)) as [Member]
      const { dht } = newcomer(simulator, { bootstrap: [first.host.address] })
      const starting = dht.start()
      expect(dht.start()).toBe(starting)
      await starting
      expect(dht.start()).toBe(starting)
      expect(first.dht.stats().requests).toBeGreaterThan(0)
    })
  })

  test.each([
    ['the first', [0]],
    ['the last', [4]],
    ['some', [1, 3]],
  ])('of several bootstrap addresses %s that lives will do', async (_which, living) => {
    await simulate(`several ${living}`, async (simulator) => {
      const members = await grow(simulator, 6)
      const bootstrap = members.slice(0, 5).map(({ host }) => host.address)
      kill(members.filter((_, i) => i < 5 && !living.includes(i)))
      const { dht } = newcomer(simulator, { bootstrap: ['unknown.example:7400', ...bootstrap] })
      const { contacts } = await dht.start()
      expect(contacts).toBe(living.length + 1)
      const addresses = (await dht.findNode(KEY)).closest.map(({ address }) => address)
      expect(addresses.sort()).toEqual([...living, 5].map((i) => members[i]!.host.address))
    })
  })

  test('a bootstrap name is resolved, and each of its addresses is tried', async () => {
    await simulate('name', async (simulator) => {
      const [first] = (await grow(simulator, 1)) as [Member]
      const dead = simulator.host()
      simulator.name('seed.example', [dead.address, first.host.address])
      const { dht } = newcomer(simulator, { bootstrap: ['seed.example:7400'] })
      expect((await dht.start()).contacts).toBe(1)
    })
  })

  test('with no living bootstrap it is ERR_BOOTSTRAP_FAILED, and the node goes on trying until it joins', async () => {
    await simulate('dead bootstrap', async (simulator) => {
      const dead = simulator.host()
      const { dht } = newcomer(simulator, { bootstrap: [dead.address] })
      const seen: string[] = []
      dht.on('bootstrapFailed', ({ name }) => seen.push(name))
      dht.on('joined', ({ contacts }) => seen.push(`joined ${contacts}`))
      const error = await failure(dht.start(), 'ERR_BOOTSTRAP_FAILED')
      expect(error.cause).toMatchObject({ code: 'ERR_TIMEOUT' })
      expect(dht.stats().isJoined).toBe(false)
      await failure(dht.get(KEY), 'ERR_NO_CONTACTS')
      await simulator.delay(60_000)
      expect(seen.length).toBeGreaterThanOrEqual(3)
      expect(new Set(seen)).toEqual(new Set(['DhtError']))

      const { transport, clock, randomBytes } = simulator.host({ address: dead.address })
      const late = createDht({ transport, clock, randomBytes })
      await late.start()
      // The longest pause is a minute.
      await simulator.delay(65_000)
      expect(seen.filter((what) => what === 'joined 1')).toHaveLength(1)
      expect(dht.stats().isJoined).toBe(true)
      expect(await dht.get(KEY)).toBeUndefined()
    })
  })

  test('its pauses between attempts grow, and a node for an hour without network causes no storm', async () => {
    await simulate('no storm', async (simulator) => {
      const { dht } = newcomer(simulator, { bootstrap: [simulator.host().address] })
      await failure(dht.start(), 'ERR_BOOTSTRAP_FAILED')
      await simulator.delay(1_800_000)
      // Two datagrams an attempt; the pauses are half a minute to a minute long in the end.
      expect(dht.stats().datagramsSent).toBeGreaterThan(2 * 20)
      expect(dht.stats().datagramsSent).toBeLessThan(2 * 90)
    })
  })

  test('a node whose bootstrap is down joins as soon as somebody finds it', async () => {
    await simulate('found by another', async (simulator) => {
      const lonely = newcomer(simulator, { bootstrap: [simulator.host().address], bootstrapRetryMs: 60_000 })
      await failure(lonely.dht.start(), 'ERR_BOOTSTRAP_FAILED')
      const other = newcomer(simulator, { bootstrap: [lonely.host.address] })
      await other.dht.start()
      await simulator.delay(5000)
      expect(lonely.dht.stats().isJoined).toBe(true)
    })
  })

  test('an address in use is ERR_ADDRESS_IN_USE and closes the node', async () => {
    await simulate('in use', async (simulator) => {
      const [first] = (await grow(simulator, 1)) as [Member]
      const { transport } = simulator.host({ address: first.host.address })
      const { dht } = newcomer(simulator, { transport })
      await failure(dht.start(), 'ERR_ADDRESS_IN_USE')
      await failure(dht.get(KEY), 'ERR_CLOSED')
      await dht.close()
    })
  })

  test('networks of different names stay apart', async () => {
    await simulate('names', async (simulator) => {
      const names = ['one', 'two', undefined]
      const networks: Member[][] = []
      for (const network of names) networks.push(await grow(simulator, 3, () => (network ? { network } : {})))
      const stranger = newcomer(simulator, { network: 'one', bootstrap: [networks[1]![0]!.host.address] })
      await failure(stranger.dht.start(), 'ERR_BOOTSTRAP_FAILED')
      await failure(networks[0]![0]!.dht.ping(networks[1]![0]!.host.address), 'ERR_TIMEOUT')
      await failure(networks[2]![0]!.dht.ping(networks[1]![0]!.host.address), 'ERR_TIMEOUT')
      const { key } = await networks[0]![0]!.dht.put(bytes(3))
      expect(await networks[1]![0]!.dht.get(key)).toBeUndefined()
      expect(networks[1]![0]!.dht.stats().dropped.foreignNetwork).toBeGreaterThan(0)
      for (const members of networks) for (const { dht } of members) expect(dht.contacts()).toHaveLength(2)
    })
  })
})

describe('close', () => {
  test('is idempotent: a second call returns the first one’s promise', async () => {
    await simulate('close twice', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 2)) as [Member]
      const closing = dht.close()
      expect(dht.close()).toBe(closing)
      expect(dht[Symbol.asyncDispose]()).toBe(closing)
      await closing
      expect(dht.close()).toBe(closing)
    })
  })

  test('before start it closes transport and storage, and start is ERR_CLOSED then', async () => {
    await simulate('close first', async (simulator) => {
      const storage = new MemoryStore({ bytesMax: 1000, recordsMax: 10 })
      const { dht, host } = newcomer(simulator, { storage })
      await dht.close()
      expect(() => storage.list(KEY, 0)).toThrow('closed')
      await expect(host.transport.start(() => {})).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      await failure(dht.start(), 'ERR_CLOSED')
    })
  })

  test('start after close is ERR_CLOSED, though the node was started before', async () => {
    await simulate('start after close', async (simulator) => {
      const [{ dht }] = (await grow(simulator, 2)) as [Member]
      await dht.close()
      await failure(dht.start(), 'ERR_CLOSED')
      await failure(dht.start(), 'ERR_CLOSED')
    })
  })

  test.each([0, 1, 30, 50])('%i ms into start it ends start with ERR_CLOSED', async (delayMs) => {
    await simulate(`close during start ${delayMs}`, async (simulator) => {
      const members = await grow(simulator, 4)
      const { dht } = newcomer(simulator, { bootstrap: [members[0]!.host.address] })
      const starting = failure(dht.start(), 'ERR_CLOSED')
      if (delayMs > 0) await simulator.delay(delayMs)
      await dht.close()
      await starting
      const { datagramsSent } = dht.stats()
      await simulator.delay(60_000)
      expect(dht.stats().datagramsSent).toBe(datagramsSent)
      expect(dht.stats().pendingCalls).toBe(0)
    })
  })

  // After 600 ms the calls are overdue: giving one up asks its contact for a sign of life, but not while closing.
  test.each([10, 600])(
    'every open call ends with ERR_CLOSED at once after %d ms, and nothing is sent',
    async (afterMs) => {
      await simulate('close open calls', async (simulator) => {
        const [{ dht }, ...others] = (await grow(simulator, 10)) as [Member, ...Member[]]
        kill(others)
        const contact = { id: others[0]!.dht.id, address: others[0]!.host.address }
        const open = [
          dht.put(bytes(3)),
          dht.get(KEY),
          dht.findNode(KEY),
          dht.ping(contact),
          dht.request(contact, 'echo'),
          // A DNS name takes 20 ms to resolve.
          dht.ping(afterMs < 20 ? 'peer.example:7400' : contact),
        ].map((call) => failure(call, 'ERR_CLOSED'))
        await simulator.delay(afterMs)
        const atMs = simulator.nowMs
        const { datagramsSent } = dht.stats()
        const closing = dht.close()
        expect(dht.stats().pendingCalls).toBe(0)
        await Promise.all([...open, closing])
        expect(simulator.nowMs).toBe(atMs)
        await simulator.delay(60_000)
        expect(dht.stats().datagramsSent).toBe(datagramsSent)
      })
    },
  )

  test.each(['while it starts', 'in the middle of calls', 'while it waits to try again'])(
    'no timer of a node closed %s is left',
    async (when) => {
      await simulate(`timers ${when}`, async (simulator) => {
        const members = await grow(simulator, 5)
        const pending = new Set<symbol>()
        const host = simulator.host()
        const { dht } = newcomer(simulator, {
          bootstrap: [members[0]!.host.address],
          clock: {
            now: () => host.clock.now(),
            wallNow: () => host.clock.wallNow(),
            after(delayMs, callback) {
              const timer = Symbol('timer')
              pending.add(timer)
              const cancel = host.clock.after(delayMs, () => {
                pending.delete(timer)
                callback()
              })
              return () => {
                pending.delete(timer)
                cancel()
              }
            },
          },
        })
        const open: Promise<unknown>[] = []
        if (when === 'while it starts') {
          open.push(failure(dht.start(), 'ERR_CLOSED'))
        } else if (when === 'in the middle of calls') {
          await dht.start()
          kill(members)
          open.push(...[dht.put(bytes(3)), dht.get(KEY)].map((call) => failure(call, 'ERR_CLOSED')))
          await simulator.delay(600)
          expect(pending.size).toBeGreaterThan(2)
        } else {
          kill(members)
          await failure(dht.start(), 'ERR_BOOTSTRAP_FAILED')
          expect(pending.size).toBeGreaterThan(2)
        }
        await Promise.all([...open, dht.close()])
        await simulator.delay(1)
        expect(pending.size).toBe(0)
      })
    },
  )

  test('what a failing transport or storage says is told, and the node is closed all the same', async () => {
    await simulate('failing close', async (simulator) => {
      for (const part of ['transport', 'storage'] as const) {
        const { transport } = simulator.host()
        const storage = new MemoryStore({ bytesMax: 1000, recordsMax: 10 })
        const close = () => Promise.reject(new Error(`${part} failed`))
        const parts = { transport, storage }
        const { dht } = newcomer(simulator, { ...parts, [part]: changed(parts[part], { close }) })
        let closedEvents = 0
        dht.on('closed', () => closedEvents++)
        await expect(dht.close()).rejects.toThrow(`${part} failed`)
        expect(closedEvents).toBe(1)
        if (part === 'transport') expect(() => storage.list(KEY, 0)).toThrow('closed')
        await failure(dht.get(KEY), 'ERR_CLOSED')
      }
    })
  })
})
