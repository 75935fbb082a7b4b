import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WriteTokens } from '../../../src/node/index.js'
import { SeededRandom, Simulator } from '../../../src/testing/index.js'

const LIFETIME_MS = 300_000
const KEY = new Uint8Array(32).fill(7)
const HOST = '41.0.0.1:7400'
const { transport } = new Simulator({ seed: 1 }).host()

function writeTokens({ startMs = 1_000, seed = 1 } = {}) {
  const time = { nowMs: startMs }
  const clock = { now: () => time.nowMs, wallNow: () => 0, after: () => () => {} }
  const random = new SeededRandom(seed)
  const randomBytes = (length: number) => random.bytes(length)
  return { time, tokens: new WriteTokens({ clock, randomBytes, transport, tokenLifetimeMs: LIFETIME_MS }) }
}

test('a token holds for the host and the key that it was given for', () => {
  const { tokens } = writeTokens()
  const token = tokens.issue(HOST, KEY)
  expect(token).toHaveLength(8)
  expect(tokens.isValid(token, HOST, KEY)).toBe(true)
  // Another port: a NAT may have chosen a new one.
  expect(tokens.isValid(token, '41.0.0.1:9', KEY)).toBe(true)
  expect(tokens.isValid(token, '41.0.0.2:7400', KEY)).toBe(false)
  expect(tokens.isValid(token, '[2001:db8::1]:7400', KEY)).toBe(false)
  expect(tokens.isValid(token, HOST, new Uint8Array(32).fill(8))).toBe(false)
})

test('a token of another node does not hold', () => {
  expect(writeTokens({ seed: 2 }).tokens.isValid(writeTokens().tokens.issue(HOST, KEY), HOST, KEY)).toBe(false)
})

test('no part and no extension of a token holds, and no other bytes of its length', () => {
  const { tokens } = writeTokens()
  const token = tokens.issue(HOST, KEY)
  for (let length = 0; length < 8; length++) expect(tokens.isValid(token.slice(0, length), HOST, KEY)).toBe(false)
  expect(tokens.isValid(Uint8Array.of(...token, 0), HOST, KEY)).toBe(false)
  for (let bit = 0; bit < 64; bit++) {
    const changed = token.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
    expect(tokens.isValid(changed, HOST, KEY)).toBe(false)
  }
})

test('none of 100,000 guesses holds', () => {
  const { tokens } = writeTokens()
  const guesses = new SeededRandom('guesses')
  tokens.issue(HOST, KEY)
  let held = 0
  for (let i = 0; i < 100_000; i++) if (tokens.isValid(guesses.bytes(8), HOST, KEY)) held++
  expect(held).toBe(0)
})

test('a token holds from five to ten minutes, also where nobody asked for one meanwhile', () => {
  for (const usedInBetween of [false, true]) {
    for (const [issuedMs, validMs, refusedMs] of [
      [0, 599_999, 600_000],
      [299_999, 599_999, 600_000],
      [300_000, 899_999, 900_000],
    ] as const) {
      for (const atMs of [validMs, refusedMs]) {
        const { time, tokens } = writeTokens({ startMs: 0 })
        time.nowMs = issuedMs
        const token = tokens.issue(HOST, KEY)
        if (usedInBetween) for (time.nowMs += 1_000; time.nowMs < atMs; time.nowMs += 7_000) tokens.issue(HOST, KEY)
        time.nowMs = atMs
        expect(tokens.isValid(token, HOST, KEY)).toBe(atMs === validMs)
      }
    }
  }
})

test('whenever tokens are asked for, one holds until the second change of the secret after it', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(700_000), { minLength: 2, maxLength: 20 }), fc.nat(19), (pauses, pick) => {
      const { time, tokens } = writeTokens({ startMs: 0 })
      const issued: { token: Uint8Array; atMs: number }[] = []
      for (const pauseMs of pauses) {
        time.nowMs += pauseMs
        issued.push({ token: tokens.issue(HOST, KEY), atMs: time.nowMs })
        const { token, atMs } = issued[pick % issued.length]!
        const changes = Math.floor(time.nowMs / LIFETIME_MS) - Math.floor(atMs / LIFETIME_MS)
        expect(tokens.isValid(token, HOST, KEY)).toBe(changes <= 1)
      }
    }),
  )
})

test('the secrets come from the random bytes that the node was given, and change every five minutes', () => {
  const [a, b] = [writeTokens(), writeTokens()]
  const seen = new Set<string>()
  for (let i = 0; i < 5; i++) {
    for (const { time } of [a, b]) time.nowMs = 1_000 + i * LIFETIME_MS
    const token = a.tokens.issue(HOST, KEY)
    expect(b.tokens.issue(HOST, KEY)).toEqual(token)
    expect(a.tokens.issue(HOST, KEY)).toEqual(token)
    seen.add(token.join())
  }
  expect(seen.size).toBe(5)
})
