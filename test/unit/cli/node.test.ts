import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack, unpack } from 'msgpackr'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { JournalFile } from '../../../src/cli/journal-file.js'
import { formatMetrics, METRIC_NAMES } from '../../../src/cli/metrics.js'
import type { DhtStats } from '../../../src/index.js'
import { createDht, fromHex, keyOf, toHex } from '../../../src/index.js'
import { udp } from '../../../src/transport/udp.js'
import { network, node, start, xorbit } from './xorbit.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-node-'))
afterAll(() => rmSync(folder, { recursive: true }))

const KEY = 'ab'.repeat(32)

/** What a terminal would obey. */
const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\r\nanother line\u009b31m\u202e\u2028'

describe('node', () => {
  test('says where it listens and that it has joined, and ends well with a signal', async () => {
    const first = await node()
    const second = await node('-b', first.address)
    await second.until(/^joined, 1 contact$/m)
    for (const [run, signal] of [
      [first, 'SIGTERM'],
      [second, 'SIGINT'],
    ] as const) {
      run.signal(signal)
      const { status, stderr } = await run.ended
      expect(status).toBe(0)
      expect(stderr).toMatch(new RegExp(`^id [0-9a-f]{64}\\n${signal}: leaving\\n$`))
    }
  })

  test('stays when nobody answers, and says so', async () => {
    const run = await node('-b', '127.0.0.1:1')
    await run.until(/^nobody answered yet; trying on$/m, 'stderr')
    run.signal('SIGTERM')
    expect(await run.ended).toMatchObject({ status: 0 })
  })

  test('may be stopped while it still joins', async () => {
    const run = await node('-b', '127.0.0.1:1')
    run.signal('SIGTERM')
    expect(await run.ended).toMatchObject({ status: 0 })
  })

  test('tells its events as JSON, a line each', async () => {
    const first = await node()
    const run = start(['node', '--port', '0', '--host', '127.0.0.1', '-b', first.address, '--json', '--stats', '0'])
    await run.until(/"joined"/)
    run.signal('SIGTERM')
    const { stdout } = await run.ended
    const [listening, joined] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(listening).toMatchObject({ event: 'listening', address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
    expect(fromHex(listening.id)).toHaveLength(32)
    expect(joined).toMatchObject({ event: 'joined', contacts: 1 })
  })

  test('a taken port is told with what to do', async () => {
    const first = await node()
    const port = first.address.split(':')[1] as string
    const second = await xorbit(['node', '--host', '127.0.0.1', '--port', port])
    expect(second).toMatchObject({ status: 1, stdout: '' })
    expect(second.stderr).toContain(`--port 0 --bootstrap 127.0.0.1:${port}`)
  })

  test('tells its numbers now and then', async () => {
    const run = await node('--stats', '0.05')
    await run.until(/^\S+ {2}0 contacts {2}0 records {2}0 B \(0 % full\) {2}0 requests .* MiB memory$/m, 'stderr')
  })

  test('with a data folder it is the same one again, with contacts and records', async () => {
    const other = await node()
    const path = join(folder, 'data')
    const before = await node('--data-folder', path, '-b', other.address)
    const [, id = ''] = await before.until(/^id ([0-9a-f]{64})$/m, 'stderr')
    await before.until(/^joined/m)
    const to = ['-b', before.address, '--host', '127.0.0.1']
    const { stdout: key } = await xorbit(['put', '-t', 'kept', ...to])

    const refused = await xorbit(['node', '--port', '0', '--host', '127.0.0.1', '--data-folder', path])
    expect(refused).toMatchObject({ status: 1, stdout: '' })
    expect(refused.stderr).toMatch(/ERR_STORE_FAILED/)

    before.signal('SIGTERM')
    await before.ended
    // Without any bootstrap address.
    const after = await node('--data-folder', path)
    await after.until(/^joined, 1 contact$/m)
    await after.until(new RegExp(`^id ${id}$`, 'm'), 'stderr')
    await after.until(/: 1 record$/m, 'stderr')
    other.signal('SIGTERM')
    await other.ended
    const found = await xorbit(['get', key.trim(), '-b', after.address, '--host', '127.0.0.1'])
    expect(found).toMatchObject({ status: 0, stdout: 'kept' })
  })

  test('damage in the folder is told, and the node goes on with the rest', async () => {
    const path = join(folder, 'damaged')
    const other = await node()
    const before = await node('--data-folder', path, '-b', other.address)
    await before.until(/^joined/m)
    for (const value of ['one', 'two', 'three'])
      await xorbit(['put', '-t', value, '-b', before.address, '--host', '127.0.0.1'])
    before.signal('SIGTERM')
    await before.ended
    const journal = join(path, 'journal')
    const bytes = readFileSync(journal)
    // The first batch is behind the head of the file, which has two copies.
    bytes.writeUInt8(bytes.readUInt8(8_192 + 600) ^ 1, 8_192 + 600)
    writeFileSync(journal, bytes)
    const after = await node('--data-folder', path)
    await after.until(/ is damaged: \d records? lost.*; going on with the rest$/m, 'stderr')
  })

  test('a disk that can not be written is told, and when it can again', async () => {
    const path = join(folder, 'failing')
    const run = await node('--data-folder', path, '--metrics', '0')
    const [, url = ''] = await run.until(/metrics at (http:\S+)\/metrics$/m, 'stderr')
    // The store's own: as after a full disk.
    const reason = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    const spy = vi.spyOn(JournalFile.prototype, 'append').mockRejectedValue(reason)
    onTestFinished(() => spy.mockRestore())
    const other = await node('-b', run.address)
    await xorbit(['put', '-t', 'refused', '-b', other.address, '--host', '127.0.0.1'])
    await run.until(/^records are refused until the disk is right again: .*no space left/m, 'stderr')
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^xorbit_store_failed 1$/m)
    expect((await fetch(`${url}/healthz`)).status).toBe(503)
  })

  test('a folder that can not be used is told', async () => {
    const run = await xorbit(['node', '--port', '0', '--data-folder', '/dev/null/data'])
    expect(run).toMatchObject({ status: 1, stdout: '' })
    expect(run.stderr).toMatch(/data folder can not be used/)
  })
})

describe('metrics', () => {
  async function served(...argv: string[]): Promise<string> {
    const run = await node('--metrics', '0', ...argv)
    const [, url = ''] = await run.until(/metrics at (http:\/\/127\.0\.0\.1:\d+)\/metrics$/m, 'stderr')
    return url
  }

  test('are served for Prometheus', async () => {
    const answer = await fetch(`${await served()}/metrics`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await answer.text()
    expect(text).toMatch(/^xorbit_info\{version="\d+\.\d+\.\d+",id="[0-9a-f]{64}",network="xorbit"\} 1$/m)
    expect(text).toMatch(/^xorbit_joined 1$/m)
    expect(text).toMatch(/^xorbit_dropped_total\{reason="rate_limited"\} 0$/m)
    // Each name has its lines once, and each line is one that Prometheus reads.
    const names = [...text.matchAll(/^# TYPE (\S+) (?:gauge|counter)$/gm)].map(([, name]) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const line of text.trim().split('\n')) {
      expect(line).toMatch(
        /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? -?[\d.e+-]+)$/,
      )
    }
  })

  test('tell of everything that a node counts', async () => {
    const dht = createDht({ transport: udp({ host: '127.0.0.1' }) })
    await dht.start()
    const { dropped: _, storage: __, transport: ___, ...plain } = dht.stats()
    await dht.close()
    expect([...METRIC_NAMES].sort()).toEqual(Object.keys(plain).sort())
  })

  test('escape what stands in labels', () => {
    const stats = { dropped: {}, storage: { records: 0, bytes: 0, fill: 0 }, transport: {} } as unknown as DhtStats
    const process = { residentBytes: 1, heapBytes: 1, cpuSeconds: 1, startedAtSeconds: 1 }
    const text = formatMetrics({ stats, isStoreFailed: false, process, info: { network: 'a"b\\c\nd' } })
    expect(text).toContain('xorbit_info{network="a\\"b\\\\c\\nd"} 1')
  })

  test('tell whether all is well', async () => {
    const well = await fetch(`${await served()}/healthz`)
    expect([well.status, await well.json()]).toEqual([200, { isJoined: true, contacts: 0, records: 0 }])
    const alone = await fetch(`${await served('-b', '127.0.0.1:1')}/healthz`)
    expect([alone.status, await alone.json()]).toEqual([503, { isJoined: false, contacts: 0, records: 0 }])
  })

  test('answer who asks while others only hold connections', async () => {
    const url = new URL(await served())
    const sockets = Array.from({ length: 70 }, () => connect(Number(url.port), url.hostname).on('error', () => {}))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    await Promise.all(sockets.slice(0, 60).map((socket) => once(socket, 'connect')))
    // Silent ones are dropped after some seconds; a test of Node's own clock would take half a minute.
    const answered = async (): Promise<number> => (await fetch(`${url.href}healthz`)).status
    await expect.poll(() => answered().catch(() => 0), { timeout: 15_000, interval: 500 }).toBe(200)
  }, 20_000)

  test('refuse everything else', async () => {
    const url = await served()
    expect((await fetch(`${url}/`)).status).toBe(404)
    expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405)
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('a taken port ends it before it joins', async () => {
    const taken = new URL(await served()).port
    const run = await xorbit(['node', '--port', '0', '--host', '127.0.0.1', '--metrics', taken])
    expect(run).toMatchObject({ status: 1, stdout: '' })
    expect(run.stderr).toMatch(/--metrics can't listen/)
  })
})

describe('announce and locate', () => {
  test('a peer is found until it is withdrawn', async () => {
    const to = await network()
    expect(await xorbit(['locate', 'room', ...to])).toMatchObject({ status: 3, stdout: '' })
    const data = `alice \u001b[31m\u009b31m\u202e\u2028${'x'.repeat(100)}`
    const run = start(['announce', 'room', '--port', '8080', '--data', data, ...to])
    const [publicKey] = await run.until(/^[0-9a-f]{64}$/m)
    const line = `127.0.0.1:8080  ${publicKey}  "alice \\u001b[31m\\u009b31m\\u202e\\u2028${'x'.repeat(100)}"\n`
    expect(await xorbit(['locate', 'room', ...to])).toMatchObject({ status: 0, stdout: line, stderr: '1 peer\n' })
    const { stdout } = await xorbit(['locate', toHex(keyOf('room')), '--json', '--limit', '1', ...to])
    const peer = { publicKey, address: '127.0.0.1:8080', host: '127.0.0.1', port: 8080 }
    expect(JSON.parse(stdout)).toEqual({ ...peer, data: toHex(new TextEncoder().encode(data)) })
    run.signal('SIGINT')
    const { status, stderr } = await run.ended
    expect(status).toBe(0)
    expect(stderr).toMatch(/withdrawn from 2 nodes\n$/)
    expect(await xorbit(['locate', 'room', ...to])).toMatchObject({ status: 3 })
  })

  test('ends by itself after the time that was asked for', async () => {
    const to = await network()
    const { status, stdout } = await xorbit(['announce', 'room', '--for', '1', '--json', ...to])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ topic: toHex(keyOf('room')), refused: [] })
  })
})

describe('find-node', () => {
  test('shows each hop, and the nearest', async () => {
    const to = await network()
    const { status, stdout } = await xorbit(['find-node', KEY, ...to])
    expect(status).toBe(0)
    const [head, ...rows] = stdout.split('\n')
    expect(head).toMatch(/^hop {2}contact +address +shared bits {2}round trip {2}brought$/)
    expect(
      rows.filter((row) => /^ {2}1 {2}[0-9a-f]{12} {2}127\.0\.0\.1:\d+ +\d+ +[\d.]+ ms {2}(?:nobody|\d) new/.test(row)),
    ).toHaveLength(2)
    expect(rows.filter((row) => /^[0-9a-f]{64} {2}127\.0\.0\.1:\d+ +\d+$/.test(row))).toHaveLength(2)
  })

  test('for machines', async () => {
    const to = await network()
    const told = JSON.parse((await xorbit(['find-node', 'hello', '--json', ...to])).stdout)
    expect(told).toMatchObject({ target: toHex(keyOf('hello')), hops: 1 })
    expect(told.closest).toHaveLength(2)
    for (const step of told.steps) {
      expect(step).toMatchObject({ hop: 1, outcome: 'answered', sharedBits: expect.any(Number) })
    }
  })
})

describe('ping', () => {
  test('tells who answers, each time', async () => {
    const { address } = await node()
    const line = `${address} {2}[0-9a-f]{64} {2}[\\d.]+ ms\n`
    const once = await xorbit(['ping', address, '--host', '127.0.0.1'])
    expect(once).toMatchObject({ status: 0, stdout: expect.stringMatching(`^${line}$`), stderr: '' })
    const often = await xorbit(['ping', address, '-c', '3', '-i', '0', '--host', '127.0.0.1'])
    expect(often.stdout).toMatch(new RegExp(`^(?:${line}){3}$`))
    expect(often.stderr).toMatch(/^3 of 3 answered: /)
  })

  test('what a peer answers reaches a terminal without what that obeys, and is no reason to stop', async () => {
    const socket = createSocket('udp4')
    onTestFinished(() => {
      socket.close()
    })
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    socket.on('message', (datagram, { port }) => {
      const [, , tid, tag] = unpack(datagram)
      const observed = Uint8Array.of(4, 127, 0, 0, 1, port >> 8, port & 255)
      socket.send(pack([1, 2, tid, tag, 0, new Uint8Array(32).fill(7), observed, [5, HOSTILE]]), port, '127.0.0.1')
    })
    const address = `127.0.0.1:${socket.address().port}`
    const run = await xorbit(['ping', address, '--host', '127.0.0.1', '-c', '2', '-i', '0'])
    expect(run.status).toBe(1)
    expect(run.stdout.split('\n')).toHaveLength(3)
    expect(`${run.stdout}${run.stderr}`.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    const json = await xorbit(['ping', address, '--host', '127.0.0.1', '--json'])
    expect(JSON.parse(json.stdout).error.code).toMatch(/^ERR_/)
  })

  test('silence is told, and is status 4', async () => {
    const silent = await xorbit(['ping', '127.0.0.1:1', '--host', '127.0.0.1'])
    expect(silent).toMatchObject({ status: 4, stdout: '127.0.0.1:1  no answer\n' })
    const json = await xorbit(['ping', '127.0.0.1:1', '--json', '--host', '127.0.0.1'])
    expect(JSON.parse(json.stdout)).toMatchObject({ address: '127.0.0.1:1', error: { code: 'ERR_TIMEOUT' } })
  })
})
