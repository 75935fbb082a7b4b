import type { Address } from '../platform/transport.js'
import type { ConformanceTest } from './conformance.js'
import { assert, assertRejects, assertSameBytes, assertThrows } from './conformance.js'
import type { Arrival, Bench, TransportConformanceOptions } from './transport-bench.js'
import { withBench } from './transport-bench.js'

export type { TransportConformanceOptions } from './transport-bench.js'

/**
 * Checks that a transport keeps the promises of the `Transport` interface, under any test runner.
 *
 * @example
 * ```ts
 * for (const { name, run } of transportConformance({ create: () => udp({ host: '127.0.0.1' }) })) test(name, run)
 * ```
 */
export function transportConformance(options: TransportConformanceOptions): ConformanceTest[] {
  const rules: [string, (bench: Bench) => Promise<void>][] = [
    ['it takes datagrams of 1,200 bytes', takesFullDatagrams],
    ['each transport starts at an address of its own', hasOwnAddress],
    ['a datagram can be answered, and the answer comes from where the datagram went', carriesBothWays],
    ['a datagram arrives as the bytes that were sent, whatever their length', keepsBytes],
    ['datagrams are neither split nor joined', keepsBoundaries],
    ['send does not throw before start, after close, or for what can not be delivered', sendNeverThrows],
    ['a transport that sent into the void still receives', survivesTheVoid],
    ['nothing arrives after close', isSilentAfterClose],
    ['close is idempotent, with and without start', closesTwice],
    ['close during start settles both', closesDuringStart],
    ['an encoded address is at most 64 bytes, begins with its kind, and decodes to the same string', encodesAddresses],
    ['bytes that are no address make decodeAddress throw', refusesJunkBytes],
    ['an address is described by its host, whatever its port', describesHosts],
    ['describe and encodeAddress throw for what is no address', refusesJunkAddresses],
    ['an address resolves to itself', resolvesItself],
    ['resolve rejects with a TypeError for what can not be read', refusesJunkNames],
    ['an aborted resolve rejects with the reason and leaves no listener', abortsResolve],
    ['counters are numbers', countsNumbers],
  ]
  if (options.createAt !== undefined) {
    rules.push(
      ['start rejects with ERR_ADDRESS_IN_USE when the address is taken', refusesTakenAddress],
      ['nothing arrives before start settled', isSilentBeforeStart],
    )
  }
  return rules.map(([name, rule]) => ({ name, run: () => withBench(options, rule) }))
}

async function takesFullDatagrams(bench: Bench): Promise<void> {
  const { maxDatagramBytes } = await bench.create()
  assert(Number.isInteger(maxDatagramBytes) && maxDatagramBytes >= 1200, `maxDatagramBytes is ${maxDatagramBytes}`)
}

async function hasOwnAddress(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  assert(typeof a.address === 'string' && a.address !== '', 'start must resolve with an address')
  assert(a.address !== b.address, `two transports have the address ${a.address}`)
}

async function carriesBothWays(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const ask = () => a.transport.send(b.address, Uint8Array.of(1))
  await bench.until(() => b.arrivals.length > 0, 'a datagram arrives', ask)
  const { from } = b.arrivals[0] as Arrival
  const answer = () => b.transport.send(from, Uint8Array.of(2))
  await bench.until(() => a.arrivals.length > 0, 'the answer arrives', answer)
  const answered = a.arrivals[0] as Arrival
  assertSameBytes(answered.bytes, Uint8Array.of(2), 'the answer')
  assert(answered.from === b.address, `sent to ${b.address} and answered from ${answered.from}`)
}

async function keepsBytes(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  for (const length of [1, 2, 255, 1199, 1200]) {
    const sent = patterned(length)
    const seenBefore = b.arrivals.length
    const arrived = () => b.arrivals.slice(seenBefore).find(({ bytes }) => bytes.length === length)
    await bench.until(
      () => arrived() !== undefined,
      `${length} bytes arrive`,
      () => {
        // A part of something larger: exactly that part is the datagram.
        const pool = new Uint8Array(length + 64).fill(0xee)
        pool.set(sent, 32)
        a.transport.send(b.address, pool.subarray(32, 32 + length))
      },
    )
    assertSameBytes((arrived() as Arrival).bytes, sent, `a datagram of ${length} bytes`)
  }
}

async function keepsBoundaries(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const lengths = [3, 700, 40, 1200]
  const arrived = (length: number) => b.arrivals.some(({ bytes }) => bytes.length === length)
  await bench.until(
    () => lengths.every(arrived),
    'all of several datagrams arrive',
    () => {
      for (const length of lengths) a.transport.send(b.address, patterned(length))
    },
  )
  for (const { bytes } of b.arrivals) {
    assert(lengths.includes(bytes.length), `${bytes.length} bytes arrived, which nobody sent`)
    assertSameBytes(bytes, patterned(bytes.length), 'a datagram among others')
  }
}

async function sendNeverThrows(bench: Bench): Promise<void> {
  const b = await bench.peer()
  const transport = await bench.create()
  transport.send(b.address, Uint8Array.of(1))
  const a = await bench.peer(transport)
  a.transport.send(b.address, new Uint8Array(0))
  a.transport.send(b.address, new Uint8Array(a.transport.maxDatagramBytes + 1))
  for (const junk of JUNK_ADDRESSES) a.transport.send(junk as Address, Uint8Array.of(1))
  await a.transport.close()
  a.transport.send(b.address, Uint8Array.of(1))
  await bench.quiet()
}

async function survivesTheVoid(bench: Bench): Promise<void> {
  const [a, b, gone] = [await bench.peer(), await bench.peer(), await bench.peer()]
  await gone.transport.close()
  await bench.quiet(() => a.transport.send(gone.address, patterned(100)))
  a.transport.send(b.address, new Uint8Array(a.transport.maxDatagramBytes + 1))
  const ask = () => b.transport.send(a.address, Uint8Array.of(7))
  await bench.until(() => a.arrivals.some(({ bytes }) => bytes[0] === 7), 'a datagram arrives', ask)
  const answer = () => a.transport.send(b.address, Uint8Array.of(8))
  await bench.until(() => b.arrivals.some(({ bytes }) => bytes[0] === 8), 'a datagram leaves', answer)
}

async function isSilentAfterClose(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const send = () => a.transport.send(b.address, Uint8Array.of(1))
  await bench.until(() => b.arrivals.length > 0, 'a datagram arrives', send)
  send()
  const closed = b.transport.close()
  const seen = b.arrivals.length
  await bench.quiet(send)
  await closed
  await bench.quiet(send)
  assert(b.arrivals.length === seen, `${b.arrivals.length - seen} datagrams arrived after close was called`)
}

async function closesTwice(bench: Bench): Promise<void> {
  const started = await bench.peer()
  await Promise.all([started.transport.close(), started.transport.close()])
  await started.transport.close()
  const never = await bench.create()
  await never.close()
  await never.close()
}

async function closesDuringStart(bench: Bench): Promise<void> {
  const transport = await bench.create()
  let settled = 0
  const count = () => {
    settled++
  }
  transport.start(() => undefined).then(count, count)
  transport.close().then(count, count)
  await bench.until(() => settled === 2, 'start and close settle')
}

async function encodesAddresses(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const encoded = a.transport.encodeAddress(a.address)
  const kind = encoded[0] as number
  assert(encoded.length <= 64, `an address takes ${encoded.length} bytes`)
  assert(kind === 4 || kind === 6 || kind >= 16, `the kind byte is ${kind}`)
  const length = kind === 4 ? 7 : kind === 6 ? 19 : 2 + (encoded[1] as number)
  assert(encoded.length === length, `an address of kind ${kind} should take ${length} bytes, not ${encoded.length}`)
  const inDatagram = new Uint8Array(length + 20).fill(0xee)
  inDatagram.set(encoded, 10)
  const view = inDatagram.subarray(10, 10 + length)
  const decoded = b.transport.decodeAddress(view)
  assert(decoded === a.address, `${a.address} came back as ${decoded}`)
  assertSameBytes(view, encoded, 'the bytes that were decoded')
  // The encoder may hand out the same array each time, as its readers don't change it: what it says must stay.
  assertSameBytes(a.transport.encodeAddress(a.address), view, 'an address that is encoded again')
}

async function refusesJunkBytes(bench: Bench): Promise<void> {
  const { transport, address } = await bench.peer()
  const encoded = transport.encodeAddress(address)
  const junk = [Uint8Array.of(0), Uint8Array.of(255), Uint8Array.of(4, 1, 2, 3), Uint8Array.of(0, ...encoded)]
  for (let length = 0; length < encoded.length; length++) junk.push(encoded.slice(0, length))
  junk.push(Uint8Array.of(...encoded, 0))
  for (const bytes of junk) assertThrows(() => transport.decodeAddress(bytes), `decodeAddress of [${bytes}]`)
  // Whatever it makes of damaged bytes, the rest of the transport must be able to live with.
  for (let at = 0; at < encoded.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const damaged = encoded.slice()
      damaged[at] = (damaged[at] as number) ^ mask
      let decoded: Address
      try {
        decoded = transport.decodeAddress(damaged)
      } catch {
        continue
      }
      transport.describe(decoded)
      const again = transport.decodeAddress(transport.encodeAddress(decoded))
      assert(again === decoded, `${decoded} has the second spelling ${again}`)
    }
  }
}

async function describesHosts(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const { host, group, scope } = b.transport.describe(a.address)
  assert(host.length > 0 && host.length <= 64, `host has ${host.length} bytes`)
  assert(group.length > 0 && group.length <= 64, `group has ${group.length} bytes`)
  assert(['loopback', 'private', 'public'].includes(scope), `scope is ${scope}`)
  for (const address of [a.address, bench.options.sibling?.(a.address) ?? a.address]) {
    const other = a.transport.describe(address)
    assertSameBytes(other.host, host, `the host of ${address}`)
    assertSameBytes(other.group, group, `the group of ${address}`)
    assert(other.scope === scope, `the scope of ${address} is ${other.scope} instead of ${scope}`)
  }
}

async function refusesJunkAddresses(bench: Bench): Promise<void> {
  const { transport } = await bench.peer()
  for (const junk of JUNK_ADDRESSES) {
    assertThrows(() => transport.describe(junk as Address), `describe of ${String(junk)}`)
    assertThrows(() => transport.encodeAddress(junk as Address), `encodeAddress of ${String(junk)}`)
  }
}

async function resolvesItself(bench: Bench): Promise<void> {
  const { transport, address } = await bench.peer()
  const found = await transport.resolve(address)
  assert(found.length === 1 && found[0] === address, `${address} resolved to [${found}]`)
}

async function refusesJunkNames(bench: Bench): Promise<void> {
  const { transport } = await bench.peer()
  for (const junk of JUNK_ADDRESSES) {
    const reason = await assertRejects(() => transport.resolve(junk as string), `resolve of ${String(junk)}`)
    assert(reason instanceof TypeError, `resolve of ${String(junk)} rejected with ${String(reason)}`)
  }
}

async function abortsResolve(bench: Bench): Promise<void> {
  const { transport, address } = await bench.peer()
  const reason = new Error('the reason')
  const signal = AbortSignal.abort(reason)
  const found = await assertRejects(() => transport.resolve(address, { signal }), 'resolve with an aborted signal')
  assert(found === reason, `resolve rejected with ${String(found)} instead of the reason`)
  const live = new AbortController().signal
  let listeners = 0
  const { addEventListener, removeEventListener } = live
  live.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++
    addEventListener.apply(live, args)
  }
  live.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--
    removeEventListener.apply(live, args)
  }
  await transport.resolve(address, { signal: live })
  assert(listeners <= 0, `resolve left ${listeners} listeners`)
}

async function countsNumbers(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const send = () => a.transport.send(b.address, Uint8Array.of(1))
  await bench.until(() => b.arrivals.length > 0, 'a datagram arrives', send)
  for (const [name, value] of Object.entries(a.transport.stats?.() ?? {})) {
    assert(Number.isFinite(value), `the counter ${name} is ${value}`)
  }
}

async function refusesTakenAddress(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  const second = await bench.createAt(a.address)
  const reason = await assertRejects(() => second.start(() => undefined), `a second start at ${a.address}`)
  const code = (reason as { code?: unknown } | null)?.code
  assert(code === 'ERR_ADDRESS_IN_USE', `start rejected with ${String(reason)}, code ${String(code)}`)
  await second.close()
  const send = () => b.transport.send(a.address, Uint8Array.of(1))
  await bench.until(() => a.arrivals.length > 0, 'the first one still receives', send)
}

async function isSilentBeforeStart(bench: Bench): Promise<void> {
  const [a, b] = [await bench.peer(), await bench.peer()]
  await b.transport.close()
  const next = await bench.createAt(b.address)
  const send = () => a.transport.send(b.address, Uint8Array.of(1))
  let [isStarted, early, arrived] = [false, 0, 0]
  send()
  const starting = next.start(() => {
    arrived++
    if (!isStarted) early++
  })
  const noted = starting.then(() => {
    isStarted = true
  })
  await bench.until(() => isStarted, 'start settles', send)
  await noted
  await bench.until(() => arrived > 0, 'a datagram arrives', send)
  assert(early === 0, `${early} datagrams arrived before start settled`)
}

/** No transport can read these. */
const JUNK_ADDRESSES: readonly unknown[] = ['', ' ', '\0', 'no address\nat all', undefined, null, 7400, {}]

/** Bytes that differ by place and length, so that a shift or a mix shows. */
function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff)
}
