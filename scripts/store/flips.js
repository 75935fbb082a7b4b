// @ts-check
// Damages the files of a store, one place at a time: it opens or says why not, and never returns a wrong record.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ClassicLevel } from 'classic-level'
import { randomFrom } from '../../bench/peers/numbers.js'
import { isSame, nameOf, recordOf, versionOf } from './workload.js'

/** How many records are filled in at a time: each such group is one entry of LevelDB's log. */
const GROUP = 64

/** Smaller than the default, so that there are several tables: most of what a long-lived store consists of. */
const WRITE_BUFFER_BYTES = 2 ** 20

/**
 * @typedef {object} Outcome
 * @property {string} file
 * @property {number} at - the place of the damage, in bytes
 * @property {'flip' | 'truncation'} damage
 * @property {'intact' | 'told' | 'cut' | 'silent' | 'refused' | 'aborted'} outcome - nothing was lost; the report says that
 * something was; it says only that the store was not closed, which it was: that there may be a loss; something was lost,
 * and the report does not say so; it did not open; LevelDB ended the process
 * @property {number} lost - records that are not there
 * @property {number} older - records that are there in a version that was replaced, or although they were deleted
 * @property {string} [reason] - why it did not open
 * @property {number} [repaired] - of a store that did not open: what there is after ClassicLevel.repair
 * @property {string[]} problems
 */

/**
 * What is written into the store: of a seed always the same. Some records are replaced and some deleted. It is closed
 * once in the middle.
 *
 * @param {number} seed
 * @param {number} records
 */
function planOf(seed, records) {
  /** @type {Map<number, number>} */
  const expected = new Map()
  /** What each group changes: the version of a name, undefined where it is deleted. @type {Map<number, number | undefined>[]} */
  const groups = []
  const random = randomFrom(seed)
  for (let done = 0; done < records * 1.2; done += GROUP) {
    const changes = new Map()
    groups.push(changes)
    for (let i = done; i < done + GROUP; i++) {
      const name = i < records ? i : Math.floor(random() * records)
      changes.set(name, i >= records && random() < 0.3 ? undefined : i)
    }
    for (const [name, version] of changes) {
      if (version === undefined) expected.delete(name)
      else expected.set(name, version)
    }
  }
  return { expected, groups, closedAfter: groups.length >> 1 }
}

/**
 * Makes the store, in two runs. What is in the log stays there until it is opened again.
 *
 * @param {any} openLevelStore
 * @param {string} original - its folder
 * @param {number} seed
 * @param {number} records
 */
async function fill(openLevelStore, original, seed, records) {
  const open = () =>
    openLevelStore(new ClassicLevel(original, { writeBufferSize: WRITE_BUFFER_BYTES }), { sync: false })
  let store = await open()
  await store.nodeState.save({ id: new Uint8Array(32).fill(1), secretKey: new Uint8Array(32).fill(2), contacts: [] })
  const { closedAfter, groups } = planOf(seed, records)
  for (const [i, changes] of groups.entries()) {
    if (i === closedAfter) {
      await store.close()
      store = await open()
    }
    await Promise.all(
      [...changes].map(([name, version]) => {
        const record = recordOf(seed, name, version ?? 0)
        return version === undefined ? store.delete(record.key, record.kind, record.slot) : store.put(record)
      }),
    )
  }
  await store.close()
}

/**
 * Damages a store at many places, one at a time. Each is opened in a process of its own kind, as LevelDB ends a process
 * when its assertions find disorder in a table.
 *
 * @param {string} entry - the module that has openLevelStore
 * @param {number} seed
 * @param {number} records
 * @param {readonly (readonly ['flip' | 'truncation', number])[]} damages - what is done, and how often
 * @param {(outcome: Outcome) => void} onOutcome
 */
export async function damageMany(entry, seed, records, damages, onOutcome) {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-flips-'))
  try {
    const { openLevelStore } = await import(entry)
    await fill(openLevelStore, join(folder, 'original'), seed, records)
    for (const [damage, places] of damages) {
      for (let next = 0; next < places; ) {
        const args = [entry, folder, seed, records, damage, next, places].map(String)
        const program = fileURLToPath(new URL('damager.js', import.meta.url))
        const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
        let errors = ''
        child.stderr.setEncoding('utf8').on('data', (text) => {
          errors += text
        })
        const ended = once(child, 'exit')
        for await (const line of createInterface({ input: child.stdout })) {
          next++
          onOutcome(JSON.parse(line))
        }
        const [code, signal] = await ended
        if (code === 0) continue
        const isLevelDb = signal === 'SIGABRT' && /leveldb.*Assertion/.test(errors)
        const problems = isLevelDb ? [] : [`the process ended with ${code ?? signal}: ${errors.slice(-500)}`]
        const { file, at } = harmed(folder, seed, next, damage)
        onOutcome({ file, at, damage, outcome: 'aborted', reason: errors.trim(), lost: 0, older: 0, problems })
        next++
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Damages a copy of the store, each kind of file in turn, and opens it.
 *
 * @param {any} openLevelStore
 * @param {string} folder
 * @param {number} seed - that of the records
 * @param {number} records
 * @param {number} number - which place
 * @param {'flip' | 'truncation'} damage
 * @returns {Promise<Outcome>}
 */
export async function damageOnce(openLevelStore, folder, seed, records, number, damage) {
  const made = planOf(seed, records)
  const { copy, file, at } = harmed(folder, seed, number, damage)
  /** @type {Outcome} */
  const outcome = { file, at, damage, outcome: 'intact', lost: 0, older: 0, problems: [] }

  let database = new ClassicLevel(copy)
  let store
  try {
    store = await openLevelStore(database)
  } catch (error) {
    outcome.outcome = 'refused'
    outcome.reason = /** @type {Error} */ (error).message
    if (/** @type {any} */ (error).code !== 'ERR_STORE_FAILED') outcome.problems.push(`it rejects with ${error}`)
    await database.close()
    await ClassicLevel.repair(copy)
    database = new ClassicLevel(copy)
    store = await openLevelStore(database)
    outcome.repaired = store.report.records
  }
  await compare(store, made, seed, outcome)
  await store.close()
  return outcome
}

/**
 * Copies the store and damages the copy.
 *
 * @param {string} folder
 * @param {number} seed
 * @param {number} number
 * @param {'flip' | 'truncation'} damage
 */
function harmed(folder, seed, number, damage) {
  const [original, copy] = [join(folder, 'original'), join(folder, 'copy')]
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy)
  for (const name of readdirSync(original)) copyFileSync(join(original, name), join(copy, name))
  return { copy, ...harm(copy, randomFrom(Math.imul(seed, 0x27d4eb2f) ^ number), number, damage) }
}

/**
 * @param {string} folder
 * @param {() => number} random
 * @param {number} number
 * @param {'flip' | 'truncation'} damage
 */
function harm(folder, random, number, damage) {
  const files = readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
  const filled = files.filter(({ bytes }) => bytes.length > 0)
  // Tables and log have the records, so they come twice as often as the others.
  const kinds = [...new Set(filled.map(({ name }) => kindOf(name)))].sort()
  const turns = [...kinds, ...kinds.filter((kind) => kind === '.ldb' || kind === '.log')]
  const kind = turns[number % turns.length]
  const ofKind = filled.filter(({ name }) => kindOf(name) === kind)
  const { name, bytes } = /** @type {(typeof ofKind)[number]} */ (ofKind[Math.floor(random() * ofKind.length)])
  const at = Math.floor(random() * bytes.length)
  if (damage === 'truncation') {
    truncateSync(join(folder, name), at)
  } else {
    bytes[at] = /** @type {number} */ (bytes[at]) ^ (1 + Math.floor(random() * 255))
    writeFileSync(join(folder, name), bytes)
  }
  return { file: name, at }
}

/** @param {string} name */
function kindOf(name) {
  return extname(name) || name.replace(/-\d+$/, '')
}

/**
 * @param {any} store
 * @param {ReturnType<typeof planOf>} made
 * @param {number} seed
 * @param {Outcome} outcome
 */
async function compare(store, { expected, ...made }, seed, outcome) {
  const { problems } = outcome
  const { report } = store
  const found = new Map()
  for await (const record of store.entries()) {
    const [name, version] = [nameOf(record), versionOf(record)]
    if (!isSame(record, recordOf(seed, name, version))) problems.push(`record ${name} is not as it was put`)
    found.set(name, version)
    if (version !== expected.get(name)) outcome.older++
  }
  for (const name of expected.keys()) if (!found.has(name)) outcome.lost++
  for (const [name, version] of [...expected].slice(0, 200)) {
    const { key, kind, slot } = recordOf(seed, name, version)
    for (const record of await store.list(key, kind)) {
      const isWrong = !isSame(record, recordOf(seed, name, versionOf(record))) || !Buffer.from(record.slot).equals(slot)
      if (isWrong || versionOf(record) !== found.get(name)) problems.push(`list of record ${name} is wrong`)
    }
  }
  const { id, secretKey } = store.nodeState.loaded
  const isRight = (/** @type {Uint8Array | undefined} */ bytes, /** @type {number} */ fill) =>
    bytes === undefined || (bytes.length === 32 && bytes.every((byte) => byte === fill))
  if (!isRight(id, 1) || !isRight(secretKey, 2)) problems.push('the node state is wrong')
  if (outcome.outcome === 'refused') return
  const isLost = outcome.lost + outcome.older > 0 || id === undefined || secretKey === undefined
  if (!report.isComplete || store.dropped > 0) {
    outcome.outcome = 'told'
  } else if (!report.wasClosed) {
    outcome.outcome = 'cut'
    if (!momentsOf(found, made).includes('once')) problems.push(`${outcome.lost} lost, ${outcome.older} older: no cut`)
  } else if (isLost) {
    outcome.outcome = 'silent'
    const moments = momentsOf(found, made)
    if (!moments.includes(id === undefined ? 'new' : 'closed')) {
      problems.push(`${outcome.lost} lost, ${outcome.older} older, and not told`)
    }
  }
}

/**
 * When these were all records: before the first write, when it was closed in the middle, at some moment.
 *
 * @param {ReadonlyMap<number, number>} found
 * @param {Pick<ReturnType<typeof planOf>, 'groups' | 'closedAfter'>} made
 */
function momentsOf(found, { groups, closedAfter }) {
  const held = new Map()
  const same = () => held.size === found.size && [...held].every(([name, version]) => found.get(name) === version)
  const moments = same() ? ['new', 'once'] : []
  for (const [i, changes] of groups.entries()) {
    for (const [name, version] of changes) {
      if (version === undefined) held.delete(name)
      else held.set(name, version)
    }
    if (same()) moments.push(i + 1 === closedAfter ? 'closed' : 'once', 'once')
  }
  return moments
}
