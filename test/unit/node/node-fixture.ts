import type { Dht } from '../../../src/dht.js'
import { createDht } from '../../../src/dht.js'
import type { Address, NodeId } from '../../../src/keyspace/index.js'
import { idInRegion } from '../../../src/keyspace/index.js'
import type { DhtOptions } from '../../../src/options.js'
import type { SimulatedHost, Simulator } from '../../../src/testing/index.js'
import type { FindNodeParams, FindValueParams, RequestMessage } from '../../../src/wire/index.js'
import { createContactPacker, FIND_NODE, FIND_VALUE, PING } from '../../../src/wire/index.js'
import { RawPeer } from '../rpc/raw-peer.js'

/** A node on a host, not started. */
export function nodeOn(host: SimulatedHost, options: Partial<DhtOptions> = {}): Dht {
  const { transport, clock, randomBytes } = host
  return createDht({ transport, clock, randomBytes, ...options })
}

/** A node on a new host, started. */
export async function openNode(simulator: Simulator, options: Partial<DhtOptions> = {}, host = simulator.host()) {
  const dht = nodeOn(host, options)
  await simulator.run(() => dht.start())
  return { host, dht, address: host.address }
}

/** Nodes that joined through the first of them, one after the other. */
export async function openNetwork(simulator: Simulator, count: number, options: Partial<DhtOptions> = {}) {
  const first = await openNode(simulator, options)
  const nodes = [first]
  while (nodes.length < count) nodes.push(await openNode(simulator, { bootstrap: [first.address], ...options }))
  await simulator.advance(10_000)
  return nodes
}

/** Lets a peer answer what an honest node without contacts answers. */
export function behave(peer: RawPeer): RawPeer {
  peer.onRequest = (request, from) => answerHonestly(peer, request, from)
  return peer
}

export function answerHonestly(
  peer: RawPeer,
  request: RequestMessage,
  from: Address,
  contacts: Uint8Array = new Uint8Array(0),
): void {
  const token = Uint8Array.of(1)
  if (request.method === PING.code) peer.answer(from, request, PING, {})
  if (request.method === FIND_NODE.code) peer.answer(from, request, FIND_NODE, { contacts })
  if (request.method === FIND_VALUE.code) {
    peer.answer(from, request, FIND_VALUE, {
      ...{ token, heldSeq: undefined, records: [], contacts, leftOut: 0 },
      ...{ recordsLeft: 0, ttlsSeconds: [] },
    })
  }
}

/** Peers that answer, with ids that share this many bits with the node's; they ask, so that it takes them into its table. */
export async function befriend(
  simulator: Simulator,
  dht: Dht,
  count: number,
  sharedBits?: number,
  hosts: (i: number) => SimulatedHost = () => simulator.host(),
): Promise<RawPeer[]> {
  const peers: RawPeer[] = []
  for (let i = 0; i < count; i++) {
    const host = hosts(i)
    const random = host.randomBytes(32)
    const id = sharedBits === undefined ? random : idInRegion(dht.id, sharedBits, random)
    const peer = behave(await RawPeer.on(host, id))
    peer.ask(dht.address as string, PING, {})
    peers.push(peer)
    await simulator.advance(700)
  }
  return peers
}

/** The addresses of the contacts in a node's table. */
export function addressesOf(dht: Dht): Set<Address> {
  return new Set(dht.contacts().map(({ address }) => address))
}

/** The target of a lookup's request. */
export function targetOf({ method, params }: RequestMessage): NodeId | undefined {
  const read: FindNodeParams | FindValueParams | undefined =
    method === FIND_NODE.code ? FIND_NODE.readParams(params) : FIND_VALUE.readParams(params)
  return read && ('target' in read ? read.target : read.key)
}

/** Contacts packed as a reply carries them. */
export function packed(host: SimulatedHost, contacts: readonly { id: NodeId; address: Address }[]): Uint8Array {
  return createContactPacker(host.transport).pack(contacts, 100_000).bytes
}
