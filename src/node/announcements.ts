import debug from 'debug'
import type { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import type { KeyPair } from '../platform/signatures.js'
import type { RecordKind } from '../records/index.js'
import { encodePeer } from '../records/index.js'
import { askRecords, TOKENS_ONLY } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import type { StoredAt } from './put-record.js'
import { putRecord } from './put-record.js'
import { Running } from './running.js'
import { storeOne } from './store-at.js'

const log = debug('xorbit:announce')

/** A renewal that failed is tried again after this share of the lifetime. */
const RETRY_SHARE = 1 / 16

/** Who is to be found under a topic. */
export interface PeerToAnnounce {
  readonly topic: NodeId
  readonly keys: KeyPair
  /** 0: the port that the holders see. */
  readonly port: number
  readonly data: Uint8Array
  readonly lifetimeMs: number
}

/** What an announcement reports. */
export interface AnnouncementEvents {
  /** A renewal failed; the next attempt follows by itself. */
  failed(error: DhtError): void
}

/** A peer that is announced until it is stopped. */
export class RunningAnnouncement {
  readonly #node: NodeContext
  readonly #kind: RecordKind
  readonly #peer: PeerToAnnounce
  readonly #events: AnnouncementEvents
  readonly #running = new Running()
  /** Who may have a record of ours: whoever was sent one within its lifetime, answered or not. */
  readonly #holders = new Map<string, { readonly contact: Contact; readonly sinceMs: number }>()
  #cancelTimer = (): void => {}
  /** Of the latest put, which may go on behind after it is done. */
  #cancelPut = (): void => {}
  #seq = 0n

  constructor(node: NodeContext, kind: RecordKind, peer: PeerToAnnounce, events: AnnouncementEvents) {
    this.#node = node
    this.#kind = kind
    this.#peer = peer
    this.#events = events
  }

  /**
   * Announces now, and from then on again at half of the lifetime each time; after a failure it stops.
   *
   * @returns cancels it
   */
  start(done: Done<StoredAt>): () => void {
    return this.#announce((error, stored) => {
      if (!error) this.#schedule(this.#peer.lifetimeMs / 2)
      done(error, stored)
    })
  }

  /** Announces no more, without telling the holders. */
  abandon(): void {
    this.#cancelTimer()
    this.#cancelPut()
    this.#running.cancelAll()
  }

  /**
   * Announces no more, and has the holders forget it.
   *
   * @returns cancels it
   */
  stop(done: (removedAt: Contact[]) => void): () => void {
    this.abandon()
    this.#forgetHolders()
    const holders = [...this.#holders.values()].map(({ contact }) => contact)
    const removedAt: Contact[] = []
    // Of its own: another stop must not cut this one short, or it would never be done.
    const removing = new Running()
    let open = holders.length
    if (open === 0) done([])
    for (const contact of holders) {
      removing.begin((ended) =>
        this.#remove(contact, (isRemoved) => {
          ended()
          if (isRemoved) removedAt.push(contact)
          if (--open === 0) done(removedAt)
        }),
      )
    }
    return () => removing.cancelAll()
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer = this.#node.clock.after(delayMs, () => this.#renew())
  }

  #renew(): void {
    const { lifetimeMs } = this.#peer
    this.#running.begin((ended) =>
      this.#announce((error, stored) => {
        ended()
        if (error) {
          this.#schedule(lifetimeMs * RETRY_SHARE)
          this.#events.failed(error)
        } else {
          log('renewed at %d nodes', stored?.storedAt.length)
          this.#schedule(lifetimeMs / 2)
        }
      }),
    )
  }

  #announce(done: Done<StoredAt>): () => void {
    const { lifetimeMs, topic } = this.#peer
    const seq = this.#nextSeq()
    this.#forgetHolders()
    const recordFor = (contact: Contact, token: Uint8Array): Uint8Array => {
      this.#holders.set(mapKey(contact.id), { contact, sinceMs: this.#node.clock.now() })
      return this.#recordFor(contact.id, token, seq, lifetimeMs)
    }
    // All of them: whoever stops it is told where it stands.
    const { k } = this.#node.config
    this.#cancelPut()
    this.#cancelPut = putRecord(this.#node, { key: topic, kind: this.#kind, lifetimeMs }, recordFor, k, done)
    return this.#cancelPut
  }

  #remove(contact: Contact, done: (isRemoved: boolean) => void): () => void {
    const { topic } = this.#peer
    let cancel = askRecords(this.#node, contact, topic, this.#kind, TOKENS_ONLY, {}, (error, answer) => {
      if (error || !answer) return done(false)
      const record = this.#recordFor(contact.id, answer.token, this.#nextSeq(), 0)
      const storing = { key: topic, kind: this.#kind, lifetimeMs: 0 }
      const sent = (): void => {}
      cancel = storeOne(this.#node, storing, { contact, token: answer.token, record }, sent, (refusal) =>
        done(refusal === undefined),
      )
    })
    return () => cancel()
  }

  #recordFor(holder: NodeId, token: Uint8Array, seq: bigint, lifetimeMs: number): Uint8Array {
    const { data, keys, port, topic } = this.#peer
    const { network, signatures } = this.#node
    const lifetimeSeconds = Math.floor(lifetimeMs / 1000)
    return encodePeer({ network, topic, keys, seq, lifetimeSeconds, port, data, holder, token }, signatures)
  }

  /** The time, as it grows from run to run of a program too; one more where it stands. */
  #nextSeq(): bigint {
    const now = BigInt(Math.floor(this.#node.clock.wallNow()))
    this.#seq = now > this.#seq ? now : this.#seq + 1n
    return this.#seq
  }

  /** Those whose record has expired by now. */
  #forgetHolders(): void {
    const expiredMs = this.#node.clock.now() - this.#peer.lifetimeMs
    for (const [name, { sinceMs }] of this.#holders) if (sinceMs < expiredMs) this.#holders.delete(name)
  }
}
