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
