import { expect, test } from 'vitest'
import { formatMetrics } from '../../../src/cli/metrics.js'
import { createDht } from '../../../src/index.js'
import { Simulator } from '../../../src/testing/index.js'
import { firstCells, read } from './documents.js'

const GUIDE = 'docs/guides/bootstrap-node.md'

test('the metrics that the guide names are those that a node has', async () => {
  const simulator = new Simulator({ seed: 'metrics' })
  const { transport, clock, randomBytes } = simulator.host()
  const dht = createDht({ transport, clock, randomBytes })
  await simulator.run(() => dht.start())
  const process = { residentBytes: 1, heapBytes: 1, cpuSeconds: 1, startedAtSeconds: 1 }
  const metrics = formatMetrics({ stats: dht.stats(), isStoreFailed: false, process, info: {} })

  const named = [...read(GUIDE).matchAll(/\b(?:xorbit|process)_\w*[a-z](?:\{[^}]*\})?/g)].map(([name]) => name)
  expect(named.length).toBeGreaterThan(8)
  expect(firstCells(GUIDE)).toContain('xorbit_joined')
  // One that has labels may be named without them.
  const missing = named.filter((name) => !metrics.includes(`\n${name} `) && !metrics.includes(`\n${name}{`))
  expect(missing).toEqual([])
})
