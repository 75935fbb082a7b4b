import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from '../../../src/storage/heap.js'

interface Item {
  weight: number
  position: number
}

test('the first item is always the one that comes before all others, whatever is added, moved or removed', () => {
  const step = fc.tuple(fc.constantFrom('add', 'add', 'move', 'remove', 'remove first'), fc.nat(1_000), fc.nat(30))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap<'position', Item>('position', (a, b) => a.weight < b.weight)
      const model: Item[] = []
      for (const [action, at, weight] of steps) {
        const item = action === 'remove first' ? heap.first() : model[at % model.length]
        if (action === 'add') {
          const added = { weight, position: -1 }
          heap.add(added)
          model.push(added)
        } else if (item && action === 'move') {
          item.weight = weight
          heap.moved(item)
        } else if (item) {
          heap.remove(item)
          model.splice(model.indexOf(item), 1)
          expect(item.position).toBe(-1)
        }
        expect(heap.size).toBe(model.length)
        expect(heap.first()?.weight).toBe(model.length ? Math.min(...model.map(({ weight }) => weight)) : undefined)
        expect(new Set(model.map(({ position }) => position)).size).toBe(model.length)
      }
    }),
  )
})

test('items come out in order', () => {
  const heap = new Heap<'position', Item>('position', (a, b) => a.weight < b.weight)
  for (let i = 0; i < 500; i++) heap.add({ weight: (i * 7919) % 503, position: -1 })
  const weights: number[] = []
  for (let item = heap.first(); item; item = heap.first()) {
    heap.remove(item)
    weights.push(item.weight)
  }
  expect(weights).toEqual([...weights].sort((a, b) => a - b))
  expect(weights.length).toBe(500)
})
