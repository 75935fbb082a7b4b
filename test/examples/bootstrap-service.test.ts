// The files that run `xorbit node` as a service: they start no process here, so they are held against what it takes.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bundleProgram, ROOT, runProgram } from '../unit/examples/programs.js'
import { temporaryFolder } from './processes.js'

const FOLDER = join(ROOT, 'examples', 'bootstrap-node')
const PROGRAM = 'src/cli/main.ts'

/** What `xorbit node` takes, for as long as there is no program to ask. */
const OPTIONS_OF_NODE = [
  ...['--port', '--host', '--bootstrap', '--network', '--data-folder', '--client', '--metrics', '--stats', '--json'],
  ...['--quiet', '--help'],
]

function read(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8')
}

async function optionsOfNode(): Promise<readonly string[]> {
  if (!existsSync(join(ROOT, PROGRAM))) return OPTIONS_OF_NODE
  const file = join(temporaryFolder(), 'xorbit.mjs')
  await bundleProgram(`import './${PROGRAM}'`, file)
  const { status, stdout } = await runProgram(file, ['node', '--help'])
  expect(status).toBe(0)
  return stdout.match(/--[a-z][a-z-]*/g) ?? []
}

/** The commands `xorbit node` of a unit, of a Dockerfile or of a document, each as the options behind it. */
function commandsIn(text: string): string[][] {
  const joined = text.replace(/\\\n/g, ' ').replace(/[",[\]]/g, ' ')
  return [...joined.matchAll(/xorbit +node +(-.*)$/gm)].map(([, options]) => (options as string).trim().split(/ +/))
}

function optionOf(command: readonly string[], name: string): string | undefined {
  return command[command.indexOf(name) + 1]
}

/** `Name=value` by section. What comes several times is a list. */
function readUnit(text: string): Map<string, string[]> {
  const entries = new Map<string, string[]>()
  let section = ''
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, heading, name, value] = /^(?:\[(\w+)\]|(\w+)=(.*))$/.exec(line) ?? expect.fail(`what is '${line}'?`)
    if (heading !== undefined) section = heading
    else entries.set(`${section}.${name}`, [...(entries.get(`${section}.${name}`) ?? []), value as string])
  }
  return entries
}

/** Instructions in their order, with comments gone and continued lines joined. */
function readDockerfile(text: string): { instruction: string; rest: string }[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, '')
    .split('\n')
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [, instruction, rest] = /^([A-Z]+) +(.*)$/.exec(line) ?? expect.fail(`what is '${line}'?`)
      return { instruction: instruction as string, rest: (rest as string).replace(/ +/g, ' ') }
    })
}

const service = read('xorbit.service')
const unit = readUnit(service)
const dockerfile = readDockerfile(read('Dockerfile'))

function instructionsOf(name: string): string[] {
  return dockerfile.filter(({ instruction }) => instruction === name).map(({ rest }) => rest)
}

const entryPoint: string[] = JSON.parse(instructionsOf('ENTRYPOINT')[0] as string)

describe('the files of the bootstrap node', () => {
  test.each(['xorbit.service', 'Dockerfile'])('%s takes no option that the program does not have', async (name) => {
    const known = await optionsOfNode()
    const used = commandsIn(read(name))
      .flat()
      .filter((word) => word.startsWith('--'))
    expect(used.length).toBeGreaterThan(2)
    expect(used.filter((option) => !known.includes(option))).toEqual([])
  })

  test('the options of the program are read from its help', async () => {
    const known = await optionsOfNode()
    expect(known).toEqual(expect.arrayContaining(['--port', '--bootstrap', '--data-folder', '--metrics']))
    expect(commandsIn('ENTRYPOINT ["xorbit", "node", "--data-dir", "/data"]\n')).toEqual([['--data-dir', '/data']])
    expect(known).not.toContain('--data-dir')
  })

  test('both listen at the same port, and have their metrics on the machine alone', () => {
    const [ofUnit] = commandsIn(service) as [string[]]
    const ofImage = entryPoint.slice(2)
    for (const command of [ofUnit, ofImage]) {
      expect(optionOf(command, '--port')).toBe('7400')
      expect(optionOf(command, '--metrics')).toBe('127.0.0.1:9400')
    }
  })
})

describe('the unit', () => {
  test('keeps its data in the folder that systemd makes for it', () => {
    const [folder] = unit.get('Service.StateDirectory') as [string]
    expect(optionOf(commandsIn(service)[0] as string[], '--data-folder')).toBe(`%S/${folder}`)
  })

  test('gives up on wrong options alone, and waits longer for the end than it takes', () => {
    expect(unit.get('Service.Restart')).toEqual(['always'])
    expect(unit.get('Service.RestartPreventExitStatus')).toEqual(['2'])
    expect(unit.get('Unit.StartLimitIntervalSec')).toEqual(['0'])
    expect(Number(unit.get('Service.TimeoutStopSec')?.[0])).toBeGreaterThan(2)
    expect(unit.has('Service.MemoryDenyWriteExecute')).toBe(false)
  })

  const analyze = (...args: readonly string[]) =>
    spawnSync('systemd-analyze', args, { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0' } })

  test.runIf(analyze('--version').status === 0)('is what systemd understands, and lets little through', () => {
    const { status, stderr } = analyze('verify', join(FOLDER, 'xorbit.service'))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const { stdout } = analyze('security', '--offline=true', '--no-pager', join(FOLDER, 'xorbit.service'))
    const [, exposure] = /exposure level for xorbit\.service: ([\d.]+)/.exec(stdout) ?? []
    expect(Number(exposure)).toBeLessThan(2)
  })
})

describe('the Dockerfile', () => {
  test('runs the program itself, as an account without rights, with its folder on a volume', () => {
    expect(instructionsOf('FROM')).toEqual(['node:22-slim'])
    expect(entryPoint.slice(0, 2)).toEqual(['xorbit', 'node'])
    const [user] = instructionsOf('USER')
    expect(user).toBe('node')
    const [folder] = instructionsOf('VOLUME')
    expect(optionOf(entryPoint, '--data-folder')).toBe(folder)
    expect(instructionsOf('RUN').find((command) => command.endsWith(` ${folder}`))).toContain(`--owner=${user}`)
    // What a volume's folder is must be settled before it is declared, and npm needs rights that the account has not.
    const order = dockerfile.map(({ instruction }) => instruction)
    expect(order.lastIndexOf('RUN')).toBeLessThan(order.indexOf('VOLUME'))
    expect(order.lastIndexOf('RUN')).toBeLessThan(order.indexOf('USER'))
    expect(order.indexOf('USER')).toBeLessThan(order.indexOf('ENTRYPOINT'))
  })

  test('exposes the port that the node listens at, for UDP, and ends as the program does', () => {
    expect(instructionsOf('EXPOSE')).toEqual([`${optionOf(entryPoint, '--port')}/udp`])
    expect(instructionsOf('STOPSIGNAL')).toEqual(['SIGTERM'])
  })

  test.each([
    [200, 0],
    [503, 1],
    [undefined, 1],
  ])('its health check, with status %s of /healthz, ends with %d', async (answer, expected) => {
    const [check] = instructionsOf('HEALTHCHECK')
    const [file, flag, program] = JSON.parse((check as string).replace(/^.* CMD /, '')) as [string, string, string]
    expect([file, flag]).toEqual(['node', '-e'])
    const metrics = optionOf(entryPoint, '--metrics') as string
    expect(program).toContain(`http://${metrics}/healthz`)

    const asked: (string | undefined)[] = []
    const server = createServer(({ url }, response) => {
      asked.push(url)
      response.writeHead(answer ?? 500).end()
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as AddressInfo
    const close = () => new Promise((closed) => server.close(closed))
    if (answer === undefined) await close()
    else onTestFinished(() => void close())
    const child = spawn(process.execPath, [flag, program.replace(metrics, `127.0.0.1:${port}`)], { timeout: 10_000 })
    expect(await new Promise((ended) => child.once('close', ended))).toBe(expected)
    expect(asked).toEqual(answer === undefined ? [] : ['/healthz'])
  })
})
