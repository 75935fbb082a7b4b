// Builds dist/: our sources by tsc, and k-bucket, which no browser bundler takes as it is, by one esbuild call.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const vendor = join(root, 'dist', 'vendor')
const { resolve } = createRequire(import.meta.url)

const startedAt = Date.now()
rmSync(join(root, 'dist'), { recursive: true, force: true })
compile()
await bundleKBucket()
// Not to standard output: what runs after a build may print figures for a program there.
console.error(`built dist in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)

function compile() {
  const tsc = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

async function bundleKBucket() {
  const bundled = ['k-bucket', 'events'].map(describePackage)
  mkdirSync(vendor, { recursive: true })
  await build({
    stdin: { contents: `export { default } from 'k-bucket'`, resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'inline',
    banner: { js: `/*! ${bundled.map(({ title }) => title).join(', ')}; see LICENSES.txt */` },
    plugins: [{ name: 'no-randombytes', setup: stubRandombytes }],
    outfile: join(vendor, 'k-bucket.js'),
    logLevel: 'warning',
  })
  writeFileSync(
    join(vendor, 'LICENSES.txt'),
    bundled.map(({ title, licence }) => `${title}\n\n${licence}`).join('\n\n'),
  )
}

// k-bucket asks for random bytes only where it gets no localNodeId, and the routing table always gives one;
// the real package reads `global` and so fails in a browser.
function stubRandombytes({ onResolve, onLoad }) {
  onResolve({ filter: /^randombytes$/ }, ({ path }) => ({ path, namespace: 'stub' }))
  onLoad({ filter: /.*/, namespace: 'stub' }, () => ({
    contents: `module.exports = () => { throw new Error('this build of k-bucket needs a localNodeId') }`,
  }))
}

function describePackage(name) {
  const manifestPath = resolve(`${name}/package.json`)
  const { version, license } = JSON.parse(readFileSync(manifestPath, 'utf8'))
  const licence = readFileSync(join(dirname(manifestPath), 'LICENSE'), 'utf8').trim()
  return { title: `${name} ${version} (${license})`, licence: `${licence}\n` }
}
