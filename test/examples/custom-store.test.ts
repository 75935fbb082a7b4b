import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Dht } from '../../src/index.js'
import { createDht, generateKeyPair, toHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import { argumentsFor, network, silentAddress } from './network.js'
import type { Program } from './processes.js'
import { end, expectUsage, run, start, temporaryFolder } from './processes.js'

const STORE = 'custom-store.js'

/** A node of the test's own, which keeps nothing for others. */
async function client(bootstrap: string): Promise<Dht> {
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [bootstrap], client: true })
  onTestFinished(() => dht.close())
  await dht.start()
  return dht
}

interface Running {
  readonly node: Program
  readonly records: number
  readonly id: string
  readonly address: string
}

async function open(folder: string, args: readonly string[]): Promise<Running> {
  const node = await start(STORE, ['run', folder, ...args])
  const [, records, id, address] = await node.waitFor(/^(\d+) records in .+\n([0-9a-f]{8}) listens at (\S+), /m)
  return { node, records: Number(records), id: id!, address: address! }
}

function textOf(found: { value: Uint8Array } | undefined): string {
  return new TextDecoder().decode(found?.value)
}

test('the store passes the conformance suite, and what it keeps lasts', async () => {
  const { status, stdout, stderr } = await run(STORE, ['check'])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^(?:ok {2}.+\n){26,}$/)
  expect(stdout).toContain('ok  what was stored lasts beyond close\n')
  expect(status).toBe(0)
})

test('a node that is killed comes back as the same one, with its records', async () => {
  const folder = temporaryFolder()
  const before = await open(folder, ['--host', '127.0.0.1'])
  const writer = await client(before.address)
  const keys: Uint8Array[] = []
  for (let i = 0; i < 20; i++) {
    const { key } = await writer.put(new TextEncoder().encode(`value ${i}`), { republish: false })
    keys.push(key)
  }
  await writer.close()
  await end(before.node)

  const after = await open(folder, ['--host', '127.0.0.1'])
  expect(after).toMatchObject({ records: 20, id: before.id })
  const reader = await client(after.address)
  for (const [i, key] of keys.entries()) expect(textOf(await reader.get(key))).toBe(`value ${i}`)
  await reader.close()
  after.node.kill('SIGTERM')
  expect(await after.node.end()).toMatchObject({ status: 0, stderr: '' })
  expect(statSync(join(folder, 'node.json')).mode & 0o777).toBe(0o600)
})

test('a line that was cut off or damaged costs its record and nothing else', async () => {
  const folder = temporaryFolder()
  const before = await open(folder, ['--host', '127.0.0.1'])
  const writer = await client(before.address)
  for (let i = 0; i < 6; i++) await writer.put(new TextEncoder().encode(`value ${i}`), { republish: false })
  await writer.close()
  await end(before.node)
  const journal = join(folder, 'journal')
  const lines = readFileSync(journal, 'utf8').split('\n')
  expect(lines).toHaveLength(7)
  lines[1] = (lines[1] as string).replace(/"record":"./, '"record":"f')
  lines[3] = 'no line at all'
  writeFileSync(journal, lines.join('\n'))
  truncateSync(journal, statSync(journal).size - 9)

  const after = await open(folder, ['--host', '127.0.0.1'])
  expect(after.records).toBe(3)
  // What it writes from now on does not run into what was cut off.
  const again = await client(after.address)
  await again.put(new TextEncoder().encode('another value'), { republish: false })
  await again.close()
  await end(after.node)
  appendFileSync(journal, '\n')
  expect((await open(folder, ['--host', '127.0.0.1'])).records).toBe(4)
})

test('a journal that has grown long is written anew, and nothing is lost', async () => {
  const folder = temporaryFolder()
  const before = await open(folder, ['--host', '127.0.0.1'])
  const writer = await client(before.address)
  const all = Array.from({ length: 10 }, () => generateKeyPair())
  const size = () => statSync(join(folder, 'journal')).size
  // The same few values again and again: more than the slack of 1 MiB, as hex.
  let sizeMax = 0
  let version = 0
  for (; size() >= sizeMax; version++) {
    sizeMax = size()
    expect(sizeMax).toBeLessThan(2 ** 21)
    const value = new Uint8Array(800).fill(version)
    await Promise.all(all.map((keys) => writer.publish(keys, value, { republish: false })))
  }
  await writer.close()
  await end(before.node)

  const after = await open(folder, ['--host', '127.0.0.1'])
  expect(after.records).toBe(all.length)
  const reader = await client(after.address)
  for (const { publicKey } of all) {
    expect((await reader.resolve(publicKey))?.value).toEqual(new Uint8Array(800).fill(version - 1))
  }
})

test('a folder is for one process at a time', async () => {
  const folder = temporaryFolder()
  const args = ['run', folder, '--host', '127.0.0.1']
  const { node } = await open(folder, args.slice(2))
  const { ino } = statSync(join(folder, 'journal'))
  const { status, stdout, stderr } = await run(STORE, args)
  expect(stderr).toMatch(/^custom-store: \S+ is in use by process \d+\. If that is no such node, remove \S+lock\n$/)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(statSync(join(folder, 'journal')).ino).toBe(ino)
  // Who was refused has left it as it was.
  expect((await run(STORE, args)).status).toBe(1)
  node.kill('SIGTERM')
  await node.end()
  expect(existsSync(join(folder, 'lock'))).toBe(false)
})

test('it keeps records in a network with others, and says so when that is cut', async () => {
  const { addresses, arguments: args, cut } = await network(3)
  const folder = temporaryFolder()
  const { node } = await open(folder, args)
  const writer = await client(addresses[2] as string)
  const { key } = await writer.put(new TextEncoder().encode('kept'))
  // It may be the one for which the writer did not wait.
  await expect.poll(() => readFileSync(join(folder, 'journal'), 'utf8'), { timeout: 5_000 }).toContain(toHex(key))
  expect(textOf(await writer.get(key))).toBe('kept')
  await writer.close()
  const late = await start(STORE, ['run', temporaryFolder(), ...argumentsFor(await silentAddress())])
  await cut()
  expect(await node.end()).toMatchObject({
    status: 1,
    stderr: 'custom-store: nobody answers any more: the network is cut\n',
  })
  expect(await late.end()).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^custom-store: none of the bootstrap addresses answered/),
  })
})

test.each([
  [[]],
  [['run']],
  [['check', 'surplus']],
  [['run', 'folder', '--port', '65536']],
  [['run', 'folder', '--fast']],
])('the store refuses %j', (args) => expectUsage(STORE, args))
