// @ts-check
// A node with a filled store in a process of its own: `fork('peer.js', ['memory' or 'disk', records])`. It stores some
// more, so many a second, while it is told to, and ends with its parent.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { ClassicLevel } from 'classic-level'
import { createDht } from 'xorbit'
import { openLevelStore } from 'xorbit/level'
import { udp } from 'xorbit/udp'

const FILLED_AT_ONCE = 512
const RECORD_BYTES = 500
const HOUR_MS = 3_600_000
const WRITE_EVERY_MS = 10

const [kind, records] = [process.argv[2], Number(process.argv[3])]
const folder = mkdtempSync(join(tmpdir(), 'xorbit-bench-'))
// The store in memory is the one that a node has by default, but it can be filled from outside.
const { MemoryStore, STORE_LIMITS } = await import(new URL('../../dist/storage/index.js', import.meta.url).href)
const store = kind === 'disk' ? await openLevelStore(new ClassicLevel(folder)) : new MemoryStore(STORE_LIMITS)
const node = createDht({ transport: udp({ host: '127.0.0.1' }), storage: store })

const random = (/** @type {number} */ length) => crypto.getRandomValues(new Uint8Array(length))
const recordOf = (/** @type {number} */ number) => ({
  key: random(32),
  kind: 0,
  slot: new Uint8Array(0),
  record: random(RECORD_BYTES),
  storedAtMs: Date.now(),
  expiresAtMs: Date.now() + HOUR_MS,
  source: Uint8Array.of(4, number % 250, 0, 2),
})
for (let i = 0; i < records; i += FILLED_AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(FILLED_AT_ONCE, records - i) }, (_, j) => store.put(recordOf(i + j))))
}

const { address } = await node.start()
let written = 0
/** @type {ReturnType<typeof setInterval> | undefined} */
let writing
process.on('message', (/** @type {{ writesPerSecond: number }} */ { writesPerSecond }) => {
  clearInterval(writing)
  const each = Math.round((writesPerSecond * WRITE_EVERY_MS) / 1000)
  if (each > 0) {
    writing = setInterval(() => {
      for (let i = 0; i < each; i++) Promise.resolve(store.put(recordOf(written++))).catch(fail)
    }, WRITE_EVERY_MS)
  }
  process.send?.({ written, records: store.stats().records })
})
process.on('disconnect', async () => {
  clearInterval(writing)
  await node.close()
  rmSync(folder, { recursive: true, force: true })
  process.exit()
})
process.send?.({ address })

/** @param {unknown} error */
function fail(error) {
  console.error(error)
  process.exitCode = 1
}
