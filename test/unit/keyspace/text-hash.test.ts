import { expect, test } from 'vitest'
import { textHash } from '../../../src/keyspace/index.js'

test('one text has one hash, and addresses that differ in a digit spread over all chains', () => {
  expect(textHash('203.0.113.7:7400')).toBe(textHash(['203.0.113.7', '7400'].join(':')))
  const chains = 64
  const inChain = new Array<number>(chains).fill(0)
  for (let port = 1; port <= 6_400; port++) {
    const hash = textHash(`203.0.113.7:${port}`)
    expect(Number.isInteger(hash) && hash >= 0 && hash <= 0xffff_ffff).toBe(true)
    inChain[hash % chains] = (inChain[hash % chains] as number) + 1
  }
  // 100 each; by chance one in a million chains has fewer than 53 or more than 150.
  expect(Math.min(...inChain)).toBeGreaterThan(50)
  expect(Math.max(...inChain)).toBeLessThan(153)
})
