import { describe, expect, test } from 'vitest'
import { Journal } from '../../../src/cli/journal.js'
import { openLevelStore } from '../../../src/storage/level.js'
import { held, record } from '../storage/faulty-level.js'
import { del, entriesOf, FILE, FOLDER, opened, put, SYNC, until } from './entries.js'
import { MemoryDisk, REMAINS, systemError } from './memory-disk.js'

describe('a journal', () => {
  test('keeps puts and deletions of a batch in their order, and gives entries in the order of their bytes', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    await journal.batch([put('b', '1'), put('\xff', '2'), put('', '3'), put('a', '4'), del('b'), put('b', '5')], SYNC)
    await journal.batch([del('a'), del('never there'), put('\x00', '')], SYNC)
    const entries = [
      ['', '3'],
      ['\x00', ''],
      ['b', '5'],
      ['\xff', '2'],
    ]
    expect(await entriesOf(journal)).toEqual(entries)
    await journal.close()
    const again = await opened(disk.next())
    expect(await entriesOf(again)).toEqual(entries)
    expect(again.report).toEqual({ entries: 4, damagedBytes: 0, tornBytes: 0 })
  })

  test('an iterator begins and ends where it is told', async () => {
    const journal = await opened(new MemoryDisk())
    await journal.batch(
      ['a', 'b', 'c', 'd'].map((key) => put(key, key)),
      SYNC,
    )
    const keys = async (range: object) => {
      const found = await journal.iterator({ keyEncoding: 'view', valueEncoding: 'view', ...range }).nextv(9)
      return found.map(([key]) => Buffer.from(key).toString()).join('')
    }
    expect(await keys({ gte: Buffer.from('b'), lt: Buffer.from('d') })).toBe('bc')
    expect(await keys({ gt: Buffer.from('b') })).toBe('cd')
  })

  test('shares no memory with what it was given', async () => {
    const journal = await opened(new MemoryDisk())
    const value = Buffer.from('before')
    const written = journal.batch([put('key', value)], SYNC)
    value.fill(0)
    await written
    value.fill(1)
    expect(await entriesOf(journal)).toEqual([['key', 'before']])
  })

  test('writes the batches that were given before it is closed, and refuses those that come later', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    const written = ['a', 'b', 'c'].map((key) => journal.batch([put(key, key)], SYNC))
    const closed = journal.close()
    await expect(journal.batch([put('d', 'd')], SYNC)).rejects.toThrow('not open')
    await Promise.all([...written, closed])
    await expect(journal.getMany([])).rejects.toThrow('not open')
    expect(disk.openFiles).toBe(0)
    expect(await entriesOf(await opened(disk.next()))).toHaveLength(3)
  })

  test('a system that writes little at a time is asked again', async () => {
    const disk = new MemoryDisk()
    disk.writeBytesMax = 5
    const journal = await opened(disk)
    await journal.batch([put('key', 'a value that takes some writes')], SYNC)
    expect(await entriesOf(await opened(disk.next()))).toEqual([['key', 'a value that takes some writes']])
  })

  test('a batch is acknowledged when the disk has it, and without sync when the system has it', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    await journal.batch([put('a', '1')], { ...SYNC, sync: false })
    expect(await entriesOf(await opened(disk.next({ names: 'flushed', bytes: 'flushed' })))).toEqual([])
    await journal.batch([put('b', '2')], SYNC)
    for (const remains of REMAINS) expect(await entriesOf(await opened(disk.next(remains)))).toHaveLength(2)
  })
})

describe('what is torn off or damaged', () => {
  test('cut off at each byte of the last frame, all the batches before are there, and it can be written again', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    await journal.batch([put('a', 'first'), put('b', 'first')], SYNC)
    const before = journal.bytes
    await journal.batch([put('a', 'second'), del('b'), put('c', 'x'.repeat(40))], SYNC)
    const whole = disk.get(FILE)!
    expect(whole.length).toBe(journal.bytes)
    for (let length = before; length < whole.length; length++) {
      const cut = disk.next()
      cut.set(FILE, whole.slice(0, length))
      const again = await opened(cut)
      const entries = [
        ['a', 'first'],
        ['b', 'first'],
      ]
      expect(await entriesOf(again)).toEqual(entries)
      expect(again.report).toEqual({ entries: 2, damagedBytes: 0, tornBytes: length - before })
      expect(cut.get(FILE)).toHaveLength(before)
      await again.batch([put('d', 'later')], SYNC)
      expect(await entriesOf(await opened(cut.next()))).toEqual([...entries, ['d', 'later']])
    }
  })

  test('each flipped byte costs its own batch and no other, and is told', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    const ends: number[] = [journal.bytes]
    for (let i = 0; i < 8; i++) {
      await journal.batch([put(`key ${i}`, `value ${i}`.repeat(i))], SYNC)
      ends.push(journal.bytes)
    }
    const whole = disk.get(FILE)!
    for (let at = 0; at < whole.length; at += at < ends[0]! - 64 ? 61 : 1) {
      const flipped = disk.next()
      const bytes = whole.slice()
      bytes[at]! ^= 1 << (at % 8)
      flipped.set(FILE, bytes)
      const again = await opened(flipped)
      const lost = ends.findIndex((end) => at < end) - 1
      const expected = Array.from({ length: 8 }, (_, i) => [`key ${i}`, `value ${i}`.repeat(i)])
      expect(await entriesOf(again)).toEqual(expected.filter((_, i) => i !== lost))
      const lostBytes = lost < 0 ? 0 : ends[lost + 1]! - ends[lost]!
      expect(again.report).toMatchObject(
        lost === 7 ? { damagedBytes: 0, tornBytes: lostBytes } : { damagedBytes: lostBytes, tornBytes: 0 },
      )
    }
  })

  test('a value that looks like frames is not taken for one, behind a damaged place', async () => {
    // Somebody who has seen another journal sends what he found there, and what he makes of it.
    const foreign = new MemoryDisk()
    const other = await opened(foreign)
    await other.batch([put('forged', 'entry')], SYNC)
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    const begin = journal.bytes
    await journal.batch([put('value', foreign.get(FILE)!)], SYNC)
    await journal.batch([put('last', 'one')], SYNC)
    disk.get(FILE)![begin + 40]! ^= 1
    const again = await opened(disk.next())
    expect(await entriesOf(again)).toEqual([['last', 'one']])
  })

  test('a frame counts only where it was written', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    const begin = journal.bytes
    await journal.batch([put('a', '1')], SYNC)
    const end = journal.bytes
    await journal.batch([del('a')], SYNC)
    const bytes = disk.get(FILE)!
    disk.set(FILE, Buffer.concat([bytes, bytes.subarray(begin, end)]))
    expect(await entriesOf(await opened(disk))).toEqual([])
  })

  test('a damaged place is gone when the file was rewritten, at the next batch', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    await journal.batch([put('a', '1')], SYNC)
    const damaged = journal.bytes - 1
    await journal.batch([put('b', '2')], SYNC)
    disk.get(FILE)![damaged]! ^= 1
    const again = await opened(disk.next())
    expect(again.report?.damagedBytes).toBeGreaterThan(0)
    const healed = disk.next()
    const third = await opened(healed)
    await third.batch([put('c', '3')], SYNC)
    await until(() => healed.steps.includes('rename') && healed.steps.at(-1) === 'syncFolder')
    await third.close()
    const last = await opened(healed.next())
    expect(last.report).toEqual({ entries: 2, damagedBytes: 0, tornBytes: 0 })
  })

  test.each([
    ['empty', (_: Uint8Array) => new Uint8Array(0)],
    ['cut off within its head', (whole: Uint8Array) => whole.slice(0, 40)],
    ['something else', (_: Uint8Array) => new Uint8Array(10_000).fill(65)],
    [
      'damaged in both copies of its head',
      (whole: Uint8Array) => {
        const bytes = whole.slice()
        bytes[20]! ^= 1
        bytes[4_096 + 30]! ^= 1
        return bytes
      },
    ],
  ])('a file that is %s is refused and left as it is', async (_, damage) => {
    const disk = new MemoryDisk()
    await (await opened(disk)).batch([put('a', '1')], SYNC)
    const damaged = damage(disk.get(FILE)!)
    disk.set(FILE, damaged)
    const failure = openLevelStore(new Journal(FOLDER, disk))
    await expect(failure).rejects.toMatchObject({
      code: 'ERR_STORE_FAILED',
      message: expect.stringMatching(/journal is no journal.*move it away/),
    })
    await expect(failure).rejects.not.toThrow(/ClassicLevel/)
    expect(disk.get(FILE)).toEqual(damaged)
    expect(disk.openFiles).toBe(1)
  })
})

describe('a disk that fails', () => {
  test.each([
    ['write', 'ENOSPC', 'no space left on device, write', 'ERR_STORE_FULL'],
    ['write', 'EDQUOT', 'disk quota exceeded, write', 'ERR_STORE_FULL'],
    ['write', 'EIO', 'i/o error, write', 'ERR_STORE_FAILED'],
    ['sync', 'EIO', 'i/o error, fdatasync', 'ERR_STORE_FAILED'],
  ] as const)('%s: %s: the call rejects, and the store recovers', async (step, code, what, storeCode) => {
    const disk = new MemoryDisk()
    disk.writeBytesMax = 50
    const journal = new Journal(FOLDER, disk)
    const store = await openLevelStore(journal)
    await store.put(record(1))
    let isFailing = true
    let writes = 0
    disk.before = (now) => {
      // A part of the frame is written before.
      if (isFailing && (now === 'truncate' || (now === step && (step === 'sync' || ++writes > 2)))) {
        throw systemError(code, what)
      }
    }
    const failure = await Promise.resolve(store.put(record(2))).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: storeCode, message: expect.stringContaining(`${code}: ${what}`) })
    expect((failure as Error).message).not.toMatch(/ClassicLevel/)
    expect((failure as { cause: Error }).cause).toMatchObject({ cause: { code } })
    expect(() => store.put(record(3))).toThrow()
    expect(await held(store)).toEqual([1])
    await expect(store.reopen()).rejects.toMatchObject({ code: storeCode })
    // What was read into memory is there while it is closed.
    expect(await store.list(record(1).key, 1)).toHaveLength(1)
    isFailing = false
    expect(await store.removeExpired(0)).toBe(0)
    expect(store.report).toMatchObject({ records: 1, isComplete: true })
    await store.put(record(4))
    await store.close()
    const again = await openLevelStore(new Journal(FOLDER, disk.next()))
    expect(await held(again)).toEqual([1, 4])
    expect(again.report).toMatchObject({ isComplete: true, wasClosed: true })
    expect(disk.openFiles).toBe(0)
  })

  test('a batch is refused for good where the flush of it failed, though all of its bytes can be read', async () => {
    const disk = new MemoryDisk()
    const journal = await opened(disk)
    await journal.batch([put('a', '1')], SYNC)
    disk.before = (step) => {
      if (step === 'sync' || step === 'truncate') throw systemError('EIO', 'i/o error')
    }
    await expect(journal.batch([put('a', '2')], SYNC)).rejects.toThrow('can not be written')
    await expect(journal.batch([put('b', '2')], SYNC)).rejects.toThrow('earlier batch')
    expect(await entriesOf(journal)).toEqual([['a', '1']])
    await journal.close()
    await expect(journal.open()).rejects.toMatchObject({ code: 'EIO' })
    disk.before = undefined
    await journal.open()
    expect(await entriesOf(journal)).toEqual([['a', '1']])
  })

  test('a disk that can not be read changes nothing', async () => {
    const disk = new MemoryDisk()
    await (await opened(disk)).batch([put('a', '1')], SYNC)
    const broken = disk.next()
    const { open } = broken
    broken.open = async (path) => {
      const file = await open.call(broken, path)
      return file && { ...file, read: () => Promise.reject(systemError('EIO', 'i/o error, read')) }
    }
    await expect(openLevelStore(new Journal(FOLDER, broken))).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    expect(broken.get(FILE)).toEqual(disk.get(FILE))
  })
})

test('the end of the machine while the journal is made leaves one that is complete, or none', async () => {
  const all = new MemoryDisk()
  await opened(all)
  for (let last = 0; last <= all.steps.length; last++) {
    const disk = new MemoryDisk()
    disk.before = (_, number) => {
      if (number >= last) throw systemError('EIO', 'the end')
    }
    await opened(disk).catch(() => {})
    for (const remains of REMAINS) {
      const journal = await opened(disk.next(remains))
      await journal.batch([put('a', '1')], SYNC)
      expect(await entriesOf(journal)).toEqual([['a', '1']])
    }
  }
})
