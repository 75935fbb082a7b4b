/** The family of an IP address, which is also its kind byte on the wire. */
export type IpKind = 4 | 6

/** An IP address: 4 or 16 bytes, and for a link-local one of IPv6 the network interface that it is meant on. */
export interface IpAddress {
  readonly kind: IpKind
  readonly ip: Uint8Array
  /** The zone (RFC 4007), such as `eth0`; empty on all but link-local addresses. */
  readonly zone: string
}

/** An IP address and a UDP port. */
export interface Endpoint extends IpAddress {
  /** 1 to 65,535. */
  readonly port: number
}

/** How many bytes {@link encodeEndpoint} writes: the kind byte, the address and the port. */
const ENCODED_BYTES: Readonly<Record<IpKind, number>> = { 4: 7, 6: 19 }

/** No name and no address is longer (RFC 1035, 2.3.4). */
const HOST_CHARACTERS_MAX = 253

const PORT = /^[1-9]\d{0,4}$/

/** What follows `%`: an interface's name or number. Any name that the systems allow, bounded. */
const ZONE = /^[^\s%[\]/]{1,64}$/

/** No leading zeros: some read them as octal numbers, and then one text means two hosts (RFC 6943, 3.1.1). */
const DOTTED = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

/** ::ffff:0:0/96, IPv4 in the clothes of IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

/** Splits `host:port` or `[host]:port`; undefined where there is no host, or no port from 1 to 65,535. */
function splitHostPort(text: string): { host: string; port: number; bracketed: boolean } | undefined {
  const colon = text.lastIndexOf(':')
  const portText = text.slice(colon + 1)
  const port = Number(portText)
  if (colon < 1 || !PORT.test(portText) || port > 65_535) return undefined
  const bracketed = text[0] === '[' && text[colon - 1] === ']'
  const host = bracketed ? text.slice(1, colon - 1) : text.slice(0, colon)
  if (host === '' || host.length > HOST_CHARACTERS_MAX || /[[\]]/.test(host)) return undefined
  if (!bracketed && host.includes(':')) return undefined
  return { host, port, bracketed }
}

/**
 * Reads an IP address in any of its spellings: `203.0.113.7`, `2001:DB8::1`, `::ffff:203.0.113.7` (which is
 * read as IPv4) or `fe80::1%eth0`.
 *
 * @returns undefined where it is none
 */
export function parseIp(text: string): IpAddress | undefined {
  if (!text.includes(':')) {
    const ip = parseIpv4(text)
    return ip && { kind: 4, ip, zone: '' }
  }
  const percent = text.indexOf('%')
  const zone = percent < 0 ? '' : text.slice(percent + 1)
  const ip = parseIpv6(percent < 0 ? text : text.slice(0, percent))
  if (ip === undefined) return undefined
  if (percent >= 0 && !(isLinkLocal(ip) && ZONE.test(zone))) return undefined
  return isMapped(ip) ? { kind: 4, ip: ip.slice(12), zone: '' } : { kind: 6, ip, zone }
}

/** Reads `203.0.113.7:7400` or `[2001:db8::1]:7400`, in any spelling; undefined where it is neither. */
export function parseEndpoint(address: string): Endpoint | undefined {
  const parts = splitHostPort(address)
  if (parts === undefined) return undefined
  const parsed = parseIp(parts.host)
  // Brackets belong to IPv6 alone (RFC 3986, 3.2.2); an IPv4-mapped address in them is IPv6 as it is written.
  if (parsed === undefined || parts.bracketed !== parts.host.includes(':')) return undefined
  return { ...parsed, port: parts.port }
}

/**
 * Whether the text can be a DNS name, international ones included. One whose last label is a number can not:
 * it is an IP address with a mistake, and `127.1` or `0x7f000001` would be read as one by the system.
 */
export function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.')
  if (text.length > 253 || !labels.every((label) => /^[\p{L}\p{M}\p{N}_-]{1,63}$/u.test(label))) return false
  return !/^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) as string)
}

/** The one spelling of an IP address: dotted, or as RFC 5952 says, which is also how Node.js reports it. */
export function formatIp({ kind, ip, zone }: IpAddress): string {
  if (kind === 4) return `${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}`
  const groups = Array.from({ length: 8 }, (_, i) => ((ip[2 * i] as number) << 8) | (ip[2 * i + 1] as number))
  const gap = longestZeroRun(groups)
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  const text = gap ? `${hex(groups.slice(0, gap.start))}::${hex(groups.slice(gap.end))}` : hex(groups)
  return zone === '' ? text : `${text}%${zone}`
}

/** The one spelling of an IP address with a port. */
export function formatEndpoint(endpoint: Endpoint): string {
  const host = formatIp(endpoint)
  return endpoint.kind === 4 ? `${host}:${endpoint.port}` : `[${host}]:${endpoint.port}`
}

/** Kind byte, address, port in big-endian order. A zone is not written: it means nothing on another machine. */
export function encodeEndpoint({ kind, ip, port }: Endpoint): Uint8Array {
  const bytes = new Uint8Array(ENCODED_BYTES[kind])
  bytes[0] = kind
  bytes.set(ip, 1)
  bytes[ip.length + 1] = port >> 8
  bytes[ip.length + 2] = port & 0xff
  return bytes
}

/** Reads what {@link encodeEndpoint} wrote; undefined where it is not that. IPv4-mapped addresses become IPv4. */
export function decodeEndpoint(bytes: Uint8Array): Endpoint | undefined {
  const kind = bytes[0]
  if ((kind !== 4 && kind !== 6) || bytes.length !== ENCODED_BYTES[kind]) return undefined
  const portAt = bytes.length - 2
  const port = ((bytes[portAt] as number) << 8) | (bytes[portAt + 1] as number)
  if (port === 0) return undefined
  const ip = new Uint8Array(bytes.subarray(1, portAt))
  return kind === 6 && isMapped(ip) ? { kind: 4, ip: ip.slice(12), zone: '', port } : { kind, ip, zone: '', port }
}

/**
 * Reads a place that a user named: an address, or a host name and a port.
 *
 * @throws TypeError when it is neither, or an address that names no single host
 */
export function readPlace(place: string): Endpoint | { readonly hostName: string; readonly port: number } {
  if (typeof place !== 'string') throw new TypeError('an address must be a string')
  const endpoint = parseEndpoint(place)
  if (endpoint !== undefined) {
    if (!isUnicast(endpoint)) throw new TypeError(`nothing can be sent to '${place}': it names no single host`)
    return endpoint
  }
  const parts = splitHostPort(place)
  if (parts === undefined || parts.bracketed || !isHostName(parts.host)) {
    throw new TypeError(`'${place}' is not of the form host:port or [IPv6 address]:port`)
  }
  return { hostName: parts.host, port: parts.port }
}

/** Whether the address is `0.0.0.0` or `::`, which stand for every address of a machine. */
export function isUnspecified({ ip }: IpAddress): boolean {
  return ip.every((byte) => byte === 0)
}

/**
 * Whether one host can be sent to at the address. Not at 0.0.0.0/8 (RFC 1122, 3.2.1.3), multicast, the
 * reserved 240/4 with the broadcast address, ::/96 except ::1 (RFC 4291, 2.5.5.1), nor at a link-local
 * address of IPv6 whose zone is unknown.
 */
export function isUnicast({ kind, ip, zone }: IpAddress): boolean {
  const first = ip[0] as number
  if (kind === 4) return first !== 0 && first < 224
  if (first === 0xff) return false
  if (isLinkLocal(ip)) return zone !== ''
  return ip.subarray(0, 12).some((byte) => byte !== 0) || isLoopback6(ip)
}

/** How far the address reaches (RFC 6890); the unspecified ones are taken for private. */
export function scopeOf(address: IpAddress): 'loopback' | 'private' | 'public' {
  const { kind, ip } = address
  if (isUnspecified(address)) return 'private'
  const first = ip[0] as number
  const second = ip[1] as number
  if (kind === 6) {
    if (isLoopback6(ip)) return 'loopback'
    return (first & 0xfe) === 0xfc || isLinkLocal(ip) ? 'private' : 'public'
  }
  if (first === 127) return 'loopback'
  const isPrivate =
    first === 10 ||
    (first === 172 && second >> 4 === 1) ||
    (first === 192 && second === 168) ||
    (first === 169 && second === 254) || // link-local
    (first === 100 && second >> 6 === 1) // 100.64/10, behind a provider's NAT
  return isPrivate ? 'private' : 'public'
}

/** The kind byte and the address: equal for one host, whatever its port and zone. */
export function hostBytes({ kind, ip }: IpAddress): Uint8Array {
  return withKind(kind, ip)
}

/** The kind byte and the network's part of the address: the /24 of IPv4, the /64 of IPv6. */
export function groupBytes({ kind, ip }: IpAddress): Uint8Array {
  return withKind(kind, ip.subarray(0, kind === 4 ? 3 : 8))
}

function withKind(kind: IpKind, part: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + part.length)
  bytes[0] = kind
  bytes.set(part, 1)
  return bytes
}

function parseIpv4(text: string): Uint8Array | undefined {
  const match = DOTTED.exec(text)
  if (match === null) return undefined
  const ip = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const value = Number(match[i + 1])
    if (value > 255) return undefined
    ip[i] = value
  }
  return ip
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] as string, halves.length === 1)
  const tail = halves.length === 1 ? [] : parseGroups(halves[1] as string, true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  // `::` stands for at least one group, and without it all eight must be there.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail])
}

/** The bytes of groups like `2001:db8`, the last of which may be a dotted IPv4 address if it ends the text. */
function parseGroups(text: string, endsText: boolean): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
      continue
    }
    const dotted = endsText && i === groups.length - 1 ? parseIpv4(group) : undefined
    if (dotted === undefined) return undefined
    bytes.push(...dotted)
  }
  return bytes
}

/** The first of the longest runs of two or more zero groups: what `::` stands for (RFC 5952, 4.2). */
function longestZeroRun(groups: readonly number[]): { start: number; end: number } | undefined {
  let best: { start: number; end: number } | undefined
  for (let start = 0; start < groups.length; start++) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start >= 2 && (best === undefined || end - start > best.end - best.start)) best = { start, end }
    start = Math.max(start, end)
  }
  return best
}

function isMapped(ip: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, i) => ip[i] === byte)
}

/** fe80::/10 */
function isLinkLocal(ip: Uint8Array): boolean {
  return ip.length === 16 && ip[0] === 0xfe && (ip[1] as number) >> 6 === 2
}

/** ::1 */
function isLoopback6(ip: Uint8Array): boolean {
  return ip[15] === 1 && ip.subarray(0, 15).every((byte) => byte === 0)
}
