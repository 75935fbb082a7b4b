import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bundleProgram, ROOT, runProgram } from '../unit/examples/programs.js'
import { argumentsFor, network, silentAddress } from './network.js'
import { end, expectUsage, run, start, temporaryFolder } from './processes.js'

const APP = 'simulate-your-app.js'

test('the application passes its test on the simulator, and one seed gives one run', async () => {
  const once = await run(APP, ['test', '--seed', '7'])
  const again = await run(APP, ['test', '--seed', '7'])
  expect(once).toMatchObject({ status: 0, stderr: '' })
  expect(once.stdout).toMatch(/ 33 nodes are dead, and all \d+ mirrors that live are found\n/)
  expect(once.stdout).toMatch(/\n\d+ events, digest [0-9a-f]{16}\n$/)
  expect(again).toEqual(once)
})

test('its test fails when the network is cut, and says how to repeat it', async () => {
  const { status, stderr } = await run(APP, ['test', '--loss', '1', '--seed', 'any'])
  expect(stderr).toBe('simulate-your-app: a node is alone: the network is cut\nseed any repeats it\n')
  expect(status).toBe(1)
})

test.each([
  [0, `new DhtError('ERR_NO_NODES', 'lost')`, '1 calls, waits []: offered'],
  [2, `new DhtError('ERR_NO_NODES', 'lost')`, '3 calls, waits [1000,2000]: offered'],
  [3, `new DhtError('ERR_NO_NODES', 'lost')`, '3 calls, waits [1000,2000]: lost'],
  [1, `new TypeError('wrong')`, '1 calls, waits []: wrong'],
])('of an application whose node fails %d times with %s comes: %s', async (failures, error, expected) => {
  const source = readFileSync(join(ROOT, 'examples', APP), 'utf8')
  // What it makes of its command line is left out.
  const logic = source.replace(/^const options = readArguments\(\)$(?:.|\n)*/m, '')
  expect(logic).not.toBe(source)
  const file = join(temporaryFolder(), 'logic.mjs')
  await bundleProgram(
    `${logic}
    let [calls, waits] = [0, []]
    const announce = async () => {
      if (++calls <= ${failures}) throw ${error}
    }
    const app = new Mirrors({ announce }, async (ms) => waits.push(ms))
    const outcome = await app.offer('atlas.iso').then(() => 'offered', ({ message }) => message)
    console.log(\`\${calls} calls, waits \${JSON.stringify(waits)}: \${outcome}\`)`,
    file,
  )
  expect(await runProgram(file)).toEqual({ status: 0, stdout: `${expected}\n`, stderr: '' })
})

test('the same application works over UDP, and names who left no longer', async () => {
  const { arguments: args, nodes } = await network(4)
  const [busy, idle] = [
    await start(APP, ['offer', 'atlas.iso', '--load', '70', ...args]),
    await start(APP, ['offer', 'atlas.iso', '--load', '5', ...args]),
  ]
  for (const mirror of [busy, idle]) await mirror.waitFor(/^offering atlas\.iso$/m)
  await end(nodes[3]!)
  const both = await run(APP, ['mirrors', 'atlas.iso', ...args])
  expect(both.stdout).toMatch(/^127\.0\.0\.1:\d+, 5 % busy\n127\.0\.0\.1:\d+, 70 % busy\n$/)
  idle.kill('SIGINT')
  expect(await idle.end()).toMatchObject({ status: 0, stderr: '' })
  const one = await run(APP, ['mirrors', 'atlas.iso', ...args])
  expect(one).toMatchObject({ status: 0, stdout: expect.stringMatching(/^127\.0\.0\.1:\d+, 70 % busy\n$/) })
})

test('the application ends with status 1 when the network is cut', async () => {
  const { arguments: args, cut } = await network(2)
  const mirror = await start(APP, ['offer', 'atlas.iso', ...args])
  await mirror.waitFor(/^offering atlas\.iso$/m)
  const asking = await start(APP, ['mirrors', 'atlas.iso', ...argumentsFor(await silentAddress())])
  await cut()
  expect(await mirror.end()).toMatchObject({
    status: 1,
    stderr: 'simulate-your-app: nobody answers any more: the network is cut\n',
  })
  expect(await asking.end()).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^simulate-your-app: none of the bootstrap addresses answered/),
  })
})

test.each([
  [[]],
  [['test', '--loss', '2']],
  [['test', 'surplus']],
  [['offer']],
  [['offer', 'atlas.iso']],
  [['mirrors', 'atlas.iso', '--load', 'much', '--bootstrap', '127.0.0.1:1']],
])('the application refuses %j', (args) => expectUsage(APP, args))
