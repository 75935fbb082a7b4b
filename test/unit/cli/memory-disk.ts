import { dirname } from 'node:path'
import type { Disk, DiskFile } from '../../../src/cli/disk.js'

/** A file's bytes as they are read, and as the end of the machine would leave them. */
interface Content {
  now: Uint8Array
  durable: Uint8Array
}

/** What is left when the machine ends, besides what was flushed: of names and of bytes, all since or nothing. */
export interface Remains {
  readonly names: 'flushed' | 'all'
  /** `half` has the first half of what each file has more than was flushed. */
  readonly bytes: 'flushed' | 'half' | 'all'
}

export const REMAINS: readonly Remains[] = (['flushed', 'all'] as const).flatMap((names) =>
  (['flushed', 'half', 'all'] as const).map((bytes) => ({ names, bytes })),
)

/** What changes the disk: each call may be the last one before the machine ends. */
export type Step = 'create' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncFolder'

/** A disk in memory that fails when it is told to, and says what the end of the machine would leave. */
export class MemoryDisk implements Disk {
  #names = new Map<string, Content>()
  #durableNames = new Map<string, Content>()
  /** Everything that was done. */
  readonly steps: Step[] = []
  /** Called before each step with its number; throws to have it fail. */
  before: ((step: Step, number: number) => void | Promise<void>) | undefined
  /** How many bytes a write takes at most. */
  writeBytesMax = Number.POSITIVE_INFINITY
  /** How many files are open. */
  openFiles = 0

  /** The disk of the next process: of this one, or after the end of the machine. */
  next(remains: Remains = { names: 'all', bytes: 'all' }): MemoryDisk {
    const disk = new MemoryDisk()
    for (const [path, content] of remains.names === 'all' ? this.#names : this.#durableNames) {
      const bytes = new Uint8Array(remaining(content, remains.bytes))
      disk.set(path, bytes)
    }
    return disk
  }

  get(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.now
  }

  set(path: string, bytes: Uint8Array): void {
    const content = { now: bytes, durable: bytes }
    this.#names.set(path, content)
    this.#durableNames.set(path, content)
  }

  names(): string[] {
    return [...this.#names.keys()].sort()
  }

  async makeFolder(): Promise<void> {}

  async lock(): Promise<() => Promise<void>> {
    return async () => {}
  }

  async open(path: string): Promise<DiskFile | undefined> {
    const content = this.#names.get(path)
    return content && this.#fileOf(content)
  }

  async create(path: string): Promise<DiskFile> {
    await this.#step('create')
    const content = { now: new Uint8Array(0), durable: new Uint8Array(0) }
    this.#names.set(path, content)
    return this.#fileOf(content)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename')
    const content = this.#names.get(from)
    if (!content) throw systemError('ENOENT', 'no such file or directory, rename')
    this.#names.delete(from)
    this.#names.set(to, content)
  }

  async remove(path: string): Promise<void> {
    if (!this.#names.has(path)) return
    await this.#step('remove')
    this.#names.delete(path)
  }

  async syncFolder(path: string): Promise<void> {
    await this.#step('syncFolder')
    for (const name of this.#durableNames.keys()) if (dirname(name) === path) this.#durableNames.delete(name)
    for (const [name, content] of this.#names) if (dirname(name) === path) this.#durableNames.set(name, content)
  }

  async #step(step: Step): Promise<void> {
    const number = this.steps.push(step) - 1
    await this.before?.(step, number)
  }

  #fileOf(content: Content): DiskFile {
    this.openFiles++
    return {
      read: async (into, offset) => {
        const part = content.now.subarray(offset, offset + into.length)
        into.set(part)
        return part.length
      },
      write: async (bytes, offset) => {
        await this.#step('write')
        const part = bytes.subarray(0, this.writeBytesMax)
        const next = new Uint8Array(Math.max(content.now.length, offset + part.length))
        next.set(content.now)
        next.set(part, offset)
        content.now = next
        return part.length
      },
      sync: async () => {
        await this.#step('sync')
        content.durable = content.now
      },
      truncate: async (bytes) => {
        await this.#step('truncate')
        content.now = content.now.slice(0, bytes)
      },
      size: async () => content.now.length,
      close: async () => {
        this.openFiles--
      },
    }
  }
}

function remaining({ now, durable }: Content, bytes: Remains['bytes']): Uint8Array {
  if (bytes === 'all') return now
  if (bytes === 'flushed' || now.length <= durable.length) return durable
  return now.slice(0, durable.length + ((now.length - durable.length) >> 1))
}

/** An error as the system's is. */
export function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}
