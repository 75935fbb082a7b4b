import type { Part } from './hostile-bytes.js'
import { bin, EMPTY_MAP, int, joined, NIL, str } from './hostile-bytes.js'

/** What the messages of an attacker are made of. */
export interface Makings {
  readonly network: Uint8Array
  readonly sender: Uint8Array
  /** A key, a valid record of it, and a token that allows to store it. */
  readonly key: Uint8Array
  readonly record: Uint8Array
  readonly token: Uint8Array
  /** A signed record, and a peer's, of other keys or none. */
  readonly signed: Uint8Array
  readonly peer: Uint8Array
  /** Packed contacts. */
  readonly contacts: Uint8Array
}

/** A message with the name of what it is. */
export interface Named {
  readonly name: string
  readonly elements: readonly Part[]
}

const NO_BYTES = new Uint8Array(0)
const IPV4 = Uint8Array.of(4, 10, 9, 0, 1, 0x1c, 0xe8)
const OTHER_NETWORK = Uint8Array.of(1, 2, 3, 4)

function head(makings: Makings, type: number, tid: Uint8Array): Part[] {
  return [int(1), int(type), bin(tid), bin(makings.network), int(6), bin(makings.sender)]
}

/** A valid request of each method, and of methods that nobody serves. */
export function requests(makings: Makings, tid: Uint8Array): Named[] {
  const { key, record, token } = makings
  const store = (options: Uint8Array): Part[] => [bin(key), int(0), bin(token), bin(record), int(3600), options]
  const storeOf = (kind: number, bytes: Uint8Array): Part[] => {
    const [keyPart, , tokenPart, , ...rest] = store(EMPTY_MAP) as [Part, Part, Part, Part, ...Part[]]
    return [keyPart, int(kind), tokenPart, bin(bytes), ...rest]
  }
  const padding = joined(Uint8Array.of(0x81, 0), bin(new Uint8Array(290)))
  const asked: readonly [name: string, method: Uint8Array, params: readonly Part[], ...ext: Part[]][] = [
    ['PING', int(0), []],
    ['FIND_NODE', int(1), [bin(key), int(0)], padding],
    ['FIND_VALUE', int(2), [bin(key), int(0), [int(20), int(0), bin(NO_BYTES)]], padding],
    ['FIND_VALUE of peers', int(2), [bin(key), int(2), [int(64), int(0), bin(new Uint8Array(6))]], padding],
    ['STORE', int(3), store(EMPTY_MAP)],
    ['STORE with cas', int(3), store(joined(Uint8Array.of(0x81, 0), int(7)))],
    ['STORE of a cached copy', int(3), store(Uint8Array.of(0x81, 1, 0xc3))],
    ['STORE of a signed record', int(3), storeOf(1, makings.signed)],
    ['STORE of a peer', int(3), storeOf(2, makings.peer)],
    ['TOKENS', int(4), [int(0), [bin(key), bin(key)]]],
    ['echo', str('echo'), [bin(record)], padding],
    ['a handler that fails', str('fails'), [bin(NO_BYTES)]],
    ['a reserved method', int(5), [[bin(key)]]],
    ['a method of nobody', str('nobody'), [bin(NO_BYTES)]],
  ]
  return asked.map(([name, method, params, ...ext]) => ({
    name,
    elements: [...head(makings, 0, tid), method, params, ...ext],
  }))
}

/** Requests that only look like ones of this network. */
export function strangeRequests(makings: Makings, tid: Uint8Array): Named[] {
  const [, ...rest] = head(makings, 0, tid)
  return [
    { name: 'another version', elements: [int(2), ...rest, int(0), []] },
    { name: 'another network', elements: [...head({ ...makings, network: OTHER_NETWORK }, 0, tid), int(0), []] },
  ]
}

/** The valid result of a method. */
function resultOf(method: number | string, makings: Makings): readonly Part[] {
  const { contacts, record, token } = makings
  if (method === 0) return []
  if (method === 1) return [bin(contacts)]
  if (method === 2) return [bin(token), NIL, [bin(record)], bin(contacts), int(0), int(0), [int(60)]]
  if (method === 3) return [int(3600)]
  if (method === 4) return [[[bin(token), NIL]]]
  return [bin(record)]
}

/** A valid response, and an error, to a request of the method. */
export function replies(makings: Makings, tid: Uint8Array, method: number | string): Named[] {
  const observed = bin(IPV4)
  return [
    { name: `response to ${method}`, elements: [...head(makings, 1, tid), observed, resultOf(method, makings)] },
    { name: 'error', elements: [...head(makings, 2, tid), observed, [int(16), str('no valid token')]] },
  ]
}

/** The places of all values in a message, arrays and what is in them. */
export function placesIn(parts: readonly Part[]): number[][] {
  return parts.flatMap((part, at) => [
    [at],
    ...(part instanceof Uint8Array ? [] : placesIn(part).map((place) => [at, ...place])),
  ])
}

/** The message with the value at a place replaced. */
export function withPart(parts: readonly Part[], place: readonly number[], value: Part): readonly Part[] {
  const [at, ...rest] = place as [number, ...number[]]
  const replaced = rest.length === 0 ? value : withPart(parts[at] as readonly Part[], rest, value)
  return parts.map((part, i) => (i === at ? replaced : part))
}
