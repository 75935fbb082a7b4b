// @ts-check
// Writes until it is killed: `node writer.js ENTRY FOLDER SEED WRITES`. Prints the number of each write once it is
// acknowledged.
import process from 'node:process'
import { ClassicLevel } from 'classic-level'
import { recordOf, writeAt } from './workload.js'

/** How many writes wait for the disk at a time. */
const OUTSTANDING = 32

const [entry, folder, ...numbers] = process.argv.slice(2)
const [seed, writes] = numbers.map(Number)
const { openLevelStore } = await import(String(entry))
const store = await openLevelStore(new ClassicLevel(String(folder)))
process.stdout.write('open\n')

let next = 0
async function write() {
  while (next < Number(writes)) {
    const i = next++
    const { name, version, isDelete } = writeAt(i, Number(writes))
    const record = recordOf(Number(seed), name, version)
    if (isDelete) await store.delete(record.key, record.kind, record.slot)
    else await store.put(record)
    // What is acknowledged and not told yet when it is killed is not checked: it is at most what a pipe holds.
    process.stdout.write(`${i}\n`)
  }
}
await Promise.all(Array.from({ length: OUTSTANDING }, write))
// Being killed is how it ends.
setInterval(() => {}, 1_000)
