import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { mapKey, nearest, sameBytes } from '../keyspace/index.js'
import type { LookupOptions } from './lookup.js'
import { Lookup } from './lookup.js'

/** What {@link runLookup} drives: one {@link Lookup}, or several beside each other. */
export type AnyLookup = Pick<
  Lookup,
  | 'next'
  | 'nextPage'
  | 'answered'
  | 'slow'
  | 'lost'
  | 'failed'
  | 'misnamed'
  | 'knows'
  | 'learned'
  | 'finished'
  | 'answeredCount'
  | 'closest'
  | 'settled'
  | 'conclusive'
  | 'hops'
>

/**
 * A lookup over disjoint paths (Baumgart and Mies 2007, S/Kademlia, section 4.4): several lookups of one target that
 * share no node. Each begins with its part of the seeds and is told only what its own nodes name, and whoever one of
 * them has asked is asked by no other. So a liar misleads one path, not all; what is found is what all of them found.
 */
export class DisjointLookup implements AnyLookup {
  readonly #target: NodeId
  readonly #k: number
  readonly #paths: readonly Lookup[]
  /** Who was asked, by id, and on which path. */
  readonly #pathOf = new Map<string, Lookup>()
  readonly #addresses = new Set<Address>()
  /** Whose turn it is to ask. */
  #turn = 0

  /**
   * @param seeds - nearest first, which are dealt out to the paths
   * @param paths - how many; each keeps its share of alpha in flight, at least one query
   */
  constructor(options: LookupOptions, seeds: readonly Contact[], paths: number) {
    this.#target = options.target
    this.#k = options.k
    const alpha = Math.ceil(options.alpha / paths)
    const isTaken = ({ id, address }: Contact): boolean => this.#addresses.has(address) || this.#pathOf.has(mapKey(id))
    this.#paths = Array.from({ length: paths }, (_, path) => {
      const dealt = seeds.filter((_, i) => i % paths === path)
      return new Lookup({ ...options, alpha, isTaken }, dealt)
    })
  }

  next(): Contact | undefined {
    for (let i = 0; i < this.#paths.length; i++) {
      const path = this.#paths[this.#turn++ % this.#paths.length] as Lookup
      const contact = path.next()
      if (contact === undefined) continue
      this.#pathOf.set(mapKey(contact.id), path)
      this.#addresses.add(contact.address)
      return contact
    }
    return undefined
  }

  nextPage(): Contact | undefined {
    for (const path of this.#paths) {
      const contact = path.nextPage()
      if (contact !== undefined) return contact
    }
    return undefined
  }

  answered(id: NodeId, contacts: readonly Contact[]): void {
    this.#pathOf.get(mapKey(id))?.answered(id, contacts)
  }

  slow(id: NodeId): void {
    this.#pathOf.get(mapKey(id))?.slow(id)
  }

  lost(id: NodeId): void {
    this.#pathOf.get(mapKey(id))?.lost(id)
  }

  failed(id: NodeId): void {
    this.#pathOf.get(mapKey(id))?.failed(id)
  }

  misnamed(id: NodeId, actual: Contact): void {
    this.#addresses.delete(actual.address)
    this.#pathOf.get(mapKey(id))?.misnamed(id, actual)
  }

  learned(id: NodeId, contacts: readonly Contact[]): void {
    this.#pathOf.get(mapKey(id))?.learned(id, contacts)
  }

  /** Never: what one path knows is news to another, and which of them asks is not told. */
  knows(): boolean {
    return false
  }

  get finished(): boolean {
    return this.#paths.every(({ finished }) => finished)
  }

  get answeredCount(): number {
    return this.#paths.reduce((sum, { answeredCount }) => sum + answeredCount, 0)
  }

  closest(): Contact[] {
    return this.#nearestOf(this.#paths.flatMap((path) => path.closest()))
  }

  settled(): Contact[] {
    if (!this.#paths.every(({ finished, isClosing }) => finished || isClosing)) return []
    // Who has not answered yet on one of the paths holds a place all the same.
    const alive = this.#paths.flatMap((path) => path.nearestAlive())
    const answered = new Set(alive.flatMap(({ state, contact }) => (state === 'answered' ? [mapKey(contact.id)] : [])))
    return this.#nearestOf(alive.map(({ contact }) => contact)).filter(({ id }) => answered.has(mapKey(id)))
  }

  /** As {@link Lookup.conclusive}, over what all paths heard of. */
  get conclusive(): boolean {
    const known = this.#nearestOf(this.#paths.flatMap((path) => path.nearest()))
    const found = this.closest()
    const answered = known.filter(({ id }) => found.some((other) => sameBytes(other.id, id)))
    return 2 * answered.length > known.length
  }

  hops(id: NodeId | undefined = this.closest()[0]?.id): number {
    return (id && this.#pathOf.get(mapKey(id))?.hops(id)) ?? 0
  }

  /** The k nearest, each id once, of what all paths have. */
  #nearestOf(contacts: readonly Contact[]): Contact[] {
    const byId = new Map(contacts.map((contact) => [mapKey(contact.id), contact]))
    return nearest(byId.values(), this.#target, this.#k)
  }
}
