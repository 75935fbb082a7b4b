import { describe, expect, test } from 'vitest'
import { Journal } from '../../../src/cli/journal.js'
import type { LevelOperation } from '../../../src/storage/level.js'
import { del, entriesOf, FILE, FOLDER, opened, put, SYNC, until } from './entries.js'
import type { Remains } from './memory-disk.js'
import { MemoryDisk, REMAINS, systemError } from './memory-disk.js'

const MIB = 2 ** 20

/** Some pieces to rewrite. */
const BULK = Array.from({ length: 24 }, (_, i) => put(`bulk ${i}`, String.fromCharCode(i).repeat(32_768)))

/** A journal that rewrites its file at the next batch, as a place in it is damaged, which holds nothing that lives. */
async function dueDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const journal = await opened(disk)
  await journal.batch([put('useless', 'x')], SYNC)
  const damaged = journal.bytes - 1
  await journal.batch([...BULK, put('number', '0'), put('same number', '0'), put('gone', 'soon')], SYNC)
  await journal.close()
  disk.get(FILE)![damaged]! ^= 1
  return disk.next()
}

/** Batch number `i`: both entries have the same number, or a batch was torn apart. */
const numbered = (i: number): LevelOperation[] => [
  put('number', `${i}`),
  ...(i === 2 ? [del('gone')] : [put(`bulk ${i}`, `changed ${i}`)]),
  put('same number', `${i}`),
]

/** Writes until the disk fails, the file being rewritten meanwhile. The number of the last batch that was acknowledged. */
async function writeOn(journal: Journal): Promise<number> {
  let acknowledged = 0
  try {
    for (let i = 1; i <= 12; i++) {
      await journal.batch(numbered(i), SYNC)
      acknowledged = i
    }
  } catch {}
  return acknowledged
}

async function numberIn(disk: MemoryDisk): Promise<number> {
  const journal = await opened(disk)
  const entries = new Map(await entriesOf(journal))
  const number = Number(entries.get('number'))
  expect(entries.get('same number')).toBe(`${number}`)
  expect(entries.has('gone')).toBe(number < 2)
  for (let i = 0; i < BULK.length; i++) {
    const isChanged = i > 0 && i <= number && i !== 2
    expect(entries.get(`bulk ${i}`)).toBe(isChanged ? `changed ${i}` : String.fromCharCode(i).repeat(32_768))
  }
  // Nothing is left over, and it can go on.
  expect(disk.names()).toEqual([FILE])
  await journal.batch([put('later', 'on')], SYNC)
  return number
}

test('a file that grew too long is rewritten to what lives in it, and batches go on meanwhile', async () => {
  const disk = new MemoryDisk()
  const journal = await opened(disk)
  const value = new Uint8Array(64 * 1_024)
  const lengths: number[] = []
  for (let i = 0; i < 200; i++) {
    await journal.batch([put(`key ${i % 8}`, value.fill(i)), put('number', `${i}`)], SYNC)
    lengths.push(journal.bytes)
  }
  await journal.close()
  // Twice 0.5 MiB that live and 4 MiB; and what is written while it is rewritten.
  expect(Math.max(...lengths)).toBeGreaterThan(5 * MIB)
  expect(Math.max(...lengths)).toBeLessThan(7 * MIB)
  expect(disk.steps.filter((step) => step === 'rename').length).toBeGreaterThanOrEqual(3)
  const again = await opened(disk.next())
  expect(again.report).toEqual({ entries: 9, damagedBytes: 0, tornBytes: 0 })
  const entries = new Map(await entriesOf(again))
  expect(entries.get('number')).toBe('199')
  for (let i = 192; i < 200; i++) expect(entries.get(`key ${i % 8}`)?.charCodeAt(65_535)).toBe(i)
})

describe('the end while the file is rewritten', () => {
  test('at every step, of the process or of the machine: what was acknowledged is there, nothing torn apart', async () => {
    const image = await dueDisk()
    const whole = image.next()
    const last = await opened(whole)
    expect(await writeOn(last)).toBe(12)
    await until(() => whole.steps.includes('rename'))
    await last.close()
    // Otherwise the batches would be over before it is renamed.
    expect(whole.steps.indexOf('rename')).toBeLessThan(whole.steps.lastIndexOf('write'))
    const steps = whole.steps.length
    const reached = new Set<string>()

    for (let end = 0; end <= steps; end++) {
      const disk = image.next()
      disk.before = (step, number) => {
        if (number === end) reached.add(step)
        if (number >= end) throw systemError('EIO', 'the end')
      }
      const journal = await opened(disk).catch(() => undefined)
      const acknowledged = journal ? await writeOn(journal) : 0
      await journal?.close()
      for (const remains of REMAINS) {
        const number = await numberIn(disk.next(remains))
        expect(number, `${end} ${JSON.stringify(remains)}`).toBeGreaterThanOrEqual(acknowledged)
        expect(number).toBeLessThanOrEqual(acknowledged + 1)
      }
    }
    expect([...reached].sort()).toEqual(['create', 'rename', 'sync', 'syncFolder', 'write'])
  })

  test('the checks notice a file that has its name before it is on the disk', async () => {
    const image = await dueDisk()
    const disk = image.next()
    const journal = await opened(disk)
    const failures: unknown[] = []
    const { syncFolder } = disk
    // As if the new file were never flushed: its durable bytes are those of an empty file.
    const { create } = disk
    disk.create = async (path) => ({ ...(await create.call(disk, path)), sync: async () => {} })
    disk.syncFolder = (path) => syncFolder.call(disk, path)
    await writeOn(journal)
    await until(() => disk.steps.includes('rename'))
    await journal.close()
    const remains: Remains = { names: 'flushed', bytes: 'flushed' }
    await numberIn(disk.next(remains)).catch((error: unknown) => failures.push(error))
    expect(failures).toHaveLength(1)
  })
})

describe('a file that can not be rewritten', () => {
  test('on a full disk stays as it is, and takes batches; later it is tried again', async () => {
    const disk = await dueDisk()
    let isFull = true
    let creations = 0
    disk.before = (step) => {
      if (step !== 'create') return
      creations++
      if (isFull) throw systemError('ENOSPC', 'no space left on device, open')
    }
    const journal = await opened(disk)
    expect(await writeOn(journal)).toBe(12)
    expect(creations).toBe(1)
    isFull = false
    const bulk = put('bulk', new Uint8Array(MIB))
    for (let i = 0; i < 5; i++) await journal.batch([bulk], SYNC)
    await until(() => disk.steps.includes('rename'))
    expect(creations).toBe(2)
    await journal.close()
    const again = await opened(disk.next())
    expect(again.report).toMatchObject({ damagedBytes: 0, tornBytes: 0 })
  })

  test('writes nothing more where it is not known which file has the name, until it is opened again', async () => {
    const disk = await dueDisk()
    const journal = await opened(disk)
    let isFailing = true
    disk.before = (step) => {
      if (isFailing && step === 'syncFolder') throw systemError('EIO', 'i/o error, fsync')
    }
    const acknowledged = await writeOn(journal)
    expect(acknowledged).toBeLessThan(12)
    await expect(journal.batch([put('a', '1')], SYNC)).rejects.toMatchObject({ cause: { code: 'EIO' } })
    await journal.close()
    await expect(journal.open()).rejects.toMatchObject({ code: 'EIO' })
    isFailing = false
    await journal.open()
    expect(new Map(await entriesOf(journal)).get('number')).toBe(`${acknowledged}`)
    await journal.close()
    for (const remains of REMAINS) expect(await numberIn(disk.next(remains))).toBe(acknowledged)
    expect(disk.openFiles).toBe(0)
  })

  test('closing gives it up, and leaves no second file', async () => {
    const disk = await dueDisk()
    const journal = new Journal(FOLDER, disk)
    await journal.open()
    await journal.batch([put('a', '1')], SYNC)
    await journal.close()
    expect(disk.names()).toEqual([FILE])
    expect(disk.steps).toContain('create')
    expect(disk.steps).not.toContain('rename')
    expect(disk.openFiles).toBe(0)
  })
})
