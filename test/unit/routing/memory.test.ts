import { expect, test } from 'vitest'
import { idInRegion } from '../../../src/keyspace/index.js'
import type { RoutingTable } from '../../../src/routing/index.js'
import { SeededRandom } from '../../../src/testing/index.js'
import { bytesEach } from '../../heap.js'
import { createTable, OWN_ID } from './table-fixture.js'

const TABLES = 200
const REGIONS = 12
const K = 20

// Of 100,000 nodes in one process each has 15 KB, of which the table is a part, and 250 bytes for each contact. The
// text of its address is not counted: it is the one that the rest of the node keeps too.
const TABLE_BYTES_MAX = 3_000
const CONTACT_BYTES_MAX = 250

const random = new SeededRandom('memory')
const ids = Array.from({ length: REGIONS * K }, (_, i) => idInRegion(OWN_ID, Math.floor(i / K), random.bytes(32)))
const addresses = ids.map((_, i) => `${(i >> 8) + 41}.${i & 0xff}.0.7:7400`)

/** A network of IPv4 for each, as on the internet. */
function describe(address: string): { host: Uint8Array; group: Uint8Array; scope: 'public' } {
  const [a, b] = address.split('.').map(Number) as [number, number]
  return { host: Uint8Array.of(4, a, b, 0, 7), group: Uint8Array.of(4, a, b, 0), scope: 'public' }
}

test('a table and its contacts take little memory', () => {
  const tables: RoutingTable[] = []
  const now = (): number => 1_000.5 + tables.length
  const add = (contacts: number): void => {
    const { table } = createTable({ k: K, now, describe, onAdded: () => {}, onRemoved: () => {} })
    for (let i = 0; i < contacts; i++) table.answered({ id: ids[i] as Uint8Array, address: addresses[i] as string })
    expect(table.size).toBe(contacts)
    tables.push(table)
  }
  // The first ones compile what all need.
  bytesEach(TABLES, () => add(ids.length))
  const emptyBytes = bytesEach(10 * TABLES, () => add(0))
  const fullBytes = bytesEach(TABLES, () => add(ids.length))
  expect(emptyBytes).toBeLessThan(TABLE_BYTES_MAX)
  expect((fullBytes - emptyBytes) / ids.length).toBeLessThan(CONTACT_BYTES_MAX)
  expect(tables.length).toBe(12 * TABLES)
})
