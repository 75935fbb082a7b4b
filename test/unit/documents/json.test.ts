import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { COMMANDS } from '../../../src/cli/program.js'
import { network, start, xorbit } from '../cli/xorbit.js'
import { namesIn } from './documents.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-json-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const COSTS = ['hops', 'messages', 'elapsedMs']

/** What the README says that each command prints, by the command's name. */
const told = new Map(
  namesIn('README.md', /^(- `[a-z-]+`.*: .*\.)$/gm, /^### Data for machines.*?^## /ms).map((line) => {
    const [, name = '', text = ''] = /^- `([a-z-]+)`(.*)$/.exec(line) ?? []
    const names = [...text.matchAll(/`(\w+)`/g)].map(([, field]) => field as string)
    return [name, new Set([...names, ...(/\bcosts\b/.test(text) ? COSTS : [])])]
  }),
)

/** The names of all fields of these lines, those of the objects in a list of steps too. */
function fieldsOf(stdout: string): string[] {
  const lines = stdout.trim().split('\n')
  const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const steps = objects.flatMap(({ steps }) => (steps ?? []) as Record<string, unknown>[])
  return [...objects, ...steps].flatMap((object) => Object.keys(object))
}

test('the fields that the README names are those that each command prints with --json', async () => {
  expect([...told.keys()].sort()).toEqual(COMMANDS.map(({ name }) => name).sort())
  const to = await network()
  const address = to[1] as string
  const keys = join(folder, 'me.json')
  const printed = new Map<string, string[]>()
  const print = async (name: string, ...argv: string[]): Promise<string> => {
    const { stdout } = await xorbit([name, ...argv, '--json', '--quiet'])
    printed.set(name, [...(printed.get(name) ?? []), ...fieldsOf(stdout)])
    return stdout
  }

  const { publicKey } = JSON.parse(await print('keygen', '--output', keys))
  await print('keygen')
  const { key } = JSON.parse(await print('put', '--text', 'hello', ...to))
  await print('get', key, ...to)
  await print('get', key, '--output', join(folder, 'value'), ...to)
  await print('publish', '--key', keys, '--text', 'hello', ...to)
  await print('resolve', publicKey, ...to)
  await print('resolve', publicKey, '--output', join(folder, 'resolved'), ...to)
  const announced = start(['announce', 'room', '--port', '80', '--data', 'alice', '--json', '--quiet', ...to])
  await announced.until(/\n/)
  await print('locate', 'room', ...to)
  announced.signal('SIGINT')
  printed.set('announce', fieldsOf((await announced.ended).stdout))
  await print('find-node', 'hello', ...to)
  await print('ping', address, '--host', '127.0.0.1')
  await print('ping', '127.0.0.1:1', '--host', '127.0.0.1')
  const common = ['node', '--port', '0', '--host', '127.0.0.1', '--metrics', '0', '--json', '--quiet']
  const joining = start([...common, '--bootstrap', address])
  await joining.until(/"joined"/)
  joining.signal('SIGTERM')
  const alone = start([...common, '--bootstrap', '127.0.0.1:1'])
  await alone.until(/"bootstrapFailed"/)
  alone.signal('SIGTERM')
  printed.set(
    'node',
    [await joining.ended, await alone.ended].flatMap(({ stdout }) => fieldsOf(stdout)),
  )

  // Values of fields that the README names, and a field that only a step has that failed.
  const others = ['listening', 'joined', 'bootstrapFailed', 'answered', 'failed', 'abandoned']
  for (const [name, fields] of told) {
    const expected = [...fields].filter(
      (field) => !others.includes(field) && !(name === 'find-node' && field === 'error'),
    )
    expect([name, [...new Set(printed.get(name))].sort()]).toEqual([name, expected.sort()])
  }
}, 30_000)
