import type { Contact, NodeId } from '../keyspace/index.js'
import type { Candidate } from './candidates.js'
import { Candidates, NO_NEWS } from './candidates.js'

/** What a {@link Lookup} is to find, and its bounds. */
export interface LookupOptions {
  /** The id or key whose nearest nodes are wanted. */
  readonly target: NodeId
  /** How many of them: the paper's k. */
  readonly k: number
  /** How many queries are kept in flight, except in a burst: the paper's alpha. */
  readonly alpha: number
  /** The node's own id, which is never asked. */
  readonly ownId: NodeId
  /** How many contacts of one reply are considered at most, the rest is left unread: 2k keeps honest replies whole. */
  readonly takePerReplyMax: number
  /**
   * How many contacts are asked at most: what ends a chain of liars who each name somebody nearer.
   *
   * @defaultValue 8k: an honest lookup among a million nodes takes about 1.5k, one among 60 silent sybils 3k more.
   */
  readonly queriesMax?: number
  /**
   * How many contacts that were not asked yet are remembered, the nearest of those heard of.
   *
   * @defaultValue `queriesMax`: with that many nearer ones still to be asked, no other's turn would ever come.
   */
  readonly candidatesMax?: number
  /** Replies in a row that may bring nothing nearer before all that is left is asked at once; at least 1. */
  readonly fruitlessRepliesMax: number
  /**
   * How far from the target a contact's round trip makes it seem, in bits of distance: whom to ask first of those
   * whose turn could come.
   *
   * @defaultValue none: the nearest first
   */
  readonly delayBits?: (contact: Contact) => number
  /**
   * Whether another lookup beside this one has asked a contact, so that it is not to be asked here.
   *
   * @defaultValue nobody is taken
   */
  readonly isTaken?: (contact: Contact) => boolean
}

/** For so many silent ones of the k nearest another second page is asked for. */
const SILENT_PER_PAGE = 3

/**
 * The node lookup (Maymounkov and Mazieres 2002, section 2.3) as a state machine that knows no clock and no
 * network: {@link Lookup.next} says whom to ask, what comes of it is told by {@link Lookup.answered},
 * {@link Lookup.slow}, {@link Lookup.lost} and {@link Lookup.failed}. The same calls in the same order give the
 * same lookup.
 *
 * A candidate is *alive* unless it is slow, lost or failed. Asked are only the k nearest that are alive, nearest
 * first; who drops out makes room for the next. `alpha` queries are kept in flight, not sent in rounds, so
 * that no round waits for its slowest. Two replies in a row that put nobody new among the k nearest alive
 * start a burst: all the rest of these is asked at once, until a reply puts somebody there again.
 *
 * It is finished when all of the k nearest alive have answered, or fewer where fewer are known, and nobody
 * nearer than they is slow: a host on the far side of the world is not dead. A lost one delays that only while
 * so few have answered (half of k, or of all known, or fewer) that ending now would give up on a network that is
 * slower than thought. An id is asked once at most, and so is an address.
 */
export class Lookup {
  readonly #k: number
  readonly #alpha: number
  readonly #takePerReplyMax: number
  readonly #queriesMax: number
  readonly #fruitlessRepliesMax: number
  readonly #isTaken: ((contact: Contact) => boolean) | undefined
  readonly #candidates: Candidates
  #asked = 0
  #pagesAsked = 0
  #pagesOpen = 0
  #fruitlessReplies = 0
  #finished = false
  #exhausted = false

  /**
   * @param seeds - whom to begin with, usually the nearest of the routing table, in any order
   */
  constructor(options: LookupOptions, seeds: readonly Contact[]) {
    this.#k = options.k
    this.#alpha = options.alpha
    this.#takePerReplyMax = options.takePerReplyMax
    this.#queriesMax = options.queriesMax ?? 8 * options.k
    this.#fruitlessRepliesMax = options.fruitlessRepliesMax
    this.#isTaken = options.isTaken
    const { target, ownId, candidatesMax = this.#queriesMax, delayBits = NO_DELAY } = options
    this.#candidates = new Candidates(target, ownId, candidatesMax, delayBits)
    this.#learn(seeds, seeds.length, 1)
    this.#settle()
  }

  /**
   * Whom to ask now; it counts as asked from here on, and one of {@link Lookup.answered} and
   * {@link Lookup.failed} has to follow.
   *
   * @returns undefined when nobody is to be asked before the next event, or at all
   */
  next(): Contact | undefined {
    if (this.#isTaken) this.#dropTaken(this.#isTaken)
    if (this.#finished || this.#asked >= this.#queriesMax) return undefined
    if (this.#candidates.count.waiting >= this.#alpha && !this.isClosing) return undefined
    let places = this.#k
    let best: Candidate | undefined
    for (const candidate of this.#candidates.nearestFirst) {
      // Equal costs leave the nearer one first.
      if (candidate.state === 'heard' && (best === undefined || candidate.cost < best.cost)) best = candidate
      if (isAlive(candidate) && --places === 0) break
    }
    if (best === undefined) return undefined
    this.#candidates.move(best, 'waiting')
    this.#asked++
    return best.contact
  }

  /**
   * Whom to ask for a second page of contacts: those after the first k that it knows. For each few of the k nearest
   * that are silent one is asked, the nearest first: they name the same ones, and where some of these are dead, what
   * comes behind them was named by nobody.
   *
   * @returns undefined when nobody is to be asked; else {@link Lookup.learned} has to follow, whatever comes of it
   */
  nextPage(): Contact | undefined {
    if (this.#finished || !this.isClosing || this.#asked >= this.#queriesMax) return undefined
    let places = this.#k
    let silent = 0
    let source: Candidate | undefined
    for (const candidate of this.#candidates.nearestFirst) {
      if (candidate.state === 'slow' || candidate.state === 'lost' || candidate.state === 'failed') silent++
      else if (source === undefined && candidate.state === 'answered' && !candidate.paged) source = candidate
      if (isAlive(candidate) && --places === 0) break
    }
    if (source === undefined || silent < SILENT_PER_PAGE * (this.#pagesAsked + 1)) return undefined
    source.paged = true
    this.#pagesAsked++
    this.#pagesOpen++
    return source.contact
  }

  /** A second page came, or will not come: then without contacts. */
  learned(id: NodeId, contacts: readonly Contact[]): void {
    const candidate = this.#candidates.find(id)
    this.#pagesOpen--
    if (candidate === undefined || this.#finished) return
    this.#learn(contacts, this.#takePerReplyMax, candidate.depth + 1)
    this.#settle()
  }

  /**
   * Whether it knows an id so well that it gains nothing when it is named once more: most of the contacts of a reply
   * are such ones, which need not be read.
   *
   * @param ids - bytes that hold the id
   * @param at - where it begins in them
   * @param depth - as how many steps from the seeds it is named
   */
  knows(ids: Uint8Array, at: number, depth: number): boolean {
    const candidate = this.#candidates.find(ids, at)
    return candidate !== undefined && (candidate.state !== 'heard' || depth >= candidate.depth)
  }

  /** Whether it is about to finish: the last replies brought nothing nearer, and all of the k nearest are asked. */
  get isClosing(): boolean {
    return this.#fruitlessReplies >= this.#fruitlessRepliesMax
  }

  /**
   * A contact answered, also after {@link Lookup.lost}, also after the end: then it still counts as one that
   * answered, while what it names is not looked at. Ignored for an id that nothing is expected of.
   *
   * @param contacts - whom it named; the first `takePerReplyMax` are considered
   */
  answered(id: NodeId, contacts: readonly Contact[]): void {
    const candidate = this.#expected(id)
    if (candidate === undefined) return
    this.#candidates.move(candidate, 'answered')
    if (this.#finished) return
    const nearestNew = this.#learn(contacts, this.#takePerReplyMax, candidate.depth + 1)
    const windowEnd = this.#settle()
    this.#fruitlessReplies = nearestNew < windowEnd ? 0 : this.#fruitlessReplies + 1
  }

  /** A contact is overdue: its slot is free. Its late answer counts, and is waited for if it is one of the nearest. */
  slow(id: NodeId): void {
    const candidate = this.#expected(id)
    if (candidate?.state !== 'waiting') return
    this.#candidates.move(candidate, 'slow')
    if (!this.#finished) this.#settle()
  }

  /** A contact that was {@link Lookup.slow} is overdue once more: it delays nothing. Its late answer still counts. */
  lost(id: NodeId): void {
    const candidate = this.#expected(id)
    if (candidate?.state !== 'slow') return
    this.#candidates.move(candidate, 'lost')
    if (!this.#finished) this.#settle()
  }

  /** A contact will not answer. */
  failed(id: NodeId): void {
    const candidate = this.#expected(id)
    if (candidate === undefined) return
    this.#candidates.move(candidate, 'failed')
    if (!this.#finished) this.#settle()
  }

  /**
   * Another node answered at a contact's address than the one that was named there: that one will not answer. The
   * other one lives, and may be one of the nearest; somebody who names invented ids at its address is not to hide it.
   */
  misnamed(id: NodeId, actual: Contact): void {
    const candidate = this.#expected(id)
    if (candidate === undefined) return
    this.#candidates.move(candidate, 'failed')
    if (this.#finished) return
    if (this.#candidates.free(candidate.contact.address)) this.#learn([actual], 1, candidate.depth)
    this.#settle()
  }

  /** Whether nobody is to be asked any more. Once true, it stays so. */
  get finished(): boolean {
    return this.#finished
  }

  /** Whether it finished only because `queriesMax` was spent, with some of the k nearest alive not asked. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  /** How many were asked. */
  get asked(): number {
    return this.#asked
  }

  /** How many answered, near or far. */
  get answeredCount(): number {
    return this.#candidates.count.answered
  }

  /** The nearest contacts that answered, at most k, nearest first. */
  closest(): Contact[] {
    const found: Contact[] = []
    for (const { state, contact } of this.#candidates.nearestFirst) {
      if (state !== 'answered') continue
      found.push(contact)
      if (found.length === this.#k) break
    }
    return found
  }

  /**
   * Who answered of the k nearest alive, nearest first, once the lookup {@link Lookup.isClosing}: hardly anybody of
   * them will be pushed out again. Nobody before.
   */
  settled(): Contact[] {
    if (!this.isClosing && !this.#finished) return []
    return this.nearestAlive()
      .filter(({ state }) => state === 'answered')
      .map(({ contact }) => contact)
  }

  /** The k nearest that are alive, as far as is known, or fewer where fewer are. */
  nearestAlive(): Candidate[] {
    const alive: Candidate[] = []
    for (const candidate of this.#candidates.nearestFirst) {
      if (isAlive(candidate) && alive.push(candidate) === this.#k) break
    }
    return alive
  }

  /** The k nearest that were heard of, or fewer where fewer were. */
  nearest(): Contact[] {
    return this.#candidates.nearestFirst.slice(0, this.#k).map(({ contact }) => contact)
  }

  /** How many the k nearest that were heard of are: k, or fewer where fewer were heard of. */
  get nearestKnown(): number {
    return Math.min(this.#k, this.#candidates.nearestFirst.length)
  }

  /** How many of these {@link Lookup.nearestKnown} answered. */
  get answeredOfNearest(): number {
    let answered = 0
    for (let i = 0; i < this.nearestKnown; i++) {
      if ((this.#candidates.nearestFirst[i] as Candidate).state === 'answered') answered++
    }
    return answered
  }

  /**
   * Whether more than half of the k nearest answered, so that "nobody has it" may be said.
   *
   * The k nearest are those heard of, silent and failed ones included: a holder that can't be reached may have
   * the value, and counting only who answered would make every majority a whole. So whoever names unreachable
   * ids near the key can keep an absence from being said, but can't make it said. False when nobody is known.
   */
  get conclusive(): boolean {
    return 2 * this.answeredOfNearest > this.nearestKnown
  }

  /**
   * How many steps from the seeds a contact was found: 1 for a seed, one more than that of who named it for
   * any other; the fewest of several, as known when it was asked.
   *
   * @param id - of which contact; without it, the nearest that answered
   * @returns 0 where there is no such contact
   */
  hops(id?: NodeId): number {
    const nearest = () => this.#candidates.nearestFirst.find(({ state }) => state === 'answered')
    return (id === undefined ? nearest() : this.#candidates.find(id))?.depth ?? 0
  }

  /** Whoever another lookup has asked will not answer this one. */
  #dropTaken(isTaken: (contact: Contact) => boolean): void {
    if (this.#finished) return
    for (const candidate of this.#candidates.nearestFirst) {
      if (candidate.state === 'heard' && isTaken(candidate.contact)) this.#candidates.move(candidate, 'taken')
    }
    this.#settle()
  }

  /**
   * Takes in what a reply named.
   *
   * @returns the index of the nearest one that was news, {@link NO_NEWS} when none was
   */
  #learn(contacts: readonly Contact[], takeMax: number, depth: number): number {
    let nearestNew = NO_NEWS
    const taken = Math.min(contacts.length, takeMax)
    for (let i = 0; i < taken; i++) {
      // What is inserted later and nearer moves what came before it, so the lowest index stays the nearest's.
      nearestNew = Math.min(nearestNew, this.#candidates.hear(contacts[i] as Contact, depth))
    }
    return nearestNew
  }

  /**
   * Decides whether the lookup is finished.
   *
   * @returns the index behind the last of the k nearest alive
   */
  #settle(): number {
    const list = this.#candidates.nearestFirst
    let places = this.#k
    let allAnswered = true
    let windowEnd = 0
    for (; windowEnd < list.length && places > 0; windowEnd++) {
      const candidate = list[windowEnd] as Candidate
      if (isAlive(candidate)) places--
      if (candidate.state === 'slow' || (isAlive(candidate) && candidate.state !== 'answered')) allAnswered = false
    }
    // Once nobody may be asked any more, those in flight are worth waiting for wherever they stand.
    const { count } = this.#candidates
    const spent = this.#asked >= this.#queriesMax && count.waiting === 0 && count.slow === 0
    if ((allAnswered || spent) && this.#pagesOpen === 0 && !this.#hopesForLost()) {
      this.#finished = true
      this.#exhausted = !allAnswered
    }
    return windowEnd
  }

  /** Whether the lost ones are needed: so few answered that the round trips were rather underestimated. */
  #hopesForLost(): boolean {
    return this.#candidates.count.lost > 0 && 2 * this.#candidates.count.answered <= this.nearestKnown
  }

  /** The candidate with this id, when an answer of it is still possible. */
  #expected(id: NodeId): Candidate | undefined {
    const candidate = this.#candidates.find(id)
    const isOpen = candidate?.state === 'waiting' || candidate?.state === 'slow' || candidate?.state === 'lost'
    return isOpen ? candidate : undefined
  }
}

const NO_DELAY = (): number => 0

function isAlive(candidate: Candidate): boolean {
  return candidate.state === 'heard' || candidate.state === 'waiting' || candidate.state === 'answered'
}
