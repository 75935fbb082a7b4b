// @ts-check
// Damages the files of a store at random places, and checks that it opens with what is intact or says why not:
// `node scripts/check-flips.js [flips] [truncations] [records] [seed]`. Needs a built dist/.
import process from 'node:process'
import { damageMany } from './store/flips.js'

const FLIPS = 200
const TRUNCATIONS = 50
const RECORDS = 6_000

const given = process.argv.slice(2).map(Number)
const [flips = FLIPS, truncations = TRUNCATIONS, records = RECORDS, seed = Math.floor(Math.random() * 1e6)] = given
const entry = new URL('../dist/storage/level.js', import.meta.url).href
console.log(`seed ${seed}: ${records} records`)

/** @type {Map<string, Record<string, number>>} */
const rows = new Map()
const reasons = new Set()
/** @param {import('./store/flips.js').Outcome} outcome */
function tell({ damage, file, at, outcome, reason, lost, older, repaired, problems }) {
  const kind = `${damage} in ${file.replace(/^\d+|-\d+$/, '')}`
  const row = { places: 0, intact: 0, earlier: 0, told: 0, refused: 0, aborted: 0, lost: 0, older: 0, repaired: 0 }
  Object.assign(row, rows.get(kind))
  row.places++
  row[outcome]++
  row.lost = Math.max(row.lost, lost)
  row.older = Math.max(row.older, older)
  if (repaired !== undefined && repaired > 0) row.repaired++
  rows.set(kind, row)
  if (reason !== undefined)
    reasons.add(`${kind}: ${outcome}: ${reason.replace(/[^ ]*[/]/g, '').replace(/\d{3,}/g, 'N')}`)
  if (problems.length === 0) return
  process.exitCode = 1
  console.log(`not ok  ${damage} at ${at} of ${file}: ${problems.slice(0, 3).join('; ')}`)
}
await damageMany(
  entry,
  seed,
  records,
  [
    ['flip', flips],
    ['truncation', truncations],
  ],
  tell,
)
for (const reason of reasons) console.log(reason)
console.log('lost and older: records, the most of one place; repaired: opens with records after ClassicLevel.repair')
console.table(Object.fromEntries(rows))
const aborted = [...rows.values()].reduce((sum, row) => sum + Number(row.aborted), 0)
if (aborted > 0) {
  process.exitCode = 1
  console.log(`not ok  LevelDB ended the process ${aborted} times, by an assertion on a damaged table`)
}
if (process.exitCode === undefined) console.log('ok      no wrong record was returned, and every loss was told')
