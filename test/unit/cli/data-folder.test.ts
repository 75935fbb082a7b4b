import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { afterAll, describe, expect, test } from 'vitest'
import { openDataFolder } from '../../../src/cli/data-folder.js'
import { DhtError } from '../../../src/errors.js'
import type { StoredRecord } from '../../../src/storage/record-store.js'
import { ROOT } from '../examples/programs.js'
import { held, record } from '../storage/faulty-level.js'

const base = mkdtempSync(join(tmpdir(), 'xorbit-data-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let count = 0
const newPath = () => join(base, `${++count}`, 'node')
const modeOf = (path: string) => statSync(path).mode & 0o777

const state = {
  id: new Uint8Array(32).fill(1),
  secretKey: new Uint8Array(32).fill(2),
  contacts: [{ id: new Uint8Array(32).fill(3), address: '127.0.0.1:7400' }],
}

describe('the folder of a node', () => {
  test('is made with those above it, whoever else makes them at the same time', async () => {
    for (let round = 0; round < 5; round++) {
      const above = newPath()
      const paths = Array.from({ length: 6 }, (_, i) => join(above, 'a', 'b', `${i}`))
      const opened = await Promise.all(paths.map((path) => openDataFolder(path)))
      await Promise.all(opened.map(({ storage }) => storage.close()))
    }
  })

  test('is made, and keeps records, id, key and contacts', async () => {
    const path = newPath()
    const { storage, report } = await openDataFolder(path)
    expect(report).toEqual({ entries: 0, damagedBytes: 0, tornBytes: 0 })
    await storage.put(record(1))
    await storage.nodeState.save(state)
    await storage.close()
    const again = await openDataFolder(path)
    expect(again.storage.report).toMatchObject({ records: 1, isComplete: true, wasClosed: true })
    expect(again.storage.nodeState.loaded).toEqual(state)
    expect(await held(again.storage)).toEqual([1])
    await again.storage.close()
  })

  test.skipIf(process.platform === 'win32')('nobody else may read what is in it', async () => {
    const path = newPath()
    const { storage } = await openDataFolder(path)
    expect(modeOf(path)).toBe(0o700)
    expect(modeOf(join(path, 'journal'))).toBe(0o600)
    await storage.close()
  })

  test('belongs to one store at a time, until that is closed', async () => {
    const path = newPath()
    const { storage } = await openDataFolder(path)
    const failure = await openDataFolder(path).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(DhtError)
    expect(failure).toMatchObject({
      code: 'ERR_STORE_FAILED',
      message: expect.stringContaining(`${path} is in use by`),
    })
    await storage.put(record(1))
    await storage.reopen()
    await expect(openDataFolder(path)).rejects.toThrow('in use')
    await storage.close()
    await (await openDataFolder(path)).storage.close()
  })

  test('says what is to be done where it can not be used', async () => {
    const path = newPath()
    await (await openDataFolder(path)).storage.close()
    const file = join(path, 'journal')
    const failure = (where: string) => openDataFolder(where).catch((error: unknown) => error)
    expect(await failure(file)).toMatchObject({
      code: 'ERR_STORE_FAILED',
      message: expect.stringMatching(/^the data folder can not be used: EEXIST.* has to be a folder$/),
    })
    writeFileSync(file, 'nonsense')
    expect(await failure(path)).toMatchObject({ message: expect.stringMatching(/is no journal.* move it away/) })
    // Nothing keeps it locked.
    rmSync(file)
    await (await openDataFolder(path)).storage.close()
  })

  test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)('a folder that is not ours', async () => {
    const path = newPath()
    await (await openDataFolder(path)).storage.close()
    chmodSync(path, 0o500)
    await expect(openDataFolder(path)).rejects.toThrow(/EACCES.*This user has to be allowed to write in/)
    chmodSync(path, 0o700)
  })
})

describe('what is flipped in the file', () => {
  test('is never a wrong record, and nothing is lost that is not told', async () => {
    const path = newPath()
    const { storage } = await openDataFolder(path)
    await storage.nodeState.save(state)
    for (let i = 0; i < 30; i++) await storage.put(record(i, { record: new Uint8Array(200).fill(i) }))
    await storage.put(record(3, { record: new Uint8Array(100).fill(99) }))
    await storage.delete(record(4).key, 1, record(4).slot)
    await storage.close()
    const whole = readFileSync(join(path, 'journal'))
    const right = new Map(Array.from({ length: 30 }, (_, i) => [i, i === 3 ? 99 : i]))
    right.delete(4)
    let told = 0
    for (let at = 8_192 + 5; at < whole.length; at += 37) {
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 1 << (at % 8)
      writeFileSync(join(path, 'journal'), bytes)
      const damaged = await openDataFolder(path)
      const { report, nodeState } = damaged.storage
      const found = new Map<number, number>()
      for await (const one of damaged.storage.entries()) found.set(numberOf(one), fillOf(one))
      // What was deleted or replaced may be back, but that is told.
      const isSame = found.size === right.size && [...right].every(([number, fill]) => found.get(number) === fill)
      for (const [number, fill] of found) expect([number, number === 3 ? 99 : number]).toContain(fill)
      if (!isSame) expect(report.isComplete, `flipped at ${at}`).toBe(false)
      expect(report.isIdentityLost).toBe(nodeState.loaded.secretKey === undefined)
      expect(damaged.report.damagedBytes + damaged.report.tornBytes).toBeGreaterThan(0)
      if (!report.isComplete) told++
      await damaged.storage.close()
    }
    expect(told).toBeGreaterThan(100)
  })
})

const numberOf = ({ key }: StoredRecord) => new DataView(key.buffer, key.byteOffset).getUint32(0)
function fillOf({ record: bytes }: StoredRecord): number {
  expect(new Set(bytes).size).toBe(1)
  return bytes[0]!
}

describe('kill -9 in the middle of writes', () => {
  test.each([1, 2, 3])(
    'run %i: everything that was acknowledged is there, and the folder is free at once',
    async (run) => {
      const path = newPath()
      const program = join(base, 'writer.mjs')
      if (!existsSync(program)) await bundleWriter(program)
      const child = spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
      const closed = once(child, 'close')
      const acknowledged = new Map<number, number>()
      for await (const line of createInterface({ input: child.stdout })) {
        const version = Number(line)
        acknowledged.set(version % 64, version)
        // In the first run before the file is rewritten, later on about when it is.
        if (version >= run * 1_100) child.kill('SIGKILL')
      }
      expect((await closed)[1]).toBe('SIGKILL')
      const { storage } = await openDataFolder(path)
      expect(storage.report).toMatchObject({ isComplete: true, wasClosed: false, records: 64 })
      for await (const one of storage.entries()) {
        const version = one.storedAtMs
        expect(version % 64).toBe(numberOf(one))
        expect(version).toBeGreaterThanOrEqual(acknowledged.get(numberOf(one))!)
        expect(one.record).toEqual(new Uint8Array(4_096).fill(version))
      }
      expect(storage.nodeState.loaded.secretKey).toEqual(state.secretKey)
      await storage.close()
    },
  )
})

/** Writes records of 4 KiB again and again, some at a time, and prints the number of each that is acknowledged. */
function bundleWriter(outfile: string) {
  const contents = `import { openDataFolder } from './src/cli/data-folder.ts'
    const { storage } = await openDataFolder(process.argv[2])
    await storage.nodeState.save({ id: new Uint8Array(32).fill(1), secretKey: new Uint8Array(32).fill(2) })
    let next = 0
    async function write() {
      for (;;) {
        const version = next++
        const key = new Uint8Array(32)
        new DataView(key.buffer).setUint32(0, version % 64)
        const record = new Uint8Array(4_096).fill(version)
        const times = { storedAtMs: version, expiresAtMs: 1e12 }
        await storage.put({ key, kind: 1, slot: new Uint8Array(0), record, ...times, source: Uint8Array.of(1) })
        process.stdout.write(version + '\\n')
      }
    }
    for (let i = 0; i < 8; i++) void write()`
  return build({
    stdin: { contents, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['xorbit-source'],
    // What is not ours is bundled as CommonJS, and asks for parts of Node.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)` },
    outfile,
    logLevel: 'silent',
  })
}
