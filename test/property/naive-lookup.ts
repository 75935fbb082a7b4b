import type { Contact } from '../../src/keyspace/index.js'
import { compareDistance, mapKey, sameBytes } from '../../src/keyspace/index.js'
import type { LookupOptions } from '../../src/lookup/index.js'

interface Known {
  contact: Contact
  state: 'heard' | 'waiting' | 'slow' | 'lost' | 'answered' | 'failed'
  depth: number
}

/** The rules of the lookup written down plainly: a set, sorted anew for every question. */
export class NaiveLookup {
  readonly #known = new Map<string, Known>()
  readonly #options: Required<LookupOptions>
  finished = false
  asked = 0
  fruitless = 0

  constructor(options: Required<LookupOptions>, seeds: readonly Contact[]) {
    this.#options = options
    for (const seed of seeds) this.#hear(seed, 1)
    this.#settle()
  }

  get bursting(): boolean {
    return this.fruitless >= 2
  }

  next(): Contact | undefined {
    if (this.finished || this.asked >= this.#options.queriesMax) return undefined
    if (!this.bursting && this.#in('waiting').length >= this.#options.alpha) return undefined
    const first = this.#kNearestAlive().find(({ state }) => state === 'heard')
    if (first === undefined) return undefined
    first.state = 'waiting'
    this.asked++
    return first.contact
  }

  answered({ id }: Contact, contacts: readonly Contact[]): void {
    const from = this.#known.get(mapKey(id)) as Known
    from.state = 'answered'
    if (this.finished) return
    const before = new Set(this.#known.keys())
    for (const contact of contacts.slice(0, this.#options.takePerReplyMax)) this.#hear(contact, from.depth + 1)
    const broughtNearer = this.#kNearestAlive().some(({ contact }) => !before.has(mapKey(contact.id)))
    this.fruitless = broughtNearer ? 0 : this.fruitless + 1
    this.#settle()
  }

  became({ id }: Contact, state: 'slow' | 'lost' | 'failed'): void {
    const known = this.#known.get(mapKey(id)) as Known
    known.state = state
    this.#settle()
  }

  closest(): Contact[] {
    return this.#in('answered')
      .slice(0, this.#options.k)
      .map(({ contact }) => contact)
  }

  hops(): number {
    return this.#in('answered')[0]?.depth ?? 0
  }

  conclusive(): boolean {
    const nearest = this.#nearestFirst().slice(0, this.#options.k)
    return nearest.filter(({ state }) => state === 'answered').length > nearest.length / 2
  }

  #hear(contact: Contact, depth: number): void {
    if (sameBytes(contact.id, this.#options.ownId)) return
    const known = this.#known.get(mapKey(contact.id))
    if (known !== undefined) {
      if (known.state === 'heard') known.depth = Math.min(known.depth, depth)
      return
    }
    const rival = [...this.#known.values()].find((other) => other.contact.address === contact.address)
    if (rival !== undefined && rival.state !== 'heard') return
    this.#known.set(mapKey(contact.id), { contact, state: 'heard', depth })
    const unasked = this.#in('heard')
    const sharers = unasked.filter((other) => other.contact.address === contact.address)
    for (const { contact } of sharers.slice(1)) this.#known.delete(mapKey(contact.id))
    for (const { contact } of this.#in('heard').slice(this.#options.candidatesMax)) {
      this.#known.delete(mapKey(contact.id))
    }
  }

  #settle(): void {
    const { k, queriesMax } = this.#options
    const lostNeeded = this.#in('lost').length > 0 && this.#in('answered').length <= Math.min(k, this.#known.size) / 2
    const spent = this.asked >= queriesMax && this.#in('waiting').length + this.#in('slow').length === 0
    if (lostNeeded) return
    const alive = this.#kNearestAlive()
    const last = alive.length === k ? this.#nearestFirst().indexOf(alive.at(-1) as Known) : Number.POSITIVE_INFINITY
    const slowNearer = this.#nearestFirst().some(({ state }, i) => state === 'slow' && i < last)
    if (spent || (alive.every(({ state }) => state === 'answered') && !slowNearer)) this.finished = true
  }

  #nearestFirst(): Known[] {
    const { target } = this.#options
    return [...this.#known.values()].sort((a, b) => compareDistance(target, a.contact.id, b.contact.id))
  }

  #in(state: Known['state']): Known[] {
    return this.#nearestFirst().filter((known) => known.state === state)
  }

  #kNearestAlive(): Known[] {
    return this.#nearestFirst()
      .filter(({ state }) => state !== 'slow' && state !== 'lost' && state !== 'failed')
      .slice(0, this.#options.k)
  }
}
