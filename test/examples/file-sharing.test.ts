import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { expect, onTestFinished, test } from 'vitest'
import type { Dht } from '../../src/index.js'
import { createDht, fromHex, generateKeyPair } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import { bundleProgram } from '../unit/examples/programs.js'
import { argumentsFor, network, silentAddress } from './network.js'
import { end, expectUsage, Program, run, start, temporaryFolder } from './processes.js'

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
  const { ports, dht } = await announceLiars(bootstrap, link, 1, (socket) => socket.on('data', () => answer(socket)))
  return { address: `127.0.0.1:${ports[0]}`, dht }
}

/** One node that announces several peers, and what they do with a connection. */
async function announceLiars(
  bootstrap: string,
  link: string,
  count: number,
  take: (socket: Socket, port: number) => void,
): Promise<{ ports: number[]; dht: Dht }> {
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [bootstrap] })
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  onTestFinished(async () => {
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
    await dht.close()
  })
  await dht.start()
  for (let i = 0; i < count; i++) {
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined))
      take(socket, (server.address() as AddressInfo).port)
    })
    servers.push(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(ports.map((port) => dht.announce(fromHex(link), { port, keys: generateKeyPair() })))
  return { ports, dht }
}

/** A connection to a seeder that asks for a piece, or for nothing. */
async function connection(port: string, request = ''): Promise<Socket> {
  const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  socket.write(Buffer.from(request, 'hex'))
  return socket
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
  const [, partial] = readdirSync(folder)
  expect(partial).toMatch(/^output\.[0-9a-f]{8}-[0-9a-f-]{27}\.part$/)
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

test('who pretends to have a file gets two connections at a time, and does not keep others from being tried', async () => {
  const { addresses, arguments: args } = await network(3)
  const folder = temporaryFolder()
  const [file, output] = [join(folder, 'file'), join(folder, 'output')]
  writeFileSync(file, randomBytes(PIECE_BYTES))
  const { seeder, link } = await share(file, args)
  seeder.kill('SIGINT')
  await seeder.end()
  let open = 0
  await announceLiars(addresses[0] as string, link, 5, (socket) => {
    open++
    socket.on('close', () => open--).resume()
  })
  const fetching = await start(SHARING, ['fetch', link, output, ...args])
  await expect.poll(() => open).toBe(2)
  await share(file, args)
  expect(open).toBe(2)
  const { status, stderr } = await fetching.end()
  expect(stderr).toContain(': it stalled\n')
  expect(status).toBe(0)
})

test('who sends a byte now and then makes way for who was never tried', async () => {
  const { addresses, arguments: args } = await network(3)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(PIECE_BYTES))
  const { seeder, link } = await share(file, args)
  seeder.kill('SIGINT')
  await seeder.end()
  let open = 0
  await announceLiars(addresses[0] as string, link, 2, (socket) => {
    open++
    const timer = setInterval(() => socket.write('.'), 300)
    socket.on('close', () => clearInterval(timer)).resume()
  })
  const fetching = await start(SHARING, ['fetch', link, join(folder, 'output'), ...args])
  await expect.poll(() => open).toBe(2)
  await share(file, args)
  const { status, stderr } = await fetching.end()
  expect(stderr).toContain(': it is the slowest, and others wait\n')
  expect(status).toBe(0)
})

test('a low upload limit lets a piece arrive, and who hangs up is tried again ever later', async () => {
  const { addresses, arguments: args } = await network(3)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(PIECE_BYTES + 4096))
  const { link, port } = await share(file, [...args, '--upload-limit', '16'])
  const timesMs = new Map<number, number[]>()
  await announceLiars(addresses[0] as string, link, 12, (socket, liar) => {
    timesMs.set(liar, [...(timesMs.get(liar) ?? []), performance.now()])
    socket.destroy()
  })
  // What these ask for would take half a minute.
  for (let i = 0; i < 8; i++) (await connection(port, `${link}00000000`)).destroy()
  const { status, stderr } = await run(SHARING, ['fetch', link, join(folder, 'output'), ...args])
  expect(stderr).not.toContain('Warning')
  expect(stderr).not.toContain(`dropped 127.0.0.1:${port}`)
  expect(stderr).toContain(`2 pieces from 127.0.0.1:${port}\n`)
  expect(status).toBe(0)
  expect(timesMs.size).toBe(12)
  for (const [first = 0, second = 0, third = 0] of timesMs.values()) {
    expect(second - first).toBeGreaterThanOrEqual(990)
    expect(third - second).toBeGreaterThanOrEqual(1_990)
  }
})

test('who is connected and asks for nothing makes way, and who asks for another file gets nothing', async () => {
  const { arguments: args } = await network(2)
  const folder = temporaryFolder()
  const file = join(folder, 'file')
  writeFileSync(file, randomBytes(PIECE_BYTES))
  const { link, port } = await share(file, args)
  let bytes = 0
  const stranger = await connection(port, `${'7'.repeat(64)}00000000`)
  await once(
    stranger.on('data', (chunk) => {
      bytes += chunk.length
    }),
    'close',
  )
  expect(bytes).toBe(0)

  const order: number[] = []
  const closed: Promise<unknown>[] = []
  for (let i = 0; i < 66; i++) {
    const silent = (await connection(port)).resume()
    closed.push(once(silent, 'close').then(() => order.push(i)))
  }
  // Those that came first make way for the last ones, before their time is over.
  await Promise.all(closed.slice(0, 2))
  expect(order.slice(0, 2).sort()).toEqual([0, 1])
  const { status, stderr } = await run(SHARING, ['fetch', link, join(folder, 'output'), ...args])
  expect(stderr).not.toContain('dropped')
  expect(status).toBe(0)
  // The time of the others is over soon.
  await Promise.all(closed)
})

test('a write that fails late, when everything else is there, fails the download', async () => {
  const { arguments: args } = await network(3)
  const folder = temporaryFolder()
  const [file, bundle] = [join(folder, 'file'), join(folder, 'program.mjs')]
  writeFileSync(file, randomBytes(20 * PIECE_BYTES))
  const { link } = await share(file, args)
  await share(file, args)
  const full = `
    import { open } from 'node:fs/promises'
    import process from 'node:process'
    import { setTimeout as sleep } from 'node:timers/promises'
    const any = await open(process.execPath)
    const files = Object.getPrototypeOf(any)
    const { write } = files
    await any.close()
    files.write = async function (bytes, offset, length, position) {
      if (position > 0) return write.call(this, bytes, offset, length, position)
      await sleep(1_000)
      throw new Error('ENOSPC: no space left on device, write')
    }`
  const { XORBIT_EXAMPLES } = process.env
  if (XORBIT_EXAMPLES === undefined) await bundleProgram(`import './examples/${SHARING}'`, bundle)
  const program = XORBIT_EXAMPLES === undefined ? bundle : resolve(XORBIT_EXAMPLES, SHARING)
  const preload = `data:text/javascript,${encodeURIComponent(full)}`
  const output = join(folder, 'output')
  const child = spawn(process.execPath, ['--import', preload, program, 'fetch', link, output, ...args])
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const { status, stdout, stderr } = await new Program(SHARING, child).end()
  expect(stderr).toMatch(/^file-sharing: ENOSPC/m)
  expect(stdout).toBe('')
  expect(status).toBe(1)
  expect(readdirSync(folder)).not.toContain('output')
})

test('an output that is there already is left as it is, file or folder', async () => {
  const folder = temporaryFolder()
  const [file, directory] = [join(folder, 'file'), join(folder, 'directory')]
  writeFileSync(file, 'mine')
  mkdirSync(directory)
  for (const output of [file, directory]) {
    const { status, stderr } = await run(SHARING, ['fetch', '7'.repeat(64), output, ...argumentsFor('127.0.0.1:1')])
    expect(stderr).toBe(`file-sharing: ${output} exists already\n`)
    expect(status).toBe(1)
  }
  expect(readFileSync(file, 'utf8')).toBe('mine')
  expect(readdirSync(directory)).toEqual([])
})

test('who is interrupted while it hashes ends at once', async () => {
  const { arguments: args } = await network(2)
  const file = join(temporaryFolder(), 'file')
  writeFileSync(file, '')
  truncateSync(file, 16_384 * PIECE_BYTES)
  const hashing = await start(SHARING, ['share', file, ...args])
  await hashing.waitFor('2048 of 16384 hashes', 'stderr')
  hashing.kill('SIGINT')
  const { status, stderr } = await hashing.end()
  expect(stderr).toMatch(/^file-sharing: interrupted$/m)
  expect(stderr).not.toContain('16384 of 16384')
  expect(status).toBe(1)
})

test.each([
  [[]],
  [['share']],
  [['fetch', 'no link', 'output']],
  [['fetch', '7'.repeat(64)]],
  [['share', 'file', '--upload-limit', '0']],
  [['share', 'file', '--upload-limit', '0.9']],
  [['share', 'file', '--fast']],
])('file sharing refuses %j', (args) => expectUsage(SHARING, [...args, '--bootstrap', '127.0.0.1:1']))

test('file sharing refuses to begin without anybody to join', () => expectUsage(SHARING, ['share', 'file']))
