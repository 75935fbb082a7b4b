import type { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { compareDistance, mapKey } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import { Coverage } from './coverage.js'
import type { Parcel } from './deliver.js'
import { deliver } from './deliver.js'
import { lookUpNodes } from './lookups.js'
import type { NodeContext } from './node-context.js'
import { Running } from './running.js'

/** So many keys are planned at once: their holders must still live when their turn comes. */
const BLOCK_KEYS = 2048

/** How many holders are stored at at once. */
const HOLDERS_AT_ONCE = 8

/** Lookups for one key, before whoever is known must do. */
const LOOKUPS_PER_KEY_MAX = 8

/** So many lookups in a row that found too little mean that we are cut off: the sweep ends. */
const FAILED_LOOKUPS_MAX = 3

/** What a sweep reports. */
export interface SweepEvents {
  /** Whether a holder that says it has a record needs it all the same, so that it is kept for longer; by default it does. */
  readonly evenIfHeld?: boolean
  /** A STORE left, the first or a resent one. */
  sent(): void
  /** A holder took a parcel, or refused it. */
  settled(parcel: Parcel, error: DhtError | undefined): void
  /** The end. `lookups` were needed. */
  done(lookups: number): void
}

/**
 * Stores many records, each at the k nodes nearest to its key. Each region of the key space is looked up once, not
 * each key: what a lookup finds are the holders of all keys near by. Then each holder is visited once for all of some
 * 2,000 keys that it is to keep.
 *
 * @returns cancels it; what was stored by then stays
 */
export function sweep(node: NodeContext, parcels: readonly Parcel[], events: SweepEvents): () => void {
  const running = new Running()
  const origin = new Uint8Array(node.id.length)
  const sorted = [...parcels].sort((a, b) => compareDistance(origin, a.key, b.key))
  let lookups = 0
  let failedLookups = 0
  const nextBlock = (): void => {
    const block = sorted.splice(0, BLOCK_KEYS)
    if (block.length === 0) events.done(lookups)
    else cover(block, new Coverage(node.config.k), visit)
  }
  /** Looks up what is not known of the regions of the keys, one after the other. */
  const cover = (block: readonly Parcel[], coverage: Coverage, done: typeof visit): void => {
    let at = 0
    let lookupsForKey = 0
    const next = (): void => {
      const point = pointToLookUp()
      if (point === undefined) {
        done(block, coverage)
        return
      }
      lookups++
      lookupsForKey++
      running.begin((ended) => {
        const run = lookUpNodes(node, point, (outcome) => {
          ended()
          learn(point, outcome)
          next()
        })
        return run.stop
      })
    }
    const pointToLookUp = (): NodeId | undefined => {
      for (; at < block.length && failedLookups < FAILED_LOOKUPS_MAX; at++, lookupsForKey = 0) {
        const isLongEnough = lookupsForKey === LOOKUPS_PER_KEY_MAX
        const point = isLongEnough ? undefined : coverage.missing((block[at] as Parcel).key)
        if (point) return point
      }
      return undefined
    }
    const learn = (point: NodeId, { closest, conclusive }: LookupOutcome): void => {
      if (closest.length === node.config.k || conclusive) {
        failedLookups = 0
        coverage.add(point, closest)
      } else {
        failedLookups++
        lookupsForKey = LOOKUPS_PER_KEY_MAX
      }
    }
    next()
  }
  /** Visits each holder of the block's keys, unless we are cut off: who is known then may be long gone. */
  const visit = (block: readonly Parcel[], coverage: Coverage): void => {
    if (failedLookups === FAILED_LOOKUPS_MAX) {
      events.done(lookups)
      return
    }
    const visitOne = ({ holder, parcels: forHolder }: Visit, ended: () => void): (() => void) =>
      deliver(node, holder, forHolder, {
        evenIfHeld: events.evenIfHeld ?? true,
        sent: () => events.sent(),
        settled: (parcel, error) => events.settled(parcel, error),
        done: ended,
      })
    running.each(visitsOf(block, coverage), HOLDERS_AT_ONCE, visitOne, nextBlock)
  }
  nextBlock()
  return () => running.cancelAll()
}

interface Visit {
  readonly holder: Contact
  readonly parcels: Parcel[]
}

/** Who gets what, in the order of the key space. */
function visitsOf(block: readonly Parcel[], coverage: Coverage): Visit[] {
  const visits = new Map<string, Visit>()
  for (const parcel of block) {
    for (const holder of coverage.nearest(parcel.key)) {
      const name = mapKey(holder.id)
      const visit = visits.get(name)
      if (visit) visit.parcels.push(parcel)
      else visits.set(name, { holder, parcels: [parcel] })
    }
  }
  return [...visits.values()]
}
