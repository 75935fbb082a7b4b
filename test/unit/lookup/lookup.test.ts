import { describe, expect, test } from 'vitest'
import { toHex } from '../../../src/keyspace/index.js'
import { askAll, closestOf, contact, contacts, id, lookupOf, OWN_DISTANCE } from './scenario.js'

describe('whom a lookup asks', () => {
  test('the nearest come first, alpha at a time', () => {
    const lookup = lookupOf([50, 20, 40, 30])
    expect(askAll(lookup)).toEqual([20, 30])
  })

  test('an answer frees its slot at once, without waiting for the rest of a round', () => {
    const lookup = lookupOf([20, 30, 40])
    askAll(lookup)
    lookup.answered(id(30), contacts(10))
    expect(askAll(lookup)).toEqual([10])
  })

  test('only the k nearest alive are asked', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50], { alpha: 9 })
    expect(askAll(lookup)).toEqual([10, 20, 30])
  })

  test('one that failed makes room for the next', () => {
    const lookup = lookupOf([10, 20, 30, 40], { alpha: 9 })
    askAll(lookup)
    lookup.failed(id(10))
    expect(askAll(lookup)).toEqual([40])
  })

  test('one that is slow makes room for the next', () => {
    const lookup = lookupOf([10, 20, 30, 40], { alpha: 9 })
    askAll(lookup)
    lookup.slow(id(10))
    expect(askAll(lookup)).toEqual([40])
  })

  test('one that is slow frees its slot', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 1 })
    expect(askAll(lookup)).toEqual([10])
    lookup.slow(id(10))
    expect(askAll(lookup)).toEqual([20])
  })

  test('one contact is never asked twice, whoever names it and whatever became of it', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 9 })
    askAll(lookup)
    lookup.failed(id(10))
    lookup.answered(id(20), [...contacts(10, 20, 30), contact(10, 'elsewhere')])
    expect(askAll(lookup)).toEqual([])
  })

  test('a thousand ids at one address cost it one query', () => {
    const lookup = lookupOf([5_000], { alpha: 9, k: 20, takePerReplyMax: 2_000 })
    askAll(lookup)
    const poison = Array.from({ length: 1_000 }, (_, i) => contact(2_000 - i, 'victim'))
    lookup.answered(id(5_000), poison)
    expect(askAll(lookup)).toEqual([1_001])
    lookup.answered(id(1_001), [contact(1, 'victim')])
    expect(askAll(lookup)).toEqual([])
    expect(lookup.finished).toBe(true)
  })

  test('an unasked id leaves its address to a nearer one, and takes it from none', () => {
    const lookup = lookupOf([10, 90], { alpha: 1 })
    askAll(lookup)
    lookup.answered(id(10), [contact(40, 'address:90'), contact(70, 'address:90')])
    expect(askAll(lookup)).toEqual([40])
    lookup.failed(id(40))
    expect(askAll(lookup)).toEqual([])
  })

  test('the node itself is never asked', () => {
    const lookup = lookupOf([10, OWN_DISTANCE], { alpha: 9 })
    expect(askAll(lookup)).toEqual([10])
    lookup.answered(id(10), contacts(OWN_DISTANCE))
    expect(askAll(lookup)).toEqual([])
    expect(lookup.nearestKnown).toBe(1)
  })

  test('of one reply no more than takePerReplyMax contacts are considered, duplicates included', () => {
    const lookup = lookupOf([100], { alpha: 9, k: 9, takePerReplyMax: 3 })
    askAll(lookup)
    lookup.answered(id(100), contacts(50, 50, 40, 30))
    expect(askAll(lookup)).toEqual([40, 50])
  })

  test('of the unasked the nearest candidatesMax are remembered', () => {
    const lookup = lookupOf([90, 80, 70, 60], { alpha: 1, k: 9, candidatesMax: 2 })
    expect(askAll(lookup)).toEqual([60])
    lookup.answered(id(60), contacts(50, 65, 95))
    expect(askAll(lookup)).toEqual([50])
    lookup.answered(id(50), [])
    expect(askAll(lookup)).toEqual([65])
    lookup.answered(id(65), [])
    expect(askAll(lookup)).toEqual([])
    expect(closestOf(lookup)).toEqual([50, 60, 65])
  })

  test('those asked are remembered however many nearer ones are heard of', () => {
    const lookup = lookupOf([90], { candidatesMax: 2 })
    askAll(lookup)
    lookup.answered(id(90), contacts(10, 20))
    expect(closestOf(lookup)).toEqual([90])
  })
})

describe('whom it asks first', () => {
  test('is the cheapest of those whose turn could come: bits nearer against delay', () => {
    const delays: Record<string, number> = { 'address:8': 7, 'address:16': 0, 'address:17': 0.5 }
    const delayBits = ({ address }: { address: string }) => delays[address] ?? 9
    const lookup = lookupOf([8, 16, 17, 1], { alpha: 9, k: 3, delayBits })
    // 1 is three bits nearer than 8 and four nearer than 16; 17 is not among the three nearest.
    expect(askAll(lookup)).toEqual([16, 1, 8])
  })

  test('makes no difference to whom it asks at all', () => {
    const lookup = lookupOf([10, 20, 30, 40], {
      alpha: 9,
      delayBits: ({ address }) => (address === 'address:40' ? 0 : 50),
    })
    expect(askAll(lookup)).toEqual([10, 20, 30])
  })
})

describe('a node that answers in the place of another', () => {
  test('is asked under its own id: invented ids at its address do not hide it', () => {
    const lookup = lookupOf([50, 60], { alpha: 9, k: 3 })
    expect(askAll(lookup)).toEqual([50, 60])
    lookup.answered(id(50), [contact(20, 'honest'), contact(3, 'honest')])
    expect(askAll(lookup)).toEqual([3])
    lookup.misnamed(id(3), contact(20, 'honest'))
    expect(askAll(lookup)).toEqual([20])
    lookup.answered(id(20), [])
    lookup.answered(id(60), [])
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([20, 50, 60])
  })

  test('is asked so once: a new id each time does not use up the lookup', () => {
    const lookup = lookupOf([50], { alpha: 9, k: 3 })
    askAll(lookup)
    lookup.answered(id(50), [contact(9, 'liar')])
    expect(askAll(lookup)).toEqual([9])
    lookup.misnamed(id(9), contact(8, 'liar'))
    expect(askAll(lookup)).toEqual([8])
    lookup.misnamed(id(8), contact(7, 'liar'))
    expect(askAll(lookup)).toEqual([])
    expect(lookup.finished).toBe(true)
  })

  test('is asked no more than once, and we ourselves never', () => {
    const lookup = lookupOf([50], { alpha: 9, k: 3 })
    askAll(lookup)
    lookup.answered(id(50), [contact(3, 'honest')])
    askAll(lookup)
    lookup.misnamed(id(3), contact(OWN_DISTANCE, 'honest'))
    expect(askAll(lookup)).toEqual([])
    expect(lookup.finished).toBe(true)
    lookup.misnamed(id(3), contact(20, 'honest'))
    expect(askAll(lookup)).toEqual([])
  })
})

describe('a second page', () => {
  const far = Array.from({ length: 12 }, (_, i) => 100 + i)

  function silenced(silent: number) {
    const lookup = lookupOf(far, { alpha: 99, k: 8, fruitlessRepliesMax: 1 })
    const asked = askAll(lookup)
    for (const distance of asked.slice(0, silent)) lookup.slow(id(distance))
    return { lookup, asked: [...asked, ...askAll(lookup)] }
  }

  test('is asked of the nearest that answered, once three of the k nearest are silent', () => {
    const { lookup } = silenced(3)
    expect(lookup.nextPage()).toBeUndefined()
    lookup.answered(id(104), [])
    lookup.answered(id(103), [])
    expect(lookup.nextPage()).toEqual(contact(103))
    expect(lookup.nextPage()).toBeUndefined()
  })

  test('is asked of nobody while fewer are silent', () => {
    const { lookup } = silenced(2)
    lookup.answered(id(104), [])
    lookup.answered(id(103), [])
    expect(lookup.nextPage()).toBeUndefined()
  })

  test('keeps the lookup from ending, and what it names is asked', () => {
    const { lookup, asked } = silenced(3)
    for (const distance of asked.slice(3)) lookup.answered(id(distance), [])
    expect(lookup.nextPage()).toEqual(contact(103))
    for (const distance of asked.slice(0, 3)) lookup.lost(id(distance))
    expect(lookup.finished).toBe(false)
    lookup.learned(id(103), contacts(99))
    expect(askAll(lookup)).toEqual([99])
    lookup.answered(id(99), [])
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toContain(99)
  })

  test('that does not come keeps it no longer', () => {
    const { lookup, asked } = silenced(3)
    for (const distance of asked.slice(3)) lookup.answered(id(distance), [])
    lookup.nextPage()
    for (const distance of asked.slice(0, 3)) lookup.lost(id(distance))
    lookup.learned(id(103), [])
    expect(lookup.finished).toBe(true)
    lookup.learned(id(103), contacts(98))
    expect(lookup.finished).toBe(true)
  })
})

describe('those that are settled', () => {
  test('are nobody before the lookup is about to end, then who answered of the k nearest alive', () => {
    const lookup = lookupOf([10, 20, 30, 40], { alpha: 9, fruitlessRepliesMax: 1 })
    askAll(lookup)
    lookup.answered(id(30), contacts(15))
    expect(lookup.settled()).toEqual([])
    askAll(lookup)
    lookup.answered(id(20), [])
    expect(lookup.settled()).toEqual(contacts(20))
    lookup.slow(id(10))
    expect(lookup.settled()).toEqual(contacts(20, 30))
    lookup.answered(id(15), [])
    lookup.lost(id(10))
    expect(lookup.finished).toBe(true)
    expect(lookup.settled()).toEqual(contacts(15, 20, 30))
  })
})

describe('a burst', () => {
  test('begins after two replies in a row that brought nothing nearer, and asks all the rest', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50, 60], { k: 6, alpha: 2 })
    expect(askAll(lookup)).toEqual([10, 20])
    lookup.answered(id(10), contacts(70))
    expect(askAll(lookup)).toEqual([30])
    lookup.answered(id(20), contacts(10, 80))
    expect(askAll(lookup)).toEqual([40, 50, 60])
  })

  test('is put off by a reply that puts somebody new among the k nearest alive', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50, 60], { k: 6, alpha: 2 })
    askAll(lookup)
    lookup.answered(id(10), [])
    askAll(lookup)
    lookup.answered(id(20), contacts(55))
    expect(askAll(lookup)).toEqual([40])
  })

  test('ends with such a reply', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50, 60], { k: 6, alpha: 2 })
    askAll(lookup)
    lookup.answered(id(10), [])
    lookup.answered(id(20), [])
    expect(askAll(lookup)).toEqual([30, 40, 50, 60])
    lookup.answered(id(30), contacts(5, 6))
    expect(askAll(lookup)).toEqual([])
  })

  test('is not begun by failures', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50, 60], { k: 3, alpha: 1 })
    askAll(lookup)
    lookup.failed(id(10))
    expect(askAll(lookup)).toEqual([20])
    lookup.failed(id(20))
    expect(askAll(lookup)).toEqual([30])
  })
})

describe('the end', () => {
  test('comes at once where nobody is known', () => {
    const lookup = lookupOf([])
    expect(lookup.finished).toBe(true)
    expect(lookup.conclusive).toBe(false)
    expect(lookup.hops()).toBe(0)
  })

  test('comes when the k nearest have answered, not before', () => {
    const lookup = lookupOf([10, 20, 30, 40], { alpha: 9 })
    askAll(lookup)
    lookup.answered(id(20), [])
    lookup.answered(id(30), [])
    expect(lookup.finished).toBe(false)
    lookup.answered(id(10), [])
    expect(lookup.finished).toBe(true)
    expect(lookup.next()).toBeUndefined()
    expect(closestOf(lookup)).toEqual([10, 20, 30])
  })

  test('comes when all known have answered, where fewer than k are known', () => {
    const lookup = lookupOf([10, 20])
    askAll(lookup)
    lookup.answered(id(10), [])
    expect(lookup.finished).toBe(false)
    lookup.answered(id(20), [])
    expect(lookup.finished).toBe(true)
  })

  test('does not wait for one in flight that k nearer ones have overtaken', () => {
    const lookup = lookupOf([80, 90])
    askAll(lookup)
    lookup.answered(id(80), contacts(10, 20, 30))
    for (const distance of [10, 20, 30]) {
      expect(lookup.finished).toBe(false)
      askAll(lookup)
      lookup.answered(id(distance), [])
    }
    expect(lookup.finished).toBe(true)
  })

  test('waits for one that is slow and nearer, until it is lost', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 9, k: 2 })
    lookup.next()
    lookup.next()
    lookup.slow(id(10))
    expect(askAll(lookup)).toEqual([30])
    lookup.answered(id(20), [])
    lookup.answered(id(30), [])
    expect(lookup.finished).toBe(false)
    lookup.lost(id(10))
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([20, 30])
  })

  test('does not wait for one that is slow and farther than the k nearest that answered', () => {
    const lookup = lookupOf([20, 90], { alpha: 9, k: 2 })
    askAll(lookup)
    lookup.slow(id(90))
    lookup.answered(id(20), contacts(10))
    askAll(lookup)
    expect(lookup.finished).toBe(false)
    lookup.answered(id(10), [])
    expect(lookup.finished).toBe(true)
  })

  test('is delayed by lost ones while half or fewer answered: round trips may be longer than thought', () => {
    const lookup = lookupOf([90])
    askAll(lookup)
    lookup.slow(id(90))
    lookup.lost(id(90))
    expect(lookup.finished).toBe(false)
    lookup.answered(id(90), contacts(10))
    expect(askAll(lookup)).toEqual([10])
    lookup.slow(id(10))
    lookup.lost(id(10))
    expect(lookup.finished).toBe(false)
    lookup.failed(id(10))
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([90])
  })

  test('is told of a lost one only after it was slow', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 9 })
    askAll(lookup)
    lookup.lost(id(10))
    lookup.answered(id(20), [])
    lookup.answered(id(30), [])
    expect(lookup.finished).toBe(false)
  })

  test('comes where all failed', () => {
    const lookup = lookupOf([10, 20])
    askAll(lookup)
    lookup.failed(id(10))
    lookup.failed(id(20))
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([])
    expect(lookup.conclusive).toBe(false)
  })

  test('comes after queriesMax queries though every reply names somebody nearer', () => {
    const lookup = lookupOf([1_000], { queriesMax: 7 })
    let asked = 0
    for (let next = lookup.next(); next !== undefined; next = lookup.next()) {
      asked++
      lookup.answered(next.id, contacts(1_000 - asked))
    }
    expect(asked).toBe(7)
    expect(lookup.finished).toBe(true)
    expect(lookup.exhausted).toBe(true)
    expect(closestOf(lookup)).toEqual([994, 995, 996])
  })

  test('waits, once queriesMax is spent, for those still in flight', () => {
    const lookup = lookupOf([80, 90], { queriesMax: 2 })
    askAll(lookup)
    lookup.answered(id(80), contacts(10, 20, 30))
    expect(askAll(lookup)).toEqual([])
    expect(lookup.finished).toBe(false)
    lookup.answered(id(90), [])
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([80, 90])
  })

  test('is not called exhaustion when the last permitted query was enough', () => {
    const lookup = lookupOf([10], { queriesMax: 1 })
    askAll(lookup)
    lookup.answered(id(10), [])
    expect(lookup.finished).toBe(true)
    expect(lookup.exhausted).toBe(false)
  })
})

describe('who counts as closest', () => {
  test('a late answer does, and what it names is asked', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 9 })
    askAll(lookup)
    lookup.slow(id(10))
    lookup.answered(id(20), [])
    lookup.answered(id(10), contacts(5))
    expect(closestOf(lookup)).toEqual([10, 20])
    expect(askAll(lookup)).toEqual([5])
  })

  test('an answer after the end does, and nobody that it names is asked', () => {
    const lookup = lookupOf([10, 20, 30], { alpha: 9 })
    askAll(lookup)
    lookup.slow(id(10))
    lookup.lost(id(10))
    lookup.answered(id(20), [])
    lookup.answered(id(30), [])
    expect(lookup.finished).toBe(true)
    lookup.answered(id(10), contacts(5))
    expect(closestOf(lookup)).toEqual([10, 20, 30])
    expect(lookup.finished).toBe(true)
    expect(askAll(lookup)).toEqual([])
    expect(lookup.nearestKnown).toBe(3)
  })

  test('one that failed does not, nor one that was never asked', () => {
    const lookup = lookupOf([10, 20])
    expect(lookup.next()?.address).toBe('address:10')
    lookup.failed(id(10))
    lookup.answered(id(10), contacts(5))
    lookup.answered(id(20), contacts(6))
    lookup.answered(id(77), contacts(7))
    expect(closestOf(lookup)).toEqual([])
    expect(askAll(lookup)).toEqual([20])
  })

  test('the order is exact to the last bit of the id', () => {
    const target = id(0b1010)
    const lookup = lookupOf([0b1011, 0b1000, 0b0010], { target, k: 2, alpha: 9 })
    expect(lookup.next()?.id).toEqual(id(0b1011))
    expect(lookup.next()?.id).toEqual(id(0b1000))
    expect(lookup.next()).toBeUndefined()
  })
})

describe('an absence is conclusive', () => {
  test('only when more than half of the k nearest heard of answered', () => {
    const lookup = lookupOf([10, 20, 30, 40, 50, 60], { k: 4, alpha: 9 })
    askAll(lookup)
    lookup.failed(id(10))
    lookup.failed(id(20))
    askAll(lookup)
    for (const distance of [30, 40, 50, 60]) lookup.answered(id(distance), [])
    expect(lookup.finished).toBe(true)
    expect(closestOf(lookup)).toEqual([30, 40, 50, 60])
    expect(lookup.answeredOfNearest).toBe(2)
    expect(lookup.conclusive).toBe(false)
  })

  test('where k are not known, when more than half of those known answered', () => {
    const lookup = lookupOf([10, 20, 30], { k: 8, alpha: 9 })
    askAll(lookup)
    lookup.failed(id(10))
    lookup.answered(id(20), [])
    expect(lookup.conclusive).toBe(false)
    lookup.answered(id(30), [])
    expect(lookup.conclusive).toBe(true)
  })
})

describe('hops', () => {
  test('are the depth of the nearest that answered', () => {
    const lookup = lookupOf([90])
    askAll(lookup)
    lookup.answered(id(90), contacts(50))
    expect(lookup.hops()).toBe(1)
    askAll(lookup)
    lookup.answered(id(50), contacts(10, 95))
    expect(lookup.hops()).toBe(2)
    askAll(lookup)
    lookup.failed(id(10))
    lookup.answered(id(95), [])
    expect(lookup.hops()).toBe(2)
    expect(lookup.hops(id(10))).toBe(3)
    expect(lookup.hops(id(12_345))).toBe(0)
  })

  test('are the fewest known when the contact was asked', () => {
    const lookup = lookupOf([80, 90], { k: 8 })
    askAll(lookup)
    lookup.answered(id(80), contacts(40))
    expect(askAll(lookup)).toEqual([40])
    lookup.answered(id(40), contacts(30, 50))
    expect(askAll(lookup)).toEqual([30])
    expect(lookup.hops(id(50))).toBe(3)
    lookup.answered(id(90), contacts(30, 50))
    expect(lookup.hops(id(50))).toBe(2)
    expect(lookup.hops(id(30))).toBe(3)
  })
})

test('ids whose first bytes agree are told apart', () => {
  const lookup = lookupOf([1, 2, 3], { alpha: 9 })
  const asked = [lookup.next(), lookup.next(), lookup.next()].map((found) => found && toHex(found.id).slice(-2))
  expect(asked).toEqual(['01', '02', '03'])
})
