// @ts-check
// What goes between one's socket and the node that is measured, datagram by datagram. The library counts calls: a call
// that is answered at its second attempt is an answered one there, though a datagram was lost.

import { udp } from 'xorbit/udp'

/** @import { Transport } from 'xorbit' */
/** @typedef {{ type: string, code?: number }} Message */
/**
 * @typedef {object} Traffic
 * @property {number} requests - datagrams with a request for the node, resent ones included
 * @property {number} replies - datagrams with a reply of the node, to whichever attempt
 * @property {number} refusals - replies that say that the node has dropped the request, among the others
 * @property {number[]} replyContacts - how many replies had so many contacts, by that number, from 1 on
 */

/** Position of the type in a message's array, whose first byte is its length and whose second is the version. */
const TYPE_AT = 2
const TYPE_REQUEST = 0
const TYPE_ERROR = 2
/** What the node counts as dropped, and tells those who asked. */
const REFUSALS = ['ERR_RATE_LIMITED', 'ERR_UNKNOWN_METHOD', 'ERR_MALFORMED_MESSAGE']

const { createCodec, errorCode } = await import(new URL('../../dist/wire/index.js', import.meta.url).href)
const codec = createCodec('xorbit')

/** @returns {Traffic} */
export function noTraffic() {
  return { requests: 0, replies: 0, refusals: 0, replyContacts: [] }
}

/**
 * UDP on the loopback.
 *
 * @param {string} node - the address of the node that is measured
 * @param {Traffic} traffic - is counted up; several may share it
 * @param {{ knowsOnlyNode?: boolean }} [options] - `knowsOnlyNode`: contacts of others are read and counted, and then
 *   left out like those of an address family that is not in use: so that one node gets all requests
 * @returns {Transport}
 */
export function countingUdp(node, traffic, { knowsOnlyNode = false } = {}) {
  const inner = udp({ host: '127.0.0.1' })
  let own = ''
  let contacts = 0
  return {
    maxDatagramBytes: inner.maxDatagramBytes,
    async start(onDatagram) {
      own = await inner.start((from, bytes) => {
        const isReply = from === node && bytes[TYPE_AT] !== TYPE_REQUEST
        if (isReply && isRefusal(bytes)) traffic.refusals++
        contacts = 0
        onDatagram(from, bytes)
        if (!isReply) return
        traffic.replies++
        if (contacts > 0) traffic.replyContacts[contacts] = (traffic.replyContacts[contacts] ?? 0) + 1
      })
      return own
    },
    send(to, bytes) {
      if (to === node && bytes[TYPE_AT] === TYPE_REQUEST) traffic.requests++
      inner.send(to, bytes)
    },
    encodeAddress: (address) => inner.encodeAddress(address),
    decodeAddress(bytes) {
      const address = inner.decodeAddress(bytes)
      const isOther = address !== node && address !== own && inner.describe(address).scope === 'loopback'
      if (!isOther) return address
      contacts++
      if (knowsOnlyNode) throw new Error('only the node that is measured is asked')
      return address
    },
    resolve: (name, options) => inner.resolve(name, options),
    describe: (address) => inner.describe(address),
    close: () => inner.close(),
    stats: () => inner.stats?.() ?? {},
  }
}

/** @param {Uint8Array} bytes */
function isRefusal(bytes) {
  if (bytes[TYPE_AT] !== TYPE_ERROR) return false
  const { type, code } = /** @type {Message} */ (codec.decode(bytes))
  return type === 'error' && REFUSALS.includes(errorCode(code))
}
