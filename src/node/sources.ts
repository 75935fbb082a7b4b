import type { Address } from '../keyspace/index.js'
import type { NodeContext } from './node-context.js'

/** Who is charged for our own copies. */
export const OURSELVES: Uint8Array = new Uint8Array(0)

/**
 * Who is charged for what comes from an address: its network where the limits by network apply. Elsewhere all nodes
 * of a machine or an office share one network, so the address alone is charged.
 */
export function sourceOf({ config, transport }: Pick<NodeContext, 'config' | 'transport'>, from: Address): Uint8Array {
  const { group, scope } = transport.describe(from)
  return config.limitedScopes.includes(scope) ? group : transport.encodeAddress(from)
}
