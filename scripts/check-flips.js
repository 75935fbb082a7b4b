// @ts-check
// Damages the files of a store at random places, and checks that it opens with what is intact or says why not:
// `node scripts/check-flips.js [flips] [truncations] [records] [seed]`. Needs a built dist/.
import process from 'node:process'
import { damageMany } from './store/flips.js'

const FLIPS = 200
const TRUNCATIONS = 50
const RECORDS = 6_000

/** docs/storage.md says that LevelDB ends the process for about one place in a hundred of a table. */
const ABORTED_SHARE_MAX = 1 / 50

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
  const row = {
    places: 0,
    intact: 0,
    told: 0,
    cut: 0,
    silent: 0,
    refused: 0,
    aborted: 0,
    lost: 0,
    older: 0,
    repaired: 0,
  }
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
/** @param {string} outcome */
const count = (outcome) => [...rows.values()].reduce((sum, row) => sum + Number(row[outcome]), 0)
console.log(`lost without a word, all of the last run or all there was: ${count('silent')}`)
console.log(`told only as a store that was not closed: ${count('cut')}`)
console.log(`LevelDB ended the process, by an assertion on a damaged table: ${count('aborted')}`)
if (count('aborted') > Math.max(1, count('places') * ABORTED_SHARE_MAX)) {
  process.exitCode = 1
  console.log('not ok  that is more often than docs/storage.md says')
}
if (process.exitCode === undefined)
  console.log('ok      no wrong record was returned, and nothing is worse than docs/storage.md says')
