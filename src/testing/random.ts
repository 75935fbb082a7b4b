import { hash, keyOf, wordAt } from '../keyspace/index.js'

const COUNTER_BYTES = 8
const KEY_BYTES = 32
const BLOCK_BYTES = 32
const STATE_END: number = KEY_BYTES + BLOCK_BYTES
const TWO_32 = 0x1_0000_0000
const TWO_53 = 0x20_0000_0000_0000

// The key, then the number of the block as 64 bits, big-endian: one compression of SHA-256 gives 32 bytes.
const input: Uint8Array = new Uint8Array(KEY_BYTES + COUNTER_BYTES)
const inputView: DataView = new DataView(input.buffer)

/**
 * Random numbers that a seed decides, the same in every JavaScript runtime: SHA-256 in counter mode. Good
 * enough for statistics and for making keys in tests; whoever knows the seed knows them all.
 *
 * @example
 * ```ts
 * const random = new SeededRandom('a seed')
 * random.int(6) + 1             // a die
 * random.fork('weather').float() // a stream of its own, whatever else is drawn from `random`
 * ```
 */
export class SeededRandom {
  // The key, then the block that is being used up: one array, as every host has such a stream.
  readonly #state = new Uint8Array(KEY_BYTES + BLOCK_BYTES)
  #blocks = 0
  #at: number = STATE_END

  /** @param seed - a number is the same seed as its decimal digits, so that one can be given by an environment variable */
  constructor(seed: string | number | Uint8Array) {
    this.#state.set(seed instanceof Uint8Array ? hash(seed) : keyOf(`xorbit/simulator/${seed}`))
  }

  /** The next `length` bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) {
      if (this.#at === STATE_END) this.#refill()
      bytes[i] = this.#state[this.#at++] as number
    }
    return bytes
  }

  /** A number from 0 up to, not including, 1: 53 random bits. */
  float(): number {
    const high = this.#uint32() >>> 5
    const low = this.#uint32() >>> 6
    return (high * 0x400_0000 + low) / TWO_53
  }

  /**
   * An integer from 0 up to, not including, `bound`, each equally likely.
   *
   * @throws RangeError when `bound` is no integer from 1 to 2^32
   */
  int(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > TWO_32)
      throw new RangeError('bound must be an integer from 1 to 2^32')
    // The last, incomplete run of `bound` numbers below 2^32 would favour the small ones: draw again.
    const fair = TWO_32 - (TWO_32 % bound)
    let drawn = this.#uint32()
    while (drawn >= fair) drawn = this.#uint32()
    return drawn % bound
  }

  /** True with the given probability. Draws nothing for 0 and 1, which are certain. */
  chance(probability: number): boolean {
    if (probability <= 0) return false
    return probability >= 1 || this.#uint32() < probability * TWO_32
  }

  /**
   * One of the items, each equally likely.
   *
   * @throws RangeError when there is none
   */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from')
    return items[this.int(items.length)] as T
  }

  /** The items in a random order, each order equally likely; `items` stays as it is. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items]
    // Fisher and Yates, from the end.
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.int(last + 1)
      const swapped = shuffled[last] as T
      shuffled[last] = shuffled[other] as T
      shuffled[other] = swapped
    }
    return shuffled
  }

  /** An independent stream: one seed and one label give one stream, however much was drawn from this one. */
  fork(label: string): SeededRandom {
    const seed = new Uint8Array(2 * KEY_BYTES)
    seed.set(this.#state.slice(0, KEY_BYTES))
    seed.set(keyOf(label), KEY_BYTES)
    return new SeededRandom(seed)
  }

  #uint32(): number {
    // What is left of a block and too short is skipped: blocks are a whole number of words.
    if (this.#at + 4 > STATE_END) this.#refill()
    const word = wordAt(this.#state, this.#at)
    this.#at += 4
    return word >>> 0
  }

  #refill(): void {
    this.#blocks++
    // Byte by byte: a view would move the array out of the heap, into memory of its own.
    for (let i = 0; i < KEY_BYTES; i++) input[i] = this.#state[i] as number
    inputView.setUint32(KEY_BYTES, Math.floor(this.#blocks / TWO_32))
    inputView.setUint32(KEY_BYTES + 4, this.#blocks >>> 0)
    this.#state.set(hash(input), KEY_BYTES)
    this.#at = KEY_BYTES
  }
}
