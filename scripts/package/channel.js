// @ts-check
// The clock, the random numbers and the signatures that a runtime or a browser itself provides: real nodes in real time,
// joined by message channels instead of UDP.
import { createDht, DhtError, generateKeyPair, keyOf, toHex } from 'xorbit'
import { transportConformance } from 'xorbit/testing'
import { channelTransport, Switchboard } from './channel-transport.js'

const TIMEOUT_MS = 300

/**
 * Three nodes store, find, publish, resolve, announce and locate; who does not answer is waited for as long as was said.
 *
 * @returns how long each took, in ms of the platform's clock
 */
export async function converse() {
  const switchboard = new Switchboard()
  const startedMs = performance.now()
  /** @type {import('xorbit').Dht[]} */
  const nodes = []
  for (const name of ['page:a', 'page:b', 'page:c']) {
    const bootstrap = nodes.length > 0 ? ['page:a'] : []
    const transport = channelTransport(switchboard, name)
    const dht = createDht({ transport, bootstrap, requestTimeoutMs: TIMEOUT_MS })
    await dht.start()
    nodes.push(dht)
  }
  const [first, second, third] = /** @type {[import('xorbit').Dht, import('xorbit').Dht, import('xorbit').Dht]} */ (
    nodes
  )
  mustBe('different ids', new Set(nodes.map(({ id }) => toHex(id))).size, 3)

  const value = new TextEncoder().encode('in real time')
  const { key } = await second.put(value, { acknowledgements: 20 })
  mustBe('the value', text((await first.get(key))?.value), 'in real time')
  const keys = generateKeyPair()
  mustBe('different keys', toHex(keys.secretKey) === toHex(generateKeyPair().secretKey), false)
  await third.publish(keys, value)
  mustBe('the published value', text((await first.resolve(keys.publicKey))?.value), 'in real time')
  const topic = keyOf('a topic')
  const announcement = await second.announce(topic, { keys })
  const { value: peer } = await third.locate(topic).next()
  mustBe('the peer', peer?.address, 'page:b')
  await announcement.stop()

  const askedMs = performance.now()
  const failure = await first.ping('page:nobody').catch((error) => error)
  const waitedMs = performance.now() - askedMs
  mustBe('a DhtError', failure instanceof DhtError && failure.code, 'ERR_TIMEOUT')
  if (waitedMs < TIMEOUT_MS - 1 || waitedMs > 20 * TIMEOUT_MS) throw new Error(`a time-out took ${waitedMs} ms`)

  const short = await first.put(new TextEncoder().encode('for a second'), { lifetimeMs: 1_000, republish: false })
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  mustBe('what has expired', (await first.get(short.key))?.value, undefined)
  for (const dht of nodes) await dht.close()
  return { elapsedMs: Math.round(performance.now() - startedMs), timeoutMs: Math.round(waitedMs) }
}

/** The transport above keeps the promises that every transport must keep. */
export async function checkChannelTransport() {
  const switchboard = new Switchboard()
  let made = 0
  const rules = transportConformance({
    create: () => channelTransport(switchboard, `page:${made++}`),
    createAt: (address) => channelTransport(switchboard, address),
  })
  for (const { name, run } of rules) {
    await run().catch((error) => {
      throw new Error(`${name}: ${error.message}`, { cause: error })
    })
  }
  return rules.length
}

/**
 * @param {string} what
 * @param {unknown} actual
 * @param {unknown} expected
 */
function mustBe(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

/** @param {Uint8Array | undefined} bytes */
function text(bytes) {
  return bytes && new TextDecoder().decode(bytes)
}
