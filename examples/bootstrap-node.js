// @ts-check
// A node that others join through; it keeps values like any other node. With the addresses of others it joins them.
//
//   node examples/bootstrap-node.js [PORT [HOST:PORT ...]]
import process from 'node:process'
import { createDht, DhtError } from 'xorbit'
import { udp } from 'xorbit/udp'

const [port = '7400', ...bootstrap] = process.argv.slice(2)

const dht = createDht({ transport: udp({ port: Number(port) }), bootstrap })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => dht.close())
dht.on('contactAdded', ({ address }) => console.log(`${address} came, ${dht.contacts().length} contacts`))
dht.on('contactRemoved', ({ address }) => console.log(`${address} left, ${dht.contacts().length} contacts`))
dht.on('joined', ({ contacts }) => console.log(`joined, ${contacts} contacts`))
try {
  const { address } = await dht.start()
  console.log(`listening at ${address}`)
} catch (error) {
  const code = error instanceof DhtError ? error.code : undefined
  // Nobody answered yet: the node stays open, goes on trying, and says `joined` when it is in.
  if (code === 'ERR_BOOTSTRAP_FAILED') console.log(`listening at ${dht.address}, alone so far`)
  else if (code !== 'ERR_CLOSED') throw error
}
