import type { Contact, NodeId } from '../keyspace/index.js'
import { compareDistance, ID_BYTES, mapKey, nearest, sharedPrefixBits } from '../keyspace/index.js'

/** The order of ids as big-endian numbers is that of their distance to zero. */
const ZERO: NodeId = new Uint8Array(ID_BYTES)

/**
 * How many bits finer than the region in question an unknown part may be and still be worth a lookup of its own.
 * Around k nodes that share a very long prefix each lookup shows one bit more, up to 256 of them: one of the key is
 * cheaper. Among evenly spread nodes parts so small hardly occur, unless k is 1 or 2.
 */
const FINER_BITS_MAX = 5

/** What is known of all ids with one prefix: nothing, everything, or something of its halves (next bit 0, 1). */
type Part = undefined | 'complete' | [Part, Part]

/** Contacts `from` to `to` of the sorted ones: all those that share `bits` leading bits with a key. */
interface Range {
  readonly from: number
  readonly to: number
  readonly bits: number
}

/**
 * What lookups have shown of the key space, so that thousands of keys do not need one lookup each.
 *
 * Where the k-th nearest node to a point shares p leading bits with it, all nodes that share p + 1 are nearer, so
 * a lookup of the point finds every one of them: that part of the key space is *complete*. Two complete halves make
 * a complete whole. Lookups that found fewer than k in all have found the whole network.
 *
 * It takes lookups at their word and forgets nothing: begin a new one when the network may have changed.
 */
export class Coverage<C extends Contact = Contact> {
  readonly #k: number
  /** One for each id, in the order of ids: those that share a prefix stand side by side. */
  readonly #contacts: C[] = []
  readonly #lookedUp = new Set<string>()
  #whole: Part

  /** @param k - how many nodes a lookup finds, 1 or more */
  constructor(k: number) {
    this.#k = k
  }

  /**
   * Takes in what a lookup of `point` found. A contact replaces the earlier one of its id.
   *
   * A lookup that found fewer than k although k are known fell short: it shows nothing about other keys.
   *
   * @param closest - the k nearest nodes to the point, or all there are if fewer, nearest first
   */
  add(point: NodeId, closest: readonly C[]): void {
    for (const contact of closest) this.#keep(contact)
    this.#lookedUp.add(mapKey(point))
    if (closest.length < this.#k) return
    // Those known before count too: where the lookup passed over some of them, it shows less.
    const depth = Math.min(this.#around(point).bits + 1, point.length * 8)
    this.#whole = completed(this.#whole, point, depth)
  }

  /** The k nearest known contacts to the key, or all if fewer are known, nearest first. */
  nearest(key: NodeId): C[] {
    const { from, to } = this.#around(key)
    return nearest(this.#contacts.slice(from, to), key, this.#k)
  }

  /**
   * Where to look next, so that {@link Coverage.nearest} of the key becomes the true k nearest.
   *
   * No point is returned again after it was added, and whatever the lookups find, adding them comes to an end.
   *
   * @returns the point nearest to the key of which nothing is known, or the key itself where that is cheaper;
   * undefined when all nodes nearer than the k-th nearest known one are known, or the key itself was looked up
   */
  missing(key: NodeId): NodeId | undefined {
    if (this.#lookedUp.has(mapKey(key))) return undefined
    if (this.#lookedUp.size > 0 && this.#contacts.length < this.#k) return undefined
    // Who is nearer than the k-th nearest shares as many bits with the key as that one, or more.
    const { bits } = this.#around(key)
    const point = key.slice()
    let part = this.#whole
    let depth = 0
    for (; part !== undefined; depth++) {
      if (part === 'complete') return undefined
      let half: Part = part[bitAt(key, depth)]
      if (half === 'complete' && depth >= bits) {
        flipBit(point, depth)
        half = part[bitAt(point, depth)]
      }
      part = half
    }
    // The point is the nearest of which nothing is known. Beyond the k-th nearest contact nobody counts.
    const farthest = this.nearest(key).at(-1)
    if (farthest !== undefined && compareDistance(key, point, farthest.id) >= 0) return undefined
    const fellShort = this.#lookedUp.has(mapKey(point))
    return fellShort || depth > bits + FINER_BITS_MAX ? key.slice() : point
  }

  #keep(contact: C): void {
    const at = this.#indexOf(contact.id)
    const there = this.#contacts[at]
    const isKnown = there !== undefined && compareDistance(ZERO, there.id, contact.id) === 0
    this.#contacts.splice(at, isKnown ? 1 : 0, contact)
  }

  /** The index of the first contact whose id is not below `id`. */
  #indexOf(id: NodeId): number {
    let low = 0
    let high = this.#contacts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareDistance(ZERO, (this.#contacts[middle] as C).id, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The contacts with the longest prefix of the key that k of them have: the k nearest are among them. */
  #around(key: NodeId): Range {
    if (this.#contacts.length < this.#k) return { from: 0, to: this.#contacts.length, bits: 0 }
    let from = this.#indexOf(key)
    let to = from
    let bits = key.length * 8
    let before = this.#sharedBits(key, from - 1)
    let after = this.#sharedBits(key, to)
    // Shared prefixes only get shorter on either side: take the longer one, until k have it and all their equals.
    while (to - from < this.#k || before >= bits || after >= bits) {
      bits = Math.min(bits, Math.max(before, after))
      if (before >= after) before = this.#sharedBits(key, --from - 1)
      else after = this.#sharedBits(key, ++to)
    }
    return { from, to, bits }
  }

  /** -1 where there is no contact: less than any has. */
  #sharedBits(key: NodeId, index: number): number {
    const contact = this.#contacts[index]
    return contact === undefined ? -1 : sharedPrefixBits(key, contact.id)
  }
}

/** `part`, which has the first `depth` bits of the point, with the part complete that has `to` of them. */
function completed(part: Part, point: NodeId, to: number, depth = 0): Part {
  if (part === 'complete' || depth === to) return 'complete'
  const halves: [Part, Part] = part ?? [undefined, undefined]
  const bit = bitAt(point, depth)
  halves[bit] = completed(halves[bit], point, to, depth + 1)
  return halves[0] === 'complete' && halves[1] === 'complete' ? 'complete' : halves
}

function bitAt(id: NodeId, index: number): 0 | 1 {
  return (((id[index >> 3] as number) >> (7 - (index & 7))) & 1) as 0 | 1
}

function flipBit(id: NodeId, index: number): void {
  id[index >> 3] = (id[index >> 3] as number) ^ (0x80 >> (index & 7))
}
