// Two nodes on loopback UDP: one stores, the other finds. Ends by itself only if nothing keeps the process alive.
import assert from 'node:assert/strict'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'

const transport = () => udp({ port: 0, host: '127.0.0.1' })
const value = new TextEncoder().encode('over loopback')

const first = createDht({ transport: transport(), bootstrap: [] })
await first.start()
const second = createDht({ transport: transport(), bootstrap: [first.address] })
await second.start()
const { key, storedAt } = await second.put(value)
const found = await first.get(key)
assert.ok(storedAt.length > 0)
assert.deepEqual(found?.value, value)
await second.close()
await first.close()
