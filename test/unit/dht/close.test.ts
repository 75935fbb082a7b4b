import { expect, test } from 'vitest'
import { runProgram } from './child-process.js'

// An order of magnitude above what it takes: start-up included, some 300 ms.
const LIMIT_MS = 20_000
const AFTER_CLOSE_MS = 5000

// The program: ten nodes on 127.0.0.1, half of which fall silent, so that calls are open when the others close.
const PRELUDE = `
import { createSocket } from 'node:dgram'
import { createDht, generateKeyPair, keyOf } from './src/index.js'
import { udp } from './src/transport/udp.js'

const report: Record<string, unknown> = {}
let closedAtMs = 0
process.on('exit', (code) => {
  report.exitMs = performance.now() - closedAtMs
  console.log(JSON.stringify(report))
})

async function grow(count: number) {
  const transports = Array.from({ length: count }, () => udp({ host: '127.0.0.1' }))
  const nodes = []
  for (const transport of transports) {
    const node = createDht({ transport, bootstrap: nodes.length > 0 ? [nodes[0].address] : [] })
    await node.start()
    nodes.push(node)
  }
  return { nodes, transports }
}

async function closeAll(nodes) {
  closedAtMs = performance.now()
  await Promise.all(nodes.map((node) => node.close()))
  report.closeMs = performance.now() - closedAtMs
  // A socket's handle goes some turns after it told that it is closed; pipes are those of the standard streams.
  const resources = () => process.getActiveResourcesInfo().filter((name) => !/^Pipe|^TTY|^FS|^Immediate/.test(name))
  for (let turn = 0; turn < 1000 && resources().length > 0; turn++) await new Promise((resolve) => setImmediate(resolve))
  report.resources = resources()
}
`

interface Report {
  readonly closeMs: number
  readonly exitMs: number
  readonly resources: readonly string[]
  readonly outcomes?: Record<string, number>
  readonly inFlight?: number
}

async function run(program: string): Promise<Report> {
  const { code, stdout, stderr } = await runProgram(PRELUDE + program, LIMIT_MS)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Report
}

function expectClean(report: Report): void {
  expect(report.resources).toEqual([])
  expect(report.closeMs).toBeLessThan(AFTER_CLOSE_MS)
  expect(report.exitMs).toBeLessThan(AFTER_CLOSE_MS)
}

test('a process ends by itself after the close of idle nodes', async () => {
  expectClean(
    await run(`
      async function main() {
        const { nodes } = await grow(5)
        await closeAll(nodes)
      }
      main()
    `),
  )
})

test('a process ends by itself after the close of nodes that published and announced', async () => {
  expectClean(
    await run(`
      async function main() {
        const { nodes } = await grow(5)
        const [node, reader] = nodes
        await node.put(Uint8Array.of(1))
        await node.publish(generateKeyPair(), Uint8Array.of(2), { lifetimeMs: 1000 })
        const announcement = await node.announce(keyOf('a topic'))
        await node.announce(keyOf('another topic'))
        for await (const peer of reader.locate(keyOf('a topic'))) report.port = peer.port
        await announcement.stop()
        await closeAll(nodes)
      }
      main()
    `),
  )
})

test('a process ends by itself after a close in the middle of calls, and each of them has settled', async () => {
  const report = await run(`
    async function main() {
      const { nodes, transports } = await grow(10)
      await Promise.all(transports.slice(5).map((transport) => transport.close()))
      const [node] = nodes
      const outcomes: Record<string, number> = {}
      const count = (outcome: string) => (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1)
      const contact = { id: nodes[9].id, address: nodes[9].address }
      const { signal } = new AbortController()
      for (let i = 0; i < 20; i++) {
        for (const call of [
          node.findNode(keyOf('target ' + i), { signal }),
          node.get(keyOf('key ' + i), { signal }),
          node.put(Uint8Array.of(i), { signal }),
          node.publish(generateKeyPair(), Uint8Array.of(i), { signal }),
          node.resolve(keyOf('owner ' + i), { signal }),
          node.announce(keyOf('topic ' + i), { signal }),
          node.locate(keyOf('topic ' + i), { signal }).next(),
          node.ping(contact, { signal }),
          node.request(contact, 'echo', undefined, { signal }),
        ]) call.then(() => count('resolved'), (error) => count(error.code ?? String(error)))
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
      report.inFlight = node.stats().pendingCalls
      await closeAll(nodes)
      report.outcomes = outcomes
    }
    main()
  `)
  expectClean(report)
  expect(report.inFlight).toBeGreaterThan(0)
  const { ERR_CLOSED: closed = 0, ...others } = report.outcomes ?? {}
  expect(closed).toBeGreaterThanOrEqual(80)
  expect(closed + Object.values(others).reduce((sum, count) => sum + count, 0)).toBe(180)
})

test('a process ends by itself after a close while the node joins, or while it waits to try again', async () => {
  for (const waitMs of [0, 100, 2000]) {
    const report = await run(`
      async function main() {
        const silent = createSocket('udp4')
        await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
        const node = createDht({
          transport: udp({ host: '127.0.0.1' }),
          bootstrap: ['127.0.0.1:' + silent.address().port],
          requestTimeoutMs: 200,
          bootstrapRetryMs: 60_000,
        })
        const outcomes: Record<string, number> = {}
        report.outcomes = outcomes
        node.start().catch((error) => (outcomes[error.code] = 1))
        await new Promise((resolve) => setTimeout(resolve, ${waitMs}))
        silent.close()
        await closeAll([node])
      }
      main()
    `)
    expectClean(report)
    expect(report.outcomes).toEqual({ [waitMs < 200 ? 'ERR_CLOSED' : 'ERR_BOOTSTRAP_FAILED']: 1 })
  }
})

test('what a listener throws is an uncaught exception of the process, and the node works on', async () => {
  const { code, stdout, stderr } = await runProgram(
    `${PRELUDE}
      const uncaught: string[] = []
      process.on('uncaughtException', (error) => uncaught.push(error.message))
      async function main() {
        const { nodes } = await grow(3)
        nodes[0].on('contactAdded', () => { throw new Error('the listener failed') })
        nodes[0].on('closed', () => { throw new Error('so did this one') })
        const late = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [nodes[0].address] })
        await late.start()
        const { key } = await late.put(Uint8Array.of(7))
        const found = await nodes[0].get(key)
        await closeAll([...nodes, late])
        report.outcomes = { uncaught, value: [...found.value], contacts: nodes[0].contacts().length }
      }
      main()
    `,
    LIMIT_MS,
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout).outcomes).toEqual({
    uncaught: ['the listener failed', 'so did this one'],
    value: [7],
    contacts: 3,
  })
})

test('without a handler for it, what a listener throws ends the process', async () => {
  const { code, stderr } = await runProgram(
    `${PRELUDE}
      async function main() {
        const { nodes } = await grow(1)
        nodes[0].on('closed', () => { throw new Error('the listener failed') })
        await closeAll(nodes)
      }
      main()
    `,
    LIMIT_MS,
  )
  expect(code).toBe(1)
  expect(stderr).toContain('the listener failed')
})
