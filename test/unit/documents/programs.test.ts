import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import type { Ended } from '../examples/programs.js'
import { bundleProgram, ROOT, runProgram, typeErrors } from '../examples/programs.js'
import type { Block } from './documents.js'
import { BLOCKS, DOCUMENTS, headingAbove, read, strayLines } from './documents.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-documents-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What fragments, which are no whole programs, take for granted. */
const PRELUDE = `import type { Dht } from 'xorbit'
import { DhtError, keyOf } from 'xorbit'
declare const dht: Dht
declare const value: Uint8Array
void [DhtError, keyOf, dht, value]
export {}
`

/** For programs: users of plain JavaScript don't compile them as strictly as we do our own. */
const PLAIN_JAVASCRIPT = { noImplicitAny: false, noUncheckedIndexedAccess: false }

/** Languages whose blocks are looked at here or in a test that is named. */
const LANGUAGES: Readonly<Record<string, string>> = {
  js: 'run here',
  ts: 'type-checked here',
  json: 'parsed here',
  text: 'compared with what the program above it prints, or one of SHOWN_ONLY',
  sh: 'commands.test.ts',
  hex: '../wire/protocol-page.test.ts',
}

/** Blocks of text that no test can compare with anything: by the heading above, each as often as it has one. */
const SHOWN_ONLY: readonly string[] = ['docs/guides/speed.md#how-fast-it-is']

/** What bytes are signed, which is told in no language: the lines that begin an indented block, by the heading above. */
const INDENTED: readonly string[] = [
  "docs/protocol.md#kind-1-mutable: 'xorbit/mutable/1' | 00 | network (4 bytes) | everything from the length of the salt on",
  "docs/protocol.md#kind-2-peer: 'xorbit/peer/1' | network (4 bytes) | topic | public key",
]

const programs = BLOCKS.filter(({ language }) => language === 'js')
/** They print what their runner does, each version another way. */
const ofRunners = programs.filter(({ text }) => /from '(?:node:test|vitest)'/.test(text))
const others = programs.filter((block) => !ofRunners.includes(block))

describe('blocks', () => {
  test('are of a language that some test knows', () => {
    const unknown = BLOCKS.filter(({ language }) => !Object.hasOwn(LANGUAGES, language))
    expect(unknown.map(placeOf)).toEqual([])
  })

  test('are all that there are', () => {
    expect(DOCUMENTS.flatMap((path) => strayLines(path, read(path)))).toEqual(INDENTED)
  })

  test.each([
    ['an indented fence', '- item\n\n  ```js\n  nothing()\n  ```', 2],
    ['a fence in a list', '- ```js\nnothing()\n  ```', 2],
    ['a quoted fence', '> ```js\n> nothing()\n> ```', 2],
    ['tildes', '~~~js\nnothing()\n~~~', 2],
    ['more than a language', '```js title="x"\nnothing()\n```', 2],
    ['a space before the language', '``` js\nnothing()\n```', 2],
    ['an end that is missing', '```js\nnothing()', 1],
    ['an end that is that of the next', '```js\nnothing()\n\n```js\nnothing()\n```', 1],
    ['a space after the end', '```js\nnothing()\n``` ', 2],
    ['HTML', '<PRE class="a">nothing()</PRE>', 1],
    ['spaces alone', '    nothing()', 1],
    ['a tab', '\tnothing()', 1],
  ])('with %s are found', (_, document, count) => {
    const known = '# A b\n\n```js\n    known()\n```\n'
    const found = strayLines('a.md', `${known}\n${document}\n`)
    expect(found).toHaveLength(count)
    expect(found[0]).toMatch(/^a\.md#a-b: /)
    expect(strayLines('a.md', known)).toEqual([])
  })

  test('of text are what the program above prints, or listed here', () => {
    const shown = new Set(programs.map(({ next }) => next))
    const others = BLOCKS.filter((block) => block.language === 'text' && !shown.has(block))
    expect(others.map(({ path, line }) => headingAbove(path, read(path), line))).toEqual(SHOWN_ONLY)
  })

  test('of JSON can be parsed', () => {
    for (const { text } of BLOCKS.filter(({ language }) => language === 'json')) JSON.parse(text)
  })
})

describe('each fragment', () => {
  test('is type-checked', () => {
    const fragments = BLOCKS.filter(({ language }) => language === 'ts')
    expect(fragments.length).toBeGreaterThan(1)
    const files = Object.fromEntries(fragments.map((block) => [fileOf(block, 'ts'), `${PRELUDE}${block.text}`]))
    expect(typeErrors(files)).toEqual([])
  })
})

describe('each program', () => {
  test('is type-checked', () => {
    expect(programs.length).toBeGreaterThan(30)
    const files = Object.fromEntries(programs.map((block) => [fileOf(block, 'js'), block.text]))
    expect(typeErrors(files, PLAIN_JAVASCRIPT)).toEqual([])
  })

  test('shows what it prints', () => {
    expect(others.filter(({ next }) => next?.language !== 'text').map(placeOf)).toEqual([])
  })
})

describe.concurrent('each program runs, ends, and prints what is shown', () => {
  test.for(others.map((block) => [placeOf(block), block] as const))('%s', async ([, block], { expect }) => {
    const file = join(folder, fileOf(block, 'mjs'))
    // The one change: a free port instead of a fixed one, which somebody else may have.
    await bundleProgram(block.text.replace(/udp\(\{ port: \d+/g, 'udp({ port: 0'), file)
    const { status, stdout, stderr } = await runProgram(file, [], block.text.includes('SIGINT'))
    expect(stderr).toBe('')
    expect(steady(stdout)).toBe(steady(block.next?.text ?? ''))
    expect(status).toBe(0)
  })

  test.for(ofRunners.map((block) => [placeOf(block), block] as const))('%s', async ([, block], { expect }) => {
    const { status, stdout } = await (block.text.includes(`from 'vitest'`) ? runVitest(block) : runNodeTest(block))
    const printed = stripVTControlCharacters(stdout)
    expect(printed).toMatch(/^(?:# pass|ℹ pass| +Tests) +[1-9]/m)
    expect(printed).not.toMatch(/^(?:# fail|ℹ fail) [1-9]|\bfailed\b/m)
    expect(status).toBe(0)
  })
})

async function runNodeTest(block: Block): Promise<Ended> {
  const file = join(folder, fileOf(block, 'mjs'))
  await bundleProgram(block.text, file)
  return runProgram(file)
}

/** Runs a program by vitest, in a folder of its own, with the sources in the package's place. */
function runVitest(block: Block): Promise<Ended> {
  const root = mkdtempSync(join(folder, 'vitest-'))
  const conditions = ['xorbit-source']
  const alias = { 'xorbit/testing': `${ROOT}src/testing/index.ts`, xorbit: `${ROOT}src/index.ts` }
  const config = {
    root,
    resolve: { alias, conditions },
    ssr: { resolve: { conditions } },
    test: { include: ['*.test.mjs'] },
  }
  writeFileSync(join(root, 'vitest.config.mjs'), `export default ${JSON.stringify(config)}`)
  writeFileSync(join(root, 'a.test.mjs'), block.text)
  return runProgram(`${ROOT}node_modules/vitest/vitest.mjs`, ['run', '--config', join(root, 'vitest.config.mjs')])
}

/** Ports are the system's to choose. */
function steady(printed: string): string {
  return printed.replace(/\b(127\.0\.0\.1|0\.0\.0\.0):\d+/g, '$1:PORT').replace(/\bUDP port \d+/g, 'UDP port PORT')
}

function placeOf({ path, line }: Block): string {
  return `${path}:${line}`
}

function fileOf({ path, line }: Block, extension: string): string {
  return `${path.replace(/\W/g, '-')}-${line}.${extension}`
}
