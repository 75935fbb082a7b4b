import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Facts, Import } from './source-facts.js'
import { readFacts } from './source-facts.js'

/** Text by path from the repository's root, `src/wire/codec.ts`. */
type Sources = ReadonlyMap<string, string>

interface Rule {
  readonly says: string
  /** What is wrong with a file, a phrase each; none when it keeps the rule. */
  check(file: Facts): string[]
  /** Made-up files that break the rule, each in one way. */
  readonly broken: readonly (readonly [path: string, text: string])[]
  /** Made-up files that look alike and keep it. */
  readonly kept?: readonly (readonly [path: string, text: string])[]
}

// Where a file or folder may take its imports from, besides itself. `types` is for imports that leave nothing at run time.
const LAYERS: Readonly<Record<string, { values: readonly string[]; types: readonly string[] }>> = {
  'errors.ts': { values: [], types: [] },
  keyspace: { values: [], types: [] },
  'search-iterator.ts': { values: ['life-cycle.ts', 'operations.ts'], types: ['node'] },
  'announcing.ts': {
    values: ['keyspace', 'arguments.ts', 'life-cycle.ts', 'node', 'records', 'results.ts'],
    types: [],
  },
  'messages.ts': {
    values: [
      'keyspace',
      'errors.ts',
      'arguments.ts',
      'life-cycle.ts',
      'node',
      'results.ts',
      'rpc',
      'search-iterator.ts',
      'wire',
    ],
    types: [],
  },
  'publishing.ts': {
    values: ['keyspace', 'arguments.ts', 'life-cycle.ts', 'node', 'records', 'results.ts'],
    types: ['options.ts', 'platform'],
  },
  'storing.ts': {
    values: ['keyspace', 'arguments.ts', 'life-cycle.ts', 'node', 'records', 'results.ts'],
    types: ['options.ts'],
  },
  'values.ts': {
    values: ['keyspace', 'arguments.ts', 'life-cycle.ts', 'node', 'records', 'results.ts', 'storing.ts'],
    types: ['options.ts'],
  },
  'stats.ts': { values: ['life-cycle.ts', 'results.ts'], types: [] },
  'events.ts': { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  'operations.ts': { values: ['errors.ts'], types: [] },
  'arguments.ts': { values: ['keyspace', 'errors.ts', 'records', 'wire'], types: ['node', 'platform'] },
  'results.ts': { values: [], types: ['keyspace', 'node', 'rpc', 'arguments.ts'] },
  platform: { values: ['keyspace', 'errors.ts'], types: [] },
  wire: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  routing: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  lookup: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  records: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  storage: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  transport: { values: ['keyspace', 'errors.ts'], types: ['platform'] },
  rpc: { values: ['keyspace', 'errors.ts', 'wire'], types: ['platform'] },
  node: {
    values: [
      'keyspace',
      'errors.ts',
      'events.ts',
      'wire',
      'routing',
      'lookup',
      'records',
      'storage',
      'rpc',
      'platform',
    ],
    types: [],
  },
  cli: { values: ['keyspace', 'index.ts', 'transport/udp.ts', 'storage/level.ts'], types: [] },
  testing: {
    values: ['keyspace', 'errors.ts', 'transport/ip.ts'],
    types: ['platform', 'records', 'storage', 'dht.ts', 'options.ts'],
  },
}

/** They may import any layer but transports. */
const COMPOSERS = ['dht.ts', 'options.ts', 'assemble.ts', 'life-cycle.ts', 'keys.ts']

/** Of these, who gets the platform as the runtime provides it. */
const SYSTEM_USERS = ['options.ts', 'keys.ts']

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@noble/hashes': ['keyspace/hash.ts'],
  msgpackr: ['wire'],
  '#k-bucket': ['routing'],
  '@noble/ed25519': ['platform'],
  debug: [''],
}

const TIMERS = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']
const OUTSIDE_WORLD = ['Date', 'performance', 'crypto', 'Math.random', 'AbortSignal.timeout', ...TIMERS]
const NODE_GLOBALS = ['Buffer', 'process', 'require', 'global', 'NodeJS', '__dirname', '__filename']
const INEXACT_MATH = [
  ...['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'atan2', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh'],
  ...['exp', 'expm1', 'log', 'log1p', 'log2', 'log10', 'pow', 'cbrt', 'hypot'],
].map((name) => `Math.${name}`)
const PROMISE_FREE = ['wire', 'routing', 'rpc', 'lookup', 'records', 'keyspace']
const LINES_MAX = 400

const RULES: readonly Rule[] = [
  {
    says: 'a layer imports only the layers below it; errors and keyspace import nothing of ours',
    check: (file) => {
      const name = Object.keys(LAYERS).find((layer) => inside(file.path, [layer]))
      if (name === undefined) return []
      const { values, types } = LAYERS[name]!
      return ours(file)
        .filter(({ target }) => !inside(target, [name, ...values]))
        .filter(({ target, typeOnly }) => !(typeOnly && inside(target, types)))
        .map(({ target, typeOnly }) => `imports ${typeOnly ? 'types' : 'values'} of ${target}`)
    },
    broken: [
      ['src/errors.ts', `import { toHex } from './keyspace/index.js'`],
      ['src/keyspace/hash.ts', `import type { Clock } from '../platform/clock.js'`],
      ['src/wire/codec.ts', `import type { Call } from '../rpc/index.js'`],
      ['src/wire/codec.ts', `const rpc = () => import('../rpc/index.js')`],
      ['src/routing/table.ts', `export { decode } from '../wire/index.js'`],
      ['src/lookup/driver.ts', `export * from '../rpc/index.js'`],
      ['src/records/peer.ts', `import '../storage/index.js'`],
      ['src/records/peer.ts', `import { type Clock } from '../platform/clock.js'`],
      ['src/records/peer.ts', `import { ED25519 } from '../platform/signatures.js'`],
      ['src/rpc/calls.ts', `type Table = import('../routing/index.js').Table`],
      ['src/rpc/calls.ts', `import { systemClock } from '../platform/system.js'`],
      ['src/storage/memory.ts', `import { encode } from '../wire/index.js'`],
      ['src/platform/clock.ts', `import type { Record } from '../records/index.js'`],
      ['src/transport/udp.ts', `import { createDht } from '../dht.js'`],
      ['src/node/join.ts', `import type { UdpOptions } from '../transport/udp.js'`],
      ['src/node/join.ts', `import { createDht } from '../dht.js'`],
      ['src/testing/index.ts', `import { createDht } from '../dht.js'`],
      ['src/testing/network.ts', `import { udp } from '../transport/udp.js'`],
    ],
    kept: [
      [
        'src/wire/codec.ts',
        `import { toHex } from '../keyspace/index.js'\nimport type { Clock } from '../platform/clock.js'`,
      ],
      ['src/rpc/calls.ts', `export type { Message } from '../wire/index.js'\nimport { call } from './call.js'`],
      ['src/testing/network.ts', `import { parseIp } from '../transport/ip.js'\nimport type { Dht } from '../dht.js'`],
    ],
  },
  {
    says: 'every file belongs to a layer or is an entry',
    check: ({ path }) =>
      inside(path, [...Object.keys(LAYERS), ...COMPOSERS, 'index.ts', 'cli']) ? [] : ['is in a place without a rule'],
    broken: [
      ['src/util.ts', ''],
      ['src/helpers/sleep.ts', ''],
    ],
  },
  {
    says: 'only options.ts and keys.ts import platform/system.ts, so that a node gets its world from outside',
    check: (file) =>
      inside(file.path, SYSTEM_USERS)
        ? []
        : importsOf(file, ['platform/system.ts']).map((target) => `imports ${target}`),
    broken: [
      ['src/node/join.ts', `import { systemClock } from '../platform/system.js'`],
      ['src/index.ts', `export { systemClock } from './platform/system.js'`],
      ['src/dht.ts', `import { systemClock } from './platform/system.js'`],
      ['src/testing/index.ts', `import type { System } from '../platform/system.js'`],
    ],
    kept: [['src/options.ts', `import { systemClock } from './platform/system.js'`]],
  },
  {
    says: 'what composes imports neither a transport nor the program nor index.ts',
    check: (file) =>
      inside(file.path, COMPOSERS)
        ? importsOf(file, ['transport', 'cli', 'index.ts']).map((target) => `imports ${target}`)
        : [],
    broken: [
      ['src/dht.ts', `import { udp } from './transport/udp.js'`],
      ['src/options.ts', `import { keyOf } from './index.js'`],
    ],
  },
  {
    says: 'index.ts only re-exports',
    check: (file) => (file.path === 'src/index.ts' && !file.onlyReExports ? ['does more than to re-export'] : []),
    broken: [
      ['src/index.ts', `import { createDht } from './dht.js'\nexport { createDht }`],
      ['src/index.ts', `export { createDht } from './dht.js'\nexport const VERSION = 1`],
    ],
    kept: [['src/index.ts', `export { createDht } from './dht.js'\nexport type { Dht } from './dht.js'`]],
  },
  {
    says: 'nothing but testing imports testing',
    check: (file) => (inside(file.path, ['testing']) ? [] : importsOf(file, ['testing']).map((at) => `imports ${at}`)),
    broken: [
      ['src/dht.ts', `import { Simulator } from './testing/index.js'`],
      ['src/cli/main.ts', `const testing = () => import('../testing/index.js')`],
      ['src/index.ts', `export type { Simulator } from './testing/index.js'`],
    ],
  },
  {
    says: 'each package has one place that uses it, and other packages none',
    check: (file) =>
      file.imports
        .filter(({ target }) => !target.startsWith('src/') && !target.startsWith('node:'))
        .filter(({ target }) => !inside(file.path, PACKAGES[packageName(target)] ?? []))
        .map(({ target }) => `imports ${target}`),
    broken: [
      ['src/records/immutable.ts', `import { sha256 } from '@noble/hashes/sha2.js'`],
      ['src/keyspace/node-id.ts', `import { sha256 } from '@noble/hashes/sha2.js'`],
      ['src/rpc/calls.ts', `import { Packr } from 'msgpackr/index-no-eval'`],
      ['src/dht.ts', `import KBucket from '#k-bucket'`],
      ['src/routing/table.ts', `import KBucket from 'k-bucket'`],
      ['src/records/mutable.ts', `import * as ed25519 from '@noble/ed25519'`],
      ['src/transport/udp.ts', `import dgram from 'dgram'`],
      ['src/storage/memory.ts', `import type { LRUCache } from 'lru-cache'`],
      ['src/wire/codec.ts', `const load = (name: string) => import(name)`],
    ],
    kept: [
      ['src/keyspace/hash.ts', `import { sha256 } from '@noble/hashes/sha2.js'`],
      ['src/rpc/calls.ts', `import debug from 'debug'`],
    ],
  },
  {
    says: 'only transport/udp.ts and the program import node:*',
    check: (file) =>
      inside(file.path, ['transport/udp.ts', 'cli'])
        ? []
        : file.imports.filter(({ target }) => target.startsWith('node:')).map(({ target }) => `imports ${target}`),
    broken: [
      ['src/platform/system.ts', `import { randomBytes } from 'node:crypto'`],
      ['src/transport/ip.ts', `import { isIP } from 'node:net'`],
      ['src/testing/index.ts', `import type { Socket } from 'node:dgram'`],
    ],
    kept: [['src/transport/udp.ts', `import { createSocket } from 'node:dgram'`]],
  },
  {
    says: 'time, timers and randomness come from platform/system.ts or from testing; the program is outside of the node',
    check: (file) =>
      inside(file.path, ['platform/system.ts', 'testing', 'cli'])
        ? []
        : namesIn(file, [...OUTSIDE_WORLD, 'Math', 'globalThis']),
    broken: [
      ['src/rpc/calls.ts', 'const startedAt = Date.now()'],
      ['src/rpc/calls.ts', 'const startedAt = performance.now()'],
      ['src/rpc/calls.ts', 'setTimeout(() => {}, 5)'],
      ['src/transport/udp.ts', 'clearInterval(timer)'],
      ['src/node/join.ts', 'const yieldTurn = setImmediate'],
      ['src/node/join.ts', 'const jitter = Math.random()'],
      ['src/node/join.ts', `const jitter = Math['random']()`],
      ['src/node/join.ts', 'const { random } = Math'],
      ['src/dht.ts', 'const seed = crypto.getRandomValues(new Uint8Array(8))'],
      ['src/dht.ts', 'const host = { crypto }'],
      ['src/dht.ts', 'const signal = AbortSignal.timeout(5)'],
      ['src/dht.ts', 'globalThis.setTimeout(run, 5)'],
      ['src/dht.ts', 'const { Date: Clock } = globalThis'],
      ['src/dht.ts', 'const create = (now = Date.now) => now'],
      ['src/dht.ts', 'const create = ({ crypto }: Parts) => crypto\nconst seed = crypto.randomUUID()'],
    ],
    kept: [
      ['src/rpc/calls.ts', '// Date.now() and setTimeout are the clock\nconst text = "Math.random()"'],
      ['src/rpc/calls.ts', 'const half = Math.floor(this.crypto.performance / 2)'],
      ['src/rpc/calls.ts', 'interface Parts { crypto: string; process(): void }\nconst parts = { Date: 1 }'],
      ['src/platform/system.ts', 'const now = () => Date.now()'],
      ['src/platform/ed25519.ts', 'const signatures = (crypto: NodeCrypto) => ({ sign: crypto.sign })'],
    ],
  },
  {
    says: 'Buffer, process and the other names of Node stay in platform/system.ts, transport/udp.ts and the program',
    check: (file) =>
      inside(file.path, ['platform/system.ts', 'transport/udp.ts', 'cli']) ? [] : namesIn(file, NODE_GLOBALS),
    broken: [
      ['src/wire/codec.ts', 'const bytes = Buffer.from(text)'],
      ['src/wire/codec.ts', 'function read(bytes: Buffer) {}'],
      ['src/testing/index.ts', 'const seed = process.env.SEED'],
      ['src/testing/index.ts', `const fs = require('fs')`],
      ['src/testing/index.ts', 'global.gc()'],
      ['src/testing/index.ts', 'let timer: NodeJS.Timeout'],
      ['src/testing/index.ts', 'const node = globalThis.process?.version'],
    ],
    kept: [['src/transport/udp.ts', 'function read(bytes: Buffer) {}']],
  },
  {
    says: 'testing uses no arithmetic that may differ between machines: a trace is equal everywhere',
    check: (file) =>
      inside(file.path, ['testing'])
        ? [...namesIn(file, [...INEXACT_MATH, 'Math']), ...(file.powers ? ['uses ** on more than literals'] : [])]
        : [],
    broken: [
      ['src/testing/latency.ts', 'const delay = -Math.log(x)'],
      ['src/testing/latency.ts', `const delay = Math['pow'](x, 2)`],
      ['src/testing/latency.ts', 'const { exp } = Math'],
      ['src/testing/latency.ts', 'const delay = 2 ** x'],
      ['src/testing/latency.ts', 'x **= 2'],
    ],
    kept: [['src/testing/latency.ts', 'const delay = Math.sqrt(x) * Math.imul(3, 2 ** 31)']],
  },
  {
    says: 'below dht.ts completion is a callback: no promises',
    check: ({ path, promises }) => (inside(path, PROMISE_FREE) ? promises.map((use) => `has ${use}`) : []),
    broken: [
      ['src/rpc/calls.ts', 'async function call() {}'],
      ['src/rpc/calls.ts', 'const call = async () => {}'],
      ['src/rpc/calls.ts', 'class Calls { async call() {} }'],
      ['src/wire/codec.ts', 'new Promise(() => {})'],
      ['src/wire/codec.ts', 'Promise.resolve()'],
      ['src/lookup/driver.ts', 'function run(): Promise<void> { return done }'],
      ['src/lookup/driver.ts', 'query(next).then(settle)'],
      ['src/records/peer.ts', 'query(next)?.catch(drop)'],
      ['src/routing/table.ts', 'for await (const contact of contacts) keep(contact)'],
      ['src/keyspace/hash.ts', 'const digest = await later'],
    ],
    kept: [
      ['src/node/join.ts', 'async function join() {}'],
      ['src/rpc/calls.ts', '// then() of a Promise\nconst then = 1'],
    ],
  },
  {
    says: 'nothing awaits at the top level, so that Node can require() the package',
    check: ({ topLevelAwait }) => (topLevelAwait ? ['awaits at the top level'] : []),
    broken: [
      ['src/platform/system.ts', `const node = await import('node:crypto')`],
      ['src/dht.ts', 'if (late) { for await (const turn of turns) run(turn) }'],
    ],
    kept: [['src/dht.ts', 'class Dht { async start() { await this.bind() } }\nconst run = async () => await later']],
  },
  {
    says: `a file has at most ${LINES_MAX} lines`,
    check: ({ lines }) => (lines > LINES_MAX ? [`has ${lines} lines`] : []),
    broken: [['src/node/join.ts', 'run()\n'.repeat(LINES_MAX + 1)]],
    kept: [['src/node/join.ts', 'run()\n'.repeat(LINES_MAX)]],
  },
]

function readAll(sources: Sources): Facts[] {
  return [...sources].map(([path, text]) => readFacts(path, text))
}

/** Every breach of a rule, `path: what`. */
function check(rule: Rule, files: readonly Facts[]): string[] {
  return files.flatMap((file) => rule.check(file).map((what) => `${file.path}: ${what}`))
}

/** Whether the path is one of the files or in one of the folders, which are given from src/ on. */
function inside(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === `src/${place}` || path.startsWith(place === '' ? 'src/' : `src/${place}/`))
}

function ours(file: Facts): Import[] {
  return file.imports.filter(({ target }) => target.startsWith('src/'))
}

function importsOf(file: Facts, places: readonly string[]): string[] {
  return ours(file)
    .map(({ target }) => target)
    .filter((target) => inside(target, places))
}

function namesIn(file: Facts, names: readonly string[]): string[] {
  return names.filter((name) => file.names.has(name)).map((name) => `names ${name}`)
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

const root = new URL('../', import.meta.url)
const sources: Sources = new Map(
  readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
    .map((path) => `src/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => [path, readFileSync(new URL(path, root), 'utf8')]),
)

const facts = readAll(sources)

describe('the sources keep the rules', () => {
  test('the sources are found', () => {
    expect(sources.size).toBeGreaterThan(10)
    expect([...sources.keys()]).toContain('src/keyspace/index.ts')
  })

  test.each(RULES)('$says', (rule) => {
    expect(check(rule, facts)).toEqual([])
  })
})

describe('each rule can fail', () => {
  test.each(RULES)('$says', (rule) => {
    expect(rule.broken.length).toBeGreaterThan(0)
    for (const [path, text] of rule.broken) {
      expect(check(rule, readAll(new Map([[path, text]]))), `${path}: ${text.slice(0, 80)}`).not.toEqual([])
    }
    for (const [path, text] of rule.kept ?? []) {
      expect(check(rule, readAll(new Map([[path, text]]))), `${path}: ${text.slice(0, 80)}`).toEqual([])
    }
  })
})
