import { describe, expect, test } from 'vitest'
import type { Contact } from '../../../src/index.js'
import { idInRegion } from '../../../src/keyspace/index.js'
import { inOrderOfUse, KnownContacts } from '../../../src/node/known-contacts.js'
import { Simulator } from '../../../src/testing/index.js'

const host = new Simulator({ seed: 'known contacts' }).host()
const { randomBytes, transport } = host
const id = randomBytes(32)

/** A contact whose id shares so many leading bits with ours. */
function contact(sharedBits: number, address: string): Contact {
  return { id: idInRegion(id, sharedBits, randomBytes(32)), address }
}

function knownOf(contacts: readonly Contact[], ownAddress?: string): KnownContacts {
  return new KnownContacts({ id, contacts, transport, limitedScopes: ['public'], ownAddress: () => ownAddress })
}

function addresses(known: KnownContacts): string[] {
  return known.kept().map(({ address }) => address)
}

describe('the order in which contacts of an earlier run are asked', () => {
  test('alternates between the nearest and one of each region, the farthest first', () => {
    const bits = [9, 0, 3, 0, 7, 3, 8]
    const contacts = bits.map((sharedBits, i) => contact(sharedBits, `41.0.${i}.1:7400`))
    const ordered = inOrderOfUse(id, contacts, () => undefined)
    const regionOf = ({ address }: Contact): number => bits[Number(address.split('.')[2])] as number
    expect(ordered.map(regionOf)).toEqual([9, 0, 8, 3, 7, 3, 0])
    expect(new Set(ordered).size).toBe(7)
  })

  test('has the third of a network and those after it come last', () => {
    // Ids of their choice: nearest to us, and in every region.
    const forged = Array.from({ length: 30 }, (_, i) => contact(i, `41.6.6.${i}:7400`))
    const honest = [contact(0, '41.7.0.1:7400'), contact(0, '41.8.0.1:7400'), contact(1, '41.8.0.2:7400')]
    const order = addresses(knownOf([...forged, ...honest]))
    expect(order.slice(0, 5).filter((address) => address.startsWith('41.6.6.'))).toHaveLength(2)
    expect(order.slice(5).every((address) => address.startsWith('41.6.6.'))).toBe(true)
  })

  test('is that of any number of contacts of private networks, which limits do not apply to', () => {
    const near = Array.from({ length: 5 }, (_, i) => contact(20 + i, `10.6.6.${i}:7400`))
    const order = addresses(knownOf([...near, contact(0, '41.7.0.1:7400')]))
    expect(order.indexOf('41.7.0.1:7400')).toBe(1)
    expect(order).toHaveLength(6)
  })
})

describe('contacts of an earlier run', () => {
  test('are left out where they are ourselves, come twice, or have an address that nothing can be sent to', () => {
    const good = contact(3, '41.7.0.1:7400')
    const contacts = [
      contact(1, '41.7.0.9:7400'),
      { id, address: '41.7.0.2:7400' },
      good,
      { id: good.id, address: '41.7.0.3:7400' },
      { id: randomBytes(32), address: good.address },
      contact(1, '224.0.0.1:7400'),
      contact(1, 'nowhere'),
    ]
    expect(knownOf(contacts, '41.7.0.9:7400').kept()).toEqual([good])
  })

  test('have one spelling of an address', () => {
    const known = knownOf([contact(1, '[2a00:0:0:0:0:0:0:1]:7400'), contact(2, '[2a00::1]:7400')])
    expect(addresses(known)).toEqual(['[2a00::1]:7400'])
  })

  test('come in turn, each attempt going on where the one before ended, and the first ones again after a join', () => {
    const known = knownOf(Array.from({ length: 5 }, (_, i) => contact(i, `41.${i}.0.1:7400`)))
    const all = addresses(known)
    expect([...known.next(3), ...known.next(3)]).toEqual([...all, all[0]])
    expect(known.next(9)).toHaveLength(5)
    known.rewind()
    expect(known.next(2)).toEqual(all.slice(0, 2))
    known.settle(all[0] as string)
    expect(known.size).toBe(4)
    expect(known.next(9)).not.toContain(all[0])
  })
})

describe('those that left the table', () => {
  test('are remembered, the latest 64 of them, the latest first', () => {
    const known = knownOf([])
    expect([known.size, known.next(9)]).toEqual([0, []])
    for (let i = 0; i < 100; i++) known.left(`41.0.${i}.1:7400`)
    known.left('41.0.90.1:7400')
    expect(known.size).toBe(64)
    expect(known.next(2)).toEqual(['41.0.90.1:7400', '41.0.99.1:7400'])
    expect(known.former().at(-1)).toBe('41.0.36.1:7400')
  })

  test('are forgotten when they enter it again', () => {
    const known = knownOf([])
    known.left('41.0.1.1:7400')
    known.entered('41.0.1.1:7400')
    expect(known.size).toBe(0)
  })
})
