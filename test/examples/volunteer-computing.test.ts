import { execFile, spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { bundleProgram, ROOT } from '../unit/examples/programs.js'
import { argumentsFor, network, silentAddress } from './network.js'
import { END_IN_TIME, end, expectUsage, Program, run, start, temporaryFolder } from './processes.js'

const COMPUTING = 'volunteer-computing.js'

/** How many primes there are below a number, by a sieve: found in another way than the workers do. */
function primesBelow(end: number): number {
  const isComposite = new Uint8Array(end)
  let count = 0
  for (let number = 2; number < end; number++) {
    if (isComposite[number]) continue
    count++
    for (let multiple = number * number; multiple < end; multiple += number) isComposite[multiple] = 1
  }
  return count
}

async function create(...args: string[]): Promise<string> {
  const project = join(temporaryFolder(), 'project.json')
  const { status } = await run(COMPUTING, ['create', project, ...args])
  expect(status).toBe(0)
  return project
}

/** Of each unit who reported what, as `status` tells it. */
async function reports(
  project: string,
  args: readonly string[],
): Promise<{ isConfirmed: boolean; counts: string[][] }[]> {
  const { status, stdout } = await run(COMPUTING, ['status', project, ...args])
  expect(status).toBe(0)
  return [...stdout.matchAll(/^unit \d+: (\w+)(.*)$/gm)].map(([, state, rest]) => ({
    isConfirmed: state === 'confirmed',
    counts: [...(rest as string).matchAll(/(\w{8}) says (\d+)/g)].map(([, worker, count]) => [worker!, count!]),
  }))
}

test('a worker that is killed loses nothing: its unit is taken over, and every unit is confirmed by a second worker', async () => {
  const { arguments: args } = await network(4)
  const project = await create('--units', '4', '--size', '100000', '--lease', '2')
  // It is at work for long, so it certainly dies with a claim.
  const slow = JSON.parse(readFileSync(project, 'utf8'))
  const slowProject = join(temporaryFolder(), 'project.json')
  writeFileSync(slowProject, JSON.stringify({ ...slow, unitSize: 1e9 }))
  const dying = await start(COMPUTING, ['work', slowProject, ...args])
  const [, unit] = await dying.waitFor(/^claimed unit (\d+)$/m)
  await end(dying)
  expect(dying.stdout).not.toContain('reported')
  const workers = [
    await start(COMPUTING, ['work', project, ...args]),
    await start(COMPUTING, ['work', project, ...args]),
  ]
  const ended = await Promise.all(workers.map((worker) => worker.end()))

  const output = ended.map(({ stdout }) => stdout).join('')
  expect(output).toMatch(new RegExp(`^claimed unit ${unit}, as the lease of [0-9a-f]{8} is over$`, 'm'))
  for (const { status, stdout, stderr } of ended) {
    expect(stderr).toBe('')
    expect(stdout).toContain(`all units are confirmed: ${primesBelow(400_000)} primes below 400000\n`)
    expect(status).toBe(0)
  }
  const units = await reports(project, args)
  expect(units).toHaveLength(4)
  for (const { isConfirmed, counts } of units) {
    expect(isConfirmed).toBe(true)
    expect(new Set(counts.map(([worker]) => worker)).size).toBe(2)
    expect(new Set(counts.map(([, count]) => count)).size).toBe(1)
  }
})

test('of two workers that race for one unit exactly one gets it', async () => {
  const { arguments: args } = await network(4)
  const project = await create('--units', '1', '--size', '900000000')
  // The same program, but between reading a unit and claiming it for the first time it waits for a line on stdin.
  const source = readFileSync(join(ROOT, 'examples', COMPUTING), 'utf8')
  const held = source.replace(
    '    if (isTaken) return false\n',
    `$&    console.log('about to claim')
    await (globalThis.line ??= new Promise((resolve) => process.stdin.once('data', resolve)))\n`,
  )
  expect(held).not.toBe(source)
  const file = join(temporaryFolder(), 'held.mjs')
  await bundleProgram(held, file)
  const [first, second] = [1, 2].map(() => {
    const worker = new Program(
      'held',
      spawn(process.execPath, ['--import', END_IN_TIME, file, 'work', project, ...args]),
    )
    onTestFinished(() => end(worker))
    return worker
  }) as [Program, Program]
  await Promise.all([first, second].map((worker) => worker.waitFor(/^about to claim$/m)))
  first.type('')
  await first.waitFor(/^claimed unit 0$/m)
  second.type('')
  await second.waitFor(/^waiting for other workers: 1 units are not confirmed$/m)
  expect(second.stdout).toBe('about to claim\nwaiting for other workers: 1 units are not confirmed\n')
})

test('a live lease is left alone; at Ctrl-C it is given back, even in the midst of a unit', async () => {
  const { arguments: args } = await network(4)
  const project = await create('--units', '1', '--size', '900000000', '--lease', '600')
  const holder = await start(COMPUTING, ['work', project, ...args])
  await holder.waitFor(/^claimed unit 0$/m)
  const other = await start(COMPUTING, ['work', project, ...args])
  await other.waitFor(/^waiting for other workers: 1 units are not confirmed$/m)
  expect(other.stdout).not.toContain('claimed')

  holder.kill('SIGINT')
  expect(await holder.end()).toMatchObject({ status: 130, stderr: 'volunteer-computing: interrupted\n' })
  await other.waitFor(/^claimed unit 0$/m)
})

test('a worker that reports wrong results is outvoted', async () => {
  const { arguments: args } = await network(4)
  const project = await create('--units', '4', '--size', '50000')
  // The same program, on a computer that counts badly.
  const source = readFileSync(join(ROOT, 'examples', COMPUTING), 'utf8')
  const wrong = source.replace(
    '  return count\n}\n\nfunction readArguments',
    '  return count + 1\n}\n\nfunction readArguments',
  )
  expect(wrong).not.toBe(source)
  const file = join(temporaryFolder(), 'wrong.mjs')
  await bundleProgram(wrong, file)
  const erring = promisify(execFile)(process.execPath, [file, 'work', project, ...args], { timeout: 60_000 })
  await expect
    .poll(async () => (await reports(project, args)).flatMap(({ counts }) => counts).length, { timeout: 20_000 })
    .toBe(4)

  const workers = [
    await start(COMPUTING, ['work', project, ...args]),
    await start(COMPUTING, ['work', project, ...args]),
  ]
  const ended = await Promise.all(workers.map((worker) => worker.end()))
  for (const { stdout } of ended) {
    expect(stdout).toContain(`all units are confirmed: ${primesBelow(200_000)} primes below 200000\n`)
    expect(stdout).toMatch(/^unit \d: [0-9a-f]{8} is outvoted with \d+$/m)
  }
  expect((await erring).stdout).toContain(`: ${primesBelow(200_000)} primes below 200000\n`)
})

test('a project file is for its owner only, and is never overwritten', async () => {
  const project = await create()
  expect(statSync(project).mode & 0o777).toBe(0o600)
  const text = readFileSync(project, 'utf8')
  const { status, stderr } = await run(COMPUTING, ['create', project])
  expect(stderr).toMatch(/^volunteer-computing: EEXIST/)
  expect(status).toBe(1)
  expect(readFileSync(project, 'utf8')).toBe(text)
})

test('when the network is cut, workers end with status 1, and nobody starts without one', async () => {
  const { arguments: args, cut } = await network(3)
  const project = await create('--units', '2', '--size', '1000')
  const worker = await start(COMPUTING, ['work', project, ...args])
  await worker.waitForNext(/^reported unit \d/m)
  await worker.waitForNext(/^reported unit \d/m)
  // A second one never comes.
  await worker.waitForNext(/^waiting for other workers: 2 units are not confirmed$/m)
  const nobody = argumentsFor(await silentAddress())
  const late = await Promise.all(['work', 'status'].map((role) => start(COMPUTING, [role, project, ...nobody])))
  await cut()
  const { status, stderr } = await worker.end()
  expect(stderr).toBe('volunteer-computing: nobody answers any more: the network is cut\n')
  expect(status).toBe(1)
  for (const program of late) {
    expect(await program.end()).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^volunteer-computing: none of the bootstrap addresses answered/),
    })
  }
})

test.each(['{"units":2}', `{"secretKey":"${'7'.repeat(64)}","units":999999999,"unitSize":1,"leaseMs":1}`])(
  'a file that is no project is refused: %s',
  async (text) => {
    const path = join(temporaryFolder(), 'project.json')
    writeFileSync(path, text)
    const { status, stderr } = await run(COMPUTING, ['work', path, '--bootstrap', '127.0.0.1:1'])
    expect(stderr).toMatch(/is no project file\n$/)
    expect(status).toBe(1)
  },
)

test.each([
  [[]],
  [['work', 'project.json']],
  [['create']],
  [['create', 'project.json', '--units', '0']],
  [['create', 'project.json', '--units', '100001']],
  [['create', 'project.json', '--lease', 'long']],
  [['work', 'a.json', 'b.json', '--bootstrap', '127.0.0.1:1']],
])('volunteer computing refuses %j', (args) => expectUsage(COMPUTING, args))
