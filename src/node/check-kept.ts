import debug from 'debug'
import type { DhtError } from '../errors.js'
import type { Contact } from '../keyspace/index.js'
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
 * Asks the contacts of an earlier run for a sign of life, after the node has joined: so that the far buckets fill with
 * those that still live. Only those that have a place in the table are asked. Who does not answer is forgotten, unless
 * the node knows hardly anybody else: it may be cut off from them, not they dead.
 */
export function checkKept(node: NodeContext, known: KnownContacts, running: Running): void {
  const { config, rpc, table } = node
  const silent: Contact[] = []
  let pings = 0
  let open = 0
  let isThrough = false
  const finish = (): void => {
    if (!isThrough || open > 0 || pings === 0) return
    log('asked %d known contacts, %d were silent', pings, silent.length)
    if (table.size >= config.k) for (const { address } of silent) known.settle(address)
  }
  const check = (contact: Contact, freed: () => void): (() => void) => {
    const { address, id } = contact
    const isIn = table.get(id) !== undefined
    if (isIn || pings >= PINGS_MAX || !table.hasPlaceFor(contact)) {
      known.settle(address)
      if (!isIn) known.left(address)
      freed()
      return () => {}
    }
    pings++
    open++
    const free = once(freed)
    const done = (error: DhtError | undefined): void => {
      open--
      if (error?.code === 'ERR_TIMEOUT') silent.push(contact)
      else if (error?.code !== 'ERR_CLOSED') known.settle(address)
      free()
      finish()
    }
    running.begin((ended) => {
      const events = {
        slow: free,
        done(error: DhtError | undefined): void {
          ended()
          done(error)
        },
      }
      return rpc.call(PING, contact, {}, events)
    })
    return () => {}
  }
  running.each(known.kept(), KNOWN_AT_ONCE, check, () => {
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
