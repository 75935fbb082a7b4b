// @ts-check
// One case alone, for quick looks: `node --expose-gc bench/peers/one.js SYSTEM [NODES [DELAY_MS [DEAD_SHARE]]]
// [--lookups 200] [--puts 500] [--gets 500] [--seconds 60] [--idle 5] [--seed 1]`. Needs a built dist.

import { parseArgs } from 'node:util'
import { measure } from './measure.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lookups: { type: 'string', default: '200' },
    puts: { type: 'string', default: '500' },
    gets: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    idle: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
})
const [system = 'xorbit', nodes = '300', delayMs = '0', deadShare = '0'] = positionals
const figures = await measure(
  { system, nodes: Number(nodes), delayMs: Number(delayMs), deadShare: Number(deadShare) },
  {
    lookups: Number(values.lookups),
    puts: Number(values.puts),
    gets: Number(values.gets),
    partSeconds: Number(values.seconds),
    idleSeconds: Number(values.idle),
    seed: Number(values.seed),
  },
  (text) => console.error(text),
)
console.log(JSON.stringify(figures, null, 1))
// The nodes still run.
process.exit()
