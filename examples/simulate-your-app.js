// @ts-check
// An application's own logic, and its test on the simulator: 100 nodes, datagrams that get lost, a third of the nodes
// dead, an hour and more in some seconds. One seed gives one run, bit for bit, so what fails once fails again.
//
//   node simulate-your-app.js test --seed 7                  the test; with another seed another network
//   node simulate-your-app.js test --loss 1                  fails, as nothing gets through
//   node simulate-your-app.js offer NAME --bootstrap HOST:PORT      the same logic in earnest, over UDP, until Ctrl-C
//   node simulate-your-app.js mirrors NAME --bootstrap HOST:PORT    who offers it
import assert from 'node:assert/strict'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, keyOf } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

/** @import { Announcement, Dht } from 'xorbit' */

const USAGE = `usage: node simulate-your-app.js test [--seed N] [--loss RATE]
       node simulate-your-app.js offer NAME --bootstrap HOST:PORT [--host ADDRESS] [--load PERCENT]
       node simulate-your-app.js mirrors NAME --bootstrap HOST:PORT [--host ADDRESS]
  --seed N                which network, which losses and who dies; 1 unless given
  --loss RATE             which share of the datagrams is lost, 0 to 1; 0.05 unless given
  --load PERCENT          how busy this mirror is; 0 unless given
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          where to listen; every address of the machine unless given
`

/**
 * The application: who has a file of a name, the least busy one first. It is given its node and a way to wait, and asks
 * nobody else for time or randomness: that is all that the simulator needs.
 */
class Mirrors {
  #dht
  #wait
  /** @type {Map<string, Announcement>} */
  #offers = new Map()

  /** @param {Dht} dht @param {(ms: number) => Promise<unknown>} wait */
  constructor(dht, wait) {
    this.#dht = dht
    this.#wait = wait
  }

  /** Says that this node has the file; again, to say how busy it is now. */
  async offer(/** @type {string} */ name, load = 0) {
    const options = { data: Uint8Array.of(load) }
    const offer = await this.#persist(() => this.#dht.announce(keyOf(`mirrors/${name}`), options))
    this.#offers.set(name, offer)
  }

  async withdraw(/** @type {string} */ name) {
    await this.#offers.get(name)?.stop()
    this.#offers.delete(name)
  }

  /** @returns {Promise<{ address: string, load: number }[]>} */
  async find(/** @type {string} */ name) {
    return this.#persist(async () => {
      const found = []
      for await (const { address, data } of this.#dht.locate(keyOf(`mirrors/${name}`))) {
        // Peers may say anything: an application checks what it is told.
        if (data.length === 1) found.push({ address, load: /** @type {number} */ (data[0]) })
      }
      return found.sort((a, b) => a.load - b.load || (a.address < b.address ? -1 : 1))
    })
  }

  /** One failure may be bad luck. @template T @param {() => Promise<T>} call @returns {Promise<T>} */
  async #persist(call) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call()
      } catch (error) {
        if (!(error instanceof DhtError) || attempt === 3) throw error
        await this.#wait(1_000 * attempt)
      }
    }
  }
}

/** Fails where one of them is not found, though others may be found too. @param {Mirrors} app @param {{ host: { address: string } }[]} wanted */
async function assertFound(app, wanted) {
  const found = new Set((await app.find('atlas.iso')).map(({ address }) => address))
  const missing = wanted.map(({ host }) => host.address).filter((address) => !found.has(address))
  assert.deepEqual(missing, [], 'some mirrors are not found')
}

/** The test: each claim is one that its users would make. @param {string} seed @param {number} lossRate */
async function test(seed, lossRate) {
  const simulator = new Simulator({ seed, lossRate })
  const machines = Array.from({ length: 100 }, () => simulator.host())
  const first = machines.slice(0, 1).map(({ address }) => address)
  const all = machines.map((host, i) => {
    const { transport, clock, randomBytes } = host
    const dht = createDht({ transport, clock, randomBytes, bootstrap: i === 0 ? [] : first })
    return { host, dht, app: new Mirrors(dht, (ms) => simulator.delay(ms)) }
  })
  const addressesOf = (/** @type {typeof all} */ members) => members.map(({ host }) => host.address).sort()
  const step = (/** @type {string} */ text) =>
    console.log(`${(simulator.nowMs / 1000).toFixed(1).padStart(8)} s  ${text}`)

  await simulator.run(
    async () => {
      for (const { dht } of all) {
        const joined = new Promise((resolve) => dht.on('joined', resolve))
        // A lost datagram may cost the first attempt; the node goes on trying, though not for ever here.
        await dht.start().catch(() => Promise.race([joined, simulator.delay(60_000)]))
      }
      const contacts = all.map(({ dht }) => dht.contacts().length)
      assert.ok(Math.min(...contacts) > 0, 'a node is alone: the network is cut')
      step('100 nodes have joined')

      const mirrors = all.slice(20, 50)
      for (const [i, { app }] of mirrors.entries()) await app.offer('atlas.iso', i)
      const asker = /** @type {typeof all[number]} */ (all[99])
      const found = await asker.app.find('atlas.iso')
      assert.deepEqual(found.map(({ address }) => address).sort(), addressesOf(mirrors), 'not all mirrors are found')
      assert.equal(found[0]?.load, 0, 'the least busy one does not come first')
      assert.deepEqual(await asker.app.find('another.iso'), [], 'a file that nobody has is found')
      step(`${found.length} mirrors are found`)

      // Where datagrams get lost, a holder may not hear that one leaves, and names it until its time is over: seed 3 showed
      // it. So what users can count on is that nobody else is missing now, and that it is gone in the end.
      const [leaving, ...others] = mirrors
      await leaving?.app.withdraw('atlas.iso')
      await assertFound(asker.app, others)
      step('one has left, and all others are found')

      // A third of all dies without a word, but not the one that asks.
      const dying = new Set(simulator.random.shuffle(all.slice(0, 99)).slice(0, 33))
      for (const { host } of dying) host.kill()
      const living = others.filter((mirror) => !dying.has(mirror))
      await assertFound(asker.app, living)
      step(`33 nodes are dead, and all ${living.length} mirrors that live are found`)

      // Announcements last an hour, and are renewed before that.
      await simulator.delay(75 * 60_000)
      const later = (await asker.app.find('atlas.iso')).map(({ address }) => address)
      assert.deepEqual(later.sort(), addressesOf(living), 'later it is not those that live')
      step('the dead are forgotten, and those that live are still found')
      for (const { dht, host } of all) if (host.isAlive) await dht.close()
    },
    { limitMs: 3 * 3_600_000 },
  )
  console.log(`${simulator.events} events, digest ${simulator.digest().slice(0, 16)}`)
}

/** The same application in a network that is real. @param {ReturnType<typeof readArguments>} options */
async function runForReal({ role, name, load, hosts, bootstrap }) {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
  // Who is there for a moment only is a client: others do not count on it.
  const dht = createDht({ transport: udp(hosts), bootstrap, client: role === 'mirrors' })
  const app = new Mirrors(dht, sleep)
  try {
    await dht.start({ signal: stop.signal })
    if (role === 'mirrors') {
      for (const mirror of await app.find(name)) console.log(`${mirror.address}, ${mirror.load} % busy`)
      return
    }
    await app.offer(name, load)
    console.log(`offering ${name}`)
    for (let silences = 0; silences < 2 && !stop.signal.aborted; ) {
      await sleep(silences === 0 ? 2_000 : 200, undefined, { signal: stop.signal }).catch(() => {})
      const { closest } = await dht.findNode(dht.id).catch(() => ({ closest: [] }))
      silences = closest.length > 0 ? 0 : silences + 1
    }
    if (!stop.signal.aborted) throw new Error('nobody answers any more: the network is cut')
    await app.withdraw(name)
  } finally {
    await dht.close()
  }
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string', default: '1' },
        loss: { type: 'string', default: '0.05' },
        load: { type: 'string', default: '0' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        host: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const { seed, bootstrap, host } = values
    const [role = '', name = ''] = positionals
    const wanted = new Map(Object.entries({ test: 1, offer: 2, mirrors: 2 })).get(role)
    if (positionals.length !== wanted) throw new Error('it takes test, offer NAME or mirrors NAME')
    if (role !== 'test' && bootstrap.length === 0) throw new Error('--bootstrap is missing')
    const [loss, load] = [Number(values.loss), Number(values.load)]
    if (!(loss >= 0 && loss <= 1)) throw new RangeError('--loss takes 0 to 1')
    if (!(Number.isInteger(load) && load >= 0 && load <= 100)) throw new RangeError('--load takes 0 to 100')
    return { role, name, seed, loss, load, hosts: host === undefined ? {} : { host }, bootstrap }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}

const options = readArguments()
try {
  if (options.role === 'test') await test(options.seed, options.loss)
  else await runForReal(options)
} catch (error) {
  const message = error instanceof Error ? error.message : error
  process.stderr.write(
    `simulate-your-app: ${message}${options.role === 'test' ? `\nseed ${options.seed} repeats it` : ''}\n`,
  )
  process.exitCode = 1
}
