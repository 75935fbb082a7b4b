import type { LevelOperation } from './level-database.js'

/** Changes that go to the database together: all of them or none. */
export class WriteGroup {
  readonly #operations = new Map<string, LevelOperation>()
  readonly #undo: (() => void)[] = []
  readonly #whenWritten: (() => void)[] = []
  readonly done: Promise<void>
  #settle!: { resolve: () => void; reject: (error: unknown) => void }

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Not every change has somebody who waits for it.
    this.done.catch(() => {})
  }

  /** What is to be written; of each key the last change alone. */
  get operations(): LevelOperation[] {
    return [...this.#operations.values()]
  }

  /**
   * Adds a change.
   *
   * @param name - tells keys apart
   */
  add(name: string, operation: LevelOperation): void {
    this.#operations.set(name, operation)
  }

  /** What is to be called where the group can't be written: the last that was given first. */
  onFailure(undo: () => void): void {
    this.#undo.push(undo)
  }

  /** What is to be called once the group is written. */
  onWritten(next: () => void): void {
    this.#whenWritten.push(next)
  }

  succeed(): void {
    for (const next of this.#whenWritten) next()
    this.#settle.resolve()
  }

  undo(): void {
    for (let i = this.#undo.length - 1; i >= 0; i--) this.#undo[i]?.()
  }

  fail(error: unknown): void {
    this.#settle.reject(error)
  }
}

/**
 * Writes groups of changes, one at a time: what is called while one is on its way goes into the next, so that many
 * calls share one flush of the disk.
 */
export class LevelWriter {
  readonly #write: (group: WriteGroup) => Promise<void>
  readonly #failed: (error: unknown) => unknown
  #gathering: WriteGroup | undefined
  #running: Promise<void> | undefined

  /**
   * @param write - writes a group
   * @param failed - told of a failure after all has been undone; gives what the calls of the groups reject with
   */
  constructor(write: (group: WriteGroup) => Promise<void>, failed: (error: unknown) => unknown) {
    this.#write = write
    this.#failed = failed
  }

  /** The group for changes that are made now. */
  group(): WriteGroup {
    if (this.#gathering) return this.#gathering
    this.#gathering = new WriteGroup()
    this.#running ??= this.#run()
    return this.#gathering
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    // What the same turn changes goes along.
    await undefined
    for (let group = this.#take(); group !== undefined; group = this.#take()) {
      try {
        await this.#write(group)
      } catch (error) {
        // What was called since rests on what was not written.
        const later = this.#take()
        later?.undo()
        group.undo()
        const reason = this.#failed(error)
        group.fail(reason)
        later?.fail(reason)
        break
      }
      group.succeed()
    }
    this.#running = undefined
  }

  #take(): WriteGroup | undefined {
    const group = this.#gathering
    this.#gathering = undefined
    return group
  }
}
