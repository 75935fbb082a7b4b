import type { Contact } from '../../src/keyspace/index.js'
import { compareDistance, mapKey, sameBytes, sharedPrefixBits } from '../../src/keyspace/index.js'
import type { LookupOptions } from '../../src/lookup/index.js'

interface Known {
  contact: Contact
  state: 'heard' | 'waiting' | 'slow' | 'lost' | 'answered' | 'failed'
  depth: number
  paged: boolean
}

type Options = Required<Omit<LookupOptions, 'isTaken'>>

/** The rules of the lookup written down plainly: a set, sorted anew for every question. */
export class NaiveLookup {
  readonly #known = new Map<string, Known>()
  readonly #options: Options
  finished = false
  asked = 0
  fruitless = 0
  pagesAsked = 0
  pagesOpen = 0

  constructor(options: Options, seeds: readonly Contact[]) {
    this.#options = options
    for (const seed of seeds) this.#hear(seed, 1)
    this.#settle()
  }

  get bursting(): boolean {
    return this.fruitless >= this.#options.fruitlessRepliesMax
  }

  next(): Contact | undefined {
    if (this.finished || this.asked >= this.#options.queriesMax) return undefined
    if (!this.bursting && this.#in('waiting').length >= this.#options.alpha) return undefined
    const cost = ({ contact }: Known) =>
      this.#options.delayBits(contact) - sharedPrefixBits(this.#options.target, contact.id)
    const [first] = this.#kNearestAlive()
      .filter(({ state }) => state === 'heard')
      .sort((a, b) => cost(a) - cost(b))
    if (first === undefined) return undefined
    first.state = 'waiting'
    this.asked++
    return first.contact
  }

  nextPage(): Contact | undefined {
    if (this.finished || !this.bursting || this.asked >= this.#options.queriesMax) return undefined
    const alive = this.#kNearestAlive()
    const all = this.#nearestFirst()
    const end = alive.length === this.#options.k ? all.indexOf(alive.at(-1) as Known) : all.length
    const silent = all.slice(0, end).filter((known) => !alive.includes(known)).length
    const source = alive.find(({ state, paged }) => state === 'answered' && !paged)
    if (source === undefined || silent < 3 * (this.pagesAsked + 1)) return undefined
    source.paged = true
    this.pagesAsked++
    this.pagesOpen++
    return source.contact
  }

  learned({ id }: Contact, contacts: readonly Contact[]): void {
    this.pagesOpen--
    if (this.finished) return
    const from = this.#known.get(mapKey(id)) as Known
    for (const contact of contacts.slice(0, this.#options.takePerReplyMax)) this.#hear(contact, from.depth + 1)
    this.#settle()
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
    this.#known.set(mapKey(contact.id), { contact, state: 'heard', depth, paged: false })
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
    if (lostNeeded || this.pagesOpen > 0) return
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
