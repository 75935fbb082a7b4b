import { describe, expect, test } from 'vitest'
import type { Contact, NodeId } from '../../../src/keyspace/index.js'
import { mapKey, nearest, sharedPrefixBits } from '../../../src/keyspace/index.js'
import type { AnyLookup } from '../../../src/lookup/index.js'
import { DisjointLookup, Lookup, runLookup } from '../../../src/lookup/index.js'
import { SeededRandom } from '../../../src/testing/random.js'
import { askAll, contacts, distanceOf, id, OWN_DISTANCE } from './scenario.js'

const OPTIONS = { target: id(0), k: 3, alpha: 4, ownId: id(OWN_DISTANCE), takePerReplyMax: 6, fruitlessRepliesMax: 1 }

function disjoint(seeds: readonly number[], paths: number): DisjointLookup {
  return new DisjointLookup(OPTIONS, contacts(...seeds), paths)
}

describe('disjoint paths', () => {
  test('begin with seeds of their own, and share alpha', () => {
    const lookup = disjoint([10, 20, 30, 40, 50, 60], 2)
    const asked: number[] = []
    for (let next = lookup.next(); next !== undefined; next = lookup.next()) asked.push(distanceOf(next))
    // 10, 30 and 50 are the one path's, 20, 40 and 60 the other's; each asks two.
    expect(asked).toEqual([10, 20, 30, 40])
  })

  test('tell nobody else what their own nodes name, and ask nobody whom another one asked', () => {
    const lookup = disjoint([10, 20], 2)
    expect([lookup.next(), lookup.next()].map((contact) => contact && distanceOf(contact))).toEqual([10, 20])
    lookup.answered(id(10), contacts(5, 20))
    expect(distanceOf(lookup.next() as Contact)).toBe(5)
    expect(lookup.next()).toBeUndefined()
    lookup.answered(id(20), contacts(5, 10, 7))
    expect(distanceOf(lookup.next() as Contact)).toBe(7)
    lookup.answered(id(5), [])
    lookup.answered(id(7), [])
    expect(lookup.next()).toBeUndefined()
    expect(lookup.finished).toBe(true)
    expect(lookup.closest().map(distanceOf)).toEqual([5, 7, 10])
    expect(lookup.settled().map(distanceOf)).toEqual([5, 7, 10])
    expect(lookup.hops()).toBe(2)
    expect(lookup.hops(id(20))).toBe(1)
    expect(lookup.conclusive).toBe(true)
  })

  test('ask for no second page where nobody is silent, whomever another path has asked', () => {
    const lookup = disjoint([10, 20, 30, 40, 50, 60], 2)
    for (let next = lookup.next(); next !== undefined; next = lookup.next()) {
      lookup.answered(next.id, contacts(10, 20, 30, 40, 50, 60))
      expect(lookup.nextPage()).toBeUndefined()
    }
    expect(lookup.finished).toBe(true)
  })

  test('have nobody settled beyond one that still may answer nearer', () => {
    const lookup = disjoint([10, 20, 30, 40], 2)
    for (let next = lookup.next(); next !== undefined; next = lookup.next());
    // 10 and 30 are one path's, 20 and 40 the other's; 10 is silent, and k is 3.
    for (const distance of [20, 30, 40]) lookup.answered(id(distance), [])
    expect(lookup.settled().map(distanceOf)).toEqual([20, 30])
    lookup.slow(id(10))
    expect(lookup.settled().map(distanceOf)).toEqual([20, 30, 40])
  })

  test('give an address back that was asked under an invented id', () => {
    const lookup = disjoint([10, 20], 2)
    lookup.next()
    lookup.next()
    lookup.answered(id(10), [{ id: id(1), address: 'honest' }])
    expect(distanceOf(lookup.next() as Contact)).toBe(1)
    lookup.misnamed(id(1), { id: id(5), address: 'honest' })
    lookup.answered(id(20), [{ id: id(5), address: 'honest' }])
    expect(distanceOf(lookup.next() as Contact)).toBe(5)
    expect(lookup.next()).toBeUndefined()
  })

  test('with fewer seeds than paths are fewer', () => {
    const lookup = disjoint([10], 4)
    expect(distanceOf(lookup.next() as Contact)).toBe(10)
    lookup.failed(id(10))
    expect(lookup.next()).toBeUndefined()
    expect(lookup.finished).toBe(true)
    expect(lookup.closest()).toEqual([])
    expect(lookup.conclusive).toBe(false)
  })

  test('of which one is the lookup itself ask alike', () => {
    const seeds = [10, 20, 30, 40]
    const one = disjoint(seeds, 1)
    const asked: number[] = []
    for (let next = one.next(); next !== undefined; next = one.next()) asked.push(distanceOf(next))
    expect(asked).toEqual(askAll(new Lookup(OPTIONS, contacts(...seeds))))
  })
})

describe('among liars who name only each other, nearer than anybody honest', () => {
  const K = 8
  const NODES = 400
  const LIARS = 20
  const TARGETS = 60

  /** How often one of the k nearest honest nodes was asked: who of them has a record would have given it. */
  function found(paths: number): number {
    const random = new SeededRandom('disjoint')
    let successes = 0
    for (let round = 0; round < TARGETS; round++) {
      const nodes = Array.from({ length: NODES }, (_, i) => ({ id: random.bytes(32), address: `node:${i}` }))
      const liars = new Set(nodes.slice(0, LIARS).map(({ address }) => address))
      const target = random.bytes(32)
      const honest = nodes.filter(({ address }) => !liars.has(address))
      const holders = new Set(nearest(honest, target, K).map(({ address }) => address))
      const contactsOf = (own: NodeId) => tableOf(own, nodes)
      const [asker] = honest as [Contact]
      const options = { ...OPTIONS, target, k: K, ownId: asker.id, takePerReplyMax: 2 * K }
      const seeds = nearest(contactsOf(asker.id), target, K)
      const lookup: AnyLookup = paths > 1 ? new DisjointLookup(options, seeds, paths) : new Lookup(options, seeds)
      let invented = 0
      let isFound = false
      const queue: (() => void)[] = []
      runLookup(lookup, {
        now: () => 0,
        done: () => {},
        query(contact, events) {
          if (holders.has(contact.address)) isFound = true
          const isLiar = liars.has(contact.address) || contact.address.startsWith('sybil')
          queue.push(() => {
            if (!isLiar) return events.answered(nearest(contactsOf(contact.id), target, K))
            events.answered(
              Array.from({ length: K }, () => {
                const near = Uint8Array.from(target)
                near.set(random.bytes(16), 16)
                return { id: near, address: `sybil:${invented++}` }
              }),
            )
          })
          return () => {}
        },
        queryPage: (_, events) => {
          queue.push(() => events.answered([]))
          return () => {}
        },
      })
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) next()
      if (isFound) successes++
    }
    return successes / TARGETS
  }

  /** A full routing table: of each bucket the first K. */
  function tableOf(own: NodeId, nodes: readonly Contact[]): Contact[] {
    const counts = new Map<number, number>()
    return nodes.filter(({ id: other }) => {
      const bucket = sharedPrefixBits(own, other)
      const count = counts.get(bucket) ?? 0
      counts.set(bucket, count + 1)
      return count < K && mapKey(own) !== mapKey(other)
    })
  }

  test('four disjoint paths reach an honest holder where one path is misled', () => {
    const [one, four] = [found(1), found(4)]
    expect(one).toBeLessThan(0.5)
    expect(four).toBeGreaterThan(2 * one)
  })
})
