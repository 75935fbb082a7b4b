// @ts-check
import process from 'node:process'
import { command } from './user.js'

/**
 * A JavaScript runtime: its name with the version, and the command that runs a program. Of one that asks for permissions also the
 * arguments that allow no more than what nodes over UDP need.
 *
 * @typedef {{ name: string, file: string, args: readonly string[], leastArgs?: readonly string[] }} Runtime
 */

const NODE_MAJORS = [20, 22, 24, 26]
const NODE_PACKAGE = `node-${process.platform}-${process.arch}`

/** Names that say what is wanted, and how each is had. Those that are not running come as packages of the npm registry. */
export const RUNTIMES = [...NODE_MAJORS.map((major) => ({ wanted: `Node ${major}`, find: () => findNode(major) }))]
RUNTIMES.push({ wanted: 'Bun', find: () => find('Bun', 'bun@1', 'bun', [], 'process.execPath', 'Bun.version') })
RUNTIMES.push({ wanted: 'Deno', find: findDeno })

/**
 * @param {number} major
 * @returns {Runtime}
 */
function findNode(major) {
  if (Number.parseInt(process.versions.node, 10) === major) {
    return { name: `Node ${process.versions.node}`, file: process.execPath, args: [] }
  }
  return find('Node', `${NODE_PACKAGE}@${major}`, 'node', [], 'process.execPath', 'process.versions.node')
}

/** @returns {Runtime} */
function findDeno() {
  const found = find('Deno', 'deno@2', 'deno', ['run', '-A'], 'Deno.execPath()', 'Deno.version.deno')
  return { ...found, leastArgs: ['run', '--no-prompt', '--allow-net', '--allow-env'] }
}

/**
 * Asks the runtime itself where its binary is: that one gets the signals, not the package manager around it.
 *
 * @param {string} title
 * @param {string} name - of the package
 * @param {string} binary
 * @param {readonly string[]} args
 * @param {string} path - an expression
 * @param {string} version - an expression
 * @returns {Runtime}
 */
function find(title, name, binary, args, path, version) {
  const expression = `console.log(JSON.stringify([${path}, ${version}]))`
  const evaluate = binary === 'deno' ? ['eval', expression] : ['-e', expression]
  const printed = command('npm', ['exec', '--yes', `--package=${name}`, '--', binary, ...evaluate], process.cwd())
  const [file, number] = JSON.parse(printed)
  return { name: `${title} ${number}`, file, args }
}
