import debug from 'debug'
import type { Contact } from '../keyspace/index.js'
import { compareDistance, mapKey, sameBytes } from '../keyspace/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { collect } from './collect.js'
import { isCached, keepRecord, nodesBetween } from './copies.js'
import type { Parcel } from './deliver.js'
import { deliver } from './deliver.js'
import type { NodeContext } from './node-context.js'
import { Running } from './running.js'
import { sweep } from './sweep.js'

const log = debug('xorbit:repair')

/** Of what ends sooner than this nobody is told, in ms. */
const REMAINING_MIN_MS = 60_000

/** So many of the nearest holders pass on a record every other time even if they heard of it. */
const UNDETERRED_HOLDERS = 3

/** So many of the nodes nearest to us, in multiples of k, can be nearest to something that we hold. */
const NEIGHBOURS = 2

/**
 * Keeps what is stored here alive (paper 2.3 and 2.5): once an hour it is stored again at the k nodes that are nearest to its
 * key by then, and what belongs to a newcomer is handed to it. Copies that readers left are neither repaired nor handed
 * on, nor is anything of a kind that is not passed on. What the store had when the node started is offered once to who
 * should hold it by now.
 */
export class Repair {
  readonly #node: NodeContext
  readonly #running = new Running()
  #isStopped = false
  /** Whether the store had records when the node started that were not offered yet. */
  #hasInherited = false
  #cancelRepair = (): void => {}
  #cancelOffer = (): void => {}
  #cancelHandOff: (() => void) | undefined
  #newcomers: Contact[] = []
  /** What was left out the last time, because somebody else had stored it. */
  #skipped: Set<string> | undefined

  constructor(node: NodeContext) {
    this.#node = node
  }

  start(): void {
    const { config, store } = this.#node
    if (!config.repair || config.client) return
    this.#hasInherited = store.stats().records > 0
    this.#schedule()
  }

  /** The node is in its network: holders may have gone, and nearer nodes have come, while it was away. */
  joined(): void {
    if (!this.#hasInherited) return
    this.#hasInherited = false
    const { clock, config, randomBytes } = this.#node
    // When the node has come to rest, and not at the same moment as others that were started again with it.
    const delayMs = config.handOffDelayMs * (1 + (randomBytes(1)[0] as number) / 128)
    this.#cancelOffer = clock.after(delayMs, () => this.#eachRecord((records) => this.#offer(records)))
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelRepair()
    this.#cancelOffer()
    this.#cancelHandOff?.()
    this.#running.cancelAll()
  }

  /** A contact entered the table: it may be one that should hold what we hold. */
  onAdded(contact: Contact): void {
    const { clock, config, store } = this.#node
    if (!config.repair || config.client || store.stats().records === 0) return
    this.#newcomers.push(contact)
    // A moment later: several may come at once, and who has just joined is busy.
    this.#cancelHandOff ??= clock.after(config.handOffDelayMs, () => {
      this.#cancelHandOff = undefined
      const newcomers = this.#newcomers
      this.#newcomers = []
      this.#handOff(newcomers)
    })
  }

  #schedule(): void {
    const { clock, config, randomBytes } = this.#node
    // Between 0.75 and 1.25 of the interval: whoever comes first spares the others the work.
    const delayMs = config.repairIntervalMs * (0.75 + (randomBytes(1)[0] as number) / 512)
    this.#cancelRepair = clock.after(delayMs, () => {
      this.#schedule()
      this.#eachRecord((records) => this.#repair(records))
    })
  }

  #repair(records: readonly StoredRecord[]): void {
    const { clock, config } = this.#node
    const heardSinceMs = clock.wallNow() - config.repairIntervalMs
    const skippedBefore = this.#skipped
    const skipped = new Set<string>()
    this.#skipped = skipped
    const due = records.filter((stored) => {
      // Whoever moved away from the key leaves it to those who are near.
      if (nodesBetween(this.#node, stored.key) > 0) return false
      if (stored.storedAtMs <= heardSinceMs) return true
      const name = nameOf(stored)
      // Else a flooder could keep all holders from repairing, by storing with each of them alone.
      const isUndeterred = this.#node.table.countNearer(stored.key) < UNDETERRED_HOLDERS
      if (isUndeterred && skippedBefore?.has(name)) return true
      if (isUndeterred) skipped.add(name)
      return false
    })
    log('%d of %d records to repair', due.length, records.length)
    this.#sweep(due, true)
  }

  /** Who has a record already is only asked. */
  #offer(records: readonly StoredRecord[]): void {
    log('%d records to offer', records.length)
    this.#sweep(records, false)
  }

  #sweep(due: readonly StoredRecord[], evenIfHeld: boolean): void {
    if (due.length === 0) return
    const stored = new Map(due.map((record) => [this.#parcelOf(record), record]))
    const taken = new Set<Parcel>()
    this.#running.begin((ended) =>
      sweep(this.#node, [...stored.keys()], {
        evenIfHeld,
        sent: () => {
          this.#node.counters.passedOn++
        },
        settled(parcel, error) {
          if (!error) taken.add(parcel)
        },
        done: (lookups) => {
          ended()
          log('%d of %d records passed on with %d lookups', taken.size, due.length, lookups)
          for (const parcel of taken) this.#markHeardOf(stored.get(parcel) as StoredRecord)
        },
      }),
    )
  }

  /** What we store again counts as heard of: else we would at once be due again. */
  #markHeardOf({ key, kind, record, source, expiresAtMs }: StoredRecord): void {
    const known = this.#node.kinds.get(kind)
    if (!known) return
    const offer = {
      ...{ key, kind: known, source, cas: undefined, isCached: false },
      lifetimeMs: expiresAtMs - this.#node.clock.wallNow(),
      accept: (held: readonly StoredRecord[]) =>
        held.some((other) => sameBytes(other.record, record)) ? record : undefined,
    }
    keepRecord(
      this.#node,
      offer,
      () => {},
      (error) => log('the store failed: %o', error),
    )
  }

  /** Paper 2.5: only the nearest holder hands a record to a newcomer, so that it comes once. */
  #handOff(added: readonly Contact[]): void {
    const { id, config, table } = this.#node
    const neighbours = new Set(table.nearest(id, NEIGHBOURS * config.k).map((entry) => mapKey(entry.id)))
    const newcomers = new Map(added.map((contact) => [mapKey(contact.id), contact]))
    for (const name of newcomers.keys()) if (!neighbours.has(name)) newcomers.delete(name)
    if (newcomers.size === 0) return
    this.#eachRecord((records) => {
      const parcels = new Map<string, Parcel[]>()
      for (const stored of records) {
        for (const name of this.#heirs(stored, newcomers)) {
          const parcel = this.#parcelOf(stored)
          const forOne = parcels.get(name)
          if (forOne) forOne.push(parcel)
          else parcels.set(name, [parcel])
        }
      }
      for (const [name, forOne] of parcels) this.#give(newcomers.get(name) as Contact, forOne)
    })
  }

  /** Which newcomers a record is handed to: those of the k nearest, if we are the nearest of all others. */
  #heirs({ key }: StoredRecord, newcomers: ReadonlyMap<string, Contact>): string[] {
    const { config, id, table } = this.#node
    if (table.countNearer(key) > newcomers.size) return []
    const heirs: string[] = []
    let isNearest = true
    for (const contact of table.nearest(key, config.k)) {
      const name = mapKey(contact.id)
      const isHeir = newcomers.has(name)
      if (isHeir) heirs.push(name)
      else if (compareDistance(key, contact.id, id) < 0) isNearest = false
    }
    return isNearest ? heirs : []
  }

  #give(newcomer: Contact, parcels: readonly Parcel[]): void {
    log('%d records for %s', parcels.length, newcomer.address)
    this.#running.begin((ended) =>
      deliver(this.#node, newcomer, parcels, {
        evenIfHeld: false,
        sent: () => {
          this.#node.counters.passedOn++
        },
        settled: () => {},
        done: ended,
      }),
    )
  }

  /** Calls back with all records that are passed on and have some time left. */
  #eachRecord(next: (records: StoredRecord[]) => void): void {
    const { clock, kinds, store } = this.#node
    const remainsMs = clock.wallNow() + REMAINING_MIN_MS
    const isPassedOn = (stored: StoredRecord): boolean =>
      stored.expiresAtMs > remainsMs && kinds.get(stored.kind)?.isRelayed === true && !isCached(stored)
    whenReady(
      () => collect(store.entries(), isPassedOn),
      (found) => {
        if (!this.#isStopped) next(found)
      },
      (error) => log('the store failed: %o', error),
    )
  }

  #parcelOf({ key, kind, record, expiresAtMs }: StoredRecord): Parcel {
    const { clock, config, kinds } = this.#node
    const known = kinds.get(kind)
    if (!known) throw new RangeError(`kind ${kind} is not known`)
    // Clamped: a clock that was wrong when it was stored must not keep it alive for ever.
    const remainingMs = (): number => Math.min(expiresAtMs - clock.wallNow(), config.valueLifetimeMaxMs)
    return { key, kind: known, record, lifetimeMs: remainingMs }
  }
}

function nameOf({ key, kind, slot }: StoredRecord): string {
  return `${mapKey(key)}${String.fromCharCode(kind)}${mapKey(slot)}`
}
