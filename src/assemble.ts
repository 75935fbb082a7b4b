import type { DhtError } from './errors.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import type { NodeContext } from './node/index.js'
import {
  Admission,
  anyIdButOurs,
  Join,
  KeptState,
  KnownContacts,
  kindsByCode,
  Publications,
  Repair,
  Shared,
  serveProtocol,
  Turns,
  Upkeep,
  WriteTokens,
} from './node/index.js'
import type { DhtConfig } from './options.js'
import type { RecordKind } from './records/index.js'
import { createMutableKind, createPeerKind, immutableKind } from './records/index.js'
import { RoutingTable } from './routing/index.js'
import { Rpc } from './rpc/index.js'
import type { Codec } from './wire/index.js'
import { createCodec, createContactPacker, networkTag } from './wire/index.js'

/** The parts of one node. */
export interface Parts {
  readonly node: NodeContext
  readonly join: Join
  readonly upkeep: Upkeep
  readonly repair: Repair
  readonly publications: Publications
  /** Where the store has a place for it. */
  readonly keptState: KeptState | undefined
}

/** What the parts ask and report. */
export interface Owner {
  /** Where the node listens, once it does. */
  address(): Address | undefined
  /** The flags of the messages that it sends. */
  flags(): number
  contactAdded(contact: Contact): void
  contactRemoved(contact: Contact): void
  /** Nobody of the table answers, or there is nobody in it. */
  lonely(): void
  joined(found: { readonly contacts: number; readonly elapsedMs: number }): void
  joinFailed(error: DhtError | TypeError): void
  republishFailed(key: NodeId, error: DhtError): void
}

/** What all nodes of a network have in common. */
interface OfNetwork {
  readonly name: string
  readonly signatures: DhtConfig['signatures']
  readonly codec: Codec
  readonly network: Uint8Array
  /** Those that need no application. */
  readonly kinds: ReadonlyMap<number, RecordKind>
}

/** That of the network that was asked for last: the nodes of a process are of one most of the time. */
let latest: OfNetwork | undefined

function ofNetwork({ network: name, signatures }: DhtConfig): OfNetwork {
  if (latest?.name !== name || latest.signatures !== signatures) {
    const network = networkTag(name)
    const signed = { network, signatures }
    const kinds = kindsByCode([immutableKind, createMutableKind(signed), createPeerKind(signed)])
    latest = { name, signatures, codec: createCodec(name), network, kinds }
  }
  return latest
}

/** Builds a node: the only place where its parts meet. */
export function assemble(config: DhtConfig, owner: Owner): Parts {
  const { clock, id, randomBytes, secretKey, signatures, storage, transport } = config
  const { codec, kinds, network } = ofNetwork(config)
  const ownAddress = (): Address | undefined => owner.address()
  const { contacts, limitedScopes } = config
  const known = new KnownContacts({ id, contacts, transport, limitedScopes, ownAddress })
  const table = new RoutingTable({
    ...config,
    ownId: id,
    now: () => clock.now(),
    describe: (address) => transport.describe(address),
    encodeAddress: (address) => transport.encodeAddress(address),
    onAdded(contact) {
      known.entered(contact.address)
      owner.contactAdded(contact)
      repair.onAdded(contact)
    },
    onRemoved(contact) {
      known.left(contact.address)
      owner.contactRemoved(contact)
    },
  })
  const { fullBucketCheckIntervalMs } = config
  const onIsolated = (): void => owner.lonely()
  const admission = new Admission({ clock, fullBucketCheckIntervalMs, table, rpc: () => rpc, onIsolated })
  const rpc: Rpc = new Rpc({
    ...config,
    codec,
    identity: () => ({ id, flags: owner.flags() }),
    mayClaim: anyIdButOurs(id),
    observer: admission,
  })
  const node: NodeContext = {
    id,
    config,
    clock,
    randomBytes,
    signatures,
    transport,
    table,
    rpc,
    network,
    store: storage,
    turns: new Turns(),
    gets: new Shared(clock),
    kinds: config.records.length === 0 ? kinds : new Map([...kinds, ...kindsByCode(config.records)]),
    packer: createContactPacker(transport),
    counters: { invalidRecords: 0, lookups: 0, passedOn: 0, republished: 0, saveFailures: 0 },
    verify: (entry) => admission.check(entry),
    isSilent: (address) => admission.isSilent(address),
  }
  const repair = new Repair(node)
  const states = storage.nodeState
  serveProtocol(node, new WriteTokens(config))
  return {
    node,
    repair,
    join: new Join(node, known, ownAddress, {
      joined: (found) => owner.joined(found),
      failed: (error) => owner.joinFailed(error),
    }),
    upkeep: new Upkeep(node, () => owner.lonely()),
    publications: new Publications(node, { failed: (key, error) => owner.republishFailed(key, error) }),
    keptState: states && secretKey && new KeptState(node, states, secretKey, known),
  }
}
