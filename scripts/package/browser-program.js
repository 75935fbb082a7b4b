// Bundled for browsers and run without Node's globals: two nodes in the simulator, one stores, the other finds.
import { createDht } from 'xorbit'
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
    await second.close()
    await first.close()
    return new TextDecoder().decode(found?.value)
  })
}

globalThis.finished = run()
