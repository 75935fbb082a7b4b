import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AddressIndex } from '../../../src/routing/address-index.js'
import { Entry } from '../../../src/routing/entry.js'

const ENCODED = Uint8Array.of(4, 203, 0, 113, 7, 0, 1)
const entryAt = (address: string) => new Entry({ id: new Uint8Array(32), address }, 0, undefined, 0, ENCODED, 'public')

test('it finds what a Map would, whatever comes and goes', () => {
  const step = fc.record({ adds: fc.boolean(), port: fc.integer({ min: 1, max: 60 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new AddressIndex()
      const model = new Map<string, Entry>()
      for (const { adds, port } of steps) {
        const address = `203.0.113.7:${port}`
        if (adds) {
          const entry = entryAt(address)
          index.add(entry)
          model.set(address, entry)
        } else {
          index.delete(address)
          model.delete(address)
        }
        expect(index.size).toBe(model.size)
        for (let other = 1; other <= 60; other++) {
          expect(index.get(`203.0.113.7:${other}`)).toBe(model.get(`203.0.113.7:${other}`))
        }
      }
    }),
    { numRuns: 50 },
  )
})

test('nothing is in it after it was cleared, and it can be used again', () => {
  const index = new AddressIndex()
  index.add(entryAt('203.0.113.7:1'))
  index.clear()
  expect([index.size, index.get('203.0.113.7:1')]).toEqual([0, undefined])
  index.delete('203.0.113.7:1')
  const entry = entryAt('203.0.113.7:2')
  index.add(entry)
  expect(index.get('203.0.113.7:2')).toBe(entry)
})
