import debug from 'debug'
import type { Address, Contact } from '../keyspace/index.js'
import { ID_BYTES } from '../keyspace/index.js'
import type { Transport } from '../platform/transport.js'
import type { NodeState, RecordStore } from '../storage/index.js'

const log = debug('xorbit:state')

/** So many contacts of an earlier run are taken: several times as many as the table of a node ever holds. */
export const CONTACTS_MAX = 4096

/** The length of the secret key that a store keeps. */
export const SECRET_KEY_BYTES = 32

/**
 * Contacts that a user gave, copied.
 *
 * @throws TypeError for what is no contact or has an address that is none of the transport's, RangeError for an id of
 *   another length and for too many
 */
export function mustBeContacts(given: unknown, transport: Transport): Contact[] {
  if (!Array.isArray(given)) throw new TypeError('contacts must be an array of { id, address }')
  if (given.length > CONTACTS_MAX) throw new RangeError(`contacts may be ${CONTACTS_MAX} at most`)
  return Array.from(given, (contact) => mustBeContact(contact, transport))
}

function mustBeContact(contact: unknown, transport: Transport): Contact {
  if (typeof contact !== 'object' || contact === null) throw new TypeError('contacts must be { id, address } each')
  const { id, address } = contact as Partial<Contact>
  if (!(id instanceof Uint8Array))
    throw new TypeError('the id of each of contacts must be a Uint8Array; fromHex reads what toHex wrote')
  if (id.length !== ID_BYTES) throw new RangeError(`the id of each of contacts must have ${ID_BYTES} bytes`)
  if (typeof address !== 'string') throw new TypeError('the address of each of contacts must be a string')
  if (!isReadable(address, transport))
    throw new TypeError(`contacts: '${address}' is no address of the transport; over UDP it is one as 203.0.113.7:7400`)
  return { id: new Uint8Array(id), address }
}

function isReadable(address: Address, transport: Transport): boolean {
  try {
    transport.describe(address)
    transport.encodeAddress(address)
    return true
  } catch {
    return false
  }
}

/** What a store has kept of the node, copied; whatever of it can't be used is left out. */
export function keptIn(
  { nodeState }: RecordStore,
  transport: Transport,
): Partial<NodeState> & Pick<NodeState, 'contacts'> {
  if (!nodeState) return { contacts: [] }
  const { contacts, id, secretKey }: Partial<Record<keyof NodeState, unknown>> = nodeState.loaded
  const usable: Contact[] = []
  for (const contact of Array.isArray(contacts) ? contacts.slice(0, CONTACTS_MAX) : []) {
    try {
      usable.push(mustBeContact(contact, transport))
    } catch (error) {
      log('a kept contact is left out: %o', error)
    }
  }
  return {
    contacts: usable,
    ...(isOfLength(id, ID_BYTES) && { id }),
    ...(isOfLength(secretKey, SECRET_KEY_BYTES) && { secretKey: new Uint8Array(secretKey) }),
  }
}

function isOfLength(bytes: unknown, length: number): bytes is Uint8Array {
  return bytes instanceof Uint8Array && bytes.length === length
}
