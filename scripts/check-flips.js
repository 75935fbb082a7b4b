// @ts-check
// Damages the files of a store at random places, and checks that it opens with what is intact or says why not:
// `node scripts/check-flips.js [flips] [truncations] [records] [seed]`. Needs a built dist/.
import process from 'node:process'
import { damageOnce, makeStore } from './store/flips.js'

const FLIPS = 200
const TRUNCATIONS = 50
const RECORDS = 6_000

const given = process.argv.slice(2).map(Number)
const [flips = FLIPS, truncations = TRUNCATIONS, records = RECORDS, seed = Math.floor(Math.random() * 1e6)] = given
const { openLevelStore } = await import(new URL('../dist/storage/level.js', import.meta.url).href)
const made = await makeStore(openLevelStore, seed, records)
console.log(`seed ${seed}: ${made.expected.size} records`)
/** @type {Map<string, { places: number, intact: number, earlier: number, told: number, refused: number, lost: number, older: number, repaired: number }>} */
const rows = new Map()
const reasons = new Map()
try {
  for (const [damage, places] of /** @type {const} */ ([
    ['flip', flips],
    ['truncation', truncations],
  ])) {
    for (let i = 0; i < places; i++) {
      const { file, at, outcome, reason, lost, older, repaired, problems } = await damageOnce(
        openLevelStore,
        made,
        seed,
        i,
        damage,
      )
      const kind = `${damage} in ${file.replace(/^\d+|-\d+$/, '')}`
      const row = rows.get(kind) ?? {
        places: 0,
        intact: 0,
        earlier: 0,
        told: 0,
        refused: 0,
        lost: 0,
        older: 0,
        repaired: 0,
      }
      row.places++
      row[outcome]++
      row.lost = Math.max(row.lost, lost)
      row.older = Math.max(row.older, older)
      if (repaired !== undefined && repaired > 0) row.repaired++
      rows.set(kind, row)
      if (reason !== undefined) reasons.set(`${kind}: ${reason.replace(/\d{3,}/g, 'N')}`, true)
      if (problems.length === 0) continue
      process.exitCode = 1
      console.log(`not ok  ${damage} ${i} at ${at} of ${file}: ${problems.slice(0, 3).join('; ')}`)
    }
  }
} finally {
  made.close()
}
console.log('lost and older: records, the most of one place; repaired: opens with records after ClassicLevel.repair')
for (const reason of reasons.keys()) console.log(`refused  ${reason}`)
console.table(Object.fromEntries(rows))
if (process.exitCode === undefined) console.log('ok      no wrong record was returned, and every loss was told')
