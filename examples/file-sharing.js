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
// while it is shared is refused by those who fetch it. A fetch that is killed leaves its OUTPUT.*.part behind.
//
// One host that only pretends to have the file, or only pretends to want it, keeps nobody from it. Who commands many
// hosts can still slow a download, and can take all connections of a seeder by really downloading.
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
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
/**
 * Who was located. It is tried when `sinceMs` is set, and not again before `avoidedUntilMs`.
 * @typedef {{ address: string, host: string, port: number, pieces: number, drops: number, avoidedUntilMs: number,
 *   sinceMs?: number, socket?: Socket }} Peer
 */

const USAGE = `usage: node file-sharing.js share FILE --bootstrap HOST:PORT [options]
       node file-sharing.js fetch LINK OUTPUT --bootstrap HOST:PORT [options]
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          where to listen; every address of the machine unless given
  --seed                  stays when the file is there, and serves it until Ctrl-C
  --upload-limit KIB      sends no more than so many KiB a second, 1 or more
`
const PIECE_BYTES = 64 * 1024
const SIZE_BYTES = 8
const HASH_BYTES = 32
const REQUEST_BYTES = HASH_BYTES + 4 // the link and the number of a piece; the answer is the piece
const PEERS_MAX = 8 // asked at once, with one piece in memory for each
const NEWCOMERS_MAX = 2 // of those, from one host, that have brought nothing yet
const CONNECTIONS_MAX = 64 // served at once, likewise
const STALL_MS = 3_000 // who sends nothing for so long is dropped: no bytes, or no first request
const AVOIDANCE_MS = 1_000 // after the first time; twice as long after each further one
const IDLE_MS = 30_000 // who asks for nothing more for so long is no longer served
const PATIENCE_MS = 5_000 // without a byte from anybody

const { role, path, link, hosts, bootstrap, seeds, bytesPerSecond } = readArguments()
const stop = new AbortController()
let freeAtMs = 0 // when all that was sent is within the upload limit
let turn = Promise.resolve() // of those who wait for that
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Error('interrupted')))
// Who is there for a moment only is a client: others do not count on it.
const dht = createDht({ transport: udp(hosts), bootstrap, client: role === 'fetch' && !seeds })
try {
  if (role === 'fetch' && existsSync(path)) throw new Error(`${path} exists already`)
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
    for (let i = 0; i * PIECE_BYTES < size; i++) {
      stop.signal.throwIfAborted()
      hashes.push(sha256(await readPiece(file, size, i)))
      if (hashes.length % 2048 === 0) console.error(`${hashes.length} of ${Math.ceil(size / PIECE_BYTES)} hashes`)
    }
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
  const partial = `${path}.${randomUUID()}.part`
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
  /** @type {Map<string, Peer>} */
  const peers = new Map() // by address, all that were located
  /** @type {Map<Peer, Promise<void>>} */
  const working = new Map() // what settles when the peer has no more to do
  const ended = new AbortController()
  /** @type {unknown} */
  let failure // of the disk
  let lastAtMs = performance.now()

  // Each peer is asked for one piece after the other, so a fast one brings more of them.
  async function takeFrom(/** @type {Peer} */ peer) {
    const socket = connect({ host: peer.host, port: peer.port })
    socket.on('timeout', () => socket.destroy(new Error('it stalled')))
    peer.sinceMs = performance.now()
    peer.socket = socket
    const receive = receiver(socket, () => {
      lastAtMs = performance.now()
    })
    let index = 0
    try {
      while (missing.size > 0) {
        // One that nobody was asked for. When there is none left, who is fast overtakes who is slow.
        for (index of missing) if (!asked.has(index)) break
        asked.add(index)
        const request = Buffer.concat([link], REQUEST_BYTES)
        request.writeUInt32BE(index, HASH_BYTES)
        socket.setTimeout(STALL_MS).write(request)
        const piece = await receive(Math.min(PIECE_BYTES, size - index * PIECE_BYTES))
        socket.setTimeout(0)
        if (!sha256(piece).equals(/** @type {Buffer} */ (hashes[index]))) {
          peer.avoidedUntilMs = Number.POSITIVE_INFINITY
          throw new Error('it sent a wrong piece')
        }
        try {
          await writePiece(file, piece, index)
        } catch (error) {
          // A full disk is not the peer's fault: it ends everything.
          failure ??= error
          return ended.abort()
        }
        if (!missing.delete(index)) continue
        if (++peer.pieces % 16 === 0) peer.drops = 0
        if (missing.size % 16 === 0) console.error(`${hashes.length - missing.size} of ${hashes.length} pieces`)
      }
      ended.abort()
    } catch (error) {
      if (ended.signal.aborted) return
      peer.avoidedUntilMs = Math.max(peer.avoidedUntilMs, performance.now() + AVOIDANCE_MS * 2 ** peer.drops++)
      console.error(`dropped ${peer.address}: ${error instanceof Error ? error.message : error}`)
    } finally {
      asked.delete(index)
      working.delete(peer)
      socket.destroy()
      if (!ended.signal.aborted) takeOn()
    }
  }

  // Who was dropped less often comes first. Who was never tried makes the slowest one leave when there is no room.
  function takeOn() {
    const nowMs = performance.now()
    const waiting = [...peers.values()].filter((peer) => !working.has(peer) && peer.avoidedUntilMs <= nowMs)
    for (const peer of waiting.sort((a, b) => a.drops - b.drops)) {
      let rivals = [...working.keys()].filter(({ host, pieces }) => host === peer.host && pieces === 0)
      if (rivals.length < NEWCOMERS_MAX) rivals = working.size < PEERS_MAX ? [] : [...working.keys()]
      if (rivals.length === 0) {
        if (peer.sinceMs === undefined) lastAtMs = nowMs // it is worth some patience
        working.set(peer, takeFrom(peer))
      } else if (peer.sinceMs === undefined) {
        const [slowest] = rivals.sort((a, b) => bytesPerMs(a, nowMs) - bytesPerMs(b, nowMs))
        if (slowest?.sinceMs !== undefined && nowMs - slowest.sinceMs > STALL_MS) {
          slowest.socket?.destroy(new Error('it is the slowest, and others wait'))
        }
      }
    }
  }

  while (missing.size > 0 && !ended.signal.aborted) {
    takeOn()
    try {
      for await (const { host, port, address } of dht.locate(link, { signal: ended.signal })) {
        if (!host || !port || peers.has(address)) continue
        peers.set(address, { address, host, port, pieces: 0, drops: 0, avoidedUntilMs: 0 })
        takeOn()
      }
    } catch {
      // The DHT may be out of reach while peers still send. If they don't, patience ends.
    }
    await sleep(500, undefined, { signal: AbortSignal.any([ended.signal, stop.signal]) }).catch(() => {})
    if (stop.signal.aborted) ended.abort(stop.signal.reason)
    if (performance.now() - lastAtMs < PATIENCE_MS) continue
    ended.abort(new Error(`nobody sends any of the ${missing.size} pieces that are missing: is the network cut?`))
  }
  for (const { socket } of working.keys()) socket?.destroy()
  await Promise.all(working.values())
  if (missing.size > 0 || failure) throw failure ?? ended.signal.reason
  for (const { address, pieces } of peers.values()) if (pieces > 0) console.error(`${pieces} pieces from ${address}`)
}

function bytesPerMs(/** @type {Peer} */ { socket, sinceMs = 0 }, /** @type {number} */ nowMs) {
  return (socket?.bytesRead ?? 0) / (nowMs - sinceMs)
}

/** Serves a file until Ctrl-C. Throws when nobody of the network answers any more. */
async function serve(/** @type {FileHandle} */ file, /** @type {Manifest} */ manifest) {
  const sockets = new Set()
  const idle = new Set() // those of them that have nothing to get, who was so for longest first
  const drop = (/** @type {Socket} */ socket) => {
    sockets.delete(socket.destroy())
    idle.delete(socket)
  }
  const server = createServer({ highWaterMark: REQUEST_BYTES }, (socket) => {
    const [longest = socket] = idle
    if (sockets.size >= CONNECTIONS_MAX) drop(longest)
    sockets.add(socket)
    socket.setTimeout(STALL_MS, () => socket.destroy())
    // Whatever a peer does wrong ends its connection and nothing else.
    const end = () => drop(socket)
    answer(socket, idle, file, manifest).then(end, end)
  })
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

/**
 * One request after the other, so that a peer that asks for more than it takes costs one piece of memory.
 * @param {Socket} socket @param {Set<Socket>} idle @param {FileHandle} file @param {Manifest} manifest
 */
async function answer(socket, idle, file, manifest) {
  for (const receive = receiver(socket); ; ) {
    idle.add(socket)
    const request = await receive(REQUEST_BYTES)
    idle.delete(socket.setTimeout(IDLE_MS))
    const index = request.readUInt32BE(HASH_BYTES)
    const isKnown = manifest.link.equals(request.subarray(0, HASH_BYTES)) && index < manifest.hashes.length
    if (!isKnown) throw new Error('not this file')
    // So little at a time that each of them gets some every second, whatever the limit.
    let piece = await readPiece(file, manifest.size, index)
    for (const bytes = Math.ceil(bytesPerSecond / CONNECTIONS_MAX); piece.length > 0; piece = piece.subarray(bytes)) {
      const part = piece.subarray(0, bytes)
      turn = turn.then(() => waitToSend(socket, part.length))
      await turn
      await new Promise((sent, reject) => socket.write(part, (error) => (error ? reject(error) : sent(part))))
    }
  }
}

/** Waits until so much is within the upload limit. What nobody waits for any more takes no part of it. */
async function waitToSend(/** @type {Socket} */ socket, /** @type {number} */ bytes) {
  if (!socket.destroyed && freeAtMs > performance.now()) await sleep(freeAtMs - performance.now())
  if (!socket.destroyed) freeAtMs = Math.max(freeAtMs, performance.now()) + (bytes / bytesPerSecond) * 1000
}

/** What reads from a socket exactly as many bytes as it is asked for. */
function receiver(/** @type {Socket} */ socket, onBytes = () => {}) {
  socket.on('error', () => {}) // comes out where it is read
  const chunks = socket[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  return async (/** @type {number} */ length) => {
    while (rest.length < length) {
      const { value, done } = await chunks.next()
      if (done) throw new Error('it closed the connection')
      onBytes()
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
    if (!(Number(limit) >= 1)) throw new RangeError('--upload-limit takes a number from 1 on')
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
