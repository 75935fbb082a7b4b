import { describe, expect, test } from 'vitest'
import { compareDistance } from '../../../src/keyspace/index.js'
import { contactAt, createTable, idAt, OWN_ID } from './table-fixture.js'

describe('who enters', () => {
  test('a contact that answered enters, once', () => {
    const { table, clock, added } = createTable()
    const contact = contactAt(0, 1)
    expect(table.answered(contact)).toBe('added')
    clock.nowMs += 500
    expect(table.answered(contact)).toBe('updated')
    expect(table.size).toBe(1)
    expect(added).toHaveLength(1)
    expect(table.get(contact.id)).toMatchObject({ ...contact, lastSeenMs: 1_500, failures: 0 })
  })

  test('our own id never enters, and whoever had its address leaves', () => {
    const { table } = createTable()
    table.answered(contactAt(0, 1, '7.1'))
    expect(table.hasPlaceFor({ id: OWN_ID, address: '7.1' })).toBe(false)
    expect(table.answered({ id: new Uint8Array(OWN_ID), address: '7.1' })).toBe('refused')
    expect(table.size).toBe(0)
  })

  test('an id that is a view into a datagram is copied', () => {
    const { table } = createTable()
    const datagram = new Uint8Array(100)
    datagram.set(idAt(0, 9), 10)
    table.answered({ id: datagram.subarray(10, 42), address: '1.1' })
    datagram.fill(0)
    expect(table.entries()[0]?.id).toEqual(idAt(0, 9))
    expect(table.entries()[0]?.id.buffer.byteLength).toBe(32)
    expect(table.get(idAt(0, 9))).toBeDefined()
  })

  test('a change to the id that the table was made with changes nothing', () => {
    const ownId = new Uint8Array(OWN_ID)
    const { table } = createTable({ ownId })
    ownId.fill(0)
    expect(table.bucketIndex(OWN_ID)).toBe(256)
  })

  test('a full bucket lets the newcomer wait and evicts nobody', () => {
    const { table, removed } = createTable()
    for (let n = 0; n < 3; n++) table.answered(contactAt(0, n))
    expect(table.hasPlaceFor(contactAt(0, 3))).toBe(false)
    expect(table.answered(contactAt(0, 3))).toBe('waiting')
    expect(table.get(idAt(0, 3))).toBeUndefined()
    expect(table.size).toBe(3)
    expect(removed).toEqual([])
  })

  test('an unsplit leaf that is full has place for whoever a split would make place for', () => {
    const { table } = createTable()
    table.answered(contactAt(5, 0))
    table.answered(contactAt(5, 1))
    table.answered(contactAt(9, 0))
    expect(table.hasPlaceFor(contactAt(5, 2))).toBe(true)
    expect(table.answered(contactAt(5, 2))).toBe('added')
    expect(table.hasPlaceFor(contactAt(5, 3))).toBe(false)
    expect(table.answered(contactAt(5, 3))).toBe('waiting')
    expect(table.answered(contactAt(9, 1))).toBe('added')
  })

  test('the deepest region holds the one id that differs in the last bit', () => {
    const { table } = createTable({ k: 1 })
    for (const bits of [255, 254, 253]) expect(table.answered(contactAt(bits, 0))).toBe('added')
    expect(table.size).toBe(3)
  })

  test('with no replacements allowed, a full bucket refuses', () => {
    const { table } = createTable({ replacementsMax: 0 })
    for (let n = 0; n < 3; n++) table.answered(contactAt(0, n))
    expect(table.answered(contactAt(0, 3))).toBe('refused')
    table.remove(idAt(0, 0))
    expect(table.size).toBe(2)
  })
})

describe('addresses', () => {
  test('another id at an address puts the old one out', () => {
    const { table, added, removed } = createTable()
    table.answered(contactAt(0, 1, '7.1'))
    expect(table.answered(contactAt(3, 1, '7.1'))).toBe('added')
    expect(table.entries().map(({ id }) => id)).toEqual([idAt(3, 1)])
    expect([added.length, removed.length]).toEqual([2, 1])
  })

  test('another id at an address in the same full bucket takes the place of the old one', () => {
    const { table } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n, `${n + 1}.1`))
    expect(table.hasPlaceFor(contactAt(0, 9, '1.1'))).toBe(true)
    expect(table.answered(contactAt(0, 9, '1.1'))).toBe('added')
    expect(table.get(idAt(0, 0))).toBeUndefined()
    expect(table.get(idAt(0, 3))).toBeUndefined()
  })

  test('the bucket of an entry put out by another id gets its replacement', () => {
    const { table } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n, `${n + 1}.1`))
    table.answered(contactAt(2, 0, '1.1'))
    expect(table.get(idAt(0, 3))).toBeDefined()
    expect(table.size).toBe(4)
  })

  test('an entry moves to the address it answered from, and is not reported', () => {
    const { table, clock, added, removed } = createTable()
    table.answered(contactAt(0, 1, '7.1'))
    const before = table.get(idAt(0, 1))
    clock.nowMs += 100
    expect(table.answered(contactAt(0, 1, '8.1'))).toBe('updated')
    expect(table.get(idAt(0, 1))).toMatchObject({ address: '8.1', lastSeenMs: 1_100 })
    expect(before?.address).toBe('7.1')
    expect([added.length, removed.length]).toEqual([1, 0])
    // The old address is free again.
    expect(table.answered(contactAt(0, 2, '7.1'))).toBe('added')
    expect(table.size).toBe(2)
  })

  test('an entry moves to an address whose entry leaves', () => {
    const { table } = createTable()
    table.answered(contactAt(0, 1, '7.1'))
    table.answered(contactAt(0, 2, '8.1'))
    expect(table.answered(contactAt(0, 1, '8.1'))).toBe('updated')
    expect(table.entries()).toMatchObject([contactAt(0, 1, '8.1')])
  })

  test('a move frees its place in the old network and takes one in the new', () => {
    const { table } = createTable()
    table.answered(contactAt(0, 0, '7.1'))
    table.answered(contactAt(0, 1, '7.2'))
    expect(table.answered(contactAt(0, 1, '8.2'))).toBe('updated')
    expect(table.hasPlaceFor(contactAt(0, 2, '7.3'))).toBe(true)
    table.answered(contactAt(0, 0, '8.1'))
    expect(table.hasPlaceFor(contactAt(0, 2, '8.3'))).toBe(false)
  })

  test('a contact that waits leaves when another id answers at its address', () => {
    const { table } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n, `${n + 1}.1`))
    table.answered(contactAt(1, 0, '4.1'))
    table.remove(idAt(0, 0))
    expect(table.get(idAt(0, 3))).toBeUndefined()
    expect(table.size).toBe(3)
  })

  test('a contact that waits leaves when a known entry moves to its address', () => {
    const { table } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n, `${n + 1}.1`))
    table.answered(contactAt(0, 0, '4.1'))
    table.remove(idAt(0, 1))
    expect(table.size).toBe(2)
  })
})

describe('failures', () => {
  test('an entry leaves at the failuresMax-th failure in a row, not before', () => {
    const { table, removed } = createTable()
    const contact = contactAt(0, 1)
    table.answered(contact)
    table.failed(contact.id)
    expect(table.get(contact.id)?.failures).toBe(1)
    table.answered(contact)
    table.failed(contact.id)
    expect(table.size).toBe(1)
    table.failed(contact.id)
    expect(table.size).toBe(0)
    expect(removed).toMatchObject([contact])
  })

  test('a call that failed at another address counts for nothing', () => {
    const { table } = createTable({ failuresMax: 1 })
    table.answered(contactAt(0, 1, '7.1'))
    table.failed(idAt(0, 1), '8.1')
    table.remove(idAt(0, 1), '8.1')
    expect(table.get(idAt(0, 1))?.failures).toBe(0)
    table.failed(idAt(0, 1), '7.1')
    expect(table.size).toBe(0)
  })

  test('a failed call does not count as having been seen', () => {
    const { table, clock } = createTable()
    for (let n = 0; n < 3; n++) {
      clock.nowMs++
      table.answered(contactAt(0, n))
    }
    clock.nowMs++
    table.failed(idAt(0, 0))
    expect(table.leastRecentlySeen(idAt(0, 9))?.id).toEqual(idAt(0, 0))
  })

  test('the freshest replacement moves in, with the ages it has', () => {
    const { table, clock, added } = createTable()
    for (let n = 0; n < 5; n++) {
      clock.nowMs++
      table.answered(contactAt(0, n))
    }
    clock.nowMs++
    expect(table.answered(contactAt(0, 3))).toBe('waiting')
    clock.nowMs += 1_000
    table.remove(idAt(0, 0))
    expect(table.get(idAt(0, 3))).toMatchObject({ lastSeenMs: 1_006 })
    expect(added.at(-1)?.id).toEqual(idAt(0, 3))
  })

  test('a contact that waits leaves at its first failed call', () => {
    const { table } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n))
    table.failed(idAt(0, 3), '9.9')
    table.failed(idAt(0, 3))
    table.remove(idAt(0, 0))
    expect(table.size).toBe(2)
  })

  test('replacements are bounded: the stalest goes first', () => {
    const { table } = createTable()
    for (let n = 0; n < 6; n++) table.answered(contactAt(0, n))
    for (let n = 0; n < 3; n++) table.remove(idAt(0, n))
    expect(table.entries().map(({ id }) => id)).toEqual([idAt(0, 5), idAt(0, 4)])
  })

  test('removing an unknown id does nothing', () => {
    const { table, removed } = createTable()
    table.answered(contactAt(0, 0))
    table.remove(idAt(0, 1))
    table.failed(idAt(4, 1))
    table.remove(OWN_ID)
    expect(table.size).toBe(1)
    expect(removed).toEqual([])
  })
})

describe('diversity', () => {
  test('a bucket takes groupPerBucketMax of one network', () => {
    const { table } = createTable()
    expect([1, 2, 3].map((n) => table.answered(contactAt(0, n, `7.${n}`)))).toEqual(['added', 'added', 'refused'])
    expect(table.answered(contactAt(1, 3, '7.3'))).toBe('added')
  })

  test('a table takes groupPerTableMax of one network', () => {
    const { table } = createTable()
    const outcomes = [0, 1, 2, 3, 4].map((bits) => table.answered(contactAt(bits, 0, `7.${bits}`)))
    expect(outcomes).toEqual(['added', 'added', 'added', 'added', 'refused'])
    table.remove(idAt(2))
    expect(table.answered(contactAt(4, 0, '7.4'))).toBe('added')
  })

  test('the limits do not apply to other scopes', () => {
    const { table } = createTable({ k: 20 })
    for (let n = 0; n < 20; n++) expect(table.answered(contactAt(0, n, `0.${n}`))).toBe('added')
  })

  test('a network that is full in its bucket may not wait either', () => {
    const { table } = createTable()
    table.answered(contactAt(0, 0, '7.1'))
    table.answered(contactAt(0, 1, '7.2'))
    table.answered(contactAt(0, 2, '8.1'))
    expect(table.answered(contactAt(0, 3, '7.3'))).toBe('refused')
    table.remove(idAt(0, 0))
    expect(table.size).toBe(2)
  })

  test('a replacement that the limits no longer allow is passed over', () => {
    const { table } = createTable()
    for (let n = 0; n < 3; n++) table.answered(contactAt(0, n, `${n + 1}.1`))
    table.answered(contactAt(0, 3, '4.1'))
    table.answered(contactAt(0, 4, '7.5'))
    for (let bits = 1; bits <= 4; bits++) table.answered(contactAt(bits, 0, `7.${bits}`))
    table.remove(idAt(0, 0))
    expect(table.get(idAt(0, 4))).toBeUndefined()
    expect(table.get(idAt(0, 3))).toBeDefined()
  })

  test('an entry does not move into a network that is full', () => {
    const { table } = createTable()
    table.answered(contactAt(0, 0, '7.1'))
    table.answered(contactAt(0, 1, '7.2'))
    table.answered(contactAt(0, 2, '8.1'))
    expect(table.answered(contactAt(0, 2, '7.3'))).toBe('refused')
    expect(table.get(idAt(0, 2))?.address).toBe('8.1')
    expect(table.answered(contactAt(0, 1, '7.3'))).toBe('updated')
  })
})

describe('asking', () => {
  test('nearest is exact where ids differ in the last bit only', () => {
    const { table } = createTable({ k: 20 })
    for (const n of [3, 0, 2, 1]) table.answered(contactAt(0, n))
    const target = idAt(0, 2)
    expect(table.nearest(target, 3).map(({ id }) => id)).toEqual([idAt(0, 2), idAt(0, 3), idAt(0, 0)])
  })

  test('nearest passes over what is not accepted and still fills the count', () => {
    const { table } = createTable({ k: 20 })
    for (let n = 0; n < 10; n++) table.answered(contactAt(n % 4, n))
    const found = table.nearest(OWN_ID, 3, ({ id }) => table.bucketIndex(id) < 3)
    expect(found).toHaveLength(3)
    expect(found.map(({ id }) => table.bucketIndex(id))).toEqual([2, 2, 1])
    expect(compareDistance(OWN_ID, found[0]?.id as Uint8Array, found[1]?.id as Uint8Array)).toBeLessThan(0)
    expect(table.nearest(OWN_ID, 0)).toEqual([])
  })

  test('the least recently seen is that of the bucket, by its last answer', () => {
    const { table, clock } = createTable()
    for (const [bits, n] of [
      [2, 0],
      [0, 0],
      [0, 1],
      [0, 2],
      [0, 3],
    ] as const) {
      clock.nowMs++
      table.answered(contactAt(bits, n))
    }
    expect(table.leastRecentlySeen(idAt(0, 7))?.id).toEqual(idAt(0, 0))
    clock.nowMs++
    for (const n of [0, 2]) table.answered(contactAt(0, n))
    expect(table.leastRecentlySeen(idAt(0, 7))?.id).toEqual(idAt(0, 1))
    // What waited moves in as k-bucket's most recent, and answered longer ago than the others.
    table.remove(idAt(0, 1))
    expect(table.leastRecentlySeen(idAt(0, 7))?.id).toEqual(idAt(0, 3))
    expect(table.leastRecentlySeen(idAt(1, 7))).toBeUndefined()
    expect(table.leastRecentlySeen(OWN_ID)).toBeUndefined()
  })

  test('among answers of one millisecond the order of the answers decides', () => {
    const { table } = createTable()
    for (const n of [0, 1, 2, 0]) table.answered(contactAt(0, n))
    expect(table.leastRecentlySeen(idAt(0, 7))?.id).toEqual(idAt(0, 1))
  })

  test('clear reports every entry and forgets who waited', () => {
    const { table, removed } = createTable()
    for (let n = 0; n < 4; n++) table.answered(contactAt(0, n))
    table.markLookedUp(idAt(0))
    table.clear()
    expect(table.size).toBe(0)
    expect(removed).toHaveLength(3)
    expect(table.staleRegions(1_000)).toEqual([0])
    table.answered(contactAt(0, 0))
    table.remove(idAt(0, 0))
    expect(table.size).toBe(0)
  })
})

describe('stale regions', () => {
  test('an empty table has one region, the whole key space', () => {
    const { table, clock } = createTable()
    expect(table.staleRegions(60)).toEqual([0])
    table.markLookedUp(idAt(9))
    expect(table.staleRegions(60)).toEqual([])
    clock.nowMs += 59
    expect(table.staleRegions(60)).toEqual([])
    clock.nowMs += 1
    expect(table.staleRegions(60)).toEqual([0])
  })

  test('they end where at most k/2 entries lie', () => {
    const { table } = createTable({ k: 4 })
    for (const bits of [0, 1, 3, 3, 3]) table.answered(contactAt(bits, table.size))
    expect(table.staleRegions(60)).toEqual([0, 1, 2, 3, 4])
    table.remove(table.nearest(OWN_ID, 1)[0]?.id as Uint8Array)
    expect(table.staleRegions(60)).toEqual([0, 1, 2])
  })

  test('a single id chosen near ours adds none', () => {
    const { table } = createTable({ k: 4 })
    table.answered(contactAt(200, 0))
    table.answered(contactAt(201, 0))
    expect(table.staleRegions(60)).toEqual([0])
  })

  test('a lookup makes its own region fresh, and one of our own id all of the deepest', () => {
    const { table } = createTable({ k: 4 })
    for (const bits of [3, 3, 3]) table.answered(contactAt(bits, table.size))
    table.markLookedUp(idAt(1))
    expect(table.staleRegions(60)).toEqual([0, 2, 3, 4])
    table.markLookedUp(OWN_ID)
    expect(table.staleRegions(60)).toEqual([0, 2, 3])
  })

  test('even k = 1 has a deepest region', () => {
    const { table } = createTable({ k: 1 })
    table.answered(contactAt(255, 0))
    expect(table.staleRegions(60)).toHaveLength(256)
    table.markLookedUp(OWN_ID)
    expect(table.staleRegions(60)).toHaveLength(255)
  })
})

describe('how many nodes are nearer to a key than we are', () => {
  test('is 0 for our own id, and where nobody of its bucket is known', () => {
    const { table } = createTable()
    expect(table.countNearer(OWN_ID)).toBe(0)
    expect(table.countNearer(idAt(3, 9))).toBe(0)
    table.answered(contactAt(2, 0))
    table.answered(contactAt(4, 0))
    expect(table.countNearer(idAt(3, 9))).toBe(0)
  })

  test('is the number of entries of its bucket, until that is full', () => {
    const { table } = createTable()
    for (const known of [1, 2, 3]) {
      table.answered(contactAt(5, known))
      expect(table.countNearer(idAt(5, 200))).toBe(known)
    }
    table.remove(idAt(5, 1))
    expect(table.countNearer(idAt(5, 200))).toBe(2)
  })

  test('of a full bucket doubles with each bucket up to the deepest full one', () => {
    const { table } = createTable({ groupPerTableMax: 100 })
    const fill = (bucket: number, count = 3): void => {
      for (let n = 0; n < count; n++) table.answered(contactAt(bucket, n))
    }
    fill(0)
    expect(table.countNearer(idAt(0, 200))).toBe(3)
    fill(1)
    fill(2)
    fill(3, 2)
    expect([0, 1, 2, 3].map((bucket) => table.countNearer(idAt(bucket, 200)))).toEqual([12, 6, 3, 2])
    // One that is not full between full ones does not matter: those beyond it tell how many nodes there are.
    fill(6)
    expect([0, 2, 3, 6].map((bucket) => table.countNearer(idAt(bucket, 200)))).toEqual([192, 48, 2, 3])
  })

  test('has an end, though ids were chosen next to ours', () => {
    const { table } = createTable({ groupPerTableMax: 1_000 })
    for (const bucket of [0, 250]) for (let n = 0; n < 3; n++) table.answered(contactAt(bucket, n))
    expect(table.countNearer(idAt(0, 200))).toBe(3 * 2 ** 40)
  })
})
