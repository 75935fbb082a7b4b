// @ts-check
// A simulated network whose whole trace is decided by its seed: every runtime and every browser must get the same digest.
import { createDht, generateKeyPair, keyOf, toHex } from 'xorbit'
import { Simulator } from 'xorbit/testing'

const NODES = 30
const VALUES = 10
const SIMULATED_MS_MAX = 6 * 3_600_000

/**
 * 30 nodes in a network that loses, doubles and reorders: some put, publish and announce, a third dies, the rest finds.
 *
 * @returns what was found, how many events it took, and the digest of everything that was sent
 */
export async function simulate(seed = 'everywhere') {
  const faults = { jitterMs: 20, lossRate: 0.1, duplicateRate: 0.05, reorderRate: 0.1, reorderMs: 300 }
  const simulator = new Simulator({ seed, ...faults })
  const { random } = simulator
  const found = await simulator.run(
    async () => {
      const nodes = await network(simulator)
      const values = Array.from({ length: VALUES }, () => random.bytes(1 + random.int(880)))
      values.push(random.bytes(5_000))
      const puts = await Promise.all(values.map((value) => random.pick(nodes).dht.put(value)))
      const keys = generateKeyPair({ seed: random.bytes(32) })
      const publisher = random.pick(nodes).dht
      await publisher.publish(keys, bytesOf('the first'))
      await publisher.publish(keys, bytesOf('the second'))
      const topic = keyOf('a topic')
      await random.pick(nodes).dht.announce(topic, { keys, port: 8001, data: bytesOf('here') })

      for (const { host } of random.shuffle(nodes).slice(0, NODES / 3)) host.kill()
      const alive = nodes.filter(({ host }) => host.isAlive)
      let gotten = 0
      for (const [i, { key }] of puts.entries()) {
        const value = (await random.pick(alive).dht.get(key))?.value
        if (value !== undefined && toHex(value) === toHex(values[i] ?? new Uint8Array())) gotten++
      }
      const resolved = await random.pick(alive).dht.resolve(keys.publicKey)
      let located = 0
      for await (const peer of random.pick(alive).dht.locate(topic)) {
        if (toHex(peer.publicKey) === toHex(keys.publicKey) && peer.port === 8001) located++
      }
      await Promise.all(alive.map(({ dht }) => dht.close()))
      return { gotten, resolved: resolved && new TextDecoder().decode(resolved.value), seq: resolved?.seq, located }
    },
    { limitMs: SIMULATED_MS_MAX },
  )
  const expected = { gotten: VALUES + 1, resolved: 'the second', seq: 2n, located: 1 }
  for (const [name, value] of Object.entries(expected)) {
    const actual = Object.entries(found).find(([other]) => other === name)?.[1]
    if (actual !== value) throw new Error(`${name} is ${String(actual)} instead of ${String(value)}`)
  }
  return { sent: simulator.stats.sent, delivered: simulator.stats.delivered, digest: simulator.digest() }
}

/** @param {Simulator} simulator */
async function network(simulator) {
  /** @type {{ host: ReturnType<Simulator['host']>, dht: import('xorbit').Dht }[]} */
  const nodes = []
  for (let i = 0; i < NODES; i++) {
    const host = simulator.host()
    const { transport, clock, randomBytes } = host
    const dht = createDht({
      transport,
      clock,
      randomBytes,
      bootstrap: nodes.slice(0, 1).map((node) => node.host.address),
    })
    const joined = new Promise((resolve) => dht.on('joined', resolve))
    // So much is lost that the first attempt may fail: the node goes on by itself.
    await dht.start().catch(() => joined)
    nodes.push({ host, dht })
  }
  await simulator.delay(60_000)
  return nodes
}

/** @param {string} text */
function bytesOf(text) {
  return new TextEncoder().encode(text)
}
