import { expect, test } from 'vitest'
import { ParsedAddresses } from '../../../src/transport/parsed-addresses.js'

test('an address is read once while it is in use, and forgotten under a flood of others', () => {
  const addresses = new ParsedAddresses(4)
  const first = addresses.read('203.0.113.7:7400')
  for (let port = 1; port <= 40; port++) {
    addresses.read(`203.0.113.8:${port}`)
    if (port % 3 === 0) expect(addresses.read('203.0.113.7:7400')).toBe(first)
  }
  for (let port = 1; port <= 8; port++) addresses.read(`203.0.113.8:${port}`)
  expect(addresses.read('203.0.113.7:7400')).not.toBe(first)
  expect(addresses.read('203.0.113.7:7400')).toEqual(first)
})

test('what is no address is undefined each time', () => {
  const addresses = new ParsedAddresses(4)
  for (const junk of ['', 'localhost:7400', undefined, 7]) {
    expect(addresses.read(junk as string)).toBeUndefined()
    expect(addresses.read(junk as string)).toBeUndefined()
  }
})

test('an address is one object and one string, in whatever spelling or bytes it comes', () => {
  const addresses = new ParsedAddresses(4)
  const first = addresses.read('[::ffff:203.0.113.7]:7400')
  expect(first?.address).toBe('203.0.113.7:7400')
  expect(addresses.read('203.0.113.7:7400')).toBe(first)
  expect(addresses.readBytes(Uint8Array.of(4, 203, 0, 113, 7, 0x1c, 0xe8))).toBe(first)
  const sixth = addresses.read('[2001:db8::1]:7400')
  expect(addresses.readBytes(sixth?.encoded as Uint8Array)).toBe(sixth)
})

test('the bytes of an address are read as its text is, known or not', () => {
  const known = new ParsedAddresses(4)
  const bytes = Uint8Array.of(4, 203, 0, 113, 7, 0, 80)
  for (let port = 1; port <= 20; port++) {
    bytes[6] = port
    const parsed = known.readBytes(bytes)
    expect(parsed).toEqual(new ParsedAddresses(4).read(`203.0.113.7:${port}`))
    expect(known.readBytes(bytes)).toBe(parsed)
  }
  for (const junk of [[], [4], [4, 203, 0, 113, 7, 0, 0], [5, 203, 0, 113, 7, 0, 80], [4, 203, 0, 113, 7, 0, 80, 0]]) {
    expect(known.readBytes(Uint8Array.from(junk))).toBeUndefined()
  }
})
