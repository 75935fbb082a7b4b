// @ts-check
// The program of the package as processes of one runtime: two nodes, a third process that puts, a fourth that gets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const LINE_MS_MAX = 20_000
const END_MS_MAX = 1_000

/**
 * The file behind the package's bin.
 *
 * @param {string} folder - where the package is installed
 * @returns `undefined` when the package has no program
 */
export function findProgram(folder) {
  const installed = join(folder, 'node_modules', 'xorbit')
  const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  const file = typeof bin === 'string' ? bin : bin?.xorbit
  return file && join(installed, file)
}

/**
 * @param {import('./runtimes.js').Runtime} runtime
 * @param {string} program
 * @param {string} cwd
 */
export async function checkCli({ file, args }, program, cwd) {
  /** @type {import('node:child_process').ChildProcessWithoutNullStreams[]} */
  const children = []
  /** @param {readonly string[]} own */
  const run = (own) => {
    const child = spawn(file, [...args, program, ...own], { cwd })
    children.push(child)
    return child
  }
  try {
    const local = ['node', '--host', '127.0.0.1', '--port', '0', '--stats', '0']
    const first = run(local)
    const address = await addressOf(first)
    const second = run([...local, '--bootstrap', address])
    await addressOf(second)

    const text = 'kept by two processes'
    const put = await end(run(['put', '--text', text, '--bootstrap', address, '--host', '127.0.0.1']))
    assert.match(put.stdout, /^[0-9a-f]{64}\n$/)
    const get = await end(run(['get', put.stdout.trim(), '--bootstrap', address, '--host', '127.0.0.1']))
    assert.equal(get.stdout, text)
    const nothing = run(['get', '0'.repeat(64), '--bootstrap', address, '--host', '127.0.0.1'])
    await end(nothing, 3)

    for (const [child, signal] of /** @type {const} */ ([
      [second, 'SIGINT'],
      [first, 'SIGTERM'],
    ])) {
      const askedMs = performance.now()
      child.kill(signal)
      await end(child)
      const tookMs = performance.now() - askedMs
      assert(tookMs < END_MS_MAX, `${signal} ended it after ${Math.round(tookMs)} ms`)
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

/**
 * Where a node listens, which its first line says.
 *
 * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
 * @returns {Promise<string>}
 */
function addressOf(child) {
  return new Promise((resolve, reject) => {
    let printed = ''
    const timer = setTimeout(() => reject(new Error(`no line within ${LINE_MS_MAX} ms: ${printed}`)), LINE_MS_MAX)
    const read = (/** @type {Buffer} */ bytes) => {
      printed += bytes
      const address = /listening at (\S+)/.exec(printed)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      resolve(address)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', reject)
    child.once('exit', (status) => reject(new Error(`ended with ${status}: ${printed}`)))
  })
}

/**
 * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
 * @param {number} expected - its exit status
 */
async function end(child, expected = 0) {
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes) => {
    stdout += bytes
  })
  child.stderr.on('data', (bytes) => {
    stderr += bytes
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), LINE_MS_MAX)
  const [status, signal] = await once(child, 'close')
  clearTimeout(timer)
  const command = child.spawnargs.slice(-6).join(' ')
  assert.equal(status, expected, `${command} ended with ${signal ?? status}: ${stdout}${stderr}`)
  return { stdout }
}
