// @ts-check
import process from 'node:process'

/**
 * @typedef {object} Progress
 * @property {(what: string, done: number, of: number, format?: (count: number) => string) => void} show
 * @property {() => void} clear takes away the line that is there
 */

/** Without a terminal: how often a line is worth it. */
const LINE_INTERVAL_MS = 2000
/** On a terminal: no eye follows more. */
const UPDATE_INTERVAL_MS = 50

/**
 * On a terminal one line that changes, elsewhere lines for the beginning and the end of each phase and now and then one between.
 *
 * @param {NodeJS.WriteStream} stream
 * @param {boolean} quiet
 * @returns {Progress}
 */
export function createProgress(stream, quiet) {
  if (quiet) return { show() {}, clear() {} }
  let shownMs = Number.NEGATIVE_INFINITY
  let phase = ''
  let shown = 0
  return {
    show(what, done, of, format = String) {
      const nowMs = performance.now()
      const isNew = what !== phase
      const intervalMs = stream.isTTY ? UPDATE_INTERVAL_MS : LINE_INTERVAL_MS
      const isLast = done === of && done !== shown
      if (!isNew && !isLast && nowMs - shownMs < intervalMs) return
      phase = what
      shown = done
      shownMs = nowMs
      const line = `${what}: ${format(done)} of ${format(of)}`
      stream.write(stream.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
    },
    clear() {
      if (stream.isTTY) stream.write('\r\x1b[K')
    },
  }
}

/**
 * Whether to use colours (https://no-color.org).
 *
 * @param {NodeJS.WriteStream} stream
 */
export function isColourful(stream) {
  return stream.isTTY === true && !process.env.NO_COLOR
}
