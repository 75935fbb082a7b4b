// @ts-check
// Work that volunteers share without a server: here they count primes. The work is cut into units, each a signed value
// in the DHT under the project's key, with the unit's number as its salt. A worker claims a unit by compare-and-swap,
// computes it, and adds its result the same way. A unit is confirmed when two workers report the same.
//
//   node volunteer-computing.js create PROJECT --units 12      writes a project file: give it to those who shall help
//   node volunteer-computing.js work PROJECT --bootstrap HOST:PORT     until all units are confirmed
//   node volunteer-computing.js status PROJECT --bootstrap HOST:PORT   how far it is
//
// What to know before you build on it:
// - A compare-and-swap is no lock. In a network that is split, or that loses datagrams, two workers may both be told
//   that a unit is theirs, or a result may be replaced by one that did not know of it. Units are idempotent, so all
//   that this costs is work that is done twice: a result that got lost is missed and computed again.
// - A claim is a lease. At Ctrl-C a worker gives it back and ends with status 130; a second Ctrl-C ends it at once. When
//   one dies, others take the unit once its time is over. Clocks that differ by more than a lease cost double work too.
// - Values expire: what nobody has published again for a day is forgotten, results too. A worker renews what it was the
//   last to publish while it runs, so fetch the results, or let one worker run, before all have gone.
// - The project file holds the secret key. Who has it can replace every unit, and vote under two names: this finds
//   computers that err, not workers that destroy. Give it to people whom you trust.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, fromHex, generateKeyPair, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'

/** @typedef {{ secretKey: Uint8Array, units: number, unitSize: number, leaseMs: number }} Project */
/** @typedef {{ seq: bigint, claim: { worker: string, untilMs: number } | null, counts: Record<string, number> }} Unit */

const USAGE = `usage: node volunteer-computing.js create PROJECT [--units N] [--size N] [--lease SECONDS]
       node volunteer-computing.js work PROJECT --bootstrap HOST:PORT [--host ADDRESS]
       node volunteer-computing.js status PROJECT --bootstrap HOST:PORT [--host ADDRESS]
  PROJECT                 the project's file
  --units N               into how many units the work is cut, at most 100000; 12 unless given
  --size N                how many numbers a unit has; 1000000 unless given
  --lease SECONDS         how long a claim holds, several times what a unit takes; 60 unless given
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          where to listen; every address of the machine unless given
`
const VOTES = 2
const UNITS_MAX = 100_000 // each is a value in the network, and every worker asks for all of them

const { role, path, hosts, bootstrap, ...wanted } = readArguments()
const me = toHex(randomBytes(4))
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
try {
  if (role === 'create') create()
  else await join(readProject())
} catch (error) {
  process.stderr.write(`volunteer-computing: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}

function create() {
  const project = { secretKey: toHex(randomBytes(32)), ...wanted }
  writeFileSync(path, `${JSON.stringify(project)}\n`, { mode: 0o600, flag: 'wx' })
  console.log(`${path}: ${wanted.units} units of ${wanted.unitSize} numbers`)
}

/** @returns {Project} */
function readProject() {
  const { secretKey, units, unitSize, leaseMs } = JSON.parse(readFileSync(path, 'utf8'))
  const isValid = [units, unitSize, leaseMs].every((number) => Number.isSafeInteger(number) && number > 0)
  if (!isValid || units > UNITS_MAX) throw new Error(`${path} is no project file`)
  return { secretKey: fromHex(secretKey), units, unitSize, leaseMs }
}

/** @param {Project} project */
async function join({ secretKey, units, unitSize, leaseMs }) {
  const keys = generateKeyPair({ seed: secretKey })
  // Who is there for a moment only is a client: others do not count on it.
  const dht = createDht({ transport: udp(hosts), bootstrap, client: role === 'status' })
  const saltOf = (/** @type {number} */ index) => new TextEncoder().encode(`unit ${index}`)

  /** What a call gave, or undefined when it failed. Throws when nobody answers any more. @template T */
  async function ask(/** @type {() => Promise<T>} */ call) {
    try {
      return await call()
    } catch (cause) {
      if (!(cause instanceof DhtError)) throw cause
      // Bad luck, if somebody is there after all: the caller will try again.
      if (await dht.findNode(dht.id).catch(() => undefined)) return undefined
      throw new Error('nobody answers any more: the network is cut', { cause })
    }
  }

  /** @returns {Promise<Unit | undefined>} none when nobody answered */
  async function read(/** @type {number} */ index) {
    return ask(async () => {
      const found = await dht.resolve(keys.publicKey, { salt: saltOf(index) })
      // What nobody has stored yet is a unit that nobody has begun.
      if (!found) return { seq: 0n, claim: null, counts: {} }
      return { ...JSON.parse(new TextDecoder().decode(found.value)), seq: found.seq }
    })
  }

  /** Replaces what was read, unless somebody else did so meanwhile. @returns {Promise<boolean>} */
  async function replace(/** @type {number} */ index, /** @type {Unit} */ { seq, ...unit }) {
    const value = new TextEncoder().encode(JSON.stringify(unit))
    // Among the failures is ERR_CAS_MISMATCH: another worker was faster.
    const published = await ask(() => dht.publish(keys, value, { salt: saltOf(index), cas: seq }))
    return published !== undefined
  }

  /** Computes a unit, if nobody else does. @returns {Promise<boolean>} whether it was this worker's for a while */
  async function tryUnit(/** @type {number} */ index, /** @type {Unit} */ unit) {
    const other = unit.claim && unit.claim.worker !== me ? unit.claim : undefined
    const isTaken = me in unit.counts || (other && other.untilMs > Date.now())
    if (isTaken) return false
    if (!(await replace(index, { ...unit, claim: { worker: me, untilMs: Date.now() + leaseMs } }))) return false
    console.log(`claimed unit ${index}${other ? `, as the lease of ${other.worker} is over` : ''}`)
    const count = await countPrimes(index * unitSize, (index + 1) * unitSize)
    const result = count === undefined ? {} : { [me]: count }
    // Interrupted, it does not insist: its lease ends anyway.
    for (let attempt = 1; attempt <= 3 || !stop.signal.aborted; attempt++) {
      // Others may have worked on it meanwhile, when this took longer than the lease: what they say stays.
      const now = await read(index)
      if (now && me in now.counts) break
      const claim = now?.claim?.worker === me ? null : (now?.claim ?? null)
      if (now && (await replace(index, { ...now, claim, counts: { ...now.counts, ...result } }))) break
      await sleep(200)
    }
    stop.signal.throwIfAborted()
    console.log(`reported unit ${index}: ${count} primes`)
    return true
  }

  async function work() {
    const first = Math.floor(Math.random() * units) // so that workers rarely want the same one
    const waiting = new Set(Array.from({ length: units }, (_, i) => (first + i) % units))
    let isIdle = false
    for (let total = 0; ; await sleep(500, undefined, { signal: stop.signal }).catch(() => {})) {
      const wasIdle = isIdle
      isIdle = true
      for (const index of waiting) {
        stop.signal.throwIfAborted()
        const unit = await read(index)
        const count = unit && confirmedCount(unit)
        if (unit && count === undefined && (await tryUnit(index, unit))) isIdle = false
        if (!unit || count === undefined) continue
        waiting.delete(index)
        total += count
        const errors = Object.entries(unit.counts).filter(([, reported]) => reported !== count)
        for (const [worker, reported] of errors) console.log(`unit ${index}: ${worker} is outvoted with ${reported}`)
      }
      if (waiting.size === 0) return console.log(`all units are confirmed: ${total} primes below ${units * unitSize}`)
      if (isIdle && !wasIdle) console.log(`waiting for other workers: ${waiting.size} units are not confirmed`)
      // What this node holds itself it would find with nobody else there.
      await ask(() => dht.findNode(dht.id))
    }
  }

  async function status() {
    let [confirmed, total] = [0, 0]
    for (let index = 0; index < units; index++) {
      stop.signal.throwIfAborted()
      const unit = await read(index)
      if (!unit) throw new Error(`nobody answers about unit ${index}`)
      const count = confirmedCount(unit)
      if (count !== undefined) confirmed++
      total += count ?? 0
      const reports = Object.entries(unit.counts).map(([worker, reported]) => `${worker} says ${reported}`)
      const claim = unit.claim ? [`claimed by ${unit.claim.worker}`] : []
      console.log(`unit ${index}: ${[count === undefined ? 'open' : 'confirmed', ...reports, ...claim].join(', ')}`)
    }
    console.log(`${confirmed} of ${units} units are confirmed, with ${total} primes`)
  }

  try {
    await dht.start({ signal: stop.signal })
    await (role === 'work' ? work() : status())
  } finally {
    await dht.close()
  }
}

/** What enough workers agree on. @returns {number | undefined} */
function confirmedCount(/** @type {Unit} */ { counts }) {
  const reported = Object.values(counts)
  return reported.find((count) => reported.filter((other) => other === count).length >= VOTES)
}

/** How many primes there are from one number up to another. @returns {Promise<number | undefined>} none at Ctrl-C */
async function countPrimes(/** @type {number} */ from, /** @type {number} */ to) {
  let count = 0
  for (let number = from; number < to; number++) {
    let isPrime = number > 1
    for (let divisor = 2; isPrime && divisor * divisor <= number; divisor++) isPrime = number % divisor !== 0
    if (isPrime) count++
    // The node goes on answering others while it computes, and Ctrl-C is heard.
    if (number % 2_000 === 0) await breathe()
    if (stop.signal.aborted) return undefined
  }
  return count
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        units: { type: 'string', default: '12' },
        size: { type: 'string', default: '1000000' },
        lease: { type: 'string', default: '60' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        host: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const [role = '', path] = positionals
    if (!['create', 'work', 'status'].includes(role)) throw new Error('the first argument is create, work or status')
    if (path === undefined || positionals.length > 2) throw new Error(`${role} takes one PROJECT`)
    if (role !== 'create' && values.bootstrap.length === 0) throw new Error('--bootstrap is missing')
    const [units, unitSize, lease] = /** @type {const} */ (['units', 'size', 'lease']).map((name) => {
      if (!/^[1-9]\d{0,8}$/.test(values[name])) throw new RangeError(`--${name} takes a number from 1 on`)
      return Number(values[name])
    })
    const hosts = values.host === undefined ? {} : { host: values.host }
    if (Number(units) > UNITS_MAX) throw new RangeError(`--units takes at most ${UNITS_MAX}`)
    return { role, path, hosts, bootstrap: values.bootstrap, units, unitSize, leaseMs: Number(lease) * 1000 }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
