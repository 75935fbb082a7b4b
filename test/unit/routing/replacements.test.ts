import { expect, test } from 'vitest'
import { Entry } from '../../../src/routing/entry.js'
import { Replacements } from '../../../src/routing/replacements.js'
import { idAt } from './table-fixture.js'

function entry(n: number, group: string | undefined, bucket = 0): Entry {
  return new Entry({ id: idAt(bucket, n), address: `${bucket}/${n}` }, bucket, group, 0, new Uint8Array(0), 'public')
}

function takeAll(replacements: Replacements, bucket: number): Entry[] {
  const taken: Entry[] = []
  for (;;) {
    const next = replacements.takeFreshest(bucket, () => true)
    if (next === undefined) return taken
    taken.push(next)
  }
}

test('one network displaces only its own, others the stalest of all', () => {
  const replacements = new Replacements(4, 2)
  const [a, b, c, d, e, f] = ['x', 'y', 'y', 'y', 'z', 'w'].map((group, n) => entry(n, group)) as [
    Entry,
    Entry,
    Entry,
    Entry,
    Entry,
    Entry,
  ]
  for (const each of [a, b, c, d, e]) replacements.add(each)
  expect(replacements.at(b.address)).toBeUndefined()
  expect(replacements.at(a.address)).toBe(a)
  replacements.add(f)
  expect(takeAll(replacements, 0)).toEqual([f, e, d, c])
})

test('contacts without a limited network share the places', () => {
  const replacements = new Replacements(3, 1)
  for (let n = 0; n < 5; n++) replacements.add(entry(n, undefined))
  expect(takeAll(replacements, 0)).toHaveLength(3)
})

test('a bucket full of waiting contacts leaves the others theirs', () => {
  const replacements = new Replacements(1, 1)
  const far = entry(0, 'x', 0)
  const near = entry(0, 'x', 1)
  replacements.add(far)
  replacements.add(near)
  expect(takeAll(replacements, 0)).toEqual([far])
  expect(replacements.find(near.id, 1)).toBe(near)
})

test('the freshest that is accepted is taken out of every index, the others stay', () => {
  const replacements = new Replacements(3, 3)
  const [a, b, c] = [0, 1, 2].map((n) => entry(n, 'x')) as [Entry, Entry, Entry]
  for (const each of [a, b, c]) replacements.add(each)
  expect(replacements.takeFreshest(0, (each) => each !== c)).toBe(b)
  expect(replacements.at(b.address)).toBeUndefined()
  expect(replacements.find(b.id, 0)).toBeUndefined()
  expect(takeAll(replacements, 0)).toEqual([c, a])
})

test('clear forgets ids and addresses', () => {
  const replacements = new Replacements(3, 3)
  const a = entry(0, 'x')
  replacements.add(a)
  replacements.clear()
  expect(replacements.at(a.address)).toBeUndefined()
  expect(replacements.find(a.id, 0)).toBeUndefined()
})
