import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IncomingRequest, Reply } from '../../../src/rpc/index.js'
import type { AppParams, AppResult } from '../../../src/wire/index.js'
import { appMethod, errorCode, FIND_NODE, Flag, PING } from '../../../src/wire/index.js'
import { exchange, RawPeer } from './raw-peer.js'
import { openRpc, rpcAndPeer, writtenDown } from './rpc-fixture.js'

const ECHO = appMethod('echo')
const ONE_BYTE = { payload: Uint8Array.of(1) }

/** Serves `echo` by hand: what came in, and how to answer it. */
function servedByHand(rpc: Awaited<ReturnType<typeof rpcAndPeer>>['rpc'], once: boolean) {
  const asked: { params: AppParams; request: IncomingRequest; reply: Reply<AppResult> }[] = []
  rpc.serve(ECHO, (params, request, reply) => asked.push({ params, request, reply }), once)
  return asked
}

describe('serving', () => {
  test('a request goes to the handler of its method, and its answer to the requester', async () => {
    const { simulator, rpc, address, id, peer, observed } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(100)
    expect(asked[0]?.params).toEqual(ONE_BYTE)
    expect(asked[0]?.request).toMatchObject({ from: peer.contact, flags: Flag.ipv4 | Flag.ipv6 })
    asked[0]?.reply.result({ payload: Uint8Array.of(2) })
    // Only the first counts.
    asked[0]?.reply.result({ payload: Uint8Array.of(3) })
    asked[0]?.reply.error('ERR_REMOTE', 'no')
    await simulator.advance(100)
    expect(peer.repliesTo(tid)).toMatchObject([{ type: 'response', sender: id, result: [Uint8Array.of(2)] }])
    expect(observed).toEqual([`request ${peer.address}`])
  })

  test('a reply tells the requester the address that it is seen at', async () => {
    const { simulator, rpc, host, peer } = await rpcAndPeer()
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    const reply = await exchange(simulator, peer, host.address, PING, {})
    expect(reply?.observed).toEqual(host.transport.encodeAddress(peer.address))
  })

  test('transaction ids of 1 to 20 bytes are echoed as they are', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    for (let length = 1; length <= 21; length++) {
      const tid = new Uint8Array(length).fill(length)
      const reply = await exchange(simulator, peer, address, PING, {}, { tid })
      expect(reply?.tid).toEqual(length <= 20 ? tid : undefined)
    }
    expect(rpc.counters.dropped.malformed).toBe(1)
  })

  test('an unknown method gets an error that names those that are known', async () => {
    const { simulator, rpc, address, peer, observed } = await rpcAndPeer()
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    const stop = rpc.serve(ECHO, (params, _request, reply) => reply.result(params))
    for (const method of [40, 'chat']) {
      const tid = peer.askRaw(address, method, [], { paddedBytes: 400 })
      await simulator.advance(100)
      const [reply] = peer.repliesTo(tid)
      expect(reply).toMatchObject({ type: 'error', text: 'served here: 0' })
      expect(reply?.type === 'error' && errorCode(reply.code)).toBe('ERR_UNKNOWN_METHOD')
    }
    expect(rpc.counters.dropped.unknownMethod).toBe(2)
    stop()
    expect(rpc.serves('echo')).toBe(false)
    const reply = await exchange(simulator, peer, address, ECHO, ONE_BYTE)
    expect(reply).toMatchObject({ type: 'error', text: 'served here: 0' })
    // Who asks nonsense is not worth a place in the table.
    expect(observed).toEqual([])
  })

  test('another version gets an error that names the one that is known', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const request = (await requestBytes(400)).fill(2, 1, 2)
    peer.send(address, request)
    await simulator.advance(100)
    const message = peer.heard[0]?.message
    expect(message).toMatchObject({ type: 'error', text: 'only version 1 is spoken here' })
    expect(message?.type === 'error' && errorCode(message.code)).toBe('ERR_UNKNOWN_VERSION')
    expect(rpc.counters.dropped.unknownVersion).toBe(1)
  })

  test('malformed parameters get an error and are counted', async () => {
    const { simulator, rpc, address, peer, observed } = await rpcAndPeer()
    rpc.serve(FIND_NODE, (_params, _request, reply) => reply.result({ contacts: new Uint8Array(0) }))
    for (const params of [[], [1, 0], [new Uint8Array(31), 0], [new Uint8Array(32), -1], [new Uint8Array(32), 'x']]) {
      const tid = peer.askRaw(address, FIND_NODE.code, params, { paddedBytes: 400 })
      await simulator.advance(100)
      const [reply] = peer.repliesTo(tid)
      expect(reply?.type === 'error' && errorCode(reply.code)).toBe('ERR_MALFORMED_MESSAGE')
    }
    expect(rpc.counters.dropped.malformedParams).toBe(5)
    expect(rpc.counters.requests).toBe(0)
    expect(observed).toEqual([])
  })

  test('a request under our own id is dropped', async () => {
    const { simulator, rpc, address, id, peer } = await rpcAndPeer()
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    expect(await exchange(simulator, peer, address, PING, {}, { id })).toBeUndefined()
    expect(rpc.counters.dropped.refusedId).toBe(1)
  })
})

describe('a request that is sent again', () => {
  test('does not run the handler of an own method again, but gets the kept reply', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, true)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(100)
    asked[0]?.reply.result({ payload: Uint8Array.of(2) })
    for (let i = 0; i < 3; i++) {
      await simulator.advance(2_000)
      peer.ask(address, ECHO, ONE_BYTE, { tid })
    }
    await simulator.advance(100)
    expect(asked).toHaveLength(1)
    const replies = peer.repliesTo(tid)
    expect(replies).toHaveLength(4)
    for (const reply of replies) expect(reply).toEqual(replies[0])
    expect(rpc.counters.dropped.duplicate).toBe(3)
  })

  test('does not run it again either while the first run goes on, and gets one reply in all', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, true)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(300)
    peer.ask(address, ECHO, ONE_BYTE, { tid })
    await simulator.advance(300)
    expect(asked).toHaveLength(1)
    asked[0]?.reply.error('ERR_REMOTE', 'failed')
    await simulator.advance(300)
    expect(peer.repliesTo(tid)).toHaveLength(1)
    peer.ask(address, ECHO, ONE_BYTE, { tid })
    await simulator.advance(300)
    expect(asked).toHaveLength(1)
    expect(peer.repliesTo(tid)).toMatchObject([{ type: 'error' }, { type: 'error' }])
  })

  test('is another one from another address, with another transaction id, or after 10 s', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, true)
    const other = await RawPeer.on(simulator.host({ address: peer.address.replace(/\d+$/, '9999') }), peer.id)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(100)
    asked[0]?.reply.result(ONE_BYTE)
    other.ask(address, ECHO, ONE_BYTE, { tid })
    peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(9_800)
    expect(asked).toHaveLength(3)
    peer.ask(address, ECHO, ONE_BYTE, { tid })
    await simulator.advance(100)
    expect(asked).toHaveLength(3)
    await simulator.advance(200)
    peer.ask(address, ECHO, ONE_BYTE, { tid })
    await simulator.advance(100)
    expect(asked).toHaveLength(4)
  })

  test('runs the handler of a method of the protocol again, which keeps nothing for it', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    peer.ask(address, ECHO, ONE_BYTE, { tid })
    await simulator.advance(100)
    expect(asked).toHaveLength(2)
    expect(rpc.counters.dropped.duplicate).toBe(0)
  })

  test('by a call whose first answer got lost runs the handler once, and its answer arrives', async () => {
    const { simulator, rpc, address } = await rpcAndPeer()
    const asked = servedByHand(rpc, true)
    const caller = await openRpc(simulator.host())
    let replies = 0
    simulator.setFilter(({ from }) => from !== address || ++replies > 1)
    const { events, log } = writtenDown(simulator)
    caller.rpc.call(ECHO, { address }, ONE_BYTE, events)
    await simulator.advance(50)
    asked[0]?.reply.result(ONE_BYTE)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow', '300 sent', '320 answered'])
    expect(asked).toHaveLength(1)
  })
})

describe('the reflection limit', () => {
  test('an unproven address is sent no answer of more than three times its request, a ping kept back', async () => {
    const lengths = fc.record({ requestBytes: fc.integer({ min: 60, max: 1_200 }), answerBytes: fc.nat(1_000) })
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    await fc.assert(
      fc.asyncProperty(lengths, async ({ requestBytes, answerBytes }) => {
        asked.length = 0
        let sentBytes = 0
        let receivedBytes = 0
        simulator.setFilter(({ from, bytes }) => {
          if (from === address) receivedBytes += bytes.length
          else sentBytes += bytes.length
          return true
        })
        const tid = peer.ask(address, ECHO, ONE_BYTE, { paddedBytes: requestBytes })
        await simulator.advance(100)
        const { reply, request } = asked[0]!
        reply.result({ payload: new Uint8Array(answerBytes) })
        await simulator.advance(100)
        expect(receivedBytes).toBeLessThanOrEqual(3 * sentBytes - 64)
        // The room that the handler was told is room that there is.
        if (answerBytes + 3 <= request.roomBytes) expect(peer.repliesTo(tid)).toHaveLength(1)
        else if (answerBytes > request.roomBytes + 20) expect(receivedBytes).toBe(0)
      }),
      { numRuns: 300 },
    )
    expect(rpc.counters.repliesWithheld).toBeGreaterThan(0)
  })

  test('the room is what a datagram leaves, once the address is proven', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    const roomOf = async (): Promise<number> => {
      peer.ask(address, ECHO, ONE_BYTE, { paddedBytes: 100 })
      await simulator.advance(100)
      return asked.at(-1)!.request.roomBytes
    }
    const unproven = await roomOf()
    expect(unproven).toBeLessThan(300 - 64)
    // A reply that matches no call proves nothing.
    peer.onRequest = (request, from) =>
      peer.answer(from, request, PING, {}, { tid: request.tid.map((byte) => byte ^ 1) })
    rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(3_000)
    expect(await roomOf()).toBe(unproven)
    peer.onRequest = (request, from) => peer.answer(from, request, PING, {})
    rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(100)
    const proven = await roomOf()
    expect(proven).toBeGreaterThan(1_100)
    // For 10 minutes from the reply, which came 80 ms and one request ago, and no longer.
    await simulator.advance(600_000 - 300)
    expect(await roomOf()).toBe(proven)
    await simulator.advance(200)
    expect(await roomOf()).toBe(unproven)
  })

  test('a proof holds for one port', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    const other = await RawPeer.on(simulator.host({ address: peer.address.replace(/\d+$/, '9999') }), peer.id)
    peer.onRequest = (request, from) => peer.answer(from, request, PING, {})
    rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(100)
    for (const asker of [peer, other]) asker.ask(address, ECHO, ONE_BYTE, { paddedBytes: 100 })
    await simulator.advance(100)
    expect(asked[0]?.request.roomBytes).toBeGreaterThan(1_000)
    expect(asked[1]?.request.roomBytes).toBeLessThan(300)
  })

  test('a handler may prove an address: the next answer may be long', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    peer.ask(address, ECHO, ONE_BYTE, { paddedBytes: 100 })
    await simulator.advance(100)
    asked[0]?.request.prove()
    peer.ask(address, ECHO, ONE_BYTE, { paddedBytes: 100 })
    await simulator.advance(100)
    expect(asked[1]?.request.roomBytes).toBeGreaterThan(1_000)
  })

  test('an answer that no datagram holds is withheld, also from a proven address', async () => {
    const { simulator, rpc, address, peer } = await rpcAndPeer()
    const asked = servedByHand(rpc, false)
    const tid = peer.ask(address, ECHO, ONE_BYTE)
    await simulator.advance(100)
    asked[0]?.request.prove()
    asked[0]?.reply.result({ payload: new Uint8Array(1_200) })
    await simulator.advance(100)
    expect(peer.repliesTo(tid)).toEqual([])
    expect(rpc.counters.repliesWithheld).toBe(1)
  })
})

describe('the rate limit', () => {
  const limits = { requestsPerSecondMax: 10, requestsBurstMax: 20 }

  async function flood(address: string, limitedScopes: readonly ('public' | 'private')[]) {
    const { simulator, rpc, address: to } = await rpcAndPeer({}, { ...limits, limitedScopes })
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    const peer = await RawPeer.on(simulator.host({ address }))
    for (let i = 0; i < 50; i++) peer.ask(to, PING, {})
    await simulator.advance(100)
    return { simulator, rpc, to, peer }
  }

  test('holds for addresses of the limited scopes alone', async () => {
    expect((await flood('41.9.9.9:1', ['public'])).rpc.counters.dropped.rateLimited).toBe(30)
    expect((await flood('10.9.9.9:1', ['public'])).rpc.counters.dropped.rateLimited).toBe(0)
    expect((await flood('10.9.9.9:1', ['public', 'private'])).rpc.counters.dropped.rateLimited).toBe(30)
    expect((await flood('41.9.9.9:1', [])).rpc.counters.dropped.rateLimited).toBe(0)
  })

  test('is one for all ports of a host, and leaves other hosts alone', async () => {
    const { simulator, rpc, to } = await flood('41.9.9.9:1', ['public'])
    const samePlace = await RawPeer.on(simulator.host({ address: '41.9.9.9:2' }))
    const neighbour = await RawPeer.on(simulator.host({ address: '41.9.9.10:1' }))
    const tids = [samePlace.ask(to, PING, {}), neighbour.ask(to, PING, {})] as const
    await simulator.advance(15)
    expect(samePlace.repliesTo(tids[0])).toEqual([])
    await simulator.advance(15)
    expect(neighbour.repliesTo(tids[1])).toHaveLength(1)
    expect(rpc.counters.dropped.rateLimited).toBeGreaterThanOrEqual(30)
  })

  test('a stranger beyond it hears nothing, a proven address ERR_RATE_LIMITED', async () => {
    const { simulator, rpc, to, peer } = await flood('41.9.9.9:1', ['public'])
    expect(peer.heard).toHaveLength(20)
    peer.onRequest = (request, from) => peer.answer(from, request, PING, {})
    rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(50)
    for (let i = 0; i < 50; i++) peer.ask(to, PING, {})
    await simulator.advance(50)
    const last = peer.heard.at(-1)?.message
    expect(last?.type === 'error' && errorCode(last.code)).toBe('ERR_RATE_LIMITED')
  })

  test('answers to our own calls are not limited', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer({}, { ...limits, limitedScopes: ['public'] })
    peer.onRequest = (request, from) => peer.answer(from, request, PING, {})
    for (let i = 0; i < 100; i++) rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(100)
    expect(rpc.counters.responses).toBe(100)
  })
})

/** The bytes of a request as a peer sends it. */
async function requestBytes(paddedBytes: number): Promise<Uint8Array> {
  const { simulator, peer, address } = await rpcAndPeer()
  let sent = new Uint8Array(0)
  simulator.setFilter(({ bytes }) => {
    sent = new Uint8Array(bytes)
    return true
  })
  peer.ask(address, PING, {}, { paddedBytes })
  return sent
}
