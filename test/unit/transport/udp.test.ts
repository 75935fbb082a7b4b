import type { Socket } from 'node:dgram'
import dgram, { createSocket } from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { DhtError } from '../../../src/errors.js'
import type { Address, Transport } from '../../../src/platform/transport.js'
import type { UdpOptions } from '../../../src/transport/udp.js'
import { udp } from '../../../src/transport/udp.js'

const LOOPBACK = { host: '127.0.0.1' }

afterEach(() => {
  vi.restoreAllMocks()
})

describe('options', () => {
  test.each([
    [{ port: '7400' }, TypeError],
    [{ port: -1 }, RangeError],
    [{ port: 65_536 }, RangeError],
    [{ port: 1.5 }, RangeError],
    [{ port: Number.NaN }, RangeError],
    [{ host: 7 }, TypeError],
    [{ host: '' }, TypeError],
    [{ host: 'localhost' }, TypeError],
    [{ host: '224.0.0.1' }, RangeError],
    [{ host: '255.255.255.255' }, RangeError],
    [{ receiveBufferBytes: 0 }, RangeError],
    [{ sendBufferBytes: '1' }, TypeError],
    [7400, TypeError],
    [null, TypeError],
  ])('%j is wrong at once', (options, error) => {
    expect(() => udp(options as UdpOptions)).toThrow(error)
  })

  test('an option that does not exist is a TypeError with its name', () => {
    expect(() => udp({ prot: 7400 } as UdpOptions)).toThrow(new TypeError('udp has no option prot'))
  })

  test('an option that is undefined is not given', async () => {
    const options: Required<UdpOptions> = {
      port: undefined,
      host: undefined,
      receiveBufferBytes: undefined,
      sendBufferBytes: undefined,
    }
    const { address } = await started(options)
    expect(address).toMatch(/^(?:0\.0\.0\.0|\[::\]):[1-9]\d*$/)
  })

  test('construction opens no socket', () => {
    const bind = vi.spyOn(dgram.Socket.prototype, 'bind')
    udp()
    expect(bind).not.toHaveBeenCalled()
  })

  test('buffers that the system refuses do not keep it from starting', async () => {
    vi.spyOn(dgram.Socket.prototype, 'setRecvBufferSize').mockImplementation(() => {
      throw new Error('ENOBUFS')
    })
    const { address } = await started(LOOPBACK)
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/)
  })
})

describe('start', () => {
  test('without a host one port serves IPv4 and IPv6, and decodes what the machine can send to', async (context) => {
    const { transport, address, arrivals } = await started({})
    expect(address).toMatch(/^0\.0\.0\.0:[1-9]\d*$/)
    const port = portOf(address)
    const ipv4 = await started(LOOPBACK)
    ipv4.transport.send(`127.0.0.1:${port}`, Uint8Array.of(4))
    await vi.waitFor(() => expect(arrivals).toEqual([{ from: ipv4.address, bytes: [4] }]))
    expect(transport.decodeAddress(Uint8Array.of(4, 203, 0, 113, 7, 0, 1))).toBe('203.0.113.7:1')
    context.skip(!(await hasIpv6()), 'this machine has no ::1')
    const ipv6 = await started({ host: '::1' })
    ipv6.transport.send(`[::1]:${port}`, Uint8Array.of(6))
    await vi.waitFor(() => expect(arrivals[1]).toEqual({ from: ipv6.address, bytes: [6] }))
    transport.send(ipv6.address, Uint8Array.of(66))
    await vi.waitFor(() => expect(ipv6.arrivals).toEqual([{ from: `[::1]:${port}`, bytes: [66] }]))
  })

  test('where the machine has no IPv6, IPv4 serves alone', async () => {
    failBind('udp6', 'EAFNOSUPPORT')
    const { transport, address } = await started({})
    expect(address).toMatch(/^0\.0\.0\.0:/)
    expect(() => transport.decodeAddress(ipv6Bytes())).toThrow(DhtError)
    expect(await transport.resolve('[2001:db8::1]:7400')).toEqual([])
    transport.send('[::1]:7400', Uint8Array.of(1))
    expect(transport.stats?.()).toMatchObject({ sendErrorFamily: 1 })
  })

  test('a port of IPv4 that is taken on IPv6 makes it ask for another', async () => {
    const bind = failBind('udp6', 'EADDRINUSE', 3)
    await started({})
    expect(bind.mock.calls.length).toBeGreaterThanOrEqual(8)
  })

  test('a taken port is ERR_ADDRESS_IN_USE, leaves no socket, and may be tried again', async () => {
    const first = await started(LOOPBACK)
    const close = vi.spyOn(dgram.Socket.prototype, 'close')
    const second = udp({ ...LOOPBACK, port: portOf(first.address) })
    onTestFinished(() => second.close())
    const failure = await second.start(() => undefined).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(DhtError)
    expect(failure).toMatchObject({ code: 'ERR_ADDRESS_IN_USE', cause: { code: 'EADDRINUSE' } })
    expect(close).toHaveBeenCalledTimes(1)
    await first.transport.close()
    expect(await second.start(() => undefined)).toBe(first.address)
  })

  test('a taken IPv6 port closes the IPv4 socket too', async () => {
    const free = await started(LOOPBACK)
    await free.transport.close()
    failBind('udp6', 'EADDRINUSE')
    const close = vi.spyOn(dgram.Socket.prototype, 'close')
    const start = udp({ port: portOf(free.address) }).start(() => undefined)
    await expect(start).rejects.toMatchObject({ code: 'ERR_ADDRESS_IN_USE' })
    expect(close).toHaveBeenCalledTimes(2)
  })

  test.each(['EACCES', 'EADDRNOTAVAIL', 'EMFILE'])('%s is ERR_TRANSPORT', async (code) => {
    failBind('udp4', code)
    const start = udp(LOOPBACK).start(() => undefined)
    await expect(start).rejects.toMatchObject({ name: 'DhtError', code: 'ERR_TRANSPORT', cause: { code } })
  })

  test('a second start rejects with ERR_TRANSPORT, one after close with ERR_CLOSED, one without function at once', async () => {
    const { transport } = await started(LOOPBACK)
    await expect(transport.start(() => undefined)).rejects.toMatchObject({ code: 'ERR_TRANSPORT' })
    await transport.close()
    await expect(transport.start(() => undefined)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(udp().start(undefined as unknown as () => void)).rejects.toThrow(TypeError)
  })

  test('close during start settles both and leaves no socket', async () => {
    const open = vi.spyOn(dgram.Socket.prototype, 'bind')
    const emit = vi.spyOn(dgram.Socket.prototype, 'emit')
    const transport = udp()
    const start = transport.start(() => undefined)
    const closing = transport.close()
    const failed = expect(start).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await closing
    expect(open).toHaveBeenCalled()
    const closed = emit.mock.calls.filter(([event]) => String(event) === 'close')
    expect(closed).toHaveLength(open.mock.calls.length)
    await failed
  })
})

describe('send', () => {
  test('a refused destination is survived', async () => {
    const gone = await started(LOOPBACK)
    await gone.transport.close()
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    for (let i = 0; i < 20; i++) a.transport.send(gone.address, Uint8Array.of(i))
    a.transport.send(b.address, Uint8Array.of(1))
    await vi.waitFor(() => expect(b.arrivals).toHaveLength(1))
    b.transport.send(a.address, Uint8Array.of(2))
    await vi.waitFor(() => expect(a.arrivals).toHaveLength(1))
  })

  test('a datagram that is too long is counted', async () => {
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    a.transport.send(b.address, new Uint8Array(70_000))
    await vi.waitFor(() => expect(a.transport.stats?.()).toMatchObject({ sendErrorEMSGSIZE: 1, datagramsSent: 0 }))
  })

  test.each(['ENOBUFS', 'EPERM', 'ENETUNREACH', 'EHOSTUNREACH', 'ECONNREFUSED'])('%s is counted', async (code) => {
    const { transport } = await started(LOOPBACK)
    vi.spyOn(dgram.Socket.prototype, 'send').mockImplementation(((...args: unknown[]) => {
      ;(args.at(-1) as (error: Error) => void)(Object.assign(new Error(code), { code }))
    }) as Socket['send'])
    transport.send('127.0.0.1:9', Uint8Array.of(1))
    expect(transport.stats?.()).toMatchObject({ [`sendError${code}`]: 1 })
  })

  test('what the socket throws is counted, codes without bound under one name', async () => {
    const { transport } = await started(LOOPBACK)
    let thrown = 0
    vi.spyOn(dgram.Socket.prototype, 'send').mockImplementation(() => {
      throw Object.assign(new Error('odd'), { code: `E${1000 + thrown++}` })
    })
    for (let i = 0; i < 200; i++) transport.send('127.0.0.1:9', Uint8Array.of(1))
    const stats = transport.stats?.() ?? {}
    expect(Object.keys(stats).length).toBeLessThan(80)
    expect(stats.sendErrorOther).toBeGreaterThan(100)
  })

  test('nothing that can not be sent throws', async () => {
    const { transport } = await started(LOOPBACK)
    const targets = ['', 'x', '127.0.0.1:0', '127.0.0.1:65536', '0.0.0.0:9', '224.0.0.1:9', 'localhost:9', undefined]
    for (const to of targets) transport.send(to as Address, Uint8Array.of(1))
    transport.send('[::1]:9', Uint8Array.of(1))
    expect(transport.stats?.()).toMatchObject({
      sendErrorAddress: targets.length,
      sendErrorFamily: 1,
      datagramsSent: 0,
    })
  })

  test('before start and after close it is counted', async () => {
    const transport = udp(LOOPBACK)
    transport.send('127.0.0.1:9', Uint8Array.of(1))
    await transport.start(() => undefined)
    await transport.close()
    transport.send('127.0.0.1:9', Uint8Array.of(1))
    expect(transport.stats?.()).toMatchObject({ sendErrorNotOpen: 2 })
  })

  test('more than 4 MiB that the system did not take are dropped', async () => {
    const { transport } = await started(LOOPBACK)
    const queue = vi.spyOn(dgram.Socket.prototype, 'getSendQueueSize').mockReturnValue(3 * 1024 * 1024)
    transport.send('127.0.0.1:9', new Uint8Array(1024))
    expect(transport.stats?.()).toMatchObject({ datagramsSent: 1 })
    queue.mockReturnValue(4 * 1024 * 1024 - 1023)
    transport.send('127.0.0.1:9', new Uint8Array(1024))
    expect(transport.stats?.()).toMatchObject({ sendErrorBusy: 1, datagramsSent: 1, bytesSent: 1024 })
    queue.mockReturnValue(4 * 1024 * 1024 - 1024)
    transport.send('127.0.0.1:9', new Uint8Array(1024))
    expect(transport.stats?.()).toMatchObject({ sendErrorBusy: 1, datagramsSent: 2 })
  })

  test('where the socket does not tell what waits in it, what it did not say to be gone is counted', async () => {
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    const { getSendQueueSize } = dgram.Socket.prototype
    onTestFinished(() => void Object.assign(dgram.Socket.prototype, { getSendQueueSize }))
    Object.assign(dgram.Socket.prototype, { getSendQueueSize: undefined })
    a.transport.send(b.address, Uint8Array.of(1))
    await vi.waitFor(() => expect(b.arrivals).toHaveLength(1))
    const waiting: ((error: Error | null) => void)[] = []
    vi.spyOn(dgram.Socket.prototype, 'send').mockImplementation(((...args: unknown[]) => {
      waiting.push(args.at(-1) as (error: Error | null) => void)
    }) as Socket['send'])
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) a.transport.send(b.address, new Uint8Array(64 * 1024 - 100))
    }
    send(70)
    expect(waiting).toHaveLength(64)
    expect(a.transport.stats?.()).toMatchObject({ sendErrorBusy: 6, datagramsSent: 65 })
    // One that was refused waits no more either.
    for (const [i, done] of waiting.splice(0).entries()) done(i === 0 ? new Error('refused') : null)
    expect(a.transport.stats?.()).toMatchObject({ sendErrorOther: 1, datagramsSent: 64 })
    send(64)
    expect(waiting).toHaveLength(64)
    expect(a.transport.stats?.()).toMatchObject({ sendErrorBusy: 6, datagramsSent: 128 })
  })

  test('all that the system refuses is counted at first and after a refusal, else one in 16 at least', async () => {
    const { transport } = await started(LOOPBACK)
    let error: Error | null = null
    vi.spyOn(dgram.Socket.prototype, 'send').mockImplementation(((...args: unknown[]) => {
      const callback = args.at(-1)
      if (typeof callback === 'function') callback(error)
    }) as Socket['send'])
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) transport.send('127.0.0.1:9', new Uint8Array(10))
    }
    const refused = Object.assign(new Error('no route'), { code: 'ENETUNREACH' })
    send(32)
    error = refused
    send(32)
    expect(transport.stats?.()).toMatchObject({ sendErrorENETUNREACH: 32, datagramsSent: 32, bytesSent: 320 })
    error = null
    send(1_000)
    error = refused
    send(16)
    const counted = transport.stats?.()?.sendErrorENETUNREACH as number
    expect(counted).toBeGreaterThan(32)
    send(100)
    expect(transport.stats?.()).toMatchObject({ sendErrorENETUNREACH: counted + 100 })
  })
})

describe('receiving', () => {
  test('a datagram of the greatest length arrives', async () => {
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    expect(a.transport.maxDatagramBytes).toBe(65_507)
    await vi.waitFor(() => {
      a.transport.send(b.address, new Uint8Array(65_507))
      expect(b.arrivals[0]?.bytes).toHaveLength(65_507)
    })
  })

  test('what the callback throws is counted, warned of once, and the next datagram arrives', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const fault = new Error('a fault of the program')
    let calls = 0
    const transport = udp(LOOPBACK)
    onTestFinished(() => transport.close())
    const address = await transport.start(() => {
      calls++
      throw fault
    })
    const a = await started(LOOPBACK)
    for (let sent = 1; sent <= 3; sent++) {
      a.transport.send(address, Uint8Array.of(sent))
      await vi.waitFor(() => expect(calls).toBe(sent))
    }
    expect(transport.stats?.()).toMatchObject({ callbackErrors: 3, datagramsReceived: 3, bytesReceived: 3 })
    expect(warn.mock.calls).toEqual([[fault]])
  })

  test('an error of the socket is counted and survived', async () => {
    const bind = vi.spyOn(dgram.Socket.prototype, 'bind')
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    const socket = bind.mock.contexts[0] as Socket
    socket.emit('error', Object.assign(new Error('recvmsg'), { code: 'ECONNREFUSED' }))
    socket.emit('error', new Error('without a code'))
    expect(a.transport.stats?.()).toMatchObject({ socketErrorECONNREFUSED: 1, socketErrorOther: 1 })
    b.transport.send(a.address, Uint8Array.of(1))
    await vi.waitFor(() => expect(a.arrivals).toHaveLength(1))
  })

  test('a sender is spelled in the one way, and dropped where it can not be answered', async () => {
    const bind = vi.spyOn(dgram.Socket.prototype, 'bind')
    const { transport, arrivals } = await started(LOOPBACK)
    const socket = bind.mock.contexts[0] as Socket
    socket.emit('message', Buffer.of(1), { address: '203.0.113.7', port: 7400 })
    socket.emit('message', Buffer.of(2), { address: '203.0.113.7', port: 0 })
    socket.emit('message', Buffer.of(3), { address: '0.0.0.0', port: 7400 })
    expect(arrivals).toEqual([{ from: '203.0.113.7:7400', bytes: [1] }])
    expect(transport.stats?.()).toMatchObject({ receivedUnanswerable: 2, datagramsReceived: 3 })
  })

  test('a link-local sender keeps its interface, so that it can be answered', async (context) => {
    context.skip(!(await hasIpv6()), 'this machine has no ::1')
    const bind = vi.spyOn(dgram.Socket.prototype, 'bind')
    const { transport, arrivals } = await started({ host: '::1' })
    const socket = bind.mock.contexts[0] as Socket
    socket.emit('message', Buffer.of(1), { address: 'fe80::1%eth0', port: 7400 })
    socket.emit('message', Buffer.of(2), { address: '::ffff:203.0.113.7', port: 7400 })
    expect(arrivals.map(({ from }) => from)).toEqual(['[fe80::1%eth0]:7400', '203.0.113.7:7400'])
    const encoded = transport.encodeAddress('[fe80::1%eth0]:7400')
    expect(encoded).toHaveLength(19)
    expect(() => transport.decodeAddress(encoded)).toThrow(DhtError)
  })

  test('no datagram is looked up in DNS', async () => {
    const lookup = vi.spyOn(dns, 'lookup')
    const queries = [vi.spyOn(dns.Resolver.prototype, 'resolve4'), vi.spyOn(dns.Resolver.prototype, 'resolve6')]
    const [a, b] = [await started(LOOPBACK), await started(LOOPBACK)]
    for (let i = 0; i < 10; i++) a.transport.send(b.address, Uint8Array.of(i))
    await vi.waitFor(() => expect(b.arrivals.length).toBeGreaterThan(0))
    for (const question of [lookup, ...queries]) expect(question).not.toHaveBeenCalled()
  })
})

describe('addresses', () => {
  test('before start the options decide which families decode', () => {
    const ipv4 = Uint8Array.of(4, 203, 0, 113, 7, 0, 1)
    expect(udp().decodeAddress(ipv6Bytes())).toBe('[2001:db8::1]:7400')
    expect(udp({ host: '::' }).decodeAddress(ipv6Bytes())).toBe('[2001:db8::1]:7400')
    expect(() => udp(LOOPBACK).decodeAddress(ipv6Bytes())).toThrow(DhtError)
    expect(() => udp({ host: '::' }).decodeAddress(ipv4)).toThrow(DhtError)
  })

  test.each([
    ['0.0.0.0', [0, 0, 0, 0]],
    ['0.1.2.3', [0, 1, 2, 3]],
    ['multicast', [224, 0, 0, 1]],
    ['reserved', [240, 0, 0, 1]],
    ['broadcast', [255, 255, 255, 255]],
  ])('%s does not decode', (_, ip) => {
    expect(() => udp().decodeAddress(Uint8Array.of(4, ...ip, 0x1c, 0xe8))).toThrow(DhtError)
  })

  test('describe gives host, group and scope, in whatever spelling it is asked', () => {
    const expected = { host: Uint8Array.of(4, 10, 0, 0, 7), group: Uint8Array.of(4, 10, 0, 0), scope: 'private' }
    expect(udp().describe('10.0.0.7:7400')).toEqual(expected)
    expect(udp().describe('[::ffff:10.0.0.7]:1')).toEqual(expected)
    expect(() => udp().describe('localhost:7400')).toThrow(TypeError)
  })

  test('localhost resolves to the loopback addresses', async () => {
    const found = await udp().resolve('localhost:7400')
    expect(found).toContain('127.0.0.1:7400')
    for (const address of found) expect(udp().describe(address).scope).toBe('loopback')
    expect(new Set(found).size).toBe(found.length)
  })
})

interface Started {
  transport: Transport
  address: Address
  arrivals: { from: Address; bytes: number[] }[]
}

/** A started transport that records what it receives; closed when the test has finished. */
async function started(options: UdpOptions): Promise<Started> {
  const transport = udp(options)
  onTestFinished(() => transport.close())
  const arrivals: Started['arrivals'] = []
  const address = await transport.start((from, bytes) => arrivals.push({ from, bytes: [...bytes] }))
  return { transport, address, arrivals }
}

/** Makes `bind` of one family fail with this code, at most `times` times. */
function failBind(type: 'udp4' | 'udp6', code: string, times = Number.POSITIVE_INFINITY) {
  const { bind } = dgram.Socket.prototype
  let left = times
  return vi.spyOn(dgram.Socket.prototype, 'bind').mockImplementation(function (this: Socket, ...args: unknown[]) {
    if ((this as Socket & { type: string }).type !== type || left-- <= 0) return Reflect.apply(bind, this, args)
    this.emit('error', Object.assign(new Error(`bind ${code}`), { code }))
    return this
  } as Socket['bind'])
}

async function hasIpv6(): Promise<boolean> {
  const socket = createSocket('udp6')
  try {
    socket.bind(0, '::1')
    await once(socket, 'listening')
    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}

function ipv6Bytes(): Uint8Array {
  return Uint8Array.of(6, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1c, 0xe8)
}

function portOf(address: Address): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
