import { afterEach, describe, expect, test, vi } from 'vitest'
import { nobleSignatures } from '../../../src/platform/ed25519.js'
import { systemClock, systemRandomBytes, systemSignatures } from '../../../src/platform/system.js'

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function called(delayMs: number): Promise<number> {
  const start = systemClock.now()
  return new Promise((resolve) => systemClock.after(delayMs, () => resolve(systemClock.now() - start)))
}

describe('systemClock', () => {
  test('wallNow is the time of day and does not follow a clock that is set', () => {
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(60_000)
    vi.useFakeTimers({ toFake: ['Date'], now: 0 })
    expect(Date.now()).toBeLessThan(1_000)
    expect(systemClock.wallNow()).toBeGreaterThan(1.7e12)
  })

  test('time never runs backwards', () => {
    let [now, wallNow] = [systemClock.now(), systemClock.wallNow()]
    for (let i = 0; i < 1_000; i++) {
      expect(systemClock.now()).toBeGreaterThanOrEqual(now)
      expect(systemClock.wallNow()).toBeGreaterThanOrEqual(wallNow)
      now = systemClock.now()
      wallNow = systemClock.wallNow()
    }
  })

  test('never calls back early', async () => {
    const delaysMs = [0, 0.3, 1, 1.5, 2.9, 7, 11.1]
    const tookMs = await Promise.all(delaysMs.map(called))
    for (const [i, delayMs] of delaysMs.entries()) expect(tookMs[i]).toBeGreaterThanOrEqual(delayMs)
  })

  test('takes NaN and negative delays as 0, and calls back later, not at once', async () => {
    for (const delayMs of [Number.NaN, -5, Number.NEGATIVE_INFINITY]) {
      let done = false
      const pending = new Promise<void>((resolve) => {
        systemClock.after(delayMs, () => {
          done = true
          resolve()
        })
      })
      expect(done).toBe(false)
      await pending
    }
  })

  test('chains delays that are too long for one timer', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const delayMs = 2 ** 31 * 3 + 17
    let calls = 0
    systemClock.after(delayMs, () => calls++)
    const cancelled = systemClock.after(delayMs, () => {
      throw new Error('cancelled')
    })
    systemClock.after(Number.POSITIVE_INFINITY, () => {
      throw new Error('never')
    })
    vi.advanceTimersByTime(2 ** 31 * 2)
    cancelled()
    vi.advanceTimersByTime(2 ** 31 + 16)
    expect(calls).toBe(0)
    vi.advanceTimersByTime(1)
    expect(calls).toBe(1)
    vi.advanceTimersByTime(2 ** 31 * 4)
    expect(calls).toBe(1)
  })

  test('a cancelled call does not come, and cancelling late or twice does nothing', async () => {
    const cancel = systemClock.after(1, () => {
      throw new Error('cancelled')
    })
    cancel()
    cancel()
    let calls = 0
    const late = systemClock.after(1, () => calls++)
    await called(10)
    late()
    late()
    expect(calls).toBe(1)
  })

  test('works where timers are numbers', async () => {
    const real = globalThis.setTimeout
    vi.stubGlobal('setTimeout', (callback: () => void, delayMs: number) => Number(real(callback, delayMs)))
    expect(await called(2)).toBeGreaterThanOrEqual(2)
  })

  test('a pending call keeps no process alive', () => {
    const timer = { unref: vi.fn() }
    vi.stubGlobal('setTimeout', () => timer)
    systemClock.after(60_000, () => {})
    expect(timer.unref).toHaveBeenCalledOnce()
  })
})

describe('systemRandomBytes', () => {
  test('has exactly the length asked for, also past the 65,536 bytes of one call', () => {
    for (const length of [0, 1, 8, 32, 64, 65, 1_024, 65_536, 65_537, 200_001]) {
      const bytes = systemRandomBytes(length)
      expect(bytes.length).toBe(length)
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
    }
    expect(
      systemRandomBytes(200_001)
        .subarray(-32)
        .every((byte) => byte === 0),
    ).toBe(false)
  })

  test('never hands out memory that another request sees', () => {
    const buffers = new Set<ArrayBufferLike>()
    const values = new Set<string>()
    for (let i = 0; i < 2_000; i++) {
      const bytes = systemRandomBytes(8)
      expect(bytes.buffer.byteLength).toBe(8)
      buffers.add(bytes.buffer)
      values.add(bytes.join())
      bytes.fill(0)
    }
    expect(buffers.size).toBe(2_000)
    expect(values.size).toBe(2_000)
  })

  test('every byte value comes up', () => {
    const seen = new Set<number>()
    for (let i = 0; i < 400; i++) for (const byte of systemRandomBytes(16)) seen.add(byte)
    expect(seen.size).toBe(256)
  })

  test('rejects what is no length', () => {
    for (const length of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '8', undefined]) {
      expect(() => systemRandomBytes(length as number)).toThrow(RangeError)
    }
  })
})

describe('systemSignatures', () => {
  const message = Uint8Array.of(1, 2, 3)
  const seed = new Uint8Array(32).fill(3)
  const expected = nobleSignatures(systemRandomBytes).sign(message, seed)

  test('signs and verifies', () => {
    expect(systemSignatures.sign(message, seed)).toEqual(expected)
    const { publicKey } = systemSignatures.generate(seed)
    expect(systemSignatures.verify(expected, message, publicKey)).toBe(true)
    expect(systemSignatures.verify(expected, seed, publicKey)).toBe(false)
  })

  test.each([
    ['no process', undefined],
    ['a process without getBuiltinModule', {}],
    ['no node:crypto', { getBuiltinModule: () => undefined }],
    [
      'a node:crypto without Ed25519',
      {
        getBuiltinModule: () => ({
          createPrivateKey: () => {
            throw new Error('unsupported')
          },
        }),
      },
    ],
  ])('falls back to plain JavaScript with %s', async (_, process) => {
    vi.resetModules()
    const fresh = await import('../../../src/platform/system.js')
    vi.stubGlobal('process', process)
    try {
      expect(fresh.systemSignatures.sign(message, seed)).toEqual(expected)
      expect(fresh.systemSignatures.verify(expected, message, fresh.systemSignatures.generate(seed).publicKey)).toBe(
        true,
      )
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test('asks for node:crypto at the first use, once, and not at import', async () => {
    vi.resetModules()
    const getBuiltinModule = vi.spyOn(process, 'getBuiltinModule')
    try {
      const fresh = await import('../../../src/platform/system.js')
      const before = getBuiltinModule.mock.calls.filter(([name]) => name === 'node:crypto').length
      fresh.systemSignatures.generate()
      fresh.systemSignatures.generate()
      const after = getBuiltinModule.mock.calls.filter(([name]) => name === 'node:crypto').length
      expect([before, after]).toEqual([0, 1])
    } finally {
      getBuiltinModule.mockRestore()
    }
  })
})
