// Bundled for browsers and run without Node's globals: two nodes in the simulator, one stores, publishes and announces, the
// other finds.
import { createDht, generateKeyPair, keyOf } from 'xorbit'
import { Simulator } from 'xorbit/testing'

async function run() {
  const simulator = new Simulator({ seed: 1 })
  const create = (bootstrap) => {
    const { transport, clock, randomBytes } = simulator.host()
    return createDht({ transport, clock, randomBytes, bootstrap })
  }
  return simulator.run(async () => {
    const first = create([])
    await first.start()
    const second = create([first.address])
    await second.start()
    const { key } = await second.put(new TextEncoder().encode('in a browser'))
    const found = await first.get(key)
    const keys = generateKeyPair()
    await second.publish(keys, new TextEncoder().encode('signed in a browser'))
    const resolved = await first.resolve(keys.publicKey)
    if (new TextDecoder().decode(resolved?.value) !== 'signed in a browser') throw new Error('it does not resolve')
    const announcement = await second.announce(keyOf('a topic'), { keys })
    const { value: peer } = await first.locate(keyOf('a topic')).next()
    if (peer?.address !== second.address) throw new Error('it is not located')
    await announcement.stop()
    await second.close()
    await first.close()
    return new TextDecoder().decode(found?.value)
  })
}

globalThis.finished = run()
