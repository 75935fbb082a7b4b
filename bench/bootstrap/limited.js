// @ts-check
// A node as the program's own, but with the limit by host in force on the loopback, for which the program has no option:
// `fork('limited.js', [folder, requests a second])`. It says where it listens as the program does, and ends at SIGTERM.

import process from 'node:process'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'
import { limitedTo } from './limits.js'

const cli = (/** @type {string} */ name) => import(new URL(`../../dist/cli/${name}.js`, import.meta.url).href)
const [{ openDataFolder }, { formatMetrics }, { serveMetrics }] = await Promise.all(
  ['data-folder', 'metrics', 'metrics-server'].map(cli),
)

const [path, requestsPerSecondMax] = process.argv.slice(2)
const { storage } = await openDataFolder(path)
const dht = createDht({ transport: udp({ host: '127.0.0.1' }), storage, ...limitedTo(Number(requestsPerSecondMax)) })
const metrics = () => {
  const { rss: residentBytes, heapUsed: heapBytes } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const facts = {
    residentBytes,
    heapBytes,
    cpuSeconds: (user + system) / 1e6,
    startedAtSeconds: performance.timeOrigin / 1_000,
  }
  return formatMetrics({ stats: dht.stats(), info: {}, process: facts })
}
const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, metrics, () => ({ isWell: true, facts: {} }))
process.once('SIGTERM', async () => {
  await server.close()
  await dht.close()
  process.exit()
})
const { address } = await dht.start()
console.log(JSON.stringify({ event: 'listening', address, metrics: server.url }))
