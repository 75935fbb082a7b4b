// @ts-check
// A real browser, without a window, on a page that this process serves on loopback.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import puppeteer from 'puppeteer-core'

/** Where Debian's package puts it; elsewhere the variable CHROMIUM says it. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'

const START_MS_MAX = 60_000
const OUTCOME_MS_MAX = 120_000

/** Nothing of the browser's own goes to a network. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
  ...['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

/** @returns why there can be no browser, `undefined` when there can */
export function whyNoBrowser() {
  if (existsSync(EXECUTABLE)) return undefined
  return `there is no ${EXECUTABLE}: install Chromium (Debian: apt-get install chromium), or say where it is with CHROMIUM=`
}

/**
 * Runs a script in a page and waits for `globalThis.outcome`, a promise. Whatever goes wrong in the page meanwhile, an error that
 * nobody caught, one on the console, a request that fails, makes it reject.
 *
 * @param {string} script
 * @returns {Promise<{ browser: string, outcome: any }>}
 */
export async function runInPage(script) {
  const profile = mkdtempSync(join(tmpdir(), 'xorbit-chromium-'))
  const server = await serve(script)
  /** @type {import('puppeteer-core').Browser | undefined} */
  let browser
  try {
    browser = await puppeteer.launch({
      executablePath: EXECUTABLE,
      headless: true,
      userDataDir: profile,
      args: FLAGS,
      timeout: START_MS_MAX,
      protocolTimeout: OUTCOME_MS_MAX,
    })
    const page = await browser.newPage()
    /** @type {string[]} */
    const faults = []
    page.on('pageerror', (error) => faults.push(`uncaught: ${error instanceof Error ? error.stack : String(error)}`))
    page.on('requestfailed', (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`))
    page.on('console', (message) => {
      if (['error', 'warn', 'assert'].includes(message.type())) faults.push(`console: ${message.text()}`)
    })
    await page.goto(`${server.origin}/`, { waitUntil: 'load' })
    const outcome = await page
      .evaluate(() => Reflect.get(globalThis, 'outcome'))
      .catch((error) => {
        faults.push(error.message)
      })
    if (outcome === undefined) faults.push('the page has no outcome')
    if (faults.length > 0) throw new Error(faults.join('\n'))
    return { browser: await browser.version(), outcome }
  } finally {
    await browser?.close()
    await server.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @param {string} script */
async function serve(script) {
  const page = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="/script.js"></script>'
  const server = createServer(({ url }, response) => {
    const [type, body] =
      url === '/' ? ['text/html', page] : ['text/javascript', url === '/script.js' ? script : undefined]
    if (body === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(body)
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(undefined))
  })
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  return { origin: `http://127.0.0.1:${port}`, close }
}
