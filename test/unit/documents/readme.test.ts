import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as xorbit from '../../../src/index.js'
import { ROOT } from '../examples/programs.js'
import { blocksOf, firstCells, namesIn, read } from './documents.js'

const optionsOfCalls = namesIn('src/arguments.ts', /^ {2}readonly (\w+)\?: /gm).filter((name) => name !== 'signal')
const methods = namesIn('src/dht.ts', /^ {2}(?:async )?(\w+)(?:<[^>]*>)?\(/gm).filter((name) => name !== 'constructor')
const SIMULATOR = 'docs/guides/simulator.md'
const OPTIONS = 'docs/guides/options.md'
const OPTION = /^ {2}(?:readonly )?(\w+)\??: /gm

describe('tables have', () => {
  test.each([
    ['README.md', 'every method', methods],
    ['README.md', 'every function', Object.keys(xorbit).filter((name) => /^[a-z]/.test(name))],
    [OPTIONS, 'every option', namesIn('src/options.ts', OPTION, /interface DhtOptions \{.*?^\}/ms)],
    [OPTIONS, 'every option of calls but signal', optionsOfCalls],
    [OPTIONS, 'every event', namesIn('src/events.ts', OPTION, /interface DhtEvents \{.*?^\}/ms)],
    [SIMULATOR, 'every option of a simulator', namesIn('src/testing/simulator-options.ts', OPTION)],
    [SIMULATOR, 'every fault', namesIn('src/testing/simulated-network.ts', OPTION, /interface Faults \{.*?^\}/ms)],
    [
      SIMULATOR,
      'every member of a simulator',
      namesIn('src/testing/simulator.ts', /^ {2}(?:readonly |get )?(\w+)(?:<[^>]*>)?[(:]/gm).filter(
        (name) => name !== 'constructor',
      ),
    ],
    [SIMULATOR, 'every reason', namesIn('src/testing/simulation-error.ts', / \* - `(\w+)`/g)],
    [SIMULATOR, 'every latency model', namesIn('src/testing/latency.ts', /^export function (\w+)/gm)],
  ])('%s: %s', (path, _, names) => {
    const cells = firstCells(path)
    expect(names.length).toBeGreaterThan(3)
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(cells))).toEqual([])
  })
})

describe('the README', () => {
  const readme = read('README.md')

  test('has what it is, the two commands, ten lines of code and the program on its first screen', () => {
    const lines = readme.split('\n')
    expect(lines.slice(0, 3)).toEqual(['# xorbit', '', expect.stringMatching(/TypeScript library/)])
    const blocks = blocksOf('README.md', lines.slice(0, 45).join('\n'))
    expect(blocks.map(({ language }) => language)).toEqual(['sh', 'js', 'text', 'sh'])
    const [commands, program, , terminal] = blocks.map(({ text }) => text.split('\n').filter((line) => line !== ''))
    expect(commands).toHaveLength(2)
    expect(program).toHaveLength(10)
    expect(terminal?.filter((line) => line.includes('npx xorbit'))).toHaveLength(3)
  })

  test('has each example in a table', () => {
    const cells = firstCells('README.md')
    const programs = readdirSync(join(ROOT, 'examples'), { withFileTypes: true })
      // The demo's parts are not for themselves.
      .filter((entry) => (entry.isDirectory() ? entry.name !== 'demo' : entry.name.endsWith('.js')))
      .map(({ name }) => name)
    expect(programs.length).toBeGreaterThan(3)
    expect(programs.filter((name) => !cells.includes(`(examples/${name}`))).toEqual([])
  })
})

test('each decision has its number in its heading, and the list has that heading or its beginning', () => {
  const names = readdirSync(join(ROOT, 'docs', 'decisions')).filter((name) => /^\d/.test(name))
  expect(names.length).toBeGreaterThan(40)
  const list = read('docs/decisions/README.md')
  const wrong = names.filter((name) => {
    const [, number, heading] = /^# (\d+)\. (.+)\n/.exec(read(`docs/decisions/${name}`)) ?? []
    const [, listed, title = ''] = new RegExp(`^(\\d+)\\. \\[(.+)\\]\\(${name}\\)$`, 'm').exec(list) ?? []
    return number !== String(Number(name.slice(0, 4))) || listed !== number || !heading?.startsWith(title)
  })
  expect(wrong).toEqual([])
})
