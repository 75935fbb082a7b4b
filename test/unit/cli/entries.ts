import { Journal } from '../../../src/cli/journal.js'
import type { LevelOperation } from '../../../src/storage/level.js'
import type { MemoryDisk } from './memory-disk.js'

export const FOLDER = '/data'
export const FILE = '/data/journal'

export const put = (key: string, value: string | Uint8Array): LevelOperation => ({
  type: 'put',
  key: Buffer.from(key, 'latin1'),
  value: typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
})

export const del = (key: string): LevelOperation => ({ type: 'del', key: Buffer.from(key, 'latin1') })

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

/** All entries in the order of the iterator. */
export async function entriesOf(journal: Journal): Promise<[key: string, value: string][]> {
  const iterator = journal.iterator({ keyEncoding: 'view', valueEncoding: 'view' })
  const all: [string, string][] = []
  for (;;) {
    const some = await iterator.nextv(7)
    if (some.length === 0) return all
    for (const [key, value] of some) all.push([textOf(key), textOf(value)])
  }
}

export async function opened(disk: MemoryDisk): Promise<Journal> {
  const journal = new Journal(FOLDER, disk)
  await journal.open()
  return journal
}

export const SYNC: { keyEncoding: 'view'; valueEncoding: 'view'; sync: boolean } = {
  keyEncoding: 'view',
  valueEncoding: 'view',
  sync: true,
}

/** Waits until it is so, some thousand turns at most. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    if (turns === 20_000) throw new Error('it never came to be')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
