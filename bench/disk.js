// @ts-check
// PING and FIND_NODE rates of a node whose records are on a disk, beside one that has them in memory, in one run, with
// and without writes going on: `node bench/disk.js [rounds]`. Works on 127.0.0.1 only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'

const ROUNDS = 20
const RECORDS = 20_000
const WRITES_PER_SECOND = 500
const OUTSTANDING = 64
const SLICE_MS = 150
const WARM_UP_MS = 500

const KINDS = /** @type {const} */ (['memory', 'disk'])
const rounds = process.argv[2] === undefined ? ROUNDS : Number(process.argv[2])

/** @typedef {{ dht: import('xorbit').Dht, address: string, write(perSecond: number): Promise<{ written: number, records: number }>, close(): Promise<void> }} Side */

/** @param {'memory' | 'disk'} kind @returns {Promise<Side>} */
async function open(kind) {
  const child = fork(fileURLToPath(new URL('disk/peer.js', import.meta.url)), [kind, String(RECORDS)], { execArgv: [] })
  const [{ address }] = await once(child, 'message')
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [address] })
  await dht.start()
  await dht.ping(address)
  return {
    dht,
    address,
    async write(writesPerSecond) {
      child.send({ writesPerSecond })
      return (await once(child, 'message'))[0]
    },
    async close() {
      await dht.close()
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

/** Its network is this node and that one: a lookup is one FIND_NODE. @type {Record<string, (side: Side) => Promise<unknown>>} */
const CALLS = {
  PING: ({ dht, address }) => dht.ping(address),
  FIND_NODE: ({ dht }) => dht.findNode(crypto.getRandomValues(new Uint8Array(32))),
}

/**
 * How many replies come a second.
 *
 * @param {Side} side
 * @param {(side: Side) => Promise<unknown>} call
 * @param {number} ms
 */
async function rate(side, call, ms) {
  const before = side.dht.stats().datagramsReceived
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: OUTSTANDING }, async () => {
      while (performance.now() - startMs < ms) await call(side)
    }),
  )
  return ((side.dht.stats().datagramsReceived - before) * 1000) / (performance.now() - startMs)
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  return /** @type {number} */ (sorted[sorted.length >> 1])
}

const sides = { memory: await open('memory'), disk: await open('disk') }
for (const call of Object.values(CALLS)) for (const kind of KINDS) await rate(sides[kind], call, WARM_UP_MS)

console.log(
  `${RECORDS} records each, ${OUTSTANDING} outstanding, ${rounds} rounds of ${SLICE_MS} ms; a ratio is the median of theirs`,
)
for (const writesPerSecond of [0, WRITES_PER_SECOND]) {
  const before = { memory: await sides.memory.write(writesPerSecond), disk: await sides.disk.write(writesPerSecond) }
  await sleep(100)
  for (const [name, call] of Object.entries(CALLS)) {
    /** @type {Record<'memory' | 'disk', number>[]} */
    const measured = []
    for (let round = 0; round < rounds; round++) {
      // By turns also in who is first.
      const order = round % 2 === 0 ? KINDS : KINDS.toReversed()
      const rates = { memory: 0, disk: 0 }
      for (const kind of order) rates[kind] = await rate(sides[kind], call, SLICE_MS)
      measured.push(rates)
    }
    const ratios = measured.map(({ memory, disk }) => disk / memory)
    const shown = KINDS.map((kind) => `${kind} ${Math.round(median(measured.map((rates) => rates[kind])))}`).join(', ')
    console.log(
      `${name}, ${writesPerSecond} writes a second: ${shown} a second; disk/memory ${median(ratios).toFixed(3)} ` +
        `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    )
  }
  for (const kind of KINDS) {
    const { written, records } = await sides[kind].write(0)
    if (writesPerSecond > 0) console.log(`${kind}: ${written - before[kind].written} written, ${records} records now`)
  }
}
const lost = KINDS.map((kind) => `${kind} ${sides[kind].dht.stats().timeouts}`).join(', ')
console.log(`requests that nobody answered: ${lost}`)
await Promise.all([sides.memory.close(), sides.disk.close()])
