// @ts-check
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export const NODES_MIN = 3
export const NODES_MAX = 1000
const NODES_DEFAULT = 50

const DEFAULT_FILE = new URL('../../README.md', import.meta.url)

export const USAGE = `usage: node file-demo.js [FILE] [--nodes N] [--kill N] [--json]
       npm run demo -- [FILE] ...      the same in a clone, which it builds before

  FILE        what to store (default: the README)
  --nodes N   how many nodes the network has, ${NODES_MIN} to ${NODES_MAX} (default: ${NODES_DEFAULT})
  --kill N    how many of them die, 1 to N - 1 (default: a third)
  --json      print one JSON object, and nothing while it works
  --help      print this

exit status: 0 when every byte came back, 1 when not, 2 for wrong arguments, 130 when interrupted
`

/**
 * @param {string[]} argv
 * @returns {{ path: string, nodes: number, kill: number, json: boolean, help: boolean } | { problem: string }}
 */
export function parseArguments(argv) {
  let parsed
  try {
    parsed = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        nodes: { type: 'string' },
        kill: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
  const { values, positionals } = parsed
  const { json = false, help = false } = values
  const nodes = readNumber(values.nodes ?? String(NODES_DEFAULT), NODES_MIN, NODES_MAX)
  if (nodes === undefined) {
    return { problem: `--nodes must be a number from ${NODES_MIN} to ${NODES_MAX}, not '${values.nodes}'` }
  }
  const kill = readNumber(values.kill ?? String(Math.floor(nodes / 3)), 1, nodes - 1)
  if (kill === undefined) return { problem: `--kill must be a number from 1 to ${nodes - 1}, not '${values.kill}'` }
  if (positionals.length > 1) return { problem: `one FILE at a time, not ${positionals.length}` }
  return { path: positionals[0] ?? fileURLToPath(DEFAULT_FILE), nodes, kill, json, help }
}

/**
 * @param {string} text
 * @param {number} min
 * @param {number} max
 */
function readNumber(text, min, max) {
  const number = Number(text)
  return /^\d+$/.test(text) && number >= min && number <= max ? number : undefined
}
