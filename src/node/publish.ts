import type { DhtErrorCode } from '../errors.js'
import { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { mapKey, sameBytes } from '../keyspace/index.js'
import type { LookupOutcome } from '../lookup/index.js'
import type { KeyPair } from '../platform/signatures.js'
import type { RecordKind } from '../records/index.js'
import { encodeMutable, mutableKey, SEQ_MAX } from '../records/index.js'
import type { StoredRecord } from '../storage/index.js'
import { whenReady } from '../storage/index.js'
import { usable } from './copies.js'
import { askRecords, lookUpRecords, ONE_RECORD } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import { refuse } from './outcome.js'
import type { StoredAt } from './put-record.js'
import { finish, targetsOf } from './put-record.js'
import type { StoreReply, StoreTarget } from './store-at.js'
import { dropOwnCopy, keepOwnCopy, storeAt } from './store-at.js'

/** Refusals that mean that a holder has another record. */
const CONTESTED: readonly DhtErrorCode[] = ['ERR_SEQ_TOO_LOW', 'ERR_SEQ_CONFLICT', 'ERR_CAS_MISMATCH']

/** A value that is to be published. */
export interface ValueToPublish {
  readonly keys: KeyPair
  readonly value: Uint8Array
  readonly salt: Uint8Array
  /** Undefined: one more than the highest that the network holds. */
  readonly seq: bigint | undefined
  /** The sequence number that the network must hold, 0 for none; undefined for any. */
  readonly cas: bigint | undefined
  readonly lifetimeMs: number
}

/** What was published. */
export interface Published extends StoredAt {
  readonly key: NodeId
  readonly record: Uint8Array
  readonly seq: bigint
}

/**
 * Signs a value and stores it at the k nodes nearest to the key of its public key and salt. The same lookup learns
 * what the network holds, and collects the tokens.
 *
 * @param lastSeq - the highest sequence number that we published there ourselves, as far as we remember
 * @returns cancels it; what was stored by then stays
 */
export function publish(
  node: NodeContext,
  kind: RecordKind,
  publication: ValueToPublish,
  lastSeq: bigint | undefined,
  done: Done<Published>,
): () => void {
  if (node.table.size === 0) return refuse(done)
  const publishing = new Publishing(node, kind, publication, lastSeq, done)
  publishing.start()
  return () => publishing.stop()
}

/** A signed record on its way. */
interface Storing {
  readonly outcome: LookupOutcome
  readonly seq: bigint
  readonly record: Uint8Array
  readonly targets: readonly StoreTarget[]
}

class Publishing {
  readonly #node: NodeContext
  readonly #kind: RecordKind
  readonly #publication: ValueToPublish
  readonly #key: NodeId
  readonly #lastSeq: bigint
  readonly #done: Done<Published>
  readonly #startedAtMs: number
  readonly #tokens = new Map<string, Uint8Array>()
  #held: Uint8Array | undefined
  /** Our own copy as it was. */
  #own: StoredRecord | undefined
  /** What we signed last. */
  #record: Uint8Array | undefined
  #messages = 0
  #cancel = (): void => {}
  #isLookedUp = false
  #isOver = false

  constructor(
    node: NodeContext,
    kind: RecordKind,
    publication: ValueToPublish,
    lastSeq: bigint | undefined,
    done: Done<Published>,
  ) {
    this.#node = node
    this.#kind = kind
    this.#publication = publication
    this.#lastSeq = lastSeq ?? 0n
    this.#done = done
    this.#startedAtMs = node.clock.now()
    this.#key = mutableKey(publication.keys.publicKey, publication.salt)
  }

  start(): void {
    const { store } = this.#node
    whenReady(
      () => store.list(this.#key, this.#kind.code),
      (held) => {
        this.#own = usable(this.#node, this.#key, this.#kind, held)[0]
        if (this.#own) this.#learn(this.#own.record)
        this.#lookUp()
      },
      () => this.#lookUp(),
    )
  }

  stop(): void {
    this.#isOver = true
    this.#cancel()
  }

  #learn(record: Uint8Array): void {
    this.#held = this.#held ? this.#kind.merge(this.#held, record) : record
  }

  #lookUp(): void {
    if (this.#isOver) return
    const run = lookUpRecords(this.#node, this.#key, this.#kind, () => this.#request(), {
      answer: (contact, { token, records }) => {
        this.#tokens.set(mapKey(contact.id), token)
        for (const { record } of records) this.#learn(record)
      },
      done: (outcome) => this.#store(outcome),
    })
    // It may have ended at once, and have begun what follows.
    if (!this.#isLookedUp) this.#cancel = run.stop
  }

  #request() {
    const { cas, seq } = this.#publication
    if (cas !== undefined) return { ...ONE_RECORD, known: this.#held }
    // What we outbid anyway need not be sent. A record itself is asked for, as a claimed number is no proof.
    const next = this.#highestSeq() + 1n
    return { ...ONE_RECORD, minSeq: seq ?? (next > SEQ_MAX ? SEQ_MAX : next), known: this.#held }
  }

  /** The highest sequence number known so far. */
  #highestSeq(): bigint {
    const heldSeq = (this.#held && this.#kind.seq?.(this.#held)) ?? 0n
    return heldSeq > this.#lastSeq ? heldSeq : this.#lastSeq
  }

  #store(outcome: LookupOutcome): void {
    this.#isLookedUp = true
    this.#messages = outcome.messages
    const { cas, seq: given } = this.#publication
    const heldSeq = this.#held && this.#kind.seq?.(this.#held)
    const seq = given ?? this.#highestSeq() + 1n
    if (cas !== undefined && (heldSeq ?? 0n) !== cas) {
      this.#fail('ERR_CAS_MISMATCH', heldSeq === undefined ? 'nothing is held' : `seq ${heldSeq} is held`)
      return
    }
    if (seq > SEQ_MAX) {
      this.#fail('ERR_SEQ_TOO_LOW', 'the highest sequence number of all is held')
      return
    }
    const record = this.#sign(seq)
    if (this.#held && this.#loses(record, this.#held)) {
      this.#failAgainst(this.#held, seq, undefined)
      return
    }
    const targets = targetsOf(outcome.closest, this.#tokens, () => record)
    const storing: Storing = { outcome, seq, record, targets }
    // First here, where we are a holder too: a rival that asks us meanwhile is to meet ours.
    const { lifetimeMs } = this.#publication
    keepOwnCopy(this.#node, { key: this.#key, kind: this.#kind, lifetimeMs, cas }, record, (refusal) => {
      if (this.#isOver) return
      if (refusal && CONTESTED.includes(refusal.code)) this.#fail(refusal.code, refusal.text)
      else this.#storeAt(targets, cas, (replies) => this.#judge(storing, replies))
    })
  }

  #storeAt(targets: readonly StoreTarget[], cas: bigint | undefined, done: (replies: StoreReply[]) => void): void {
    const { lifetimeMs } = this.#publication
    const storing = { key: this.#key, kind: this.#kind, lifetimeMs, cas }
    this.#cancel = storeAt(this.#node, storing, targets, (replies, messages) => {
      this.#messages += messages
      done(replies)
    })
  }

  /** Who refused because of another record has to show it: a liar's word would else undo what all others stored. */
  #judge(storing: Storing, replies: readonly StoreReply[]): void {
    const contested = replies.filter(({ error }) => error && CONTESTED.includes(error.code))
    if (contested.length === 0) {
      this.#end(storing, replies)
      return
    }
    const contacts = contested.map(({ contact }) => contact)
    this.#askRivals(contacts, (held) => {
      const rivals = held.filter((record) => record !== undefined)
      const best = rivals.length === 0 ? undefined : rivals.reduce((a, b) => this.#kind.merge(a, b))
      const cause = contested[0]?.error
      if (!best) this.#end(storing, replies)
      else if (this.#publication.cas !== undefined) this.#judgeSwap(storing, replies, contacts, held, best, cause)
      else if (this.#loses(storing.record, best)) this.#failAgainst(best, storing.seq, cause)
      else this.#end(storing, replies)
    })
  }

  /**
   * A compare-and-swap that others contest: who has more than half of the holders has won. Where nobody has, it is the
   * one of those with any that wins by order, as each of them sees. Who did not answer may hold a winner.
   *
   * @param held - what each of the holders that refused has
   */
  #judgeSwap(
    storing: Storing,
    replies: readonly StoreReply[],
    refusers: readonly Contact[],
    held: readonly (Uint8Array | undefined)[],
    best: Uint8Array,
    cause: DhtError | undefined,
  ): void {
    const { record, seq } = storing
    const half = replies.length / 2
    const stored = replies.filter(({ error }) => !error).length
    const isBeaten = this.#loses(record, best)
    if (stored > half) {
      // A loser's record that comes first in the order would take the place of ours in time.
      if (isBeaten && this.#kind.seq?.(best) === seq && seq < SEQ_MAX) this.#outbid(storing)
      else this.#end(storing, replies)
      return
    }
    const largestRival = Math.max(...held.map((one) => held.filter((other) => isSame(one, other)).length))
    const isOutdated = (this.#kind.seq?.(best) ?? 0n) <= (this.#publication.cas ?? 0n)
    const mayWin = isOutdated || (stored > 0 && largestRival + held.filter((one) => !one).length <= half)
    if (isBeaten || !mayWin) this.#failAgainst(best, seq, cause)
    else this.#storeAgain(storing, replies, refusers)
  }

  /** Those that refused are told to take ours, whatever they hold: by the order it wins. */
  #storeAgain(storing: Storing, replies: readonly StoreReply[], contacts: readonly Contact[]): void {
    const targets = storing.targets.filter(({ contact }) => contacts.includes(contact))
    this.#storeAt(targets, undefined, (second) => {
      const latest = replies.map((reply) => second.find(({ contact }) => contact === reply.contact) ?? reply)
      this.#end(storing, latest)
    })
  }

  /** The same value once more, with the next sequence number. */
  #outbid({ outcome, seq: before, targets }: Storing): void {
    const seq = before + 1n
    const record = this.#sign(seq)
    const { lifetimeMs } = this.#publication
    keepOwnCopy(this.#node, { key: this.#key, kind: this.#kind, lifetimeMs }, record)
    const again = targets.map((target) => ({ ...target, record }))
    this.#storeAt(again, undefined, (replies) => this.#end({ outcome, seq, record, targets: again }, replies))
  }

  #sign(seq: bigint): Uint8Array {
    const { keys, salt, value } = this.#publication
    const { network, signatures } = this.#node
    this.#record = encodeMutable({ network, keys, salt, seq, value }, signatures).record
    return this.#record
  }

  /** What each of those who refused holds; undefined for who did not show anything. */
  #askRivals(contacts: readonly Contact[], done: (held: (Uint8Array | undefined)[]) => void): void {
    const held = contacts.map((): Uint8Array | undefined => undefined)
    let open = contacts.length
    const sent = (): void => {
      this.#messages++
    }
    const cancels = contacts.map((contact, i) =>
      askRecords(this.#node, contact, this.#key, this.#kind, ONE_RECORD, { sent }, (_error, answer) => {
        held[i] = answer?.records[0]?.record
        if (--open === 0 && !this.#isOver) done(held)
      }),
    )
    this.#cancel = () => {
      for (const cancel of cancels) cancel()
    }
  }

  #end({ outcome, record, seq }: Storing, replies: readonly StoreReply[]): void {
    const { cas } = this.#publication
    const stored = replies.filter(({ error }) => !error).length
    if (cas !== undefined && stored > 0 && 2 * stored <= replies.length) {
      const cause = replies.find(({ error }) => error)?.error
      this.#fail('ERR_NOT_STORED', `only ${stored} of ${replies.length} nodes took part in the compare-and-swap`, cause)
      return
    }
    finish(outcome, replies, this.#costs(outcome.hops), (error, storedAt) => {
      if (storedAt) this.#over(undefined, { ...storedAt, key: this.#key, record, seq })
      else this.#over(error)
    })
  }

  #costs(hops: number) {
    return { hops, messages: this.#messages, elapsedMs: this.#node.clock.now() - this.#startedAtMs }
  }

  #loses(record: Uint8Array, rival: Uint8Array): boolean {
    return !sameBytes(this.#kind.merge(record, rival), record)
  }

  #failAgainst(rival: Uint8Array, seq: bigint, cause: DhtError | undefined): void {
    const rivalSeq = this.#kind.seq?.(rival) ?? 0n
    const message = `seq ${rivalSeq} is held`
    if (this.#publication.cas !== undefined) this.#fail('ERR_CAS_MISMATCH', message, cause)
    else if (rivalSeq > seq) this.#fail('ERR_SEQ_TOO_LOW', message, cause)
    else this.#fail('ERR_SEQ_CONFLICT', `another value with seq ${seq} is held, and wins`, cause)
  }

  #fail(code: DhtErrorCode, message: string, cause?: DhtError): void {
    this.#over(new DhtError(code, message, { cause }))
  }

  #over(error: DhtError | undefined, published?: Published): void {
    if (this.#isOver) return
    this.#isOver = true
    // What we tell to have failed must not spread from here.
    if (error && this.#record) dropOwnCopy(this.#node, this.#key, this.#kind, this.#record, this.#own)
    this.#done(error, published)
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && sameBytes(a, b)
}
