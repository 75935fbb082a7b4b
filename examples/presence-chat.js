// @ts-check
// A chat without a server: whoever is in a room announces itself under the room's topic, finds the others there, and
// sends each line directly to each of them. What is shown of a peer was signed with its key.
//
// Not defended: anybody can take any name. The digits after it are of the key, but whoever tries keys for hours finds one
// with the same eight. Many keys of one person can fill a room, and a long text looks like a line of its own where the
// terminal breaks it.
//
//   node presence-chat.js lobby --name Ada --bootstrap 127.0.0.1:7400
//
// Lines of stdin go to everybody in the room; the end of stdin or Ctrl-C leaves it, with a goodbye.
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createDht, generateKeyPair, keyOf, sign, toHex, verify } from 'xorbit'
import { udp } from 'xorbit/udp'

const USAGE = `usage: node presence-chat.js ROOM --name NAME --bootstrap HOST:PORT
  --bootstrap HOST:PORT   a node to join through; may be repeated
  --host ADDRESS          listen there; every address of the machine unless given
  --every SECONDS         how often to look who is here; 5 unless given
`
const FAILURES_MAX = 2 // in a row: of one peer, and of looks that nobody at all answered
const MEMBERS_MAX = 50 // Each gets each line on its own.
const NUMBERS_MAX = 1_000 // of those that were here last
const SILENCE_MS = 60_000 // for which a peer that does not answer is left alone
const TEXT_BYTES_MAX = 400 // A message has at most 1,000 bytes; the others are signature, names and JSON.

const { room, name, everyMs, bootstrap, host } = readArguments()
const keys = generateKeyPair()
const me = toHex(keys.publicKey)
const topic = keyOf(`presence-chat/${room}`)

/** @typedef {{ name: string, address: string, failures: number, sent: Promise<void> }} Member */
/** Who is here, by public key. @type {Map<string, Member>} */
const here = new Map()
/** Until when those that did not answer are left alone. @type {Map<string, number>} */
const silentUntil = new Map()
/**
 * The numbers of each peer's last message and last text: an older one is late, or somebody repeats it. A text may be
 * overtaken by other messages, not by texts.
 *
 * @type {Map<string, { any: number, text: number }>}
 */
const lastNumbers = new Map()

const leaving = new AbortController()
const { signal } = leaving
for (const event of ['SIGINT', 'SIGTERM']) process.once(event, () => leaving.abort())

// A peer that dies without a word is named by the network for five minutes then; without this, for an hour.
const dht = createDht({ transport: udp(host === undefined ? {} : { host }), bootstrap, peerLifetimeMs: 300_000 })
try {
  await dht.start({ signal })
  dht.handle('chat', (payload, { from }) => answer(payload, from.address))
  const announcement = await dht.announce(topic, { keys, signal })
  console.log(`you are ${name} ${me.slice(0, 8)} in ${room}`)

  // To each member one after the other, or a line could overtake the one before; nobody waits for another member.
  const sendToAll = (/** @type {string} */ kind, /** @type {string} */ text) => {
    for (const [id, member] of here) {
      member.sent = member.sent.then(async () => {
        if (here.get(id) === member) await request(id, member.address, kind, text)
      })
    }
  }
  const input = createInterface({ input: process.stdin })
  input.on('line', (line) => {
    if (Buffer.byteLength(JSON.stringify(line)) > TEXT_BYTES_MAX) process.stderr.write('too long, not sent\n')
    else sendToAll('text', line)
  })
  input.on('close', () => leaving.abort())
  try {
    await watch()
  } finally {
    input.close()
    sendToAll('bye', '')
    const sent = [...here.values()].map((member) => member.sent)
    await Promise.allSettled([...sent, announcement.stop({ signal: AbortSignal.timeout(2_000) })])
  }
} catch (error) {
  if (error !== signal.reason) {
    process.stderr.write(`presence-chat: ${plain(error instanceof Error ? error.message : error)}\n`)
    process.exitCode = 1
  }
} finally {
  await dht.close()
}

/** Looks again and again who is here, until it is time to leave. */
async function watch() {
  for (let failures = 0; !signal.aborted; await delay(everyMs, undefined, { signal }).catch(() => {})) {
    try {
      // Is the room empty, or the network gone? What is located may come from this node's own store.
      if (here.size === 0) await dht.findNode(topic, { signal })
      for (const [id, until] of silentUntil) if (until < Date.now()) silentUntil.delete(id)
      const greetings = [...here].map(([id, { address }]) => request(id, address, 'hello', ''))
      for await (const { publicKey, address } of dht.locate(topic, { signal })) {
        const id = toHex(publicKey)
        if (id === me || here.has(id) || silentUntil.has(id) || greetings.length >= MEMBERS_MAX) continue
        greetings.push(request(id, address, 'hello', ''))
      }
      await Promise.all(greetings)
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      if (++failures === FAILURES_MAX) throw error
    }
  }
}

/**
 * Sends something to one peer. It is here when it signs its answer to this very message: an address proves nothing.
 *
 * @type {(id: string, address: string, kind: string, text: string) => Promise<void>}
 */
async function request(id, address, kind, text) {
  const number = performance.timeOrigin + performance.now()
  try {
    const got = open(await dht.request(address, 'chat', seal(id, number, kind, text)))
    if (got.id !== id || got.number !== number) throw new Error('another one is there')
    if (kind !== 'bye') greet(id, got.name, address)
    const peer = here.get(id)
    if (peer !== undefined) peer.failures = 0 // Only an answer shows that it gets what we send.
  } catch {
    // A datagram may get lost. Who leaves two messages without an answer is gone.
    const peer = here.get(id)
    if (peer !== undefined && ++peer.failures < FAILURES_MAX) return
    silentUntil.set(id, Date.now() + SILENCE_MS)
    if (here.delete(id)) console.log(`${peer?.name} ${id.slice(0, 8)} does not answer any more`)
  }
}

/** @type {(payload: Uint8Array, address: string) => Uint8Array} */
function answer(payload, address) {
  if (signal.aborted) throw new Error('leaving') // An answer that comes after the goodbye would undo it.
  const { id, number, kind, name, text } = open(payload)
  if (!here.has(id) && here.size >= MEMBERS_MAX) throw new Error('the room is full')
  const last = lastNumbers.get(id) ?? { any: 0, text: 0 }
  if (number > last.any) {
    if (kind === 'bye' && here.delete(id)) console.log(`${name} ${id.slice(0, 8)} has left`)
    if (kind !== 'bye' && !silentUntil.has(id)) greet(id, name, address)
    last.any = number
  }
  if (kind === 'text' && number > last.text) {
    console.log(`${name} ${id.slice(0, 8)}: ${text}`)
    last.text = number
  }
  lastNumbers.delete(id) // Set anew it is the last one: those that said nothing for longest are forgotten first.
  lastNumbers.set(id, last)
  const [oldest = id] = lastNumbers.keys()
  if (lastNumbers.size > NUMBERS_MAX) lastNumbers.delete(oldest)
  return seal(id, number, 'here', '')
}

/** @type {(id: string, name: string, address: string) => void} */
function greet(id, name, address) {
  const member = here.get(id)
  if (member !== undefined) Object.assign(member, { name, address })
  else if (here.size < MEMBERS_MAX) {
    here.set(id, { name, address, failures: 0, sent: Promise.resolve() })
    console.log(`${name} ${id.slice(0, 8)} is here`)
  }
}

/**
 * A message: public key 32 | signature 64 | JSON, which is signed. It names room and receiver: nobody can pass it on
 * as one to somebody else.
 *
 * @type {(to: string, number: number, kind: string, text: string) => Uint8Array}
 */
function seal(to, number, kind, text) {
  const signed = new TextEncoder().encode(JSON.stringify({ room, to, number, kind, name, text }))
  return Uint8Array.of(...keys.publicKey, ...sign(signed, keys.secretKey), ...signed)
}

/** @type {(bytes: Uint8Array) => { id: string, number: number, kind: string, name: string, text: string }} */
function open(bytes) {
  const [publicKey, signature, signed] = [bytes.slice(0, 32), bytes.slice(32, 96), bytes.slice(96)]
  const message = JSON.parse(new TextDecoder().decode(signed))
  if (!verify(signature, signed, publicKey)) throw new Error('not signed by its sender')
  if (message.room !== room || message.to !== me) throw new Error('not for us')
  const [name, text] = [String(message.name), String(message.text)]
  if (!isName(name)) throw new Error('no name')
  return { ...message, id: toHex(publicKey), name, text: plain(text) }
}

/** What others wrote, without anything that a terminal obeys, and on one line. @param {unknown} text */
function plain(text) {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
}

/** Letters and digits, and nothing that could be taken for the digits of a key. @param {string} text */
function isName(text) {
  return /^[\p{L}\p{N} ._-]{1,30}$/u.test(text) && !/[0-9a-f]{8}/i.test(text)
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        name: { type: 'string', default: '' },
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
    const { name, bootstrap, host, every } = values
    const [room = ''] = positionals
    if (positionals.length !== 1 || !isName(room))
      throw new Error('one ROOM is wanted: 1 to 30 letters and digits, and nothing like a key')
    if (!isName(name)) throw new Error('--name takes 1 to 30 letters and digits, and nothing like a key')
    if (bootstrap.length === 0) throw new Error('--bootstrap is missing')
    if (!(Number(every) >= 0.1 && Number(every) <= 86_400)) throw new Error('--every takes 0.1 to 86400 seconds')
    return { room, name, everyMs: 1000 * Number(every), bootstrap, host }
  } catch (error) {
    process.stderr.write(`presence-chat: ${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return process.exit(2)
  }
}
