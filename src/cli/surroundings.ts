/** Where a program writes to. */
export interface OutputStream {
  /** Whether a person looks at it. */
  readonly isTTY?: boolean | undefined
  /** How wide it is, in characters. */
  readonly columns?: number | undefined
  /** Writes; calls back when that is done, or has failed. */
  write(data: string | Uint8Array, done: (error?: Error | null) => void): unknown
}

/** Signals that end the program. */
export type EndSignal = 'SIGINT' | 'SIGTERM'

/** All that the program has of its process. Tests bring their own. */
export interface Surroundings {
  /** What stands after the program's name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean | undefined }
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Calls back at each signal. Returns what ends that. */
  onSignal(listener: (signal: EndSignal) => void): () => void
}
