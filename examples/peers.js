// @ts-check
// Finding each other: peers announce themselves under a topic, and whoever knows the topic locates them.
//
//   node examples/peers.js
import { createDht, keyOf } from 'xorbit'
import { udp } from 'xorbit/udp'

const encode = (/** @type {string} */ text) => new TextEncoder().encode(text)
const decode = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes)

// Any 32 bytes will do as a topic; the hash of a text is one that nobody has to hand out.
const topic = keyOf('example-chat/room/lobby')

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

/** Prints who is there. The loop may be left at any time, which ends the search. */
async function show(/** @type {import('xorbit').Dht} */ dht) {
  const lines = []
  for await (const { address, data } of dht.locate(topic)) lines.push(`${decode(data)} is at ${address}`)
  console.log(lines.sort().join('\n') || 'nobody is there')
}

try {
  const [ada, bert, carol] = [await join(), await join(), await join()]
  for (let i = 0; i < 5; i++) await join()

  // The port is where this application listens; the host is where the others see the node.
  const announcement = await ada.announce(topic, { port: 8001, data: encode('Ada') })
  await bert.announce(topic, { port: 8002, data: encode('Bert') })
  await show(carol)

  // It is renewed by itself until it is stopped. Of a peer that dies without a word it stays for an hour at most.
  const { removedAt } = await announcement.stop()
  console.log(`Ada leaves; ${removedAt.length} nodes have forgotten her`)
  await show(carol)
} finally {
  for (const dht of nodes) await dht.close()
}
