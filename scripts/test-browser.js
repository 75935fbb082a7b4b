// @ts-check
// Runs the packed package in a page of a real browser, Chromium without a window: bundled by esbuild, a simulated network whose
// digest must be the one that Node has, and nodes in real time on the browser's own clock, random numbers and signatures.
// Needs a built dist/ and Chromium. Prints a line for each check; the exit status is 1 when one failed.
import process from 'node:process'
import { runInPage, whyNoBrowser } from './packed/browser.js'
import { bundleForBrowser } from './packed/bundle.js'
import { Checks } from './packed/checks.js'
import { command, User } from './packed/user.js'

const checks = new Checks()
const user = new User()
try {
  if (await checks.check('Chromium is here', findBrowser)) {
    await checks.check('npm install of the packed package', install)
    await checks.check('a simulated network and nodes in real time, in a page', compareWithNode)
    await checks.check('what fails in a page is noticed', noticesFaults)
  }
} finally {
  user.remove()
}
process.exitCode = checks.exitCode

function findBrowser() {
  const reason = whyNoBrowser()
  if (reason !== undefined) throw new Error(reason)
}

function install() {
  user.pack()
  user.install()
  user.addPrograms()
}

async function compareWithNode() {
  const script = await bundleForBrowser(user.folder, `import './page.js'`)
  const { browser, outcome } = await runInPage(script)
  const expected = JSON.parse(command(process.execPath, ['portable.js'], user.folder))
  const [inPage, inNode] = [outcome, expected].map(({ simulation }) => JSON.stringify(simulation))
  if (inPage !== inNode) throw new Error(`${browser} gave ${inPage}, Node ${inNode}`)
  const { sent, delivered, digest } = outcome.simulation
  return [
    `${browser}, a script of ${Math.ceil(script.length / 1024)} KiB`,
    `30 nodes, ${sent} datagrams sent, ${delivered} delivered, digest ${digest}, as in Node ${process.versions.node}`,
    `${outcome.channelRules} promises of a transport over MessageChannel`,
    `three nodes in real time: ${outcome.elapsedMs} ms, of which a time-out took ${outcome.timeoutMs} ms`,
  ].join('\n        ')
}

/** A test that can't fail would say nothing. */
async function noticesFaults() {
  const faults = {
    'console: said': `console.error('said'); globalThis.outcome = 1`,
    'uncaught: Error: thrown': `globalThis.outcome = new Promise((resolve) => setTimeout(resolve, 200, 1)); throw new Error('thrown')`,
    'no transport': `import { createDht } from 'xorbit'; globalThis.outcome = (async () => createDht({}))().catch(() => Promise.reject(new Error('no transport')))`,
    'no outcome': '',
  }
  for (const [expected, program] of Object.entries(faults)) {
    const script = program.startsWith('import') ? await bundleForBrowser(user.folder, program) : program
    const found = await runInPage(script).then(
      () => 'nothing',
      (error) => error.message,
    )
    if (!found.includes(expected)) throw new Error(`${found}, where it should be ${expected}`)
  }
}
