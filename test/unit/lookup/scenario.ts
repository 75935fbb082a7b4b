import type { Contact, NodeId } from '../../../src/keyspace/index.js'
import type { LookupOptions } from '../../../src/lookup/index.js'
import { Lookup } from '../../../src/lookup/index.js'

/** The id at this distance from {@link TARGET}. */
export function id(distance: number): NodeId {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(28, distance)
  return bytes
}

const TARGET: NodeId = id(0)
export const OWN_DISTANCE = 9_999

/** The contact at this distance from {@link TARGET}; at an address of its own unless given. */
export function contact(distance: number, address = `address:${distance}`): Contact {
  return { id: id(distance), address }
}

export function contacts(...distances: readonly number[]): Contact[] {
  return distances.map((distance) => contact(distance))
}

export function distanceOf({ id: bytes }: Contact): number {
  return new DataView(bytes.buffer).getUint32(28)
}

/** A lookup of k = 3, alpha = 2 and a burst after 2 fruitless replies unless said otherwise, that starts with the contacts at these distances. */
export function lookupOf(seeds: readonly number[], options: Partial<LookupOptions> = {}): Lookup {
  const defaults = {
    target: TARGET,
    k: 3,
    alpha: 2,
    ownId: id(OWN_DISTANCE),
    takePerReplyMax: 6,
    fruitlessRepliesMax: 2,
  }
  return new Lookup({ ...defaults, ...options }, contacts(...seeds))
}

/** Asks until nobody is to be asked now; the distances of those asked, in their order. */
export function askAll(lookup: Lookup): number[] {
  const asked: number[] = []
  for (let next = lookup.next(); next !== undefined; next = lookup.next()) asked.push(distanceOf(next))
  return asked
}

export function closestOf(lookup: Lookup): number[] {
  return lookup.closest().map(distanceOf)
}
