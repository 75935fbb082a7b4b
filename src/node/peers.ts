import type { Address, Contact, NodeId } from '../keyspace/index.js'
import type { Transport } from '../platform/transport.js'
import type { RecordKind } from '../records/index.js'
import { readPeer } from '../records/index.js'
import { ADDRESS_KIND_IPV4, ADDRESS_KIND_IPV6 } from '../wire/index.js'
import { isWithinReachOf } from './contact-filter.js'
import type { NodeContext } from './node-context.js'
import type { Done } from './outcome.js'
import { inconclusive, refuse } from './outcome.js'
import type { Search } from './search-all.js'
import { searchAll } from './search-all.js'

/** A peer that announced itself under a topic. */
export interface LocatedPeer {
  /** Who it is: its announcement is signed with the key that belongs to this one. */
  readonly publicKey: Uint8Array
  /** Where it is: the host that a holder saw it at, with the port that it announced. */
  readonly address: Address
  /** The host of the address alone, where the address is one of IP. */
  readonly host: string | undefined
  /** The port that it announced, or the one that it was seen at. */
  readonly port: number | undefined
  /** What it announced beside; at most 200 bytes. */
  readonly data: Uint8Array
}

/** What {@link locatePeers} reports. */
export interface PeerEvents {
  /** A peer that was not known before. */
  found(peer: LocatedPeer): void
  /** Whether further peers are wanted now; else {@link Search.resume} goes on. */
  wantsMore(): boolean
  /** The end. None were found, which is no error, only when more than half of the k nearest answered. */
  done: Done<undefined>
}

/** Finds the peers of a topic; pages are asked for as long as they bring news and are wanted. */
export function locatePeers(node: NodeContext, topic: NodeId, kind: RecordKind, events: PeerEvents): Search {
  if (node.table.size === 0) {
    const stop = refuse(events.done)
    return { stop, resume: stop }
  }
  return searchAll(node, topic, kind, {
    found(record, holder) {
      const peer = peerOf(node.transport, record, holder)
      if (peer) events.found(peer)
      return peer !== undefined
    },
    wantsMore: () => events.wantsMore(),
    done({ best, outcome }) {
      if (best.size === 0 && !outcome.conclusive) events.done(inconclusive(outcome), undefined)
      else events.done(undefined, undefined)
    },
  })
}

/** Undefined where the address is none that we can send to, or none that its holder can know. */
function peerOf(transport: Transport, record: Uint8Array, holder: Contact | undefined): LocatedPeer | undefined {
  const { data, observed, port, publicKey } = readPeer(record)
  const kind = observed[0]
  const isIp = kind === ADDRESS_KIND_IPV4 || kind === ADDRESS_KIND_IPV6
  try {
    const portView = new DataView(observed.buffer, observed.byteOffset + observed.length - 2)
    if (isIp && port !== 0) portView.setUint16(0, port)
    const address = transport.decodeAddress(observed)
    if (holder && !isWithinReachOf(transport, holder.address)(address)) return undefined
    if (!isIp) return { publicKey, address, host: undefined, port: port === 0 ? undefined : port, data }
    // 'host:port' or '[host]:port'.
    const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
    return { publicKey, address, host, port: portView.getUint16(0), data }
  } catch {
    return undefined
  }
}
