import { expect, test } from 'vitest'
import { RecentNumbers } from '../../../src/rpc/recent-numbers.js'
import { bytesEach } from '../../heap.js'

const ADDRESSES = 300
const NUMBERS = 2

// 8 for each number and the time, 8 for the text's place, 8 for the links, and an eighth to grow into; and 600 for each
// that remembers any. The texts themselves are kept by others too.
const ENTRY_BYTES_MAX = 50

const addresses = Array.from({ length: ADDRESSES }, (_, i) => `203.0.113.7:${i + 1}`)

test('what is remembered of an address takes little memory, and none once it is forgotten', () => {
  const all: RecentNumbers[] = []
  const make = (): RecentNumbers => {
    const recent = new RecentNumbers(1_000, 10_000, NUMBERS)
    all.push(recent)
    for (const address of addresses) recent.touch(address, 0)
    return recent
  }
  bytesEach(200, make)
  expect(bytesEach(200, make) / ADDRESSES).toBeLessThan(ENTRY_BYTES_MAX)
  expect(bytesEach(200, () => make().touch('203.0.113.7:1', 2_000))).toBeLessThan(1_500)
  expect(all.map(({ size }) => size)).toEqual([...all.keys()].map((i) => (i < 400 ? ADDRESSES : 1)))
})
