// @ts-check
// A store of one's own: where a node keeps the records of others, and what makes it the same node after a restart. This
// one keeps a journal, a file to which each change is added as a line. At the start it is played back.
//
//   node custom-store.js run FOLDER --port 7400      a node that keeps its records in a folder, until Ctrl-C
//   node custom-store.js check                       checks that the store keeps every promise that nodes rely on
//
// The journal survives a process that is killed. What a power cut takes is what the system had not written yet; other
// nodes hold it too. The store on a disk of `xorbit/level` does more: see README.
//
// A folder is for one process at a time: a lock file there tells a second one. It does not tell two that start at the
// same moment after a crash, two stores of one process, nor processes of several machines or containers.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, fromHex, keyOf, MemoryStore, toHex } from 'xorbit'
import { recordStoreConformance } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

/** @import { NodeState, NodeStateStore, RecordStore, RecordStoreLimits, StoredRecord } from 'xorbit' */

const USAGE = `usage: node custom-store.js run FOLDER [--port N] [--host ADDRESS] [--bootstrap HOST:PORT]
       node custom-store.js check
  --port N                a free one unless given
  --host ADDRESS          every address of the machine unless given
  --bootstrap HOST:PORT   a node to join through; may be repeated; none for the first node of a network
`
const LIMITS = { recordsMax: 65_536, bytesMax: 64 * 2 ** 20, recordsPerSourceMax: 8_192 }
/** The journal is written anew when it has become so much longer than what it is about. */
const SLACK_BYTES = 2 ** 20

/**
 * Which records there are, and which give way when it is full, is decided by a store in memory. Told the same changes
 * again it decides alike (but for what expires at the same moment), so the changes are all that has to be kept.
 *
 * @implements {RecordStore}
 */
class JournalStore {
  /** @type {NodeStateStore} */
  nodeState
  #memory
  #path
  #file
  #bytes = 0
  #isClosed = false
  #unlock

  /** @param {string} folder @param {RecordStoreLimits} limits */
  constructor(folder, limits) {
    mkdirSync(folder, { recursive: true })
    this.#unlock = lockFolder(folder)
    this.#path = join(folder, 'journal')
    this.#memory = new MemoryStore(limits)
    for (const line of readIfThere(this.#path).split('\n')) this.#play(line)
    // Also drops what a crash has left of a last line.
    this.#file = this.#rewrite()
    this.nodeState = nodeStateIn(join(folder, 'node.json'))
  }

  /** @param {StoredRecord} record */
  put(record) {
    const outcome = this.#memory.put(record)
    if (outcome === 'stored') this.#append({ put: toJson(record) })
    return outcome
  }

  /** @param {Uint8Array} key @param {number} kind @param {Uint8Array} slot */
  delete(key, kind, slot) {
    const isDeleted = this.#memory.delete(key, kind, slot)
    if (isDeleted) this.#append({ delete: { key: toHex(key), kind, slot: toHex(slot) } })
    return isDeleted
  }

  /** @param {number} nowMs */
  removeExpired(nowMs) {
    const removed = this.#memory.removeExpired(nowMs)
    if (removed > 0) this.#append({ removeExpired: nowMs })
    return removed
  }

  /** @param {Uint8Array} key @param {number} kind */
  list(key, kind) {
    return this.#memory.list(key, kind)
  }

  entries() {
    return this.#memory.entries()
  }

  stats() {
    return this.#memory.stats()
  }

  close() {
    this.#memory.close()
    if (this.#isClosed) return
    this.#isClosed = true
    fsyncSync(this.#file)
    closeSync(this.#file)
    this.#unlock()
  }

  /** @param {object} change */
  #append(change) {
    // At the end of what is whole: a line that did not get through, as on a full disk, is written over.
    this.#bytes += writeAll(this.#file, lineOf(change), this.#bytes)
    if (this.#bytes < 2 * this.stats().bytes + SLACK_BYTES) return
    const old = this.#file
    this.#file = this.#rewrite()
    closeSync(old)
  }

  /** Writes what there is into a new journal, and puts that in the place of the old one at once. */
  #rewrite() {
    const file = openSync(`${this.#path}.new`, 'w')
    let bytes = 0
    try {
      for (const record of this.entries()) bytes += writeAll(file, lineOf({ put: toJson(record) }), bytes)
      fsyncSync(file)
      renameSync(`${this.#path}.new`, this.#path)
    } catch (error) {
      // The old one is still in its place, and goes on.
      closeSync(file)
      throw error
    }
    this.#bytes = bytes
    return file
  }

  /** @param {string} line */
  #play(line) {
    const [checksum, text = ''] = [line.slice(0, 16), line.slice(17)]
    // A line that a crash cut off, or that the disk has damaged, is left out.
    if (checksum !== checksumOf(text)) return
    const change = JSON.parse(text)
    if (change.put) this.#memory.put(fromJson(change.put))
    if (change.delete) this.#memory.delete(fromHex(change.delete.key), change.delete.kind, fromHex(change.delete.slot))
    if (change.removeExpired !== undefined) this.#memory.removeExpired(change.removeExpired)
  }
}

/**
 * Takes a folder for this process, by a file with its number. That of a process that is gone counts for nothing.
 *
 * @param {string} folder
 * @returns {() => void} gives it back
 */
function lockFolder(folder) {
  const path = join(folder, 'lock')
  const take = () => writeFileSync(path, `${process.pid}`, { flag: 'wx' })
  try {
    take()
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
    const pid = Number(readFileSync(path, 'utf8'))
    // A crash may have left an empty file.
    if (pid > 0 && pid !== process.pid && isAlive(pid)) {
      const advice = `If that is no such node, remove ${path}`
      throw new Error(`${folder} is in use by process ${pid}. ${advice}`, { cause: error })
    }
    rmSync(path)
    take()
  }
  return () => rmSync(path, { force: true })
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Any other error tells that there is one.
    return /** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH'
  }
}

/** @param {string} path @returns {NodeStateStore} */
function nodeStateIn(path) {
  const { id, secretKey, contacts = [] } = JSON.parse(readIfThere(path) || '{}')
  /** @type {Partial<NodeState>} */
  const loaded = id && {
    id: fromHex(id),
    secretKey: fromHex(secretKey),
    contacts: contacts.map((/** @type {any} */ contact) => ({ ...contact, id: fromHex(contact.id) })),
  }
  let kept = loaded ?? {}
  return {
    loaded: kept,
    save(changes) {
      kept = { ...kept, ...changes }
      const text = JSON.stringify(kept, (_, value) => (value instanceof Uint8Array ? toHex(value) : value))
      writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true })
      renameSync(`${path}.new`, path)
    },
  }
}

/** @param {StoredRecord} record */
function toJson({ key, slot, record, source, meta, ...plain }) {
  const bytes = { key: toHex(key), slot: toHex(slot), record: toHex(record), source: toHex(source) }
  return { ...plain, ...bytes, ...(meta && { meta: toHex(meta) }) }
}

/** @param {ReturnType<typeof toJson>} json @returns {StoredRecord} */
function fromJson({ key, slot, record, source, meta, ...plain }) {
  const bytes = { key: fromHex(key), slot: fromHex(slot), record: fromHex(record), source: fromHex(source) }
  return { ...plain, ...bytes, ...(meta !== undefined && { meta: fromHex(meta) }) }
}

/** @param {object} change */
function lineOf(change) {
  const text = JSON.stringify(change)
  return `${checksumOf(text)} ${text}\n`
}

/** @param {string} text */
function checksumOf(text) {
  return toHex(keyOf(text)).slice(0, 16)
}

/** @param {number} file @param {string} text @param {number} position @returns {number} how many bytes it has written */
function writeAll(file, text, position) {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at)
  return bytes.length
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return ''
    throw error
  }
}

/** Each promise is a function that throws where it is broken: any test runner can run them. */
async function check() {
  const parent = await mkdtemp(join(tmpdir(), 'custom-store-'))
  try {
    let stores = 0
    const create = (/** @type {RecordStoreLimits} */ limits) => new JournalStore(join(parent, `${++stores}`), limits)
    const reopen = (/** @type {RecordStoreLimits} */ limits) => new JournalStore(join(parent, `${stores}`), limits)
    for (const { name, run } of recordStoreConformance({ create, reopen })) {
      await run()
      console.log(`ok  ${name}`)
    }
  } finally {
    await rm(parent, { recursive: true })
  }
}

/** @param {string} folder @param {{ port: number, host?: string }} place @param {string[]} bootstrap */
async function runNode(folder, place, bootstrap) {
  const storage = new JournalStore(folder, LIMITS)
  console.log(`${storage.stats().records} records in ${folder}`)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
  const dht = createDht({ transport: udp(place), storage, bootstrap })
  try {
    const { address, contacts } = await dht.start({ signal: stop.signal })
    console.log(`${toHex(dht.id).slice(0, 8)} listens at ${address}, with ${contacts} contacts`)
    // A node that knows nobody yet waits for the first one to come.
    for (let silences = 0; silences < 2 && !stop.signal.aborted; ) {
      await sleep(silences === 0 ? 2_000 : 200, undefined, { signal: stop.signal }).catch(() => {})
      const isAlone = dht.contacts().length > 0 && (await dht.findNode(dht.id).catch(() => undefined)) === undefined
      silences = isAlone ? silences + 1 : 0
    }
    if (!stop.signal.aborted) throw new Error('nobody answers any more: the network is cut')
  } finally {
    await dht.close()
  }
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '0' },
        host: { type: 'string' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const [role, folder] = positionals
    const wanted = { run: 2, check: 1 }[role ?? '']
    if (positionals.length !== wanted) throw new Error('it takes run FOLDER, or check')
    const { bootstrap, host } = values
    const port = Number(values.port)
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new RangeError('--port takes 0 to 65535')
    return { folder, place: host === undefined ? { port } : { port, host }, bootstrap }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}

const { folder, place, bootstrap } = readArguments()
try {
  if (folder === undefined) await check()
  else await runNode(folder, place, bootstrap)
} catch (error) {
  process.stderr.write(`custom-store: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
