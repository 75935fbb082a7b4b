import type { NodeId } from '../keyspace/index.js'
import { hash, ID_BYTES, mapKey, sameBytes } from '../keyspace/index.js'
import { copy, readU32 } from './bytes.js'
import { encodeImmutable, VALUE_BYTES_MAX } from './plain.js'

/** The first byte of a record that names the parts of a longer value. */
export const FORM_TREE = 1

/** The longest value that `put` cuts and `get` puts together, in bytes. */
export const LARGE_VALUE_BYTES_MAX: number = 2 ** 20

/** Form, level, length of the value. */
const HEADER_BYTES = 6

/** So many keys fit a record beside the header. */
const CHILDREN_MAX = 27

/** Seven levels would hold more than the four bytes of a length can say. */
const LEVEL_MAX = 6

const LABEL = Uint8Array.from('xorbit/tree/1', (character) => character.charCodeAt(0))

/** A node of a tree: which records, one after the other, make a value. */
export interface TreeNode {
  /** 1 where the children are values of form 0, else one more than theirs. */
  readonly level: number
  /** Of the value, in bytes. */
  readonly length: number
  readonly children: readonly TreeChild[]
}

/** What a node of a tree says of one of its children. */
export interface TreeChild {
  readonly key: NodeId
  /** Of its part of the value, in bytes. */
  readonly length: number
}

/** A record and its key. */
export interface KeyedRecord {
  readonly key: NodeId
  readonly record: Uint8Array
}

/** A value cut into records. */
export interface EncodedTree {
  readonly root: KeyedRecord
  /** The other records, each once, in the order of the value; `bytes` of it come with each for the first time. */
  readonly parts: readonly (KeyedRecord & { readonly bytes: number })[]
}

/**
 * Cuts a value of more than one record: 880 bytes each, then a node for each 27 of them, and so on up to one root.
 *
 * @param value - more than 880 bytes
 */
export function encodeTree(value: Uint8Array): EncodedTree {
  const parts = new Map<string, KeyedRecord & { bytes: number }>()
  const add = (part: KeyedRecord, bytes: number): NodeId => {
    const known = parts.get(mapKey(part.key))
    if (known) known.bytes += bytes
    else parts.set(mapKey(part.key), { ...part, bytes })
    return part.key
  }
  let keys: NodeId[] = []
  for (let at = 0; at < value.length; at += VALUE_BYTES_MAX) {
    const part = value.subarray(at, at + VALUE_BYTES_MAX)
    keys.push(add(encodeImmutable(part), part.length))
  }
  for (let level = 1; ; level++) {
    const span = spanOf(level)
    const nodes: KeyedRecord[] = []
    for (let at = 0; at < keys.length; at += CHILDREN_MAX) {
      const length = Math.min(span, value.length - nodes.length * span)
      nodes.push(encodeNode(level, length, keys.slice(at, at + CHILDREN_MAX)))
    }
    const [root] = nodes
    if (root && nodes.length === 1) return { root, parts: [...parts.values()] }
    keys = nodes.map((node) => add(node, 0))
  }
}

/** Whether bytes of form 1 are a node of a tree, and the one of that key. */
export function isTreeNode(key: NodeId, record: Uint8Array): boolean {
  return isWellFormed(record) && sameBytes(keyOfNode(record), key)
}

/** Whether a valid immutable record is a node of a tree. */
export function isTree(record: Uint8Array): boolean {
  return record[0] === FORM_TREE
}

/** What a valid record of form 1 says. */
export function readTreeNode(record: Uint8Array): TreeNode {
  const { level, length } = header(record)
  const span = spanOf(level - 1)
  const children: TreeChild[] = []
  for (let at = HEADER_BYTES; at < record.length; at += ID_BYTES) {
    children.push({
      key: copy(record, at, at + ID_BYTES),
      length: Math.min(span, length - children.length * span),
    })
  }
  return { level, length, children }
}

function encodeNode(level: number, length: number, children: readonly NodeId[]): KeyedRecord {
  const record = new Uint8Array(HEADER_BYTES + children.length * ID_BYTES)
  record[0] = FORM_TREE
  record[1] = level
  new DataView(record.buffer).setUint32(2, length)
  let at = HEADER_BYTES
  for (const child of children) {
    record.set(child, at)
    at += ID_BYTES
  }
  return { key: keyOfNode(record), record }
}

/** As many children as the length takes and no other bytes: a value has one tree of each level. */
function isWellFormed(record: Uint8Array): boolean {
  const { level, length } = header(record)
  if (level < 1 || level > LEVEL_MAX || length < 1) return false
  const children = Math.ceil(length / spanOf(level - 1))
  return children <= CHILDREN_MAX && record.length === HEADER_BYTES + children * ID_BYTES
}

function header(record: Uint8Array): { level: number; length: number } {
  return { level: record[1] ?? 0, length: readU32(record, 2) }
}

/** How much of a value one child of the next higher level holds. */
function spanOf(level: number): number {
  return VALUE_BYTES_MAX * CHILDREN_MAX ** level
}

/**
 * SHA-256 of a label, the record without its form byte, and zeros up to 893 bytes. These are more than a value of form
 * 0 has: else one could be made whose key is that of a tree, and who reads the key would get whichever came first.
 */
function keyOfNode(record: Uint8Array): NodeId {
  const hashed = new Uint8Array(LABEL.length + VALUE_BYTES_MAX)
  hashed.set(LABEL)
  hashed.set(record.subarray(1), LABEL.length)
  return hash(hashed)
}
