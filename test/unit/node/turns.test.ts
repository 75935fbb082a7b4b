import { expect, test } from 'vitest'
import { Turns } from '../../../src/node/turns.js'

test('tasks of one name run one after the other, in the order they came', () => {
  const turns = new Turns()
  const log: string[] = []
  const ends: (() => void)[] = []
  for (const name of ['a', 'b', 'c']) {
    turns.take('key', (done) => {
      log.push(name)
      ends.push(done)
    })
  }
  expect(log).toEqual(['a'])
  ends[0]!()
  expect(log).toEqual(['a', 'b'])
  ends[1]!()
  expect(log).toEqual(['a', 'b', 'c'])
})

test('tasks of different names do not wait for each other', () => {
  const turns = new Turns()
  const log: string[] = []
  turns.take('a', () => log.push('a'))
  turns.take('b', () => log.push('b'))
  expect(log).toEqual(['a', 'b'])
})

test('a name is free again when all its tasks are done', () => {
  const turns = new Turns()
  const log: number[] = []
  for (let i = 0; i < 3; i++) {
    turns.take('key', (done) => {
      log.push(i)
      done()
    })
  }
  expect(log).toEqual([0, 1, 2])
})

test('10,000 tasks that are done at once, each of which takes the turn of the next, do not nest', () => {
  const turns = new Turns()
  let ran = 0
  let depth = 0
  let deepest = 0
  const task = (done: () => void): void => {
    depth++
    deepest = Math.max(deepest, depth)
    ran++
    if (ran < 10_000) turns.take('key', task)
    done()
    depth--
  }
  turns.take('key', task)
  expect([ran, deepest]).toEqual([10_000, 1])
})

test('64 tasks wait for a name at most: the next one is refused and never runs', () => {
  const turns = new Turns()
  const log: number[] = []
  let release = (): void => {}
  const first = turns.take('key', (done) => {
    release = done
  })
  const taken = Array.from({ length: 65 }, (_, i) =>
    turns.take('key', (done) => {
      log.push(i)
      done()
    }),
  )
  expect(first).toBe(true)
  expect(taken).toEqual([...new Array(64).fill(true), false])
  expect(turns.take('another', (done) => done())).toBe(true)
  release()
  expect(log).toEqual(Array.from({ length: 64 }, (_, i) => i))
  // There is room again.
  expect(turns.take('key', () => log.push(64))).toBe(true)
  expect(log).toHaveLength(65)
})

test('a task that is done twice counts once, whether it is done at once or later', () => {
  const turns = new Turns()
  const log: string[] = []
  let later = (): void => {}
  turns.take('key', (done) => {
    done()
    done()
  })
  turns.take('key', (done) => {
    later = done
  })
  turns.take('key', () => log.push('second'))
  turns.take('key', () => log.push('third'))
  later()
  later()
  expect(log).toEqual(['second'])
})

test('a task that takes a turn of its own name waits for itself to be done', () => {
  const turns = new Turns()
  const log: string[] = []
  turns.take('key', (done) => {
    turns.take('key', (inner) => {
      log.push('inner')
      inner()
    })
    log.push('outer')
    done()
  })
  turns.take('key', () => log.push('next'))
  expect(log).toEqual(['outer', 'inner', 'next'])
})
