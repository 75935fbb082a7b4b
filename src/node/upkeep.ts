import debug from 'debug'
import { whenReady } from '../storage/index.js'
import { tidyInherited } from './inherited.js'
import type { NodeContext } from './node-context.js'
import { lookUpRegions } from './regions.js'
import { Running } from './running.js'

const log = debug('xorbit:upkeep')

/**
 * What a node does by itself while it is open: looks up the regions that nobody asked for in a while (paper
 * 2.3), so that they stay known, asks contacts that failed for a sign of life, and removes what is expired, what expired
 * while it was away first of all.
 */
export class Upkeep {
  readonly #node: NodeContext
  readonly #onLonely: () => void
  readonly #running = new Running()
  #cancelRefresh: () => void = () => {}
  #cancelExpiry: () => void = () => {}

  /**
   * @param onLonely - called now and then while the table is empty
   */
  constructor(node: NodeContext, onLonely: () => void) {
    this.#node = node
    this.#onLonely = onLonely
  }

  start(): void {
    tidyInherited(this.#node, this.#running)
    this.#scheduleRefresh()
    this.#scheduleExpiry()
  }

  stop(): void {
    this.#cancelRefresh()
    this.#cancelExpiry()
    this.#running.cancelAll()
  }

  #scheduleRefresh(): void {
    const { clock, config, randomBytes } = this.#node
    // 0.75 to 1.25 of the interval, so that nodes that started together drift apart.
    const delayMs = config.refreshIntervalMs * (0.75 + (randomBytes(1)[0] as number) / 512)
    this.#cancelRefresh = clock.after(delayMs, () => {
      this.#refresh()
      this.#scheduleRefresh()
    })
  }

  #refresh(): void {
    const { config, table, verify } = this.#node
    // Regions turn stale at different times; those due before the next turn would come too late then.
    const regions = table.staleRegions(config.refreshIntervalMs / 2)
    log('%d regions to refresh', regions.length)
    lookUpRegions(this.#node, regions, this.#running)
    // Nobody is told of contacts that failed, nor do lookups begin with them: they would stay so for ever.
    for (const entry of table.entries()) if (entry.failures > 0) verify(entry)
  }

  #scheduleExpiry(): void {
    const { clock, config, store, table } = this.#node
    this.#cancelExpiry = clock.after(config.expiryIntervalMs, () => {
      whenReady(
        () => store.removeExpired(clock.wallNow()),
        (count) => count > 0 && log('%d records expired', count),
        (error) => log('the store failed: %o', error),
      )
      if (table.size === 0) this.#onLonely()
      this.#scheduleExpiry()
    })
  }
}
