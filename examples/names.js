// @ts-check
// A name that its owner alone can point elsewhere: a public key stands for the newest value that was signed with it.
// Whoever has the public key finds that value, wherever its owner is by then.
//
//   node names.js create key.json                               makes a name and prints it: the public key
//   node names.js point key.json https://192.0.2.1/ --bootstrap 127.0.0.1:7400
//   node names.js follow PUBLIC_KEY --watch --bootstrap 127.0.0.1:7400
//
// Keep the key file secret, and copy it to each of your devices. Each copy remembers the version that its device saw
// last, and replaces that one alone: a device that has not heard of a newer one is refused, and told what it missed.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, fromHex, generateKeyPair, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'

/** @import { Dht, ResolveResult } from 'xorbit' */

const USAGE = `usage: node names.js create KEYFILE
       node names.js point KEYFILE VALUE --bootstrap HOST:PORT
       node names.js follow PUBLIC_KEY [--watch] --bootstrap HOST:PORT
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          listen there; every address of the machine unless given
  --watch                 look again every so often, and say when it has moved, until Ctrl-C
  --every SECONDS         how often; 10 unless given
`
const FAILURES_MAX = 2 // in a row: one look may fail while the network mends itself

const interrupt = new AbortController()
const { signal } = interrupt
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupt.abort())

const { command, subject, value, isWatching, everyMs, bootstrap, host } = readArguments()
try {
  if (command === 'create') create(subject)
  else await withNode((dht) => (command === 'point' ? point(dht, subject, value) : follow(dht, subject)))
} catch (error) {
  // Ctrl-C is how to end a watch, and no failure.
  if (!(signal.aborted && isWatching)) {
    process.stderr.write(`names: ${plain(error instanceof Error ? error.message : error)}\n`)
    process.exitCode = 1
  }
}

/** @param {string} path */
function create(path) {
  const { publicKey, secretKey } = generateKeyPair()
  const text = JSON.stringify({ publicKey: toHex(publicKey), secretKey: toHex(secretKey), seen: '0' })
  writeFileSync(path, `${text}\n`, { mode: 0o600, flag: 'wx' }) // never over another key: it could not be had again
  console.log(toHex(publicKey))
}

/** @type {(dht: Dht, path: string, value: string) => Promise<void>} */
async function point(dht, path, value) {
  const kept = JSON.parse(readFileSync(path, 'utf8'))
  const keys = { publicKey: fromHex(kept.publicKey), secretKey: fromHex(kept.secretKey) }
  const seen = BigInt(kept.seen)
  // Holders keep it for 24 hours. This node is about to end, so it will not store it again: point daily, also where it
  // has not moved, or keep a node open and leave `republish` out.
  const publish = (/** @type {bigint} */ cas) =>
    dht.publish(keys, new TextEncoder().encode(value), { cas, seq: seen + 1n, republish: false, signal })
  const { seq, storedAt } = await publish(seen).catch(async (error) => {
    if (!(error instanceof DhtError) || error.code !== 'ERR_CAS_MISMATCH') throw error
    const found = await dht.resolve(keys.publicKey, { signal })
    if (found === undefined) return publish(0n) // It has expired everywhere: there is nothing to overwrite.
    keep(path, { ...kept, seen: String(found.seq) })
    const refusal = 'moved by another device, point again if that is to be replaced'
    throw new Error(`${refusal}: ${describe(found)}`, { cause: error })
  })
  keep(path, { ...kept, seen: String(seq) })
  console.log(`version ${seq} is kept by ${storedAt.length} nodes`)
}

/** @type {(dht: Dht, digits: string) => Promise<void>} */
async function follow(dht, digits) {
  const publicKey = fromHex(digits)
  let seen = 0n
  let failures = 0
  do {
    try {
      const found = await dht.resolve(publicKey, { signal })
      failures = 0
      if (found === undefined && !isWatching) throw new Error('nobody keeps a value of that name')
      // A reader that reaches only old holders is shown an old value. Never go back from what was seen.
      if (found !== undefined && found.seq > seen) {
        seen = found.seq
        console.log(describe(found))
      }
    } catch (error) {
      if (!isWatching || ++failures === FAILURES_MAX) throw error
    }
    if (isWatching) await delay(everyMs, undefined, { signal })
  } while (isWatching)
}

/** @type {(path: string, kept: object) => void} */
function keep(path, kept) {
  // In the place of the old file at once: whatever happens meanwhile, the key is not lost.
  writeFileSync(`${path}.new`, `${JSON.stringify(kept)}\n`, { mode: 0o600, flush: true })
  renameSync(`${path}.new`, path)
}

/** @param {ResolveResult} found */
function describe({ seq, value }) {
  return `version ${seq}: ${plain(new TextDecoder().decode(value))}`
}

/** What others wrote, without anything that a terminal obeys, and on one line. @param {unknown} text */
function plain(text) {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
}

/** @param {(dht: Dht) => Promise<void>} run */
async function withNode(run) {
  // A client keeps nothing for others: right for a program that is there for a moment.
  const dht = createDht({ transport: udp(host === undefined ? {} : { host }), bootstrap, client: true })
  try {
    await dht.start({ signal })
    await run(dht)
  } finally {
    await dht.close()
  }
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        bootstrap: { type: 'string', multiple: true, default: [] },
        host: { type: 'string' },
        watch: { type: 'boolean', default: false },
        every: { type: 'string', default: '10' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const { bootstrap, host, watch: isWatching, every } = values
    const [command = '', subject = '', value = ''] = positionals
    if (!['create', 'point', 'follow'].includes(command)) throw new Error('create, point or follow?')
    const operands = command === 'point' ? 2 : 1
    if (positionals.length !== operands + 1) throw new Error(`${command} takes ${operands} of them`)
    if (command === 'follow' && !/^[0-9a-f]{64}$/i.test(subject)) throw new Error('a public key has 64 hex digits')
    if (command !== 'create' && bootstrap.length === 0) throw new Error('--bootstrap is missing')
    if (!(Number(every) >= 0.1 && Number(every) <= 86_400)) throw new Error('--every takes 0.1 to 86400 seconds')
    return { command, subject, value, isWatching, everyMs: 1000 * Number(every), bootstrap, host }
  } catch (error) {
    process.stderr.write(`names: ${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
