import debug from 'debug'
import type { DhtError } from '../errors.js'
import type { Address, Contact } from '../keyspace/index.js'
import type { Callee } from '../rpc/index.js'
import { PING } from '../wire/index.js'
import type { KnownContacts } from './known-contacts.js'
import type { NodeContext } from './node-context.js'
import type { Running } from './running.js'

const log = debug('xorbit:join')

/** How many known contacts are asked at once; one whose answer is overdue makes room for the next. */
export const KNOWN_AT_ONCE = 8

/** So many are asked after joining: twice as many as the table of a node of a large network holds. */
const PINGS_MAX = 512

/**
 * Asks known contacts for a sign of life, after the node has joined: so that the far buckets fill with those that still
 * live. Of those of an earlier run only who has a place in the table is asked. Who does not answer is forgotten, unless
 * the node knows hardly anybody else: it may be cut off from them, not they dead.
 *
 * @param withFormer - ask those that left the table, too, where hardly anybody else is known: after an outage they are
 *   left out of lookups for a while, as they were silent
 */
export function checkKnown(node: NodeContext, known: KnownContacts, running: Running, withFormer: boolean): void {
  const { config, rpc, table } = node
  const silent: Address[] = []
  let pings = 0
  let open = 0
  let isThrough = false
  const finish = (): void => {
    if (!isThrough || open > 0 || pings === 0) return
    log('asked %d known contacts, %d were silent', pings, silent.length)
    if (table.size >= config.k) for (const address of silent) known.settle(address)
  }
  const ping = (callee: Callee, freed: () => void): void => {
    const { address } = callee
    const free = once(freed)
    pings++
    open++
    const answered = (error: DhtError | undefined): void => {
      open--
      if (error?.code === 'ERR_TIMEOUT') silent.push(address)
      else if (error?.code !== 'ERR_CLOSED') known.settle(address)
      free()
      finish()
    }
    running.begin((ended) => {
      const done = (error: DhtError | undefined): void => {
        ended()
        answered(error)
      }
      return rpc.call(PING, callee, {}, { slow: free, done })
    })
  }
  const check = (callee: Callee, freed: () => void): (() => void) => {
    const { address, id } = callee
    const isIn = table.at(address) !== undefined || (id !== undefined && table.get(id) !== undefined)
    const isWanted = !isIn && pings < PINGS_MAX && (id === undefined || table.hasPlaceFor({ id, address }))
    if (isWanted) {
      ping(callee, freed)
    } else {
      known.settle(address)
      if (!isIn) known.left(address)
      freed()
    }
    return () => {}
  }
  const kept: readonly Contact[] = known.kept()
  const former = withFormer && table.size < config.k ? known.former() : []
  running.each<Callee>([...kept, ...former.map((address) => ({ address }))], KNOWN_AT_ONCE, check, () => {
    isThrough = true
    finish()
  })
}

/** Calls back the first time only: a slot is given back when the answer came, or is overdue. */
export function once(callback: () => void): () => void {
  let isCalled = false
  return () => {
    if (isCalled) return
    isCalled = true
    callback()
  }
}
