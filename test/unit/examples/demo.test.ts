import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ended } from './programs.js'
import { bundleProgram, ROOT, runProgram, typeErrors } from './programs.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-demo-'))
const demo = join(folder, 'file-demo.mjs')

beforeAll(() => bundleProgram(`import './examples/file-demo.js'`, demo))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fileOf(bytes: Uint8Array): string {
  const path = join(folder, `${bytes.length} bytes`)
  writeFileSync(path, bytes)
  return path
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes that no two parts share. */
function distinctBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff)
}

const MIB = 2 ** 20

describe('the demo brings every byte back', () => {
  test.each([
    ['an empty file', new Uint8Array(0), { values: 1, distinctValues: 1, pieces: 1, parts: 1 }],
    ['a file of 1 byte', Uint8Array.of(7), { values: 1, distinctValues: 1, pieces: 1, parts: 1 }],
    ['a file of one full record', distinctBytes(880), { values: 1, distinctValues: 1, pieces: 1, parts: 1 }],
    ['a file of a byte more', distinctBytes(881), { values: 1, distinctValues: 1, pieces: 2, parts: 3 }],
    ['a file of several parts', distinctBytes(5_000), { values: 1, distinctValues: 1, pieces: 6, parts: 7 }],
    ['a file of equal parts, which share one key', new Uint8Array(3 * 880), { values: 1, pieces: 3, parts: 2 }],
    ['a file of equal values', new Uint8Array(2 * MIB), { values: 2, distinctValues: 1, pieces: 2384 }],
  ])('of %s', async (_, bytes, counts) => {
    const { status, stdout, stderr } = await runProgram(demo, [fileOf(bytes), '--nodes', '12', '--json'])
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      complete: true,
      missing: [],
      file: { bytes: bytes.length, sha256: sha256(bytes) },
      fetched: { bytes: bytes.length, sha256: sha256(bytes) },
      nodes: 12,
      killed: 4,
      ...counts,
    })
    expect(status).toBe(0)
  })

  test('of a file of a MiB and a byte without equal parts', async () => {
    const bytes = new Uint8Array(randomBytes(MIB + 1))
    const { status, stdout } = await runProgram(demo, [fileOf(bytes), '--nodes', '8', '--json'])
    const result = JSON.parse(stdout)
    expect(result).toMatchObject({ complete: true, values: 2, pieces: 1193, fetched: { sha256: sha256(bytes) } })
    // The pointer of a list: a key, and a byte more.
    expect(result.signedPointer).toMatch(/^[0-9a-f]{64}01$/)
    // Of the first MiB 1,192 pieces, 45 nodes of the tree that name those, 2 that name these, and a root; the last
    // byte, and the list.
    expect(result.parts).toBe(1192 + 45 + 2 + 1 + 1 + 1)
    expect(Object.values<number>(result.partsByAlive).reduce((sum, parts) => sum + parts)).toBe(result.parts)
    expect(result.replicas.alive.min).toBeGreaterThan(0)
    expect(status).toBe(0)
  })

  test('and says so to people', async () => {
    const { status, stdout, stderr } = await runProgram(demo, [fileOf(distinctBytes(2_000)), '--nodes', '12'])
    expect(stdout).toContain('every byte came back')
    expect(stdout).toContain('1 value, 4 parts')
    // So many of the parts have so many nodes left.
    expect(stdout).toMatch(/\n +\d+ █+ \d+\n/)
    // No terminal, no colours.
    expect(stdout).not.toContain('\x1b')
    expect(stderr).toContain('storing: 2.0 KiB of 2.0 KiB\n')
    expect(stderr).toContain('fetching: 2.0 KiB of 2.0 KiB\n')
    expect(status).toBe(0)
  })
})

test('the demo brings every byte back from the only node that is left', async () => {
  const bytes = distinctBytes(5_000)
  const { status, stdout } = await runProgram(demo, [fileOf(bytes), '--nodes', '12', '--kill', '11', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({
    complete: true,
    killed: 11,
    fetched: { sha256: sha256(bytes) },
    // One node is left, and it has all 7 parts.
    replicas: { alive: { min: 1, median: 1, max: 1 } },
    partsByAlive: { 1: 7 },
  })
  expect(status).toBe(0)
})

test('the demo fails and says what is missing where too many nodes died', async () => {
  // 20 of 60 nodes have a record: that one survivor has all twelve, and where they are, has a chance of 1e-6.
  const bytes = distinctBytes(10 * 880)
  const { status, stdout } = await runProgram(demo, [fileOf(bytes), '--nodes', '60', '--kill', '59', '--json'])
  const result = JSON.parse(stdout)
  expect(result).toMatchObject({ complete: false, killed: 59, fetched: { bytes: 0, sha256: null } })
  // Without the pointer nothing is asked for; with it, the one value is missing.
  const { signedPointer, missing } = result
  const reason = expect.stringMatching(/./)
  expect(missing).toEqual(signedPointer === null ? [] : [{ key: signedPointer, reason }])
  expect(status).toBe(1)
})

describe('a stored file', () => {
  /** Stores in a Map instead of a network, loses the keys of the given puts, and fetches. */
  async function storeAndFetch(bytes: Uint8Array, lost: readonly number[]): Promise<Record<string, unknown>> {
    const file = join(folder, 'stored-file.mjs')
    const contents = `
      import { createHash, randomBytes } from 'node:crypto'
      import { readFileSync } from 'node:fs'
      import { toHex } from 'xorbit'
      import { fetchFile, storeFile } from './examples/demo/stored-file.js'
      const [path, ...lost] = process.argv.slice(2)
      const kept = new Map()
      const dht = {
        async put(value, { onProgress }) {
          const key = new Uint8Array(createHash('sha256').update(value).digest())
          kept.set(toHex(key), value)
          onProgress({ bytes: value.length, bytesTotal: value.length })
          return { key }
        },
        async get(key) {
          const value = kept.get(toHex(key))
          return value && { value, messages: 1 }
        },
      }
      const { signal } = new AbortController()
      let progress
      const options = { signal, onProgress: (...told) => { progress = told } }
      const { pointer, puts, ...stored } = await storeFile(dht, new Uint8Array(readFileSync(path)), options)
      const keys = puts.map(({ key }) => toHex(key))
      for (const index of lost) kept.delete(keys[index])
      const { bytes, missing, messages } = await fetchFile(dht, pointer, { signal, onProgress() {} })
      const fetched = { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
      console.log(JSON.stringify({ keys, pointer: toHex(pointer), progress, stored, fetched, missing, messages }))`
    await bundleProgram(contents, file)
    const { stdout, stderr } = await runProgram(file, [fileOf(bytes), ...lost.map(String)])
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  test('has the key of its only value as its pointer', async () => {
    const bytes = distinctBytes(MIB)
    const key = sha256(bytes)
    expect(await storeAndFetch(bytes, [])).toEqual({
      keys: [key],
      pointer: key,
      progress: [MIB, MIB],
      stored: { values: 1, distinctValues: 1, pieces: 1192, bytes: MIB },
      fetched: { bytes: MIB, sha256: key },
      missing: [],
      messages: 1,
    })
  })

  test('has a list of keys where it takes more values, equal ones once', async () => {
    const bytes = new Uint8Array(3 * MIB + 5)
    bytes.fill(1, MIB, 2 * MIB)
    const { keys, pointer, ...rest } = await storeAndFetch(bytes, [])
    const total = 2 * MIB + 5 + 4 * 32
    const hashes = [[0, MIB], [MIB, 2 * MIB], [3 * MIB]].map(([from, to]) => sha256(bytes.subarray(from, to)))
    const list = sha256(Buffer.from([0, 1, 0, 2].map((i) => hashes[i]).join(''), 'hex'))
    expect({ keys, pointer }).toEqual({ keys: [...hashes, list], pointer: `${list}01` })
    expect(rest).toEqual({
      progress: [total, total],
      stored: { values: 4, distinctValues: 3, pieces: 3577, bytes: total },
      fetched: { bytes: bytes.length, sha256: sha256(bytes) },
      missing: [],
      messages: 4,
    })
  })

  test('says which values are missing', async () => {
    const bytes = new Uint8Array(2 * MIB + 5)
    bytes.fill(1, MIB)
    const { keys, fetched, missing } = await storeAndFetch(bytes, [1])
    expect(missing).toEqual([{ key: (keys as string[])[1], reason: 'nobody has it' }])
    expect(fetched).toMatchObject({ bytes: MIB + 5 })
  })

  test('is missing as a whole without its list', async () => {
    const { keys, fetched, missing } = await storeAndFetch(new Uint8Array(MIB + 1), [2])
    expect(missing).toEqual([{ key: (keys as string[])[2], reason: 'nobody has it' }])
    expect(fetched).toMatchObject({ bytes: 0 })
  })
})

test.each([
  ['starting nodes: ', 'storing: ', 1000, '100'],
  ['storing: ', 'killing nodes: ', 700_000, '30'],
  ['fetching: ', 'fetching: 1.00 MiB', MIB, '12'],
])('a demo that is interrupted at "%s" closes its nodes and ends', async (at, later, length, nodes) => {
  const { status, stdout, stderr } = await runProgram(demo, [fileOf(distinctBytes(length)), '--nodes', nodes], at)
  expect(stderr).toContain(at)
  expect(stderr).not.toContain(later)
  expect(stderr).toMatch(/interrupted\n$/)
  expect(stdout).toBe('')
  expect(status).toBe(130)
})

describe('the demo explains itself', () => {
  test.each([
    [['--nodes', 'many']],
    [['--nodes', '2']],
    [['--kill', '50']],
    [['--fast']],
    [['one', 'two']],
    [['no/such/file']],
  ])('for wrong arguments %j', async (args) => {
    const { status, stdout, stderr } = await runProgram(demo, args)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('usage: node file-demo.js')
  })

  test('when asked to', async () => {
    const { status, stdout } = await runProgram(demo, ['--help'])
    expect(status).toBe(0)
    // An installed package has the program, but no such script.
    expect(stdout).toContain('usage: node file-demo.js')
  })
})

describe('the examples', () => {
  const paths = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
    .map((path) => `examples/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.js'))

  test('are type-checked', () => {
    expect(paths).toContain('examples/file-demo.js')
    expect(typeErrors(Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')])))).toEqual(
      [],
    )
  })

  test('the check of types can fail', () => {
    const broken = `import { udp } from 'xorbit/udp'\nudp({ port: '7400' })\n`
    expect(typeErrors({ 'examples/broken.js': broken })).toEqual([expect.stringMatching(/^examples\/broken\.js:2: /)])
  })

  async function runExample(name: string, args: readonly string[] = []): Promise<Ended> {
    const file = join(folder, `${name}.mjs`)
    await bundleProgram(`import './examples/${name}.js'`, file)
    return runProgram(file, args)
  }

  test('messages.js shows an answer and a refusal', async () => {
    const file = join(folder, 'messages.mjs')
    await bundleProgram(`import './examples/messages.js'`, file)
    const { status, stdout } = await runProgram(file)
    expect(stdout).toMatch(/HELLO\nERR_UNKNOWN_METHOD/)
    expect(status).toBe(0)
  })

  test('custom-record.js counts the later vote of each voter', async () => {
    const { status, stdout, stderr } = await runExample('custom-record')
    expect({ stdout, stderr }).toEqual({ stdout: '1 of 2 say yes\n2 of 2 say yes\n', stderr: '' })
    expect(status).toBe(0)
  })

  test('custom-record.js has a kind of records that passes the conformance suite', async () => {
    const { status, stdout, stderr } = await runExample('custom-record', ['--check'])
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^(?:ok {2}.+\n){15,}$/)
    expect(status).toBe(0)
  })
})
