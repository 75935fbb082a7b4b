import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleProgram, ROOT, runProgram } from '../unit/examples/programs.js'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-program-'))
// It looks for package.json where the package has it.
const program = join(folder, 'dist', 'cli', 'main.mjs')

beforeAll(async () => {
  mkdirSync(join(folder, 'dist', 'cli'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  await bundleProgram(`import '${ROOT}src/cli/main.ts'`, program)
})
afterAll(() => rmSync(folder, { recursive: true }))

test('as processes: two nodes, a put and a get, SIGTERM, and kill -9 with a restart on the same folder', async () => {
  const check = join(ROOT, 'scripts', 'package', 'program.js')
  const { status, stdout, stderr } = await runProgram(check, [process.execPath, program])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^SIGTERM ends it after \d+ ms and \d+ ms\n$/)
  expect(status).toBe(0)
  console.info(stdout.trim())
})

test('a second signal ends it at once', async () => {
  const child = spawn(process.execPath, [program, 'node', '--port', '0', '--host', '127.0.0.1'])
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const ended = new Promise((resolve) => child.once('close', (status, signal) => resolve(status ?? signal)))
  child.kill('SIGINT')
  child.kill('SIGTERM')
  expect([0, 'SIGTERM']).toContain(await ended)
})

test.runIf(existsSync('/dev/full'))('a node goes on when what it says can not be written', async () => {
  const full = openSync('/dev/full', 'w')
  const args = [program, 'node', '--port', '0', '--host', '127.0.0.1', '--stats', '0.05']
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] })
  let stderr = ''
  const numbers = new Promise<void>((resolve) => {
    child.stderr?.on('data', (text) => {
      stderr += text
      if (stderr.includes('0 contacts')) resolve()
    })
  })
  await numbers
  child.kill('SIGTERM')
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  expect(stderr).toMatch(/^stdout can't be written: .*ENOSPC/m)
  closeSync(full)
})

test('a signal ends it while it waits for a pipe that nobody opens', async () => {
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const child = spawn(process.execPath, [program, 'put', pipe, '--bootstrap', '127.0.0.1:1'])
  const ended = new Promise((resolve) => child.once('close', (status, signal) => resolve(status ?? signal)))
  await new Promise((resolve) => setTimeout(resolve, 500))
  child.kill('SIGTERM')
  expect(['SIGTERM', 143]).toContain(await ended)
})

test('a signal ends a node whose output nobody reads', async () => {
  const child = spawn(process.execPath, [program, 'node', '--port', '0', '--host', '127.0.0.1', '--json', '-q'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(child.stdout, 'readable')
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const [status, signal] = await ended
  expect([0, 'SIGTERM']).toContain(status ?? signal)
})

test('a folder is no input', async () => {
  const folderAsInput = openSync(folder, 'r')
  const child = spawn(process.execPath, [program, 'put', '-', '--bootstrap', '127.0.0.1:1'], {
    stdio: [folderAsInput, 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr?.on('data', (text) => {
    stderr += text
  })
  const [status] = await once(child, 'close')
  closeSync(folderAsInput)
  expect(stderr).toMatch(/stdin is a folder/)
  expect(status).toBe(2)
})

test('who reads no further is no error', async () => {
  const child = spawn(process.execPath, [program, '--help'])
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += text
  })
  await new Promise((resolve) => child.once('close', resolve))
  expect(stderr).toBe('')
})

test('its exit status is that of what it did', async () => {
  expect(await runProgram(program, ['--version'])).toMatchObject({ status: 0 })
  expect(await runProgram(program, ['get', 'x'])).toMatchObject({ status: 2, stdout: '' })
  const silent = ['get', 'ab'.repeat(32), '--bootstrap', '127.0.0.1:1', '--host', '127.0.0.1']
  expect(await runProgram(program, silent)).toMatchObject({ status: 4, stdout: '' })
})
