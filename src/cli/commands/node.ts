import process from 'node:process'
import type { Dht, DhtOptions } from '../../index.js'
import { createDht, DhtError, toHex } from '../../index.js'
import { udp } from '../../transport/udp.js'
import { unlessAborted } from '../abort.js'
import type { Call, Command } from '../command.js'
import type { DataFolder } from '../data-folder.js'
import { openDataFolder } from '../data-folder.js'
import { counted, formatBytes } from '../formats.js'
import { formatMetrics } from '../metrics.js'
import type { Health, MetricsServer } from '../metrics-server.js'
import { metricsAddress, serveMetrics } from '../metrics-server.js'
import { describeError } from '../output.js'
import {
  asUsage,
  bootstrapOf,
  bootstrapOption,
  DEFAULT_PORT,
  fromArguments,
  NODE_OPTIONS,
  withAdvice,
} from '../session.js'
import { Interrupted, STATUS } from '../status.js'
import { version } from '../version.js'

/** How often the numbers are told, in ms. */
const STATS_INTERVAL_MS = 60_000

/** How often it is looked whether the disk can be written, in ms. */
const DISK_INTERVAL_MS = 1000

/** Runs a node until it is told to stop. */
export const nodeCommand: Command = {
  name: 'node',
  operands: [],
  summary: 'runs a node until Ctrl-C or SIGTERM',
  details: [
    'It keeps values for others and answers their lookups. Without --bootstrap it is the first node of a network, and others join through it. With --data-folder it is the same node after a restart, with its id, the contacts that it knew and the records that it kept. Prints where it listens, then that it has joined; the first node of a network joins nobody, and prints the first line alone.',
  ],
  options: {
    port: { value: 'PORT', short: 'p', says: `the UDP port, 0 for a free one (default: ${DEFAULT_PORT})` },
    bootstrap: bootstrapOption('none: the first of a network'),
    ...NODE_OPTIONS,
    'data-folder': { value: 'FOLDER', says: 'where id, contacts and records are kept (default: in memory)' },
    client: { says: 'ask others only, and keep nothing for them: for a node that others can not reach' },
    metrics: { value: '[HOST:]PORT', says: 'serve /metrics for Prometheus and /healthz over HTTP (host: 127.0.0.1)' },
    stats: { value: 'TIME', says: 'how often a line with numbers goes to stderr, 0 for never (default: 60s)' },
  },
  examples: [
    ['xorbit node', `the first node of a network, at UDP port ${DEFAULT_PORT}`],
    ['xorbit node --port 7401 --bootstrap 127.0.0.1:7400', 'a second one on the same machine'],
    [
      'xorbit node --data-folder data --bootstrap dht.example.org:7400 --metrics 9400',
      'a bootstrap node that is the same after a restart, and is watched',
    ],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, ended, signal } = call
    const port = given.integer('port', 0, 65_535) ?? DEFAULT_PORT
    const statsMs = given.durationMs('stats', 0) ?? STATS_INTERVAL_MS
    const metrics = given.text('metrics')
    const metricsAt = metrics === undefined ? undefined : metricsAddress(metrics)
    const options = {
      transport: fromArguments(() => udp({ port, host: given.text('host') })),
      bootstrap: bootstrapOf(call),
      network: given.text('network'),
      client: given.flag('client'),
    }
    const path = given.text('data-folder')
    const opening = path === undefined ? undefined : openDataFolder(path)
    let folder: DataFolder | undefined
    try {
      folder = opening && (await unlessAborted(signal, opening))
    } catch (error) {
      // It may open later, and is not to stay locked then.
      opening?.then(({ storage }) => storage.close()).catch(() => {})
      if (error instanceof Interrupted) return STATUS.done
      throw error
    }
    const dht = await withFolder(options, folder)
    let server: MetricsServer | undefined
    const timers: NodeJS.Timeout[] = []
    try {
      if (metricsAt) {
        const metrics = metricsOf(dht, folder, options.network)
        server = await serveMetrics(metricsAt, metrics, () => healthOf(dht, folder))
      }
      tellEvents(call, dht)
      if (folder) timers.push(tellFolder(call, path as string, folder))
      await listen(call, dht, server)
      if (statsMs > 0) timers.push(setInterval(() => output.say(statsLine(dht)), statsMs))
      output.say(`${await ended}: leaving`)
      return STATUS.done
    } catch (error) {
      // That it is told to stop while it still joins is no failure either.
      if (error instanceof Interrupted) return STATUS.done
      throw withAdvice(
        'ERR_ADDRESS_IN_USE',
        asUsage(error),
        () =>
          `port ${port} is taken, maybe by a node: with --port 0 --bootstrap 127.0.0.1:${port} this one gets a free port and joins it`,
      )
    } finally {
      for (const timer of timers) clearInterval(timer)
      await server?.close()
      await dht.close()
    }
  },
}

/** Whatever goes wrong, the folder is free again. */
async function withFolder(options: DhtOptions, folder: DataFolder | undefined): Promise<Dht> {
  try {
    return fromArguments(() => createDht({ ...options, storage: folder?.storage }))
  } catch (error) {
    await folder?.storage.close()
    throw error
  }
}

/** Opens the node: it is open even if nobody answered yet. */
async function listen({ output, signal }: Call, dht: Dht, server: MetricsServer | undefined): Promise<void> {
  dht.on('listening', ({ address }) => {
    const { id } = dht
    output.event({ event: 'listening', id, address, metrics: server?.url }, `listening at ${address}`)
    output.say(`id ${toHex(id)}${server ? `, metrics at ${server.url}/metrics` : ''}`)
  })
  try {
    await dht.start({ signal })
  } catch (error) {
    if (!(error instanceof DhtError) || error.code !== 'ERR_BOOTSTRAP_FAILED') throw error
    output.warn('nobody answered yet; trying on')
  }
}

function tellEvents({ output }: Call, dht: Dht): void {
  dht.on('joined', ({ contacts, elapsedMs }) => {
    output.event({ event: 'joined', contacts, elapsedMs }, `joined, ${counted(contacts, 'contact')}`)
  })
  dht.on('bootstrapFailed', (error) => {
    if (output.isJson) output.event({ event: 'bootstrapFailed', error }, '')
  })
}

/** What was found there, and from now on when it can't be written, and when it can again. @returns what that takes */
function tellFolder({ output }: Call, path: string, { storage, report }: DataFolder): NodeJS.Timeout {
  const { records, isComplete, missing, corrupt, isIdentityLost } = storage.report
  output.say(`${path}: ${counted(records, 'record')}`)
  if (!isComplete || report.damagedBytes > 0) {
    const identity = isIdentityLost ? ', and the id' : ''
    output.warn(`${path} is damaged: ${counted(missing + corrupt, 'record')} lost${identity}; going on with the rest`)
  }
  let failed = false
  return setInterval(() => {
    const { failure } = storage
    if (failure && !failed) output.warn(`records are refused until the disk is right again: ${failure.message}`)
    if (!failure && failed) output.warn('the disk is right again: records are taken')
    failed = failure !== undefined
  }, DISK_INTERVAL_MS)
}

function metricsOf(dht: Dht, folder: DataFolder | undefined, network = 'xorbit'): () => string {
  const info = { version: version(), id: toHex(dht.id), network }
  return () => {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    return formatMetrics({
      stats: dht.stats(),
      isStoreFailed: folder?.storage.failure !== undefined,
      info,
      process: {
        residentBytes: rss,
        heapBytes: heapUsed,
        cpuSeconds: (user + system) / 1e6,
        startedAtSeconds: Math.round(performance.timeOrigin) / 1000,
      },
    })
  }
}

function healthOf(dht: Dht, folder: DataFolder | undefined): Health {
  const { isJoined, contacts, storage } = dht.stats()
  const failure = folder?.storage.failure
  const facts = { isJoined, contacts, records: storage.records, ...(failure && { store: describeError(failure) }) }
  return { isWell: isJoined && failure === undefined, facts }
}

function statsLine(dht: Dht): string {
  const { contacts, storage, requests, dropped, datagramsReceived, datagramsSent } = dht.stats()
  const { rss } = process.memoryUsage()
  return [
    new Date().toISOString().slice(0, 19),
    counted(contacts, 'contact'),
    counted(storage.records, 'record'),
    `${formatBytes(storage.bytes)} (${Math.round(100 * storage.fill)} % full)`,
    `${requests} requests`,
    `${dropped.rateLimited} rate limited`,
    `${datagramsReceived} in`,
    `${datagramsSent} out`,
    `${formatBytes(rss)} memory`,
  ].join('  ')
}
