import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Contact, NodeId } from '../../src/keyspace/index.js'
import { mapKey, nearest } from '../../src/keyspace/index.js'
import type { AnyLookup, LookupOptions, LookupOutcome, QueryEvents } from '../../src/lookup/index.js'
import { DisjointLookup, Lookup, runLookup } from '../../src/lookup/index.js'
import { NaiveLookup } from './naive-lookup.js'

/** How a node takes a query: the lists are what becomes of it, in order. */
const COURSES = {
  honest: ['answered'],
  late: ['slow', 'answered'],
  later: ['slow', 'lost', 'answered'],
  refusing: ['failed'],
  dead: ['slow', 'lost', 'failed'],
  liar: ['answered'],
} as const
type Kind = keyof typeof COURSES

interface SimulatedNode {
  readonly contact: Contact
  readonly kind: Kind
  /** Which part of the network it knows: 255 for all of it. */
  readonly knows: number
  readonly salt: number
}

interface World {
  readonly options: Required<Omit<LookupOptions, 'isTaken'>>
  readonly nodes: readonly SimulatedNode[]
  readonly seeds: readonly Contact[]
  /** Which of the open queries goes on next, over and over. */
  readonly order: readonly number[]
}

/** Ids that differ in four bytes at both ends, so that near and far neighbours both occur. */
function idOf(number: number): NodeId {
  const id = new Uint8Array(32)
  const view = new DataView(id.buffer)
  view.setUint16(0, number >>> 16)
  view.setUint16(30, number & 0xffff)
  return id
}

const idNumber = fc.oneof(fc.nat(0xffffffff), fc.nat(300))

function worlds(kinds: readonly Kind[], knows: fc.Arbitrary<number>): fc.Arbitrary<World> {
  const node = fc.record({ number: idNumber, kind: fc.constantFrom(...kinds), knows, salt: fc.nat(0xffff) })
  return fc
    .record({
      nodes: fc.uniqueArray(node, { selector: ({ number }) => number, minLength: 1, maxLength: 50 }),
      target: idNumber,
      own: idNumber,
      k: fc.integer({ min: 1, max: 8 }),
      alpha: fc.integer({ min: 1, max: 4 }),
      candidates: fc.integer({ min: 1, max: 8 }),
      seeds: fc.array(fc.nat(49), { minLength: 1, maxLength: 8 }),
      order: fc.array(fc.nat(1_000), { minLength: 1, maxLength: 50 }),
      fruitlessRepliesMax: fc.integer({ min: 1, max: 4 }),
      delayed: fc.boolean(),
    })
    .map(({ nodes, target, own, k, alpha, candidates, seeds, order, fruitlessRepliesMax, delayed }) => {
      const simulated = nodes.map(({ number, ...node }) => ({
        ...node,
        contact: { id: idOf(number), address: `node:${number}` },
      }))
      const options = {
        target: idOf(target),
        ownId: idOf(own),
        k,
        alpha,
        takePerReplyMax: 2 * k,
        queriesMax: 8 * k,
        candidatesMax: k * candidates,
        fruitlessRepliesMax,
        // Any function of the contact will do.
        delayBits: ({ address }: Contact) => (delayed ? (address.length * 7) % 11 : 0),
      }
      const started = seeds.map((index) => (simulated[index % simulated.length] as SimulatedNode).contact)
      return { options, nodes: simulated, seeds: started, order }
    })
}

const faulty = worlds(['honest', 'honest', 'late', 'refusing', 'dead', 'liar'], fc.constantFrom(20, 128, 255))
const faultless = worlds(['honest'], fc.constant(255))

/** The same fraction of the network for the same node, whoever asks. */
function isKnownTo(node: SimulatedNode, index: number): boolean {
  return (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(node.salt + 1, 0x85ebca6b)) >>> 24 <= node.knows
}

/** What a node names when it is asked for its second page. */
function pageOf(world: World, node: SimulatedNode): Contact[] {
  if (node.kind === 'liar') return replyOf(world, node, 77)
  const known = world.nodes.filter((_, index) => isKnownTo(node, index)).map(({ contact }) => contact)
  return nearest(known, world.options.target, 2 * world.options.k).slice(world.options.k)
}

/** What a node replies; `asked` makes every lie a new one. */
function replyOf({ options, nodes, seeds }: World, node: SimulatedNode, asked: number): Contact[] {
  const { target, k, ownId } = options
  if (node.kind !== 'liar') {
    const known = nodes.filter((_, index) => isKnownTo(node, index)).map(({ contact }) => contact)
    return nearest(known, target, k)
  }
  const nearTarget = (low: number) => {
    const id = Uint8Array.from(target)
    id[31] = (id[31] as number) ^ (low & 0xff)
    id[30] = (id[30] as number) ^ ((low >>> 8) & 0xff)
    return id
  }
  const lies: (() => Contact[])[] = [
    // Ever closer ids, behind addresses where liars answer.
    () =>
      Array.from({ length: k }, (_, i) => ({ id: nearTarget(4_000 - asked * 20 - i), address: `liar:${asked}:${i}` })),
    // A thousand ids at one victim.
    () => Array.from({ length: 1_000 }, (_, i) => ({ id: nearTarget(2_000 - i), address: 'victim' })),
    // A thousand addresses where nobody lives.
    () =>
      Array.from({ length: 1_000 }, (_, i) => ({ id: nearTarget(9_000 + i + asked), address: `void:${asked}:${i}` })),
    // The asker, the liar itself, duplicates, and honest ids at wrong places.
    () => [{ id: ownId, address: 'own' }, node.contact, node.contact, ...seeds, ...seeds],
    () => nodes.map(({ contact }) => ({ id: contact.id, address: `void:${asked}` })),
    () => nodes.map(({ contact }, i) => ({ id: nearTarget(500 + i), address: contact.address })),
  ]
  return (lies[(node.salt + asked) % lies.length] as () => Contact[])()
}

/** Who lives at a contact's address: also what no honest node ever named. */
function inhabitant(world: World, contact: Contact): SimulatedNode {
  const found = world.nodes.find((node) => node.contact.address === contact.address)
  // A node that is asked under another's id is a failure, as it is to the layer that matches replies.
  if (found !== undefined)
    return mapKey(found.contact.id) === mapKey(contact.id) ? found : { ...found, kind: 'refusing' }
  return { contact, kind: contact.address.startsWith('liar') ? 'liar' : 'dead', knows: 0, salt: 0 }
}

interface OpenQuery {
  readonly contact: Contact
  readonly events: QueryEvents
  readonly steps: ('slow' | 'lost' | 'answered' | 'failed')[]
  readonly reply: Contact[]
  /** Whether it was asked for its second page. */
  readonly isPage: boolean
}

/** Plays a lookup to its end, one event at a time in the world's order, and tells what happened. */
function play(
  world: World,
  lookup: AnyLookup,
  onEvent: (query: OpenQuery, step: OpenQuery['steps'][number]) => void = () => {},
) {
  const open: OpenQuery[] = []
  const asked: Contact[] = []
  const answered: Contact[] = []
  const outcomes: LookupOutcome[] = []
  const paged: Contact[] = []
  let cancels = 0
  let events = 0
  const begin = (contact: Contact, queryEvents: QueryEvents, reply: Contact[], isPage: boolean): (() => void) => {
    queryEvents.sent()
    open.push({ contact, events: queryEvents, steps: [...COURSES[inhabitant(world, contact).kind]], reply, isPage })
    return () => {
      cancels++
    }
  }
  runLookup(lookup, {
    now: () => events,
    done: (outcome) => outcomes.push(outcome),
    query(contact, queryEvents) {
      const node = inhabitant(world, contact)
      const reply = replyOf(world, node, asked.length)
      asked.push(contact)
      return begin(contact, queryEvents, reply, false)
    },
    queryPage(contact, queryEvents) {
      paged.push(contact)
      return begin(contact, queryEvents, pageOf(world, inhabitant(world, contact)), true)
    },
  })
  while (outcomes.length === 0) {
    if (open.length === 0) throw new Error('nothing is in flight and the lookup is not done')
    const index = (world.order[events++ % world.order.length] as number) % open.length
    const query = open[index] as OpenQuery
    const step = query.steps.shift() as OpenQuery['steps'][number]
    if (step !== 'slow' && step !== 'lost') open.splice(index, 1)
    if (step === 'answered' && !query.isPage) answered.push(query.contact)
    onEvent(query, step)
    if (step === 'slow') query.events.slow()
    else if (step === 'lost') query.events.lost()
    else if (step === 'failed') query.events.failed(new Error('no answer'))
    else query.events.answered(query.reply)
  }
  return { asked, answered, paged, outcomes, cancels, open, outcome: outcomes[0] as LookupOutcome }
}

const RUNS = { numRuns: 400 }

test('a lookup asks, ends and finds exactly as a naive one that sorts everything anew', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const lookup = new Lookup(world.options, world.seeds)
      const model = new NaiveLookup(world.options, world.seeds)
      const open: { contact: Contact; steps: string[]; reply: Contact[]; isPage: boolean }[] = []
      const askSame = () => {
        for (;;) {
          const contact = model.next()
          expect(lookup.next()).toEqual(contact)
          if (contact === undefined) break
          const node = inhabitant(world, contact)
          const reply = replyOf(world, node, model.asked - 1)
          open.push({ contact, steps: [...COURSES[node.kind]], reply, isPage: false })
        }
        for (;;) {
          const contact = model.nextPage()
          expect(lookup.nextPage()).toEqual(contact)
          if (contact === undefined) return
          open.push({ contact, steps: ['answered'], reply: pageOf(world, inhabitant(world, contact)), isPage: true })
        }
      }
      askSame()
      // Goes on after the end too: what arrives late still counts.
      for (let turn = 0; open.length > 0; turn++) {
        const index = (world.order[turn % world.order.length] as number) % open.length
        const { contact, steps, reply, isPage } = open[index] as (typeof open)[number]
        const step = steps.shift()
        if (step !== 'slow' && step !== 'lost') open.splice(index, 1)
        if (isPage) {
          lookup.learned(contact.id, reply)
          model.learned(contact, reply)
        } else if (step === 'answered') {
          lookup.answered(contact.id, reply)
          model.answered(contact, reply)
        } else {
          lookup[step as 'slow' | 'lost' | 'failed'](contact.id)
          model.became(contact, step as 'slow' | 'lost' | 'failed')
        }
        expect(lookup.finished).toBe(model.finished)
        expect(lookup.closest()).toEqual(model.closest())
        expect(lookup.hops()).toBe(model.hops())
        expect(lookup.conclusive).toBe(model.conclusive())
        askSame()
      }
      expect(lookup.finished).toBe(true)
    }),
    RUNS,
  )
})

test('a lookup never asks one contact or one address twice, nor itself', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const { asked } = play(world, new Lookup(world.options, world.seeds))
      expect(new Set(asked.map(({ id }) => mapKey(id))).size).toBe(asked.length)
      expect(new Set(asked.map(({ address }) => address)).size).toBe(asked.length)
      expect(asked.map(({ id }) => mapKey(id))).not.toContain(mapKey(world.options.ownId))
    }),
    RUNS,
  )
})

test('a lookup ends within its bound of queries, exactly once, and cancels what is in flight', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const { asked, paged, outcomes, cancels, open, outcome } = play(world, new Lookup(world.options, world.seeds))
      expect(asked.length).toBeLessThanOrEqual(world.options.queriesMax)
      expect(paged.length).toBeLessThanOrEqual(asked.length)
      expect(cancels).toBe(open.length)
      for (const { events } of open) events.answered([])
      expect(outcomes).toHaveLength(1)
      expect(outcome.messages).toBe(asked.length + paged.length)
    }),
    RUNS,
  )
})

test('a lookup of nothing but liars, who all answer with somebody nearer, ends at its bound', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4 }), (k, alpha) => {
      const bounds = { takePerReplyMax: 2 * k, queriesMax: 8 * k, candidatesMax: 8 * k, fruitlessRepliesMax: 2 }
      const options = { target: idOf(0), ownId: idOf(1), k, alpha, ...bounds }
      const lookup = new Lookup(options, [{ id: idOf(100_000), address: 'first' }])
      let named = 100_000
      let asked = 0
      runLookup(lookup, {
        now: () => 0,
        done: () => {},
        query(_, events) {
          asked++
          events.answered(Array.from({ length: k }, () => ({ id: idOf(--named), address: `liar:${named}` })))
          return () => {}
        },
        queryPage: () => () => {},
      })
      expect(asked).toBe(8 * k)
      expect(lookup.exhausted).toBe(true)
    }),
  )
})

test('a lookup keeps at most alpha queries in flight, except in a burst', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const { alpha } = world.options
      const lookup = new Lookup(world.options, world.seeds)
      const model = new NaiveLookup(world.options, world.seeds)
      const waiting = new Set<Contact>()
      const follow = () => {
        for (let contact = model.next(); contact !== undefined; contact = model.next()) {
          const reallyAsked = lookup.next() as Contact
          waiting.add(reallyAsked)
          if (!model.bursting) expect(waiting.size).toBeLessThanOrEqual(alpha)
        }
        expect(lookup.next()).toBeUndefined()
      }
      follow()
      for (let turn = 0; waiting.size > 0; turn++) {
        const contact = [...waiting][(world.order[turn % world.order.length] as number) % waiting.size] as Contact
        waiting.delete(contact)
        const node = inhabitant(world, contact)
        if (node.kind === 'refusing' || node.kind === 'dead') {
          lookup.failed(contact.id)
          model.became(contact, 'failed')
        } else {
          const reply = replyOf(world, node, model.asked)
          lookup.answered(contact.id, reply)
          model.answered(contact, reply)
        }
        follow()
      }
    }),
    RUNS,
  )
})

test('disjoint paths share no node, end within their bounds, and find what each of them found', () => {
  fc.assert(
    fc.property(faulty, fc.integer({ min: 2, max: 4 }), (world, paths) => {
      const { k, queriesMax, target } = world.options
      const lookup = new DisjointLookup(world.options, world.seeds, paths)
      const { asked, answered, outcome, outcomes } = play(world, lookup)
      expect(outcomes).toHaveLength(1)
      expect(new Set(asked.map(({ id }) => mapKey(id))).size).toBe(asked.length)
      expect(new Set(asked.map(({ address }) => address)).size).toBe(asked.length)
      expect(asked.length).toBeLessThanOrEqual(paths * queriesMax)
      expect(outcome.answered).toBe(answered.length)
      expect(outcome.closest).toEqual(nearest(answered, target, k))
      if (outcome.closest.length > 0) expect(outcome.hops).toBeGreaterThan(0)
    }),
    RUNS,
  )
})

test('the closest are the nearest k of those that answered, late ones included', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const { answered, outcome } = play(world, new Lookup(world.options, world.seeds))
      expect(outcome.closest).toEqual(nearest(answered, world.options.target, world.options.k))
      expect(outcome.answered).toBe(answered.length)
    }),
    RUNS,
  )
})

test('without faults and with perfect tables the closest are the true ones', () => {
  fc.assert(
    fc.property(faultless, (world) => {
      const others = world.nodes
        .map(({ contact }) => contact)
        .filter(({ id }) => mapKey(id) !== mapKey(world.options.ownId))
      const seeds = world.seeds.filter(({ id }) => mapKey(id) !== mapKey(world.options.ownId))
      fc.pre(seeds.length > 0)
      const { outcome } = play(world, new Lookup(world.options, seeds))
      const { target, k } = world.options
      // The asker's own place in the replies is one that tells it of nobody.
      const expected = nearest(others, target, k).slice(0, others.length < world.nodes.length ? k - 1 : k)
      expect(outcome.closest.slice(0, expected.length)).toEqual(expected)
      if (others.length === world.nodes.length) expect(outcome.conclusive).toBe(true)
    }),
    RUNS,
  )
})

test('once more than half of k answered, lost ones alone never delay the end', () => {
  fc.assert(
    fc.property(faulty, (world) => {
      const lookup = new Lookup(world.options, world.seeds)
      let ended = 0
      let answered = 0
      const lost = new Set<Contact>()
      // A page is waited for until its first event, whatever it is.
      let pagesAsked = 0
      const paged = new Set<Contact>()
      const nextPage = lookup.nextPage.bind(lookup)
      lookup.nextPage = () => {
        const contact = nextPage()
        if (contact !== undefined) pagesAsked++
        return contact
      }
      play(world, lookup, ({ contact, isPage }, step) => {
        // Any further event must be one that the lookup still had a reason to wait for.
        const hoped = lookup.asked - ended - lost.size + pagesAsked - paged.size
        expect(hoped > 0 || 2 * answered <= world.options.k).toBe(true)
        if (isPage) paged.add(contact)
        else if (step === 'lost') lost.add(contact)
        else if (step !== 'slow') {
          lost.delete(contact)
          ended++
        }
        if (step === 'answered' && !isPage) answered++
      })
    }),
    RUNS,
  )
})
