import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { argumentsFor, network, silentAddress } from './network.js'
import { expectHelp, expectUsage, run, start, temporaryFolder } from './processes.js'

const NODE = 'bootstrap-node/bootstrap-node.js'

test.each(['SIGTERM', 'SIGINT'] as const)('a bootstrap node ends with status 0 at %s', async (signal) => {
  const { arguments: args } = await network(1)
  const node = await start(NODE, ['--port', '0', ...args])
  await node.waitFor(/^listening at 127\.0\.0\.1:\d+\njoined, 1 contacts\n/)
  const before = performance.now()
  node.kill(signal)
  expect(await node.end()).toMatchObject({ status: 0, stderr: '' })
  expect(performance.now() - before).toBeLessThan(2_000)
})

test('a bootstrap node that is killed comes back as the same node, without anybody to join through', async () => {
  const { arguments: args, nodes } = await network(2)
  const folder = temporaryFolder()
  const before = await start(NODE, ['--port', '0', '--data-folder', folder, ...args])
  await before.waitFor(/^joined, 2 contacts$/m)
  const kept = () => JSON.parse(readFileSync(join(folder, 'node.json'), 'utf8'))
  await expect.poll(() => kept().contacts.length, { timeout: 10_000 }).toBe(2)
  const { id } = kept()
  before.kill('SIGKILL')
  nodes[0]?.kill('SIGKILL')
  await before.end()

  const after = await start(NODE, ['--port', '0', '--data-folder', folder, '--host', '127.0.0.1'])
  await after.waitFor(/^joined, \d contacts$/m)
  expect(kept().id).toBe(id)
  // It holds a secret.
  expect(statSync(join(folder, 'node.json')).mode & 0o777).toBe(0o600)
  after.kill('SIGTERM')
  expect(await after.end()).toMatchObject({ status: 0, stderr: '' })
})

test('a data folder is for one process at a time', async () => {
  const folder = temporaryFolder()
  const args = ['--port', '0', '--host', '127.0.0.1', '--data-folder', folder]
  const owner = await start(NODE, args)
  await owner.waitFor('listening at ')
  const { status, stdout, stderr } = await run(NODE, args)
  expect(stderr).toMatch(/^bootstrap-node: \S+ is in use by process \d+\. If that is no such node, remove \S+lock\n$/)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  // Who was refused has left it as it was.
  expect((await run(NODE, args)).status).toBe(1)
  owner.kill('SIGTERM')
  await owner.end()
  expect(existsSync(join(folder, 'lock'))).toBe(false)
})

test('a bootstrap node whose network is cut goes on trying, unless it is told not to', async () => {
  const args = ['--port', '0', ...argumentsFor(await silentAddress())]
  const patient = await start(NODE, args)
  const { status, stdout, stderr } = await run(NODE, [...args, '--join-within', '1'])
  expect(stderr).toMatch(/^bootstrap-node: nobody answered: 127\.0\.0\.1:\d+\n$/)
  expect(stdout).not.toContain('joined')
  expect(status).toBe(1)
  await patient.waitFor(/^listening at 127\.0\.0\.1:\d+\n$/)
  patient.kill('SIGTERM')
  expect(await patient.end()).toMatchObject({ status: 0, stderr: '' })
})

test('a bootstrap node whose port is taken ends with status 1', async () => {
  const { addresses } = await network(1)
  const port = addresses[0]?.split(':')[1] as string
  const { status, stderr } = await run(NODE, ['--port', port, '--host', '127.0.0.1'])
  expect(stderr).toMatch(/^bootstrap-node: .*in use/)
  expect(status).toBe(1)
})

test.each([[['--port', 'many']], [['--port', '65536']], [['--join-within', '0']], [['--bootstrap']], [['surplus']]])(
  'a bootstrap node refuses %j',
  (args) => expectUsage(NODE, args),
)

test('a bootstrap node explains itself', () => expectHelp(NODE))
