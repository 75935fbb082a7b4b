import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../src/cli/program.js'
import { STATUS } from '../../../src/cli/status.js'
import { commandsOf, faultOf, faultOfXorbit } from './commands.js'
import { BLOCKS, DOCUMENTS, firstCells, read } from './documents.js'

/** Commands by where they stand, those within a line too. */
const commands: (readonly [place: string, words: string[]])[] = [
  ...BLOCKS.filter(({ language }) => language === 'sh').flatMap(({ path, line, text }) =>
    commandsOf(text).map((words) => [`${path}:${line}`, words] as const),
  ),
  ...DOCUMENTS.flatMap((path) =>
    [...read(path).matchAll(/`((?:(?:npm|npx) |node [^`\n]*\.js\b)[^`\n]*)`/g)].flatMap(([, text = '']) =>
      // Brackets say what may be left out.
      commandsOf(text.replace(/[[\]]/g, '')).map((words) => [path, words] as const),
    ),
  ),
]

const NAMES = COMMANDS.map(({ name }) => name)

describe('the commands of all documents', () => {
  test('are commands that there are', () => {
    expect(commands.length).toBeGreaterThan(30)
    const faults = commands.map(([place, words]) => [place, words.join(' '), faultOf(words, dirname(place))])
    expect(faults.filter(([, , fault]) => fault !== undefined)).toEqual([])
  })

  test('call each command of the program', () => {
    const called = new Set(
      commands.flatMap(([, [name, program, command]]) => (name === 'npx' && program ? [command] : [])),
    )
    expect(NAMES.filter((name) => !called.has(name))).toEqual([])
  })

  test('are read as a shell reads them', () => {
    expect(
      commandsOf(`A=1 sudo npm run bench -- --list > list # all\n\necho 'a | b' | npx xorbit put && ls \\\n  -l`),
    ).toEqual([
      ['npm', 'run', 'bench', '--', '--list'],
      ['echo', 'a | b'],
      ['npx', 'xorbit', 'put'],
      ['ls', '-l'],
    ])
  })

  test.each([
    ['a script that is missing', 'npm run none'],
    ['a program that nobody knows', 'xorbitd --port 7400'],
    ['a file that is missing', 'node examples/none.js'],
    ['a command that the program does not have', 'npx xorbit store'],
    ['an option that a command does not have', 'npx xorbit get KEY --port 7400'],
    ['an operand too few', 'npx xorbit get'],
    ['an operand too many', 'npx xorbit node 7400'],
    ['an option without its value', 'npx xorbit put --text'],
    ['a package that is none of ours', 'npm install xorbit-none'],
    ['a package of a scope that is none of ours', 'npm install --global @none/xorbit@1.0.0'],
    ['an option that npm takes for itself', 'npm run bench --quick'],
    ['a folder that is missing', 'npm ci --prefix bench/none'],
    ['a bench that is missing', 'npm run bench -- none'],
    ['an option that no bench has', 'npm run bench -- --no-such-option'],
    ['an option that a bench does not have', 'npm run bench -- hops --taskMs 5'],
    ['an option of a bench without its value', 'npm run bench -- micro --taskMs'],
    ['an option that a script does not have', 'npm run simulate:large -- --no-such-option'],
    ['an option that the demo does not have', 'npm run demo -- --no-such-option'],
    ['an option that an example does not have', 'node examples/names.js --no-such-option'],
    ['an option that an example without a usage text does not have', 'node examples/custom-record.js --none'],
    ['an option that is the beginning of another', 'node examples/names.js follow KEY --boot'],
    ['an option of an example without its value', 'node examples/names.js follow KEY --every --watch'],
  ])('with %s are found', (_, shell) => {
    expect(commandsOf(shell).map((words) => faultOf(words))).toEqual([expect.stringMatching(/./)])
  })

  test.each([
    ['in quotes', `npx xorbit get "$(npx xorbit nonsense)"`],
    ['without quotes', 'npx xorbit get $(npx xorbit nonsense)'],
    ['in another one', 'npx xorbit get "$(npx xorbit put "$(npx xorbit nonsense)")"'],
    ['in backticks', 'npx xorbit get `npx xorbit nonsense`'],
    ['as a file', 'cat <(npx xorbit nonsense)'],
    ['after single quotes within double ones', `echo "it's $(npx xorbit nonsense)"`],
    ['with a pipe', 'npx xorbit get $(echo a | npx xorbit nonsense)'],
  ])('that stand in another command, %s, are found', (_, shell) => {
    const faults = commandsOf(shell).map((words) => faultOf(words))
    expect(faults.filter((fault) => fault !== undefined)).toEqual(['xorbit has no command nonsense'])
  })

  test('are not found in single quotes', () => {
    expect(commandsOf(`echo '$(npx xorbit nonsense)'`)).toEqual([['echo', '$(npx xorbit nonsense)']])
  })

  test.each([
    'npm install classic-level@3 abstract-level',
    'npm run --silent demo -- FILE --json',
    'npm run bench -- --list',
    'npm run bench -- peers --kad-dht-nodes 30 --fresh --seed=2',
    'npm run bench:bootstrap -- --help',
    'npm run simulate:churn -- --session 60',
    'node --expose-gc bench/peers/one.js xorbit --lookups 50',
    'node examples/custom-record.js --check',
    'npx xorbit get "$(npx xorbit put --text hello)"',
  ])('that there are pass: %s', (shell) => {
    expect(
      commandsOf(shell)
        .map((words) => faultOf(words))
        .filter((fault) => fault !== undefined),
    ).toEqual([])
  })
})

describe('the README', () => {
  test('has each command of the program in a table', () => {
    const cells = firstCells('README.md')
    expect(NAMES.filter((name) => !new RegExp(`^\`${name}[ \`]`, 'm').test(cells))).toEqual([])
  })

  test('names only options that a command has', () => {
    const rows = [...read('README.md').matchAll(/^\| `([a-z-]+)[^|]*\| (.*) \|$/gm)].filter(([, name]) =>
      NAMES.includes(name as string),
    )
    expect(rows).toHaveLength(NAMES.length)
    for (const [, name = '', text = ''] of rows) {
      const operands = COMMANDS.find((command) => command.name === name)?.operands ?? []
      const positionals = operands.filter(({ isOptional }) => !isOptional).map(() => 'X')
      for (const [, option = '', value = ''] of text.matchAll(/`(--[a-z-]+)(?: ([^`]+))?`/g)) {
        const argv = [name, ...positionals, option, ...(value === '' ? [] : [value])]
        const fault = faultOfXorbit(argv) ?? ''
        // An option may be named without its value.
        expect(value === '' ? fault.replace(/.*argument missing.*/s, '') : fault).toBe('')
      }
    }
  })

  test('has each exit status in a table', () => {
    const cells = firstCells('README.md')
    const statuses = [...Object.values(STATUS), 130, 143]
    expect(statuses.filter((status) => !new RegExp(`\\b${status}\\b`).test(cells))).toEqual([])
  })
})
