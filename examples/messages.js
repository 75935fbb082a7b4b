// @ts-check
// An application's own messages: one node answers, another asks.
//
//   node examples/messages.js
import { createDht, DhtError } from 'xorbit'
import { udp } from 'xorbit/udp'

const encode = (/** @type {string} */ text) => new TextEncoder().encode(text)
const decode = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes)

const server = createDht({ transport: udp({ host: '127.0.0.1' }) })
const { address } = await server.start()
const client = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [address], client: true })
await client.start()
try {
  server.handle('shout', (payload, { from }) => {
    console.log(`asked by ${from.address}`)
    return encode(decode(payload).toUpperCase())
  })
  console.log(decode(await client.request(address, 'shout', encode('hello'))))

  await client.request(address, 'whisper').catch((error) => {
    if (!(error instanceof DhtError)) throw error
    console.log(`${error.code}: nobody handles 'whisper' there`)
  })
} finally {
  await client.close()
  await server.close()
}
