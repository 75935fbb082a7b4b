import { afterEach, expect, test } from 'vitest'
import type { Dht } from '../../../src/index.js'
import { createDht } from '../../../src/index.js'
import type { RecordStore } from '../../../src/storage/index.js'
import { openLevelStore } from '../../../src/storage/level.js'
import { udp } from '../../../src/transport/udp.js'
import { FaultyLevel, levelError } from './faulty-level.js'

const nodes: Dht[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((dht) => dht.close()))
})

async function node(storage?: RecordStore): Promise<Dht> {
  const bootstrap = nodes.map(({ address }) => address as string)
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap, ...(storage && { storage }) })
  nodes.push(dht)
  await dht.start()
  return dht
}

test('a node whose disk is full refuses to store with a code, and goes on serving', async () => {
  const level = new FaultyLevel()
  const holder = await node(await openLevelStore(level))
  const asker = await node()
  const kept = new TextEncoder().encode('kept before')
  const { key, storedAt } = await asker.put(kept, { acknowledgements: 20 })
  expect(storedAt).toHaveLength(1)

  level.faults.beforeBatch = () => {
    throw levelError('LEVEL_IO_ERROR', 'IO error: 000004.log: No space left on device')
  }
  for (const text of ['the write that fails', 'one that is refused']) {
    const refused = asker.put(new TextEncoder().encode(text), { acknowledgements: 20 })
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_NOT_STORED',
      cause: { code: expect.stringMatching(/^ERR_(REMOTE|STORE_FULL)$/) },
    })
  }
  await asker.ping(holder.address as string)
  expect((await asker.findNode(key)).closest).toHaveLength(1)
  const third = await node()
  expect((await third.get(key))?.value).toEqual(kept)
})

test('a node is not made with a store that is closed', async () => {
  const store = await openLevelStore(new FaultyLevel())
  await store.close()
  const make = () => createDht({ transport: udp({ host: '127.0.0.1' }), storage: store })
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
})
