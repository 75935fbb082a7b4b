import debug from 'debug'
import type { Address, Contact, NodeId } from '../keyspace/index.js'
import { compareDistance, sameBytes, sharedPrefixBits, toHex } from '../keyspace/index.js'
import type { AddressScope, Transport } from '../platform/transport.js'

const log = debug('xorbit:join')

/** So many addresses of contacts that left the table are remembered; the strings are shared, so it takes little. */
const FORMER_MAX = 64

/** So many contacts of one network are asked before those of others. */
const PER_GROUP = 2

/** What {@link KnownContacts} needs. */
export interface KnownContactsConfig {
  readonly id: NodeId
  /** Contacts of an earlier run, whether or not they still live. */
  readonly contacts: readonly Contact[]
  readonly transport: Transport
  readonly limitedScopes: readonly AddressScope[]
  /** Where the node listens: nobody asks himself. */
  ownAddress(): Address | undefined
}

/**
 * Whom the node knew: the contacts of an earlier run until they were asked, and the last ones that left the table. They
 * are ways into the network beside the bootstrap addresses, no more: nobody is told of them, and into the table they
 * come as anybody does, by an answer.
 */
export class KnownContacts {
  readonly #config: KnownContactsConfig
  /** Of an earlier run and not asked yet, by address, in the order in which they are asked. */
  #kept: Map<Address, Contact> | undefined
  /** Those that left the table; the newest last. */
  #former: Set<Address> | undefined
  /** Where the next attempt goes on. */
  #at = 0

  constructor(config: KnownContactsConfig) {
    this.#config = config
  }

  /** How many there are. */
  get size(): number {
    return this.#keptOnes().size + (this.#former?.size ?? 0)
  }

  /** The contacts of an earlier run that nothing is known of yet. */
  kept(): Contact[] {
    return [...this.#keptOnes().values()]
  }

  /** Where contacts were that left the table, the latest first. */
  former(): Address[] {
    return [...(this.#former ?? [])].reverse()
  }

  /** Addresses to be asked in an attempt to join; the next attempt gets the ones after them. */
  next(count: number): Address[] {
    const all = [...this.#keptOnes().keys(), ...this.former()]
    const first = this.#at < all.length ? this.#at : 0
    const taken = [...all.slice(first), ...all.slice(0, first)].slice(0, count)
    this.#at = all.length === 0 ? 0 : (first + taken.length) % all.length
    return taken
  }

  /** Joined: the next time it begins with the best ones again. */
  rewind(): void {
    this.#at = 0
  }

  /** A contact of an earlier run lives, or does not: it is no longer one that nothing is known of. */
  settle(address: Address): void {
    this.#kept?.delete(address)
  }

  /** A contact entered the table. */
  entered(address: Address): void {
    this.#former?.delete(address)
    if (this.#former?.size === 0) this.#former = undefined
  }

  /** A contact left the table, or found no place in it. */
  left(address: Address): void {
    this.#former ??= new Set()
    this.#former.delete(address)
    this.#former.add(address)
    if (this.#former.size <= FORMER_MAX) return
    const [oldest] = this.#former
    this.#former.delete(oldest as Address)
  }

  /** Read when they are asked for: before the start a transport does not know which addresses it can use. */
  #keptOnes(): ReadonlyMap<Address, Contact> {
    this.#kept ??= this.#config.contacts.length === 0 ? NONE : this.#read()
    return this.#kept
  }

  #read(): Map<Address, Contact> {
    const { contacts, id, limitedScopes, ownAddress, transport } = this.#config
    const own = ownAddress()
    const known = new Set<string>()
    const usable: Contact[] = []
    for (const contact of contacts) {
      const address = spelling(transport, contact.address)
      const name = toHex(contact.id)
      if (address === undefined || address === own || sameBytes(contact.id, id)) continue
      if (known.has(address) || known.has(name)) continue
      known.add(address).add(name)
      usable.push({ id: contact.id, address })
    }
    log('%d of %d known contacts can be asked', usable.length, contacts.length)
    const groupOf = (address: Address): string | undefined => {
      const { group, scope } = transport.describe(address)
      return limitedScopes.includes(scope) ? toHex(group) : undefined
    }
    return new Map(inOrderOfUse(id, usable, groupOf).map((contact) => [contact.address, contact]))
  }
}

/** Shared by all nodes that have none; nothing is ever added to what was kept. */
const NONE: Map<Address, Contact> = new Map()

/** The transport's own spelling of an address; undefined where it can't send there. */
function spelling(transport: Transport, address: Address): Address | undefined {
  try {
    return transport.decodeAddress(transport.encodeAddress(address))
  } catch (error) {
    log('%s is no address here: %o', address, error)
    return undefined
  }
}

/**
 * Whom to ask first. Of who answers, one near to us names our neighbourhood at once; but whoever chose ids near ours,
 * or has a whole network, must not be asked alone. So these alternate: the nearest, and one of each region in turn; and
 * from the third of one network on they come after all others.
 */
export function inOrderOfUse(
  id: NodeId,
  contacts: readonly Contact[],
  groupOf: (address: Address) => string | undefined,
): Contact[] {
  const nearest = [...contacts].sort((a, b) => compareDistance(id, a.id, b.id))
  const spread = inTurn(nearest, (contact) => sharedPrefixBits(id, contact.id))
  const alternating = new Set<Contact>()
  for (const [i, contact] of nearest.entries()) alternating.add(contact).add(spread[i] as Contact)
  const counts = new Map<string, number>()
  const first: Contact[] = []
  const later: Contact[] = []
  for (const contact of alternating) {
    const group = groupOf(contact.address)
    const count = group === undefined ? 0 : (counts.get(group) ?? 0)
    if (group !== undefined) counts.set(group, count + 1)
    if (count < PER_GROUP) first.push(contact)
    else later.push(contact)
  }
  return [...first, ...later]
}

/** One of each region in turn, the farthest region first. */
function inTurn(contacts: readonly Contact[], regionOf: (contact: Contact) => number): Contact[] {
  const regions = new Map<number, Contact[]>()
  for (const contact of contacts) {
    const region = regionOf(contact)
    const there = regions.get(region)
    if (there) there.push(contact)
    else regions.set(region, [contact])
  }
  const sorted = [...regions].sort(([a], [b]) => a - b).map(([, there]) => there)
  const longest = Math.max(0, ...sorted.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => sorted.flatMap((there) => there.slice(i, i + 1))).flat()
}
