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

test('10,000 tasks that are done at once do not nest', () => {
  const turns = new Turns()
  let release = (): void => {}
  let ran = 0
  let depth = 0
  let deepest = 0
  turns.take('key', (done) => {
    release = done
  })
  for (let i = 0; i < 10_000; i++) {
    turns.take('key', (done) => {
      depth++
      deepest = Math.max(deepest, depth)
      ran++
      done()
      depth--
    })
  }
  release()
  expect([ran, deepest]).toEqual([10_000, 1])
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
