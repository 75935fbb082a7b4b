import debug from 'debug'
import KBucket from '#k-bucket'
import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { toHex } from '../keyspace/index.js'
import type { AddressDescription, AddressScope } from '../platform/transport.js'
import { AddressIndex } from './address-index.js'
import { Buckets } from './buckets.js'
import { Diversity, groupOf } from './diversity.js'
import type { Group, TableEntry } from './entry.js'
import { Entry } from './entry.js'
import { Regions } from './regions.js'
import { Replacements } from './replacements.js'

const log = debug('xorbit:table')

/** Everything that a {@link RoutingTable} needs; it has no defaults of its own. */
export interface RoutingTableOptions {
  /** Our own id, which never enters. */
  readonly ownId: NodeId
  /** How many entries a bucket holds (paper 2.2). */
  readonly k: number
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** What the transport knows about an address. */
  readonly describe: (address: Address) => AddressDescription
  /** An address as bytes. Without it the entries do not keep what replies need of these. */
  readonly encodeAddress?: (address: Address) => Uint8Array
  /** How many calls in a row must fail before an entry leaves; a call has then been resent already. At least 1. */
  readonly failuresMax: number
  /** How many contacts wait beside each bucket; 0 for none. */
  readonly replacementsMax: number
  /** How many entries of one network (the /24 or /64) a bucket takes. At least 1. */
  readonly groupPerBucketMax: number
  /** How many entries of one network the table takes. At least 1. */
  readonly groupPerTableMax: number
  /** The scopes to which the two limits by network apply. */
  readonly limitedScopes: readonly AddressScope[]
  /** Called after a contact entered. One that only moves to another address is reported neither here nor below. */
  readonly onAdded?: (contact: Contact) => void
  /** Called after a contact left, before a replacement of it enters. */
  readonly onRemoved?: (contact: Contact) => void
}

const NO_BYTES = new Uint8Array(0)

function notEncoded(): Uint8Array {
  return NO_BYTES
}

/** What k-bucket keeps of two entries of one id. */
function theNewer(_incumbent: Entry, candidate: Entry): Entry {
  return candidate
}

/**
 * The routing table (paper 2.2, 2.4): whom we know, many near our id and few far from it.
 *
 * The tree of buckets and its splitting along our own path are k-bucket's. It takes an id exactly as long as fewer
 * than k entries share as many leading bits with us, because it splits our own leaf as often as that helps. So here
 * a *bucket* is all ids that share exactly `i` leading bits with our id, even while several of them sit in one
 * unsplit leaf.
 *
 * What k-bucket lacks is added here: ages and failures (which decide who leaves), exact distances (its own are
 * floats, equal for ids that differ only in their last bits), one entry for each address, limits by network,
 * replacements, and the age of each region's last lookup. Entries are looked for, and kept in the order in which
 * they last answered, by bucket (`buckets.ts`): k-bucket reads the ids of a whole leaf for that, and hears here only
 * of who comes, moves and leaves.
 */
export class RoutingTable {
  // Field by field, because options come with all that a whole node is configured with.
  readonly #k: number
  readonly #failuresMax: number
  readonly #limitedScopes: readonly AddressScope[]
  readonly #now: () => number
  readonly #describe: (address: Address) => AddressDescription
  readonly #encodeAddress: (address: Address) => Uint8Array
  readonly #onAdded: ((contact: Contact) => void) | undefined
  readonly #onRemoved: ((contact: Contact) => void) | undefined
  readonly #tree: KBucket<Entry>
  /** Keeps one entry an address, and finds the entry of a datagram without a walk through the tree. */
  readonly #byAddress = new AddressIndex()
  /** Finds the entry of an id, tells whether k-bucket would take one, and who is near to it. */
  readonly #buckets: Buckets
  readonly #diversity: Diversity
  readonly #replacements: Replacements
  readonly #regions: Regions

  constructor(options: RoutingTableOptions) {
    const { k, failuresMax, replacementsMax, groupPerBucketMax, groupPerTableMax } = options
    const ownId = new Uint8Array(options.ownId)
    this.#k = k
    this.#failuresMax = failuresMax
    this.#limitedScopes = options.limitedScopes
    this.#now = options.now
    this.#describe = options.describe
    this.#encodeAddress = options.encodeAddress ?? notEncoded
    this.#onAdded = options.onAdded
    this.#onRemoved = options.onRemoved
    this.#buckets = new Buckets(ownId)
    this.#regions = new Regions(this.#buckets.length)
    this.#diversity = new Diversity(groupPerBucketMax, groupPerTableMax)
    this.#replacements = new Replacements(replacementsMax, groupPerBucketMax)
    this.#tree = new KBucket<Entry>({
      localNodeId: ownId,
      numberOfNodesPerKBucket: k,
      arbiter: theNewer,
    })
  }

  /** How many entries the table has. */
  get size(): number {
    return this.#byAddress.size
  }

  /**
   * Takes note that a contact has just answered a call of ours, from its address and with its id: the only way
   * into the table. Another id's entry at that address leaves, whatever becomes of this contact.
   *
   * @param contact - copied when it is kept, so it may be a view into a datagram
   * @returns `'added'`: it is in now. `'updated'`: it was in already, and has moved if it answered from another
   *   address. `'waiting'`: its bucket is full, it waits for a place. `'refused'`: it is ourselves, or too many
   *   of its network are in, or nobody may wait; an entry that it has at another address stays as it was.
   */
  answered(contact: Contact): 'added' | 'updated' | 'waiting' | 'refused' {
    const holder = this.#byAddress.get(contact.address)
    if (holder?.isOf(contact.id)) {
      holder.seen(this.#now())
      this.#buckets.moveToEnd(holder)
      return 'updated'
    }
    if (holder !== undefined) this.#leave(holder)
    const known = this.#buckets.find(contact.id)
    const outcome = known === undefined ? this.#admit(contact) : this.#move(known, contact)
    // Only now: the newcomer has just answered, the replacements a while ago, so the place is rather his.
    if (holder !== undefined) this.#fill(holder.bucket)
    return outcome
  }

  /**
   * Takes note that a call to a contact failed after its resend. At `failuresMax` in a row its entry leaves and
   * the freshest replacement moves in; a contact that only waits leaves at once.
   *
   * @param address - where it was called. With it, an entry at another address is left alone: otherwise a node
   *   that hands out wrong addresses of ours contacts could make us drop them.
   * @param sentAtMs - when the call was sent; one sent before the last failure was counted is part of the same silence
   */
  failed(id: NodeId, address?: Address, sentAtMs: number = Number.POSITIVE_INFINITY): void {
    const entry = this.#find(id, address)
    if (entry === undefined || sentAtMs < (entry.lastFailedMs ?? sentAtMs)) return
    entry.failures++
    entry.lastFailedMs = this.#now()
    if (entry.failures >= this.#failuresMax || !this.#isIn(entry)) this.#drop(entry)
  }

  /**
   * Removes a contact, waiting or in; its bucket gets a replacement.
   *
   * @param address - with it, an entry at another address is left alone
   */
  remove(id: NodeId, address?: Address): void {
    const entry = this.#find(id, address)
    if (entry !== undefined) this.#drop(entry)
  }

  /** The entry of an id; contacts that wait have none. */
  get(id: NodeId): TableEntry | undefined {
    return this.#buckets.find(id)
  }

  /** The entry at an address. */
  at(address: Address): TableEntry | undefined {
    return this.#byAddress.get(address)
  }

  /**
   * Whether {@link RoutingTable.answered} would add the contact: it is not in yet and not ourselves, its bucket
   * has a free place and the limits by network allow it. Changes nothing.
   */
  hasPlaceFor(contact: Contact): boolean {
    const bucket = this.bucketIndex(contact.id)
    if (bucket === this.#buckets.length || this.#buckets.find(contact.id) !== undefined) return false
    const leaving = this.#byAddress.get(contact.address)
    const entries = this.#buckets.in(bucket)
    const count = entries.length - (leaving?.bucket === bucket ? 1 : 0)
    return count < this.#k && this.#diversity.allows(this.#groupOf(this.#describe(contact.address)), entries, leaving)
  }

  /** Which bucket an id belongs to: how many leading bits it shares with ours. */
  bucketIndex(id: NodeId): number {
    return this.#buckets.indexOf(id)
  }

  /** How many entries share exactly so many leading bits with us. */
  countIn(bucket: number): number {
    return this.#buckets.count(bucket)
  }

  /** Of the bucket that the id belongs to, the entry that last answered longest ago. */
  leastRecentlySeen(id: NodeId): TableEntry | undefined {
    let least: Entry | undefined
    // Not simply the first: a replacement that moved in is the last, though others answered since.
    for (const entry of this.#buckets.in(this.bucketIndex(id))) {
      if (least === undefined || entry.lastSeenMs < least.lastSeenMs) least = entry
    }
    return least
  }

  /**
   * The entries nearest to `target` of the whole table, nearest first, in exact XOR order.
   *
   * @param accept - leaves out the entries for which it is false
   */
  nearest(target: NodeId, count: number, accept?: (entry: TableEntry) => boolean): TableEntry[] {
    return this.#buckets.nearest(target, count, accept)
  }

  /**
   * About how many nodes of the network are nearer to a key than we are: all ids of the key's bucket are, and no
   * others. Where that bucket is full, at least k; each full bucket beyond it means twice as many.
   */
  countNearer(key: NodeId): number {
    const bucket = this.bucketIndex(key)
    if (bucket === this.#buckets.length) return 0
    const k = this.#k
    const known = this.#buckets.count(bucket)
    if (known < k) return known
    let deepestFull = this.#buckets.length - 1
    while (this.#buckets.count(deepestFull) < k) deepestFull--
    return k * 2 ** Math.min(deepestFull - bucket, 40)
  }

  /** All entries, in no order that means anything. */
  entries(): TableEntry[] {
    return this.#buckets.all()
  }

  /** Takes note that a lookup of `target` has just run: its region needs no refresh for a while. */
  markLookedUp(target: NodeId): void {
    this.#regions.markLookedUp(this.bucketIndex(target), this.#now())
  }

  /**
   * The regions that no lookup ran in for at least `ageMs`, as the number of leading bits that their ids share
   * with ours, ascending.
   *
   * They go from 0 to the first region beyond which, it included, at most k/2 entries lie: one lookup there
   * finds the k nearest to it and so everybody beyond, so a lookup in a deeper region, one of our own id above
   * all, counts for it. Half of k, because a young table that missed some neighbours is to be told from a small
   * network; not the deepest entry, because one id chosen near ours would cost us hundreds of lookups.
   */
  staleRegions(ageMs: number): number[] {
    let deepest = this.#buckets.length - 1
    let beyond = this.#buckets.count(deepest)
    while (deepest > 0 && beyond + this.#buckets.count(deepest - 1) <= this.#k / 2) {
      deepest--
      beyond += this.#buckets.count(deepest)
    }
    return this.#regions.stale(deepest, this.#now(), ageMs)
  }

  /** Removes every entry, reporting each, and forgets who waited and what was looked up. */
  clear(): void {
    this.#replacements.clear()
    this.#regions.clear()
    for (const entry of this.#buckets.all()) this.#leave(entry)
  }

  /** Adds a contact that is not in, or lets it wait. */
  #admit(contact: Contact): 'added' | 'waiting' | 'refused' {
    const bucket = this.bucketIndex(contact.id)
    const waiting = this.#replacements.find(contact.id, bucket)
    if (waiting?.address === contact.address && this.#goesOnWaiting(waiting)) {
      waiting.seen(this.#now())
      this.#replacements.refresh(waiting)
      return 'waiting'
    }
    if (waiting !== undefined) this.#replacements.delete(waiting)
    this.#evictWaitingAt(contact.address)
    if (bucket === this.#buckets.length) return 'refused'
    const entry = waiting?.address === contact.address ? waiting : this.#newEntry(contact, bucket)
    if (!this.#diversity.allows(entry.group, this.#buckets.in(bucket))) return 'refused'
    entry.seen(this.#now())
    if (this.#buckets.count(bucket) < this.#k) {
      this.#enter(entry)
      return 'added'
    }
    // Paper 4.1: nobody is evicted for a newcomer, who waits until somebody leaves.
    this.#replacements.add(entry)
    return this.#replacements.at(entry.address) === entry ? 'waiting' : 'refused'
  }

  /** Whether there is still no place for one that waits, though it might have one. */
  #goesOnWaiting({ bucket, group }: Entry): boolean {
    return this.#buckets.count(bucket) >= this.#k && this.#diversity.allows(group, this.#buckets.in(bucket))
  }

  /** Gives an entry another address, which nobody in the table has. */
  #move(known: Entry, contact: Contact): 'updated' | 'refused' {
    this.#evictWaitingAt(contact.address)
    const moved = this.#newEntry(contact, known.bucket)
    if (!this.#diversity.allows(moved.group, this.#buckets.in(moved.bucket), known)) return 'refused'
    this.#diversity.delete(known)
    this.#byAddress.delete(known.address)
    this.#diversity.add(moved)
    this.#buckets.moveToEnd(known, moved)
    this.#byAddress.add(moved)
    // k-bucket swaps the two, as the arbiter prefers the newer.
    this.#tree.add(moved)
    return 'updated'
  }

  #enter(entry: Entry): void {
    this.#tree.add(entry)
    this.#byAddress.add(entry)
    this.#buckets.add(entry)
    this.#diversity.add(entry)
    if (log.enabled) log('added %s at %s to bucket %d', toHex(entry.id), entry.address, entry.bucket)
    this.#onAdded?.(entry)
  }

  #leave(entry: Entry): void {
    this.#tree.remove(entry.id)
    this.#byAddress.delete(entry.address)
    this.#buckets.remove(entry)
    this.#diversity.delete(entry)
    if (log.enabled) log('removed %s at %s, %d failures', toHex(entry.id), entry.address, entry.failures)
    this.#onRemoved?.(entry)
  }

  #drop(entry: Entry): void {
    if (this.#isIn(entry)) {
      this.#leave(entry)
      this.#fill(entry.bucket)
    } else {
      this.#replacements.delete(entry)
    }
  }

  /** Gives a bucket's free place to the freshest of its waiting contacts that the limits by network allow. */
  #fill(bucket: number): void {
    if (this.#buckets.count(bucket) === this.#k) return
    const entries = this.#buckets.in(bucket)
    const entry = this.#replacements.takeFreshest(bucket, ({ group }) => this.#diversity.allows(group, entries))
    if (entry !== undefined) this.#enter(entry)
  }

  #find(id: NodeId, address: Address | undefined): Entry | undefined {
    const entry = this.#buckets.find(id) ?? this.#replacements.find(id, this.bucketIndex(id))
    return address === undefined || entry?.address === address ? entry : undefined
  }

  #isIn(entry: Entry): boolean {
    return this.#byAddress.get(entry.address) === entry
  }

  /** Another id answered at the address. */
  #evictWaitingAt(address: Address): void {
    const waiting = this.#replacements.at(address)
    if (waiting !== undefined) this.#replacements.delete(waiting)
  }

  /** An entry that has just answered. */
  #newEntry(contact: Contact, bucket: number): Entry {
    const { address } = contact
    const described = this.#describe(address)
    const group = this.#groupOf(described)
    return new Entry(contact, bucket, group, this.#now(), this.#encodeAddress(address), described.scope)
  }

  #groupOf({ group, scope }: AddressDescription): Group | undefined {
    return this.#limitedScopes.includes(scope) ? groupOf(group) : undefined
  }
}
