import { expect, test } from 'vitest'
import { encodeImmutable, immutableKind, immutableValue } from '../../../src/records/index.js'
import { asView, text } from './record-fixture.js'

test('the limits are those of the protocol: the longest value fills a record', () => {
  const { code, name, recordBytesMax, slotsPerKeyMax, isRelayed, isFirstEnough } = immutableKind
  expect({ code, name, recordBytesMax, slotsPerKeyMax, isRelayed, isFirstEnough }).toEqual({
    code: 0,
    name: 'immutable',
    recordBytesMax: 881,
    slotsPerKeyMax: 1,
    isRelayed: true,
    isFirstEnough: true,
  })
  expect(encodeImmutable(new Uint8Array(880)).record.length).toBe(881)
})

test('the value is a copy, also of a Buffer', () => {
  const record = asView(encodeImmutable(text('value')).record)
  const value = immutableValue(record)
  record.fill(0)
  expect(value).toEqual(text('value'))
})

test('merge takes the greater of any two, so that it does not depend on the order', () => {
  const [a, b] = [Uint8Array.of(0, 1), Uint8Array.of(0, 1, 0)]
  expect(immutableKind.merge(a, b)).toBe(b)
  expect(immutableKind.merge(b, a)).toBe(b)
  expect(immutableKind.merge(b, Uint8Array.of(0, 2))).toEqual(Uint8Array.of(0, 2))
})
