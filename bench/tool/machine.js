// @ts-check
// What the figures were measured on, and of which code.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** @import { Suite } from './suites.js' */
/** @typedef {{ cpu: string, cores: number, memoryGiB: number, platform: string, node: string }} Machine */
/** @typedef {{ package: string, commit: string | undefined, digest: string }} Code */

const SHARED = /^(?:simulation|population|statistics|lower-bounds)\.js$/

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** @returns {Machine} */
export function thisMachine() {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  }
}

/** @returns {Code} */
export function thisCode() {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return { package: version, commit: commit(), digest: digestOf(join(ROOT, 'dist')) }
}

/** The commit that is checked out, with a mark where files differ from it; undefined outside of a repository. */
function commit() {
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const hash = git('rev-parse', '--short=12', 'HEAD')
    return git('status', '--porcelain', '--untracked-files=no') === '' ? hash : `${hash} with changes`
  } catch {
    return undefined
  }
}

/**
 * What is run of a folder: of maps and declarations nothing depends.
 * @param {string} folder
 */
function digestOf(folder) {
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  return digestOfFiles(files.filter((each) => each.endsWith('.js')).map((file) => join(folder, file)))
}

/**
 * What measures: the file of a bench, the folder of its name beside the suites, and what all of them share.
 * @param {Suite} suite
 */
export function digestOfBench({ name, file }) {
  const shared = readdirSync(join(ROOT, 'bench')).filter((each) => SHARED.test(each))
  const own = filesIn(join(file, '..', '..', name))
  return digestOfFiles([file, ...own, ...shared.map((each) => join(ROOT, 'bench', each))])
}

/**
 * Those of installed packages left out: the lock file, which is in it, decides them.
 * @param {string} folder - which need not exist
 * @returns {string[]}
 */
function filesIn(folder) {
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesIn(path)
    return entry.isFile() ? [path] : []
  })
}

/** @param {readonly string[]} files */
function digestOfFiles(files) {
  const digest = createHash('sha256')
  for (const file of [...files].sort()) digest.update(readFileSync(file)).update('|')
  return digest.digest('hex').slice(0, 16)
}
