// @ts-check
// What the package costs its user: how long a cold import takes, and how many bytes its install has. Needs a built dist/; takes
// the number of processes of each kind as an argument. Prints every figure. The exit status is 1 when the install is too large, or
// when an import takes ten times what it should: how fast this machine is at the moment is no fault of the package.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { Checks } from './packed/checks.js'
import { User } from './packed/user.js'

const IMPORT_MS_WANTED = 40
const IMPORT_MS_MAX = 10 * IMPORT_MS_WANTED
const INSTALL_BYTES_MAX = 4_500_000
const ROUNDS = 15
/** An import of somebody else's, which is as slow as the machine is: how many times as long ours takes hardly depends on that. */
const YARDSTICK = "import('debug')"

/** What each process does first, and tells the time of. */
const PROGRAMS = {
  nothing: '0',
  "import('xorbit')": "import('xorbit')",
  "import('xorbit/udp')": "import('xorbit/udp')",
  'import of both': "import('xorbit').then(() => import('xorbit/udp'))",
  "import('xorbit/testing')": "import('xorbit/testing')",
  "require('xorbit')": "require('xorbit')",
  [YARDSTICK]: YARDSTICK,
}

const rounds = Number(process.argv[2] ?? ROUNDS)
const checks = new Checks()
const user = new User()
try {
  if (await checks.check('npm pack', pack)) {
    await checks.check(`an install has less than ${megabytes(INSTALL_BYTES_MAX)}`, install)
    await checks.check(`a cold import, wanted below ${IMPORT_MS_WANTED} ms`, importCold)
  }
} finally {
  user.remove()
}
process.exitCode = checks.exitCode

function pack() {
  const { files, bytes, unpackedBytes } = user.pack()
  return `${files} files, ${megabytes(bytes)} packed, ${megabytes(unpackedBytes)} unpacked`
}

function install() {
  user.install()
  const packages = packagesIn(join(user.folder, 'node_modules'))
  const total = packages.reduce((bytes, one) => bytes + one.bytes, 0)
  const figures = packages.sort((a, b) => b.bytes - a.bytes).map(({ name, bytes }) => `${name} ${megabytes(bytes)}`)
  const text = `${megabytes(total)} in ${packages.length} packages: ${figures.join(', ')}`
  if (total >= INSTALL_BYTES_MAX) throw new Error(text)
  return text
}

/**
 * @param {string} folder
 * @returns {{ name: string, bytes: number }[]}
 */
function packagesIn(folder, scope = '') {
  return readdirSync(folder).flatMap((name) => {
    if (name.startsWith('.')) return []
    if (name.startsWith('@')) return packagesIn(join(folder, name), `${name}/`)
    return [{ name: scope + name, bytes: bytesIn(join(folder, name)) }]
  })
}

/** @param {string} folder */
function bytesIn(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(folder, name)))
  return files.reduce((bytes, file) => bytes + (file.isFile() ? file.size : 0), 0)
}

/** The kinds take turns, so that whatever else the machine does slows all of them alike. */
function importCold() {
  /** @type {Map<string, { importMs: number, processMs: number }[]>} */
  const samples = new Map(Object.keys(PROGRAMS).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, program] of Object.entries(PROGRAMS)) samples.get(name)?.push(timeProcess(program))
  }
  const figures = [...samples].map(([name, all]) => ({
    name,
    importMs: median(all.map(({ importMs }) => importMs)),
    processMs: median(all.map(({ processMs }) => processMs)),
  }))
  const yardstickMs = figures.find(({ name }) => name === YARDSTICK)?.importMs ?? Number.NaN
  const lines = figures.map(({ name, importMs, processMs }) => {
    const isMissed = importMs >= IMPORT_MS_WANTED && name === "import('xorbit')"
    const ratio = (importMs / yardstickMs).toFixed(2)
    const took = `${name} ${importMs.toFixed(1)} ms, ${ratio} times ${YARDSTICK}, the whole process ${processMs.toFixed(1)} ms`
    return isMissed ? `${took}: more than is wanted` : took
  })
  const report = [`medians of ${rounds} processes each`, ...lines].join('\n        ')
  if (figures.some(({ importMs }) => !(importMs < IMPORT_MS_MAX))) throw new Error(report)
  return report
}

/** @param {string} program */
function timeProcess(program) {
  const timed = `const from = performance.now(); Promise.resolve(${program}).then(() => console.log(performance.now() - from))`
  const startedMs = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', timed], { cwd: user.folder, encoding: 'utf8' })
  const processMs = performance.now() - startedMs
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
  return { importMs: Number(stdout), processMs }
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(2)} MB`
}
