// @ts-check
// What needs nothing but the language and the web's globals, run outside a browser; prints what came of it as JSON.
import { checkChannelTransport, converse } from './channel.js'
import { simulate } from './simulation.js'

const simulation = await simulate()
const channelRules = await checkChannelTransport()
const { elapsedMs, timeoutMs } = await converse()
console.log(JSON.stringify({ simulation, channelRules, elapsedMs, timeoutMs }))
