// @ts-check
// Kills a process in the middle of its writes, again and again, and checks that everything that was acknowledged is
// there: `node scripts/check-kill.js [kills] [writes] [seed]`. Needs a built dist/.
import process from 'node:process'
import { killOnce } from './store/kill.js'

const KILLS = 20
const WRITES = 10_000

const [kills = KILLS, writes = WRITES, seed = Math.floor(Math.random() * 1e6)] = process.argv.slice(2).map(Number)
const entry = new URL('../dist/storage/level.js', import.meta.url).href
for (let i = 0; i < kills; i++) {
  const { problems, ...figures } = await killOnce(entry, seed + i, writes)
  const outcome = problems.length === 0 ? 'all of it is there' : problems.slice(0, 5).join('; ')
  if (problems.length > 0) process.exitCode = 1
  console.log(
    `${problems.length === 0 ? 'ok    ' : 'not ok'}  seed ${figures.seed}: killed after ${figures.acknowledged} of ` +
      `${writes} writes were acknowledged; opens with ${figures.records} records; ${outcome}`,
  )
}
