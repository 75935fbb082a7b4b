import type { StoreRecordOptions } from './arguments.js'
import {
  copyOfContact,
  copyOfRefusal,
  mustBeAcknowledgements,
  mustBeCallOptions,
  mustBeFlag,
  mustBeLifetime,
  STORE_RECORD_OPTION_NAMES,
} from './arguments.js'
import type { NodeId } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { PartOf, StoredAt } from './node/index.js'
import { putCopies } from './node/index.js'
import type { DhtConfig } from './options.js'
import type { RecordKind } from './records/index.js'
import type { StoreRecordResult } from './results.js'

/** How something is to be stored. */
export interface Terms {
  readonly lifetimeMs: number
  readonly acknowledgements: number
  /** Whether this node stores it again by itself. */
  readonly isKept: boolean
}

/** Stores one record for all holders, and stores it again by itself unless told otherwise. */
export async function storeRecord(
  life: LifeCycle,
  config: DhtConfig,
  kind: RecordKind,
  key: NodeId,
  record: Uint8Array,
  options: StoreRecordOptions | undefined,
): Promise<StoreRecordResult> {
  const { signal, ...asked } = mustBeCallOptions(options, STORE_RECORD_OPTION_NAMES)
  return storeOnTerms(life, kind, key, record, termsOf(config, asked), signal)
}

/** What the options of a call and the defaults of the node come to. */
export function termsOf(config: DhtConfig, asked: Omit<StoreRecordOptions, 'signal'>): Terms {
  return {
    acknowledgements: mustBeAcknowledgements(asked.acknowledgements, config.k) ?? config.acknowledgements,
    lifetimeMs: mustBeLifetime(asked.lifetimeMs, config.valueLifetimeMaxMs) ?? config.valueLifetimeMs,
    isKept: mustBeFlag('republish', asked.republish) ?? true,
  }
}

/** As {@link storeRecord}, on terms that are checked. */
export async function storeOnTerms(
  life: LifeCycle,
  kind: RecordKind,
  key: NodeId,
  record: Uint8Array,
  terms: Terms,
  signal: AbortSignal | undefined,
): Promise<StoreRecordResult> {
  const { acknowledgements, lifetimeMs } = terms
  const stored = await life.run<StoredAt>(signal, (done) =>
    putCopies(life.parts.node, { key, kind, lifetimeMs }, record, acknowledgements, done),
  )
  keepOrNot(life, kind, key, record, terms)
  return copyOfHolders(stored)
}

/**
 * From now on stores again by itself what was stored, or stops that.
 *
 * @param part - the value of several records that it belongs to
 */
export function keepOrNot(
  { parts: { publications } }: LifeCycle,
  kind: RecordKind,
  key: NodeId,
  record: Uint8Array,
  { isKept, lifetimeMs }: Terms,
  part?: PartOf,
): void {
  if (isKept) publications.add(key, kind, record, lifetimeMs, part)
  else publications.delete(key, kind, record, part?.value)
}

/** What was stored, for an application. */
export function copyOfHolders<T extends StoredAt>(stored: T): T {
  return { ...stored, storedAt: stored.storedAt.map(copyOfContact), refused: stored.refused.map(copyOfRefusal) }
}
