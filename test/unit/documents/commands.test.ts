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
    [...read(path).matchAll(/`((?:npm|npx) [^`\n]+)`/g)].flatMap(([, text]) =>
      commandsOf(text as string).map((words) => [path, words] as const),
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
  ])('with %s are found', (_, shell) => {
    expect(commandsOf(shell).map((words) => faultOf(words))).toEqual([expect.stringMatching(/./)])
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
