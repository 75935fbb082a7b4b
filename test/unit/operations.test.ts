import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { DhtError } from '../../src/errors.js'
import type { Done } from '../../src/operations.js'
import { Operations } from '../../src/operations.js'

const CLOSED = new DhtError('ERR_CLOSED', 'the node was closed')

/** An operation that a test ends by hand. */
function begun(operations: Operations, signal?: AbortSignal) {
  const seen = { cancels: 0 }
  let end: Done<string> = () => {}
  const promise = operations.run<string>(signal, (done) => {
    end = done
    return () => {
      seen.cancels++
    }
  })
  promise.catch(() => {})
  return { promise, seen, done: (error?: unknown, result?: string) => end(error, result) }
}

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

describe('an operation', () => {
  test('resolves with its result, and is not cancelled then', async () => {
    const operations = new Operations()
    const { promise, seen, done } = begun(operations)
    expect(operations.size).toBe(1)
    done(undefined, 'result')
    expect(operations.size).toBe(0)
    expect(await promise).toBe('result')
    operations.giveUpAll(CLOSED)
    expect(seen.cancels).toBe(0)
  })

  test('rejects with its error', async () => {
    const operations = new Operations()
    const { promise, done } = begun(operations)
    done(CLOSED)
    await expect(promise).rejects.toBe(CLOSED)
    expect(operations.size).toBe(0)
  })

  test('may be done before it has begun', async () => {
    const operations = new Operations()
    let cancels = 0
    const promise = operations.run<string>(undefined, (done) => {
      done(undefined, 'at once')
      return () => {
        cancels++
      }
    })
    expect(operations.size).toBe(0)
    expect(await promise).toBe('at once')
    // Nothing is left to cancel, and to cancel it is harmless.
    expect(cancels).toBeLessThanOrEqual(1)
  })

  test('that throws rejects with what it threw and is not open any more', async () => {
    const operations = new Operations()
    const { signal } = new AbortController()
    const promise = operations.run(signal, () => {
      throw CLOSED
    })
    await expect(promise).rejects.toBe(CLOSED)
    expect(operations.size).toBe(0)
    expect(listeners(signal)).toBe(0)
  })

  test('counts its first end only', async () => {
    const operations = new Operations()
    const { promise, done } = begun(operations)
    done(undefined, 'first')
    done(undefined, 'second')
    done(CLOSED)
    expect(await promise).toBe('first')
  })
})

describe('an abort', () => {
  test('rejects with the reason whatever it is, and cancels once', async () => {
    for (const reason of [new Error('enough'), 'enough', null, 0]) {
      const operations = new Operations()
      const controller = new AbortController()
      const { promise, seen, done } = begun(operations, controller.signal)
      controller.abort(reason)
      controller.abort('again')
      done(undefined, 'too late')
      await expect(promise).rejects.toBe(reason)
      expect(seen.cancels).toBe(1)
      expect(operations.size).toBe(0)
    }
  })

  test('that came before keeps it from beginning', async () => {
    const operations = new Operations()
    let begins = 0
    const promise = operations.run(AbortSignal.abort('enough'), () => {
      begins++
      return () => {}
    })
    await expect(promise).rejects.toBe('enough')
    expect(begins).toBe(0)
    expect(operations.size).toBe(0)
  })

  test('from within the beginning cancels what was begun', async () => {
    const operations = new Operations()
    const controller = new AbortController()
    let cancels = 0
    const promise = operations.run(controller.signal, () => {
      controller.abort('enough')
      return () => {
        cancels++
      }
    })
    await expect(promise).rejects.toBe('enough')
    expect(cancels).toBe(1)
  })

  test('ends all operations of its signal and no other', async () => {
    const operations = new Operations()
    const controller = new AbortController()
    const mine = Array.from({ length: 20 }, () => begun(operations, controller.signal))
    const others = [begun(operations, new AbortController().signal), begun(operations)]
    controller.abort('enough')
    for (const { promise, seen } of mine) {
      await expect(promise).rejects.toBe('enough')
      expect(seen.cancels).toBe(1)
    }
    expect(others.map(({ seen }) => seen.cancels)).toEqual([0, 0])
    expect(operations.size).toBe(2)
  })
})

test('a signal has one listener while any of its operations is open, and none afterwards', () => {
  const operations = new Operations()
  const { signal } = new AbortController()
  const first = Array.from({ length: 20 }, () => begun(operations, signal))
  expect(listeners(signal)).toBe(1)
  for (const { done } of first.slice(1)) done(undefined, 'done')
  expect(listeners(signal)).toBe(1)
  first[0]?.done(CLOSED)
  expect(listeners(signal)).toBe(0)
  const second = begun(operations, signal)
  expect(listeners(signal)).toBe(1)
  operations.giveUpAll(CLOSED)
  expect(listeners(signal)).toBe(0)
  expect(second.seen.cancels).toBe(1)
})

test('giving all up rejects and cancels each of them, even where one ends another', async () => {
  const operations = new Operations()
  const second = begun(operations)
  const first = operations.run(undefined, () => () => second.done(undefined, 'ended by its sibling'))
  const third = begun(operations)
  const settled = Promise.allSettled([first, second.promise, third.promise])
  operations.giveUpAll(CLOSED)
  expect(operations.size).toBe(0)
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(third.seen.cancels).toBe(1)
})
