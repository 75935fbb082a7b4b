import { toHex } from '../../src/index.js'
import type { SimulatedHost, Simulator } from '../../src/testing/index.js'
import { createCodec, createContactPacker, FIND_NODE, FIND_VALUE } from '../../src/wire/index.js'

/** Whom a node named to others so far. */
export interface Named {
  /** How many replies named somebody. */
  replies: number
  /** Contacts that it named although they had not answered it from that address with that id. */
  readonly unverified: string[]
}

/** Looks at every reply with contacts that a machine sends from now on. */
export function watchNamed(simulator: Simulator, host: SimulatedHost): Named {
  const codec = createCodec('xorbit')
  const packer = createContactPacker(host.transport)
  const answered = new Set<string>()
  const asked = new Map<string, number | string>()
  const named: Named = { replies: 0, unverified: [] }
  simulator.setFilter(({ from, to, bytes }) => {
    if (from !== host.address && to !== host.address) return true
    const message = codec.decode(new Uint8Array(bytes))
    if (message.type === 'request' && to === host.address) asked.set(`${from} ${toHex(message.tid)}`, message.method)
    if (message.type !== 'response') return true
    if (to === host.address) {
      answered.add(`${toHex(message.sender)} at ${from}`)
      return true
    }
    const method = asked.get(`${to} ${toHex(message.tid)}`)
    const shape = method === FIND_NODE.code ? FIND_NODE : method === FIND_VALUE.code ? FIND_VALUE : undefined
    const packed = shape?.readResult(message.result)?.contacts
    if (!packed || packed.length === 0) return true
    named.replies++
    for (const { id, address } of packer.unpack(packed, 1000).contacts) {
      const name = `${toHex(id)} at ${address}`
      if (!answered.has(name)) named.unverified.push(name)
    }
    return true
  })
  return named
}
