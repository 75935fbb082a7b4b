import { expect, test } from 'vitest'
import { keyOf } from '../../../src/keyspace/index.js'
import type { LocatedPeer } from '../../../src/node/index.js'
import { locatePeers } from '../../../src/node/index.js'
import { systemSignatures } from '../../../src/platform/system.js'
import type { PeerContent } from '../../../src/records/index.js'
import { encodePeer } from '../../../src/records/index.js'
import type { Holder } from './holder-fixture.js'
import { begin, KEYS, NETWORK, NO_BYTES, openLab } from './holder-fixture.js'

const TOPIC = keyOf('topic')
const TOKEN = Uint8Array.of(9, 9)
const IPV4 = Uint8Array.of(4, 41, 0, 0, 9, 0x1c, 0xe8)

/** A record as a holder keeps and sends it, with any observed address: only the holder vouches for that. */
function kept(holder: Holder, observed: Uint8Array, changes: Partial<PeerContent> = {}): Uint8Array {
  const fields = { network: NETWORK, topic: TOPIC, keys: KEYS, seq: 1n, lifetimeSeconds: 600, port: 0, data: NO_BYTES }
  const sent = encodePeer({ ...fields, holder: holder.peer.id, token: TOKEN, ...changes }, systemSignatures)
  return Uint8Array.of(...sent, TOKEN.length, ...TOKEN, ...observed)
}

async function locate(observed: readonly Uint8Array[], changes: Partial<PeerContent> = {}) {
  const lab = await openLab({ k: 4 })
  const [holder] = (await lab.holdersNear(TOPIC, 1)) as [Holder]
  holder.findValue = () => ({
    heldSeq: 1n,
    records: observed.map((address, i) => {
      const keys = systemSignatures.generate(new Uint8Array(32).fill(i + 1))
      return kept(holder, address, { keys, ...changes })
    }),
  })
  const found: LocatedPeer[] = []
  const { outcome } = begin<undefined>((done) => {
    const events = { found: (peer: LocatedPeer) => found.push(peer), wantsMore: () => true, done }
    return locatePeers(lab.node, TOPIC, lab.peer, events).stop
  })
  await lab.simulator.advance(5_000)
  return { found, outcome }
}

test('a peer is found at the host that its holder saw, with the port that it announced or was seen at', async () => {
  expect((await locate([IPV4])).found).toMatchObject([{ address: '41.0.0.9:7400', host: '41.0.0.9', port: 7400 }])
  const { found, outcome } = await locate([IPV4], { port: 4000, data: Uint8Array.of(5) })
  expect(found).toMatchObject([{ address: '41.0.0.9:4000', host: '41.0.0.9', port: 4000, data: Uint8Array.of(5) }])
  expect(found[0]!.publicKey).toEqual(KEYS.publicKey)
  expect(outcome).toMatchObject({ calls: 1, error: undefined })
})

test.each([1, 2, 3, 6, 8, 64])(
  'an observed address of %i bytes that is none is passed over, whatever its kind',
  async (length) => {
    const kinds = [0, 4, 6, 16, 200]
    const { found, outcome } = await locate([
      ...kinds.map((kind) => Uint8Array.of(kind, ...new Uint8Array(length - 1))),
      IPV4,
    ])
    expect(found).toMatchObject([{ address: '41.0.0.9:7400' }])
    expect(outcome).toMatchObject({ calls: 1, error: undefined })
  },
)

/** A kind of address that there is none of, one that nobody outside can reach, and port 0. */
const UNUSABLE = {
  'of an unknown kind': Uint8Array.of(200, 41, 0, 0, 9, 0x1c, 0xe8),
  'of a private network': Uint8Array.of(4, 10, 0, 0, 1, 0x1c, 0xe8),
  'with port 0': Uint8Array.of(4, 41, 0, 0, 9, 0, 0),
}

test.each(
  Object.entries(UNUSABLE).flatMap(([what, observed]) => [0, 1, 2].map((liar) => [what, liar, observed] as const)),
)("an address %s from holder %i hides no peer: another holder's is found, once", async (_what, liar, observed) => {
  const lab = await openLab({ k: 4 })
  const holders = await lab.holdersNear(TOPIC, 3)
  for (const [i, holder] of holders.entries()) {
    holder.findValue = () => ({ heldSeq: 1n, records: [kept(holder, i === liar ? observed : IPV4)] })
  }
  const found: LocatedPeer[] = []
  const { outcome } = begin<undefined>((done) => {
    const events = { found: (peer: LocatedPeer) => found.push(peer), wantsMore: () => true, done }
    return locatePeers(lab.node, TOPIC, lab.peer, events).stop
  })
  await lab.simulator.advance(5_000)
  expect(found).toMatchObject([{ address: '41.0.0.9:7400', publicKey: KEYS.publicKey }])
  expect(outcome).toMatchObject({ calls: 1, error: undefined })
})

test('a holder is not believed that saw a peer in a narrower network than its own, nor at port 0', async () => {
  const { found } = await locate([
    Uint8Array.of(4, 127, 0, 0, 1, 1, 1),
    Uint8Array.of(4, 10, 0, 0, 1, 1, 1),
    Uint8Array.of(4, 41, 0, 0, 9, 0, 0),
  ])
  expect(found).toEqual([])
})
