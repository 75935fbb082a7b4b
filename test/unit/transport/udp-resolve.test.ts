import type { LookupAddress } from 'node:dns'
import { getEventListeners } from 'node:events'
import { beforeEach, expect, test, vi } from 'vitest'
import { udp } from '../../../src/transport/udp.js'

type Answer = (error: Error | null, addresses?: LookupAddress[]) => void

const asked: { hostname: string; family: number; answer: Answer }[] = []

vi.mock('node:dns', () => ({
  lookup: (hostname: string, { family }: { family: number }, answer: Answer) => {
    asked.push({ hostname, family, answer })
  },
}))

beforeEach(() => {
  asked.length = 0
})

/** Resolves while DNS answers with these addresses. */
async function resolveWith(name: string, addresses: string[], transport = udp()): Promise<string[]> {
  const found = transport.resolve(name)
  asked[0]?.answer(
    null,
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  )
  return found
}

test('a name resolves to what DNS knows, each address once, in the one spelling', async () => {
  const answer = ['2001:DB8:0::1', '203.0.113.7', '::ffff:203.0.113.7', '2001:db8::1']
  expect(await resolveWith('boot.example:7400', answer)).toEqual(['[2001:db8::1]:7400', '203.0.113.7:7400'])
  expect(asked.map(({ hostname, family }) => [hostname, family])).toEqual([['boot.example', 0]])
})

test('what DNS gives but nothing can be sent to is left out', async () => {
  expect(await resolveWith('blocked.example:7400', ['0.0.0.0', '::', '224.0.0.1', 'fe80::1'])).toEqual([])
})

test('only the families that are in use are asked for and given', async () => {
  const answer = ['2001:db8::1', '203.0.113.7']
  expect(await resolveWith('boot.example:1', answer, udp({ host: '127.0.0.1' }))).toEqual(['203.0.113.7:1'])
  expect(asked[0]?.family).toBe(4)
  asked.length = 0
  expect(await resolveWith('boot.example:1', answer, udp({ host: '::1' }))).toEqual(['[2001:db8::1]:1'])
  expect(asked[0]?.family).toBe(6)
})

test('a name that DNS does not know resolves to nothing, and is counted', async () => {
  const transport = udp()
  const found = transport.resolve('nowhere.example:7400')
  asked[0]?.answer(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }))
  expect(await found).toEqual([])
  expect(transport.stats?.()).toMatchObject({ resolveErrorENOTFOUND: 1 })
})

test('a literal address resolves without DNS', async () => {
  expect(await udp().resolve('203.0.113.7:7400')).toEqual(['203.0.113.7:7400'])
  expect(await udp().resolve('[2001:DB8::0:1]:7400')).toEqual(['[2001:db8::1]:7400'])
  expect(await udp().resolve('[::ffff:203.0.113.7]:7400')).toEqual(['203.0.113.7:7400'])
  expect(await udp({ host: '127.0.0.1' }).resolve('[2001:db8::1]:7400')).toEqual([])
  expect(asked).toEqual([])
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
  expect(asked).toEqual([])
})

test('an abort rejects with its reason at once, and no listener stays', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const found = udp().resolve('slow.example:7400', { signal })
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(found).rejects.toBe(reason)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  asked[0]?.answer(null, [{ address: '203.0.113.7', family: 4 }])
})

test('a resolve that ends leaves no listener', async () => {
  const { signal } = new AbortController()
  const found = udp().resolve('boot.example:7400', { signal })
  asked[0]?.answer(null, [{ address: '203.0.113.7', family: 4 }])
  expect(await found).toEqual(['203.0.113.7:7400'])
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('a signal that is aborted already rejects without DNS, for a literal too', async () => {
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await expect(udp().resolve('boot.example:7400', { signal })).rejects.toBe(reason)
  await expect(udp().resolve('203.0.113.7:7400', { signal })).rejects.toBe(reason)
  expect(asked).toEqual([])
})
