// @ts-check
import process from 'node:process'

/**
 * @typedef {object} Progress
 * @property {(what: string, done: number, of: number) => void} show
 * @property {() => void} clear takes away the line that is there
 */

/** Without a terminal: how often a line is worth it. */
const LINE_INTERVAL_MS = 2000
/** On a terminal: no eye follows more. */
const UPDATE_INTERVAL_MS = 50

/**
 * On a terminal one line that changes, elsewhere a line for each phase and now and then one more.
 *
 * @param {NodeJS.WriteStream} stream
 * @param {boolean} quiet
 * @returns {Progress}
 */
export function createProgress(stream, quiet) {
  if (quiet) return { show() {}, clear() {} }
  let shownMs = Number.NEGATIVE_INFINITY
  let phase = ''
  return {
    show(what, done, of) {
      const nowMs = performance.now()
      const isNew = what !== phase
      const intervalMs = stream.isTTY ? UPDATE_INTERVAL_MS : LINE_INTERVAL_MS
      if (!isNew && nowMs - shownMs < intervalMs && !(stream.isTTY && done === of)) return
      phase = what
      shownMs = nowMs
      stream.write(stream.isTTY ? `\r\x1b[K${what}: ${done} of ${of}` : `${what}: ${done} of ${of}\n`)
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
