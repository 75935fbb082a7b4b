// @ts-check
// Sharing files of up to 2 GiB without a server. Who shares a file cuts it into pieces and stores the list of their
// hashes in the DHT: the key of that list is the file's link. Everybody who has the file announces that under the link,
// with a TCP port. Who has the link takes pieces from several of them at once and checks each against its hash, so
// nobody has to be trusted.
//
//   node file-sharing.js share FILE --bootstrap HOST:PORT            prints the link, and serves until Ctrl-C
//   node file-sharing.js fetch LINK OUTPUT --bootstrap HOST:PORT     with --seed it stays, as a further source
//
// Nodes that keep the list know the link, so they can have the file: encrypt what is secret. A file that is changed
// while it is shared is refused by those who fetch it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { open, rename, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, fromHex, LARGE_VALUE_BYTES_MAX, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'

/** @import { FileHandle } from 'node:fs/promises' */
/** @import { AddressInfo, Socket } from 'node:net' */
/** @typedef {{ link: Buffer, size: number, hashes: Buffer[] }} Manifest */

const USAGE = `usage: node file-sharing.js share FILE --bootstrap HOST:PORT [options]
       node file-sharing.js fetch LINK OUTPUT --bootstrap HOST:PORT [options]
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          where to listen; every address of the machine unless given
  --seed                  stays when the file is there, and serves it until Ctrl-C
  --upload-limit KIB      sends no more than so many KiB a second
`
const PIECE_BYTES = 64 * 1024
const SIZE_BYTES = 8
const HASH_BYTES = 32
const REQUEST_BYTES = HASH_BYTES + 4 // the link and the number of a piece; the answer is the piece
const PEERS_MAX = 8 // asked at once, with one piece in memory for each
const CONNECTIONS_MAX = 64 // served at once, likewise
const STALL_MS = 3_000 // who takes longer for a piece is dropped
const IDLE_MS = 30_000 // who asks for nothing for so long is no longer served
const PATIENCE_MS = 5_000 // without a piece from anybody

const { role, path, link, hosts, bootstrap, seeds, bytesPerSecond } = readArguments()
const stop = new AbortController()
let freeAtMs = 0 // when all that was sent is within the upload limit
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
// Who is there for a moment only is a client: others do not count on it.
const dht = createDht({ transport: udp(hosts), bootstrap, client: role === 'fetch' && !seeds })
try {
  await dht.start({ signal: stop.signal })
  if (role === 'share') await share()
  else await fetchFile()
} catch (error) {
  process.stderr.write(`file-sharing: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  await dht.close()
}

/** Stores the list of the file's pieces, its size in 8 bytes and the SHA-256 of each, and serves the pieces. */
async function share() {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const head = Buffer.alloc(SIZE_BYTES)
    head.writeBigUInt64BE(BigInt(size))
    if (SIZE_BYTES + Math.ceil(size / PIECE_BYTES) * HASH_BYTES > LARGE_VALUE_BYTES_MAX) throw new Error('too large')
    const hashes = []
    for (let i = 0; i * PIECE_BYTES < size; i++) hashes.push(sha256(await readPiece(file, size, i)))
    const { key } = await dht.put(new Uint8Array(Buffer.concat([head, ...hashes])), { signal: stop.signal })
    console.log(toHex(key))
    await serve(file, { link: Buffer.from(key), size, hashes })
  } finally {
    await file.close()
  }
}

/** Writes the file under another name, and gives it its own when it is complete. */
async function fetchFile() {
  const found = await dht.get(link, { signal: stop.signal })
  if (!found) throw new Error('nobody has the list of pieces that the link names')
  const list = Buffer.from(found.value)
  const size = list.length < SIZE_BYTES ? Number.NaN : Number(list.readBigUInt64BE())
  const count = Math.ceil(size / PIECE_BYTES)
  if (list.length !== SIZE_BYTES + count * HASH_BYTES) throw new Error('the link leads to something else than a file')
  const hashes = Array.from({ length: count }, (_, i) =>
    list.subarray(SIZE_BYTES + i * HASH_BYTES).subarray(0, HASH_BYTES),
  )
  const partial = `${path}.${process.pid}.part`
  const file = await open(partial, 'wx+')
  try {
    await fetchPieces(file, { link: Buffer.from(link), size, hashes })
    await file.sync()
    await rename(partial, path)
    console.log(`${path} is complete, ${size} bytes`)
    if (seeds) await serve(file, { link: Buffer.from(link), size, hashes })
  } finally {
    await file.close()
    await rm(partial, { force: true })
  }
}

/** @param {FileHandle} file @param {Manifest} manifest */
async function fetchPieces(file, { link, size, hashes }) {
  const missing = new Set(hashes.keys())
  const asked = new Set()
  const working = new Map() // by address, what settles when the peer has no more to do
  const avoided = new Map() // by address, until when
  const brought = new Map() // by address, how many pieces
  const ended = new AbortController()
  let lastAtMs = performance.now()

  // Each peer is asked for one piece after the other, so a fast one brings more of them.
  /** @param {string} address @param {Socket} socket */
  async function takeFrom(address, socket) {
    ended.signal.addEventListener('abort', () => socket.destroy())
    const receive = receiver(socket)
    let index = 0
    let timer
    try {
      while (missing.size > 0) {
        // One that nobody was asked for. When there is none left, who is fast overtakes who is slow.
        for (index of missing) if (!asked.has(index)) break
        asked.add(index)
        const request = Buffer.concat([link], REQUEST_BYTES)
        request.writeUInt32BE(index, HASH_BYTES)
        socket.write(request)
        timer = setTimeout(() => socket.destroy(new Error('it stalled')), STALL_MS)
        const piece = await receive(Math.min(PIECE_BYTES, size - index * PIECE_BYTES))
        clearTimeout(timer)
        if (!sha256(piece).equals(/** @type {Buffer} */ (hashes[index]))) {
          avoided.set(address, Number.POSITIVE_INFINITY)
          throw new Error('it sent a wrong piece')
        }
        if (!missing.delete(index)) continue
        lastAtMs = performance.now()
        brought.set(address, (brought.get(address) ?? 0) + 1)
        if (missing.size % 16 === 0) console.error(`${hashes.length - missing.size} of ${hashes.length} pieces`)
        // A full disk is not the peer's fault: it ends everything.
        await writePiece(file, piece, index).catch((error) => ended.abort(error))
      }
      ended.abort()
    } catch (error) {
      if (ended.signal.aborted) return
      avoided.set(address, Math.max(avoided.get(address) ?? 0, performance.now() + STALL_MS))
      console.error(`dropped ${address}: ${error instanceof Error ? error.message : error}`)
    } finally {
      clearTimeout(timer)
      asked.delete(index)
      working.delete(address)
      socket.destroy()
    }
  }

  while (missing.size > 0 && !ended.signal.aborted) {
    try {
      for await (const { host, port, address } of dht.locate(link, { signal: ended.signal })) {
        if (!host || !port || working.has(address) || performance.now() < (avoided.get(address) ?? 0)) continue
        if (working.size < PEERS_MAX) working.set(address, takeFrom(address, connect({ host, port })))
      }
    } catch {
      // The DHT may be out of reach while peers still send. If they don't, patience ends.
    }
    await sleep(500, undefined, { signal: AbortSignal.any([ended.signal, stop.signal]) }).catch(() => {})
    if (stop.signal.aborted) ended.abort(stop.signal.reason)
    if (performance.now() - lastAtMs < PATIENCE_MS) continue
    ended.abort(new Error(`nobody sends any of the ${missing.size} pieces that are missing: is the network cut?`))
  }
  await Promise.all(working.values())
  if (missing.size > 0 || ended.signal.reason?.name === 'Error') throw ended.signal.reason
  for (const [address, count] of brought) console.error(`${count} pieces from ${address}`)
}

/** Serves a file until Ctrl-C. Throws when nobody of the network answers any more. */
async function serve(/** @type {FileHandle} */ file, /** @type {Manifest} */ manifest) {
  const sockets = new Set()
  const server = createServer({ highWaterMark: REQUEST_BYTES }, (socket) => {
    sockets.add(socket)
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    // Whatever a peer does wrong ends its connection and nothing else.
    const end = () => sockets.delete(socket.destroy())
    answer(socket, file, manifest).then(end, end)
  })
  server.maxConnections = CONNECTIONS_MAX
  await once(server.listen(0, hosts.host), 'listening')
  const { port } = /** @type {AddressInfo} */ (server.address())
  try {
    const announcement = await dht.announce(manifest.link, { port })
    console.log(`serving at TCP port ${port}`)
    for (let silences = 0; silences < 2 && !stop.signal.aborted; ) {
      await sleep(silences === 0 ? 2_000 : 200, undefined, { signal: stop.signal }).catch(() => {})
      const { closest } = await dht.findNode(dht.id).catch(() => ({ closest: [] }))
      silences = closest.length > 0 ? 0 : silences + 1
    }
    if (!stop.signal.aborted) throw new Error('nobody answers any more: the network is cut')
    await announcement.stop({ signal: AbortSignal.timeout(1_000) }).catch(() => {})
  } finally {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
}

/** One request after the other, so that a peer that asks for more than it takes costs one piece of memory. */
async function answer(/** @type {Socket} */ socket, /** @type {FileHandle} */ file, /** @type {Manifest} */ manifest) {
  for (const receive = receiver(socket); ; ) {
    const request = await receive(REQUEST_BYTES)
    const index = request.readUInt32BE(HASH_BYTES)
    const isKnown = manifest.link.equals(request.subarray(0, HASH_BYTES)) && index < manifest.hashes.length
    if (!isKnown) throw new Error('not this file')
    const piece = await readPiece(file, manifest.size, index)
    freeAtMs = Math.max(freeAtMs, performance.now()) + (piece.length / bytesPerSecond) * 1000
    if (freeAtMs > performance.now()) await sleep(freeAtMs - performance.now())
    await new Promise((sent, reject) => socket.write(piece, (error) => (error ? reject(error) : sent(piece))))
  }
}

/** What reads from a socket exactly as many bytes as it is asked for. */
function receiver(/** @type {Socket} */ socket) {
  socket.on('error', () => {}) // comes out where it is read
  const chunks = socket[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  return async (/** @type {number} */ length) => {
    while (rest.length < length) {
      const { value, done } = await chunks.next()
      if (done) throw new Error('it closed the connection')
      rest = Buffer.concat([rest, value])
    }
    const bytes = rest.subarray(0, length)
    rest = rest.subarray(length)
    return bytes
  }
}

async function readPiece(/** @type {FileHandle} */ file, /** @type {number} */ size, /** @type {number} */ index) {
  const piece = Buffer.alloc(Math.min(PIECE_BYTES, size - index * PIECE_BYTES))
  const { bytesRead } = await file.read(piece, 0, piece.length, index * PIECE_BYTES)
  if (bytesRead < piece.length) throw new Error('the file has become shorter')
  return piece
}

async function writePiece(/** @type {FileHandle} */ file, /** @type {Buffer} */ piece, /** @type {number} */ index) {
  const { bytesWritten } = await file.write(piece, 0, piece.length, index * PIECE_BYTES)
  if (bytesWritten < piece.length) throw new Error('the disk is full')
}

function sha256(/** @type {Uint8Array} */ bytes) {
  return createHash('sha256').update(bytes).digest()
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        bootstrap: { type: 'string', multiple: true, default: [] },
        host: { type: 'string' },
        seed: { type: 'boolean', default: false },
        'upload-limit': { type: 'string', default: 'Infinity' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const { bootstrap, host, seed: seeds, 'upload-limit': limit } = values
    const [role, first = '', second = ''] = positionals
    if (role !== 'share' && role !== 'fetch') throw new Error('the first argument is share or fetch')
    if (positionals.length !== (role === 'share' ? 2 : 3)) throw new Error(`${role} with other arguments`)
    if (role === 'fetch' && !/^[0-9a-f]{64}$/.test(first)) throw new Error('LINK has 64 hex digits')
    if (bootstrap.length === 0) throw new Error('--bootstrap is missing')
    if (!(Number(limit) > 0)) throw new RangeError('--upload-limit takes a number above 0')
    const link = role === 'fetch' ? fromHex(first) : new Uint8Array(0)
    const path = role === 'fetch' ? second : first
    return {
      role,
      path,
      link,
      hosts: host === undefined ? {} : { host },
      bootstrap,
      seeds,
      bytesPerSecond: Number(limit) * 1024,
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
