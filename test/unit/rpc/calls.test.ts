import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sameBytes } from '../../../src/keyspace/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { appMethod, createCodec, FIND_NODE, PING } from '../../../src/wire/index.js'
import { RawPeer } from './raw-peer.js'
import { openRpc, rpcAndPeer, writtenDown } from './rpc-fixture.js'

const NO_RESULT = {}

describe('time', () => {
  test('a call without an answer is late after 300 ms, resent then, and fails after 2 s', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    expect(rpc.pendingCalls).toBe(1)
    await simulator.advance(10_000)
    expect(log).toEqual(['0 sent', '300 slow', '300 sent', '2000 ERR_TIMEOUT'])
    expect(observed).toEqual([`silence ${peer.address}`])
    expect(rpc.counters).toMatchObject({ calls: 1, resends: 1, timeouts: 1, responses: 0, datagramsSent: 2 })
    expect(rpc.pendingCalls).toBe(0)
  })

  test('a resend is the same datagram', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    rpc.call(FIND_NODE, peer.contact, { target: peer.id, skip: 0 }, writtenDown(simulator).events)
    await simulator.advance(3_000)
    expect(peer.requests()).toHaveLength(2)
    expect(peer.requests()[0]).toEqual(peer.requests()[1])
  })

  test('a request that must not be sent twice is sent once', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events, false)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow', '2000 ERR_TIMEOUT'])
    expect(peer.requests()).toHaveLength(1)
  })

  test.each([
    // One measured round trip of 80 ms: late after 80 + 2 * 20, resent after 150, and as long again.
    { slowestMs: 80, lostMs: 270 },
    // The pooled estimate is (80 + 400) / 2, its deviation (20 + 320) / 2: late after 580, resent then.
    { slowestMs: 400, lostMs: 1_160 },
  ])('a stranger is lost after $lostMs ms where answers took at most $slowestMs ms', async ({ slowestMs, lostMs }) => {
    const { simulator, rpc, peer } = await rpcAndPeer({ latency: fixedLatency(40) })
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
    rpc.call(PING, peer.contact, {}, { done: () => {} })
    await simulator.advance(3_000)
    if (slowestMs > 80) {
      simulator.setFaults({ reorderRate: 0 })
      peer.onRequest = (request, from) => {
        simulator.after(slowestMs - 80, () => peer.answer(from, request, PING, NO_RESULT))
      }
      rpc.call(PING, { address: peer.address }, {}, { done: () => {} }, false)
      await simulator.advance(3_000)
    }
    expect(rpc.counters.responses).toBe(slowestMs > 80 ? 2 : 1)
    const sentAtMs = simulator.nowMs
    let lostAfterMs = 0
    const lost = (): void => {
      lostAfterMs = simulator.nowMs - sentAtMs
    }
    rpc.call(PING, { address: '41.77.77.77:7' }, {}, { lost, done: () => {} })
    await simulator.advance(3_000)
    expect(lostAfterMs).toBe(lostMs)
  })

  test('a stranger is waited for longer where an answer came late of late, though not more than half as long again', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer({ latency: fixedLatency(80) })
    let delayMs = 0
    peer.onRequest = (request, from) => {
      simulator.after(delayMs, () => peer.answer(from, request, PING, NO_RESULT))
    }
    for (const ms of [...Array.from({ length: 40 }, () => 0), 900, ...Array.from({ length: 40 }, () => 0)]) {
      delayMs = ms
      rpc.call(PING, peer.contact, {}, { done: () => {} }, false)
      await simulator.advance(3_000)
    }
    const sentAtMs = simulator.nowMs
    const after: Record<string, number> = {}
    const noted = (what: string) => () => {
      after[what] = simulator.nowMs - sentAtMs
    }
    rpc.call(PING, { address: '41.77.77.77:7' }, {}, { slow: noted('slow'), lost: noted('lost'), done: () => {} })
    await simulator.advance(3_000)
    expect(after.slow).toBeGreaterThan(160)
    expect(after.slow).toBeLessThan(400)
    expect(after.lost).toBeCloseTo(3 * (after.slow as number), 6)
  })

  test.each([
    // Two round trips, as after the first measurement, or 10 ms more; the resend waits 150 ms at least and 1 s at most.
    { roundTripMs: 2, slowMs: 12, resentMs: 150 },
    { roundTripMs: 20, slowMs: 40, resentMs: 150 },
    { roundTripMs: 80, slowMs: 160, resentMs: 160 },
    { roundTripMs: 900, slowMs: 1_000, resentMs: 1_000 },
  ])('after a round trip of $roundTripMs ms: late after $slowMs ms, resent after $resentMs ms', async (times) => {
    const { simulator, rpc, peer } = await rpcAndPeer({ latency: fixedLatency(times.roundTripMs / 2) })
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
    rpc.call(PING, peer.contact, {}, writtenDown(simulator).events, false)
    await simulator.advance(3_000)
    expect(rpc.counters.responses).toBe(1)
    peer.onRequest = () => {}
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', `${times.slowMs} slow`, `${times.resentMs} sent`, '2000 ERR_TIMEOUT'])
  })

  test('a late answer counts, and the round trip of a call that was sent once is measured however late', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => simulator.after(1_500, () => peer.answer(from, request, PING, NO_RESULT))
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events, false)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow', '1520 answered'])
    expect(observed).toEqual([`answer ${peer.address}`])
    const next = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, next.events, false)
    await simulator.advance(3_000)
    expect(next.log[1]).toBe('1000 slow')
  })

  test('nothing is measured on a resent call, for nobody knows which of the two was answered', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    // The first of the two gets lost, so that the answer comes 20 ms after the resend.
    peer.onRequest = (request, from) => {
      if (peer.requests().length === 2) peer.answer(from, request, PING, NO_RESULT)
    }
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow', '300 sent', '320 answered'])
    const next = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, next.events)
    await simulator.advance(3_000)
    expect(next.log[1]).toBe('300 slow')
  })
})

describe('answers', () => {
  test('a call ends with its answer, whoever it is where any node may answer', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.answer(from, request, appMethod('m'), { payload: Uint8Array.of(7) })
    const outcomes: unknown[] = []
    rpc.call(
      appMethod('m'),
      { address: peer.address },
      { payload: Uint8Array.of(1) },
      {
        done: (error, result, from, elapsedMs) => outcomes.push([error, result, from, Math.round(elapsedMs)]),
      },
    )
    await simulator.advance(3_000)
    expect(outcomes).toEqual([[undefined, { payload: Uint8Array.of(7) }, peer.contact, 20]])
    expect(observed).toEqual([`answer ${peer.address}`])
  })

  test('an answer that comes twice ends its call once', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer({ duplicateRate: 1 })
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '20 answered'])
    expect(rpc.counters.dropped.unmatched).toBe(3)
  })

  test('an error reply ends the call with its code, and shows that the contact lives', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.refuse(from, request, 'ERR_STORE_FULL')
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '20 ERR_STORE_FULL'])
    expect(observed).toEqual([`answer ${peer.address}`])
    expect(rpc.counters).toMatchObject({ errorReplies: 1, responses: 0 })
  })

  test('a malformed result ends the call, is counted, and measures nothing', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.answerRaw(from, request, ['no bytes'])
    const { events, log } = writtenDown(simulator)
    rpc.call(FIND_NODE, peer.contact, { target: peer.id, skip: 0 }, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '20 ERR_MALFORMED_MESSAGE'])
    expect(observed).toEqual([`nonsense ${peer.address}`])
    expect(rpc.counters.dropped.malformedResult).toBe(1)
    const next = writtenDown(simulator)
    rpc.call(FIND_NODE, { address: '41.9.9.9:1' }, { target: peer.id, skip: 0 }, next.events)
    await simulator.advance(3_000)
    expect(next.log[1]).toBe('300 slow')
  })

  test('an answer from another address, or with another transaction id, leaves the call open', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    const elsewhere = await RawPeer.on(simulator.host({ address: peer.address.replace(/\d+$/, '9999') }), peer.id)
    peer.onRequest = (request, from) => {
      elsewhere.answer(from, request, PING, NO_RESULT)
      peer.answer(from, request, PING, NO_RESULT, { tid: request.tid.map((byte, i) => (i === 7 ? byte ^ 1 : byte)) })
      simulator.after(100, () => peer.answer(from, request, PING, NO_RESULT))
    }
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '120 answered'])
    expect(observed).toEqual([`answer ${peer.address}`])
    expect(rpc.counters.dropped).toMatchObject({ wrongAddress: 1, unmatched: 1 })
  })

  test('another node than the expected one fails the call at once', async () => {
    const { simulator, host, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, { id: host.randomBytes(32), address: peer.address }, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '20 ERR_WRONG_ID'])
    expect(observed).toEqual([`wrong id ${peer.address}`])
    expect(rpc.counters.dropped.wrongId).toBe(1)
  })

  test('an answer with an id that may not be claimed there fails the call, and nothing is learnt of it', async () => {
    const { simulator, rpc, id, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT, { id })
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, { address: peer.address }, {}, events)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '20 ERR_WRONG_ID'])
    expect(observed).toEqual([])
    expect(rpc.counters.dropped.refusedId).toBe(1)
  })

  test('a request that no datagram holds fails at once, and nothing is sent', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const { events, log } = writtenDown(simulator)
    rpc.call(appMethod('m'), peer.contact, { payload: new Uint8Array(1_200) }, events)()
    await simulator.advance(3_000)
    expect(log).toEqual(['0 ERR_VALUE_TOO_LARGE'])
    expect(rpc.counters).toMatchObject({ calls: 0, cancelled: 0, datagramsSent: 0 })
  })
})

describe('ends', () => {
  test('a cancelled call tells nothing more, and its answer matches nothing', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
    const { events, log } = writtenDown(simulator)
    const cancel = rpc.call(PING, peer.contact, {}, events)
    cancel()
    cancel()
    expect(rpc.pendingCalls).toBe(0)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent'])
    expect(observed).toEqual([])
    expect(rpc.counters).toMatchObject({ cancelled: 1, responses: 0, timeouts: 0, datagramsSent: 1 })
    expect(rpc.counters.dropped.unmatched).toBe(1)
  })

  test('giving up a call that is late tells that the contact may be dead; one that ended was not given up', async () => {
    const { simulator, rpc, peer, observed } = await rpcAndPeer()
    const cancel = rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(400)
    cancel()
    expect(observed).toEqual([`given up ${peer.address}`])
    await simulator.advance(3_000)
    const cancelEnded = rpc.call(PING, peer.contact, {}, writtenDown(simulator).events)
    await simulator.advance(3_000)
    cancelEnded()
    expect(observed).toEqual([`given up ${peer.address}`, `silence ${peer.address}`])
  })

  test('a call may be cancelled where it is told to be late: it is not resent', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const { events, log } = writtenDown(simulator)
    const cancel = rpc.call(
      PING,
      peer.contact,
      {},
      {
        ...events,
        slow() {
          events.slow?.()
          cancel()
        },
      },
    )
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow'])
    expect(peer.requests()).toHaveLength(1)
  })

  test('close ends every open call, also where one cancels another; later calls end at once', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const logs = Array.from({ length: 3 }, () => writtenDown(simulator))
    const cancels = logs.map(({ events }, i) =>
      rpc.call(
        PING,
        peer.contact,
        {},
        {
          ...events,
          done(...outcome) {
            events.done(...outcome)
            if (i === 0) cancels[1]?.()
            // Closing again from within changes nothing, nor does calling.
            rpc.close()
            if (i === 2) rpc.call(PING, peer.contact, {}, events)
          },
        },
      ),
    )
    rpc.close()
    expect(logs.map(({ log }) => log)).toEqual([
      ['0 sent', '0 ERR_CLOSED'],
      ['0 sent'],
      ['0 sent', '0 ERR_CLOSED', '0 ERR_CLOSED'],
    ])
    expect(rpc.pendingCalls).toBe(0)
    const sent = rpc.counters.datagramsSent
    peer.ask(peer.address, PING, {})
    await simulator.advance(10_000)
    expect(rpc.counters.datagramsSent).toBe(sent)
    expect(logs.flatMap(({ log }) => log)).toHaveLength(6)
  })

  test('whatever the network does, each call ends once, in 2 s, after at most two datagrams', async () => {
    const rate = fc.double({ min: 0, max: 0.9, noNaN: true })
    const faults = fc.record({ lossRate: rate, duplicateRate: rate, jitterMs: fc.nat(3_000) })
    await fc.assert(
      fc.asyncProperty(faults, fc.nat(), async (options, seed) => {
        const simulator = new Simulator({ seed, latency: fixedLatency(5), ...options })
        const { rpc } = await openRpc(simulator.host())
        const peer = await RawPeer.on(simulator.host())
        peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT)
        const calls = Array.from({ length: 20 }, () => writtenDown(simulator))
        for (const { events } of calls) rpc.call(PING, peer.contact, {}, events)
        await simulator.advance(10_000)
        for (const { log } of calls) {
          const ends = log.filter((line) => line.endsWith('answered') || line.endsWith('ERR_TIMEOUT'))
          expect(ends).toEqual([log.at(-1)])
          expect(Number.parseInt(ends[0] as string, 10)).toBeLessThanOrEqual(2_000)
          expect(log.filter((line) => line.endsWith('sent')).length).toBeLessThanOrEqual(2)
        }
        expect(rpc.pendingCalls).toBe(0)
        const { calls: begun, responses, timeouts } = rpc.counters
        expect(responses + timeouts).toBe(begun)
      }),
      { numRuns: 40 },
    )
  })
})

test('transaction ids are 8 bytes, drawn anew for each call', async () => {
  const { simulator, rpc, peer } = await rpcAndPeer()
  for (let i = 0; i < 50; i++) rpc.call(PING, peer.contact, {}, writtenDown(simulator).events, false)
  await simulator.advance(100)
  const tids = peer.requests().map(({ tid }) => tid)
  expect(tids).toHaveLength(50)
  expect(tids.every((tid, i) => tid.length === 8 && !tids.some((other, j) => i !== j && sameBytes(tid, other)))).toBe(
    true,
  )
})

test('a reply of another network matches nothing', async () => {
  const { simulator, rpc, peer } = await rpcAndPeer()
  peer.onRequest = (request, from) => peer.answer(from, request, PING, NO_RESULT, { network: 'other' })
  const { events, log } = writtenDown(simulator)
  rpc.call(PING, peer.contact, {}, events)
  await simulator.advance(3_000)
  expect(log.at(-1)).toBe('2000 ERR_TIMEOUT')
  expect(rpc.counters.dropped.foreignNetwork).toBe(2)
})

test('what is unreadable is counted by reason and answered by nothing', async () => {
  const { simulator, rpc, address, peer } = await rpcAndPeer()
  const request = createCodec('xorbit').encode(
    { type: 'request', tid: Uint8Array.of(1), flags: 0, sender: peer.id, method: 0, params: [] },
    1_200,
  )
  for (const bytes of [new Uint8Array(1_201), Uint8Array.of(0xc1), Uint8Array.of(0x90), request.subarray(0, 20)]) {
    peer.send(address, new Uint8Array(bytes))
  }
  await simulator.advance(100)
  expect(rpc.counters.dropped).toMatchObject({ oversize: 1, undecodable: 2, malformed: 1 })
  expect(rpc.counters).toMatchObject({ datagramsReceived: 4, datagramsSent: 0, requests: 0 })
  expect(peer.heard).toEqual([])
})

describe('many calls at once', () => {
  test('calls to several addresses are each late at their own times, in the order in which they were made', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const startMs = simulator.nowMs
    const log: string[] = []
    const begin = (name: string): (() => void) =>
      rpc.call(
        PING,
        { address: peer.address },
        {},
        {
          slow: () => log.push(`${Math.round(simulator.nowMs - startMs)} ${name} slow`),
          done: (error) => log.push(`${Math.round(simulator.nowMs - startMs)} ${name} ${error?.code}`),
        },
      )
    begin('a')
    begin('b')
    await simulator.advance(50)
    begin('c')
    await simulator.advance(3_000)
    expect(log).toEqual([
      ...['300 a slow', '300 b slow', '350 c slow'],
      ...['2000 a ERR_TIMEOUT', '2000 b ERR_TIMEOUT', '2050 c ERR_TIMEOUT'],
    ])
  })

  test('a call that is late may cancel others that are late at the same moment, and begin new ones', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    const log: string[] = []
    const cancels: (() => void)[] = []
    const begin = (name: string, whenSlow: () => void): void => {
      cancels.push(
        rpc.call(
          PING,
          { address: peer.address },
          {},
          {
            slow: () => {
              log.push(`${name} slow`)
              whenSlow()
            },
            done: (error) => log.push(`${name} ${error?.code}`),
          },
        ),
      )
    }
    begin('a', () => {
      cancels[0]!()
      cancels[1]!()
      begin('new', () => {})
    })
    begin('b', () => {})
    begin('c', () => {})
    await simulator.advance(5_000)
    expect(log).toEqual(['a slow', 'c slow', 'new slow', 'c ERR_TIMEOUT', 'new ERR_TIMEOUT'])
    expect(rpc.counters).toMatchObject({ calls: 4, cancelled: 2, timeouts: 2 })
  })

  test('a reply with a transaction id of another length than ours ends no call', async () => {
    const { simulator, rpc, peer } = await rpcAndPeer()
    peer.onRequest = (request, from) => {
      for (const tid of [request.tid.slice(0, 7), Uint8Array.of(...request.tid, 0), Uint8Array.of(0)]) {
        peer.answer(from, request, PING, NO_RESULT, { tid })
      }
    }
    const { events, log } = writtenDown(simulator)
    rpc.call(PING, peer.contact, {}, events, false)
    await simulator.advance(3_000)
    expect(log).toEqual(['0 sent', '300 slow', '2000 ERR_TIMEOUT'])
    expect(rpc.counters.dropped.unmatched).toBe(3)
  })
})
