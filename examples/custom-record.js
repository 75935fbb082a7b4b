// @ts-check
// A kind of record of an application's own: votes on a topic. Each voter has one slot under it, and may change the vote:
// of two votes of one voter, all nodes keep the later one.
//
//   node examples/custom-record.js            votes over loopback UDP
//   node examples/custom-record.js --check    checks that the kind keeps every promise that nodes rely on
import process from 'node:process'
import { createDht, generateKeyPair, keyOf, sign, verify } from 'xorbit'
import { recordKindConformance } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

// A vote: public key 32 | signature 64 | its number, one byte | 1 for yes, 0 for no. The topic is signed but not sent.
const signed = (/** @type {Uint8Array} */ topic, /** @type {Uint8Array} */ vote) => Uint8Array.of(...topic, ...vote)
// By number and, where these are equal, by all bytes, so that all nodes agree.
const orderOf = (/** @type {Uint8Array} */ record) => String.fromCharCode(...record.subarray(96), ...record)

/** @type {import('xorbit').RecordKind} */
const votes = {
  code: 64,
  name: 'vote',
  recordBytesMax: 98,
  slotsPerKeyMax: 1000,
  isRelayed: true,
  isFirstEnough: false,
  isValid: (topic, record) =>
    record.length === 98 && verify(record.subarray(32, 96), signed(topic, record.subarray(96)), record.subarray(0, 32)),
  slot: (record) => record.slice(0, 32),
  merge: (a, b) => (orderOf(a) > orderOf(b) ? a : b),
}

/** @type {(topic: Uint8Array, keys: import('xorbit').KeyPair, number: number, isYes: boolean) => Uint8Array} */
function encodeVote(topic, { publicKey, secretKey }, number, isYes) {
  const vote = Uint8Array.of(number, isYes ? 1 : 0)
  return Uint8Array.of(...publicKey, ...sign(signed(topic, vote), secretKey), ...vote)
}

const topic = keyOf('shall we meet on Friday?')
const [ada, bert] = [generateKeyPair(), generateKeyPair()]

if (process.argv.includes('--check')) {
  const records = [ada, bert].flatMap((keys) => [1, 2, 3].map((number) => encodeVote(topic, keys, number, number > 1)))
  // Each promise is a function that throws where it is broken: any test runner can run them.
  for (const { name, run } of recordKindConformance({ kind: votes, samples: [{ key: topic, records }] })) {
    await run()
    console.log(`ok  ${name}`)
  }
} else {
  // Nodes that do not have the kind refuse its records.
  const first = createDht({ transport: udp({ host: '127.0.0.1' }), records: [votes] })
  const { address } = await first.start()
  const second = createDht({ transport: udp({ host: '127.0.0.1' }), records: [votes], bootstrap: [address] })
  await second.start()
  try {
    const count = async () => {
      const { records } = await second.findRecords(votes, topic)
      console.log(`${records.filter((record) => record[97] === 1).length} of ${records.length} say yes`)
    }
    await first.storeRecord(votes, topic, encodeVote(topic, ada, 1, true))
    await second.storeRecord(votes, topic, encodeVote(topic, bert, 1, false))
    await count()
    // Bert changes his mind. That an older vote of his comes late changes nothing.
    await second.storeRecord(votes, topic, encodeVote(topic, bert, 2, true))
    await first.storeRecord(votes, topic, encodeVote(topic, bert, 1, false))
    await count()
  } finally {
    for (const dht of [first, second]) await dht.close()
  }
}
