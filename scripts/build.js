// Builds dist/: our sources by tsc, one file each, with their types; k-bucket, which no browser bundler takes as it is, by one
// esbuild call; and by another one the entries, each put together with all that it needs of ours, which load in a third of the time.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve as resolvePath, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const vendor = join(root, 'dist', 'vendor')
const { resolve } = createRequire(import.meta.url)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What goes into the bundles and so is no dependency of whoever installs the package, who gets its licence from us. */
const BUNDLED = ['k-bucket', 'events', 'msgpackr', '@noble/ed25519', '@noble/hashes']

const startedAt = Date.now()
rmSync(join(root, 'dist'), { recursive: true, force: true })
compile()
const bundles = [await bundleKBucket(), await bundleEntries()]
checkBundled(bundles)
writeLicences()
// Not to standard output: what runs after a build may print figures for a program there.
console.error(`built dist in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)

function compile() {
  const tsc = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** @returns esbuild's account of what went into it */
async function bundleKBucket() {
  mkdirSync(vendor, { recursive: true })
  const { metafile } = await build({
    absWorkingDir: root,
    metafile: true,
    stdin: { contents: `export { default } from 'k-bucket'`, resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    // Paths are written into the bundles: they are to be the same wherever node_modules is.
    preserveSymlinks: true,
    legalComments: 'inline',
    banner: { js: `/*! ${titlesOf(['k-bucket', 'events'])}; see LICENSES.txt */` },
    plugins: [{ name: 'no-randombytes', setup: stubRandombytes }],
    outfile: join(vendor, 'k-bucket.js'),
    logLevel: 'warning',
  })
  return metafile
}

// k-bucket asks for random bytes only where it gets no localNodeId, and the routing table always gives one;
// the real package reads `global` and so fails in a browser.
function stubRandombytes({ onResolve, onLoad }) {
  onResolve({ filter: /^randombytes$/ }, ({ path }) => ({ path, namespace: 'stub' }))
  onLoad({ filter: /.*/, namespace: 'stub' }, () => ({
    contents: `module.exports = () => { throw new Error('this build of k-bucket needs a localNodeId') }`,
  }))
}

/**
 * In the place of the entries that tsc wrote. What several of them share goes into chunks, so that there is one of everything.
 *
 * @returns esbuild's account of what went into them
 */
async function bundleEntries() {
  const sources = entryFiles().map((file) => file.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts'))
  const { metafile } = await build({
    metafile: true,
    entryPoints: sources,
    absWorkingDir: root,
    outbase: 'src',
    outdir: 'dist',
    chunkNames: 'chunks/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    mainFields: ['module', 'main'],
    external: ['node:*', ...Object.keys(manifest.dependencies)],
    legalComments: 'inline',
    banner: { js: `/*! The package contains ${titlesOf(BUNDLED)}; see dist/vendor/LICENSES.txt */` },
    sourcemap: true,
    preserveSymlinks: true,
    define: { XORBIT_VERSION: JSON.stringify(manifest.version) },
    logLevel: 'warning',
  })
  const maps = Object.keys(metafile.outputs).filter((path) => path.endsWith('.map'))
  for (const path of maps) dropPackedSources(join(root, path))
  return metafile
}

/** Our own sources are in the package, so a source map need not repeat them; what others wrote is nowhere else. */
function dropPackedSources(path) {
  const { sourcesContent, ...map } = JSON.parse(readFileSync(path, 'utf8'))
  const isPacked = (source) => resolvePath(dirname(path), source).startsWith(join(root, 'src', sep))
  const contents = map.sources.map((source, i) => (isPacked(source) ? null : sourcesContent[i]))
  const isNeeded = contents.some((content) => content !== null)
  writeFileSync(path, JSON.stringify(isNeeded ? { ...map, sourcesContent: contents } : map))
}

/** Nobody's code goes into the bundles without its licence, and no licence without its code. */
function checkBundled(metafiles) {
  const found = new Set(metafiles.flatMap(({ inputs }) => Object.keys(inputs).flatMap(packagesOf)))
  const unnamed = [...found].filter((name) => !BUNDLED.includes(name))
  const missing = BUNDLED.filter((name) => !found.has(name))
  if (unnamed.length === 0 && missing.length === 0) return
  if (unnamed.length > 0) console.error(`in the bundles, but not in BUNDLED of scripts/build.js: ${unnamed.join(', ')}`)
  if (missing.length > 0) console.error(`in BUNDLED of scripts/build.js, but not in the bundles: ${missing.join(', ')}`)
  process.exit(1)
}

/** The package that a file is of. One inside of another package's folder, which may be another version, is told by both. */
function packagesOf(path) {
  const match = /(?:^|\/)node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(path)
  return match === null ? [] : [match[1]]
}

/** What the package's exports and its program name. */
function entryFiles() {
  const exported = Object.values(manifest.exports).map((target) => target.default)
  const programs = Object.values(manifest.bin ?? {}).map((file) => file.replace(/^(?:\.\/)?/, './'))
  return [...exported, ...programs].filter((file) => file !== undefined)
}

function writeLicences() {
  const texts = BUNDLED.map((name) => `${titleOf(name)}\n\n${licenceOf(name)}`)
  writeFileSync(join(vendor, 'LICENSES.txt'), texts.join('\n\n'))
}

function titlesOf(names) {
  return names.map(titleOf).join(', ')
}

function titleOf(name) {
  const { version, license } = JSON.parse(readFileSync(join(folderOf(name), 'package.json'), 'utf8'))
  return `${name} ${version} (${license})`
}

function licenceOf(name) {
  return `${readFileSync(join(folderOf(name), 'LICENSE'), 'utf8').trim()}\n`
}

function folderOf(name) {
  return join(root, 'node_modules', name)
}
