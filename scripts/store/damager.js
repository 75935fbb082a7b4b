// @ts-check
// Damages a store at some places: `node damager.js ENTRY FOLDER SEED RECORDS DAMAGE FROM TO`. Prints each outcome.
import process from 'node:process'
import { damageOnce } from './flips.js'

const [entry, folder, seed, records, damage, from, to] = process.argv.slice(2)
const { openLevelStore } = await import(String(entry))
const kind = damage === 'truncation' ? 'truncation' : 'flip'
for (let i = Number(from); i < Number(to); i++) {
  const outcome = await damageOnce(openLevelStore, String(folder), Number(seed), Number(records), i, kind)
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
