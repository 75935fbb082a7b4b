import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Program } from './processes.js'
import { end, expectUsage, run, start } from './processes.js'

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
