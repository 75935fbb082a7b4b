import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { expect, onTestFinished, test } from 'vitest'
import { bundleProgram } from '../unit/examples/programs.js'
import { END_IN_TIME, end, expectUsage, Program, run, start, temporaryFolder } from './processes.js'

const TRANSPORT = 'custom-transport.js'

/** A hub and nodes that are connected to it, all of them processes. */
async function hubWith(size: number): Promise<{ hub: Program; nodes: Program[]; port: number; to: string[] }> {
  const hub = await start(TRANSPORT, ['hub', '--port', '0'])
  const [, port] = await hub.waitFor(/^the hub listens at 127\.0\.0\.1:(\d+)$/m)
  const to = ['--hub', `127.0.0.1:${port}`]
  const nodes: Program[] = []
  for (let i = 0; i < size; i++) {
    const node = await start(TRANSPORT, ['node', ...to, ...(i === 0 ? [] : ['--bootstrap', 'node:1'])])
    await node.waitFor(`listening at node:${i + 1}, `)
    nodes.push(node)
  }
  return { hub, nodes, port: Number(port), to }
}

test('the transport passes the conformance suite', async () => {
  const { status, stdout, stderr } = await run(TRANSPORT, ['check'])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^(?:ok {2}.+\n){18,}$/)
  expect(status).toBe(0)
})

test('nodes behind a hub keep a value, though one of them is killed', async () => {
  const { nodes, to } = await hubWith(5)
  const put = await run(TRANSPORT, ['put', 'over a hub: ü', ...to, '--bootstrap', 'node:1'])
  expect(put).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/), stderr: '' })
  await end(nodes[0]!, nodes[2]!)
  const get = await run(TRANSPORT, ['get', put.stdout.trim(), ...to, '--bootstrap', 'node:2'])
  expect(get).toEqual({ status: 0, stdout: 'over a hub: ü\n', stderr: '' })
  const other = await run(TRANSPORT, ['get', '7'.repeat(64), ...to, '--bootstrap', 'node:2'])
  expect(other).toEqual({ status: 1, stdout: '', stderr: 'custom-transport: nobody has it\n' })
  nodes[1]!.kill('SIGTERM')
  expect(await nodes[1]!.end()).toMatchObject({ status: 0, stderr: '' })
})

test('who sends anything else to the hub is sent away, and nobody else notices', async () => {
  const { nodes, port, to } = await hubWith(2)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined).resume()
  socket.write(Buffer.alloc(100, 0xff))
  await once(socket, 'close')
  const put = await run(TRANSPORT, ['put', 'text', ...to, '--bootstrap', 'node:1'])
  expect(put.status).toBe(0)
  for (const node of nodes) expect(node.stderr).toBe('')
})

/**
 * Loaded before the hub: at SIGUSR2 it tells how many bytes of buffers it holds, without what nobody needs any more. The
 * second look for that waits for the end of the first one.
 */
const TELL_MEMORY = `data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', async () => {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(resolve, 50, gc()))
  console.log('holds', process.memoryUsage().arrayBuffers)
})`)}`

interface MeasuredHub {
  readonly port: number
  connected(): Promise<Socket>
  heldBytes(): Promise<number>
}

async function measuredHub(): Promise<MeasuredHub> {
  const file = join(temporaryFolder(), 'hub.mjs')
  await bundleProgram(`import './examples/custom-transport.js'`, file)
  const options = ['--import', END_IN_TIME, '--expose-gc', '--import', TELL_MEMORY]
  const hub = new Program('hub', spawn(process.execPath, [...options, file, 'hub', '--port', '0']))
  onTestFinished(() => end(hub))
  const [, port] = await hub.waitFor(/:(\d+)$/m)
  return {
    port: Number(port),
    async connected() {
      const socket = connect(Number(port), '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => undefined)
      await once(socket, 'readable')
      return socket
    },
    async heldBytes() {
      hub.kill('SIGUSR2')
      const [, bytes] = await hub.waitForNext(/^holds (\d+)$/m)
      return Number(bytes)
    },
  }
}

test('nodes that send no more than a part of a datagram take little memory of the hub', async () => {
  const { connected, heldBytes } = await measuredHub()
  const before = await heldBytes()
  for (let i = 0; i < 100; i++) {
    const socket = await connected()
    socket.read()
    // Nothing for nobody, often, then a frame for itself, and what could be the beginning of another one.
    const frame = Buffer.from([0, 0, 0, 0, 0, 1 + i])
    socket.write(Buffer.concat([Buffer.alloc(60_000), frame, Buffer.alloc(5)]))
    await once(socket, 'readable')
  }
  expect((await heldBytes()) - before).toBeLessThan(1_000_000)
})

test('nodes that do not read take little memory of the hub, together too, and others are still served', async () => {
  const { port, connected, heldBytes } = await measuredHub()
  const node = await start(TRANSPORT, ['node', '--hub', `127.0.0.1:${port}`])
  await node.waitFor('listening at node:1, ')
  const before = await heldBytes()

  const deaf: Socket[] = []
  for (let i = 0; i < 150; i++) deaf.push(await connected())
  const sender = await connected()
  // To each so many MiB: what the system's own buffers take, and more.
  const frame = Buffer.alloc(6 + 1_200)
  frame.writeUInt16BE(1_200, 0)
  const flood = async (count: number, mib: number): Promise<void> => {
    const frames = deaf.slice(0, count).map((_, i) => {
      frame.writeUInt32BE(2 + i, 2)
      return Buffer.from(frame)
    })
    const round = Buffer.concat(frames)
    for (let sent = 0; sent < mib * 2 ** 20; sent += frame.length) {
      if (!sender.write(round)) await once(sender, 'drain')
    }
    // What it sends to itself comes back when all that is passed on.
    sender.read()
    sender.write(Buffer.from([0, 0, 0, 0, 0, 2 + deaf.length]))
    await once(sender, 'readable')
  }
  await flood(1, 8)
  const ofOne = (await heldBytes()) - before
  expect(ofOne).toBeGreaterThan(30_000)
  expect(ofOne).toBeLessThan(300_000)
  await flood(deaf.length, 4)
  expect((await heldBytes()) - before).toBeLessThan(6_000_000)
  const put = await run(TRANSPORT, ['put', 'text', '--hub', `127.0.0.1:${port}`, '--bootstrap', 'node:1'])
  expect(put).toMatchObject({ status: 0, stderr: '' })
})

test('when the hub dies, nodes end with status 1 and say why, and none starts without it', async () => {
  const { hub, nodes, to } = await hubWith(3)
  await end(hub)
  for (const node of nodes) {
    expect(await node.end()).toMatchObject({
      status: 1,
      stderr: 'custom-transport: the hub is gone: the network is cut\n',
    })
  }
  const late = await run(TRANSPORT, ['get', '7'.repeat(64), ...to, '--bootstrap', 'node:1'])
  expect(late).toEqual({ status: 1, stdout: '', stderr: `custom-transport: no hub answers at ${to[1]}\n` })
})

test('a hub that says nothing is given up', async () => {
  const mute = createServer((socket) => socket.on('error', () => undefined).resume())
  await once(mute.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    mute.close()
  })
  const { port } = mute.address() as AddressInfo
  const { status, stderr } = await run(TRANSPORT, ['node', '--hub', `127.0.0.1:${port}`])
  expect(stderr).toBe(`custom-transport: no hub answers at 127.0.0.1:${port}\n`)
  expect(status).toBe(1)
})

test.each([
  [[]],
  [['hub', '--port', 'many']],
  [['node']],
  [['put', 'text', '--hub', '127.0.0.1:1']],
  [['get', 'no key', '--hub', '127.0.0.1:1', '--bootstrap', 'node:1']],
  [['node', '--hub', '127.0.0.1:1', '--bootstrap', '127.0.0.1:1']],
])('the transport refuses %j', (args) => expectUsage(TRANSPORT, args))
