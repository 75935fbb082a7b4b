import type { DhtError } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
import { compareDistance, mapKey } from '../keyspace/index.js'
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
  /** A STORE left, the first or a resent one. */
  sent(): void
  /** A holder took a parcel, or refused it. */
  settled(parcel: Parcel, error: DhtError | undefined): void
  /** The end. `lookups` were needed. */
  done(lookups: number): void
}

/**
 * Stores many records, each at the k nodes nearest to its key. Each region of the key space is looked up once, not
 * each key: what a lookup finds are the holders of all keys near by. Then each holder is visited once for all that it
 * is to keep.
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
    const block = failedLookups < FAILED_LOOKUPS_MAX ? sorted.splice(0, BLOCK_KEYS) : []
    if (block.length === 0) events.done(lookups)
    else cover(block, new Coverage(node.config.k))
  }
  const cover = (block: readonly Parcel[], coverage: Coverage): void => {
    let at = 0
    let lookupsForKey = 0
    let isWaiting = false
    let isLooping = false
    let isCovered = false
    const proceed = (): void => {
      if (isLooping) return
      isLooping = true
      while (!isWaiting && at < block.length) {
        const { key } = block[at] as Parcel
        const point = lookupsForKey < LOOKUPS_PER_KEY_MAX ? coverage.missing(key) : undefined
        if (point === undefined) {
          at++
          lookupsForKey = 0
          continue
        }
        lookups++
        lookupsForKey++
        isWaiting = true
        running.begin((ended) => {
          const run = lookUpNodes(node, point, (outcome) => {
            ended()
            const isKnown = outcome.closest.length === node.config.k || outcome.conclusive
            failedLookups = isKnown ? 0 : failedLookups + 1
            if (isKnown) coverage.add(point, outcome.closest)
            else {
              at = failedLookups < FAILED_LOOKUPS_MAX ? at + 1 : block.length
              lookupsForKey = 0
            }
            isWaiting = false
            proceed()
          })
          return run.stop
        })
      }
      isLooping = false
      if (isWaiting || isCovered || at < block.length) return
      isCovered = true
      if (failedLookups < FAILED_LOOKUPS_MAX) visit(block, coverage)
      else nextBlock()
    }
    proceed()
  }
  const visit = (block: readonly Parcel[], coverage: Coverage): void => {
    const visits = visitsOf(block, coverage)
    let open = 0
    let isFilling = false
    let isOver = false
    const proceed = (): void => {
      if (isFilling) return
      isFilling = true
      while (open < HOLDERS_AT_ONCE) {
        const next = visits.shift()
        if (!next) break
        open++
        running.begin((ended) =>
          deliver(node, next.holder, next.parcels, {
            evenIfHeld: true,
            sent: () => events.sent(),
            settled: (parcel, error) => events.settled(parcel, error),
            done() {
              ended()
              open--
              proceed()
            },
          }),
        )
      }
      isFilling = false
      if (open > 0 || visits.length > 0 || isOver) return
      isOver = true
      nextBlock()
    }
    proceed()
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
