import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Contact } from '../../src/keyspace/index.js'
import { compareDistance, ID_BYTES, sharedPrefixBits, toHex } from '../../src/keyspace/index.js'
import type { RoutingTable, TableEntry } from '../../src/routing/index.js'
import { createTable, describeAddress, idAt, OWN_ID } from '../unit/routing/table-fixture.js'

const K = 3
const FAILURES_MAX = 2
const WAITING_MAX = 2
const GROUP_PER_BUCKET_MAX = 2
const GROUP_PER_TABLE_MAX = 4

interface Known extends Contact {
  lastSeenMs: number
  failures: number
}

const same = (a: Uint8Array, b: Uint8Array) => toHex(a) === toHex(b)
const bucketOf = ({ id }: { id: Uint8Array }) => sharedPrefixBits(OWN_ID, id)
const groupOf = ({ address }: { address: string }) => toHex(describeAddress(address).group)
const isLimited = ({ address }: { address: string }) => describeAddress(address).scope === 'public'

/** The rules, with two lists and no thought of speed. The one that answered last stands last in `waiting`. */
class Model {
  entries: Known[] = []
  waiting: Known[] = []

  answered(contact: Contact, nowMs: number): string {
    const holder = this.entries.find(({ address }) => address === contact.address)
    if (holder !== undefined && same(holder.id, contact.id)) {
      Object.assign(holder, { lastSeenMs: nowMs, failures: 0 })
      return 'updated'
    }
    this.entries = this.entries.filter((entry) => entry !== holder)
    const outcome = this.#take(contact, nowMs)
    if (holder !== undefined) this.#fill(bucketOf(holder))
    return outcome
  }

  #take(contact: Contact, nowMs: number): string {
    const known = this.entries.find(({ id }) => same(id, contact.id))
    this.waiting = this.waiting.filter(({ id, address }) => !same(id, contact.id) && address !== contact.address)
    if (same(contact.id, OWN_ID)) return 'refused'
    const others = this.entries.filter((entry) => entry !== known)
    if (!this.#isDiverse(contact, others)) return 'refused'
    const entry: Known = { ...contact, lastSeenMs: nowMs, failures: 0 }
    if (known !== undefined || this.#hasFreePlace(bucketOf(entry))) {
      this.entries = [...others, entry]
      return known !== undefined ? 'updated' : 'added'
    }
    const beside = this.waiting.filter((other) => bucketOf(other) === bucketOf(entry))
    const kin = beside.filter((other) => groupOf(other) === groupOf(entry))
    let leaving: Known | undefined
    if (isLimited(entry) && kin.length === GROUP_PER_BUCKET_MAX) leaving = kin[0]
    else if (beside.length === WAITING_MAX) leaving = beside[0]
    this.waiting = [...this.waiting.filter((other) => other !== leaving), entry]
    return 'waiting'
  }

  remove(id: Uint8Array, address: string | undefined, failuresMax = 0): void {
    const matches = (entry: Known) => same(entry.id, id) && (address === undefined || address === entry.address)
    this.waiting = this.waiting.filter((entry) => !matches(entry))
    const entry = this.entries.find(matches)
    if (entry === undefined || ++entry.failures < failuresMax) return
    this.entries = this.entries.filter((other) => other !== entry)
    this.#fill(bucketOf(entry))
  }

  clear(): void {
    this.entries = []
    this.waiting = []
  }

  #hasFreePlace(bucket: number): boolean {
    return this.entries.filter((entry) => bucketOf(entry) === bucket).length < K
  }

  #isDiverse(contact: Contact, others: Known[]): boolean {
    if (!isLimited(contact)) return true
    const kin = others.filter((entry) => groupOf(entry) === groupOf(contact))
    const beside = kin.filter((entry) => bucketOf(entry) === bucketOf(contact))
    return kin.length < GROUP_PER_TABLE_MAX && beside.length < GROUP_PER_BUCKET_MAX
  }

  #fill(bucket: number): void {
    if (!this.#hasFreePlace(bucket)) return
    const fits = (entry: Known) => bucketOf(entry) === bucket && this.#isDiverse(entry, this.entries)
    const freshest = this.waiting.findLast(fits)
    if (freshest === undefined) return
    this.waiting = this.waiting.filter((entry) => entry !== freshest)
    this.entries.push(freshest)
  }
}

// Few ids, regions, addresses and networks, so that they collide all the time.
const anyId = fc.tuple(fc.constantFrom(0, 0, 0, 1, 1, 2, 7, 254, 255, 256), fc.nat(7)).map(([bits, n]) => idAt(bits, n))
const anyAddress = fc.tuple(fc.nat(5), fc.nat(4)).map(([network, host]) => `${network}.${host}`)
const anyContact: fc.Arbitrary<Contact> = fc.record({ id: anyId, address: anyAddress })
const command = fc.oneof(
  { weight: 60, arbitrary: fc.record({ type: fc.constant('answered' as const), contact: anyContact }) },
  {
    weight: 20,
    arbitrary: fc.record({ type: fc.constant('failed' as const), id: anyId, address: fc.option(anyAddress) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({ type: fc.constant('remove' as const), id: anyId, address: fc.option(anyAddress) }),
  },
  { weight: 20, arbitrary: fc.record({ type: fc.constant('again' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
)
const commands = fc.array(command, { maxLength: 120, size: 'max' })
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

function plain(entries: readonly Known[]): string[] {
  return entries.map((entry) => [toHex(entry.id), entry.address, entry.lastSeenMs, entry.failures].join(' ')).sort()
}

/** Runs one command on both, and checks that both say the same. */
function run(command: Command, table: RoutingTable, model: Model, nowMs: number): void {
  if (command.type === 'clear') {
    table.clear()
    model.clear()
  } else if (command.type === 'failed') {
    table.failed(command.id, command.address ?? undefined)
    model.remove(command.id, command.address ?? undefined, FAILURES_MAX)
  } else if (command.type === 'remove') {
    table.remove(command.id, command.address ?? undefined)
    model.remove(command.id, command.address ?? undefined)
  } else {
    const contact = command.type === 'answered' ? command.contact : model.entries[command.pick % model.entries.length]
    if (contact === undefined) return
    const hadPlace = table.hasPlaceFor(contact)
    const outcome = table.answered(contact)
    expect(outcome).toBe(model.answered(contact, nowMs))
    expect(hadPlace).toBe(outcome === 'added')
  }
}

function createTested(): ReturnType<typeof createTable> {
  return createTable({
    k: K,
    failuresMax: FAILURES_MAX,
    replacementsMax: WAITING_MAX,
    groupPerBucketMax: GROUP_PER_BUCKET_MAX,
    groupPerTableMax: GROUP_PER_TABLE_MAX,
  })
}

test('after any calls the table holds what the rules say', () => {
  fc.assert(
    fc.property(commands, (all) => {
      const { table, clock } = createTested()
      const model = new Model()
      for (const each of all) {
        clock.nowMs++
        run(each, table, model, clock.nowMs)
        expect(plain(table.entries())).toEqual(plain(model.entries))
      }
      for (const bits of [0, 1, 2, 7]) {
        const bucket = model.entries.filter((entry) => bucketOf(entry) === bits)
        const least = bucket.sort((a, b) => a.lastSeenMs - b.lastSeenMs)[0]
        expect(table.leastRecentlySeen(idAt(bits, 200))?.id).toEqual(least?.id)
      }
    }),
    { numRuns: 500 },
  )
})

test('after any calls every limit holds and what was reported adds up', () => {
  fc.assert(
    fc.property(commands, (all) => {
      const { table, clock, added, removed } = createTested()
      const model = new Model()
      for (const each of all) {
        clock.nowMs++
        run(each, table, model, clock.nowMs)
      }
      const entries = table.entries()
      expect(added.length - removed.length).toBe(entries.length)
      expect(table.size).toBe(entries.length)
      expect(new Set(entries.map(({ address }) => address)).size).toBe(entries.length)
      expect(new Set(entries.map(({ id }) => toHex(id))).size).toBe(entries.length)
      expect(entries.some(({ id }) => same(id, OWN_ID))).toBe(false)
      for (const entry of entries) {
        const beside = entries.filter((other) => bucketOf(other) === bucketOf(entry))
        expect(beside.length).toBeLessThanOrEqual(K)
        if (!isLimited(entry)) continue
        const isKin = (other: Contact) => groupOf(other) === groupOf(entry)
        expect(beside.filter(isKin).length).toBeLessThanOrEqual(GROUP_PER_BUCKET_MAX)
        expect(entries.filter(isKin).length).toBeLessThanOrEqual(GROUP_PER_TABLE_MAX)
      }
    }),
    { numRuns: 500 },
  )
})

// Ids that agree in all but the first and last bits, where a distance kept as a float would be rounded.
const closeId = fc.tuple(fc.nat(255), fc.nat(255)).map(([first, last]) => {
  const id = new Uint8Array(OWN_ID)
  id[0] = first
  id[ID_BYTES - 1] = last
  return id
})
const anyTarget = fc.oneof(closeId, fc.uint8Array({ minLength: ID_BYTES, maxLength: ID_BYTES }))

test('nearest is the true nearest of the whole table, in order', () => {
  const accepts = [undefined, (entry: TableEntry) => (entry.id[ID_BYTES - 1] as number) % 2 === 0]
  fc.assert(
    fc.property(
      fc.array(fc.oneof(closeId, anyTarget), { maxLength: 150, size: 'max' }),
      anyTarget,
      fc.nat(40),
      fc.constantFrom(...accepts),
      (ids, target, count, accept) => {
        const { table } = createTable({ k: 8, limitedScopes: [] })
        ids.forEach((id, i) => {
          table.answered({ id, address: `1.${i}` })
        })
        const sorted = table.entries().sort((a, b) => compareDistance(target, a.id, b.id))
        const expected = (accept === undefined ? sorted : sorted.filter(accept)).slice(0, count)
        expect(table.nearest(target, count, accept).map(({ id }) => toHex(id))).toEqual(
          expected.map(({ id }) => toHex(id)),
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('stale regions are a range from 0, and none is left once each was looked up', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(255), { maxLength: 60 }), fc.nat(100), (regions, ageMs) => {
      const { table, clock } = createTable({ limitedScopes: [] })
      for (const [i, region] of regions.entries()) table.answered({ id: idAt(region, i), address: `1.${i}` })
      const stale = table.staleRegions(ageMs)
      expect(stale).toEqual(stale.map((_, i) => i))
      const deeper = table.entries().filter(({ id }) => sharedPrefixBits(OWN_ID, id) >= stale.length - 1)
      expect(deeper.length).toBeLessThanOrEqual(K / 2)
      for (const region of stale) table.markLookedUp(idAt(region, 3))
      clock.nowMs += ageMs
      expect(table.staleRegions(ageMs + 1)).toEqual([])
      expect(table.staleRegions(ageMs)).toEqual(stale)
    }),
  )
})
