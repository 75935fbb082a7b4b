import type { GetOptions, PutOptions } from './arguments.js'
import { mustBeCallOptions, mustBeListener, mustBeValue, PUT_OPTION_NAMES } from './arguments.js'
import type { NodeId } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { FoundValue, StoredValue } from './node/index.js'
import { getValue as findValue, putTree } from './node/index.js'
import type { DhtConfig } from './options.js'
import type { RecordKind } from './records/index.js'
import { encodeImmutable, encodeTree, LARGE_VALUE_BYTES_MAX, VALUE_BYTES_MAX } from './records/index.js'
import type { GetResult, PutResult } from './results.js'
import { copyOfHolders, keepOrNot, storeOnTerms, termsOf } from './storing.js'

/** Stores a value: as it is where one record holds it, else cut into parts under one key. */
export async function putValue(
  life: LifeCycle,
  config: DhtConfig,
  kind: RecordKind,
  given: Uint8Array,
  options: PutOptions | undefined,
): Promise<PutResult> {
  const value = mustBeValue(given, LARGE_VALUE_BYTES_MAX)
  const { onProgress, signal, ...asked } = mustBeCallOptions(options, PUT_OPTION_NAMES)
  const terms = termsOf(config, asked)
  const told = mustBeListener('onProgress', onProgress)
  const bytesTotal = value.length
  if (bytesTotal <= VALUE_BYTES_MAX) {
    const { key, record } = encodeImmutable(value)
    const stored = await storeOnTerms(life, kind, key, record, terms, signal)
    told({ bytes: bytesTotal, bytesTotal })
    return { key, parts: 1, replicasMin: stored.storedAt.length, ...stored }
  }

  const tree = encodeTree(value)
  const { root, parts } = tree
  let bytes = 0
  const onStored = (more: number): void => {
    bytes += more
    // Records that only name others bring nothing; and all of it is there only when the root is.
    if (more > 0 && bytes < bytesTotal) told({ bytes, bytesTotal })
  }
  const { acknowledgements, lifetimeMs } = terms
  const stored = await life.run<StoredValue>(signal, (done) =>
    putTree(life.parts.node, { acknowledgements, kind, lifetimeMs, tree }, onStored, done),
  )
  const part = { value: root.key, ageMs: stored.elapsedMs }
  for (const { key, record } of [...parts, root]) keepOrNot(life, kind, key, record, terms, part)
  told({ bytes: bytesTotal, bytesTotal })
  return { key: root.key, parts: 1 + parts.length, ...copyOfHolders(stored) }
}

/** Gets a value, and puts it together where it was cut. */
export async function getValue(
  life: LifeCycle,
  kind: RecordKind,
  key: NodeId,
  options: GetOptions | undefined,
): Promise<GetResult | undefined> {
  const { onProgress, signal } = mustBeCallOptions(options, ['onProgress'])
  const told = mustBeListener('onProgress', onProgress)
  const { value, ...found } = await life.run<FoundValue>(signal, (done) =>
    findValue(life.parts.node, key, kind, told, done),
  )
  return value && { value, ...found }
}
