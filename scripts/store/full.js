// @ts-check
// On a small disk of its own: `node full.js ENTRY FOLDER`. Fills it, and says what became of writes and reads.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { ClassicLevel } from 'classic-level'
import { isSame, recordOf } from './workload.js'

const OUTSTANDING = 32
const NAMES = 4_000
const WRITES_MAX = 100_000
/** What is removed to make room again, in bytes: LevelDB needs some to open a database. */
const BALLAST_BYTES = 6 * 2 ** 20

const [entry, folder] = process.argv.slice(2)
const { openLevelStore } = await import(String(entry))
const ballast = join(String(folder), 'ballast')
writeFileSync(ballast, new Uint8Array(BALLAST_BYTES).fill(1))
const database = new ClassicLevel(join(String(folder), 'records'))
const store = await openLevelStore(database)

/** The last version of each name that was acknowledged. @type {Map<number, number>} */
const acknowledged = new Map()
const codes = new Set()
let next = 0
async function write() {
  while (codes.size === 0 && next < WRITES_MAX) {
    const version = next++
    const name = version % NAMES
    await store.put(recordOf(1, name, version)).then(
      () => acknowledged.set(name, version),
      (/** @type {{ code: string }} */ { code }) => codes.add(code),
    )
  }
}
await Promise.all(Array.from({ length: OUTSTANDING }, write))
tell(`full after ${next} writes`, [...codes].join() === 'ERR_STORE_FULL', `writes fail with ${[...codes]}`)
tell('reads go on', (await wrong()) === 0, `${acknowledged.size} records`)

const again = await codeOf(() => store.removeExpired(0))
tell('it tries to open again, in vain', again === 'ERR_STORE_FULL', `${again}, ${database.status}`)
tell('reads go on', (await wrong()) === 0, `${acknowledged.size} records`)
tell('writes are refused', (await codeOf(() => store.put(recordOf(1, NAMES, 0)))) === 'ERR_STORE_FULL', '')

rmSync(ballast)
tell('with room it opens again by itself', (await codeOf(() => store.removeExpired(0))) === undefined, '')
tell('nothing was lost', (await wrong()) === 0 && store.report.isComplete, JSON.stringify(store.report))
tell('writes are taken', (await codeOf(() => store.put(recordOf(1, NAMES, 0)))) === undefined, '')
await store.close()

async function wrong() {
  let count = 0
  for (const [name, version] of acknowledged) {
    const put = recordOf(1, name, version)
    const [found, ...others] = await store.list(put.key, put.kind)
    if (!found || others.length > 0 || !isSame(found, put)) count++
  }
  return count
}

/** @param {() => unknown} call */
async function codeOf(call) {
  try {
    await call()
    return undefined
  } catch (error) {
    return /** @type {{ code?: string }} */ (error).code ?? String(error)
  }
}

/**
 * @param {string} what
 * @param {boolean} isRight
 * @param {string} note
 */
function tell(what, isRight, note) {
  if (!isRight) process.exitCode = 1
  console.log(`${isRight ? 'ok    ' : 'not ok'}  ${what}${note && `: ${note}`}`)
}
