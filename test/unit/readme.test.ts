import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import * as xorbit from '../../src/index.js'
import { bundleProgram, ROOT, runProgram, typeErrors } from './examples/programs.js'

const readme = read('README.md')
const folder = mkdtempSync(join(tmpdir(), 'xorbit-readme-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What the fragments of the README, which are no whole programs, take for granted. */
const PRELUDE = `import type { Dht } from 'xorbit'
import { DhtError, keyOf } from 'xorbit'
declare const dht: Dht
declare const value: Uint8Array
void [DhtError, keyOf, dht, value]
export {}
`

/** For programs: users of plain JavaScript don't compile them as strictly as we do our own. */
const PLAIN_JAVASCRIPT = { noImplicitAny: false, noUncheckedIndexedAccess: false }

/** What programs print, told by a call that they make. */
const PRINTS: readonly (readonly [call: string, printed: RegExp])[] = [
  ['.publish(', /^version 2 with sequence number 2\nsomebody was faster/],
  ['.announce(', /^alice is at 127\.0\.0\.1, port 8080\n$/],
  ['JSON.parse(kept)', /^in the network again, with 1 contact\n$/],
  ['.findRecords(', /^\[ \[ 'otter', 'fur', 'river', 'sea' \] \]\n$/],
]

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, text]) => text as string)
}

function firstLine(text: string): string {
  return text.split('\n').find((line) => !/^(?:import .*|\/\/.*|)$/.test(line)) as string
}

describe('each whole program in the README', () => {
  const programs = blocks('js')

  test('is found', () => {
    expect(programs.length).toBeGreaterThan(3)
  })

  test.each(PRINTS)('is the only one that calls %s', (call) => {
    expect(programs.filter((text) => text.includes(call))).toHaveLength(1)
  })

  test('is type-checked', () => {
    const files = Object.fromEntries(programs.map((text, i) => [`readme-program-${i}.js`, text]))
    expect(typeErrors(files, PLAIN_JAVASCRIPT)).toEqual([])
  })

  test.each(programs.map((text) => [firstLine(text), text]))('runs and ends: %s', async (_, text) => {
    const file = join(folder, `${programs.indexOf(text)}.mjs`)
    // The one change: a free port instead of a fixed one, which somebody else may have.
    await bundleProgram(text.replace(/udp\(\{ port: \d+/g, 'udp({ port: 0'), file)
    const { status, stdout, stderr } = await runProgram(file, [], text.includes('SIGINT'))
    expect(stderr).toBe('')
    expect(stdout).not.toBe('')
    for (const [call, printed] of PRINTS) if (text.includes(call)) expect(stdout).toMatch(printed)
    expect(status).toBe(0)
  })
})

describe('each fragment in the README', () => {
  const fragments = blocks('ts')

  test('is type-checked', () => {
    expect(fragments.length).toBeGreaterThan(1)
    const files = Object.fromEntries(fragments.map((text, i) => [`readme-fragment-${i}.ts`, `${PRELUDE}${text}`]))
    expect(typeErrors(files)).toEqual([])
  })
})

describe('the README names', () => {
  /** The first cells of its tables. */
  const cells = [...readme.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell).join('\n')

  test.each([
    ['every error code', namesIn('src/errors.ts', /^ {2}\| '(\w+)'/gm)],
    ['every option', namesIn('src/options.ts', /^ {2}(\w+)\??: /gm, /interface DhtOptions \{.*?^\}/ms)],
    ['every event', namesIn('src/events.ts', /^ {2}(\w+): /gm, /interface DhtEvents \{.*?^\}/ms)],
    [
      'every method',
      namesIn('src/dht.ts', /^ {2}(?:async )?(\w+)(?:<[^>]*>)?\(/gm).filter((name) => name !== 'constructor'),
    ],
    [
      'every option of calls but signal',
      namesIn('src/arguments.ts', /^ {2}readonly (\w+)\?: /gm).filter((name) => name !== 'signal'),
    ],
    ['every function', Object.keys(xorbit).filter((name) => /^[a-z]/.test(name))],
  ])('%s', (_, names) => {
    expect(names.length).toBeGreaterThan(3)
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(cells))).toEqual([])
  })

  function namesIn(path: string, pattern: RegExp, part = /.*/s): string[] {
    const text = part.exec(read(path))?.[0] ?? ''
    return [...text.matchAll(pattern)].map(([, name]) => name as string)
  }
})

test('every relative link in the documents leads to a file', () => {
  const documents = ['README.md', 'CHANGELOG.md', ...markdownIn('docs')]
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  )
  expect(broken).toEqual([])
})

function markdownIn(path: string): string[] {
  return readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' })
    .map((name) => `${path}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.md') && !name.startsWith('docs/api/'))
}
