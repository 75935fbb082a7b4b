import { afterEach, expect, test, vi } from 'vitest'
import { Events } from '../../src/events.js'

interface Named {
  one: number
  two: string
}

afterEach(() => {
  vi.unstubAllGlobals()
})

test('an event reaches each of its listeners in the order of their coming, and no other event’s', () => {
  const events = new Events<Named>(['one', 'two'])
  const seen: unknown[] = []
  events.on('one', (value) => seen.push(['first', value]))
  events.on('two', (value) => seen.push(['other', value]))
  events.on('one', (value) => seen.push(['second', value]))
  events.emit('one', 7)
  expect(seen).toEqual([
    ['first', 7],
    ['second', 7],
  ])
})

test('a listener that was added twice is called twice, and each un-subscriber ends one of them', () => {
  const events = new Events<Named>(['one', 'two'])
  const seen: number[] = []
  const listener = (value: number): void => {
    seen.push(value)
  }
  const off = events.on('one', listener)
  events.on('one', listener)
  events.emit('one', 1)
  off()
  off()
  events.emit('one', 2)
  expect(seen).toEqual([1, 1, 2])
})

test('a listener may be added or ended while an event is told: that counts from the next one on', () => {
  const events = new Events<Named>(['one', 'two'])
  const seen: string[] = []
  const off = events.on('one', () => {
    seen.push('first')
    off()
    events.on('one', () => seen.push('added'))
  })
  events.on('one', () => seen.push('second'))
  events.emit('one', 1)
  expect(seen).toEqual(['first', 'second'])
  events.emit('one', 2)
  expect(seen).toEqual(['first', 'second', 'second', 'added'])
})

test('what a listener throws reaches neither who emits nor the other listeners, and is thrown on its own', () => {
  const later: (() => void)[] = []
  vi.stubGlobal('queueMicrotask', (callback: () => void) => later.push(callback))
  const events = new Events<Named>(['one', 'two'])
  const error = new Error('the listener failed')
  let calls = 0
  events.on('one', () => {
    throw error
  })
  events.on('one', () => calls++)
  events.emit('one', 1)
  expect(calls).toBe(1)
  expect(later).toHaveLength(1)
  expect(() => later[0]?.()).toThrow(error)
})

test('only a function can listen', () => {
  const events = new Events<Named>(['one', 'two'])
  for (const listener of [undefined, null, 'text', {}]) {
    expect(() => events.on('one', listener as never)).toThrow(TypeError)
  }
})

test('only an event that exists can be listened to', () => {
  const events = new Events<Named>(['one', 'two'])
  expect(() => events.on('three' as never, () => {})).toThrow(TypeError)
})
