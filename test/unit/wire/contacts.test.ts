import { describe, expect, test } from 'vitest'
import type { Contact } from '../../../src/keyspace/index.js'
import { Simulator } from '../../../src/testing/index.js'
import { createContactPacker, Flag, familyFlags } from '../../../src/wire/index.js'
import { countUp } from './raw.js'

const { transport } = new Simulator({ seed: 1 }).host()
const packer = createContactPacker(transport)
const contact = (first: number, address: string): Contact => ({ id: countUp(32, first), address })

const IPV4 = contact(1, '203.0.113.7:7400')
const IPV6 = contact(2, '[2001:db8::1]:7400')
const OTHER = contact(3, '198.51.100.9:1')
const { bytes: TWO } = packer.pack([IPV4, IPV6], 1200)

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))
const packed = (...contacts: Contact[]) => packer.pack(contacts, 1200).bytes

describe('pack', () => {
  test('writes id, kind byte, host and port', () => {
    expect(packed(IPV4)).toEqual(join(IPV4.id, Uint8Array.of(4, 203, 0, 113, 7, 0x1c, 0xe8)))
    expect(packed(IPV6)).toHaveLength(32 + 19)
    expect(TWO).toEqual(join(packed(IPV4), packed(IPV6)))
  })

  test('takes as many as fit, in their order', () => {
    expect(packer.pack([IPV4, IPV6, OTHER], 39 + 51)).toEqual({ bytes: TWO, count: 2 })
    expect(packer.pack([IPV4, IPV6, OTHER], 39 + 50)).toEqual({ bytes: packed(IPV4), count: 1 })
    for (const roomBytes of [38, 0, -100]) {
      expect(packer.pack([IPV4], roomBytes)).toEqual({ bytes: new Uint8Array(0), count: 0 })
    }
  })
})

describe('unpack', () => {
  test('reads contacts of mixed kinds', () => {
    expect(packer.unpack(packed(IPV4, IPV6, OTHER), 20)).toEqual({ contacts: [IPV4, IPV6, OTHER], count: 3 })
    expect(packer.unpack(new Uint8Array(0), 20)).toEqual({ contacts: [], count: 0 })
  })

  test('copies the ids', () => {
    const bytes = packed(IPV4)
    const { contacts } = packer.unpack(bytes, 20)
    bytes.fill(0)
    expect(contacts).toEqual([IPV4])
  })

  test('skips an address that it can not use, and counts it', () => {
    const useless = [
      [4, 203, 0, 113, 7, 0, 0], // port 0
      [4, 224, 0, 0, 1, 0, 1], // multicast
      [6, ...Array<number>(18).fill(0)],
      [16, 0], // a kind of the future
      [255, 62, ...Array<number>(62).fill(1)],
    ]
    for (const address of useless) {
      const bytes = join(packed(IPV4), IPV6.id, Uint8Array.from(address), packed(OTHER))
      expect(packer.unpack(bytes, 20), String(address)).toEqual({ contacts: [IPV4, OTHER], count: 3 })
    }
  })

  test('ends at a kind whose length can not be known', () => {
    for (const kind of [0, 1, 2, 3, 5, 7, 15]) {
      const bytes = join(packed(IPV4), IPV6.id, Uint8Array.of(kind, 1, 2, 3, 4, 5, 6), packed(OTHER))
      expect(packer.unpack(bytes, 20)).toEqual({ contacts: [IPV4], count: 1 })
    }
    const tooLong = join(packed(IPV4), IPV6.id, Uint8Array.of(16, 63), countUp(63), packed(OTHER))
    expect(packer.unpack(tooLong, 20)).toEqual({ contacts: [IPV4], count: 1 })
  })

  test('of a cut list reads the contacts that are whole', () => {
    const whole = packed(IPV4, IPV6, OTHER)
    for (let length = 0; length < whole.length; length++) {
      const count = length < 39 ? 0 : length < 90 ? 1 : 2
      const expected = { contacts: [IPV4, IPV6].slice(0, count), count }
      expect(packer.unpack(whole.slice(0, length), 20)).toEqual(expected)
    }
  })

  test('reads no more than it is told to', () => {
    const bytes = packed(...Array.from({ length: 25 }, (_, i) => contact(i, `203.0.113.${i + 1}:7400`)))
    expect(packer.unpack(bytes, 20).count).toBe(20)
    expect(packer.unpack(bytes, 0)).toEqual({ contacts: [], count: 0 })
  })

  test('reads IPv4 in the clothes of IPv6 as IPv4', () => {
    const mapped = Uint8Array.from([6, ...Array<number>(10).fill(0), 0xff, 0xff, 203, 0, 113, 7, 0x1c, 0xe8])
    expect(packer.unpack(join(IPV4.id, mapped), 20)).toEqual({ contacts: [IPV4], count: 1 })
  })
})

describe('familyFlags', () => {
  const onlyKinds = (kinds: readonly number[]) => ({
    decodeAddress(bytes: Uint8Array) {
      if (!kinds.includes(bytes[0] as number)) throw new Error('no such family')
      return transport.decodeAddress(bytes)
    },
  })

  test('tell which families the transport can send to', () => {
    expect(familyFlags(transport)).toBe(Flag.ipv4 | Flag.ipv6)
    expect(familyFlags(onlyKinds([4]))).toBe(Flag.ipv4)
    expect(familyFlags(onlyKinds([6]))).toBe(Flag.ipv6)
    expect(familyFlags(onlyKinds([]))).toBe(0)
  })
})
