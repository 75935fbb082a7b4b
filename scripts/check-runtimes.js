// @ts-check
// Checks the packed package on every runtime that it is for: packed, installed into an empty folder once, and run there with
// Node 20, 22, 24 and the newest, with Bun and with Deno. Needs a built dist/, and the npm registry for the runtimes that are
// not running: `node scripts/check-runtimes.js [name]` takes those alone whose name begins so. Prints a line for each check;
// the exit status is 1 when one failed.
import { join } from 'node:path'
import process from 'node:process'
import { Checks } from './packed/checks.js'
import { RUNTIMES } from './packed/runtimes.js'
import { command, User } from './packed/user.js'

const EXAMPLES = ['messages', 'custom-record']
const PROGRAM = join('node_modules', 'xorbit', 'dist', 'cli', 'main.js')

const wanted = process.argv[2] ?? ''
const chosen = RUNTIMES.filter((runtime) => runtime.wanted.toLowerCase().startsWith(wanted.toLowerCase()))
if (chosen.length === 0) throw new Error(`no runtime is called ${wanted}`)

const checks = new Checks()
const user = new User()
/** What the first runtime made of the simulation: every other one must make the same of it. */
let reference = ''
try {
  const isInstalled = await checks.check('npm install of the packed package', install)
  if (isInstalled) {
    const runtimes = await findRuntimes()
    for (const runtime of runtimes) await checkWithoutLevel(runtime)
    const hasLevel = await checks.check('npm install of memory-level beside it', () => user.installLevel())
    for (const runtime of hasLevel ? runtimes : []) await checkLevel(runtime)
  }
} finally {
  user.remove()
}
process.exitCode = checks.exitCode

function install() {
  const { files } = user.pack()
  user.install()
  user.addPrograms()
  return `${files} files`
}

async function findRuntimes() {
  /** @type {import('./packed/runtimes.js').Runtime[]} */
  const runtimes = []
  for (const { wanted: title, find } of chosen) {
    await checks.check(title, () => {
      const runtime = find()
      runtimes.push(runtime)
      return runtime.name
    })
  }
  return runtimes
}

/** @param {import('./packed/runtimes.js').Runtime} runtime */
async function checkWithoutLevel(runtime) {
  const { name } = runtime
  await checks.check(`${name}: every entry can be imported and required`, () => run(runtime, 'entries.js'))
  await checks.check(`${name}: three nodes on loopback UDP`, () => run(runtime, 'loopback.js'))
  const { leastArgs } = runtime
  if (leastArgs !== undefined) {
    await checks.check(`${name}: the same with no more than ${leastArgs.join(' ')}`, () =>
      run({ ...runtime, args: leastArgs }, 'loopback.js'),
    )
  }
  await checks.check(`${name}: the promises of a transport, by UDP`, () => run(runtime, 'udp.js'))
  await checks.check(`${name}: a simulated network, and the platform's clock, random numbers and signatures`, () =>
    compareSimulation(run(runtime, 'portable.js')),
  )
  for (const example of EXAMPLES) {
    await checks.check(`${name}: examples/${example}.js`, () => {
      run(runtime, join('node_modules', 'xorbit', 'examples', `${example}.js`))
    })
  }
  await checks.check(`${name}: the program: node, put, get, SIGTERM, kill -9 and restart`, () => {
    const { file, args } = runtime
    return command(process.execPath, ['program.js', file, ...args, PROGRAM], user.folder).trim()
  })
}

/** @param {import('./packed/runtimes.js').Runtime} runtime */
async function checkLevel(runtime) {
  await checks.check(`${runtime.name}: the promises of a record store, on a database`, () => run(runtime, 'level.js'))
}

/** @param {string} printed */
function compareSimulation(printed) {
  const { simulation, elapsedMs } = JSON.parse(printed)
  const simulated = JSON.stringify(simulation)
  reference ||= simulated
  if (simulated !== reference) throw new Error(`the simulation gave ${simulated}, elsewhere ${reference}`)
  return `digest ${simulation.digest.slice(0, 16)}, ${elapsedMs} ms in real time`
}

/**
 * @param {import('./packed/runtimes.js').Runtime} runtime
 * @param {string} program
 */
function run({ file, args }, program) {
  const startedMs = performance.now()
  const printed = command(file, [...args, program], user.folder).trim()
  return printed || `${Math.round(performance.now() - startedMs)} ms`
}
