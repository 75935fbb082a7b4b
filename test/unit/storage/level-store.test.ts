import { describe, expect, test } from 'vitest'
import { openLevelStore } from '../../../src/storage/level.js'
import { again, FaultyLevel, held, levelError, opened, record } from './faulty-level.js'

const { kind, slot } = record(0)
const keyOf = (number: number) => record(number).key

const NO_SPACE = levelError('LEVEL_IO_ERROR', 'IO error: 000004.log: No space left on device')

describe('opening', () => {
  test('says what was found', async () => {
    const { level, store } = await opened()
    expect(store.report).toEqual({
      records: 0,
      corrupt: 0,
      missing: 0,
      evicted: 0,
      unknown: 0,
      unreadable: 0,
      isIdentityLost: false,
      wasClosed: true,
      isComplete: true,
    })
    await store.put(record(1))
    await store.close()
    expect((await again(level)).report).toMatchObject({ records: 1, isComplete: true })
  })

  test('takes a database that is open, and one that can not be opened rejects with a code and a cause', async () => {
    const level = new FaultyLevel()
    await level.open()
    const store = await openLevelStore(level)
    expect(level.opened).toBe(1)
    await store.close()
    for (const [cause, expected] of [
      [levelError('LEVEL_LOCKED', 'lock: already held'), { code: 'ERR_STORE_FAILED', message: /another object/ }],
      [
        levelError('LEVEL_IO_ERROR', 'IO error: LOCK: Permission denied'),
        { code: 'ERR_STORE_FAILED', message: /denied$/ },
      ],
      [levelError('LEVEL_CORRUPTION', 'bad magic'), { code: 'ERR_STORE_FAILED', message: /repair/ }],
      [levelError('LEVEL_NOT_SUPPORTED', 'no'), { code: 'ERR_STORE_FAILED', message: /can not be opened: no$/ }],
      [NO_SPACE, { code: 'ERR_STORE_FULL', message: /Make room/ }],
    ] as const) {
      level.faults.beforeOpen = () => {
        throw Object.assign(new Error('Database failed to open', { cause }), { code: 'LEVEL_DATABASE_NOT_OPEN' })
      }
      await expect(openLevelStore(level)).rejects.toMatchObject({
        name: 'DhtError',
        code: expected.code,
        message: expect.stringMatching(expected.message),
        cause: expect.objectContaining({ cause }),
      })
    }
  })

  test('refuses what is no database, and options that do not exist', async () => {
    await expect(openLevelStore({} as never)).rejects.toThrow(TypeError)
    await expect(openLevelStore(undefined as never)).rejects.toThrow(/ClassicLevel/)
    await expect(openLevelStore(new FaultyLevel(), { size: 1 } as never)).rejects.toThrow(/no option size/)
    await expect(openLevelStore(new FaultyLevel(), { sync: 1 } as never)).rejects.toThrow(/sync/)
    await expect(openLevelStore(new FaultyLevel(), { recordsMax: -1 })).rejects.toThrow(RangeError)
  })

  test('drops what is not as it was written, says so, and is clean the next time', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 5; i++) await store.put(record(i))
    const entries = (await level.entries()).filter(([key]) => key.length > 2)
    const [flipped, cut, moved] = entries as [
      [Uint8Array, Uint8Array],
      [Uint8Array, Uint8Array],
      [Uint8Array, Uint8Array],
    ]
    const changed = flipped[1].slice()
    changed[changed.length - 1]! ^= 1
    await level.inner.put(flipped[0], changed)
    await level.inner.put(cut[0], cut[1].slice(0, -1))
    // The right value under another key: the checksum is over both.
    const otherKey = moved[0].slice()
    otherKey[10]! ^= 1
    await level.inner.batch([
      { type: 'del', key: moved[0] },
      { type: 'put', key: otherKey, value: moved[1] },
    ])

    const next = await again(level)
    expect(next.report).toMatchObject({ records: 2, corrupt: 3, missing: 0, isComplete: false })
    expect(await held(next)).toHaveLength(2)
    expect((await again(level)).report).toMatchObject({ records: 2, corrupt: 0, isComplete: true })
  })

  test('notices records that are missing, and ones that are older than they should be', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 3; i++) await store.put(record(i))
    const before = (await level.entries()).find(([key]) => key[6] === 1) as [Uint8Array, Uint8Array]
    await store.put(record(1, { record: Uint8Array.of(9) }))
    await level.inner.put(...before)
    const older = await again(level)
    expect(older.report).toMatchObject({ records: 3, corrupt: 0, missing: 0, isComplete: false })
    await level.inner.del(before[0])
    expect((await again(level)).report).toMatchObject({ records: 2, missing: 1, isComplete: false })
    expect((await again(level)).report).toMatchObject({ records: 2, missing: 0, isComplete: true })
  })

  test('leaves alone what is of another version, or of somebody else', async () => {
    const level = new FaultyLevel()
    const others = [
      Uint8Array.of(2, 0x72, 1, 1, 1),
      Uint8Array.of(1, 0x7a),
      Uint8Array.of(1, 0x68, 0),
      new Uint8Array(0),
    ]
    for (const key of others.slice(0, 3)) await level.inner.put(key, Uint8Array.of(1, 2, 3))
    const store = await openLevelStore(level)
    expect(store.report).toMatchObject({ records: 0, corrupt: 0, unknown: 3 })
    await store.put(record(1))
    await store.removeExpired(2_000)
    await store.close()
    await level.inner.open()
    for (const key of others.slice(0, 3)) expect([...((await level.inner.get(key)) ?? [])]).toEqual([1, 2, 3])
  })

  test('evicts down to limits that are lower now, and deletes what it evicted', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 10; i++) await store.put(record(i, { source: Uint8Array.of(i % 2), expiresAtMs: 100 + i }))
    const next = await again(level, { recordsMax: 6 })
    expect(next.report).toMatchObject({ records: 6, evicted: 4, isComplete: true })
    expect(await held(next)).toEqual([4, 5, 6, 7, 8, 9])
    const bySource = await again(level, { recordsPerSourceMax: 1 })
    expect(await held(bySource)).toEqual([8, 9])
    expect((await again(level)).report).toMatchObject({ records: 2, evicted: 0, isComplete: true })
  })

  test('keeps what is expired until it is told to remove it', async () => {
    const { level, store } = await opened()
    await store.put(record(1, { expiresAtMs: 5 }))
    const next = await again(level)
    expect(await held(next)).toEqual([1])
    expect(await next.removeExpired(5)).toBe(1)
    expect((await again(level)).report).toMatchObject({ records: 0, isComplete: true })
  })

  test('goes on behind places that can not be read, and ends', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 600; i++) await store.put(record(i << 20))
    let reads = 0
    level.faults.beforeNext = (read) => {
      reads++
      if (read >= 256) throw levelError('LEVEL_CORRUPTION', 'Corruption: block checksum mismatch')
    }
    const next = await again(level)
    level.faults.beforeNext = () => {}
    expect(next.report).toMatchObject({ records: 600, corrupt: 0, missing: 0 })
    expect(reads).toBeLessThan(10_000)

    let count = 0
    level.faults.beforeNext = () => {
      if (++count > 1) throw levelError('LEVEL_CORRUPTION', 'nothing can be read')
    }
    const none = await again(level)
    expect(none.report.records).toBeLessThan(600)
    expect(none.report.unreadable).toBeGreaterThan(0)
    expect(none.report.isComplete).toBe(false)
  })
})

describe('writing', () => {
  test('is acknowledged when the batch is written, and read before', async () => {
    const { level, store } = await opened()
    let release = () => {}
    level.faults.beforeBatch = () => new Promise((resolve) => (release = resolve))
    let isDone = false
    const pending = Promise.resolve(store.put(record(1))).then(() => (isDone = true))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(isDone).toBe(false)
    expect(store.list(keyOf(1), kind)).toEqual([record(1)])
    expect(level.gets).toBe(0)
    level.faults.beforeBatch = () => {}
    release()
    await pending
    expect(await store.list(keyOf(1), kind)).toEqual([record(1)])
    expect(level.gets).toBe(1)
  })

  test('a key without records is answered at once, without the disk', async () => {
    const { level, store } = await opened()
    await store.put(record(1))
    expect(store.list(keyOf(2), kind)).toEqual([])
    expect(store.list(keyOf(1), kind + 1)).toEqual([])
    expect(level.gets).toBe(0)
  })

  test('what is called while a batch is on its way shares the next one, eviction included', async () => {
    const { level, store } = await opened({ recordsMax: 10, recordsPerSourceMax: 20 })
    await Promise.all(Array.from({ length: 10 }, (_, i) => store.put(record(i, { expiresAtMs: i }))))
    expect(level.batches).toHaveLength(1)
    level.batches = []
    const first = store.put(record(0, { expiresAtMs: 100 }))
    await new Promise((resolve) => {
      level.faults.beforeBatch = () => resolve(undefined)
    })
    await Promise.all([first, ...[10, 11, 12].map((i) => store.put(record(i, { expiresAtMs: 200 })))])
    expect(level.batches).toHaveLength(2)
    const types = level.batches[1]!.map(({ type }) => type).sort()
    // Three records, the header, and what made room.
    expect(types).toEqual(['del', 'del', 'del', 'put', 'put', 'put', 'put'])
    expect(await held(store)).toEqual([0, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect((await again(level)).report).toMatchObject({ records: 10, isComplete: true })
  })

  test('close waits for what was called, reads included', async () => {
    const { level, store } = await opened()
    await store.put(record(1))
    const calls = [store.put(record(2)), store.delete(keyOf(1), kind, slot), store.list(keyOf(2), kind)]
    const reading = store.list(keyOf(2), kind)
    await Promise.all([store.close(), store.close()])
    expect(level.status).toBe('closed')
    expect(await Promise.all(calls)).toEqual(['stored', true, [record(2)]])
    expect(await reading).toEqual([record(2)])
    expect(() => store.put(record(3))).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    await expect(store.entries().next()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(store.reopen()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect((await again(level)).report).toMatchObject({ records: 1, isComplete: true })
  })
})

describe('a batch that fails', () => {
  test('rejects its calls and those behind it, and leaves all as it was', async () => {
    const { level, store } = await opened({ recordsMax: 6 })
    for (let i = 0; i < 6; i++) await store.put(record(i, { expiresAtMs: 10 + i, source: Uint8Array.of(i % 2) }))
    const before = { held: await held(store), stats: store.stats() }
    let fail = () => {}
    level.faults.beforeBatch = () => new Promise((_, reject) => (fail = () => reject(NO_SPACE)))
    const first = [
      store.put(record(0, { record: new Uint8Array(50), source: Uint8Array.of(9) })),
      store.put(record(7, { expiresAtMs: 500, source: Uint8Array.of(3) })),
      store.removeExpired(12),
      store.put(record(1, { expiresAtMs: 900 })),
    ]
    await new Promise((resolve) => setTimeout(resolve, 5))
    const second = [
      store.delete(keyOf(7), kind, slot),
      store.put(record(3, { record: new Uint8Array(0) })),
      store.put(record(8, { expiresAtMs: 501, source: Uint8Array.of(4) })),
      store.delete(keyOf(3), kind, slot),
      store.put(record(3, { source: Uint8Array.of(5) })),
    ]
    const outcomes = Promise.allSettled([...first, ...second])
    fail()
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORE_FULL', cause: NO_SPACE } })
    }
    expect({ held: await held(store), stats: store.stats() }).toEqual(before)
    for (let i = 0; i < 6; i++) {
      expect(await store.list(keyOf(i), kind)).toEqual([
        record(i, { expiresAtMs: 10 + i, source: Uint8Array.of(i % 2) }),
      ])
    }
    expect(store.failure).toMatchObject({ code: 'ERR_STORE_FULL' })
    expect(() => store.put(record(9))).toThrow(expect.objectContaining({ code: 'ERR_STORE_FULL', cause: NO_SPACE }))
    expect(() => store.delete(keyOf(1), kind, slot)).toThrow(expect.objectContaining({ code: 'ERR_STORE_FULL' }))

    level.faults.beforeBatch = () => {}
    expect(await store.removeExpired(0)).toBe(0)
    expect(store.failure).toBeUndefined()
    expect({ held: await held(store), stats: store.stats() }).toEqual(before)
    expect(store.report).toMatchObject({ records: 6, isComplete: true })
    expect(await store.put(record(9, { source: Uint8Array.of(6), expiresAtMs: 99 }))).toBe('stored')
  })

  test('has another code where the disk is not full', async () => {
    const { level, store } = await opened()
    level.faults.beforeBatch = () => {
      throw levelError('LEVEL_IO_ERROR', 'IO error: 5')
    }
    await expect(store.put(record(1))).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
  })

  test('is served from memory while the database can not be opened again, and heals by itself', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 200; i++) await store.put(record(i))
    const fail = () => {
      throw NO_SPACE
    }
    level.faults.beforeBatch = fail
    await expect(store.put(record(500))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    level.faults.beforeOpen = fail
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(store.removeExpired(0)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
      expect(level.status).toBe('closed')
      expect(level.opened).toBe(2 + attempt)
      for (const i of [0, 77, 199]) expect(store.list(keyOf(i), kind)).toEqual([record(i)])
      expect(store.list(keyOf(500), kind)).toEqual([])
      expect(await held(store)).toHaveLength(200)
    }
    level.faults.beforeBatch = () => {}
    level.faults.beforeOpen = () => {}
    expect(await store.removeExpired(1_000)).toBe(200)
    expect(await store.put(record(1))).toBe('stored')
    await store.close()
  })

  test('leaves reads that go on meanwhile, and ends what reads all', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 200; i++) await store.put(record(i))
    const all = store.entries()
    await all.next()
    level.faults.beforeBatch = () => {
      throw NO_SPACE
    }
    await expect(store.put(record(500))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    level.faults.beforeBatch = () => {}
    const healed = store.reopen()
    const listed = store.list(keyOf(3), kind)
    await Promise.all([healed, store.reopen()])
    expect(level.opened).toBe(2)
    expect(await listed).toEqual([record(3)])
    await expect(all.next()).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    expect(await held(store)).toHaveLength(200)
  })
})

test('what expires while the database is opened again is removed afterwards, and all agrees', async () => {
  for (const turns of [0, 1, 3, 6, 10, 15, 20, 30, 40, 60, 80, 120]) {
    const { level, store } = await opened()
    const expiresAtMs = (i: number): number => (i < 20 ? 500 : 1_000)
    await Promise.all(Array.from({ length: 1_200 }, (_, i) => store.put(record(i, { expiresAtMs: expiresAtMs(i) }))))
    const reopening = store.reopen()
    for (let i = 0; i < turns; i++) await undefined
    expect(await store.removeExpired(500)).toBe(20)
    await reopening
    expect(store.stats().records).toBe(1_180)
    expect(await held(store)).toHaveLength(1_180)
    await store.close()
    expect((await again(level)).report).toMatchObject({ records: 1_180, missing: 0, isComplete: true, wasClosed: true })
  }
})

describe('a record that is damaged while the store is open', () => {
  test('is dropped, counted and never returned', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 3; i++) await store.put(record(i))
    const [key, value] = (await level.entries()).find(([one]) => one[6] === 1) as [Uint8Array, Uint8Array]
    value[value.length - 1]! ^= 1
    await level.inner.put(key, value)
    expect(await store.list(keyOf(1), kind)).toEqual([])
    expect(store.dropped).toBe(1)
    expect(store.stats().records).toBe(2)
    expect(await held(store)).toEqual([0, 2])
    await store.close()
    expect((await again(level)).report).toMatchObject({ records: 2, corrupt: 0, isComplete: true })
  })

  test('leaves others that are read with it', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 100; i++) await store.put(record(i))
    level.faults.beforeGet = (keys) => {
      if (keys.some((key) => key[6] === 50)) throw levelError('LEVEL_CORRUPTION', 'bad block')
    }
    expect(await held(store)).toEqual(Array.from({ length: 100 }, (_, i) => i).filter((i) => i !== 50))
    expect(store.dropped).toBe(1)
    level.faults.beforeGet = () => {
      throw levelError('LEVEL_DATABASE_NOT_OPEN', 'gone')
    }
    await expect(store.list(keyOf(1), kind)).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    level.faults.beforeGet = () => {}
    expect(await store.list(keyOf(1), kind)).toEqual([record(1)])
  })

  test('is told from one that only can not be read now: that stays, and comes back', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 10; i++) await store.put(record(i))
    level.faults.beforeGet = (keys) => {
      if (keys.some((key) => key[6] === 5)) throw levelError('LEVEL_IO_ERROR', 'too many open files')
    }
    expect(await store.list(keyOf(5), kind)).toEqual([])
    expect(await held(store)).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9])
    expect(store.dropped).toBe(0)
    level.faults.beforeGet = () => {}
    expect(await store.list(keyOf(5), kind)).toEqual([record(5)])
    expect(await held(store)).toHaveLength(10)
  })

  test('is told from one that is replaced or deleted while it is read', async () => {
    const { level, store } = await opened()
    for (let i = 0; i < 3; i++) await store.put(record(i))
    level.faults.beforeGet = async () => {
      level.faults.beforeGet = () => {}
      await store.delete(keyOf(0), kind, slot)
      await store.put(record(0, { record: Uint8Array.of(9) }))
      await store.delete(keyOf(1), kind, slot)
    }
    const [replaced] = await Promise.all([store.list(keyOf(0), kind)])
    expect(replaced.map(({ record }) => record)).toEqual([Uint8Array.of(9)])
    level.faults.beforeGet = async () => {
      level.faults.beforeGet = () => {}
      await store.delete(keyOf(2), kind, slot)
    }
    expect(await store.list(keyOf(2), kind)).toEqual([])
    expect(store.dropped).toBe(0)
  })
})

describe('the node’s own state', () => {
  const id = new Uint8Array(32).fill(1)
  const secretKey = new Uint8Array(32).fill(2)
  const contacts = [
    { id: new Uint8Array(32).fill(3), address: '192.0.2.1:7400' },
    { id: new Uint8Array(32).fill(4), address: '[2001:db8::1]:7400' },
  ]

  test('is kept in parts, and comes back', async () => {
    const { level, store } = await opened()
    expect(store.nodeState.loaded).toEqual({})
    const given = id.slice()
    const saving = store.nodeState.save({ id: given })
    given.fill(9)
    await saving
    await store.nodeState.save({ secretKey })
    await store.nodeState.save({ contacts })
    expect(store.nodeState.loaded).toEqual({})
    const next = await again(level)
    expect(next.nodeState.loaded).toEqual({ id, secretKey, contacts })
    expect(next.report).toMatchObject({ records: 0, isComplete: true })
    await next.nodeState.save({ contacts: [] })
    expect((await again(level)).nodeState.loaded).toEqual({ id, secretKey, contacts: [] })
  })

  test('is bounded', async () => {
    const { level, store } = await opened()
    const many = Array.from({ length: 3_000 }, (_, i) => ({ id, address: `192.0.2.1:${i + 1}` }))
    await store.nodeState.save({ contacts: [{ id, address: 'x'.repeat(256) }, ...many] })
    const { contacts: kept } = (await again(level)).nodeState.loaded
    expect(kept).toEqual(many.slice(0, 1_023))
    expect(() => store.nodeState.save({ id: new Uint8Array(256) })).toThrow(RangeError)
  })

  test('that is not intact is left out, and told', async () => {
    const { level, store } = await opened()
    await store.nodeState.save({ id, secretKey, contacts })
    for (const [key, value] of await level.entries()) {
      if (key[1] !== 0x69) continue
      value[9]! ^= 1
      await level.inner.put(key, value)
    }
    const next = await again(level)
    expect(next.nodeState.loaded).toEqual({ contacts })
    expect(next.report).toMatchObject({ corrupt: 1, isComplete: false })
  })

  test('that can not be written stays what it was', async () => {
    const { level, store } = await opened()
    await store.nodeState.save({ id })
    level.faults.beforeBatch = () => {
      throw NO_SPACE
    }
    await expect(store.nodeState.save({ secretKey })).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect(() => store.nodeState.save({ secretKey })).toThrow(expect.objectContaining({ code: 'ERR_STORE_FULL' }))
    level.faults.beforeBatch = () => {}
    await store.reopen()
    await store.nodeState.save({ contacts })
    expect((await again(level)).nodeState.loaded).toEqual({ id, contacts })
  })
})
