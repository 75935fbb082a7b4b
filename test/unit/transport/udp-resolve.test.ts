import type { LookupAddress } from 'node:dns'
import { getEventListeners } from 'node:events'
import { beforeEach, expect, test, vi } from 'vitest'
import { udp } from '../../../src/transport/udp.js'

type Answer<T> = (error: Error | null, addresses?: T[]) => void

/** What was asked of DNS, of the resolver that asked it, and of the system. */
const asked: { hostname: string; kind: 4 | 6; answer: Answer<string>; resolver: object }[] = []
const askedOfSystem: { hostname: string; family: number; answer: Answer<LookupAddress> }[] = []
const cancelled: object[] = []

vi.mock('node:dns', () => ({
  Resolver: class {
    resolve4(hostname: string, answer: Answer<string>): void {
      asked.push({ hostname, kind: 4, answer, resolver: this })
    }
    resolve6(hostname: string, answer: Answer<string>): void {
      asked.push({ hostname, kind: 6, answer, resolver: this })
    }
    cancel(): void {
      cancelled.push(this)
      for (const { resolver, answer } of asked) if (resolver === this) answer(errorOf('ECANCELLED'))
    }
  },
  lookup: (hostname: string, { family }: { family: number }, answer: Answer<LookupAddress>) => {
    askedOfSystem.push({ hostname, family, answer })
  },
}))

beforeEach(() => {
  for (const list of [asked, askedOfSystem, cancelled]) list.length = 0
})

function errorOf(code: string): Error {
  return Object.assign(new Error(`query ${code}`), { code })
}

/** Resolves while DNS answers with these addresses: each query with those of its family, or all of them. */
async function resolveWith(name: string, addresses: string[], transport = udp(), toEach = false): Promise<string[]> {
  const found = transport.resolve(name)
  for (const { kind, answer } of asked) {
    const own = addresses.filter((address) => toEach || address.includes(':') === (kind === 6))
    if (own.length > 0) answer(null, own)
    else answer(errorOf('ENODATA'))
  }
  return found
}

/** Resolves while DNS fails with one code for IPv4 and one for IPv6; the system is left to answer. */
async function resolveWithout(
  codes: readonly [string, string],
  transport = udp(),
): Promise<{ found: Promise<string[]> }> {
  const found = transport.resolve('boot.example:7400')
  for (const { kind, answer } of asked) answer(errorOf(codes[kind === 4 ? 0 : 1]))
  await new Promise(setImmediate)
  return { found }
}

test('a name resolves to what DNS knows, each address once, in the one spelling', async () => {
  const answer = ['2001:DB8:0::1', '203.0.113.7', '::ffff:203.0.113.7', '2001:db8::1']
  expect(await resolveWith('boot.example:7400', answer)).toEqual(['203.0.113.7:7400', '[2001:db8::1]:7400'])
  expect(asked.map(({ hostname, kind }) => [hostname, kind])).toEqual([
    ['boot.example', 4],
    ['boot.example', 6],
  ])
  expect(askedOfSystem).toEqual([])
})

test('one family of a name is enough', async () => {
  expect(await resolveWith('boot.example:7400', ['203.0.113.7'])).toEqual(['203.0.113.7:7400'])
  asked.length = 0
  expect(await resolveWith('boot.example:7400', ['2001:db8::1'])).toEqual(['[2001:db8::1]:7400'])
  expect(askedOfSystem).toEqual([])
})

test('what DNS gives but nothing can be sent to is left out', async () => {
  expect(await resolveWith('blocked.example:7400', ['0.0.0.0', '::', '224.0.0.1', 'fe80::1'])).toEqual([])
})

test('only the families that are in use are asked for and given', async () => {
  const answer = ['2001:db8::1', '203.0.113.7']
  expect(await resolveWith('boot.example:1', answer, udp({ host: '127.0.0.1' }), true)).toEqual(['203.0.113.7:1'])
  expect(asked.map(({ kind }) => kind)).toEqual([4])
  asked.length = 0
  expect(await resolveWith('boot.example:1', answer, udp({ host: '::1' }), true)).toEqual(['[2001:db8::1]:1'])
  expect(asked.map(({ kind }) => kind)).toEqual([6])
})

test.each([
  ['ENOTFOUND', 'ENOTFOUND'],
  ['ENODATA', 'ENODATA'],
  ['ECONNREFUSED', 'ECONNREFUSED'],
  ['ESERVFAIL', 'EREFUSED'],
] as const)('what DNS does not know, %s and %s, the system is asked for', async (...codes) => {
  const { found } = await resolveWithout(codes)
  expect(askedOfSystem.map(({ hostname, family }) => [hostname, family])).toEqual([['boot.example', 0]])
  askedOfSystem[0]?.answer(
    null,
    ['2001:DB8:0::1', '203.0.113.7', '::ffff:203.0.113.7', '0.0.0.0'].map((address) => ({ address, family: 0 })),
  )
  expect(await found).toEqual(['[2001:db8::1]:7400', '203.0.113.7:7400'])
})

test('the system too is asked only for the families that are in use', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    await resolveWithout(['ENOTFOUND', 'ENOTFOUND'], udp({ host }))
    asked.length = 0
  }
  expect(askedOfSystem.map(({ family }) => family)).toEqual([4, 6])
})

test.each([
  ['ETIMEOUT', 'ETIMEOUT'],
  ['ETIMEOUT', 'ENOTFOUND'],
  ['ENODATA', 'ETIMEOUT'],
] as const)('when DNS is silent, %s and %s, the system is not asked, and it is counted once', async (...codes) => {
  const transport = udp()
  const { found } = await resolveWithout(codes, transport)
  expect(await found).toEqual([])
  expect(askedOfSystem).toEqual([])
  expect(transport.stats?.()).toMatchObject({ resolveErrorETIMEOUT: 1 })
})

test('a name that neither DNS nor the system knows resolves to nothing, and is counted', async () => {
  const transport = udp()
  const { found } = await resolveWithout(['ENODATA', 'ENODATA'], transport)
  askedOfSystem[0]?.answer(errorOf('ENOTFOUND'))
  expect(await found).toEqual([])
  expect(transport.stats?.()).toMatchObject({ resolveErrorENOTFOUND: 1 })
  expect(transport.stats?.()).not.toHaveProperty('resolveErrorENODATA')
})

test.each(['localhost', 'LOCALHOST', 'localhost.', 'node.localhost'])('%s resolves without DNS', async (name) => {
  expect(await udp().resolve(`${name}:7400`)).toEqual(['127.0.0.1:7400', '[::1]:7400'])
  expect(await udp({ host: '127.0.0.1' }).resolve(`${name}:7400`)).toEqual(['127.0.0.1:7400'])
  expect([...asked, ...askedOfSystem]).toEqual([])
})

test.each(['notlocalhost', 'localhost.example'])('%s is a name like any other', async (name) => {
  expect(await resolveWith(`${name}:7400`, ['203.0.113.7'])).toEqual(['203.0.113.7:7400'])
  expect(asked[0]?.hostname).toBe(name)
})

test('a literal address resolves without DNS', async () => {
  expect(await udp().resolve('203.0.113.7:7400')).toEqual(['203.0.113.7:7400'])
  expect(await udp().resolve('[2001:DB8::0:1]:7400')).toEqual(['[2001:db8::1]:7400'])
  expect(await udp().resolve('[::ffff:203.0.113.7]:7400')).toEqual(['203.0.113.7:7400'])
  expect(await udp({ host: '127.0.0.1' }).resolve('[2001:db8::1]:7400')).toEqual([])
  expect([...asked, ...askedOfSystem]).toEqual([])
})

test.each([
  '',
  'boot.example',
  'boot.example:',
  'boot.example:0',
  'boot.example:65536',
  'boot.example:x',
  ':7400',
  'boot example:7400',
  'udp://boot.example:7400',
  '[boot.example]:7400',
  '2001:db8::1:7400',
  '127.1:7400',
  '0.0.0.0:7400',
  '[ff02::1]:7400',
  7400,
  undefined,
])('%j is a TypeError, without DNS', async (name) => {
  await expect(udp().resolve(name as string)).rejects.toThrow(TypeError)
  expect([...asked, ...askedOfSystem]).toEqual([])
})

test('an abort rejects with its reason at once, cancels the queries, and no listener stays', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const transport = udp()
  const found = transport.resolve('slow.example:7400', { signal })
  const other = transport.resolve('other.example:7400')
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(found).rejects.toBe(reason)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  expect(cancelled).toEqual([asked[0]?.resolver])
  for (const { hostname, answer } of asked) if (hostname === 'other.example') answer(null, ['203.0.113.7'])
  expect(await other).toEqual(['203.0.113.7:7400'])
  expect(askedOfSystem).toEqual([])
})

test('an abort rejects at once while the system is asked', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const found = udp().resolve('slow.example:7400', { signal })
  for (const { answer } of asked) answer(errorOf('ENOTFOUND'))
  await vi.waitFor(() => expect(askedOfSystem).toHaveLength(1))
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(found).rejects.toBe(reason)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  askedOfSystem[0]?.answer(null, [{ address: '203.0.113.7', family: 4 }])
})

test('close ends what DNS or the system is asked for, with no addresses, and later names are not asked for', async () => {
  const transport = udp()
  const ofSystem = transport.resolve('slow.example:7400')
  for (const { answer } of asked) answer(errorOf('ENOTFOUND'))
  await vi.waitFor(() => expect(askedOfSystem).toHaveLength(1))
  const ofDns = transport.resolve('slow.example:7400')
  expect(asked).toHaveLength(4)
  await transport.close()
  expect(await Promise.all([ofSystem, ofDns])).toEqual([[], []])
  expect(cancelled).toContain(asked[3]?.resolver)
  expect(await transport.resolve('late.example:7400')).toEqual([])
  expect([asked.length, askedOfSystem.length]).toEqual([4, 1])
  expect(transport.stats?.()).toMatchObject({ resolveErrorECANCELLED: 3 })
})

test('an answer that comes together with close does not start another question', async () => {
  const transport = udp()
  const found = transport.resolve('boot.example:7400')
  for (const { answer } of asked) answer(errorOf('ENOTFOUND'))
  await transport.close()
  expect(await found).toEqual([])
  expect(askedOfSystem).toEqual([])
})

test('a resolve that ends leaves no listener', async () => {
  const { signal } = new AbortController()
  const found = udp().resolve('boot.example:7400', { signal })
  for (const { kind, answer } of asked) answer(null, kind === 4 ? ['203.0.113.7'] : [])
  expect(await found).toEqual(['203.0.113.7:7400'])
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('a signal that is aborted already rejects without DNS, for a literal too', async () => {
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await expect(udp().resolve('boot.example:7400', { signal })).rejects.toBe(reason)
  await expect(udp().resolve('203.0.113.7:7400', { signal })).rejects.toBe(reason)
  expect([...asked, ...askedOfSystem]).toEqual([])
})
