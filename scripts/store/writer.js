// @ts-check
// Writes until it is killed: `node writer.js ENTRY FOLDER SEED WRITES`. Prints the number of each write once it is
// acknowledged.
import { writeSync } from 'node:fs'
import process from 'node:process'
import { ClassicLevel } from 'classic-level'
import { recordOf, writeAt } from './workload.js'

/** How many writes wait for the disk at a time. */
const OUTSTANDING = 32

const [entry, folder, ...numbers] = process.argv.slice(2)
const [seed, writes] = numbers.map(Number)
const { openLevelStore } = await import(String(entry))
const store = await openLevelStore(new ClassicLevel(String(folder)))
writeSync(1, 'open\n')

let next = 0
async function write() {
  while (next < Number(writes)) {
    const i = next++
    const { name, version, isDelete } = writeAt(i, Number(writes))
    const record = recordOf(Number(seed), name, version)
    if (isDelete) await store.delete(record.key, record.kind, record.slot)
    else await store.put(record)
    // At once: what is acknowledged and not yet told would not be checked.
    writeSync(1, `${i}\n`)
  }
}
await Promise.all(Array.from({ length: OUTSTANDING }, write))
// Being killed is how it ends.
setInterval(() => {}, 1_000)
