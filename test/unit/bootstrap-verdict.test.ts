import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, typeErrors } from './examples/programs.js'

// Plain JavaScript of the bench, without types of its own.
const { verdictOf } = (await import(new URL('../../bench/bootstrap/verdict.js', import.meta.url).href)) as {
  verdictOf: (wanted: object, rows: object[], first: object, last: object) => { lines: string[] }
}

interface Traffic {
  readonly requests: number
  readonly replies: number
  readonly refusals: number
  readonly replyContacts: number[]
}

/** What all processes tell at one moment, of a run in which so much went wrong. */
function sampleOf(traffic: Partial<Traffic>, clients: Record<string, unknown> = {}, rateLimited = 0): object {
  const none = { requests: 0, replies: 0, refusals: 0, replyContacts: [] }
  const counts = { calls: 0, answered: 0, refused: 0, timeouts: 0, cancelled: 0, resends: 0, late: 0, pending: 0 }
  return {
    node: { metrics: new Map([['xorbit_dropped_total{reason="rate_limited"}', rateLimited]]) },
    ordinary: none,
    prober: { ...counts, traffic: none },
    clients: { ...counts, operations: {}, failures: {}, replaced: 0, traffic: { ...none, ...traffic }, ...clients },
  }
}

test.each([
  ['all is well', {}, 'passed'],
  ['as little is lost as is allowed', { replies: 99_990 }, 'passed'],
  ['replies stay away, and resends bring others', { replies: 99_989 }, 'FAILED, 11 datagrams lost that nobody names'],
  ['the node names what it refused', { replies: 99_000, rateLimited: 1_000 }, 'passed'],
  ['it told some of it', { replies: 99_500, refusals: 500, rateLimited: 1_000 }, 'passed'],
  ['it names more than was lost', { rateLimited: 1_000 }, 'FAILED, -1000 datagrams lost that nobody names'],
  ['too little is sent in one minute', { sent: 94 }, 'FAILED, only 94 requests a second sent'],
  ['something fails', { failures: { ERR_TIMEOUT: 1 } }, 'FAILED, operations failed'],
  ['something waits still', { pending: 1 }, 'FAILED, still pending: 1'],
  ['memory grows', { rssMiB: 10 }, 'FAILED, memory grows'],
])('judges a run in which %s', (_, wrong, expected) => {
  const {
    replies = 100_000,
    refusals = 0,
    rateLimited = 0,
    sent = 100,
    failures = {},
    pending = 0,
    rssMiB = 0,
  }: Record<string, unknown> = { ...wrong }
  const rows = [1, 2, 3, 4].map((minute) => ({
    minute,
    sentPerSecond: minute === 3 ? sent : 100,
    rssMiB: 100 + minute * Number(rssMiB),
    heapMiB: 20,
  }))
  const traffic = { requests: 100_000, replies: Number(replies), refusals: Number(refusals) }
  const last = sampleOf(traffic, { failures, pending }, Number(rateLimited))
  const wanted = { minutes: 4, rate: 100, limited: false }
  expect(verdictOf(wanted, rows, sampleOf({}), last).lines.at(-1)).toBe(`verdict: ${expected}`)
})

test('its programs are type-checked as strictly as the sources', () => {
  const parts = readdirSync(join(ROOT, 'bench', 'bootstrap')).map((name) => `bench/bootstrap/${name}`)
  const paths = ['bench/bootstrap.js', ...parts]
  const files = Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]))
  expect(typeErrors(files)).toEqual([])
})
