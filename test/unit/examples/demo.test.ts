import { createHash } from 'node:crypto'
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

/** Bytes that no two values share. */
function distinctBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff)
}

describe('the demo brings every byte back', () => {
  test.each([
    ['an empty file', new Uint8Array(0), 0, 0],
    ['a file of 1 byte', Uint8Array.of(7), 1, 1],
    ['a file of one full value', distinctBytes(880), 1, 1],
    ['a file of several values', distinctBytes(5_000), 6, 6],
    ['a file of equal values, which share one key', new Uint8Array(3 * 880), 3, 1],
  ])('of %s', async (_, bytes, values, distinctValues) => {
    const { status, stdout, stderr } = await runProgram(demo, [fileOf(bytes), '--nodes', '12', '--json'])
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      complete: true,
      missing: [],
      file: { bytes: bytes.length, sha256: sha256(bytes) },
      fetched: { bytes: bytes.length, sha256: sha256(bytes) },
      nodes: 12,
      killed: 4,
      values,
      distinctValues,
    })
    expect(status).toBe(0)
  })

  test('and says so to people', async () => {
    const { status, stdout } = await runProgram(demo, [fileOf(distinctBytes(2_000)), '--nodes', '12'])
    expect(stdout).toContain('every byte came back')
    expect(stdout).toMatch(/ {2}1 █+ \d/)
    // No terminal, no colours.
    expect(stdout).not.toContain('\x1b')
    expect(status).toBe(0)
  })
})

test('the demo fails and names the keys where too many nodes died', async () => {
  // 20 of 60 nodes have a value: that one survivor has all ten has a chance of 2e-5.
  const bytes = distinctBytes(10 * 880)
  const { status, stdout } = await runProgram(demo, [fileOf(bytes), '--nodes', '60', '--kill', '59', '--json'])
  const result = JSON.parse(stdout)
  expect(result).toMatchObject({ complete: false, killed: 59, fetched: { sha256: null } })
  expect(result.missing.length).toBeGreaterThan(0)
  const keys = Array.from({ length: 10 }, (_, i) => sha256(bytes.subarray(i * 880, (i + 1) * 880)))
  expect(keys).toEqual(expect.arrayContaining(result.missing))
  expect(status).toBe(1)
})

test('an interrupted demo closes its nodes and ends', async () => {
  const { status, stdout, stderr } = await runProgram(demo, [fileOf(distinctBytes(200_000)), '--nodes', '100'], true)
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
    expect(stderr).toContain('usage: npm run demo')
  })

  test('when asked to', async () => {
    const { status, stdout } = await runProgram(demo, ['--help'])
    expect(status).toBe(0)
    expect(stdout).toContain('usage: npm run demo')
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

  test('names.js moves a name, and refuses who has not seen that', async () => {
    const { status, stdout, stderr } = await runExample('names')
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^the name is [0-9a-f]{64}\nversion 1 is kept by [4-7] nodes\n/)
    expect(stdout).toContain('the name leads to http://192.0.2.1/\n')
    expect(stdout).toContain('the name now leads to http://192.0.2.2/, version 2\n')
    expect(stdout).toMatch(/\nERR_CAS_MISMATCH: .*\n$/)
    expect(status).toBe(0)
  })

  test('peers.js finds who is there, and no longer who has left', async () => {
    const { status, stdout, stderr } = await runExample('peers')
    expect(stderr).toBe('')
    const there = 'Ada is at 127.0.0.1:8001\nBert is at 127.0.0.1:8002\n'
    expect(stdout).toMatch(
      new RegExp(`^${there}Ada leaves; [4-7] nodes have forgotten her\nBert is at 127.0.0.1:8002\n$`),
    )
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

  test('bootstrap-node.js listens until it is interrupted', async () => {
    const file = join(folder, 'bootstrap-node.mjs')
    await bundleProgram(`import './examples/bootstrap-node.js'`, file)
    const { status, stdout } = await runProgram(file, ['0'], true)
    expect(stdout).toContain('listening at')
    expect(status).toBe(0)
  })
})
