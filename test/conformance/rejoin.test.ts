import { expect, onTestFinished, test } from 'vitest'
import type { Dht, DhtOptions } from '../../src/index.js'
import { createDht, keyOf, toHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import { Medium } from '../simulation/durable-store.js'

const NODES = 30
const HOST = '127.0.0.1'

/** A node that is closed when the test ends. */
async function open(options: Partial<DhtOptions>, port = 0): Promise<Dht> {
  const dht = createDht({ transport: udp({ host: HOST, port }), ...options })
  onTestFinished(() => dht.close())
  await dht.start()
  return dht
}

test('over UDP a node of 30 comes back within 5 s after the bootstrap node died, as itself, with its records', async () => {
  const first = await open({})
  const bootstrap = [first.address as string]
  const others: Dht[] = []
  for (let i = 0; i < NODES - 2; i++) others.push(await open({ bootstrap }))
  const medium = new Medium()
  const before = await open({ bootstrap, storage: medium.open() })
  const port = Number((before.address as string).split(':')[1])
  const topic = keyOf('over UDP')
  const { publicKey } = await before.announce(topic)
  const keys: Uint8Array[] = []
  while (keys.length < 3) {
    const { key } = await (others[0] as Dht).put(new TextEncoder().encode(`value ${Math.random()}`))
    // The put returns before the last holders have it.
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (medium.records.list(key, 0).length > 0) keys.push(key)
  }
  await before.close()
  await first.close()
  // A third of the others went as well, without a word.
  for (const dht of others.splice(0, NODES / 3)) await dht.close()

  const startedAtMs = performance.now()
  const again = await open({ bootstrap, storage: medium.open() }, port)
  const elapsedMs = performance.now() - startedAtMs
  console.log(`over UDP: joined again after ${Math.round(elapsedMs)} ms, with ${again.contacts().length} contacts`)
  expect(elapsedMs).toBeLessThan(5_000)
  expect(toHex(again.id)).toBe(toHex(before.id))
  expect((await again.announce(topic)).publicKey).toEqual(publicKey)
  // A client that knows nobody else gets the values from it alone: FIND_VALUE over the wire.
  const asker = createDht({ transport: udp({ host: HOST }), client: true, k: 1 })
  onTestFinished(() => asker.close())
  await asker.start()
  await asker.ping(again.address as string)
  for (const key of keys) {
    const found = await asker.get(key)
    expect(toHex(keyOf(found?.value as Uint8Array))).toBe(toHex(key))
    expect(found?.messages).toBe(1)
  }
}, 60_000)
