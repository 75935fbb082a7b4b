// @ts-check
// kill -9 in the middle of writes: what was acknowledged is there afterwards, in that version or a later one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ClassicLevel } from 'classic-level'
import { randomFrom } from '../../bench/peers/numbers.js'
import { isSame, nameOf, recordOf, versionOf, writeAt } from './workload.js'

/** A kill comes up to so long after the acknowledgement that it waits for, in ms. */
const DELAY_MS_MAX = 3

/** @typedef {{ seed: number, acknowledged: number, records: number, problems: string[] }} Killed */

/**
 * One process that is killed while it writes, and what it left.
 *
 * @param {string} entry - the module that has openLevelStore
 * @param {number} seed
 * @param {number} writes
 * @returns {Promise<Killed>}
 */
export async function killOnce(entry, seed, writes) {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-kill-'))
  try {
    const acknowledged = await writeUntilKilled(entry, folder, seed, writes)
    const { openLevelStore } = await import(entry)
    const store = await openLevelStore(new ClassicLevel(folder))
    const problems = await differences(store, acknowledged, seed, writes)
    const { report } = store
    if (!report.isComplete || report.corrupt + report.missing + report.unreadable > 0) {
      problems.push(`the report is ${JSON.stringify(report)}`)
    }
    if (report.wasClosed && report.records > 0) problems.push('it was killed, and the report says that it was closed')
    await store.close()
    return { seed, acknowledged: acknowledged.size, records: report.records, problems }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} entry
 * @param {string} folder
 * @param {number} seed
 * @param {number} writes
 */
async function writeUntilKilled(entry, folder, seed, writes) {
  const random = randomFrom(seed)
  const killAfter = 1 + Math.floor(random() * (writes - 1))
  const program = fileURLToPath(new URL('writer.js', import.meta.url))
  const child = spawn(process.execPath, [program, entry, folder, String(seed), String(writes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  /** @type {Set<number>} */
  const acknowledged = new Set()
  let isDoomed = false
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'open') continue
    acknowledged.add(Number(line))
    if (isDoomed || acknowledged.size < killAfter) continue
    isDoomed = true
    void sleep(random() * DELAY_MS_MAX).then(() => child.kill('SIGKILL'))
  }
  const [code, signal] = await ended
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself, with ${code ?? signal}, seed ${seed}`)
  return acknowledged
}

/**
 * @param {any} store
 * @param {ReadonlySet<number>} acknowledged
 * @param {number} seed
 * @param {number} writes
 */
async function differences(store, acknowledged, seed, writes) {
  /** @type {string[]} */
  const problems = []
  /** @type {Map<number, number>} */
  const versions = new Map()
  for await (const found of store.entries()) {
    const [name, version] = [nameOf(found), versionOf(found)]
    versions.set(name, version)
    if (!isSame(found, recordOf(seed, name, version))) problems.push(`record ${name} is not as it was put`)
  }
  /** The writes of each name in order, from the last one that was acknowledged on. @type {Map<number, number[]>} */
  const possible = new Map()
  for (let i = 0; i < writes; i++) {
    const { name } = writeAt(i, writes)
    possible.set(name, acknowledged.has(i) ? [i] : [...(possible.get(name) ?? []), i])
  }
  const wasAcknowledged = new Set([...acknowledged].map((i) => writeAt(i, writes).name))
  for (const [name, last] of possible) {
    const found = versions.get(name)
    // Where nothing was acknowledged, that there is none is right as well.
    const mayBeGone = !wasAcknowledged.has(name) || last.some((i) => writeAt(i, writes).isDelete)
    const isRight = found === undefined ? mayBeGone : last.includes(found) && !writeAt(found, writes).isDelete
    if (!isRight) problems.push(`record ${name} is ${found ?? 'missing'}, and should be one of ${last}`)
  }
  return problems
}
