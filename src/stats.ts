import type { LifeCycle } from './life-cycle.js'
import type { DhtStats } from './results.js'

/** What happened to a node so far. */
export function statsOf({ isJoined, parts }: LifeCycle): DhtStats {
  const { counters, rpc, store, table, transport } = parts.node
  return {
    ...rpc.counters,
    dropped: { ...rpc.counters.dropped },
    ...counters,
    isJoined,
    contacts: table.size,
    pendingCalls: rpc.pendingCalls,
    publications: parts.publications.size,
    storage: store.stats(),
    transport: transport.stats?.() ?? {},
  }
}
