// @ts-check
// The package as a user gets it: packed, and installed into an empty folder. Needs a built dist/.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Programs that use the package by its name. */
const programs = fileURLToPath(new URL('../package', import.meta.url))

const COMMAND_MS_MAX = 120_000

/** An empty folder of a user who wants the package, and the tarball that he gets. */
export class User {
  #temporary = mkdtempSync(join(tmpdir(), 'xorbit-package-'))
  folder = join(this.#temporary, 'user')
  tarball = ''

  constructor() {
    mkdirSync(this.folder)
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  }

  /** @returns how many files there are and how many bytes they take, packed and unpacked */
  pack() {
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', this.#temporary]
    const [{ filename, size, unpackedSize, entryCount }] = JSON.parse(command('npm', args, root))
    this.tarball = join(this.#temporary, filename)
    return { bytes: size, unpackedBytes: unpackedSize, files: entryCount }
  }

  install() {
    command('npm', ['install', '--no-audit', '--no-fund', this.tarball], this.folder)
  }

  /** Puts the programs beside it. */
  addPrograms() {
    cpSync(programs, this.folder, { recursive: true })
  }

  /** Installs a database for the store on a disk beside it, in the version that the tests use. */
  installLevel() {
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const names = ['memory-level', 'abstract-level'].map((name) => `${name}@${devDependencies[name]}`)
    command('npm', ['install', '--no-audit', '--no-fund', ...names], this.folder)
  }

  remove() {
    rmSync(this.#temporary, { recursive: true, force: true })
  }
}

/**
 * Runs a command to its end; where it fails, what it printed is the error.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {import('node:child_process').SpawnSyncOptions} [changes]
 * @returns what it printed
 */
export function command(file, args, cwd, changes = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: COMMAND_MS_MAX,
    ...changes,
    encoding: 'utf8',
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${stdout}${stderr}`.trim() || `ended with ${signal ?? status}`)
  return stdout
}
