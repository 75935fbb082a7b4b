// @ts-check
// A node that is always there, for others to join through. It keeps records for them like any other node.
//
//   node bootstrap-node.js                                                     the first node of a network
//   node bootstrap-node.js --bootstrap dht2.example.org:7400 --data-folder node   joins another one, and stays who it is
//
// A data folder is for one process at a time: a lock file there tells a second one. It does not tell two that start at
// the same moment after a crash, nor processes of several machines or containers.
//
// In earnest run `xorbit node`, which also keeps the records on the disk and has metrics: see README.md beside this file.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { createDht, DhtError, fromHex, MemoryStore, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'

/** @import { NodeState, RecordStore } from 'xorbit' */

const USAGE = `usage: node bootstrap-node.js [options]
  --port N                7400 unless given; 0 is a free one
  --host ADDRESS          every address of the machine unless given
  --bootstrap HOST:PORT   a node to join through; may be repeated; none for the first node of a network
  --network NAME          nodes of another network are not heard
  --data-folder FOLDER    keeps id, key and contacts there, for the next run
  --join-within SECONDS   ends with status 1 when nobody has answered by then; else it goes on trying
`

const options = readArguments()
try {
  await run()
} catch (error) {
  process.stderr.write(`bootstrap-node: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}

async function run() {
  const { port, host, bootstrap, network, folder, joinWithinMs } = options
  const transport = udp(host === undefined ? { port } : { port, host })
  const storage = folder === undefined ? {} : { storage: openStore(folder) }
  const dht = createDht({ transport, bootstrap, ...(network === undefined ? {} : { network }), ...storage })

  // A service is ended by SIGTERM, a program in a terminal by Ctrl-C. To close takes some milliseconds.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => dht.close())
  const deadline = joinWithinMs === undefined ? undefined : setTimeout(giveUp, joinWithinMs)
  function giveUp() {
    process.stderr.write(`bootstrap-node: nobody answered: ${bootstrap.join(', ')}\n`)
    process.exitCode = 1
    dht.close()
  }
  dht.on('closed', () => clearTimeout(deadline))
  let isListening = false
  const listening = () => {
    if (!isListening) console.log(`listening at ${dht.address}`)
    isListening = true
  }
  dht.on('joined', ({ contacts }) => {
    clearTimeout(deadline)
    listening()
    console.log(`joined, ${contacts} contacts`)
  })
  try {
    await dht.start()
    listening()
  } catch (error) {
    const code = error instanceof DhtError ? error.code : undefined
    // Nobody answered yet: the node is open, goes on trying, and says `joined` when it is in.
    if (code === 'ERR_BOOTSTRAP_FAILED') listening()
    else if (code !== 'ERR_CLOSED') throw error
  }
}

/**
 * Records in memory, and beside them a file with what the node is: enough to be found under the same id, and to come
 * back without any bootstrap node. Records that it held are handed to it again by the other holders.
 *
 * @param {string} folder
 * @returns {RecordStore}
 */
function openStore(folder) {
  mkdirSync(folder, { recursive: true })
  process.once('exit', lockFolder(folder))
  const path = join(folder, 'node.json')
  let kept = readState(path)
  /** @param {Partial<NodeState>} changes */
  const save = (changes) => {
    kept = { ...kept, ...changes }
    const { id, secretKey, contacts = [] } = kept
    const text = JSON.stringify({
      id: id && toHex(id),
      secretKey: secretKey && toHex(secretKey),
      contacts: contacts.map((contact) => ({ id: toHex(contact.id), address: contact.address })),
    })
    // In the place of the old file at once: a crash leaves the one or the other. It holds a secret, so it is ours alone.
    writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true })
    renameSync(`${path}.new`, path)
  }
  const limits = { recordsMax: 65_536, bytesMax: 64 * 2 ** 20, recordsPerSourceMax: 8_192 }
  return Object.assign(new MemoryStore(limits), { nodeState: { loaded: kept, save } })
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

/**
 * @param {string} path
 * @returns {Partial<NodeState>}
 */
function readState(path) {
  try {
    const { id, secretKey, contacts } = JSON.parse(readFileSync(path, 'utf8'))
    return {
      id: fromHex(id),
      secretKey: fromHex(secretKey),
      contacts: contacts.map((/** @type {any} */ contact) => ({ id: fromHex(contact.id), address: contact.address })),
    }
  } catch (error) {
    // No file is the first run. A damaged one is no reason not to serve: it is a new node then.
    if (/** @type {any} */ (error).code !== 'ENOENT') process.stderr.write(`${path} can't be read: ${error}\n`)
    return {}
  }
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '7400' },
        host: { type: 'string' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        network: { type: 'string' },
        'data-folder': { type: 'string' },
        'join-within': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const { host, bootstrap, network, 'data-folder': folder, 'join-within': seconds } = values
    const port = Number(values.port)
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new RangeError('--port takes 0 to 65535')
    if (seconds !== undefined && !(Number(seconds) > 0)) throw new RangeError('--join-within takes seconds')
    const joinWithinMs = seconds === undefined || bootstrap.length === 0 ? undefined : 1000 * Number(seconds)
    return { port, host, bootstrap, network, folder, joinWithinMs }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
