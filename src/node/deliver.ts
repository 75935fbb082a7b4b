import { DhtError } from '../errors.js'
import type { Contact, NodeId } from '../keyspace/index.js'
import type { RecordKind } from '../records/index.js'
import type { KeyToken, TokensResult } from '../wire/index.js'
import { TOKENS, TOKENS_KEYS_MAX } from '../wire/index.js'
import type { NodeContext } from './node-context.js'
import { Running } from './running.js'
import { storeOne } from './store-at.js'

/** How many STOREs one holder gets at once: over a path of 20 ms that stays within what it takes from one host. */
const STORES_AT_ONCE = 4

/** So many STOREs in a row without an answer, and the holder gets no more. */
const SILENT_STORES_MAX = 4

/** So many requests for tokens in a row without an answer: one may be lost. */
const SILENT_REQUESTS_MAX = 2

/** Who takes no more requests for now is asked again after about so long, in ms; so often in a row, and it gets no more. */
const LIMITED_PAUSE_MS = 500
const LIMITED_ANSWERS_MAX = 6 * STORES_AT_ONCE

const SECOND_MS = 1000

/** A record to be delivered. */
export interface Parcel {
  readonly key: NodeId
  readonly kind: RecordKind
  readonly record: Uint8Array
  /** How long it is to be kept from now on, in ms. */
  lifetimeMs(): number
}

/** What a delivery reports. */
export interface DeliveryEvents {
  /** Whether a holder that says it has the record, or a newer one, needs it all the same. */
  readonly evenIfHeld: boolean
  /** A request for tokens left, the first or a resent one. */
  asked?(): void
  /** A STORE left, the first or a resent one. */
  sent(): void
  /** A parcel was taken, or refused. */
  settled(parcel: Parcel, error: DhtError | undefined): void
  done(): void
}

type Answered<T> = (error: DhtError | undefined, result?: T) => void

/**
 * Stores many records at one holder: the tokens of 32 keys in one request (TOKENS), then a STORE for each.
 *
 * @param parcels - of whatever kinds; `settled` is called for each that is sent or could not be
 * @returns cancels it
 */
export function deliver(
  node: NodeContext,
  holder: Contact,
  parcels: readonly Parcel[],
  events: DeliveryEvents,
): () => void {
  const batches = batchesOf(parcels)
  const running = new Running()
  let silentRequests = 0
  let silentStores = 0
  let limitedAnswers = 0
  /** Why the holder gets no more, if it does not. */
  const whyOver = (): DhtError | undefined => {
    if (silentStores >= SILENT_STORES_MAX) return new DhtError('ERR_TIMEOUT', 'the holder answers no more')
    if (limitedAnswers < LIMITED_ANSWERS_MAX) return undefined
    return new DhtError('ERR_RATE_LIMITED', 'the holder takes no more')
  }
  /** Sends a request, and again after a pause where the holder takes no more for now. */
  const unlessLimited = <T>(send: (done: Answered<T>) => () => void, done: Answered<T>): (() => void) => {
    let cancel = (): void => {}
    const attempt = (): void => {
      cancel = send((error, result) => {
        limitedAnswers = error?.code === 'ERR_RATE_LIMITED' ? limitedAnswers + 1 : 0
        if (limitedAnswers === 0 || whyOver()) {
          done(error, result)
          return
        }
        const pauseMs = LIMITED_PAUSE_MS * (0.5 + (node.randomBytes(1)[0] as number) / 256)
        cancel = node.clock.after(pauseMs, attempt)
      })
    }
    attempt()
    return () => cancel()
  }
  const nextBatch = (): void => {
    const error = whyOver()
    if (error) giveUp(error, batches.splice(0).flat())
    const batch = batches.shift()
    if (batch) askTokens(batch)
    else events.done()
  }
  const giveUp = (error: DhtError | undefined, left: readonly Parcel[]): void => {
    for (const parcel of left) events.settled(parcel, error)
  }
  const askTokens = (batch: readonly Parcel[]): void => {
    const [{ kind }] = batch as [Parcel]
    const params = { kind: kind.code, keys: batch.map(({ key }) => key) }
    const ask = (done: Answered<TokensResult>): (() => void) =>
      node.rpc.call(TOKENS, holder, params, { ...(events.asked && { sent: events.asked }), done })
    running.begin((ended) =>
      unlessLimited(ask, (error, result) => {
        ended()
        silentRequests = error?.code === 'ERR_TIMEOUT' ? silentRequests + 1 : 0
        if (error?.code === 'ERR_TIMEOUT' && silentRequests < SILENT_REQUESTS_MAX) {
          batches.unshift([...batch])
          nextBatch()
        } else if (result) {
          const { tokens } = result
          // A holder with longer tokens answers for fewer keys.
          if (tokens.length > 0 && tokens.length < batch.length) batches.unshift(batch.slice(tokens.length))
          else if (tokens.length === 0) giveUp(new DhtError('ERR_REMOTE', 'the holder gave no tokens'), batch)
          store(batch.slice(0, tokens.length), tokens)
        } else {
          // Who refuses one would refuse the others too.
          giveUp(error, [...batch, ...batches.splice(0).flat()])
          events.done()
        }
      }),
    )
  }
  const store = (batch: readonly Parcel[], tokens: readonly KeyToken[]): void => {
    const wanted = batch
      .map((parcel, i) => ({ parcel, ...(tokens[i] as KeyToken) }))
      .filter(({ parcel, heldSeq }) => events.evenIfHeld || !isHeld(parcel, heldSeq))
    const storeParcel = ({ parcel, token }: { parcel: Parcel; token: Uint8Array }, ended: () => void): (() => void) => {
      const lifetimeMs = parcel.lifetimeMs()
      // What ended while it waited would live on if it was sent now.
      const over = whyOver()
      if (lifetimeMs < SECOND_MS || over) {
        if (lifetimeMs >= SECOND_MS) events.settled(parcel, over)
        ended()
        return () => {}
      }
      const target = { contact: holder, token, record: parcel.record }
      const send = (done: Answered<undefined>): (() => void) =>
        storeOne(node, { ...parcel, lifetimeMs }, target, events.sent, done)
      return unlessLimited(send, (error) => {
        silentStores = error?.code === 'ERR_TIMEOUT' ? silentStores + 1 : 0
        events.settled(parcel, error)
        ended()
      })
    }
    running.each(wanted, STORES_AT_ONCE, storeParcel, nextBatch)
  }
  nextBatch()
  return () => running.cancelAll()
}

function isHeld({ kind, record }: Parcel, heldSeq: bigint | undefined): boolean {
  return heldSeq !== undefined && kind.slotsPerKeyMax === 1 && heldSeq >= (kind.seq?.(record) ?? 0n)
}

/** At most as many as one TOKENS request names, each of one kind. */
function batchesOf(parcels: readonly Parcel[]): Parcel[][] {
  const byKind = new Map<number, Parcel[]>()
  const batches: Parcel[][] = []
  for (const parcel of parcels) {
    const { code } = parcel.kind
    let batch = byKind.get(code)
    if (!batch || batch.length === TOKENS_KEYS_MAX) {
      batch = []
      byKind.set(code, batch)
      batches.push(batch)
    }
    batch.push(parcel)
  }
  return batches
}
