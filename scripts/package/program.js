// The program as a user runs it: two nodes, a put in a third process and a get in a fourth, SIGTERM, kill -9 and a
// restart on the same folder. Prints how long the ends took. The command that runs the program is given as arguments,
// `npx xorbit` by default.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

const [file, ...before] = process.argv.length > 2 ? process.argv.slice(2) : ['npx', 'xorbit']
const PATIENCE_MS = 20_000
const VALUE = 'a value that outlives its node'.repeat(100)

const folder = mkdtempSync(join(tmpdir(), 'xorbit-program-'))
const children = new Set()
process.on('exit', () => {
  for (const child of children) endGroup(child, 'SIGKILL')
})
try {
  await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function run() {
  const data = ['--data-folder', join(folder, 'data')]
  const first = await node(...data)
  const second = await node('--bootstrap', first.address)
  await second.until(/^joined, 1 contact$/m)
  const key = (await xorbit(['put', '--bootstrap', second.address], VALUE)).trim()
  assert.match(key, /^[0-9a-f]{64}$/)
  assert.equal(await xorbit(['get', key, '--bootstrap', first.address]), VALUE)

  const told = await first.until(/^id (\w+)/m)
  first.kill('SIGKILL')
  await first.ended
  const again = await node(...data)
  assert.deepEqual([...(await again.until(/^id (\w+)/m))], [...told], 'it has another id')
  // It has no bootstrap address: only its contacts can tell it of the other.
  await again.until(/^joined, 1 contact$/m)
  second.kill('SIGKILL')
  await second.ended
  assert.equal(await xorbit(['get', key, '--bootstrap', again.address]), VALUE)

  const third = await node('--bootstrap', again.address)
  await third.until(/^joined/m)
  const times = []
  for (const one of [again, third]) {
    const sentAt = performance.now()
    one.end()
    const status = await one.ended
    // npx dies of the signal itself. What was printed closes when the program has ended, so it has not outlived npx.
    if (file !== 'npx') assert.equal(status, 0)
    times.push(performance.now() - sentAt)
  }
  for (const ms of times) assert.ok(ms < 1000, `SIGTERM took ${ms} ms`)
  console.log(`SIGTERM ends it after ${times.map((ms) => `${ms.toFixed(0)} ms`).join(' and ')}`)
}

async function node(...args) {
  const child = start(['node', '--port', '0', '--host', '127.0.0.1', ...args])
  const [, address] = await child.until(/^listening at (\S+)$/m)
  return { ...child, address }
}

async function xorbit(args, input = '') {
  const child = start([...args, '--host', '127.0.0.1'], input)
  const status = await child.ended
  assert.equal(status, 0, `${args[0]} ended with ${status}: ${child.printed()}`)
  return child.stdout()
}

function start(args, input) {
  // A group of its own: npx starts a shell, which starts the program.
  const child = spawn(file, [...before, ...args], { stdio: 'pipe', detached: true })
  children.add(child)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  child.stdin.end(input)
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => {
      children.delete(child)
      resolve(status ?? signal)
    })
  })
  const printed = () => `${stdout}\n${stderr}`
  return {
    ended,
    stdout: () => stdout,
    printed,
    kill: (signal) => endGroup(child, signal),
    // The one process that a user knows: npx alone, where it is npx.
    end: () => child.kill('SIGTERM'),
    async until(pattern) {
      for (const endsAt = performance.now() + PATIENCE_MS; performance.now() < endsAt; ) {
        const found = printed().match(pattern)
        if (found) return found
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      return assert.fail(`${pattern} was not printed:\n${printed()}`)
    },
  }
}

function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It is gone already.
  }
}
