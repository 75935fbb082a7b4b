import { describe, expect, test } from 'vitest'
import type { DhtEvents } from '../../../src/index.js'
import { DhtError, toHex } from '../../../src/index.js'
import type { Member } from './network.js'
import { failure, grow, kill, newcomer, simulate } from './network.js'

const EVENTS: (keyof DhtEvents)[] = [
  'joined',
  'bootstrapFailed',
  'contactAdded',
  'contactRemoved',
  'republishFailed',
  'handlerFailed',
  'closed',
]

/** Everything that a node tells from now on. */
function watch({ dht }: Member): { name: keyof DhtEvents; value: unknown }[] {
  const seen: { name: keyof DhtEvents; value: unknown }[] = []
  for (const name of EVENTS) dht.on(name, (value) => seen.push({ name, value }))
  return seen
}

describe('a node tells', () => {
  test('joined, with what it found, and contactAdded for each contact that it has', async () => {
    await simulate('joined', async (simulator) => {
      const members = await grow(simulator, 5)
      const late = newcomer(simulator, { bootstrap: [members[0]!.host.address] })
      const seen = watch(late)
      const { contacts, elapsedMs } = await late.dht.start()
      expect(seen.filter(({ name }) => name === 'joined')).toEqual([{ name: 'joined', value: { contacts, elapsedMs } }])
      const added = seen.filter(({ name }) => name === 'contactAdded').map(({ value }) => value)
      expect(new Set(added)).toEqual(new Set(late.dht.contacts()))
      expect(added).toHaveLength(5)
      expect(seen).toHaveLength(6)
    })
  })

  test('contactRemoved when a dead contact leaves the table', async () => {
    await simulate('removed', async (simulator) => {
      const [member, dead, living] = (await grow(simulator, 4)) as [Member, Member, Member]
      const seen = watch(member)
      const contact = { id: dead.dht.id, address: dead.host.address }
      kill([dead])
      for (let i = 0; i < 3; i++) {
        await member.dht.ping(living.host.address)
        await failure(member.dht.ping(contact), 'ERR_TIMEOUT').catch(() => undefined)
      }
      await simulator.delay(10_000)
      expect(seen).toEqual([{ name: 'contactRemoved', value: contact }])
      expect(member.dht.contacts().map(({ id }) => toHex(id))).not.toContain(toHex(contact.id))
    })
  })

  test('bootstrapFailed at each attempt that fails, with the error that start rejects with', async () => {
    await simulate('failed', async (simulator) => {
      const member = newcomer(simulator, { bootstrap: [simulator.host().address] })
      const seen = watch(member)
      const error = await failure(member.dht.start(), 'ERR_BOOTSTRAP_FAILED')
      expect(seen).toEqual([{ name: 'bootstrapFailed', value: error }])
      await simulator.delay(30_000)
      expect(seen.length).toBeGreaterThan(2)
      for (const { value } of seen) expect(value).toBeInstanceOf(DhtError)
    })
  })

  test('closed once, after which nothing more is told', async () => {
    await simulate('closed', async (simulator) => {
      const [member, ...others] = (await grow(simulator, 4)) as [Member, ...Member[]]
      const seen = watch(member)
      await member.dht.close()
      expect(seen).toEqual([{ name: 'closed', value: undefined }])
      await member.dht.close()
      for (const { dht } of others) await failure(dht.ping(member.host.address), 'ERR_TIMEOUT')
      expect(seen).toHaveLength(1)
    })
  })
})

test('the un-subscriber ends its own subscription only, and may be called twice', async () => {
  await simulate('off', async (simulator) => {
    const [{ dht }] = (await grow(simulator, 1)) as [Member]
    const seen: string[] = []
    const listener = (): void => {
      seen.push('called')
    }
    const off = dht.on('closed', listener)
    dht.on('closed', listener)
    dht.on('closed', () => seen.push('other'))
    off()
    off()
    await dht.close()
    expect(seen).toEqual(['called', 'other'])
  })
})
