// @ts-check
// The lower bound of an RPC over UDP: two sockets of node:dgram that send each other datagrams of the same sizes as
// ours, and do nothing else. They get a synchronous `lookup`, as our transport gives its sockets: without it node:dgram
// would ask dns.lookup for each datagram, even for a literal address, and the bound would be 6 % too low.

import { createSocket } from 'node:dgram'

const HOST = '127.0.0.1'

/** @returns {Promise<import('node:dgram').Socket>} */
function open() {
  return new Promise((resolve, reject) => {
    const socket = createSocket({
      type: 'udp4',
      lookup: (hostname, _options, callback) => callback(null, hostname, 4),
    })
    socket.once('error', reject)
    socket.bind(0, HOST, () => resolve(socket))
  })
}

/**
 * A socket that answers each datagram with one of `replyBytes`.
 *
 * @param {number} replyBytes
 */
export async function openEcho(replyBytes) {
  const socket = await open()
  const reply = Buffer.alloc(replyBytes, 1)
  socket.on('message', (_bytes, from) => socket.send(reply, from.port, from.address))
  return { port: socket.address().port, close: () => socket.close() }
}

/**
 * A socket that asks an echo.
 *
 * @param {number} port
 * @param {number} requestBytes
 */
export async function openAsker(port, requestBytes) {
  const socket = await open()
  const request = Buffer.alloc(requestBytes, 2)
  return {
    /** Keeps `outstanding` datagrams under way until `isOver()`; resolves when the last of them was answered. */
    exchange: (/** @type {number} */ outstanding, /** @type {(elapsedMs: number) => boolean} */ answered) =>
      new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
        let open = outstanding
        let sentAtMs = performance.now()
        const onMessage = () => {
          const nowMs = performance.now()
          const goesOn = answered(nowMs - sentAtMs)
          if (goesOn) {
            sentAtMs = nowMs
            socket.send(request, port, HOST)
          } else if (--open === 0) {
            socket.off('message', onMessage)
            resolve()
          }
        }
        socket.on('message', onMessage)
        for (let i = 0; i < outstanding; i++) socket.send(request, port, HOST)
      }),
    close: () => socket.close(),
  }
}
