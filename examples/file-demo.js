// @ts-check
// Stores a file in a network of real nodes, kills a third of them without a word, and fetches it all back.
//
//   node file-demo.js FILE --nodes 50      --help tells what it takes; in a clone `npm run demo -- FILE` builds first
import { basename } from 'node:path'
import process from 'node:process'
import { parseArguments, USAGE } from './demo/arguments.js'
import { readInput, runDemo } from './demo/demo.js'
import { createProgress, isColourful } from './demo/progress.js'
import { formatReport } from './demo/report.js'

process.exitCode = await main(process.argv.slice(2))

/**
 * @param {string[]} argv
 * @returns {Promise<number>} the exit status
 */
async function main(argv) {
  const asked = parseArguments(argv)
  if ('problem' in asked) {
    process.stderr.write(`${asked.problem}\n\n${USAGE}`)
    return 2
  }
  if (asked.help) {
    process.stdout.write(USAGE)
    return 0
  }
  let bytes
  try {
    bytes = await readInput(asked.path)
  } catch (error) {
    process.stderr.write(`can't read ${asked.path}: ${messageOf(error)}\n\n${USAGE}`)
    return 2
  }

  const interrupt = new AbortController()
  const onInterrupt = () => interrupt.abort(new Error('interrupted'))
  process.once('SIGINT', onInterrupt)
  const progress = createProgress(process.stderr, asked.json)
  try {
    const { path, nodes, kill } = asked
    const { signal } = interrupt
    const result = await runDemo({ name: basename(path), bytes, nodes, kill, signal, progress })
    progress.clear()
    const report = asked.json ? JSON.stringify(result) : formatReport(result, isColourful(process.stdout))
    process.stdout.write(`${report}\n`)
    return result.complete ? 0 : 1
  } catch (error) {
    progress.clear()
    process.stderr.write(`${messageOf(error)}\n`)
    return interrupt.signal.aborted ? 130 : 1
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}
