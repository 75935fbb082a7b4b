import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Dht } from '../../src/index.js'
import { createDht, fromHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import { argumentsFor, network, silentAddress } from './network.js'
import type { Program } from './processes.js'
import { end, expectUsage, run, start, temporaryFolder } from './processes.js'

const SHARING = 'file-sharing.js'
const PIECE_BYTES = 64 * 1024

/** Starts a seeder, and waits until others can find it. */
async function share(file: string, args: readonly string[]): Promise<{ seeder: Program; link: string; port: string }> {
  const seeder = await start(SHARING, ['share', file, ...args])
  const [, link, port] = await seeder.waitFor(/^([0-9a-f]{64})\nserving at TCP port (\d+)$/m)
  return { seeder, link: link as string, port: port as string }
}

/** A peer that announces itself under a link, and does with requests what an honest one would not. */
async function announceLiar(
  bootstrap: string,
  link: string,
  answer: (socket: Socket) => void,
): Promise<{ address: string; dht: Dht }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    socket.on('data', () => answer(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [bootstrap] })
  onTestFinished(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await dht.close()
  })
  await dht.start()
  await dht.announce(fromHex(link), { port })
  return { address: `127.0.0.1:${port}`, dht }
}

test('a file arrives from several peers, though one lies and one is killed', async () => {
  const { addresses, arguments: args } = await network(4)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(50 * PIECE_BYTES + 1))
  const limited = [...args, '--upload-limit', '768']
  const [lasting, dying] = await Promise.all([share(file, limited), share(file, limited)])
  const lying = await announceLiar(addresses[0] as string, lasting.link, (socket) => {
    socket.write(randomBytes(PIECE_BYTES))
  })

  const output = join(folder, 'output')
  const fetching = await start(SHARING, ['fetch', lasting.link, output, ...args])
  await fetching.waitFor(/^\d+ of 51 pieces$/m, 'stderr')
  expect(readdirSync(folder)).not.toContain('output')
  await end(dying.seeder)

  const { status, stdout, stderr } = await fetching.end()
  expect(stderr).toContain(`dropped ${lying.address}: it sent a wrong piece\n`)
  expect(stderr).toMatch(new RegExp(`^dropped 127\\.0\\.0\\.1:${dying.port}: `, 'm'))
  const pieces = (port: string) =>
    Number(stderr.match(new RegExp(`^(\\d+) pieces from 127\\.0\\.0\\.1:${port}$`, 'm'))?.[1])
  expect(pieces(lasting.port) + pieces(dying.port)).toBe(51)
  expect(pieces(dying.port)).toBeGreaterThan(0)
  expect(pieces(lasting.port)).toBeGreaterThan(pieces(dying.port))
  expect(stdout).toBe(`${output} is complete, ${50 * PIECE_BYTES + 1} bytes\n`)
  expect(readFileSync(output).equals(readFileSync(file))).toBe(true)
  expect(readdirSync(folder).sort()).toEqual(['file', 'output'])
  expect(status).toBe(0)
})

test('a fast peer brings more than a slow one, and who is interrupted leaves nothing half', async () => {
  const { arguments: args } = await network(2)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(40 * PIECE_BYTES))
  const slow = await share(file, [...args, '--upload-limit', '128'])
  const fast = await share(file, [...args, '--upload-limit', '2048'])
  const { status, stderr } = await run(SHARING, ['fetch', slow.link, join(folder, 'output'), ...args])
  const [, fromFast] = stderr.match(new RegExp(`^(\\d+) pieces from 127\\.0\\.0\\.1:${fast.port}$`, 'm')) ?? []
  expect(Number(fromFast)).toBeGreaterThanOrEqual(30)
  expect(status).toBe(0)

  const interrupted = await start(SHARING, ['fetch', slow.link, join(folder, 'other'), ...args])
  await interrupted.waitFor(/^\d+ of 40 pieces$/m, 'stderr')
  interrupted.kill('SIGINT')
  const ended = await interrupted.end()
  expect(ended.stderr).toMatch(/^file-sharing: interrupted$/m)
  expect(ended.status).toBe(1)
  expect(readdirSync(folder).sort()).toEqual(['file', 'output'])
})

test('who has fetched a file is a further source, until it says that it leaves', async () => {
  const { arguments: args } = await network(3)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(3 * PIECE_BYTES - 1))
  const { seeder, link } = await share(file, args)
  const second = await start(SHARING, ['fetch', link, join(folder, 'second'), '--seed', ...args])
  const [, port] = await second.waitFor(/^serving at TCP port (\d+)$/m)
  seeder.kill('SIGINT')
  expect(await seeder.end()).toMatchObject({ status: 0, stderr: '' })

  const third = await run(SHARING, ['fetch', link, join(folder, 'third'), ...args])
  expect(third).toMatchObject({ status: 0, stderr: `3 of 3 pieces\n3 pieces from 127.0.0.1:${port}\n` })
  expect(readFileSync(join(folder, 'third')).equals(readFileSync(file))).toBe(true)
  second.kill('SIGTERM')
  expect((await second.end()).status).toBe(0)
})

test('an empty file arrives too', async () => {
  const { arguments: args } = await network(2)
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'file'), '')
  const { link } = await share(join(folder, 'file'), args)
  const { status } = await run(SHARING, ['fetch', link, join(folder, 'output'), ...args])
  expect(readFileSync(join(folder, 'output'))).toHaveLength(0)
  expect(status).toBe(0)
})

test('a link that leads to something else is refused', async () => {
  const { addresses, arguments: args } = await network(2)
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [addresses[0] as string] })
  onTestFinished(() => dht.close())
  await dht.start()
  const { key } = await dht.put(new TextEncoder().encode('no list of pieces at all'))
  const folder = temporaryFolder()
  for (const [link, message] of [
    [Buffer.from(key).toString('hex'), /leads to something else/],
    ['7'.repeat(64), /nobody has the list/],
  ] as const) {
    const { status, stderr } = await run(SHARING, ['fetch', link, join(folder, 'output'), ...args])
    expect(stderr).toMatch(message)
    expect(status).toBe(1)
  }
  expect(readdirSync(folder)).toEqual([])
})

test('when the network is cut, who shares and who fetches end with status 1, and leave nothing half', async () => {
  const { addresses, arguments: args, cut } = await network(2)
  const folder = temporaryFolder()
  const [file, other, output] = [join(folder, 'file'), join(folder, 'other'), join(folder, 'output')]
  writeFileSync(file, randomBytes(60 * PIECE_BYTES))
  writeFileSync(other, 'text')
  const dying = await share(file, [...args, '--upload-limit', '512'])
  const idle = await share(other, args)
  const stalling = await announceLiar(addresses[0] as string, dying.link, () => undefined)
  const fetching = await start(SHARING, ['fetch', dying.link, output, ...args])
  await fetching.waitFor(/^\d+ of 60 pieces$/m, 'stderr')
  const nobody = argumentsFor(await silentAddress())
  const lonely = [
    await start(SHARING, ['share', file, ...nobody]),
    await start(SHARING, ['fetch', idle.link, output, ...nobody]),
  ]
  await Promise.all([end(dying.seeder), stalling.dht.close(), cut()])

  const { status, stderr } = await fetching.end()
  expect(stderr).toContain(`dropped ${stalling.address}: it stalled\n`)
  expect(stderr).toMatch(/^file-sharing: nobody sends any of the \d+ pieces that are missing: is the network cut\?$/m)
  expect(status).toBe(1)
  expect(readdirSync(folder).sort()).toEqual(['file', 'other'])
  expect(await idle.seeder.end()).toMatchObject({
    status: 1,
    stderr: 'file-sharing: nobody answers any more: the network is cut\n',
  })
  for (const program of lonely) {
    const ended = await program.end()
    expect(ended.stderr).toMatch(/^file-sharing: none of the bootstrap addresses answered/)
    expect(ended.status).toBe(1)
  }
})

test.each([
  [[]],
  [['share']],
  [['fetch', 'no link', 'output']],
  [['fetch', '7'.repeat(64)]],
  [['share', 'file', '--upload-limit', '0']],
  [['share', 'file', '--fast']],
])('file sharing refuses %j', (args) => expectUsage(SHARING, [...args, '--bootstrap', '127.0.0.1:1']))

test('file sharing refuses to begin without anybody to join', () => expectUsage(SHARING, ['share', 'file']))
