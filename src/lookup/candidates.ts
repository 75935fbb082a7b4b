import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { sameBytes, sharedPrefixBits, wordAt } from '../keyspace/index.js'

/** What became of a candidate so far. */
export type CandidateState =
  /** Somebody named it, and it was not asked. */
  | 'heard'
  /** It was asked, and its answer is expected any moment. */
  | 'waiting'
  /** It was asked and is overdue: it holds no slot and no place among the k nearest, but an end without it is too early. */
  | 'slow'
  /** It is overdue once more, after it was asked a second time: nothing waits for it, though it may still answer. */
  | 'lost'
  /** It answered, which makes it one that `closest` may return. */
  | 'answered'
  /** It will not answer; it stays known, so that nobody makes us ask it again. */
  | 'failed'
  /** Another lookup beside this one asks it. */
  | 'taken'

/** A contact as one lookup knows it. */
export class Candidate {
  readonly contact: Contact
  /** Changed by {@link Candidates.move} only, which keeps the counts. */
  state: CandidateState = 'heard'
  /** 1 for what the lookup started with, else one more than that of who named it. */
  depth: number
  /** What asking it costs, see {@link Candidates.hear}: of those whose turn could come, the lowest is asked first. */
  readonly cost: number
  /** Whether it was asked for a second page of contacts. */
  paged = false

  constructor(contact: Contact, depth: number, cost: number) {
    this.contact = contact
    this.depth = depth
    this.cost = cost
  }
}

/** XOR with it makes the order of signed numbers that of unsigned ones. */
const SIGN_BIT = 1 << 31

/** How many bytes of an id are its first word. */
const WORD_BYTES = 4

/** What {@link Candidates.hear} returns for a contact that it did not take in. */
export const NO_NEWS: number = Number.POSITIVE_INFINITY

/**
 * All that one lookup knows, in exact XOR order. Each id is in it once and so is each address; never the
 * node's own id. Of those not asked it keeps the nearest `heardMax`, of those asked all.
 */
export class Candidates {
  /** How many there are in each state. */
  readonly count: Record<CandidateState, number> = {
    heard: 0,
    waiting: 0,
    slow: 0,
    lost: 0,
    answered: 0,
    failed: 0,
    taken: 0,
  }
  readonly #target: NodeId
  readonly #targetFirst: number
  readonly #ownId: NodeId
  readonly #heardMax: number
  readonly #delayBits: (contact: Contact) => number
  // An array serves as the map too: the search for an id's place, by distance, finds the id itself.
  readonly #list: Candidate[] = []
  /** The first word of each one's distance, see {@link Candidates.#firstOf}: a search reads these, side by side. */
  readonly #firsts: number[] = []
  #freed: Set<Address> | undefined
  readonly #byAddress = new Map<Address, Candidate>()

  /**
   * @param delayBits - how far from the target a contact's round trip makes it seem, in bits of distance
   */
  constructor(target: NodeId, ownId: NodeId, heardMax: number, delayBits: (contact: Contact) => number) {
    this.#target = target
    this.#targetFirst = wordAt(target, 0) ^ SIGN_BIT
    this.#ownId = ownId
    this.#heardMax = heardMax
    this.#delayBits = delayBits
  }

  /** All of them; the list itself, not a copy. */
  get nearestFirst(): readonly Candidate[] {
    return this.#list
  }

  /**
   * The candidate with this id.
   *
   * @param ids - bytes that hold it
   * @param at - where it begins in them
   */
  find(ids: Uint8Array, at: number = 0): Candidate | undefined {
    const index = this.#indexOf(ids, at)
    return index < 0 ? undefined : this.#list[index]
  }

  /** Changes the state of a candidate. */
  move(candidate: Candidate, state: CandidateState): void {
    this.count[candidate.state]--
    this.count[state]++
    candidate.state = state
  }

  /**
   * Forgets that an address was asked, as another node than the named one lives there.
   *
   * @returns false the second time: who answers with a new id each time is not to use up a lookup
   */
  free(address: Address): boolean {
    if (this.#freed?.has(address)) return false
    this.#freed ??= new Set()
    this.#freed.add(address)
    return this.#byAddress.delete(address)
  }

  /**
   * Takes in a contact that somebody named.
   *
   * @returns its index, or {@link NO_NEWS} when it was known, is to be ignored, or is too far away to be kept
   */
  hear(contact: Contact, depth: number): number {
    const found = this.#indexOf(contact.id, 0)
    if (found >= 0) {
      const known = this.#list[found] as Candidate
      if (known.state === 'heard' && depth < known.depth) known.depth = depth
      return NO_NEWS
    }
    const index = ~found
    if (sameBytes(contact.id, this.#ownId) || !this.#makeRoom(contact.address, index)) return NO_NEWS
    const cost = this.#delayBits(contact) - sharedPrefixBits(this.#target, contact.id)
    const candidate = new Candidate(contact, depth, cost)
    this.#list.splice(index, 0, candidate)
    this.#firsts.splice(index, 0, this.#firstOf(contact.id, 0))
    this.#byAddress.set(contact.address, candidate)
    this.count.heard++
    return index
  }

  /** Drops whom a newcomer at `index` replaces, if anybody; false when the newcomer is the worse one. */
  #makeRoom(address: Address, index: number): boolean {
    const rival = this.#byAddress.get(address)
    if (rival !== undefined) {
      // Many ids at one address cost it one query: the nearest's, whose turn would come first anyway.
      const rivalIndex = this.#indexOf(rival.contact.id, 0)
      if (rival.state !== 'heard' || rivalIndex < index) return false
      this.#drop(rivalIndex)
      return true
    }
    if (this.count.heard < this.#heardMax) return true
    let farthest = this.#list.length - 1
    while (farthest >= index && (this.#list[farthest] as Candidate).state !== 'heard') farthest--
    if (farthest < index) return false
    this.#drop(farthest)
    return true
  }

  #drop(index: number): void {
    const [dropped] = this.#list.splice(index, 1) as [Candidate]
    this.#firsts.splice(index, 1)
    this.#byAddress.delete(dropped.contact.address)
    this.count.heard--
  }

  /** The index of an id, or the bitwise complement (which is negative) of where it would be inserted. */
  #indexOf(ids: Uint8Array, at: number): number {
    const firsts = this.#firsts
    const first = this.#firstOf(ids, at)
    let low = 0
    let high = firsts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = firsts[middle] as number
      if (other < first) {
        low = middle + 1
      } else if (other > first) {
        high = middle
      } else {
        // Hardly ever more than once a search: so many leading bits are shared by the id itself alone.
        const order = this.#compareRest(this.#list[middle] as Candidate, ids, at)
        if (order === 0) return middle
        if (order < 0) low = middle + 1
        else high = middle
      }
    }
    return ~low
  }

  /** The first 32 bits of an id's distance, less 2^31, as V8 keeps a signed number of 32 bits without a box. */
  #firstOf(ids: Uint8Array, at: number): number {
    return wordAt(ids, at) ^ this.#targetFirst
  }

  /** Orders a candidate and an id by distance, beyond the first word, in which they are equal. */
  #compareRest(candidate: Candidate, ids: Uint8Array, at: number): number {
    const { id } = candidate.contact
    for (let i = WORD_BYTES; i < id.length; i++) {
      const mine = id[i] as number
      const theirs = ids[at + i] as number
      if (mine !== theirs) return (mine ^ (this.#target[i] as number)) - (theirs ^ (this.#target[i] as number))
    }
    return 0
  }
}
