import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'

interface Suite {
  readonly name: string
  readonly file: string
}

interface Bench {
  readonly options: Record<string, unknown>
  cases(options: Record<string, string>): { id: string }[]
}

interface Plot {
  readonly file: string
  readonly title: string
  readonly kind: 'line' | 'bar'
  readonly xName?: string
  readonly xLog?: boolean
  readonly categories?: string[]
  readonly series: { name: string; points: [number, number][] }[]
}

// Plain JavaScript of the benches, without types of its own.
const tool = (name: string) => import(new URL(`../../bench/tool/${name}.js`, import.meta.url).href)
const { digestOfBench } = (await tool('machine')) as { digestOfBench: (suite: Suite) => string }
const { readArguments } = (await tool('options')) as {
  readArguments: (args: string[], bench: Bench) => { own: Record<string, string> }
}
const { drawPlot } = (await tool('plot')) as { drawPlot: (plot: Plot) => Promise<string> }
const { loadBench, SUITES_FOLDER, suiteNamed } = (await tool('suites')) as {
  loadBench: (suite: Suite) => Promise<Bench>
  SUITES_FOLDER: string
  suiteNamed: (folder: string, name: string) => Suite
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url))
const REPORT = fileURLToPath(new URL('../../bench/report.js', import.meta.url))

/** A bench that measures nothing and leaves a line in a log for each case that it runs; it needs no built package. */
const FAKE = `
import { appendFileSync, existsSync } from 'node:fs'

export default {
  name: 'fake',
  summary: 'squares of numbers',
  page: 'docs/benchmarks/fake.md',
  options: {
    numbers: { value: '1,2,3', quick: '1', help: 'which', selects: true },
    log: { value: '', help: 'file' },
    power: { value: '2', help: 'of the numbers' },
  },
  cases: ({ numbers }) => numbers.split(',').map((number) => ({ id: 'number ' + number, number: Number(number) })),
  async run({ number }, { seed, options, progress }) {
    appendFileSync(options.log, number + '\\n')
    progress('squaring', 0.5)
    if (number === 13) throw new Error('an unlucky number')
    if (number === 14) process.kill(process.pid, 'SIGKILL')
    if (number === 2 && existsSync(options.log + '.block')) await new Promise((resolve) => setTimeout(resolve, 30_000))
    return { result: number ** Number(options.power), seed }
  },
  report(results) {
    const points = results.map(({ case: { number }, result }) => [number, result.result])
    return {
      tables: [{ title: 'Squares', columns: ['number', 'square'], rows: points }],
      plots: [
        { file: 'line', title: 'Squares & <more>', kind: 'line', xName: 'n', yName: 'n²', xLog: true, series: [{ name: 'squares', points }, { name: 'floor', points, dashed: true }] },
        { file: 'bar', title: 'Bars', kind: 'bar', categories: ['a', 'b'], series: [{ name: 'one', points: [['a', 1], ['b', 2]] }] },
      ],
      checks: [{ name: 'first square', value: points[0]?.[1], bound: '<= 1', met: points[0]?.[1] <= 1 }],
      notes: ['Squares grow.'],
    }
  },
}
`

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

let folder: string
let suites: string
let results: string
let log: string
let child: ChildProcess | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xorbit-bench-'))
  suites = join(folder, 'suites')
  results = join(folder, 'results')
  log = join(folder, 'log')
  mkdirSync(suites)
  writeFileSync(join(suites, 'fake.js'), FAKE)
})

afterEach(() => {
  child?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a command to its end; SIGINT is sent, so many times, when `interruptWhen` holds for the first time. */
function node(file: string, args: readonly string[], interruptWhen?: () => boolean, signals = 1): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const started = spawn(process.execPath, [file, ...args, '--suites', suites], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    child = started
    let [stdout, stderr] = ['', '']
    started.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const watch = setInterval(() => {
      if (!interruptWhen?.()) return
      clearInterval(watch)
      for (let sent = 0; sent < signals; sent++) started.kill('SIGINT')
    }, 20)
    started.once('error', reject)
    started.once('close', (status) => {
      clearInterval(watch)
      resolve({ status, stdout, stderr })
    })
  })
}

function run(args: readonly string[], interruptWhen?: () => boolean, signals?: number): Promise<Ended> {
  return node(RUN, [...args, '--results', results], interruptWhen, signals)
}

function fake(args: readonly string[] = [], interruptWhen?: () => boolean, signals?: number): Promise<Ended> {
  return run(['fake', '--log', log, ...args], interruptWhen, signals)
}

/** Where plots are not looked at: drawing them takes longer than all else. */
function leaveOutPlots(): void {
  writeFileSync(join(suites, 'fake.js'), FAKE.replace('plots: [', 'never: ['))
}

/** The log as the default of its option, for `all`, which takes no options of a bench. */
function withLog(): string {
  return FAKE.replace("log: { value: ''", `log: { value: ${JSON.stringify(log)}`)
}

/** The numbers of the cases that ran, in their order. */
function ran(): number[] {
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').map(Number) : []
}

/** The names of all elements that were opened; throws where one is not closed in its order. */
function elementsOf(svg: string): string[] {
  const names: string[] = []
  const open: string[] = []
  const rest = svg
    .replaceAll(/<!\[CDATA\[.*?\]\]>/gs, '')
    .replaceAll(/<(\/?)([a-zA-Z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g, (_, end, name, _attributes, empty) => {
      if (end === '/') expect(open.pop()).toBe(name)
      else names.push(name)
      if (end === '' && empty === '') open.push(name)
      return ''
    })
  expect(open).toEqual([])
  expect(rest).not.toMatch(/[<>]|&(?!\w+;|#)/)
  return names
}

test.each([[['--list']], [['all', '--list']], [['fake', '--list']]])(
  'lists the benches with their summaries, and runs none: %s',
  async (args) => {
    writeFileSync(join(suites, 'fake.js'), withLog())
    const { status, stdout } = await run(args)
    expect(stdout).toBe('fake  squares of numbers\n')
    expect(status).toBe(0)
    expect(ran()).toEqual([])
  },
)

test.each([
  ['of a bench', 'fake', /squares of numbers[\s\S]*--numbers 1,2,3[\s\S]*--seed 1/],
  ['of all', 'all', /npm run bench -- all \[options\][\s\S]*--seed 1/],
])('says what the options are, %s, and runs nothing', async (_, name, options) => {
  writeFileSync(join(suites, 'fake.js'), withLog())
  const { status, stdout } = await run([name, '--help'])
  expect(stdout).toMatch(options)
  expect(status).toBe(0)
  expect(ran()).toEqual([])
})

test.each([
  ['--help', 0],
  ['--nope', 2],
])('the report answers %s in one line', async (option, expected) => {
  const { status, stdout, stderr } = await node(REPORT, [option])
  expect(status).toBe(expected)
  expect(stdout + stderr).toMatch(/^usage: report\.js [^\n]+\n$/)
})

test.each([
  ['a bench that there is not', ['fakes'], "there is no bench 'fakes'; there are: all, fake\n"],
  ['an option that there is not', ['fake', '--number', '1'], 'the bench fake has no option --number; it has --list'],
  ['an option without its value', ['fake', '--numbers'], "the bench fake: Option '--numbers"],
  ['a case that there is twice', ['fake', '--numbers', '4,4'], "fake has two cases 'number 4'"],
])('refuses %s', async (_, args, message) => {
  const { status, stdout, stderr } = await run(args)
  expect(stderr).toContain(message)
  expect(stderr).not.toContain('    at ')
  expect(stdout).toBe('')
  expect(status).toBe(2)
})

test('an interrupted run goes on with the cases that have no results yet', async () => {
  leaveOutPlots()
  writeFileSync(`${log}.block`, '')
  const first = await fake([], () => ran().length === 2, 3)
  expect(first.status).toBe(130)
  expect(first.stderr).toContain('interrupted; the same command goes on from here')
  expect(first.stdout).toBe('')
  expect(ran()).toEqual([1, 2])
  rmSync(`${log}.block`)
  const second = await fake()
  expect(second.status).toBe(0)
  expect(second.stderr).toContain('1 of 3 cases have results already')
  expect(ran()).toEqual([1, 2, 2, 3])
  expect(second.stdout).toMatch(/Squares\n {2}number +square\n {2}1 +1\n {2}2 +4\n {2}3 +9\n/)
  expect(second.stdout).toMatch(/met +first square: 1 \(<= 1\)/)
})

test('what only chooses cases keeps the results of the others, and all else begins anew', async () => {
  leaveOutPlots()
  await fake(['--numbers', '1,3'])
  const more = await fake(['--numbers', '2'])
  expect(more.stdout).toMatch(/2 +4\n {2}1 +1\n {2}3 +9\n/)
  expect(ran()).toEqual([1, 3, 2])
  const other = await fake(['--numbers', '2', '--power', '3'])
  expect(other.stderr).toContain('begins anew (other options)')
  expect(other.stdout).toMatch(/number +square\n {2}2 +8\n\n/)
  await fake(['--numbers', '2', '--power', '3', '--seed', '2'])
  await fake(['--numbers', '2', '--power', '3', '--seed', '2', '--fresh'])
  expect(ran()).toEqual([1, 3, 2, 2, 2, 2])
})

test('says when the bench was changed since its results were measured', async () => {
  await fake(['--numbers', '1'])
  writeFileSync(join(suites, 'fake.js'), FAKE.replace('Squares grow.', 'Squares grow fast.'))
  const { stdout, stderr } = await fake(['--numbers', '1'])
  expect(stderr).toContain('the bench was changed since its results were measured')
  expect(stdout).toContain('Squares grow fast.')
  expect(ran()).toEqual([1])
})

test('the code of a bench is its file and the folder of its name, but for installed packages', () => {
  const suite = { name: 'fake', file: join(suites, 'fake.js') }
  const own = join(folder, 'fake')
  const digests = [digestOfBench(suite)]
  mkdirSync(join(own, 'node_modules'), { recursive: true })
  writeFileSync(join(own, 'one.js'), '1')
  digests.push(digestOfBench(suite))
  writeFileSync(join(own, 'node_modules', 'other.js'), '1')
  expect(digestOfBench(suite)).toBe(digests[1])
  mkdirSync(join(own, 'deeper'))
  writeFileSync(join(own, 'deeper', 'two.js'), '2')
  digests.push(digestOfBench(suite))
  expect(new Set(digests).size).toBe(3)
})

test('a case that throws or dies is reported, not kept, and stops no other', async () => {
  const { status, stdout, stderr } = await fake(['--numbers', '13,14,3', '--json'])
  expect(status).toBe(1)
  expect(stderr).toMatch(/FAILED fake number 13: Error: an unlucky number/)
  expect(stderr).toMatch(/FAILED fake number 14: its process was killed by SIGKILL before it had a result/)
  const told = JSON.parse(stdout)
  expect(told).toMatchObject({ seed: '1', cases: [{ case: { number: 3 }, result: { result: 9, seed: '1' } }] })
  expect(told.machine).toMatchObject({ cores: expect.any(Number), node: process.version })
  await fake(['--numbers', '13,14,3'])
  expect(ran()).toEqual([13, 14, 3, 13, 14])
})

test('draws well-formed SVG, and writes a page with it', async () => {
  await fake()
  for (const plot of ['line', 'bar']) {
    const svg = readFileSync(join(results, `fake-${plot}.svg`), 'utf8')
    expect(elementsOf(svg)).toEqual(expect.arrayContaining(['svg', 'path', 'text']))
  }
  expect(() => elementsOf('<svg><g></svg></g>')).toThrow()
  expect(readFileSync(join(results, 'fake-line.svg'), 'utf8')).toContain('Squares &amp; &lt;more&gt;')
  const page = join(folder, 'benchmarks.md')
  const { status } = await node(REPORT, ['--results', results, '--page', page])
  expect(status).toBe(0)
  const text = readFileSync(page, 'utf8')
  expect(text).toContain('| number | square |\n|---|---:|\n| 1 | 1 |\n| 2 | 4 |')
  expect(text).toContain(`npm run bench -- fake --log ${log}\n`)
  expect(text).toContain('![Bars](benchmarks/fake-bar.svg)')
  expect(text).toContain('- met: first square is 1, target <= 1')
  expect(existsSync(join(folder, 'benchmarks', 'fake-bar.svg'))).toBe(true)
})

test('shows every category of bars, and one value of x as itself', async () => {
  const textsOf = async (plot: Partial<Plot>): Promise<string[]> => {
    const svg = await drawPlot({ file: 'plot', title: 'Title', kind: 'line', series: [], ...plot })
    return [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text = '']) => text)
  }
  const categories = [
    'no faults',
    '10 % dead',
    '30 % dead',
    '1 % loss',
    '5 % loss',
    'a long name of a category',
    'last',
  ]
  const points = categories.map((_, i): [number, number] => [i, i])
  const bars = await textsOf({ kind: 'bar', categories, series: [{ name: 'one', points }] })
  expect(bars).toEqual(expect.arrayContaining(categories))
  for (const xLog of [true, false]) {
    const series: Plot['series'] = [
      { name: 'one', points: [[1000, 1]] },
      { name: 'two', points: [[1000, 2]] },
    ]
    const texts = await textsOf({ xLog, xName: 'nodes', series })
    expect(texts).toContain('1,000')
    expect(texts.join(' ')).not.toMatch(/\d\.\d{4}/)
  }
})

test('--quick takes the small sizes, and all runs every bench and makes the page', async () => {
  writeFileSync(join(suites, 'fake.js'), withLog())
  const { status } = await run(['all', '--quick'])
  expect(status).toBe(0)
  expect(ran()).toEqual([1])
  expect(readFileSync(join(results, 'benchmarks.md'), 'utf8')).toContain('- [fake](#fake)')
})

test('all --json prints one document, by bench', async () => {
  writeFileSync(join(suites, 'fake.js'), withLog())
  writeFileSync(join(suites, 'other.js'), withLog().replace("name: 'fake'", "name: 'other'"))
  const { status, stdout } = await run(['all', '--quick', '--json'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    fake: { bench: 'fake', cases: [{ result: { result: 1 } }] },
    other: { bench: 'other', cases: [{ result: { result: 1 } }] },
  })
})

/** The real benches measure the built package. */
beforeAll(() => {
  // The vendored one is written last by the build; before there was a program, the other one was not there.
  if (['vendor/k-bucket.js', 'cli/main.js'].every((file) => existsSync(join(ROOT, 'dist', file)))) return
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.js')], { stdio: 'ignore' })
})

test.each(['hops', 'latency', 'churn', 'scale', 'rpc', 'micro'])(
  '%s has cases, each with an id of its own',
  async (name) => {
    const bench = await loadBench(suiteNamed(SUITES_FOLDER, name))
    for (const args of [[], ['--quick']]) {
      const ids = bench.cases({ ...readArguments(args, bench).own, seed: '1' }).map(({ id }) => id)
      expect(ids).not.toEqual([])
      expect(ids).not.toContain('')
      expect(new Set(ids).size).toBe(ids.length)
    }
    for (const option of Object.keys(bench.options)) {
      expect(() => bench.cases({ ...readArguments([], bench).own, [option]: 'nonsense' })).toThrow(`--${option} takes`)
    }
  },
)

const BOOTSTRAP = fileURLToPath(new URL('../../bench/bootstrap.js', import.meta.url))

interface BootstrapOutcome {
  readonly limits: { readonly requestsPerSecondMax: number; readonly scope: string; readonly limitedScopes: string[] }
  readonly contacts: number
  readonly rows: readonly Record<string, number>[]
  readonly requests: Record<'calls' | 'answered' | 'cancelled' | 'refused' | 'timeouts' | 'pending', number>
  readonly operations: Record<string, number>
  readonly failures: Record<string, number>
  readonly verdict: {
    readonly datagrams: Record<'requests' | 'replies' | 'refusals' | 'named' | 'unnamed' | 'unnamedMax', number>
    readonly rateLimited: number
    readonly contacts: { readonly median: number; readonly replies: number }
    readonly faults: readonly string[]
  }
}

test('bootstrap: the program answers what its clients ask, every request is accounted for', async () => {
  const args = ['--minutes', '0.08', '--clients', '12', '--rate', '300', '--seed', '7', '--json']
  const { status, stdout, stderr } = await bootstrap(args)
  expect(stderr).toContain('none was in force')
  const { limits, contacts, rows, requests, operations, failures, verdict } = JSON.parse(stdout) as BootstrapOutcome
  expect(limits).toMatchObject({ scope: 'loopback', limitedScopes: ['public'] })
  expect(requests.refused).toBe(0)
  // A lookup that has waited long enough for an answer goes on without.
  const { answered, cancelled, timeouts, calls, pending } = requests
  expect(answered + cancelled + timeouts + pending).toBe(calls)
  expect(cancelled).toBeLessThan(calls / 10)
  // A disk or a machine that stands still for two seconds makes some; then it says so by its status.
  expect(timeouts, stderr).toBeLessThan(calls / 100)
  const { datagrams, faults } = verdict
  expect(verdict.rateLimited).toBe(0)
  expect(datagrams.unnamedMax).toBe(1)
  if (datagrams.unnamed > 1) expect(faults.join()).toContain(`${datagrams.unnamed} datagrams lost`)
  if (Object.keys(failures).length > 0) expect(faults.join()).toContain('operations failed')
  if (timeouts === 0) expect(failures).toEqual({})
  expect(status, stderr).toBe(faults.length > 0 ? 1 : 0)
  // 300 a second for 4.8 seconds; a machine that is busy begins late, and does not begin fewer.
  expect(calls).toBeGreaterThan(700)
  expect(calls).toBeLessThan(3_000)
  expect(datagrams.requests).toBeGreaterThanOrEqual(calls)
  for (const kind of ['ping', 'findNode', 'get', 'put', 'announce']) expect(operations[kind]).toBeGreaterThan(0)
  expect(rows).toHaveLength(4)
  for (const row of rows) {
    for (const name of ['rssMiB', 'heapMiB', 'pingP50Ms', 'pingP99Ms', 'echoP50Ms', 'echoP99Ms']) {
      expect(row[name], name).toBeGreaterThan(0)
    }
  }
  // The table knows more than a reply has room for, so that each lookup gets a full one.
  expect(contacts).toBeGreaterThan(20)
  expect(verdict.contacts.median).toBe(20)
  expect(verdict.contacts.replies).toBeGreaterThan(operations.findNode! / 2)
  // All that was put is there, and who announced himself; a client has one record under a topic.
  const { records } = rows.at(-1)!
  expect(records).toBeGreaterThan(operations.put! / 2)
  expect(records).toBeLessThanOrEqual(operations.put! + operations.announce!)
})

test('bootstrap: with the limit in force, what gets no reply is what the node says that it refused', async () => {
  const args = ['--limited', '--minutes', '0.1', '--clients', '12', '--rate', '300', '--json']
  const { status, stdout, stderr } = await bootstrap(args)
  const { limits, verdict } = JSON.parse(stdout) as BootstrapOutcome
  expect(limits).toEqual({
    requestsPerSecondMax: 150,
    limitedScopes: ['loopback', 'private', 'public'],
    scope: 'loopback',
  })
  const { datagrams, faults, rateLimited } = verdict
  expect(rateLimited).toBeGreaterThan(0)
  expect(datagrams.named).toBe(rateLimited - datagrams.refusals)
  expect(datagrams.replies).toBe(datagrams.requests - datagrams.named - datagrams.unnamed)
  expect(faults.some((fault) => fault.includes('nobody names'))).toBe(
    Math.abs(datagrams.unnamed) > datagrams.unnamedMax,
  )
  expect(status, stderr).toBe(faults.length > 0 ? 1 : 0)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('bootstrap: leaves nothing on the disk when %s ends it', async (signal, expected) => {
  const isFilled = () => readdirSync(folder).some((name) => existsSync(join(folder, name, 'node')))
  const ended = bootstrap(['--minutes', '1', '--clients', '2', '--rate', '10'])
  await vi.waitUntil(isFilled, { timeout: 30_000 })
  child?.kill(signal)
  expect(await ended).toMatchObject({ status: expected })
  expect(readdirSync(folder).filter((name) => name.startsWith('xorbit-bootstrap-'))).toEqual([])
})

test('bootstrap: a wrong option is refused', async () => {
  expect(await bootstrap(['--rate', 'many'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('--rate takes'),
  })
  expect(await bootstrap(['--speed', '1'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--speed') })
})

function bootstrap(args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const started = spawn(process.execPath, [BOOTSTRAP, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      env: { ...process.env, TMPDIR: folder, TEMP: folder },
    })
    child = started
    let [stdout, stderr] = ['', '']
    started.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    started.once('error', reject)
    started.once('close', (status) => resolve({ status, stdout, stderr }))
  })
}
