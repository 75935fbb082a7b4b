// Checks the package as a user gets it: packed, installed into an empty folder, imported, compiled, run and bundled.
// Needs a built dist/. Prints a line for each check; the exit status is 1 when one failed.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
import { bundleForBrowser } from './packed/bundle.js'
import { Checks } from './packed/checks.js'
import { command, root, User } from './packed/user.js'

const SCENARIOS_MS_MAX = 400_000

const { resolve } = createRequire(import.meta.url)

const checks = new Checks()
const check = checks.check.bind(checks)
const user = new User()
try {
  await check('npm pack', pack)
  await check('publint, strict', lintPackage)
  await check('attw, esm-only', attw)
  await check('npm install of the tarball', install)
  await check('every source of every source map is in the package or in the map', checkSourceMaps)
  await check('every entry can be imported and required, without the optional abstract-level', () =>
    runProgram('entries.js'),
  )
  for (const resolution of ['NodeNext', 'Bundler']) {
    await check(`types under moduleResolution ${resolution}`, () => compile('consumer.ts', resolution, true))
    await check(`types under moduleResolution ${resolution}, libraries checked`, () =>
      compile('consumer.ts', resolution, false),
    )
  }
  await check('three nodes on loopback UDP', () => runProgram('loopback.js'))
  await check('npx xorbit: node, put, get, SIGTERM, kill -9 and restart', () => runProgram('program.js'))
  await check('the program without npx, which has a status of its own', () =>
    runProgram('program.js', join('node_modules', '.bin', 'xorbit')),
  )
  for (const example of ['messages', 'custom-record']) {
    await check(`examples/${example}.js of the package`, () => runExample(example))
  }
  await check('the other examples of the package, each as several processes', runScenarios)
  await check('the main entry bundles for browsers', () => bundle(`export * from 'xorbit'`, 'main.js'))
  await check('the store on a disk bundles for browsers', () =>
    bundle(`export * from 'xorbit/level'`, 'level-bundle.js'),
  )
  await check('two nodes in the simulator, bundled for browsers, with web globals alone', runBundle)
  await check('npm install of memory-level beside it', () => user.installLevel())
  await check('the store on a disk over memory-level', () => runProgram('level.js'))
  for (const resolution of ['NodeNext', 'Bundler']) {
    await check(`types of the store on a disk under moduleResolution ${resolution}`, () =>
      compile('level-consumer.ts', resolution, true),
    )
  }
} finally {
  user.remove()
}
process.exitCode = checks.exitCode

function pack() {
  const { files, bytes } = user.pack()
  return `${files} files, ${Math.ceil(bytes / 1024)} KiB`
}

async function lintPackage() {
  const bytes = readFileSync(user.tarball)
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true })
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'))
}

function attw() {
  const bin = join(dirname(resolve('@arethetypeswrong/cli/package.json')), 'dist', 'index.js')
  command(
    process.execPath,
    [bin, user.tarball, '--profile', 'esm-only', '--no-color', '--no-emoji', '--format', 'ascii'],
    root,
  )
}

function install() {
  user.install()
  user.addPrograms()
}

/** Whoever reads source maps, as bundlers do, warns of each source that he does not find. */
function checkSourceMaps() {
  const folder = join(user.folder, 'node_modules', 'xorbit')
  const maps = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.map'))
  let count = 0
  const missing = []
  for (const name of maps) {
    const { sources, sourcesContent = [], sourceRoot = '' } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    count += sources.length
    for (const [i, source] of sources.entries()) {
      const path = join(folder, dirname(name), sourceRoot, source)
      const isThere = path.startsWith(join(folder, sep)) && existsSync(path)
      if (typeof sourcesContent[i] !== 'string' && !isThere) missing.push(`${name}: ${source}`)
    }
  }
  if (missing.length > 0) throw new Error(missing.join('\n'))
  if (count === 0) throw new Error(`no source in ${maps.length} maps`)
  return `${count} sources in ${maps.length} maps`
}

/** Compiles the consumer as a program for browsers and as one for Node, whose types are told apart: each must suffice. */
function compile(consumer, resolution, skipLibCheck) {
  const lib = ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts']
  const surroundings = [
    { with: 'lib DOM', lib: [...lib, 'lib.dom.d.ts'], types: [] },
    { with: '@types/node', lib, types: ['node'] },
  ]
  const problems = []
  for (const { with: extra, lib, types } of surroundings) {
    const program = ts.createProgram([join(user.folder, consumer)], {
      target: ts.ScriptTarget.ES2022,
      module: resolution === 'NodeNext' ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind[resolution],
      lib,
      types,
      typeRoots: [join(root, 'node_modules', '@types')],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck,
      noEmit: true,
    })
    const found = ts.getPreEmitDiagnostics(program)
    if (found.length > 0) problems.push(`with ${extra}:`, ...found.slice(0, 5).map(describeDiagnostic))
  }
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return 'with lib DOM, and with @types/node instead'
}

function describeDiagnostic({ file, start, messageText }) {
  const text = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined || start === undefined) return text
  return `${file.fileName.replace(`${user.folder}/`, '')}:${file.getLineAndCharacterOfPosition(start).line + 1} ${text}`
}

async function bundle(contents, filename) {
  const script = await bundleForBrowser(user.folder, contents)
  writeFileSync(join(user.folder, filename), script)
  const bytes = Buffer.from(script)
  return `${Math.ceil(bytes.length / 1024)} KiB minified, ${Math.ceil(gzipSync(bytes).length / 1024)} KiB with gzip`
}

async function runBundle() {
  const size = await bundle(readFileSync(join(user.folder, 'browser-program.js'), 'utf8'), 'bundle.js')
  runProgram('browser-host.js')
  return size
}

function runProgram(filename, ...args) {
  return command(process.execPath, [filename, ...args], user.folder).trim()
}

/** As the package has it, which imports itself by its name. */
function runExample(name) {
  runProgram(join('node_modules', 'xorbit', 'examples', `${name}.js`))
}

/** The tests of the examples, with the files of the package in the place of our own. */
function runScenarios() {
  const vitest = join(dirname(resolve('vitest/package.json')), 'vitest.mjs')
  const examples = join(user.folder, 'node_modules', 'xorbit', 'examples')
  const env = { ...process.env, XORBIT_EXAMPLES: examples, NO_COLOR: '1' }
  const report = command(process.execPath, [vitest, 'run', 'test/examples'], root, { env, timeout: SCENARIOS_MS_MAX })
  return `${/Tests +(\d+) passed/.exec(report)?.[1]} tests`
}
