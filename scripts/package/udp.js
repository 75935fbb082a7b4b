// @ts-check
// What `udp` promises, on the runtime that runs this: both families, one port for both, errors with their codes, nothing left
// after close. Ends by itself only if nothing keeps the process alive.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { transportConformance } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

const WAIT_MS_MAX = 5_000

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const hosts = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']
let rules = 0
for (const host of hosts) {
  const tests = transportConformance({
    create: () => udp({ host }),
    createAt: (address) => udp({ host, port: portOf(address) }),
    sibling: (address) => address.replace(/:\d+$/, ':9'),
  })
  for (const { name, run } of tests) {
    await run().catch((error) => assert.fail(`over ${host}, ${name}: ${error.message}`))
    rules++
  }
}

// One port serves both families, and answers in the family that it was asked in.
const both = await started({})
assert.match(both.address, /^0\.0\.0\.0:[1-9]\d*$/)
for (const host of hosts) {
  const one = await started({ host })
  const to = one.address.replace(/:\d+$/, `:${portOf(both.address)}`)
  await until(
    () => one.arrivals.length > 0,
    `an answer over ${host}`,
    () => {
      one.transport.send(to, Uint8Array.of(1))
      for (const { from } of both.arrivals.splice(0)) both.transport.send(from, Uint8Array.of(2))
    },
  )
  assert.deepEqual(one.arrivals[0], { from: to, bytes: [2] })
  await one.transport.close()
}

// A port is free as soon as its transport is closed, not before.
const taken = udp({ port: portOf(both.address) })
await assert.rejects(
  taken.start(() => undefined),
  ({ code, cause }) => code === 'ERR_ADDRESS_IN_USE' && cause.code === 'EADDRINUSE',
)
await both.transport.close()
assert.equal(await taken.start(() => undefined), both.address)
await taken.close()

// An address of the range for documentation (RFC 5737), which no machine has.
await assert.rejects(
  udp({ host: '203.0.113.9' }).start(() => undefined),
  ({ code, cause }) => code === 'ERR_TRANSPORT' && cause.code === 'EADDRNOTAVAIL',
)

const [a, b] = [await started({ host: '127.0.0.1' }), await started({ host: '127.0.0.1' })]
const longest = Array.from({ length: a.transport.maxDatagramBytes }, (_, i) => (i * 7) & 0xff)
const sendLongest = () => a.transport.send(b.address, Uint8Array.from(longest))
await until(() => b.arrivals.length > 0, 'the longest datagram', sendLongest)
assert.deepEqual(b.arrivals[0]?.bytes, longest)
a.transport.send(b.address, new Uint8Array(longest.length + 1))
await until(() => a.transport.stats?.().sendErrorEMSGSIZE === 1, 'one that is too long to be counted')
assert.deepEqual(await a.transport.resolve('localhost:7400'), ['127.0.0.1:7400'])
await Promise.all([a.transport.close(), b.transport.close()])
console.log(`${rules} rules${hasIpv6 ? '' : '; this machine has no ::1'}`)

/** @param {import('xorbit/udp').UdpOptions} options */
async function started(options) {
  const transport = udp(options)
  /** @type {{ from: string, bytes: number[] }[]} */
  const arrivals = []
  const address = await transport.start((from, bytes) => arrivals.push({ from, bytes: [...bytes] }))
  return { transport, address, arrivals }
}

/**
 * @param {() => boolean} condition
 * @param {string} what
 * @param {() => void} [again]
 */
async function until(condition, what, again = () => undefined) {
  for (const endMs = performance.now() + WAIT_MS_MAX; !condition(); ) {
    assert(performance.now() < endMs, `waited in vain for ${what}`)
    again()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** @param {string} address */
function portOf(address) {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
