// @ts-check
// The other side in a process of its own: a node, and a raw echo once it is told how long replies are. It answers each
// question for its processor time with the microseconds so far, and ends with its parent.

import process from 'node:process'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'
import { openEcho } from './raw.js'

const dht = createDht({ transport: udp({ host: '127.0.0.1' }) })
const { address } = await dht.start()

process.on('message', async (/** @type {{ replyBytes?: number }} */ { replyBytes }) => {
  if (replyBytes !== undefined) {
    const { port } = await openEcho(replyBytes)
    process.send?.({ echoPort: port })
    return
  }
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system })
})
process.on('disconnect', () => process.exit())
process.send?.({ address })
