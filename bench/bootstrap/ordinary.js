// @ts-check
// Ordinary nodes in one process, which join through the node that is measured and stay: they are the contacts that its
// replies have. `fork('ordinary.js', [address, nodes])`. At each message they tell what went between them and the node;
// they end with their parent.

import process from 'node:process'
import { createDht } from 'xorbit'
import { countingUdp, noTraffic } from './counting.js'
import { startInGroups } from './start.js'

const [address = '', count] = process.argv.slice(2)
const traffic = noTraffic()
const nodes = await startInGroups(Number(count), () =>
  createDht({ transport: countingUdp(address, traffic), bootstrap: [address] }),
)
process.on('message', () => process.send?.(traffic))
process.on('disconnect', async () => {
  await Promise.all(nodes.map((node) => node.close()))
  process.exit()
})
process.send?.('ready')
