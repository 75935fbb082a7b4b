import { describe, expect, test } from 'vitest'
import { openLevelStore } from '../../../src/storage/level.js'
import { again, FaultyLevel, held, levelError, opened, record } from './faulty-level.js'

const id = new Uint8Array(32).fill(1)
const secretKey = new Uint8Array(32).fill(2)

describe('the report', () => {
  test('tells a store that was closed from one whose process ended before', async () => {
    const { level, store } = await opened()
    await store.put(record(1))
    await store.close()
    const closed = await openLevelStore(level)
    expect(closed.report).toMatchObject({ records: 1, wasClosed: true, isComplete: true })
    // Nothing was written since.
    const stillClosed = await again(level)
    expect(stillClosed.report).toMatchObject({ records: 1, wasClosed: true })
    await stillClosed.put(record(2))
    const killed = await again(level)
    expect(killed.report).toMatchObject({ records: 2, wasClosed: false, isComplete: true })
    await killed.close()
    expect((await again(level)).report).toMatchObject({ records: 2, wasClosed: true, isComplete: true })
  })

  test('opening and closing a store that was closed writes nothing', async () => {
    const { level, store } = await opened()
    await store.close()
    expect(level.batches).toHaveLength(0)
    const next = await openLevelStore(level)
    await next.put(record(1))
    await next.close()
    level.batches = []
    await (await openLevelStore(level)).close()
    expect(level.batches).toHaveLength(0)
  })

  test('a store can be closed where that can not be written, and was not closed then', async () => {
    const { level, store } = await opened()
    await store.put(record(1))
    level.faults.beforeBatch = () => {
      throw levelError('LEVEL_IO_ERROR', 'IO error: No space left on device')
    }
    await store.close()
    level.faults.beforeBatch = () => {}
    expect((await again(level)).report).toMatchObject({ records: 1, wasClosed: false, isComplete: true })
  })

  test.each([
    ['is not there', false],
    ['is damaged', true],
  ])('says so when the identity %s, once', async (_, isThere) => {
    const { level, store } = await opened()
    await store.put(record(1))
    await store.nodeState.save({ id, secretKey, contacts: [] })
    await store.put(record(2))
    expect((await again(level)).report).toMatchObject({ isIdentityLost: false, isComplete: true })
    const key = Uint8Array.of(1, 0x69)
    await (isThere ? level.inner.put(key, new Uint8Array(20)) : level.inner.del(key))
    const lost = await again(level)
    expect(lost.report).toMatchObject({ records: 2, isIdentityLost: true, isComplete: false })
    expect(lost.nodeState.loaded).toEqual({ contacts: [] })
    expect((await again(level)).report).toMatchObject({ records: 2, isIdentityLost: false, isComplete: true })
  })
})

describe('a database', () => {
  test('has one store at a time', async () => {
    const { level, store } = await opened()
    const second = openLevelStore(level)
    await expect(second).rejects.toMatchObject({ code: 'ERR_STORE_FAILED', message: /another store/ })
    expect(await store.put(record(1))).toBe('stored')
    await store.close()
    const next = await openLevelStore(level)
    expect(await held(next)).toEqual([1])
    await next.close()
  })

  test('is closed again when the store is not opened, unless it was open before', async () => {
    const level = new FaultyLevel()
    await expect(openLevelStore(level, { recordsMax: -1 })).rejects.toThrow(RangeError)
    expect(level.status).toBe('closed')
    level.faults.beforeNext = () => {
      throw levelError('LEVEL_LOST', 'gone')
    }
    await expect(openLevelStore(level)).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    expect(level.status).toBe('closed')
    await level.open()
    await expect(openLevelStore(level)).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    await expect(openLevelStore(level, { size: 1 } as never)).rejects.toThrow(TypeError)
    expect(level.status).toBe('open')
    level.faults.beforeNext = () => {}
    await (await openLevelStore(level)).close()
  })

  test.each(['Too many open files', 'Permission denied'])(
    'that the system refuses is no damaged one: %s',
    async (why) => {
      const { level, store } = await opened()
      for (let i = 0; i < 600; i++) void store.put(record(i))
      await store.close()
      level.faults.beforeNext = (read) => {
        if (read > 0) throw levelError('LEVEL_IO_ERROR', `IO error: 000005.ldb: ${why}`)
      }
      const refused = openLevelStore(level)
      await expect(refused).rejects.toMatchObject({
        code: 'ERR_STORE_FAILED',
        message: expect.stringMatching(`${why}$`),
      })
      level.faults.beforeNext = () => {}
      expect((await openLevelStore(level)).report).toMatchObject({ records: 600, isComplete: true })
    },
  )
})

describe('removing what is expired', () => {
  const MANY = 2_500

  async function filled() {
    const made = await opened()
    await Promise.all(Array.from({ length: MANY }, (_, i) => made.store.put(record(i, { expiresAtMs: i }))))
    made.level.batches = []
    return made
  }

  test('goes in steps, each of which waits for the disk', async () => {
    const { level, store } = await filled()
    const removing = store.removeExpired(2_300)
    expect(store.stats().records).toBe(1_500)
    expect(await removing).toBe(2_301)
    expect(store.stats().records).toBe(199)
    expect(level.batches.map(({ length }) => length)).toEqual([1_001, 1_001, 302])
    expect((await again(level)).report).toMatchObject({ records: 199, isComplete: true })
  })

  test.each([false, true])(
    'is waited for by closing, also while the database is opened again: %s',
    async (isReopened) => {
      const { level, store } = await filled()
      const removing = store.removeExpired(MANY)
      if (isReopened) void store.reopen()
      await store.close()
      expect(await removing).toBe(MANY)
      expect((await again(level)).report).toMatchObject({ records: 0, wasClosed: true, isComplete: true })
    },
  )

  test('that fails in the middle keeps the rest, and goes on later', async () => {
    const { level, store } = await filled()
    let batches = 0
    level.faults.beforeBatch = () => {
      if (++batches === 2) throw levelError('LEVEL_IO_ERROR', 'IO error: No space left on device')
    }
    await expect(store.removeExpired(MANY)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect(store.stats().records).toBe(1_500)
    expect(await store.removeExpired(MANY)).toBe(1_500)
    expect(store.report).toMatchObject({ records: 1_500, isComplete: true })
  })
})
