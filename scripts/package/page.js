// @ts-check
// Bundled for a page: the same programs as outside a browser. What came of them, or what failed, is `globalThis.outcome`.
import { checkChannelTransport, converse } from './channel.js'
import { simulate } from './simulation.js'

async function run() {
  const simulation = await simulate()
  const channelRules = await checkChannelTransport()
  const { elapsedMs, timeoutMs } = await converse()
  return { simulation, channelRules, elapsedMs, timeoutMs }
}

Object.assign(globalThis, { outcome: run() })
