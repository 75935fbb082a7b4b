import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { CallOptions, Contact, Dht } from '../../../src/index.js'
import { generateKeyPair, keyOf } from '../../../src/index.js'
import type { Member } from './network.js'
import { bytes, changed, contactOf, failure, grow, kill, newcomer, ONE_WAY_MS, simulate } from './network.js'
import { count, tally } from './tally-kind.js'

const KEY = keyOf('some key')
const KEYS = generateKeyPair({ seed: keyOf('some keys') })

const calls: [string, (dht: Dht, peer: Contact, options: CallOptions) => Promise<unknown>][] = [
  ['put', (dht, _peer, options) => dht.put(bytes(3), options)],
  ['get', (dht, _peer, options) => dht.get(KEY, options)],
  ['publish', (dht, _peer, options) => dht.publish(KEYS, bytes(3), options)],
  ['resolve', (dht, _peer, options) => dht.resolve(KEYS.publicKey, options)],
  ['announce', (dht, _peer, options) => dht.announce(KEY, options)],
  ['locate', (dht, _peer, options) => dht.locate(KEY, options).next()],
  ['storeRecord', (dht, _peer, options) => dht.storeRecord(tally, KEY, count(KEY, 1, 1), options)],
  ['findRecords', (dht, _peer, options) => dht.findRecords(tally, KEY, options)],
  ['findNode', (dht, _peer, options) => dht.findNode(KEY, options)],
  ['ping', (dht, peer, options) => dht.ping(peer, options)],
  [
    'query',
    async (dht, _peer, options) => {
      for await (const { payload } of dht.query(KEY, 'echo', bytes(3), options)) expect(payload).toEqual(bytes(3))
    },
  ],
  ['request', (dht, peer, options) => dht.request(peer, 'echo', bytes(3), options)],
]

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

describe.each(calls)('%s', (name, call) => {
  test('an abort rejects at once with its reason and cancels what is in flight', async () => {
    await simulate(`abort ${name}`, async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 8, () => ({ records: [tally] }))) as [Member, ...Member[]]
      kill(others)
      const cancelledBefore = dht.stats().cancelled
      const controller = new AbortController()
      const reason = new Error('enough')
      const calling = call(dht, contactOf(others[0]!), { signal: controller.signal })
      await simulator.delay(5)
      const inFlight = dht.stats().pendingCalls
      expect(inFlight).toBeGreaterThan(0)
      const abortedAtMs = simulator.nowMs
      controller.abort(reason)
      expect(dht.stats().pendingCalls).toBe(0)
      expect(dht.stats().cancelled - cancelledBefore).toBe(inFlight)
      await expect(calling).rejects.toBe(reason)
      expect(simulator.nowMs).toBe(abortedAtMs)
      const { datagramsSent } = dht.stats()
      await simulator.delay(5000)
      expect(dht.stats().datagramsSent).toBe(datagramsSent)
    })
  })

  test('a signal that lives on keeps no listener, however the call ends', async () => {
    await simulate(`listeners ${name}`, async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 4, () => ({ records: [tally] }))) as [Member, ...Member[]]
      const peer = contactOf(others[0]!)
      for (const { dht: other } of others) other.handle('echo', (payload) => payload)
      const controller = new AbortController()
      const { signal } = controller

      await call(dht, peer, { signal })
      expect(listeners(signal), 'after success').toBe(0)

      kill(others)
      const calling = call(dht, peer, { signal })
      await simulator.delay(1)
      expect(listeners(signal), 'under way').toBe(1)
      // An own copy, once put, is got all the same.
      await calling.catch(() => undefined)
      expect(listeners(signal), 'after failure').toBe(0)

      const refused = call(newcomer(simulator, { records: [tally] }).dht, peer, { signal })
      await failure(refused, 'ERR_NOT_STARTED')
      expect(listeners(signal), 'after refusal').toBe(0)

      const abortable = new AbortController()
      const aborted = call(dht, peer, { signal: abortable.signal })
      abortable.abort()
      await expect(aborted).rejects.toBe(abortable.signal.reason)
      expect(listeners(abortable.signal), 'after abort').toBe(0)

      const closing = call(dht, peer, { signal })
      await Promise.all([failure(closing, 'ERR_CLOSED'), dht.close()])
      expect(listeners(signal), 'after close').toBe(0)
    })
  })

  test('many calls may share one signal, and one abort ends them all', async () => {
    await simulate(`shared ${name}`, async (simulator) => {
      const [{ dht }, ...others] = (await grow(simulator, 8, () => ({ records: [tally] }))) as [Member, ...Member[]]
      kill(others)
      const controller = new AbortController()
      const { signal } = controller
      const running = Array.from({ length: 20 }, () => call(dht, contactOf(others[0]!), { signal }))
      const spared = call(dht, contactOf(others[0]!), {})
      await simulator.delay(5)
      const settled = Promise.allSettled(running)
      controller.abort()
      for (const outcome of await settled) expect(outcome).toEqual({ status: 'rejected', reason: signal.reason })
      expect(listeners(signal)).toBe(0)
      expect(dht.stats().pendingCalls).toBeGreaterThan(0)
      await failure(spared, 'ERR_TIMEOUT')
    })
  })
})

test('an abort while a name is looked up in DNS rejects at once, and nothing is sent', async () => {
  await simulate('abort DNS', async (simulator) => {
    const { transport } = simulator.host()
    const signals: (AbortSignal | undefined)[] = []
    const resolve: typeof transport.resolve = (name, options) => {
      signals.push(options?.signal)
      return transport.resolve(name, options)
    }
    const { dht } = newcomer(simulator, { transport: changed(transport, { resolve }) })
    await dht.start()
    const { datagramsSent } = dht.stats()
    const controller = new AbortController()
    const pinging = dht.ping('peer.example:7400', { signal: controller.signal })
    await simulator.delay(1)
    controller.abort()
    expect(signals.map((signal) => signal?.aborted)).toEqual([true])
    await expect(pinging).rejects.toBe(controller.signal.reason)
    await simulator.delay(5000)
    expect(dht.stats().datagramsSent).toBe(datagramsSent)
    expect(listeners(controller.signal)).toBe(0)
  })
})

test('an abort while the STOREs of a put are out cancels them', async () => {
  await simulate('abort STORE', async (simulator) => {
    const [{ dht, host }] = (await grow(simulator, 8)) as [Member]
    let storesSent = 0
    simulator.setFilter(({ from, bytes: { length } }) => {
      if (from !== host.address || length <= 880) return true
      storesSent++
      return false
    })
    const controller = new AbortController()
    const putting = dht.put(bytes(880), { signal: controller.signal })
    while (storesSent === 0) await simulator.delay(1)
    // The lookup is about to end, or has ended.
    expect(dht.stats().pendingCalls).toBeGreaterThanOrEqual(storesSent)
    const before = storesSent
    controller.abort()
    expect(dht.stats().pendingCalls).toBe(0)
    await expect(putting).rejects.toBe(controller.signal.reason)
    await simulator.delay(5000)
    expect(storesSent).toBe(before)
  })
})

test('a dead contact that an abort hid is found dead all the same', async () => {
  await simulate('abort late', async (simulator) => {
    const [{ dht }, dead, living] = (await grow(simulator, 8)) as [Member, Member, Member]
    kill([dead])
    const controller = new AbortController()
    const pinging = dht.ping(contactOf(dead), { signal: controller.signal })
    await simulator.delay(400)
    controller.abort()
    await expect(pinging).rejects.toBe(controller.signal.reason)
    const knows = (): boolean => dht.contacts().some(({ address }) => address === dead.host.address)
    for (let second = 0; second < 30 && knows(); second++) {
      // While nobody at all answers, a node blames its own network.
      await dht.ping(contactOf(living))
      await simulator.delay(1000)
    }
    expect(knows()).toBe(false)
    expect(dht.contacts()).toHaveLength(6)
    expect(dht.stats().pendingCalls).toBe(0)
  })
})

describe('start', () => {
  test('an abort rejects at once with its reason and closes the node', async () => {
    await simulate('abort start', async (simulator) => {
      const dead = simulator.host()
      const { dht, host } = newcomer(simulator, { bootstrap: [dead.address] })
      const controller = new AbortController()
      const starting = dht.start({ signal: controller.signal })
      await simulator.delay(100)
      expect(dht.stats().pendingCalls).toBe(1)
      const abortedAtMs = simulator.nowMs
      controller.abort()
      await expect(starting).rejects.toBe(controller.signal.reason)
      expect(simulator.nowMs).toBe(abortedAtMs)
      expect(listeners(controller.signal)).toBe(0)
      expect(dht.stats().pendingCalls).toBe(0)
      await failure(dht.findNode(KEY), 'ERR_CLOSED')
      await failure(dht.start(), 'ERR_CLOSED')
      await dht.close()
      // The address is free again, and the aborted node is silent.
      const { datagramsSent } = dht.stats()
      await simulator.host({ address: host.address }).transport.start(() => {})
      await simulator.delay(60_000)
      expect(dht.stats().datagramsSent).toBe(datagramsSent)
    })
  })

  test('an abort does not wait for a transport that does not come to its end', async () => {
    await simulate('abort slow transport', async (simulator) => {
      const host = simulator.host()
      const never = new Promise<never>(() => {})
      const stuck = changed(host.transport, { start: () => never, close: () => never })
      const { dht } = newcomer(simulator, { transport: stuck })
      const controller = new AbortController()
      const starting = dht.start({ signal: controller.signal })
      controller.abort('enough')
      await expect(starting).rejects.toBe('enough')
      await failure(dht.findNode(KEY), 'ERR_CLOSED')
    })
  })

  test('a signal that lives on keeps no listener after start', async () => {
    await simulate('start listeners', async (simulator) => {
      const { signal } = new AbortController()
      const [first] = (await grow(simulator, 1)) as [Member]
      await newcomer(simulator, { bootstrap: [first.host.address] }).dht.start({ signal })
      expect(listeners(signal)).toBe(0)
      const failing = newcomer(simulator, { bootstrap: [simulator.host().address] })
      await failure(failing.dht.start({ signal }), 'ERR_BOOTSTRAP_FAILED')
      expect(listeners(signal)).toBe(0)
    })
  })

  test('an abort after start has no effect on the node', async () => {
    await simulate('late abort', async (simulator) => {
      const [first] = (await grow(simulator, 1)) as [Member]
      const controller = new AbortController()
      const { dht } = newcomer(simulator, { bootstrap: [first.host.address] })
      await dht.start({ signal: controller.signal })
      controller.abort()
      expect((await dht.ping(first.host.address)).elapsedMs).toBeCloseTo(2 * ONE_WAY_MS, 3)
    })
  })
})
