import { describe, expect, test } from 'vitest'
import { usableBy, worthAsking } from '../../../src/node/contact-filter.js'
import { Simulator } from '../../../src/testing/index.js'
import { Flag } from '../../../src/wire/index.js'

const { transport } = new Simulator({ seed: 1 }).host()
const id = new Uint8Array(32)
const LOOPBACK = '127.0.0.1:1'
const PRIVATE = '192.168.0.1:1'
const PUBLIC = '41.0.0.1:1'
const LOOPBACK_6 = '[::1]:1'
const PRIVATE_6 = '[fd00::1]:1'
const PUBLIC_6 = '[2001:db8::1]:1'
const ALL = [LOOPBACK, PRIVATE, PUBLIC, LOOPBACK_6, PRIVATE_6, PUBLIC_6]
const BOTH = Flag.ipv4 | Flag.ipv6

const told = (asker: string, flags: number): string[] => {
  const request = { from: { id, address: asker }, flags, roomBytes: 1_000, prove: () => {} }
  return ALL.filter((address) => usableBy(transport, request)({ id, address }))
}
const asked = (teller: string): string[] =>
  worthAsking(
    transport,
    ALL.map((address) => ({ id, address })),
    teller,
  ).map(({ address }) => address)

describe('whom a node names', () => {
  test('to a public asker: public contacts alone', () => {
    expect(told('41.9.9.9:9', BOTH)).toEqual([PUBLIC, PUBLIC_6])
  })

  test('to a private asker: private and public ones', () => {
    expect(told('10.0.0.9:9', BOTH)).toEqual([PRIVATE, PUBLIC, PRIVATE_6, PUBLIC_6])
  })

  test('to an asker on the same machine: all', () => {
    expect(told('127.0.0.1:9', BOTH)).toEqual(ALL)
  })

  test('contacts of the families that the asker speaks alone', () => {
    expect(told('127.0.0.1:9', Flag.ipv4)).toEqual([LOOPBACK, PRIVATE, PUBLIC])
    expect(told('127.0.0.1:9', Flag.ipv6 | Flag.client)).toEqual([LOOPBACK_6, PRIVATE_6, PUBLIC_6])
    expect(told('127.0.0.1:9', 0)).toEqual([])
  })

  test('never the asker itself', () => {
    expect(told(PUBLIC, BOTH)).toEqual([PUBLIC_6])
  })

  test('an address of another kind than IP goes to everybody: who asks knows whether it can use it', () => {
    const other = {
      ...transport,
      describe: () => ({ host: id, group: id, scope: 'public' as const }),
      encodeAddress: () => Uint8Array.of(16, 1, 0),
    }
    const request = { from: { id, address: 'asker' }, flags: 0, roomBytes: 1_000, prove: () => {} }
    expect(usableBy(other, request)({ id, address: 'peer' })).toBe(true)
  })
})

describe('whom a node asks', () => {
  test('of what a public node told: public addresses alone, so that nobody makes us probe our own network', () => {
    expect(asked('41.9.9.9:9')).toEqual([PUBLIC, PUBLIC_6])
  })

  test('of what a private node told: no loopback addresses', () => {
    expect(asked('10.0.0.9:9')).toEqual([PRIVATE, PUBLIC, PRIVATE_6, PUBLIC_6])
  })

  test('of what a node on the same machine told: all', () => {
    expect(asked('[::1]:9')).toEqual(ALL)
  })
})
