// Examples whose network is not there from the start. Each takes some seconds to tell, so they do that together.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { argumentsFor, silentAddress } from './network.js'
import { run, temporaryFolder } from './processes.js'

test('each example fails with status 1 where nobody answers, and says so', async () => {
  const address = await silentAddress()
  const key = join(temporaryFolder(), 'key.json')
  const { stdout: name } = await run('names.js', ['create', key])
  const commands = [
    ['names.js', 'point', key, 'here'],
    ['names.js', 'follow', name.trim()],
    ['names.js', 'follow', name.trim(), '--watch'],
    ['peer-discovery.js', '--offer', 'archive'],
    ['peer-discovery.js', '--want', 'archive'],
    ['presence-chat.js', 'lobby', '--name', 'Ada'],
  ] as const
  const ended = await Promise.all(commands.map(([path, ...args]) => run(path, [...args, ...argumentsFor(address)])))
  for (const [i, { status, stdout, stderr }] of ended.entries()) {
    expect(stderr).toMatch(new RegExp(`^${commands[i]?.[0].replace('.js', '')}: .*bootstrap.*\n$`))
    expect({ command: commands[i], status, stdout }).toEqual({ command: commands[i], status: 1, stdout: '' })
  }
})
