// @ts-check
// A transport of one's own: how nodes talk where there is no UDP. Here each node has one TCP connection to a hub, which
// gives it a number, a new one each time, and passes datagrams on by number. So a network may live behind one open port,
// or in browsers, with a WebSocket in the place of the TCP connection.
//
//   node custom-transport.js hub --port 7500                     passes datagrams on, until Ctrl-C
//   node custom-transport.js node --hub HOST:PORT                a node that keeps values: the first, `node:1`
//   node custom-transport.js node --hub HOST:PORT --bootstrap node:1          a further one
//   node custom-transport.js put TEXT --hub HOST:PORT --bootstrap node:1      prints the key
//   node custom-transport.js get KEY --hub HOST:PORT --bootstrap node:1       prints the text
//   node custom-transport.js check                               checks that it keeps every promise that nodes rely on
//
// On the wire: length 2 | number 4 | datagram. The hub's first frame is empty and tells a node its number. From then on
// the number is the receiver's on the way to the hub, and the sender's on the way from it.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, fromHex, toHex } from 'xorbit'
import { transportConformance } from 'xorbit/testing'

/** @import { AddressInfo, Socket } from 'node:net' */
/** @import { Transport } from 'xorbit' */

const USAGE = `usage: node custom-transport.js hub [--port N] [--host ADDRESS]
       node custom-transport.js node --hub HOST:PORT [--bootstrap node:N]
       node custom-transport.js put TEXT --hub HOST:PORT --bootstrap node:N
       node custom-transport.js get KEY --hub HOST:PORT --bootstrap node:N
       node custom-transport.js check
  --port N             where the hub listens; 7500 unless given; 0 is a free one
  --host ADDRESS       where the hub listens; 127.0.0.1 unless given
  --hub HOST:PORT      where the hub is
  --bootstrap node:N   a node to join through; may be repeated; none for the first node of a network
`
const DATAGRAM_BYTES_MAX = 1_200
const HEAD_BYTES = 6
// What waits for slow connections, for each and for all together; beyond that datagrams are lost, as they may be. Who
// reads is served even when others have used up what is for all.
const UNSENT_BYTES_MAX = 2 ** 16
const UNSENT_FRAMES_MAX = 2 ** 12
const PATIENCE_MS = 3_000 // with a hub that does not answer
const NODES_MAX = 10_000
const ADDRESS_KIND = 16 // 4 and 6 are those of IP, from 16 on they are free
const NUMBER_MAX = 2 ** 32 - 1

let unsentFrames = 0

/** @param {Socket} socket @param {number} number @param {Uint8Array} datagram */
function sendFrame(socket, number, datagram) {
  const ownMax = unsentFrames < UNSENT_FRAMES_MAX ? UNSENT_BYTES_MAX : 0
  if (!socket.writable || socket.writableLength > ownMax) return
  const frame = Buffer.alloc(HEAD_BYTES + datagram.length)
  frame.writeUInt16BE(datagram.length, 0)
  frame.writeUInt32BE(number, 2)
  frame.set(datagram, HEAD_BYTES)
  unsentFrames++
  socket.write(frame, () => unsentFrames--) // called also when it did not get through
}

/** @param {Socket} socket @param {(number: number, datagram: Buffer) => void} onFrame */
function readFrames(socket, onFrame) {
  let rest = Buffer.alloc(0)
  socket.setNoDelay()
  socket.setKeepAlive(true, 30_000)
  socket.on('error', () => {}) // `close` follows
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= HEAD_BYTES && !socket.destroyed) {
      const end = HEAD_BYTES + rest.readUInt16BE(0)
      // Who sends longer ones speaks something else, and would have us keep its bytes.
      if (end > HEAD_BYTES + DATAGRAM_BYTES_MAX) return socket.destroy()
      if (rest.length < end) break
      onFrame(rest.readUInt32BE(2), rest.subarray(HEAD_BYTES, end))
      rest = rest.subarray(end)
    }
    rest = Buffer.from(rest) // a copy: the part would keep all of what came with it
  })
}

/** Passes datagrams on. The sender's number is the hub's word, so no node can claim another one's. */
async function startHub(/** @type {string} */ host, /** @type {number} */ port) {
  /** @type {Map<number, Socket>} */
  const nodes = new Map()
  let latest = 0
  const server = createServer((socket) => {
    const own = ++latest
    nodes.set(own, socket)
    socket.on('close', () => nodes.delete(own))
    readFrames(socket, (number, datagram) => {
      const receiver = nodes.get(number)
      if (receiver) sendFrame(receiver, own, datagram)
    })
    sendFrame(socket, own, new Uint8Array(0))
  })
  server.maxConnections = NODES_MAX
  await once(server.listen(port, host), 'listening')
  const address = /** @type {AddressInfo} */ (server.address())
  const close = () => {
    server.close()
    for (const socket of nodes.values()) socket.destroy()
  }
  return { host, port: address.port, close }
}

/**
 * Datagrams through a hub. Addresses are `node:1` to `node:4294967295`.
 *
 * @implements {Transport}
 */
class HubTransport {
  maxDatagramBytes = DATAGRAM_BYTES_MAX
  #hub
  #onLost
  /** @type {Socket | undefined} */
  #socket
  #isClosed = false

  /**
   * @param {{ host: string, port: number }} hub
   * @param {() => void} [onLost] - told of the hub's end: the node above only sees that nobody answers
   */
  constructor(hub, onLost = () => {}) {
    this.#hub = hub
    this.#onLost = onLost
  }

  /** @type {Transport['start']} */
  async start(onDatagram) {
    if (this.#isClosed) throw new DhtError('ERR_CLOSED', 'the transport is closed')
    if (this.#socket) throw new DhtError('ERR_TRANSPORT', 'the transport was started before')
    const socket = connect(this.#hub)
    this.#socket = socket
    socket.setTimeout(PATIENCE_MS, () => socket.destroy())
    let isStarted = false
    const own = await new Promise((resolve) => {
      socket.once('close', () => resolve(undefined))
      readFrames(socket, (number, datagram) => {
        resolve(number) // the first time; later it does nothing
        // What comes before the caller knows that it has started is lost, as datagrams may be.
        if (!isStarted || this.#isClosed) return
        // A copy: a Buffer would be one of Node's own kind, whose slice() copies nothing.
        onDatagram(`node:${number}`, new Uint8Array(datagram))
      })
    })
    if (this.#isClosed) throw new DhtError('ERR_CLOSED', 'the transport is closed')
    if (own === undefined) throw new DhtError('ERR_TRANSPORT', `no hub answers at ${this.#hub.host}:${this.#hub.port}`)
    socket.setTimeout(0)
    socket.once('close', () => {
      if (!this.#isClosed) this.#onLost()
    })
    setImmediate(() => {
      isStarted = true
    })
    return `node:${own}`
  }

  /** @type {Transport['send']} */
  send(to, bytes) {
    const number = numberOf(to)
    if (!this.#socket || this.#isClosed || number === undefined || bytes.length > DATAGRAM_BYTES_MAX) return
    sendFrame(this.#socket, number, bytes)
  }

  /** @type {Transport['encodeAddress']} */
  encodeAddress(address) {
    const bytes = new Uint8Array([ADDRESS_KIND, 4, 0, 0, 0, 0])
    new DataView(bytes.buffer).setUint32(2, mustBeNumber(address))
    return bytes
  }

  /** @type {Transport['decodeAddress']} */
  decodeAddress(bytes) {
    const number = bytes.length === 6 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(2) : 0
    if (bytes[0] !== ADDRESS_KIND || bytes[1] !== 4 || number === 0) throw new TypeError('no address of the hub')
    return `node:${number}`
  }

  /** @type {Transport['resolve']} */
  async resolve(name, { signal } = {}) {
    signal?.throwIfAborted()
    return [`node:${mustBeNumber(name)}`]
  }

  /** @type {Transport['describe']} */
  describe(address) {
    const host = this.encodeAddress(address)
    // Limits by address are for public ones. A hub that is open to everybody should say so, with a group of its own
    // for whom it can't tell apart.
    return { host, group: host, scope: 'private' }
  }

  /** @type {Transport['close']} */
  async close() {
    this.#isClosed = true
    const socket = this.#socket
    if (!socket || socket.closed) return
    const closed = once(socket, 'close').catch(() => undefined)
    // What was sent before still leaves.
    socket.destroySoon()
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS)
    await closed
    clearTimeout(patience)
  }
}

/** @param {unknown} address @returns {number | undefined} none for what is no address of the hub's */
function numberOf(address) {
  const digits = typeof address === 'string' ? /^node:([1-9]\d{0,9})$/.exec(address)?.[1] : undefined
  return digits !== undefined && Number(digits) <= NUMBER_MAX ? Number(digits) : undefined
}

/** @param {unknown} address */
function mustBeNumber(address) {
  const number = numberOf(address)
  if (number === undefined) throw new TypeError(`'${address}' is no address of the hub: it looks like node:7`)
  return number
}

/** Each promise is a function that throws where it is broken: any test runner can run them. */
async function check() {
  const hub = await startHub('127.0.0.1', 0)
  const create = () => new HubTransport(hub)
  for (const { name, run } of transportConformance({ create })) {
    await run()
    console.log(`ok  ${name}`)
  }
  hub.close()
}

/** What a node does for as long as the hub lives. @param {(dht: import('xorbit').Dht) => Promise<void>} work */
async function withNode(work) {
  const lost = new AbortController()
  const onLost = () => lost.abort(new Error('the hub is gone: the network is cut'))
  // Who is there for a moment only is a client: others do not count on it.
  const dht = createDht({ transport: new HubTransport(hub, onLost), bootstrap, client: role !== 'node' })
  const end = new Promise((_, reject) => lost.signal.addEventListener('abort', () => reject(lost.signal.reason)))
  try {
    await Promise.race([dht.start({ signal: stop.signal }).then(() => work(dht)), end])
  } finally {
    stop.abort()
    await dht.close()
  }
}

const { role, text, host, port, hub, bootstrap } = readArguments()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
const interrupted = () => sleep(2 ** 31 - 1, undefined, { signal: stop.signal }).catch(() => {})
try {
  if (role === 'check') await check()
  if (role === 'hub') {
    const started = await startHub(host, port)
    console.log(`the hub listens at ${host}:${started.port}`)
    await interrupted()
    started.close()
  }
  if (role === 'node')
    await withNode(async (dht) => {
      console.log(`listening at ${dht.address}, with ${dht.contacts().length} contacts`)
      await interrupted()
    })
  if (role === 'put') {
    await withNode(async (dht) =>
      console.log(toHex((await dht.put(new TextEncoder().encode(text), { signal: stop.signal })).key)),
    )
  }
  if (role === 'get') {
    await withNode(async (dht) => {
      const found = await dht.get(fromHex(text), { signal: stop.signal })
      if (!found) throw new Error('nobody has it')
      console.log(new TextDecoder().decode(found.value))
    })
  }
} catch (error) {
  process.stderr.write(`custom-transport: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '7500' },
        host: { type: 'string', default: '127.0.0.1' },
        hub: { type: 'string', default: '' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const [role = '', text = ''] = positionals
    const wanted = new Map(Object.entries({ hub: 1, node: 1, put: 2, get: 2, check: 1 })).get(role)
    if (positionals.length !== wanted) throw new Error('it takes hub, node, put TEXT, get KEY or check')
    if (role === 'get' && !/^[0-9a-f]{64}$/.test(text)) throw new Error('KEY has 64 hex digits')
    const port = Number(values.port)
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new RangeError('--port takes 0 to 65535')
    const place = /^(.+):(\d{1,5})$/.exec(values.hub)
    const needsHub = !['hub', 'check'].includes(role)
    if (needsHub && !place) throw new Error('--hub takes HOST:PORT')
    if (needsHub && role !== 'node' && values.bootstrap.length === 0) throw new Error('--bootstrap is missing')
    for (const address of values.bootstrap) mustBeNumber(address)
    const hub = { host: place?.[1] ?? '', port: Number(place?.[2]) }
    return { role, text, host: values.host, port, hub, bootstrap: values.bootstrap }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
