import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { fromHex, keyOf, toHex } from '../../../src/index.js'
import { network, start, xorbit } from './xorbit.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

let to: string[]
beforeEach(async () => {
  to = await network()
})

function fileWith(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function noise(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 7919) ^ (i >> 8))
}

describe('put and get', () => {
  test('a text: the key alone is on stdout, the value comes back byte for byte', async () => {
    const put = await xorbit(['put', '--text', 'hello', ...to])
    const key = toHex(keyOf('hello'))
    expect(put).toMatchObject({ status: 0, stdout: `${key}\n` })
    expect(put.stderr).toMatch(/^5 B in 1 record at 2 nodes, \d+ messages, /)
    const get = await xorbit(['get', key.toUpperCase(), ...to])
    expect(get).toMatchObject({ status: 0, stdout: 'hello' })
    expect(get.stderr).toMatch(/^5 B after 1 hop, \d+ messages, /)
  })

  test('stdin, in several parts; nothing but data when quiet', async () => {
    const put = await xorbit(['put', '-q', ...to], { stdin: ['one ', 'two'] })
    expect(put).toMatchObject({ status: 0, stdout: `${toHex(keyOf('one two'))}\n`, stderr: '' })
    const dash = await xorbit(['put', '-', '--quiet', ...to], { stdin: [] })
    expect(dash).toMatchObject({ status: 0, stdout: `${toHex(keyOf(''))}\n`, stderr: '' })
    const get = await xorbit(['get', '-q', dash.stdout.trim(), ...to])
    expect(get).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('stdin that has nothing is no value, unless that is said', async () => {
    const put = await xorbit(['put', ...to], { stdin: [] })
    expect(put).toMatchObject({ status: 2, stdout: '' })
    expect(put.stderr).toMatch(/stdin has nothing/)
    expect(await xorbit(['put', '--text', '', ...to])).toMatchObject({ status: 0, stdout: `${toHex(keyOf(''))}\n` })
  })

  test('a file that can not be written leaves what was there', async () => {
    const { stdout: key } = await xorbit(['put', '-t', 'hello', ...to])
    const missing = await xorbit(['get', key.trim(), '-o', join(folder, 'nowhere', 'x'), ...to])
    expect(missing).toMatchObject({ status: 1, stdout: '' })
    expect(missing.stderr).toMatch(/can't be written/)
    const output = fileWith('there', 'before')
    chmodSync(output, 0o640)
    expect(await xorbit(['get', key.trim(), '-o', output, ...to])).toMatchObject({ status: 0 })
    expect([readFileSync(output, 'utf8'), statSync(output).mode & 0o777]).toEqual(['hello', 0o640])
    const target = fileWith('target', 'before')
    for (const [kind, make] of [
      ['link', symlinkSync],
      ['hard link', linkSync],
    ] as const) {
      const name = join(folder, kind)
      make(target, name)
      expect(await xorbit(['get', key.trim(), '-o', name, ...to])).toMatchObject({ status: 0 })
      expect(readFileSync(target, 'utf8')).toBe('hello')
      expect(lstatSync(name).isSymbolicLink()).toBe(kind === 'link')
    }
    symlinkSync(join(folder, 'made by a link'), join(folder, 'dangling'))
    expect(await xorbit(['get', key.trim(), '-o', join(folder, 'dangling'), ...to])).toMatchObject({ status: 0 })
    expect(readFileSync(join(folder, 'made by a link'), 'utf8')).toBe('hello')
    expect(await xorbit(['get', key.trim(), '-o', join(folder, 'x'.repeat(255)), ...to])).toMatchObject({ status: 0 })
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
    if (existsSync('/dev/full')) {
      expect(await xorbit(['get', key.trim(), '-o', '/dev/full', ...to])).toMatchObject({ status: 1 })
      expect(statSync('/dev/full').isCharacterDevice()).toBe(true)
    }
  })

  test('a file of many records, to a file', async () => {
    const value = noise(100_000)
    const put = await xorbit(['put', fileWith('long', value), ...to])
    expect(put.stderr).toMatch(/^97\.7 KiB in \d+ records at 2 nodes or more, /)
    const output = join(folder, 'back')
    const get = await xorbit(['get', put.stdout.trim(), '-o', output, ...to])
    expect(get).toMatchObject({ status: 0, stdout: '' })
    expect(new Uint8Array(readFileSync(output))).toEqual(value)
    const raw = await xorbit(['get', put.stdout.trim(), ...to])
    expect(raw.bytes).toEqual(value)
  })

  test('for machines', async () => {
    const put = await xorbit(['put', '-t', 'hello', '--json', ...to])
    const told = JSON.parse(put.stdout)
    expect(told).toMatchObject({ bytes: 5, key: toHex(keyOf('hello')), parts: 1, replicasMin: 2, refused: [] })
    expect(told.storedAt).toHaveLength(2)
    expect(fromHex(told.storedAt[0].id)).toHaveLength(32)
    const get = JSON.parse((await xorbit(['get', told.key, '--json', ...to])).stdout)
    expect(get).toMatchObject({ key: told.key, bytes: 5, valueBase64: 'aGVsbG8=', hops: 1 })
    const output = join(folder, 'hello')
    const file = JSON.parse((await xorbit(['get', told.key, '--json', '-o', output, ...to])).stdout)
    expect(file).toMatchObject({ bytes: 5, output })
    expect(file).not.toHaveProperty('valueBase64')
    expect(readFileSync(output, 'utf8')).toBe('hello')
  })

  test('what is too long is refused before anything is sent', async () => {
    const put = await xorbit(['put', fileWith('huge', new Uint8Array(1024 * 1024 + 1)), '-b', '127.0.0.1:1'])
    expect(put).toMatchObject({ status: 2, stdout: '' })
    expect(put.stderr).toMatch(/more than 1\.0 MiB/)
    const piped = await xorbit(['put', '-b', '127.0.0.1:1'], { stdin: Array(20).fill(new Uint8Array(100_000)) })
    expect(piped.status).toBe(2)
    const published = await xorbit(['keygen', '-o', join(folder, 'long.json')])
    expect(published.status).toBe(0)
    const long = ['publish', '-k', join(folder, 'long.json'), '-t', 'a'.repeat(881), '-b', '127.0.0.1:1']
    expect(await xorbit(long)).toMatchObject({ status: 2, stdout: '' })
  })

  test('a terminal gets text with a line feed, and no bytes that it obeys unless it is asked for them', async () => {
    const key = (await xorbit(['put', '-t', 'hello', ...to])).stdout.trim()
    const text = await xorbit(['get', key, ...to], { terminals: ['stdout'] })
    expect(text).toMatchObject({ status: 0, stdout: 'hello\n' })
    const red = (await xorbit(['put', '-t', '\u001b[31mred', ...to])).stdout.trim()
    const refused = await xorbit(['get', red, ...to], { terminals: ['stdout'] })
    expect(refused).toMatchObject({ status: 2, stdout: '' })
    expect(refused.stderr).toMatch(/--output/)
    expect(await xorbit(['get', red, '-o', '-', ...to], { terminals: ['stdout'] })).toMatchObject({ status: 0 })
  })

  test('shows how far it is on a terminal, and takes that away again', async () => {
    const put = await xorbit(['put', fileWith('long', noise(600_000)), ...to], { terminals: ['stderr'] })
    const lines = put.stderr.split('\r\u001b[K')
    expect(lines.slice(1, -1).join('\n')).toMatch(/^stored +\d+ % {2}[\d.]+ KiB of 585\.9 KiB$/m)
    expect(lines.at(-1)).toMatch(/^585\.9 KiB in \d+ records at/)
  })

  test('what nobody has is status 3, and silence is status 4', async () => {
    expect(await xorbit(['get', 'ab'.repeat(32), ...to])).toMatchObject({ status: 3, stdout: '' })
    expect(await xorbit(['resolve', 'ab'.repeat(32), ...to])).toMatchObject({ status: 3, stdout: '' })
    const silent = await xorbit(['get', 'ab'.repeat(32), '-b', '127.0.0.1:1'])
    expect(silent).toMatchObject({ status: 4, stdout: '' })
    expect(silent.stderr).toMatch(/ERR_BOOTSTRAP_FAILED/)
    const unread = await xorbit(['put', '--timeout', '1', ...to], { stdin: [new Promise<never>(() => {})] })
    expect(unread).toMatchObject({ status: 4, stdout: '' })
    const late = await xorbit(['get', 'ab'.repeat(32), '-b', '192.0.2.1:1', '--timeout', '1', '--host', '127.0.0.1'])
    expect(late.status).toBe(4)
  })

  test('the bootstrap node is taken from the environment where it is not given', async () => {
    const [, address = ''] = to
    const env = { XORBIT_BOOTSTRAP: `127.0.0.1:1, ${address}` }
    expect(await xorbit(['put', '-t', 'env', '--host', '127.0.0.1'], { env })).toMatchObject({ status: 0 })
  })

  test('another network is not heard', async () => {
    expect(await xorbit(['put', '-t', 'x', '--network', 'other', ...to])).toMatchObject({ status: 4 })
  })

  test('a signal ends it with the status that shells know', async () => {
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const silent = start(['get', 'ab'.repeat(32), '-b', '127.0.0.1:1'])
      silent.signal(signal)
      expect(await silent.ended).toMatchObject({ status, stdout: '', stderr: '' })
      const waiting = start(['put', ...to], { stdin: [new Promise<never>(() => {})] })
      waiting.signal(signal)
      expect(await waiting.ended).toMatchObject({ status, stdout: '', stderr: '' })
    }
  })

  test('stays when it is asked to, until a signal', async () => {
    const run = start(['put', '-t', 'stay', '--stay', '--lifetime', '10m', ...to])
    await run.until(/staying/, 'stderr')
    run.signal('SIGINT')
    expect(await run.ended).toMatchObject({ status: 0, stdout: `${toHex(keyOf('stay'))}\n` })
  })
})

describe('publish and resolve', () => {
  test('a name that moves, with compare-and-swap', async () => {
    const keys = join(folder, 'me.json')
    const made = await xorbit(['keygen', '--output', keys])
    const publicKey = made.stdout.trim()
    expect(statSync(keys).mode & 0o777).toBe(0o600)
    const first = await xorbit(['publish', '-k', keys, '-t', 'one', ...to])
    expect(first).toMatchObject({ status: 0, stdout: `${publicKey}\n` })
    expect(first.stderr).toMatch(/^sequence number 1 at 2 nodes/)
    const second = await xorbit(['publish', '-k', keys, '--cas', '1', ...to], { stdin: ['two'] })
    expect(second.stderr).toMatch(/^sequence number 2 at/)
    const third = await xorbit(['publish', '-k', keys, '--cas', '1', '-t', 'three', ...to])
    expect(third).toMatchObject({ status: 5, stdout: '' })
    expect(third.stderr).toMatch(/ERR_CAS_MISMATCH/)
    expect(await xorbit(['publish', '-k', keys, '--seq', '1', '-t', 'old', ...to])).toMatchObject({ status: 5 })
    expect(await xorbit(['resolve', publicKey, ...to])).toMatchObject({ status: 0, stdout: 'two' })
    const told = JSON.parse((await xorbit(['resolve', publicKey, '--json', ...to])).stdout)
    expect(told).toMatchObject({ publicKey, bytes: 3, valueBase64: 'dHdv', seq: '2' })
    expect(await xorbit(['resolve', publicKey, '--salt', 'other', ...to])).toMatchObject({ status: 3 })
    const salted = await xorbit(['publish', '-k', keys, '--salt', 'other', '-t', 'salted', '--json', ...to])
    expect(JSON.parse(salted.stdout)).toMatchObject({ publicKey, seq: '1', bytes: 6 })
    expect(await xorbit(['resolve', publicKey, '--salt', 'other', ...to])).toMatchObject({ stdout: 'salted' })
  })

  test('a key file is never overwritten, and a wrong one is told', async () => {
    const path = join(folder, 'own.json')
    await xorbit(['keygen', '-o', path])
    const before = readFileSync(path, 'utf8')
    const again = await xorbit(['keygen', '-o', path])
    expect(again).toMatchObject({ status: 2, stdout: '' })
    expect(again.stderr).toMatch(/never overwritten/)
    expect(readFileSync(path, 'utf8')).toBe(before)
    const [a, b] = [JSON.parse(before), JSON.parse((await xorbit(['keygen'])).stdout)]
    const mixed = fileWith('mixed.json', JSON.stringify({ publicKey: a.publicKey, secretKey: b.secretKey }))
    for (const [file, says] of [
      [mixed, /don't belong together/],
      [fileWith('no.json', '{'), /is no key file/],
      [fileWith('null.json', 'null'), /is no key file/],
      [fileWith('big.json', ' '.repeat(5000)), /more than 4\.0 KiB/],
    ] as const) {
      const published = await xorbit(['publish', '-k', file, '-t', 'x', ...to])
      expect(published.status).toBe(2)
      expect(published.stderr).toMatch(says)
    }
  })

  test('keygen without a file prints one', async () => {
    const { stdout, status } = await xorbit(['keygen'])
    expect(status).toBe(0)
    const file = fileWith('printed.json', stdout)
    expect(await xorbit(['publish', '-k', file, '-t', 'x', ...to])).toMatchObject({
      status: 0,
      stdout: `${JSON.parse(stdout).publicKey}\n`,
    })
    expect(existsSync(file)).toBe(true)
  })
})
