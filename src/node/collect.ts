import type { StoredRecord } from '../storage/index.js'

/** Those of a store's records that `accept` picks; at once where the store iterates at once. */
export function collect(
  records: Iterable<StoredRecord> | AsyncIterable<StoredRecord>,
  accept: (stored: StoredRecord) => boolean,
): StoredRecord[] | Promise<StoredRecord[]> {
  if (Symbol.iterator in records) return [...records].filter(accept)
  return collectLater(records, accept)
}

async function collectLater(
  records: AsyncIterable<StoredRecord>,
  accept: (stored: StoredRecord) => boolean,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = []
  for await (const stored of records) if (accept(stored)) found.push(stored)
  return found
}
