// @ts-check
// How an application like a blockchain finds its peers: each node announces itself under one topic for each thing that it
// can do, others locate those that can do all that they want, shake hands with them directly, and keep some connected.
//
//   node peer-discovery.js --offer archive --offer light --height 900 --bootstrap 127.0.0.1:7400
//   node peer-discovery.js --want archive --want light --peers 3 --height 120 --bootstrap 127.0.0.1:7400
//
// A node may offer and want. `connected` means here: it has answered a handshake with the signature of the key that it
// announced itself with, speaks our version, has what we want, and blocks that we don't have.
//
// Not defended: whoever has many addresses can announce so many nodes that the others are found late, or be all of the
// peers of a node. Where a key is, those that keep its announcement say; one that lies keeps us from it for a minute.
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, DhtError, fromHex, generateKeyPair, keyOf, sign, toHex, verify } from 'xorbit'
import { udp } from 'xorbit/udp'

/** @import { Announcement } from 'xorbit' */

const USAGE = `usage: node peer-discovery.js [--offer CAPABILITY] [--want CAPABILITY] --bootstrap HOST:PORT
  --offer CAPABILITY      what this node can do; may be repeated
  --want CAPABILITY       what its peers must be able to do, all of it; may be repeated
  --peers N               how many to keep connected; 3 unless given
  --height N              how many blocks this node has; 0 unless given
  --chain NAME            main unless given; nodes of another one, or of another version, are not found
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          listen there; every address of the machine unless given
  --every SECONDS         how often to look after the peers; 5 unless given
`
const VERSION = 1
const FAILURES_MAX = 2 // in a row: of one peer, and of looks that nobody at all answered
const REFUSED_MS = 60_000 // for which a peer that does not suit is left alone
const TRIES_AT_ONCE = 8 // One that is mute takes two seconds: it must not hold up the others.
const ROUNDS_MAX = 4 // of so many tries, before it is located anew who is there

const { offers, wants, peersMax, height, chain, everyMs, bootstrap, host } = readArguments()
const keys = generateKeyPair()
const me = toHex(keys.publicKey)
const topicOf = (/** @type {string} */ capability) => keyOf(`peer-discovery/${chain}/${VERSION}/${capability}`)

/** By public key. @type {Map<string, { address: string, failures: number }>} */
const connected = new Map()
/** Until when those that did not suit are left alone, by public key, or address. @type {Map<string, number>} */
const refusedUntil = new Map()

const ending = new AbortController()
const { signal } = ending
for (const event of ['SIGINT', 'SIGTERM']) process.once(event, () => ending.abort())

const dht = createDht({ transport: udp(host === undefined ? {} : { host }), bootstrap, peerLifetimeMs: 600_000 })
/** @type {Announcement[]} */
let announcements = []
try {
  await dht.start({ signal })
  dht.handle('handshake', (challenge) => {
    const status = new TextEncoder().encode(JSON.stringify({ chain, version: VERSION, offers, height }))
    return Uint8Array.of(...sign(provenBy(challenge, status), keys.secretKey), ...status)
  })
  announcements = await Promise.all(offers.map((offer) => dht.announce(topicOf(offer), { keys, signal })))
  console.log(`node ${me.slice(0, 8)} offers ${offers.join(', ') || 'nothing'}`)
  await Promise.all([watchPeers(), findPeers()])
} catch (error) {
  if (error !== signal.reason) {
    process.stderr.write(`peer-discovery: ${plain(error instanceof Error ? error.message : error)}\n`)
    process.exitCode = 1
  }
} finally {
  ending.abort() // It may end because nobody answers: the watch ends with it.
  const goodbye = { signal: AbortSignal.timeout(2_000) }
  await Promise.allSettled(announcements.map((announcement) => announcement.stop(goodbye)))
  await dht.close()
}

/** Again and again: who is still there? Apart from the search, which may take long. */
async function watchPeers() {
  for (; !signal.aborted; await delay(everyMs, undefined, { signal }).catch(() => {})) {
    await Promise.all([...connected].map(([id, { address }]) => check(id, address)))
  }
}

/** Again and again: who could take the place of those that are not? */
async function findPeers() {
  for (let failures = 0; !signal.aborted; await delay(everyMs, undefined, { signal }).catch(() => {})) {
    try {
      // Is there nobody who suits, or no network? What is located may come from this node's own store.
      if (connected.size === 0) await dht.findNode(dht.id, { signal })
      if (wants.length > 0 && connected.size < peersMax) await connectMore()
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      if (++failures === FAILURES_MAX) throw error
    }
  }
}

/** Locates those that announce all that is wanted, and shakes hands with them until there are enough. */
async function connectMore() {
  const [first = new Map(), ...others] = await Promise.all(wants.map(locate))
  for (const [refused, until] of refusedUntil) if (until < Date.now()) refusedUntil.delete(refused)
  const suits = (/** @type {[string, string]} */ [id, address]) =>
    id !== me &&
    !connected.has(id) &&
    !refusedUntil.has(id) &&
    !refusedUntil.has(address) &&
    others.every((peers) => peers.has(id))
  for (let round = 0; round < ROUNDS_MAX && connected.size < peersMax; round++) {
    // In the order in which they were located, which is another one for each node: no peer has to serve them all.
    const few = [...first].filter(suits).slice(0, TRIES_AT_ONCE)
    await Promise.all(few.map(([id, address]) => check(id, address)))
  }
}

/** @type {(capability: string) => Promise<Map<string, string>>} */
async function locate(capability) {
  const peers = new Map()
  for await (const { publicKey, address } of dht.locate(topicOf(capability), { signal })) {
    peers.set(toHex(publicKey), address)
  }
  return peers
}

/** Shakes hands with a peer, and connects or leaves it accordingly. @type {(id: string, address: string) => Promise<void>} */
async function check(id, address) {
  const peer = connected.get(id)
  try {
    const status = await shakeHands(id, address)
    if (peer === undefined && connected.size >= peersMax) return
    if (peer === undefined) console.log(`connected ${id.slice(0, 8)} at ${address}, height ${status.height}`)
    connected.set(id, { address, failures: 0 })
  } catch (error) {
    if (signal.aborted) return
    // A datagram may get lost. Who leaves two handshakes without an answer is gone.
    if (peer !== undefined && ++peer.failures < FAILURES_MAX) return
    refusedUntil.set(id, Date.now() + REFUSED_MS)
    // One address may be announced with many keys. It is left alone only where it is mute: somebody else may have made
    // up that the key is there.
    if (error instanceof DhtError && error.code === 'ERR_TIMEOUT') refusedUntil.set(address, Date.now() + REFUSED_MS)
    connected.delete(id)
    const message = error instanceof Error ? error.message : error
    console.log(`${peer === undefined ? 'refused' : 'lost'} ${id.slice(0, 8)} at ${address}: ${plain(message)}`)
  }
}

/** @type {(id: string, address: string) => Promise<{ height: number }>} */
async function shakeHands(id, address) {
  const challenge = new Uint8Array(randomBytes(32))
  const answer = await dht.request(address, 'handshake', challenge, { signal })
  const [signature, status] = [answer.slice(0, 64), answer.slice(64)]
  if (!verify(signature, provenBy(challenge, status), fromHex(id))) throw new Error('has not the key that it announced')
  const theirs = JSON.parse(new TextDecoder().decode(status))
  if (theirs.chain !== chain || theirs.version !== VERSION) throw new Error('another chain or version')
  const missing = wants.filter((want) => !theirs.offers.includes(want))
  if (missing.length > 0) throw new Error(`announced ${missing.join(', ')}, and does not have it`)
  if (!(Number.isSafeInteger(theirs.height) && theirs.height > height)) throw new Error('has no blocks that we lack')
  return theirs
}

/** What others wrote, without anything that a terminal obeys, and on one line. @param {unknown} text */
function plain(text) {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
}

/**
 * What a handshake signs. The challenge is new each time, so the answer was made now, by who has the key; the words see
 * to it that it can't be taken for anything else that the key signs. That somebody stands in between and passes all of
 * it on is not seen: an application binds the key to an encrypted connection.
 *
 * @type {(challenge: Uint8Array, status: Uint8Array) => Uint8Array}
 */
function provenBy(challenge, status) {
  return Uint8Array.of(...new TextEncoder().encode('peer-discovery handshake'), ...keyOf(challenge), ...status)
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        offer: { type: 'string', multiple: true, default: [] },
        want: { type: 'string', multiple: true, default: [] },
        peers: { type: 'string', default: '3' },
        height: { type: 'string', default: '0' },
        chain: { type: 'string', default: 'main' },
        bootstrap: { type: 'string', multiple: true, default: [] },
        host: { type: 'string' },
        every: { type: 'string', default: '5' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const { offer: offers, want: wants, peers, height, chain, bootstrap, host, every } = values
    if (offers.length + wants.length === 0) throw new Error('--offer or --want is missing')
    for (const word of [chain, ...offers, ...wants]) {
      if (!/^[\w-]{1,30}$/.test(word)) throw new Error(`'${word}' is no name`)
    }
    if (offers.length > 10) throw new Error('--offer: at most 10')
    if (!/^[1-9]\d?$/.test(peers)) throw new Error('--peers takes 1 to 99')
    if (!/^\d{1,15}$/.test(height)) throw new Error('--height takes a number')
    if (!(Number(every) >= 0.1 && Number(every) <= 86_400)) throw new Error('--every takes 0.1 to 86400 seconds')
    if (bootstrap.length === 0) throw new Error('--bootstrap is missing')
    const numbers = { peersMax: Number(peers), height: Number(height), everyMs: 1000 * Number(every) }
    return { offers, wants, chain, ...numbers, bootstrap, host }
  } catch (error) {
    process.stderr.write(`peer-discovery: ${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
