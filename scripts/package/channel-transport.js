// @ts-check
// A transport for nodes of one page or process, over MessageChannel, which every runtime and every browser has.
import { DhtError } from 'xorbit'

const NAME_BYTES_MAX = 62
const KIND = 16

/** Where the transports of one page meet: each is connected by a channel of its own. */
export class Switchboard {
  /** @type {Map<string, MessagePort>} */
  #ports = new Map()

  /**
   * @param {string} address
   * @returns {MessagePort} the end of the channel that the transport holds
   */
  connect(address) {
    if (this.#ports.has(address)) throw new DhtError('ERR_ADDRESS_IN_USE', `${address} is taken`)
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = ({ data: { to, bytes } }) => this.#ports.get(to)?.postMessage({ from: address, bytes })
    this.#ports.set(address, port1)
    return port2
  }

  /** @param {string} address */
  disconnect(address) {
    this.#ports.get(address)?.close()
    this.#ports.delete(address)
  }
}

/**
 * A transport whose address is a name such as `page:alice`.
 *
 * @param {Switchboard} switchboard
 * @param {string} address
 * @returns {import('xorbit').Transport}
 */
export function channelTransport(switchboard, address) {
  /** @type {MessagePort | undefined} */
  let port
  let state = 'idle'
  return {
    maxDatagramBytes: 1200,
    async start(onDatagram) {
      if (state !== 'idle') throw new DhtError('ERR_TRANSPORT', `it is ${state}`)
      port = switchboard.connect(address)
      state = 'starting'
      // Nothing is delivered before whoever waits for the start knows of it.
      await new Promise((resolve) => setTimeout(resolve, 0))
      if (state !== 'starting') throw new DhtError('ERR_CLOSED', 'closed meanwhile')
      state = 'open'
      setTimeout(() => {
        if (port !== undefined) port.onmessage = ({ data: { from, bytes } }) => onDatagram(from, bytes)
      }, 0)
      return address
    },
    send(to, bytes) {
      if (state !== 'open' || bytes.length > 1200 || !isAddress(to)) return
      // A copy of exactly these bytes: a view would be cloned with all that is around it.
      port?.postMessage({ to, bytes: bytes.slice() })
    },
    encodeAddress(other) {
      mustBeAddress(other)
      const name = new TextEncoder().encode(other)
      return Uint8Array.of(KIND, name.length, ...name)
    },
    decodeAddress(bytes) {
      const name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(2))
      if (bytes[0] !== KIND || bytes[1] !== bytes.length - 2 || !isAddress(name)) throw new TypeError('no address')
      return name
    },
    describe(other) {
      mustBeAddress(other)
      const host = new TextEncoder().encode(other)
      return { host, group: host, scope: 'private' }
    },
    async resolve(name, { signal } = {}) {
      signal?.throwIfAborted()
      mustBeAddress(name)
      return [name]
    },
    async close() {
      if (port !== undefined) switchboard.disconnect(address)
      port?.close()
      port = undefined
      state = 'closed'
    },
    stats: () => ({}),
  }
}

/** @param {unknown} address */
function isAddress(address) {
  return typeof address === 'string' && /^page:[a-z0-9]+$/.test(address) && address.length <= NAME_BYTES_MAX
}

/** @param {unknown} address */
function mustBeAddress(address) {
  if (!isAddress(address)) throw new TypeError(`'${String(address)}' is no name in this page`)
}
