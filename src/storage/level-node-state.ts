import type { Contact } from '../keyspace/index.js'
import { mapKey } from '../keyspace/index.js'
import { CHECKSUM_BYTES, CONTACTS_KEY, IDENTITY_KEY, isIntact, seal } from './level-layout.js'
import type { WriteGroup } from './level-writer.js'
import type { NodeState, NodeStateStore } from './node-state.js'

/** How many contacts are kept: several times as many as a routing table of a large network holds. */
const CONTACTS_MAX = 1_024

/** The longest address that is kept, in bytes of UTF-8. */
const ADDRESS_BYTES_MAX = 255

/** What a node is, without its contacts. */
type Identity = Partial<Pick<NodeState, 'id' | 'secretKey'>>

/** The node's own state, written with the records' groups. */
export class LevelNodeState implements NodeStateStore {
  readonly loaded: Partial<NodeState>
  readonly #group: () => WriteGroup
  #identity: Identity

  /** @param group - the group that changes go into; throws where there may be none */
  constructor(loaded: Partial<NodeState>, group: () => WriteGroup) {
    this.loaded = loaded
    this.#group = group
    const { id, secretKey } = loaded
    this.#identity = { ...(id && { id }), ...(secretKey && { secretKey }) }
  }

  /** Whether an id or a secret key is kept, or will be with the group that is gathered now. */
  get hasIdentity(): boolean {
    return this.#identity.id !== undefined || this.#identity.secretKey !== undefined
  }

  save({ id, secretKey, contacts }: Partial<NodeState>): Promise<void> {
    const group = this.#group()
    if (id || secretKey) {
      const before = this.#identity
      const identity = {
        ...before,
        ...(id && { id: new Uint8Array(id) }),
        ...(secretKey && { secretKey: new Uint8Array(secretKey) }),
      }
      const value = encodeIdentity(identity)
      group.add(mapKey(IDENTITY_KEY), { type: 'put', key: IDENTITY_KEY, value })
      this.#identity = identity
      group.onFailure(() => {
        this.#identity = before
      })
    }
    if (contacts) {
      const value = encodeContacts(contacts)
      group.add(mapKey(CONTACTS_KEY), { type: 'put', key: CONTACTS_KEY, value })
    }
    return group.done
  }
}

/** Two byte arrays of at most 255 bytes, each after its length; a length of 0 for what is not there. */
function encodeIdentity({ id, secretKey }: Identity): Uint8Array {
  const parts = [id, secretKey].map((bytes) => bytes ?? new Uint8Array(0))
  return seal(IDENTITY_KEY, concatenated(parts.flatMap((bytes) => [Uint8Array.of(mustFit(bytes)), bytes])))
}

/** What was kept; undefined when it is not intact. */
export function decodeIdentity(value: Uint8Array): Identity | undefined {
  if (!isIntact(IDENTITY_KEY, value)) return undefined
  const read = reader(value)
  const [id, secretKey] = [read(), read()]
  return { ...(id.length > 0 && { id }), ...(secretKey.length > 0 && { secretKey }) }
}

/** Ids and addresses by turns, each after its length; of more than {@link CONTACTS_MAX}, the first. */
function encodeContacts(contacts: readonly Contact[]): Uint8Array {
  const encoder = new TextEncoder()
  const parts: Uint8Array[] = []
  for (const { id, address } of contacts.slice(0, CONTACTS_MAX)) {
    const text = encoder.encode(address)
    if (text.length > ADDRESS_BYTES_MAX || text.length === 0) continue
    parts.push(Uint8Array.of(mustFit(id)), id, Uint8Array.of(text.length), text)
  }
  return seal(CONTACTS_KEY, concatenated(parts))
}

/** What was kept; undefined when it is not intact. */
export function decodeContacts(value: Uint8Array): Contact[] | undefined {
  if (!isIntact(CONTACTS_KEY, value)) return undefined
  const decoder = new TextDecoder()
  const read = reader(value)
  const contacts: Contact[] = []
  for (;;) {
    const [id, text] = [read(), read()]
    if (id.length === 0 || text.length === 0) return contacts
    contacts.push({ id, address: decoder.decode(text) })
  }
}

function mustFit({ length }: Uint8Array): number {
  if (length > 255) throw new RangeError('ids and keys must have at most 255 bytes')
  return length
}

/** With room for the checksum in front. */
function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, CHECKSUM_BYTES))
  let at = CHECKSUM_BYTES
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Reads what comes after the next length; nothing at the end. */
function reader(value: Uint8Array): () => Uint8Array {
  let at = CHECKSUM_BYTES
  return () => {
    const length = value[at] ?? 0
    at += 1 + length
    return new Uint8Array(value.subarray(at - length, at))
  }
}
