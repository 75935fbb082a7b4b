// @ts-check
// How far a run is, on standard error: one line that changes on a terminal, few lines elsewhere.

/** @import { WriteStream } from 'node:tty' */

const LINES_APART_MS = 5_000
const CLEAR_LINE = '\r\x1b[K'

/**
 * @param {Pick<WriteStream, 'write' | 'isTTY' | 'columns'>} stream
 */
export function createProgress(stream) {
  const isTerminal = stream.isTTY === true
  let shownAtMs = Number.NEGATIVE_INFINITY
  let isLineOpen = false
  return {
    /**
     * What may be passed over.
     * @param {string} text
     */
    show(text) {
      const nowMs = performance.now()
      if (isTerminal) {
        stream.write(`${CLEAR_LINE}${text.slice(0, (stream.columns || 80) - 1)}`)
        isLineOpen = true
      } else if (nowMs - shownAtMs >= LINES_APART_MS) {
        stream.write(`${text}\n`)
        shownAtMs = nowMs
      }
    },
    /**
     * What stays to be read.
     * @param {string} text
     */
    say(text) {
      stream.write(`${isLineOpen ? CLEAR_LINE : ''}${text}\n`)
      isLineOpen = false
      shownAtMs = performance.now()
    },
  }
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 100) return `${minutes} min ${Math.round(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
