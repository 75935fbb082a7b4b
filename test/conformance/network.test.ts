import type { Socket } from 'node:dgram'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Address, Dht, DhtOptions, Transport } from '../../src/index.js'
import { createDht, keyOf, toHex } from '../../src/index.js'
import type { UdpOptions } from '../../src/transport/udp.js'
import { udp } from '../../src/transport/udp.js'

const LOOPBACK = '127.0.0.1'

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const socket = createSocket('udp6')
  socket.once('error', () => socket.close(() => resolve(false)))
  socket.bind(0, '::1', () => socket.close(() => resolve(true)))
})

interface Member {
  readonly dht: Dht
  readonly transport: Transport
}

/** A node that is closed when the test ends. */
function newcomer(options: Partial<DhtOptions> = {}, udpOptions: UdpOptions = { host: LOOPBACK }): Member {
  const transport = udp(udpOptions)
  const dht = createDht({ transport, requestTimeoutMs: 500, bootstrapRetryMs: 50, ...options })
  onTestFinished(() => dht.close())
  return { dht, transport }
}

async function grow(count: number): Promise<Member[]> {
  const members: Member[] = []
  for (let i = 0; i < count; i++) {
    const member = newcomer({ bootstrap: members.slice(0, 1).map(({ dht }) => dht.address as Address) })
    await member.dht.start()
    members.push(member)
  }
  return members
}

/** The node falls silent without a word, and does not know. */
async function kill(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ transport }) => transport.close()))
}

/** A bound socket that answers nothing. */
async function silentSocket(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, LOOPBACK)
  await once(socket, 'listening')
  return socket
}

function joined(dht: Dht): Promise<void> {
  return new Promise((resolve) => {
    dht.on('joined', () => resolve())
  })
}

describe('over UDP', () => {
  test('values that were put are got by a newcomer after a third of the nodes fell silent', async () => {
    const members = await grow(20)
    const values = Array.from({ length: 10 }, (_, i) => Uint8Array.from({ length: i * 97 }, (_, j) => i + j))
    const keys: Uint8Array[] = []
    for (const [i, value] of values.entries()) {
      const { key, storedAt } = await members[i]!.dht.put(value)
      // A lookup ends without those that are overdue, and a busy machine makes some so; the simulator is exact.
      expect(storedAt.length).toBeGreaterThan(10)
      keys.push(key)
    }
    await kill(members.slice(1, 8))
    const { dht } = newcomer({ bootstrap: [members[0]!.dht.address as Address, members[1]!.dht.address as Address] })
    await dht.start()
    for (const [i, key] of keys.entries()) expect((await dht.get(key))?.value).toEqual(values[i])
    expect(await dht.get(keyOf('nobody put this'))).toBeUndefined()

    const living = [members[0]!, ...members.slice(8)].map((member) => toHex(member.dht.id))
    const { closest } = await dht.findNode(keyOf('a point'))
    const { storedAt } = await dht.put(Uint8Array.of(1, 2, 3))
    for (const found of [closest, storedAt]) {
      expect(found.length).toBeGreaterThan(living.length / 2)
      expect(living).toEqual(expect.arrayContaining(found.map(({ id }) => toHex(id))))
    }
  })

  test('with its bootstrap down a node fails to start, goes on trying, and joins when that comes up', async () => {
    const silent = await silentSocket()
    const { port } = silent.address()
    const { dht } = newcomer({ bootstrap: [`${LOOPBACK}:${port}`], requestTimeoutMs: 200 })
    const join = joined(dht)
    await expect(dht.start()).rejects.toMatchObject({ code: 'ERR_BOOTSTRAP_FAILED' })
    expect(dht.stats().isJoined).toBe(false)
    silent.close()
    await once(silent, 'close')
    const late = newcomer({}, { host: LOOPBACK, port })
    await late.dht.start()
    await join
    expect(dht.contacts()).toEqual([{ id: late.dht.id, address: `${LOOPBACK}:${port}` }])
    const { key } = await dht.put(Uint8Array.of(7))
    expect((await late.dht.get(key))?.value).toEqual(Uint8Array.of(7))
  })

  test('a taken address is ERR_ADDRESS_IN_USE, and the node is closed', async () => {
    const silent = await silentSocket()
    onTestFinished(() => void silent.close())
    const { dht } = newcomer({}, { host: LOOPBACK, port: silent.address().port })
    await expect(dht.start()).rejects.toMatchObject({ code: 'ERR_ADDRESS_IN_USE' })
    await expect(dht.get(keyOf('key'))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('an IPv4 and an IPv6 node both work with a dual-stack node', async (context) => {
    context.skip(!hasIpv6, 'this machine has no ::1')
    const dual = newcomer({}, {})
    const { address } = await dual.dht.start()
    const port = address.slice(address.lastIndexOf(':') + 1)
    const ipv4 = newcomer({ bootstrap: [`${LOOPBACK}:${port}`] }, { host: LOOPBACK })
    const ipv6 = newcomer({ bootstrap: [`[::1]:${port}`] }, { host: '::1' })
    for (const { dht } of [ipv4, ipv6]) await dht.start()

    expect(ipv4.dht.contacts()).toEqual([{ id: dual.dht.id, address: `${LOOPBACK}:${port}` }])
    expect(ipv6.dht.contacts()).toEqual([{ id: dual.dht.id, address: `[::1]:${port}` }])
    const { key, storedAt } = await ipv4.dht.put(Uint8Array.of(4, 6))
    expect(storedAt.map(({ id }) => id)).toEqual([dual.dht.id])
    expect((await ipv6.dht.get(key))?.value).toEqual(Uint8Array.of(4, 6))

    // The dual-stack node reaches both, each at its own family.
    const { closest } = await dual.dht.findNode(keyOf('a point'))
    expect(closest.map((contact) => contact.address).sort()).toEqual([ipv4.dht.address, ipv6.dht.address].sort())
    const other = await dual.dht.put(Uint8Array.of(6, 4))
    for (const { dht } of [ipv4, ipv6]) expect((await dht.get(other.key))?.value).toEqual(Uint8Array.of(6, 4))
  })

  test('requests and their answers are carried, 200 at once', async () => {
    const [server, asker] = (await grow(2)) as [Member, Member]
    let runs = 0
    server.dht.handle('double', (payload) => {
      runs++
      return payload.map((byte) => 2 * byte)
    })
    const to = { id: server.dht.id, address: server.dht.address as Address }
    const payloads = Array.from({ length: 200 }, (_, i) => new Uint8Array(i * 5).fill(i % 100))
    const answers = await Promise.all(payloads.map((payload) => asker.dht.request(to, 'double', payload)))
    expect(answers).toEqual(payloads.map((payload) => payload.map((byte) => 2 * byte)))
    expect(runs).toBe(200)
    await expect(asker.dht.request(to, 'triple')).rejects.toMatchObject({ code: 'ERR_UNKNOWN_METHOD' })
  })

  test('a port where nothing listens is ERR_TIMEOUT, and harms nobody', async () => {
    const silent = await silentSocket()
    const { port } = silent.address()
    silent.close()
    await once(silent, 'close')
    const [first, second] = (await grow(2)) as [Member, Member]
    await expect(first.dht.ping(`${LOOPBACK}:${port}`)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    expect((await first.dht.ping(second.dht.address as Address)).id).toEqual(second.dht.id)
  })

  test('a node that has its own address among its bootstrap addresses does not take itself for another', async () => {
    const silent = await silentSocket()
    const { port } = silent.address()
    silent.close()
    await once(silent, 'close')
    const [first] = (await grow(1)) as [Member]
    const bootstrap = [`${LOOPBACK}:${port}`, first.dht.address as Address]
    for (const host of [LOOPBACK, '0.0.0.0']) {
      const { dht } = newcomer({ bootstrap }, { host, port })
      const { contacts } = await dht.start()
      expect(contacts).toBe(1)
      expect(dht.contacts().map(({ id }) => id)).toEqual([first.dht.id])
      await dht.close()
    }
  })
})
