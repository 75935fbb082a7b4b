// @ts-check
// A name that its owner alone can point elsewhere: a public key stands for the newest value signed with it. Anyone who
// has the key finds that value, and whoever comes with an older one is refused.
//
//   node examples/names.js
import { createDht, DhtError, generateKeyPair, toHex } from 'xorbit'
import { udp } from 'xorbit/udp'

const encode = (/** @type {string} */ text) => new TextEncoder().encode(text)
const decode = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes)

/** @type {import('xorbit').Dht[]} */
const nodes = []

/** Starts one more node, which joins through the first one. */
async function join() {
  const bootstrap = nodes.flatMap(({ address }) => address ?? []).slice(0, 1)
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap })
  nodes.push(dht)
  await dht.start()
  return dht
}

try {
  const [laptop, phone, reader] = [await join(), await join(), await join()]
  for (let i = 0; i < 5; i++) await join()

  // Keep the secret key secret. The public one is the name: give it to whoever should find you.
  const keys = generateKeyPair()
  console.log(`the name is ${toHex(keys.publicKey)}`)

  const { seq, storedAt } = await laptop.publish(keys, encode('http://192.0.2.1/'))
  console.log(`version ${seq} is kept by ${storedAt.length} nodes`)
  const first = await reader.resolve(keys.publicKey)
  console.log(`the name leads to ${first && decode(first.value)}`)

  // Another device of the owner moves it; `cas` makes sure that it replaces what it has seen and nothing newer.
  await phone.publish(keys, encode('http://192.0.2.2/'), { cas: seq })
  const second = await reader.resolve(keys.publicKey)
  console.log(`the name now leads to ${second && decode(second.value)}, version ${second?.seq}`)

  // The first device has not heard of that. Its next value is refused, so that it can look before it overwrites.
  await laptop.publish(keys, encode('http://192.0.2.3/'), { cas: seq }).catch((error) => {
    if (!(error instanceof DhtError)) throw error
    console.log(`${error.code}: ${error.message}`)
  })
} finally {
  for (const dht of nodes) await dht.close()
}
