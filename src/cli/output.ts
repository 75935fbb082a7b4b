import { DhtError, toHex } from '../index.js'
import { unlessAborted } from './abort.js'
import { formatBytes, shown } from './formats.js'
import type { OutputStream } from './surroundings.js'

/** On a terminal: no eye follows more. */
const PROGRESS_TERMINAL_MS = 100

/** Elsewhere: how often a line is worth it. */
const PROGRESS_LINE_MS = 5000

/** What a command says: data on stdout, everything else on stderr. */
export class Output {
  /** Whether data are for machines. */
  readonly isJson: boolean
  readonly #stdout: OutputStream
  readonly #stderr: OutputStream
  readonly #isQuiet: boolean
  readonly #signal: AbortSignal | undefined
  #shownAtMs: number
  #hasLine = false

  /** @param signal - ends waiting for who reads what was written */
  constructor(
    stdout: OutputStream,
    stderr: OutputStream,
    { json, quiet, signal }: { json: boolean; quiet: boolean; signal?: AbortSignal },
  ) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.isJson = json
    this.#isQuiet = quiet
    this.#signal = signal
    // What takes no longer than that needs no progress.
    this.#shownAtMs = performance.now() + PROGRESS_TERMINAL_MS
  }

  /** Whether a person looks at the data. */
  get isTerminal(): boolean {
    return this.#stdout.isTTY === true
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): Promise<void> {
    return this.#data(bytes)
  }

  /** A line for people. */
  line(text: string): Promise<void> {
    return this.#data(`${text}\n`)
  }

  /** As a line of `json` or `line`, in a program that goes on whether it can be written or not. */
  event(event: object, text: string): void {
    const done = this.isJson ? this.json(event) : this.line(text)
    done.catch((error: unknown) => {
      if (!this.#signal?.aborted) this.warn(`stdout can't be written: ${String(error)}`)
    })
  }

  /** A line for machines: keys and ids in hex, numbers that may be too large for JSON as text. */
  json(object: object): Promise<void> {
    return this.#data(`${toJson(object)}\n`)
  }

  /** What happened, for people; nothing when the user wants quiet. */
  say(text: string): void {
    if (!this.#isQuiet) this.#aside(`${shown(text)}\n`)
  }

  /** What the user must know. */
  warn(text: string): void {
    this.#aside(`${shown(text)}\n`)
  }

  /** How far long work has come: one line that changes on a terminal, now and then a line elsewhere. */
  progress(what: string, bytes: number, bytesTotal: number): void {
    if (this.#isQuiet || bytesTotal === 0) return
    const { isTTY } = this.#stderr
    const nowMs = performance.now()
    if (nowMs - this.#shownAtMs < (isTTY ? PROGRESS_TERMINAL_MS : PROGRESS_LINE_MS)) return
    this.#shownAtMs = nowMs
    const share = `${Math.floor((100 * bytes) / bytesTotal)} %`.padStart(5)
    const line = `${what} ${share}  ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}`
    if (isTTY) {
      this.#aside(`\r\x1b[K${line}`)
      this.#hasLine = true
    } else {
      this.#aside(`${line}\n`)
    }
  }

  #data(data: string | Uint8Array): Promise<void> {
    this.#clear()
    return unlessAborted(this.#signal, written(this.#stdout, data))
  }

  #aside(text: string): void {
    this.#clear()
    written(this.#stderr, text).catch(() => {})
  }

  /** Takes away the line that is there. */
  #clear(): void {
    if (!this.#hasLine) return
    this.#hasLine = false
    written(this.#stderr, '\r\x1b[K').catch(() => {})
  }
}

/** Resolves too when nobody reads any more: then there is nobody to tell. */
function written(stream: OutputStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error && !isUnread(error)) reject(error)
      else resolve()
    })
  })
}

/** Whether the other end of a pipe is gone. */
function isUnread(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
}

/** JSON for machines. */
export function toJson(object: object): string {
  return JSON.stringify(object, (_, value: unknown) => {
    if (value instanceof Uint8Array) return toHex(value)
    if (typeof value === 'bigint') return String(value)
    if (value instanceof Error) return describeError(value)
    return value
  })
}

/** An error for machines. */
export function describeError(error: Error): { code?: string; message: string } {
  return { ...(error instanceof DhtError && { code: error.code }), message: error.message }
}
