import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../src/cli/program.js'
import { ROOT } from '../examples/programs.js'
import { xorbit } from './xorbit.js'

const KEY = 'ab'.repeat(32)

describe('the help', () => {
  test('of the program names every command on stdout', async () => {
    const { status, stdout, stderr } = await xorbit(['--help'])
    expect([status, stderr]).toEqual([0, ''])
    for (const { name, summary } of COMMANDS) {
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
      expect(stdout).toContain(summary)
    }
  })

  test('comes without any arguments too, which is an error', async () => {
    const { status, stdout } = await xorbit([])
    expect(status).toBe(2)
    expect(stdout).toBe((await xorbit(['-h'])).stdout)
  })

  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s names all that it takes',
    async (name, command) => {
      const { status, stdout, stderr } = await xorbit([name, '--help'])
      expect([status, stderr]).toEqual([0, ''])
      for (const option of [...Object.keys(command.options), 'json', 'quiet', 'help'])
        expect(stdout).toContain(`--${option}`)
      for (const operand of command.operands) expect(stdout).toContain(operand.name)
      expect(stdout.split('\n').every((line) => line.length <= 120)).toBe(true)
      expect((await xorbit(['help', name])).stdout).toBe(stdout)
    },
  )

  test.each(COMMANDS.flatMap(({ examples }) => examples.map(([line]) => [line])))(
    'shows an example that is read without complaint: %s',
    async (line) => {
      // What comes after the last pipe, without the quotes of a shell.
      const words = (line.split('| ').at(-1) ?? '').match(/'[^']*'|\S+/g)?.map((word) => word.replaceAll("'", '')) ?? []
      expect(words[0]).toBe('xorbit')
      expect((await xorbit([...words.slice(1), '--help'])).status).toBe(0)
    },
  )
})

test('--version prints that of the package', async () => {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string }
  expect(await xorbit(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n` })
})

describe('wrong arguments', () => {
  const cases: readonly (readonly [argv: string[], says: RegExp])[] = [
    [['nope'], /no command "nope"/],
    [['\u001b[31mred'], /no command "\\u001b\[31mred"/],
    [['put', '--nope'], /--nope/],
    [['put', 'a', 'b'], /"b" is too much/],
    [['put', '--text'], /text/],
    [['put', '--text', 'a', 'file'], /not both/],
    [['put', '/nonexistent/file'], /can't be read/],
    [['put', ROOT], /can't be read/],
    [['put', '-t', 'x', '--lifetime', 'soon'], /--lifetime must be a time/],
    [['put', '-t', 'x', '--lifetime', '72h'], /lifetimeMs must be from 1000 to 172800000|--lifetime/],
    [['put', '-t', 'x', '--timeout', '-1'], /timeout/],
    [['put', '-t', 'x', '--bootstrap', 'nowhere'], /--bootstrap takes HOST:PORT, as .*, not "nowhere"/],
    [['node', '--port', '0', '--bootstrap', 'nowhere'], /--bootstrap takes HOST:PORT/],
    [['node', '--port', '0', '--data-folder', ''], /--data-folder is empty/],
    [['help', 'nope'], /no command "nope"/],
    [['--help', 'nope'], /no command "nope"/],
    [['put', '-t', 'x', '--host', 'not an address'], /host/],
    [['put', '-t', 'x', '--network', ''], /network/],
    [['get'], /get needs KEY/],
    [['get', 'abc'], /KEY must be 64 hex digits, not "abc"/],
    [['get', `${KEY}00`], /64 hex digits/],
    [['resolve', 'x'], /PUBLIC_KEY must be 64 hex digits/],
    [['resolve', KEY, '--salt', 'a'.repeat(65)], /--salt must have at most 64 bytes/],
    [['publish', '-t', 'x'], /publish needs --key FILE/],
    [['publish', '-t', 'x', '--key', '/nonexistent'], /can't be read/],
    [['announce', 'room', '--port', '0'], /--port must be a whole number from 1 to 65535/],
    [['announce', 'room', '--data', 'a'.repeat(201)], /at most 200 bytes/],
    [['locate'], /locate needs TOPIC/],
    [['locate', 'room', '--limit', '0'], /--limit/],
    [['ping'], /ping needs HOST:PORT/],
    [['ping', 'localhost'], /localhost/],
    [['ping', '127.0.0.1:1', '--count', 'many'], /--count/],
    [['keygen', 'file'], /keygen takes nothing beside options/],
    [['node', '--port', '65536'], /--port must be a whole number from 0 to 65535/],
    [['node', '--metrics', 'x:y'], /--metrics/],
    [['node', '--stats', 'often'], /--stats/],
    [['node', '--port', '7400', 'file'], /too much/],
  ]

  test.each(cases)('%j', async (argv, says) => {
    const { status, stdout, stderr } = await xorbit(argv)
    expect(stderr).toMatch(says)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  test('in the environment are told by its name', async () => {
    const { status, stderr } = await xorbit(['node', '--port', '0'], {
      env: { XORBIT_BOOTSTRAP: '127.0.0.1:1,dht2.example.org' },
    })
    expect([status, stderr.split('\n')[0]]).toEqual([
      2,
      'xorbit node: XORBIT_BOOTSTRAP takes HOST:PORT, as dht.example.org:7400, not "dht2.example.org"',
    ])
  })

  test('are told as JSON where data are', async () => {
    const { status, stdout, stderr } = await xorbit(['get', 'abc', '--json'])
    expect([status, stdout]).toEqual([2, ''])
    expect(JSON.parse(stderr)).toEqual({ error: { message: 'KEY must be 64 hex digits, not "abc"' } })
  })
})
