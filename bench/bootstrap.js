// @ts-check
// A bootstrap node that many clients ask for some minutes: what it answers, what is lost, what it takes of memory, and
// how long a PING takes beside a raw echo in the same run. `npm run bench:bootstrap -- --help`. Works on 127.0.0.1 only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startProgram } from './bootstrap/program.js'
import { HEADINGS, lineOf, metricOf, rowOf } from './bootstrap/rows.js'
import { accountOf, JUDGED_MINUTES_MIN, verdictOf } from './bootstrap/verdict.js'
import { thisCode, thisMachine } from './tool/machine.js'
import { readNumber } from './tool/options.js'
import { Refusal } from './tool/refusal.js'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Limits, ProgramNode } from './bootstrap/program.js' */
/** @import { Row, Sample } from './bootstrap/rows.js' */
/** @typedef {{ minutes: number, clients: number, rate: number, seed: number, limited: boolean }} Wanted */

/** In the node's table and in its replies: more than twice as many as one reply has room for. */
const ORDINARY_NODES = 60
/** With --limited, of the requests that are sent: the burst that it allows, of two seconds, is over soon. */
const LIMITED_SHARE = 0.5
const HELP = `npm run bench:bootstrap -- [options]

The program's node with a data folder, and no limit or other setting changed; clients with a socket each in a second
process, a tenth of which leave each minute for new ones; ${ORDINARY_NODES} ordinary nodes in a third, which are the contacts of its
replies; a raw echo in a fourth; and in a fifth one that asks node and echo by turns. After each minute (each quarter of
a run of less than four) it prints what became of the requests, and what the node takes: after two forced collections,
so that garbage is not counted; the heap with its buffers. Memory is judged by its slope over the minutes after the
first, in which the store fills. Each datagram with a request, resent or not, has to have its reply, or to be among
what the node says that it dropped; the load has to be what was asked for, nothing may fail or be left waiting.

  --minutes 5     how long
  --clients 200   how many
  --rate 2000     requests a second, of all of them together
  --seed 1        decides what they ask for
  --limited       the node's limit by host is in force on the loopback, at ${LIMITED_SHARE} of the rate; the program can't be
                  told so: another node with a data folder takes its place. What it refuses may fail
  --json          prints one document`

const MINUTE_MS = 60_000
/** Longer than a call may take, its second attempt included. */
const DRAIN_MS_MAX = 5_000
/** The table is full when its contacts have been as many for so long. */
const SETTLED_MS = 1_000
const SETTLED_MS_MAX = 15_000
const SIGNALS = /** @type {const} */ ({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })

/** @type {ChildProcess[]} */
const children = []
/** @type {string | undefined} */
let folder
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})
// Their own way to end calls no handler of 'exit', and the folder would stay.
for (const [signal, status] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(status))
try {
  await main()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 2
}

function options() {
  const text = { type: /** @type {const} */ ('string') }
  const flag = { type: /** @type {const} */ ('boolean'), default: false }
  try {
    const { values } = parseArgs({
      options: {
        minutes: { ...text, default: '5' },
        clients: { ...text, default: '200' },
        rate: { ...text, default: '2000' },
        seed: { ...text, default: '1' },
        limited: flag,
        json: flag,
        help: flag,
      },
    })
    const { json, help, limited, ...numbers } = values
    return {
      minutes: readNumber(numbers, 'minutes', { min: 0.02, max: 1440, isWhole: false }),
      clients: readNumber(numbers, 'clients', { min: 1, max: 5000 }),
      rate: readNumber(numbers, 'rate', { min: 1, max: 1e6 }),
      seed: readNumber(numbers, 'seed'),
      limited,
      json,
      help,
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(/** @type {Error} */ (error).message, { cause: error })
  }
}

async function main() {
  const { json, help, ...wanted } = options()
  if (help) {
    console.log(HELP)
    return
  }
  const tell = (/** @type {string} */ line) => (json ? console.error(line) : console.log(line))
  folder = mkdtempSync(join(tmpdir(), 'xorbit-bootstrap-'))
  const outcome = await measure(join(folder, 'node'), wanted, tell)
  if (json) console.log(JSON.stringify(outcome, undefined, 2))
  if (outcome.verdict.faults.length > 0) process.exitCode = 1
}

/**
 * @param {string} path
 * @param {Wanted} wanted
 * @param {(line: string) => void} tell
 */
async function measure(path, wanted, tell) {
  const { minutes, clients: count, rate, seed, limited } = wanted
  const node = await startProgram(path, adopt, limited ? Math.ceil(LIMITED_SHARE * rate) : undefined)
  watch(node.child, 'the node')
  const { address, limits } = node
  const [ordinary] = await start('ordinary', [address, ORDINARY_NODES])
  const [prober, { requestBytes, replyBytes }] = await start('prober', [address])
  const [, { port }] = await start('echo', [replyBytes])
  await answerOf(prober, { port })
  const [clients] = await start('clients', [address, count, rate, seed])
  const contacts = await settledContacts(node)
  const ask = async (/** @type {'go' | 'sample' | 'stop'} */ what) => {
    const [ofNode, ofOrdinary, ofClients, ofProber] = await Promise.all([
      node.sample(),
      answerOf(ordinary, what),
      answerOf(clients, what),
      answerOf(prober, what),
    ])
    const atMs = performance.now()
    return /** @type {Sample} */ ({ atMs, node: ofNode, ordinary: ofOrdinary, clients: ofClients, prober: ofProber })
  }
  tell(`${count} clients, ${rate} requests a second, ${minutes} minutes, seed ${seed}; a data folder on the disk`)
  tell(limitsText(limits))
  tell(`${ORDINARY_NODES} ordinary nodes, ${contacts} of them in the node's table`)
  tell(`an echo gets ${requestBytes} bytes and answers ${replyBytes}, as a PING does`)
  const pieceMs = minutes >= JUDGED_MINUTES_MIN ? MINUTE_MS : (minutes * MINUTE_MS) / 4
  const first = await ask('go')
  /** @type {Row[]} */
  const rows = []
  let before = first
  tell(HEADINGS)
  for (let endMs = pieceMs; endMs <= minutes * MINUTE_MS + 1; endMs += pieceMs) {
    await sleep(Math.max(0, first.atMs + endMs - performance.now()))
    const now = await ask('sample')
    const row = rowOf(first, before, now)
    rows.push(row)
    tell(lineOf(row))
    before = now
  }
  let last = await ask('stop')
  const drainedByMs = performance.now() + DRAIN_MS_MAX
  while (!isDrained(first, last) && performance.now() < drainedByMs) {
    await sleep(50)
    last = await ask('sample')
  }
  const verdict = verdictOf(wanted, rows, first, last)
  for (const line of verdict.lines) tell(line)
  await Promise.all(children.map(end))
  const { operations, failures, traffic, ...requests } = last.clients
  return {
    machine: thisMachine(),
    code: thisCode(),
    options: wanted,
    limits,
    contacts,
    rows,
    requests,
    operations,
    failures,
    verdict,
  }
}

/** @param {Sample} first @param {Sample} last */
function isDrained(first, last) {
  const { pending, unnamed } = accountOf(first, last)
  return pending === 0 && unnamed === 0
}

/** How many are in the node's table once no more come. @param {ProgramNode} node */
async function settledContacts(node) {
  const endMs = performance.now() + SETTLED_MS_MAX
  let contacts = -1
  for (let sinceMs = performance.now(); ; ) {
    const now = metricOf(await node.sample(), 'xorbit_contacts')
    if (now !== contacts) sinceMs = performance.now()
    contacts = now
    if (performance.now() - sinceMs >= SETTLED_MS || performance.now() > endMs) return contacts
    await sleep(SETTLED_MS / 5)
  }
}

/**
 * @param {'ordinary' | 'echo' | 'prober' | 'clients'} name
 * @param {(string | number)[]} args
 * @returns {Promise<[ChildProcess, any]>} the process and its first message
 */
async function start(name, args) {
  const child = fork(fileURLToPath(new URL(`bootstrap/${name}.js`, import.meta.url)), args.map(String), {
    execArgv: [],
  })
  adopt(child)
  const [message] = await messageOf(child)
  watch(child, name)
  return [child, message]
}

/** From its first moment on, it ends with this process. @param {ChildProcess} child */
function adopt(child) {
  children.push(child)
}

/** Without one of them nothing is measured. @param {ChildProcess} child @param {string} name */
function watch(child, name) {
  child.once('exit', (code, signal) => {
    if (child.connected || code !== 0) throw new Error(`the process of ${name} ended with ${code ?? signal}`)
  })
}

/** @param {ChildProcess} child */
async function messageOf(child) {
  const ended = new AbortController()
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`a process ended with ${code} before it was ready`)
  })
  try {
    return await Promise.race([once(child, 'message'), exit])
  } finally {
    exit.catch(() => {})
    ended.abort()
  }
}

/** @param {ChildProcess} child @param {string | { port: number }} what */
async function answerOf(child, what) {
  const answer = once(child, 'message')
  child.send(what)
  return (await answer)[0]
}

/** @param {ChildProcess} child */
async function end(child) {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

/** @param {Limits} limits */
function limitsText({ requestsPerSecondMax, limitedScopes, scope }) {
  const limit = `limit: ${requestsPerSecondMax} requests a second of one host, for ${limitedScopes.join(' and ')} addresses`
  return limitedScopes.includes(scope)
    ? `${limit}; all clients are one host, which has ${scope} addresses`
    : `${limit}; these clients have ${scope} ones, so none was in force, and nothing may be lost`
}
