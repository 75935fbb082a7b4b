import type { DhtError } from './errors.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import type { NodeContext } from './node/index.js'
import {
  Admission,
  anyIdButOurs,
  Join,
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
import { createMutableKind, createPeerKind, immutableKind } from './records/index.js'
import { RoutingTable } from './routing/index.js'
import { Rpc } from './rpc/index.js'
import { createCodec, createContactPacker, networkTag } from './wire/index.js'

/** The parts of one node. */
export interface Parts {
  readonly node: NodeContext
  readonly join: Join
  readonly upkeep: Upkeep
  readonly repair: Repair
  readonly publications: Publications
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

/** Builds a node: the only place where its parts meet. */
export function assemble(config: DhtConfig, owner: Owner): Parts {
  const { clock, id, randomBytes, signatures, storage, transport } = config
  const table = new RoutingTable({
    ...config,
    ownId: id,
    now: () => clock.now(),
    describe: (address) => transport.describe(address),
    onAdded(contact) {
      owner.contactAdded(contact)
      repair.onAdded(contact)
    },
    onRemoved: (contact) => owner.contactRemoved(contact),
  })
  const { fullBucketCheckIntervalMs } = config
  const onIsolated = (): void => owner.lonely()
  const admission = new Admission({ clock, fullBucketCheckIntervalMs, table, rpc: () => rpc, onIsolated })
  const rpc: Rpc = new Rpc({
    ...config,
    codec: createCodec(config.network),
    identity: () => ({ id, flags: owner.flags() }),
    mayClaim: anyIdButOurs(id),
    observer: admission,
  })
  const network = networkTag(config.network)
  const signed = { network, signatures }
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
    kinds: kindsByCode([immutableKind, createMutableKind(signed), createPeerKind(signed), ...config.records]),
    packer: createContactPacker(transport),
    counters: { invalidRecords: 0, lookups: 0, passedOn: 0, republished: 0 },
    verify: (entry) => admission.check(entry),
    isSilent: (address) => admission.isSilent(address),
  }
  const repair = new Repair(node)
  serveProtocol(node, new WriteTokens(config))
  return {
    node,
    repair,
    join: new Join(node, () => owner.address(), {
      joined: (found) => owner.joined(found),
      failed: (error) => owner.joinFailed(error),
    }),
    upkeep: new Upkeep(node, () => owner.lonely()),
    publications: new Publications(node, { failed: (key, error) => owner.republishFailed(key, error) }),
  }
}
