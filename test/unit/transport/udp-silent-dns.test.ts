import { expect, test } from 'vitest'
import { runProgram } from '../dht/child-process.js'

/** Far more than an end takes, and less than a query that nobody cancels. */
const AT_ONCE_MS = 1000

/** Opens a look-up of a DNS server that never answers, ends it, and prints what came of it. */
function programThat(end: string): string {
  return `
    import { createSocket } from 'node:dgram'
    import dns from 'node:dns'
    const Real = dns.Resolver
    let port = 0
    dns.Resolver = class extends Real {
      constructor(options) {
        super(options)
        this.setServers(['127.0.0.1:' + port])
      }
    }
    const { udp } = require('./src/transport/udp.js')

    async function main() {
      const silent = createSocket('udp4')
      await new Promise((resolve) => silent.bind(0, '127.0.0.1', resolve))
      silent.unref()
      port = silent.address().port
      dns.lookup = () => console.log('the system was asked')
      const queries = new Promise((resolve) => {
        let count = 0
        silent.on('message', () => ++count === 2 && resolve())
      })
      const transport = udp()
      await transport.start(() => {})
      const controller = new AbortController()
      const found = transport.resolve('boot.example:7400', { signal: controller.signal })
      await queries
      const startedAt = performance.now()
      process.on('exit', () => console.log(performance.now() - startedAt < ${AT_ONCE_MS} ? 'ended at once' : 'ended late'))
      ${end}
    }
    main()
  `
}

test('a look-up that is aborted leaves nothing that keeps the process alive', async () => {
  const program = programThat(`
    controller.abort(new Error('enough'))
    await found.catch((reason) => console.log(reason.message))
    await transport.close()
  `)
  const { code, stdout, stderr } = await runProgram(program, 20_000)
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'enough\nended at once\n', stderr: '' })
})

test('close ends an open look-up and leaves nothing that keeps the process alive', async () => {
  const program = programThat(`
    await transport.close()
    console.log(JSON.stringify([await found, transport.stats().resolveErrorECANCELLED]))
  `)
  const { code, stdout, stderr } = await runProgram(program, 20_000)
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '[[],1]\nended at once\n', stderr: '' })
})

test('the program would show a look-up that goes on', async () => {
  const program = programThat(`
    console.log((await found).length)
    await transport.close()
  `)
  const { stdout } = await runProgram(program, 20_000)
  expect(stdout).toBe('0\nended late\n')
}, 25_000)
