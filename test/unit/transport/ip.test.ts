import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Endpoint } from '../../../src/transport/ip.js'
import {
  decodeEndpoint,
  encodeEndpoint,
  formatEndpoint,
  formatIp,
  groupBytes,
  hostBytes,
  isHostName,
  isUnicast,
  parseEndpoint,
  parseIp,
  scopeOf,
} from '../../../src/transport/ip.js'

describe('spelling', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['0.0.0.0', '0.0.0.0'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    // RFC 5952, 4.2.2: one zero group is written, not compressed.
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // 4.2.3: the longest run, and of equal ones the first.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['FE80::1%2', 'fe80::1%2'],
  ])('%s is spelled %s', (text, spelling) => {
    const parsed = parseIp(text)
    expect(parsed && formatIp(parsed)).toBe(spelling)
  })

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.-4',
    '0x7f.1.1.1',
    ' 1.2.3.4',
    '1.2.3.4%eth0',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '1::2::3',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:',
    '12345::',
    '::g',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::1.2.3',
    '::1%eth0',
    '2001:db8::1%eth0',
    'fe80::1%',
    'fe80::1%a b',
    'fe80::1%a%b',
    '[::1]',
  ])('%j is no IP address', (text) => {
    expect(parseIp(text)).toBeUndefined()
  })

  test.each([
    ['203.0.113.7:7400', '203.0.113.7:7400'],
    ['[2001:DB8:0::1]:65535', '[2001:db8::1]:65535'],
    ['[::ffff:203.0.113.7]:1', '203.0.113.7:1'],
    ['[fe80::1%eth0]:7400', '[fe80::1%eth0]:7400'],
  ])('%s is the endpoint %s', (text, spelling) => {
    const parsed = parseEndpoint(text)
    expect(parsed && formatEndpoint(parsed)).toBe(spelling)
  })

  test.each([
    '',
    '203.0.113.7',
    '203.0.113.7:',
    '203.0.113.7:0',
    '203.0.113.7:07400',
    '203.0.113.7:65536',
    '203.0.113.7:-1',
    '203.0.113.7:1e3',
    '203.0.113.7:7400 ',
    '[203.0.113.7]:7400',
    '2001:db8::1:7400',
    '[2001:db8::1]',
    '[]:7400',
    ':7400',
    'localhost:7400',
    '203.0.113.7:7400\n',
  ])('%j is no endpoint', (text) => {
    expect(parseEndpoint(text)).toBeUndefined()
  })

  test('what Node.js takes for an address is read, and the spelling is read back', () => {
    const texts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{0,20}$/))
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseIp(text)
        expect(parsed !== undefined).toBe(isIP(text) !== 0)
        if (parsed !== undefined) expect(parseIp(formatIp(parsed))).toEqual(parsed)
      }),
    )
  })

  test('IPv6 is spelled as the URL standard does', () => {
    fc.assert(
      fc.property(zeroRichIpv6(), (ip) => {
        const text = formatIp({ kind: 6, ip, zone: '' })
        expect(`[${text}]`).toBe(new URL(`http://[${text}]`).hostname)
      }),
    )
  })
})

describe('bytes', () => {
  test('IPv4 takes 7 bytes', () => {
    expect(encodeEndpoint(endpoint('203.0.113.7:7400'))).toEqual(Uint8Array.of(4, 203, 0, 113, 7, 0x1c, 0xe8))
  })

  test('IPv6 takes 19 bytes', () => {
    expect(encodeEndpoint(endpoint('[2001:db8::1]:7400'))).toEqual(
      Uint8Array.of(6, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1c, 0xe8),
    )
  })

  test('an IPv4-mapped address decodes to IPv4', () => {
    const mapped = Uint8Array.of(6, ...new Array(10).fill(0), 0xff, 0xff, 203, 0, 113, 7, 0x1c, 0xe8)
    expect(decodeEndpoint(mapped)).toEqual(endpoint('203.0.113.7:7400'))
  })

  test.each([
    ['nothing', []],
    ['a kind alone', [4]],
    ['an unknown kind', [5, 203, 0, 113, 7, 0x1c, 0xe8]],
    ['6 bytes', [4, 203, 0, 113, 7, 0x1c]],
    ['8 bytes', [4, 203, 0, 113, 7, 0x1c, 0xe8, 0]],
    ['IPv6 with the length of IPv4', [6, 203, 0, 113, 7, 0x1c, 0xe8]],
    ['port 0', [4, 203, 0, 113, 7, 0, 0]],
  ])('%s decodes to nothing', (_, bytes) => {
    expect(decodeEndpoint(Uint8Array.from(bytes))).toBeUndefined()
  })

  test('decoding gives back what was encoded, and keeps no view', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (ip, port) => {
        const original = endpoint(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)
        const bytes = encodeEndpoint(original)
        const decoded = decodeEndpoint(bytes)
        bytes.fill(0)
        expect(decoded).toEqual(original)
      }),
    )
  })
})

describe('classes', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['169.254.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['fc00::1', 'private'],
    ['fdff::1', 'private'],
    ['fe80::1', 'private'],
    ['febf::1', 'private'],
    ['0.0.0.0', 'private'],
    ['::', 'private'],
    ['9.255.255.255', 'public'],
    ['11.0.0.1', 'public'],
    ['126.0.0.1', 'public'],
    ['128.0.0.1', 'public'],
    ['172.15.0.1', 'public'],
    ['172.32.0.1', 'public'],
    ['192.169.0.1', 'public'],
    ['169.253.0.1', 'public'],
    ['100.63.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['fbff::1', 'public'],
    ['2001:db8::1', 'public'],
    ['fec0::1', 'public'],
  ])('%s is %s', (text, scope) => {
    expect(scopeOf(endpointOf(text))).toBe(scope)
  })

  test.each([
    ['1.0.0.0', true],
    ['223.255.255.255', true],
    ['127.0.0.1', true],
    ['::1', true],
    ['2001:db8::1', true],
    ['fe80::1%eth0', true],
    ['0.0.0.0', false],
    ['0.1.2.3', false],
    ['224.0.0.1', false],
    ['239.255.255.255', false],
    ['240.0.0.1', false],
    ['255.255.255.255', false],
    ['::', false],
    ['::2', false],
    ['::1.2.3.4', false],
    ['::ffff:0.0.0.0', false],
    ['::ffff:224.0.0.1', false],
    ['ff02::1', false],
    ['fe80::1', false],
  ])('that %s can be sent to is %s', (text, expected) => {
    expect(isUnicast(endpointOf(text))).toBe(expected)
  })

  test('a host is its kind and address, a group the /24 or the /64', () => {
    expect(hostBytes(endpointOf('203.0.113.7'))).toEqual(Uint8Array.of(4, 203, 0, 113, 7))
    expect(groupBytes(endpointOf('203.0.113.7'))).toEqual(Uint8Array.of(4, 203, 0, 113))
    const ipv6 = [0x20, 1, 0x0d, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]
    expect(hostBytes(endpointOf('2001:db8:1:2::3'))).toEqual(Uint8Array.of(6, ...ipv6))
    expect(groupBytes(endpointOf('2001:db8:1:2::3'))).toEqual(Uint8Array.of(6, ...ipv6.slice(0, 8)))
  })
})

describe('names', () => {
  test.each([
    'localhost',
    'a.example.com',
    'a.example.com.',
    'xn--bcher-kva.example',
    'bücher.example',
    '3com.com',
    '_x.y',
  ])('%s can be a DNS name', (name) => {
    expect(isHostName(name)).toBe(true)
  })

  test.each([
    '',
    '.',
    'a..b',
    'a b',
    'a/b',
    'user@host',
    '127.1',
    '999.1.1.1',
    '0x7f000001',
    '1.2.3.4.',
    'a'.repeat(64),
  ])('%j can not be a DNS name', (name) => {
    expect(isHostName(name)).toBe(false)
  })
})

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  if (parsed === undefined) throw new Error(`${text} was not read`)
  return parsed
}

function endpointOf(ip: string): Endpoint {
  return endpoint(ip.includes(':') ? `[${ip}]:7400` : `${ip}:7400`)
}

/** Half of the groups are zero, so that runs of them are the rule. */
function zeroRichIpv6(): fc.Arbitrary<Uint8Array> {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
  return fc
    .array(group, { minLength: 8, maxLength: 8 })
    .map((groups) => Uint8Array.from(groups.flatMap((value) => [value >> 8, value & 0xff])))
}
