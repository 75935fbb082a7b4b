import { expect, test } from 'vitest'
import type { Contact, NodeId } from '../../../src/keyspace/index.js'
import { nearest } from '../../../src/keyspace/index.js'
import { Coverage } from '../../../src/node/coverage.js'

/** An id of the given first bytes, then zeros. */
function id(...first: number[]): NodeId {
  const bytes = new Uint8Array(32)
  bytes.set(first)
  return bytes
}

function contact(first: number, address = `at-${first}`): Contact {
  return { id: id(first), address }
}

/** The first bytes of what is nearest to the key. */
function nearestTo(coverage: Coverage, key: number): (number | undefined)[] {
  return coverage.nearest(id(key)).map((found) => found.id[0])
}

test('without a lookup nothing is known, and the key itself is missing', () => {
  const coverage = new Coverage(2)
  expect(coverage.nearest(id(0x40))).toEqual([])
  expect(coverage.missing(id(0x40))).toEqual(id(0x40))
})

test('a key that was looked up is not missing', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10), contact(0x20)])
  expect(coverage.missing(id(0x00))).toBeUndefined()
  expect(nearestTo(coverage, 0x00)).toEqual([0x10, 0x20])
})

test('what shares one bit more than the k-th nearest is complete', () => {
  const coverage = new Coverage(2)
  // 0001.... shares three bits with the point, so 0000.... is complete.
  coverage.add(id(0x00), [contact(0x01), contact(0x10)])
  coverage.add(id(0x04), [contact(0x01), contact(0x04)])
  expect(coverage.missing(id(0x07))).toBeUndefined()
  // The other half is not: who is nearest to 0001.... may not have been found.
  expect(coverage.missing(id(0x1c))).toEqual(id(0x1c))
  expect(coverage.missing(id(0x60))).toEqual(id(0x60))
})

test('where the part of the key is complete, the point nearest to the key in the unknown part is missing', () => {
  const coverage = new Coverage(2)
  const key = id(0x08, 0xff)
  coverage.add(id(0x00), [contact(0x10), contact(0x20)])
  expect(coverage.missing(key)).toEqual(id(0x28, 0xff))
  coverage.add(id(0x28, 0xff), [contact(0x20), contact(0x30)])
  // 0010.... is complete now and 0011.... is not, but there everybody is farther than 0x20.
  expect(coverage.missing(key)).toBeUndefined()
  expect(coverage.missing(id(0x1f, 0xff))).toEqual(id(0x3f, 0xff))
  coverage.add(id(0x3f, 0xff), [contact(0x30), contact(0x20)])
  expect(coverage.missing(id(0x1f, 0xff))).toBeUndefined()
})

test('where the nearest unknown point is the k-th nearest contact itself, nothing is missing', () => {
  const coverage = new Coverage(1)
  coverage.add(id(0x00), [contact(0x41)])
  expect(coverage.missing(id(0x01))).toBeUndefined()
  expect(coverage.missing(id(0x02))).toEqual(id(0x42))
})

test('two complete halves are a complete whole', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10), contact(0x40)])
  // 00...... is complete, 0....... becomes it with 01......
  coverage.add(id(0x60), [contact(0x40), contact(0x10)])
  for (const key of [0x01, 0x3f, 0x41, 0x7f]) expect(coverage.missing(id(key))).toBeUndefined()
  expect(coverage.missing(id(0x80))).toEqual(id(0x80))
})

test('fewer than k contacts are the whole network', () => {
  const coverage = new Coverage(3)
  coverage.add(id(0x00), [contact(0x10), contact(0xf0)])
  for (const key of [0x00, 0x7f, 0x80, 0xff]) expect(coverage.missing(id(key))).toBeUndefined()
  expect(nearestTo(coverage, 0xff)).toEqual([0xf0, 0x10])
})

test('a lookup that found nobody shows that there is nobody', () => {
  const coverage = new Coverage(3)
  coverage.add(id(0x00), [])
  expect(coverage.missing(id(0x80))).toBeUndefined()
  expect(coverage.nearest(id(0x80))).toEqual([])
})

test('fewer than k contacts are not the whole network when k are known', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10), contact(0x20)])
  coverage.add(id(0x80), [contact(0x90)])
  expect(coverage.missing(id(0x80))).toBeUndefined()
  expect(coverage.missing(id(0x81))).toEqual(id(0x81))
  expect(coverage.missing(id(0xf0))).toEqual(id(0xf0))
  expect(coverage.missing(id(0x60))).toEqual(id(0x60))
})

test('a lookup that fell short is not repeated for another key: that key is looked up itself', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10), contact(0x20)])
  expect(coverage.missing(id(0x08))).toEqual(id(0x28))
  coverage.add(id(0x28), [contact(0x20)])
  expect(coverage.missing(id(0x08))).toEqual(id(0x08))
  coverage.add(id(0x08), [contact(0x10)])
  expect(coverage.missing(id(0x08))).toBeUndefined()
})

test('what a later lookup finds disproves that the network is smaller than k', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10)])
  expect(coverage.missing(id(0x80))).toBeUndefined()
  coverage.add(id(0x01), [contact(0x10), contact(0x20)])
  expect(coverage.missing(id(0x80))).toEqual(id(0x80))
})

test('a lookup that passed over known contacts shows less', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x01), contact(0x02)])
  // 0x10 and 0x20 alone would show 000..... to be complete; 0x01 and 0x02 are nearer.
  coverage.add(id(0x03), [contact(0x10), contact(0x20)])
  expect(coverage.missing(id(0x08))).toEqual(id(0x08))
})

test('a contact is kept once, and the later address counts', () => {
  const coverage = new Coverage(2)
  coverage.add(id(0x00), [contact(0x10), contact(0x20)])
  coverage.add(id(0x30), [contact(0x20, 'moved'), contact(0x10)])
  expect(coverage.nearest(id(0x30))).toEqual([contact(0x20, 'moved'), contact(0x10)])
})

test('the nearest come from both sides of the key, nearest first', () => {
  const coverage = new Coverage(4)
  const all = [0x7f, 0x01, 0xff, 0x80, 0x3f, 0x40, 0xc0, 0x81].map((first) => contact(first))
  coverage.add(id(0x00), all)
  for (let key = 0; key < 256; key++) expect(coverage.nearest(id(key))).toEqual(nearest(all, id(key), 4))
})

test('a point that is returned is a new array', () => {
  const coverage = new Coverage(1)
  const key = id(0x40)
  const point = coverage.missing(key) as NodeId
  point[0] = 0xff
  expect(key).toEqual(id(0x40))
})

test('a part of one id is complete too', () => {
  const coverage = new Coverage(1)
  const ending = (last: number) => id(0x40).fill(last, 31)
  coverage.add(ending(0), [contact(0x40)])
  expect(coverage.missing(ending(1))).toEqual(ending(1))
  coverage.add(ending(1), [contact(0x40)])
  coverage.add(ending(2), [contact(0x40)])
  expect(coverage.missing(ending(3))).toBeUndefined()
})

test('k nodes that differ in their last bits only do not cost a lookup for each of the others', () => {
  const k = 4
  const crowd = [0, 1, 2, 3].map((last) => ({ id: id(0x40).fill(last, 31), address: `at-${last}` }))
  const coverage = new Coverage(k)
  const everybody = [...crowd, contact(0x00), contact(0x80), contact(0xc0)]
  let lookups = 0
  for (const key of [id(0x50), id(0x51), id(0x60)]) {
    for (let point = coverage.missing(key); point !== undefined; point = coverage.missing(key)) {
      lookups++
      coverage.add(point, nearest(everybody, point, k))
    }
    expect(coverage.nearest(key)).toEqual(nearest(everybody, key, k))
  }
  expect(lookups).toBeLessThan(30)
})
