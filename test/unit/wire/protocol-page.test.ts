import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { DhtErrorCode } from '../../../src/errors.js'
import { resolveOptions } from '../../../src/options.js'
import {
  LARGE_VALUE_BYTES_MAX,
  PEER_DATA_BYTES_MAX,
  SALT_BYTES_MAX,
  VALUE_BYTES_MAX,
} from '../../../src/records/index.js'
import { Simulator } from '../../../src/testing/index.js'
import * as wire from '../../../src/wire/index.js'

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

/** The rows of the one table of the page that begins with these headings. */
function table(...headings: string[]): string[][] {
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  const lines = page.split('\n')
  const starts = lines.flatMap((line, i) => (line === `| ${headings.join(' | ')} |` ? [i] : []))
  expect(starts, headings.join()).toHaveLength(1)
  const rows = lines.slice((starts[0] as number) + 2)
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map(cells)
}

describe('docs/protocol.md', () => {
  test('names the methods by their numbers', () => {
    const named = table('number', 'method', 'params', 'result').filter(([, , params]) => params !== 'reserved')
    const methods = Object.entries(wire).flatMap(([name, value]) =>
      typeof value === 'object' && 'readParams' in value ? [[String(value.code), name]] : [],
    )
    expect(methods.length).toBeGreaterThan(3)
    expect(named.map(([number, name]) => [number, name])).toEqual(methods.sort())
  })

  test('tells how many params and results each method has', () => {
    const bytes = new Uint8Array(32)
    const counts: Readonly<Record<string, [number, number]>> = {
      PING: [wire.PING.writeParams({}).length, wire.PING.writeResult({}).length],
      FIND_NODE: [
        wire.FIND_NODE.writeParams({ target: bytes, skip: 0 }).length,
        wire.FIND_NODE.writeResult({ contacts: bytes }).length,
      ],
      FIND_VALUE: [
        wire.FIND_VALUE.writeParams({ key: bytes, kind: 0, want: 0, minSeq: 0n, cursor: bytes }).flat().length,
        wire.FIND_VALUE.writeResult({
          ...{ token: bytes, heldSeq: 0n, records: [], contacts: bytes, leftOut: 0 },
          ...{ recordsLeft: 0, ttlsSeconds: [] },
        }).length,
      ],
      STORE: [
        wire.STORE.writeParams({
          ...{ key: bytes, kind: 0, token: bytes, record: bytes, ttlSeconds: 0 },
          ...{ cas: 0n, isCached: true },
        }).length,
        wire.STORE.writeResult({ ttlSeconds: 0 }).length,
      ],
      TOKENS: [
        wire.TOKENS.writeParams({ kind: 0, keys: [bytes] }).length,
        wire.TOKENS.writeResult({ tokens: [] }).length,
      ],
    }
    const count = (list = ''): number => (list === 'none' ? 0 : list.split(',').length)
    const told = table('number', 'method', 'params', 'result').filter(([, , params]) => params !== 'reserved')
    expect(Object.fromEntries(told.map(([, name, params, result]) => [name, [count(params), count(result)]]))).toEqual(
      counts,
    )
  })

  test('names the errors by their numbers, and all of them', () => {
    const rows = table('number', 'code', 'when').map(([number, code]) => [Number(number), code])
    const known = Array.from({ length: 65_536 }, (_, number) => [number, wire.errorCode(number)] as const)
    expect(rows).toEqual(known.filter(([number, code]) => number === 5 || code !== 'ERR_REMOTE'))
    for (const [number, code] of rows) expect(wire.errorNumber(code as DhtErrorCode)).toBe(number)
  })

  test('tells the limits as they are', () => {
    expect(table('what', 'limit').map(([, limit]) => Number(limit))).toEqual([
      wire.DATAGRAM_BYTES_MAX,
      wire.TID_BYTES_MAX,
      wire.NETWORK_BYTES,
      wire.PADDED_REQUEST_BYTES,
      wire.PADDED_VALUE_REQUEST_BYTES,
      wire.REFLECTION_FACTOR,
      wire.ADDRESS_BYTES_MAX,
      wire.TOKEN_BYTES_MAX,
      wire.RECORD_BYTES_MAX,
      wire.TOKENS_KEYS_MAX,
      VALUE_BYTES_MAX,
      LARGE_VALUE_BYTES_MAX,
      SALT_BYTES_MAX,
      PEER_DATA_BYTES_MAX,
      wire.METHOD_NAME_BYTES_MAX,
      wire.PAYLOAD_BYTES_MAX,
      wire.ERROR_TEXT_MAX,
      wire.SECONDS_MAX,
    ])
  })

  test('tells the defaults as they are', () => {
    const options = resolveOptions({ transport: new Simulator({ seed: 1 }).host().transport })
    const { format } = new Intl.NumberFormat('en')
    expect(page).toContain(`**k** is ${options.k}:`)
    expect(page).toContain(`The name is \`${options.network}\` where the user gives none`)
    expect(page).toContain(`its tag is \`${Buffer.from(wire.networkTag(options.network)).toString('hex')}\``)
    expect(page).toContain(`asks for ${format(options.valueLifetimeMs / 1000)} seconds`)
    expect(page).toContain(`grant ${format(options.valueLifetimeMaxMs / 1000)} seconds`)
    expect(page).toContain(`at most ${format(options.valueLifetimeMaxMs / 1000)} (48 hours)`)
    expect(page).toContain(`after ${options.resendMinMs} to ${format(options.resendMaxMs)} ms`)
    expect(page).toContain(`gives up ${format(options.requestTimeoutMs)} ms after the first`)
    expect(page).toContain(
      `serves ${options.requestsPerSecondMax} requests a second from one host, ${options.requestsBurstMax} at once`,
    )
    expect(page).toContain(`secret changes every ${options.tokenLifetimeMs / 60_000} minutes`)
    expect(page).toContain(`if that is more than ${options.verifiedWithinMs / 60_000} minutes`)
    expect(page).toContain(`keeps ${options.alpha} requests in flight`)
  })

  test('shows bytes of the vectors', () => {
    const { messages } = JSON.parse(readFileSync(new URL('../../vectors/messages.json', import.meta.url), 'utf8')) as {
      messages: { name: string; bytes: string }[]
    }
    const shown = [...page.matchAll(/^```hex\n([0-9a-f]+)\n```$/gm)].map(([, bytes]) => bytes)
    const names = ['ping request', 'ping response', 'store request']
    expect(shown).toEqual(names.map((name) => messages.find((message) => message.name === name)?.bytes))
    expect(page).toContain(Buffer.from(wire.networkTag('xorbit')).toString('hex'))
  })

  test('links only to headings that it has', () => {
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      (heading as string)
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replace(/ /g, '-'),
    )
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, link]) => link)
    expect(links.length).toBeGreaterThan(10)
    expect(links.filter((link) => !anchors.includes(link as string))).toEqual([])
  })
})
