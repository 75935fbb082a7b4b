// Three nodes on loopback UDP store, find, publish, resolve, announce, locate, query and come back. Ends by itself only if nothing keeps the
// process alive.
import assert from 'node:assert/strict'
import { createDht, generateKeyPair, keyOf, sign, toHex, verify } from 'xorbit'
import { recordKindConformance } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

const encode = (text) => new TextEncoder().encode(text)

/** Notes that are signed for their key; the greater bytes win. */
const notes = {
  code: 64,
  name: 'note',
  recordBytesMax: 300,
  slotsPerKeyMax: 1,
  isRelayed: true,
  isFirstEnough: false,
  isValid: (key, record) =>
    record.length >= 96 &&
    verify(record.subarray(32, 96), Uint8Array.of(...key, ...record.subarray(96)), record.subarray(0, 32)),
  merge: (a, b) => (toHex(a) > toHex(b) ? a : b),
}

const nodes = []
for (let i = 0; i < 3; i++) {
  const bootstrap = nodes.slice(0, 1).map(({ address }) => address)
  const dht = createDht({
    transport: udp({ port: 0, host: '127.0.0.1' }),
    bootstrap,
    records: [notes],
    disjointPaths: i + 1,
  })
  await dht.start()
  nodes.push(dht)
}
const [first, second, third] = nodes

const value = encode('over loopback')
const { key, storedAt } = await second.put(value, { acknowledgements: 20 })
assert.equal(storedAt.length, 2)
const [one, other] = await Promise.all([first.get(key), first.get(key)])
assert.deepEqual([one?.value, other?.value], [value, value])

const long = new Uint8Array(30_000).map((_, i) => i ^ (i >> 8))
let toldBytes = 0
const { key: longKey, parts } = await second.put(long, { onProgress: ({ bytes }) => (toldBytes = bytes) })
assert.deepEqual([toldBytes, parts > 30], [long.length, true])
assert.deepEqual((await third.get(longKey))?.value, long)

for (const [i, dht] of nodes.entries()) dht.handle('number', (payload) => Uint8Array.of(i, ...payload))
const numbers = []
for await (const { payload } of first.query(key, 'number', encode('!'))) numbers.push(payload.join())
assert.deepEqual(numbers.sort(), ['1,33', '2,33'])

const keys = generateKeyPair()
const { seq } = await second.publish(keys, value)
assert.equal(seq, 1n)
await third.publish(keys, encode('moved'), { cas: seq })
await assert.rejects(second.publish(keys, value, { cas: seq }), { code: 'ERR_CAS_MISMATCH' })
assert.deepEqual((await first.resolve(keys.publicKey))?.value, encode('moved'))

const topic = keyOf('a topic')
const announcement = await second.announce(topic, { port: 8001, data: value, keys })
const located = async () => {
  const peers = []
  for await (const peer of third.locate(topic)) peers.push(peer)
  return peers
}
const { publicKey } = keys
assert.deepEqual(await located(), [
  { publicKey, address: '127.0.0.1:8001', host: '127.0.0.1', port: 8001, data: value },
])
const { removedAt } = await announcement.stop()
assert.equal(removedAt.length, announcement.storedAt.length)
assert.deepEqual(await located(), [])

const note = (text) =>
  Uint8Array.of(...publicKey, ...sign(Uint8Array.of(...topic, ...encode(text)), keys.secretKey), ...encode(text))
for (const text of ['first', 'second']) await first.storeRecord(notes, topic, note(text))
const [merged] = (await third.findRecords(notes, topic)).records
assert.deepEqual(merged, notes.merge(note('first'), note('second')))
const samples = [{ key: topic, records: [note('first'), note('second'), note('third')] }]
for (const { run } of recordKindConformance({ kind: notes, samples })) await run()

// It comes back through its contacts alone.
const contacts = third.contacts()
await third.close()
const again = createDht({ transport: udp({ port: 0, host: '127.0.0.1' }), id: third.id, contacts })
assert.equal((await again.start()).contacts, 2)
assert.deepEqual((await again.get(key))?.value, value)
await again.close()

assert.equal(second.forget(key), true)
assert.equal(second.forget(longKey), true)
assert.equal(second.stats().publications, 1)
for (const dht of nodes) await dht.close()
