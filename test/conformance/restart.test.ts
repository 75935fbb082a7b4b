// A node with a store on a disk, as a process of its own that is killed.

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import type { Dht, DhtOptions } from '../../src/index.js'
import { createDht, keyOf, toHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import { bundleProgram } from '../unit/examples/programs.js'

const HOST = '127.0.0.1'
const OTHERS = 15
const VALUES = 60

/** Opens a node on a folder, prints what it is, then how many records it has whenever it is asked. Ends by itself. */
const PROGRAM = `
import { createInterface } from 'node:readline'
import { ClassicLevel } from 'classic-level'
import { createDht, toHex } from 'xorbit'
import { openLevelStore } from 'xorbit/level'
import { udp } from 'xorbit/udp'

const [folder, ...bootstrap] = process.argv.slice(2)
setTimeout(() => process.exit(3), 50_000).unref()
const storage = await openLevelStore(new ClassicLevel(folder))
const dht = createDht({ transport: udp({ host: '127.0.0.1' }), storage, bootstrap })
const { address, elapsedMs } = await dht.start()
console.log(JSON.stringify({ id: toHex(dht.id), address, elapsedMs, report: storage.report }))
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ records: dht.stats().storage.records, contacts: dht.contacts().length }))
}
await dht.close()
`

interface Opened {
  readonly id: string
  readonly address: string
  readonly elapsedMs: number
  readonly report: { readonly records: number; readonly isComplete: boolean }
}

/** The program as a process. */
class Program {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(file: string, args: readonly string[]) {
    const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
  }

  async read<T>(): Promise<T> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the process has ended')
    return JSON.parse(value) as T
  }

  ask(): Promise<{ records: number; contacts: number }> {
    this.#child.stdin?.write('\n')
    return this.read()
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await ended
  }
}

async function open(options: Partial<DhtOptions>): Promise<Dht> {
  const dht = createDht({ transport: udp({ host: HOST }), ...options })
  onTestFinished(() => dht.close())
  await dht.start()
  return dht
}

test('a process that is killed comes back with its id, its records and its contacts, with no bootstrap alive', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-restart-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'program.mjs')
  await bundleProgram(PROGRAM, file)

  const first = await open({})
  const bootstrap = [first.address as string]
  const others: Dht[] = []
  while (others.length < OTHERS) others.push(await open({ bootstrap }))
  const program = new Program(file, [join(folder, 'records'), ...bootstrap])
  const before = await program.read<Opened>()

  const acknowledged: Uint8Array[] = []
  const [writer] = others as [Dht]
  for (let i = 0; i < VALUES; i++) {
    const value = new TextEncoder().encode(`value ${i} ${'.'.repeat(10 * i)}`)
    const { key, storedAt } = await writer.put(value, { acknowledgements: 20 })
    if (storedAt.some(({ id }) => toHex(id) === before.id)) acknowledged.push(key)
  }
  // Sixteen nodes and the writer: everybody keeps everything.
  expect(acknowledged.length).toBeGreaterThan(VALUES / 2)
  // Contacts are kept some seconds after joining.
  await new Promise((resolve) => setTimeout(resolve, 6_000))
  expect((await program.ask()).contacts).toBeGreaterThan(OTHERS / 2)
  await program.kill()
  await first.close()
  for (const dht of others.splice(0, OTHERS / 3)) await dht.close()

  const restarted = new Program(file, [join(folder, 'records'), ...bootstrap])
  const after = await restarted.read<Opened>()
  console.log(`killed and restarted: joined after ${Math.round(after.elapsedMs)} ms, ${after.report.records} records`)
  expect(after.id).toBe(before.id)
  expect(after.elapsedMs).toBeLessThan(5_000)
  expect(after.report.isComplete).toBe(true)
  expect(after.report.records).toBeGreaterThanOrEqual(acknowledged.length)
  // A client that knows nobody else gets the values from it alone.
  const asker = await open({ client: true, k: 1 })
  await asker.ping(after.address)
  for (const key of acknowledged) {
    const found = await asker.get(key)
    expect(keyOf(found?.value as Uint8Array)).toEqual(key)
    expect(found?.messages).toBe(1)
  }
}, 60_000)
