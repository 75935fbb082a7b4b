// The store on a disk takes a database that is installed beside the package, and both ways to load it give the same.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { MemoryLevel } from 'memory-level'
import { createDht } from 'xorbit'
import { openLevelStore } from 'xorbit/level'
import { recordStoreConformance } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

const require = createRequire(import.meta.url)
assert.equal(require('xorbit/level').openLevelStore, openLevelStore)

let level = new MemoryLevel()
const create = (limits) => {
  level = new MemoryLevel()
  return openLevelStore(level, limits)
}
const reopen = (limits) => openLevelStore(level, limits)
for (const { name, run } of recordStoreConformance({ create, reopen })) {
  await run().catch((error) => assert.fail(`${name}: ${error.message}`))
}

const kept = new MemoryLevel()
const value = new TextEncoder().encode('kept')
const nodes = []
for (const storage of [await openLevelStore(kept), await openLevelStore(new MemoryLevel())]) {
  const bootstrap = nodes.map(({ address }) => address)
  const dht = createDht({ transport: udp({ port: 0, host: '127.0.0.1' }), bootstrap, storage })
  await dht.start()
  nodes.push(dht)
}
await nodes[1].put(value)
await Promise.all(nodes.map((dht) => dht.close()))
const storage = await openLevelStore(kept)
assert.deepEqual([storage.report.records, storage.report.isComplete], [1, true])
const again = createDht({ transport: udp({ port: 0, host: '127.0.0.1' }), storage })
assert.deepEqual(again.id, nodes[0].id)
await assert.rejects(again.start(), { code: 'ERR_BOOTSTRAP_FAILED' })
await again.close()
