import type { DhtStats } from '../index.js'

type Kind = 'gauge' | 'counter'

type PlainNumber = Exclude<keyof DhtStats, 'dropped' | 'storage' | 'transport'>

/** What each number means. */
const MEANINGS: Readonly<Record<PlainNumber, readonly [kind: Kind, help: string]>> = {
  isJoined: ['gauge', 'Whether the node is in its network, as far as it knows.'],
  contacts: ['gauge', 'Contacts in the routing table.'],
  pendingCalls: ['gauge', 'Calls that wait for their answers.'],
  publications: ['gauge', 'Records that this node stores again by itself.'],
  datagramsSent: ['counter', 'Datagrams sent.'],
  bytesSent: ['counter', 'Bytes sent, without the headers of UDP and IP.'],
  sendFailures: ['counter', 'Datagrams that could not be handed to the socket.'],
  datagramsReceived: ['counter', 'Datagrams received.'],
  bytesReceived: ['counter', 'Bytes received, without the headers of UDP and IP.'],
  calls: ['counter', 'Requests of this node to others, resent ones not counted.'],
  resends: ['counter', 'Requests sent once more.'],
  responses: ['counter', 'Requests of this node that were answered.'],
  errorReplies: ['counter', 'Requests of this node that were answered with an error.'],
  timeouts: ['counter', 'Requests of this node that nobody answered.'],
  cancelled: ['counter', 'Requests of this node that were given up before their end.'],
  requests: ['counter', 'Requests of others, dropped ones not counted.'],
  repliesWithheld: ['counter', 'Replies that were too long for an address that is not proven.'],
  invalidRecords: ['counter', 'Records in replies that did not belong to their key.'],
  lookups: ['counter', 'Lookups begun.'],
  passedOn: ['counter', 'STORE requests that passed on what others stored.'],
  republished: ['counter', 'STORE requests that stored again what this node published.'],
  saveFailures: ['counter', 'How often id, key and contacts could not be kept in the store.'],
}

/** Counters of the transport that say the same as those of the node. */
const TRAFFIC = ['datagramsSent', 'bytesSent', 'datagramsReceived', 'bytesReceived']

/** What the process tells of itself. */
export interface ProcessFacts {
  readonly residentBytes: number
  readonly heapBytes: number
  readonly cpuSeconds: number
  /** Since 1970. */
  readonly startedAtSeconds: number
}

/** What {@link formatMetrics} tells. */
export interface MetricsSource {
  readonly stats: DhtStats
  readonly isStoreFailed: boolean
  readonly process: ProcessFacts
  readonly info: Readonly<Record<string, string>>
}

/** All numbers of a node in Prometheus' text format, version 0.0.4. */
export function formatMetrics({ stats, isStoreFailed, process, info }: MetricsSource): string {
  const { dropped, storage, transport } = stats
  const lines = metric('xorbit_info', 'gauge', 'What runs.', [[labels(info), 1]])
  for (const name of METRIC_NAMES) {
    const [kind, help] = MEANINGS[name]
    lines.push(...metric(nameOf(name, kind), kind, help, [['', Number(stats[name])]]))
  }
  lines.push(
    ...metric('xorbit_dropped_total', 'counter', 'Datagrams dropped, by reason.', [
      ...Object.entries(dropped).map(([reason, count]) => [labels({ reason: snakeCase(reason) }), count] as const),
    ]),
    ...metric('xorbit_store_records', 'gauge', 'Records kept for others.', [['', storage.records]]),
    ...metric('xorbit_store_bytes', 'gauge', 'What they take, as the store counts it.', [['', storage.bytes]]),
    ...metric('xorbit_store_fill', 'gauge', 'How full the store is, 0 to 1.', [['', storage.fill]]),
  )
  const errors = Object.entries(transport).filter(([name]) => !TRAFFIC.includes(name))
  lines.push(
    ...metric('xorbit_transport_errors_total', 'counter', 'What the transport could not do, by its own name of it.', [
      ...errors.map(([error, count]) => [labels({ error }), count] as const),
    ]),
    ...metric('xorbit_store_failed', 'gauge', 'Whether the store refuses to write.', [['', Number(isStoreFailed)]]),
    ...metric('process_resident_memory_bytes', 'gauge', 'Memory of the process.', [['', process.residentBytes]]),
    ...metric('process_heap_bytes', 'gauge', 'Heap in use.', [['', process.heapBytes]]),
    ...metric('process_cpu_seconds_total', 'counter', 'CPU time of the process.', [['', process.cpuSeconds]]),
    ...metric('process_start_time_seconds', 'gauge', 'When the process began, since 1970.', [
      ['', process.startedAtSeconds],
    ]),
  )
  return `${lines.join('\n')}\n`
}

function metric(name: string, kind: Kind, help: string, values: readonly (readonly [string, number])[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${kind}`,
    ...values.map(([label, value]) => `${name}${label} ${value}`),
  ]
}

function nameOf(name: string, kind: Kind): string {
  const plain = name === 'isJoined' ? 'joined' : snakeCase(name)
  return `xorbit_${plain}${kind === 'counter' ? '_total' : ''}`
}

function labels(values: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(values).map(
    ([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`,
  )
  return `{${pairs.join(',')}}`
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The names of all numbers whose meaning is told. */
export const METRIC_NAMES: readonly PlainNumber[] = Object.keys(MEANINGS) as PlainNumber[]
