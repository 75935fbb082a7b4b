import type { PublishOptions } from './arguments.js'
import {
  copyOfContact,
  copyOfRefusal,
  mustBeCallOptions,
  mustBeFlag,
  mustBeLifetime,
  mustBeMatching,
  mustBeSalt,
  mustBeSeq,
  mustBeValue,
  STORE_OPTION_NAMES,
} from './arguments.js'
import type { LifeCycle } from './life-cycle.js'
import type { Published } from './node/index.js'
import { publish } from './node/index.js'
import type { DhtConfig } from './options.js'
import type { KeyPair } from './platform/signatures.js'
import type { RecordKind } from './records/index.js'
import { mutableKey } from './records/index.js'
import type { PublishResult } from './results.js'

/** Publishes a value, and stores it again by itself unless told otherwise. */
export async function publishValue(
  life: LifeCycle,
  config: DhtConfig,
  kind: RecordKind,
  keys: KeyPair,
  value: Uint8Array,
  options: PublishOptions | undefined,
): Promise<PublishResult> {
  const { cas, lifetimeMs, republish, salt, seq, signal } = mustBeCallOptions(options, [
    ...STORE_OPTION_NAMES,
    'salt',
    'seq',
    'cas',
  ])
  const publication = {
    keys: mustBeMatching(config.signatures, keys),
    value: mustBeValue(value),
    salt: mustBeSalt(salt),
    // 0 stands for nothing in a compare-and-swap.
    seq: mustBeSeq('seq', seq, 1n),
    cas: mustBeSeq('cas', cas, 0n),
    lifetimeMs: mustBeLifetime(lifetimeMs, config.valueLifetimeMaxMs) ?? config.valueLifetimeMs,
  }
  const { seq: given, cas: expected } = publication
  if (given !== undefined && expected !== undefined && given <= expected) throw new RangeError('seq must be above cas')
  const isKept = mustBeFlag('republish', republish) ?? true
  const { node, publications } = life.parts
  const known = publications.get(mutableKey(publication.keys.publicKey, publication.salt), kind)
  const published = await life.run<Published>(signal, (done) =>
    publish(node, kind, publication, known && kind.seq?.(known), done),
  )
  const { record, refused, storedAt, ...result } = published
  if (isKept) publications.add(result.key, kind, record, publication.lifetimeMs)
  // An earlier value must not come back by itself.
  else publications.delete(result.key, kind, record)
  return { ...result, storedAt: storedAt.map(copyOfContact), refused: refused.map(copyOfRefusal) }
}
