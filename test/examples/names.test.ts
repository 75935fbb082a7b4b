import { copyFileSync, linkSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { Network } from './network.js'
import { argumentsFor, network } from './network.js'
import { end, expectHelp, expectUsage, run, start, temporaryFolder } from './processes.js'

let shared: Network
beforeAll(async () => {
  shared = await network(6)
})

async function createName(): Promise<{ path: string; name: string }> {
  const path = join(temporaryFolder(), 'key.json')
  const { status, stdout } = await run('names.js', ['create', path])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
  return { path, name: stdout.trim() }
}

test('a name leads where its owner points it, and a follower says each time that it moves', async () => {
  const { path, name } = await createName()
  const follower = await start('names.js', ['follow', name, '--watch', '--every', '0.2', ...shared.arguments])
  const first = await run('names.js', ['point', path, 'http://192.0.2.1/', ...shared.arguments])
  expect(first).toEqual({ status: 0, stdout: 'version 1 is kept by 6 nodes\n', stderr: '' })
  await follower.waitFor('version 1: http://192.0.2.1/')
  await run('names.js', ['point', path, 'http://192.0.2.2/', ...shared.arguments])
  await follower.waitForNext('version 2: http://192.0.2.2/')
  const once = await run('names.js', ['follow', name, ...shared.arguments])
  expect(once).toEqual({ status: 0, stdout: 'version 2: http://192.0.2.2/\n', stderr: '' })
  follower.kill('SIGINT')
  expect(await follower.end()).toEqual({
    status: 0,
    stdout: 'version 1: http://192.0.2.1/\nversion 2: http://192.0.2.2/\n',
    stderr: '',
  })
})

test('two devices of one owner do not overwrite each other', async () => {
  const { path: laptop, name } = await createName()
  const phone = `${laptop}.phone`
  copyFileSync(laptop, phone)
  const both = await Promise.all(
    [laptop, phone].map((path) => run('names.js', ['point', path, `from ${path}`, ...shared.arguments])),
  )
  // One of them at most: under a close race both may be refused.
  expect(both.filter(({ status }) => status === 0).length).toBeLessThanOrEqual(1)
  await run('names.js', ['point', laptop, 'by the laptop', ...shared.arguments])
  const pointed = await run('names.js', ['point', laptop, 'by the laptop', ...shared.arguments])
  expect(pointed).toMatchObject({ status: 0 })

  const refused = await run('names.js', ['point', phone, 'by the phone', ...shared.arguments])
  expect(refused.stderr).toMatch(
    /^names: moved by another device, point again if that is to be replaced: version \d: by the laptop\n$/,
  )
  expect(refused).toMatchObject({ status: 1, stdout: '' })
  expect((await run('names.js', ['follow', name, ...shared.arguments])).stdout).toContain(': by the laptop\n')

  // Told what it missed, the phone may replace it.
  expect(await run('names.js', ['point', phone, 'by the phone', ...shared.arguments])).toMatchObject({ status: 0 })
  expect((await run('names.js', ['follow', name, ...shared.arguments])).stdout).toContain(': by the phone\n')
})

test('a name outlives its owner, and half of the nodes that keep it', async () => {
  const { arguments: args, nodes, addresses } = await network(6)
  const { path, name } = await createName()
  await run('names.js', ['point', path, 'still here', ...args])
  await end(...nodes.slice(0, 3))
  const found = await run('names.js', ['follow', name, ...argumentsFor(addresses[5] as string)])
  expect(found).toEqual({ status: 0, stdout: 'version 1: still here\n', stderr: '' })
})

test('a follower whose network is cut ends with status 1', async () => {
  const { arguments: args, cut } = await network(3)
  const { path, name } = await createName()
  await run('names.js', ['point', path, 'here', ...args])
  const follower = await start('names.js', ['follow', name, '--watch', '--every', '0.2', ...args])
  await follower.waitFor('version 1: here')
  await cut()
  const { status, stderr } = await follower.end()
  expect(stderr).toMatch(/^names: .*answered/)
  expect(status).toBe(1)
})

test('a name that has expired everywhere goes on with the next version', async () => {
  const { path, name } = await createName()
  writeFileSync(path, readFileSync(path, 'utf8').replace('"seen":"0"', '"seen":"7"'))
  const pointed = await run('names.js', ['point', path, 'again', ...shared.arguments])
  expect(pointed).toEqual({ status: 0, stdout: 'version 8 is kept by 6 nodes\n', stderr: '' })
  expect((await run('names.js', ['follow', name, ...shared.arguments])).stdout).toBe('version 8: again\n')
})

test('a name that nobody has pointed anywhere is not found', async () => {
  const { name } = await createName()
  const { status, stderr } = await run('names.js', ['follow', name, ...shared.arguments])
  expect({ status, stderr }).toEqual({ status: 1, stderr: 'names: nobody keeps a value of that name\n' })
})

test('what others wrote is shown on one line, and tells the terminal nothing', async () => {
  const { path, name } = await createName()
  const copy = `${path}.copy`
  copyFileSync(path, copy)
  const value = '\u001b]0;pwned\u0007\u009b2J http://x\nversion 99:\u2028\u202e\u2029http://evil'
  await run('names.js', ['point', path, value, ...shared.arguments])
  const shown = 'version 1:  ]0;pwned  2J http://x version 99:   http://evil\n'
  expect((await run('names.js', ['follow', name, ...shared.arguments])).stdout).toBe(shown)
  const { stderr } = await run('names.js', ['point', copy, 'mine', ...shared.arguments])
  expect(stderr).toMatch(/^names: .*: version 1: .*http:\/\/evil\n$/)
})

test('the key file is replaced, never written into: whatever happens meanwhile, one of the two is whole', async () => {
  const { path } = await createName()
  const before = `${path}.before`
  linkSync(path, before)
  const text = readFileSync(path, 'utf8')
  await run('names.js', ['point', path, 'somewhere', ...shared.arguments])
  expect(readFileSync(before, 'utf8')).toBe(text)
  expect(readFileSync(path, 'utf8')).toBe(text.replace('"seen":"0"', '"seen":"1"'))
})

test('a key file is its owner’s alone, and is never overwritten', async () => {
  const { path } = await createName()
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const before = readFileSync(path, 'utf8')
  expect(await run('names.js', ['create', path])).toMatchObject({ status: 1, stdout: '' })
  expect(readFileSync(path, 'utf8')).toBe(before)
})

test.each([
  [[]],
  [['move', 'key.json']],
  [['point', 'key.json', '--bootstrap', '127.0.0.1:7400']],
  [['follow', 'ada', '--bootstrap', '127.0.0.1:7400']],
  [['follow', 'ab'.repeat(32)]],
  [['follow', 'ab'.repeat(32), '--every', 'now', '--bootstrap', '127.0.0.1:7400']],
  [['follow', 'ab'.repeat(32), '--every', '3000000', '--bootstrap', '127.0.0.1:7400']],
  [['create', 'key.json', '--quickly']],
])('names.js refuses %j', (args) => expectUsage('names.js', args))

test('names.js takes no command from what every object has', async () => {
  expect((await run('names.js', ['toString', 'x'])).stderr).toMatch(/^names: create, point or follow\?\n/)
})

test('names.js explains itself', () => expectHelp('names.js'))
