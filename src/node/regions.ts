import { idInRegion } from '../keyspace/index.js'
import { lookUpNodes } from './lookups.js'
import type { NodeContext } from './node-context.js'
import type { Running } from './running.js'

/** How many regions are looked up at once. */
const REGIONS_AT_ONCE = 3

/** Looks up a random id in a region whose bucket is not a quarter full, to fill it. */
export function fillRegion(node: NodeContext, region: number, running: Running): void {
  if (node.table.countIn(region) < node.config.k / 4) lookUpRegions(node, [region], running)
}

/**
 * Looks up a random id in each of the regions, so that their buckets fill (paper 2.3).
 *
 * @param regions - numbers of leading bits that the ids of a region share with ours
 */
export function lookUpRegions(node: NodeContext, regions: readonly number[], running: Running): void {
  running.each(regions, REGIONS_AT_ONCE, (region, ended) => {
    const target = idInRegion(node.id, region, node.randomBytes(node.id.length))
    return lookUpNodes(node, target, ended).stop
  })
}
