import { describe, expect, test } from 'vitest'
import type {
  Lookup,
  LookupOutcome,
  LookupRun,
  Query,
  QueryEvents,
  RunLookupOptions,
} from '../../../src/lookup/index.js'
import { runLookup as runAnyLookup } from '../../../src/lookup/index.js'
import { contacts, distanceOf, lookupOf } from './scenario.js'

/** Nobody is asked for a second page, unless a test says otherwise. */
function runLookup(lookup: Lookup, options: Omit<RunLookupOptions, 'queryPage'> & Partial<RunLookupOptions>) {
  const queryPage = (): never => {
    throw new Error('nobody should be asked for a second page')
  }
  return runAnyLookup(lookup, { queryPage, ...options })
}

/** A run whose queries are answered by hand. */
function start(lookup: Lookup, during?: (distance: number, events: QueryEvents, run: LookupRun) => void) {
  const events = new Map<number, QueryEvents>()
  const cancelled: number[] = []
  const outcomes: LookupOutcome[] = []
  let nowMs = 1_000
  const query: Query = (contact, queryEvents, run) => {
    const distance = distanceOf(contact)
    events.set(distance, queryEvents)
    during?.(distance, queryEvents, run)
    return () => cancelled.push(distance)
  }
  const run = runLookup(lookup, { query, now: () => nowMs, done: (outcome) => outcomes.push(outcome) })
  return {
    run,
    cancelled,
    outcomes,
    asked: () => [...events.keys()],
    at: (distance: number) => events.get(distance) as QueryEvents,
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

test('an outcome tells what was found and what it cost', () => {
  const { at, pass, outcomes } = start(lookupOf([90]))
  at(90).sent()
  at(90).sent()
  pass(40)
  at(90).answered(contacts(10))
  at(10).sent()
  pass(2)
  at(10).answered([])
  const closest = contacts(10, 90)
  expect(outcomes).toEqual([{ closest, hops: 2, messages: 3, elapsedMs: 42, answered: 2, conclusive: true }])
})

test('a lookup without seeds is done before runLookup returns', () => {
  const { outcomes } = start(lookupOf([]))
  expect(outcomes).toEqual([{ closest: [], hops: 0, messages: 0, elapsedMs: 0, answered: 0, conclusive: false }])
})

test('at the end what is still in flight is cancelled, and nothing counts after it', () => {
  const { at, cancelled, outcomes } = start(lookupOf([10, 20, 30], { alpha: 9 }))
  at(10).slow()
  at(20).answered([])
  at(30).answered([])
  expect(outcomes).toHaveLength(0)
  at(10).lost()
  expect(outcomes).toHaveLength(1)
  expect(cancelled).toEqual([10])
  at(10).sent()
  at(10).answered(contacts(5))
  at(20).failed(new Error('twice'))
  expect(outcomes).toHaveLength(1)
  expect(outcomes[0]?.closest).toEqual(contacts(20, 30))
})

test('a query that ended is not cancelled', () => {
  const { run, at, cancelled } = start(lookupOf([10, 20, 30], { alpha: 3 }))
  at(10).answered([])
  at(20).failed(new Error('gone'))
  run.stop()
  expect(cancelled).toEqual([30])
})

test('what a query tells after its answer does not count', () => {
  const lookup = lookupOf([10, 20])
  const { at, outcomes } = start(lookup)
  at(10).sent()
  at(10).answered([])
  at(10).sent()
  at(10).answered(contacts(5))
  at(10).failed(new Error('after its answer'))
  at(20).answered([])
  expect(outcomes).toHaveLength(1)
  expect(outcomes[0]).toMatchObject({ messages: 1, closest: contacts(10, 20) })
})

test('stop cancels what is in flight, and done is never called', () => {
  const { run, at, asked, cancelled, outcomes } = start(lookupOf([10, 20, 30]))
  run.stop()
  run.stop()
  expect(cancelled).toEqual([10, 20])
  at(10).answered(contacts(5))
  at(20).failed(new Error('late'))
  expect(asked()).toEqual([10, 20])
  expect(outcomes).toEqual([])
})

test('what a query tells after stop leaves the lookup as it was', () => {
  const lookup = lookupOf([10, 20, 30], { alpha: 3 })
  const { run, at } = start(lookup)
  at(10).answered([])
  at(20).answered([])
  run.stop()
  at(30).slow()
  expect(lookup.finished).toBe(false)
  at(30).answered([])
  expect(lookup.answeredCount).toBe(2)
  at(30).failed(new Error('late'))
  expect(lookup.finished).toBe(false)
})

test('finish ends early and tells the costs so far, the same when called again', () => {
  const { run, at, pass, cancelled, outcomes } = start(lookupOf([10, 20, 30]))
  at(10).sent()
  pass(7)
  at(10).answered([])
  const outcome = run.finish()
  expect(outcome).toEqual({
    closest: contacts(10),
    hops: 1,
    messages: 1,
    elapsedMs: 7,
    answered: 1,
    conclusive: false,
  })
  expect(cancelled).toEqual([20, 30])
  pass(100)
  expect(run.finish()).toBe(outcome)
  expect(outcomes).toEqual([])
})

test('finish after the end tells what done was told', () => {
  const { run, at, outcomes } = start(lookupOf([10]))
  at(10).answered([])
  expect(run.finish()).toBe(outcomes[0])
})

describe('events inside the query call', () => {
  test('answers at once make a whole lookup', () => {
    const { asked, outcomes, cancelled } = start(lookupOf([90], { k: 8 }), (distance, events) => {
      events.sent()
      events.answered(distance > 10 ? contacts(distance - 10) : [])
    })
    expect(asked()).toEqual([90, 80, 70, 60, 50, 40, 30, 20, 10])
    expect(outcomes).toHaveLength(1)
    expect(outcomes[0]).toMatchObject({ messages: 9, hops: 9, answered: 9 })
    expect(cancelled).toEqual([])
  })

  test('a long chain of them does not deepen the stack', () => {
    const length = 10_000
    const { outcomes } = start(lookupOf([30_000], { queriesMax: length }), (distance, events) => {
      events.answered(contacts(distance - 1))
    })
    expect(outcomes[0]?.answered).toBe(length)
  })

  test('a throw counts as a failure', () => {
    const { asked, outcomes } = start(lookupOf([10, 20, 30, 40], { alpha: 1 }), (distance, events) => {
      if (distance === 10) throw new Error('no such address')
      events.answered([])
    })
    expect(asked()).toEqual([10, 20, 30, 40])
    expect(outcomes).toHaveLength(1)
    expect(outcomes[0]?.closest).toEqual(contacts(20, 30, 40))
  })

  test('a throw after the answer changes nothing', () => {
    const { outcomes } = start(lookupOf([10]), (_, events) => {
      events.answered([])
      throw new Error('too late')
    })
    expect(outcomes).toHaveLength(1)
    expect(outcomes[0]?.closest).toEqual(contacts(10))
  })

  test('stop inside the call cancels that query too, and starts no other', () => {
    const { asked, cancelled, outcomes } = start(lookupOf([10, 20, 30], { alpha: 3 }), (distance, _, run) => {
      if (distance === 20) run.stop()
    })
    expect(asked()).toEqual([10, 20])
    expect(cancelled).toEqual([10, 20])
    expect(outcomes).toEqual([])
  })

  test('stop inside the call, after what was the last answer, keeps done from being called', () => {
    const { outcomes, cancelled } = start(lookupOf([10]), (_, events, run) => {
      events.answered([])
      run.stop()
    })
    expect(outcomes).toEqual([])
    expect(cancelled).toEqual([])
  })

  test('finish inside the call, as by a lookup that has its value, ends it', () => {
    let outcome: LookupOutcome | undefined
    const { asked, outcomes } = start(lookupOf([10, 20, 30]), (distance, events, run) => {
      if (distance === 20) outcome = run.finish()
      events.answered([])
    })
    expect(asked()).toEqual([10, 20])
    expect(outcome?.closest).toEqual(contacts(10))
    expect(outcomes).toEqual([])
  })
})

test('queries that share one cancel are each cancelled', () => {
  let cancelled = 0
  const cancel = () => {
    cancelled++
  }
  const lookup = lookupOf([10, 20, 30], { alpha: 3 })
  runLookup(lookup, { query: () => cancel, now: () => 0, done: () => {} }).stop()
  expect(cancelled).toBe(3)
})
