import type { NodeId } from '../keyspace/index.js'
import { hash, sameBytes } from '../keyspace/index.js'
import type { KeyPair, Signatures } from '../platform/signatures.js'
import { compareBytes, concat, copy, mustBeSeq, mustBeShort, readU16, readU64, signedPrefix } from './bytes.js'
import { VALUE_BYTES_MAX } from './plain.js'
import type { RecordKind } from './record-kind.js'
import { KindCode } from './record-kind.js'

// publicKey 32 | signature 64 | body
// body = salt length u8 | salt | seq u64 | value length u16 | value, numbers big-endian
const SIGNATURE_AT = 32
const BODY_AT = 96
const SALT_AT = BODY_AT + 1
const SEQ_BYTES = 8
const VALUE_LENGTH_BYTES = 2

/** What stands before the network and the body where a record is signed; the byte 0 ends it. */
const LABEL = 'xorbit/mutable/1\0'

/** The longest salt of a mutable record, in bytes. */
export const SALT_BYTES_MAX = 64

/** What a publisher puts into a mutable record, see {@link encodeMutable}. */
export interface MutableContent {
  /** The 4-byte tag of the network: a record of one network is not valid in another. */
  readonly network: Uint8Array
  readonly keys: KeyPair
  /** Tells apart the records of one public key: 0 to {@link SALT_BYTES_MAX} bytes. */
  readonly salt: Uint8Array
  /** 0 to 2^64 - 1. The record with the highest one wins. */
  readonly seq: bigint
  /** 0 to {@link VALUE_BYTES_MAX} bytes. */
  readonly value: Uint8Array
}

/** What a valid mutable record says, see {@link readMutable}. */
export interface MutableFields {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  readonly salt: Uint8Array
  readonly seq: bigint
  readonly value: Uint8Array
}

/** What {@link createMutableKind} needs. */
export interface MutableKindConfig {
  /** The 4-byte tag of the network. */
  readonly network: Uint8Array
  readonly signatures: Pick<Signatures, 'verify'>
}

/** The key of a publisher's record: the hash of the public key, then the salt. */
export function mutableKey(publicKey: Uint8Array, salt: Uint8Array): NodeId {
  return hash(concat(publicKey, salt))
}

/**
 * A signed record, and the key it belongs to.
 *
 * @throws RangeError when the salt or the value is too long, or `seq` does not fit eight bytes
 */
export function encodeMutable(
  { network, keys, salt, seq, value }: MutableContent,
  signatures: Pick<Signatures, 'sign'>,
): { key: NodeId; record: Uint8Array } {
  mustBeShort(salt, SALT_BYTES_MAX, 'salt')
  mustBeShort(value, VALUE_BYTES_MAX, 'value')
  mustBeSeq(seq)
  const numbers = new Uint8Array(SEQ_BYTES + VALUE_LENGTH_BYTES)
  const view = new DataView(numbers.buffer)
  view.setBigUint64(0, seq)
  view.setUint16(SEQ_BYTES, value.length)
  const body = concat(Uint8Array.of(salt.length), salt, numbers, value)
  const signature = signatures.sign(concat(signedPrefix(LABEL, network), body), keys.secretKey)
  return { key: mutableKey(keys.publicKey, salt), record: concat(keys.publicKey, signature, body) }
}

/** What a valid record says, as copies. */
export function readMutable(record: Uint8Array): MutableFields {
  const seqAt = seqAtOf(record)
  return {
    publicKey: copy(record, 0, SIGNATURE_AT),
    salt: copy(record, SALT_AT, seqAt),
    seq: readU64(record, seqAt),
    value: copy(record, seqAt + SEQ_BYTES + VALUE_LENGTH_BYTES),
  }
}

/**
 * Mutable records: values that only the owner of a key pair can write, under a key made of the public key and a
 * salt. Of two records the one with the higher sequence number wins; of two with the same one, that with the
 * greater bytes, at every node alike.
 *
 * @throws RangeError when the network's tag is not of 4 bytes
 */
export function createMutableKind({ network, signatures }: MutableKindConfig): RecordKind {
  const prefix = signedPrefix(LABEL, network)
  return {
    code: KindCode.mutable,
    name: 'mutable',
    recordBytesMax: SALT_AT + SALT_BYTES_MAX + SEQ_BYTES + VALUE_LENGTH_BYTES + VALUE_BYTES_MAX,
    slotsPerKeyMax: 1,
    isRelayed: true,
    isFirstEnough: false,
    isValid(key, record) {
      if (!isWellFormed(record)) return false
      const publicKey = record.subarray(0, SIGNATURE_AT)
      if (!sameBytes(mutableKey(publicKey, record.subarray(SALT_AT, seqAtOf(record))), key)) return false
      // Last, because it costs a hundred times as much as all before it.
      const signed = concat(prefix, record.subarray(BODY_AT))
      return signatures.verify(record.subarray(SIGNATURE_AT, BODY_AT), signed, publicKey)
    },
    seq,
    merge: (a, b) => (compareMutable(a, b) >= 0 ? a : b),
  }
}

function seq(record: Uint8Array): bigint {
  return readU64(record, seqAtOf(record))
}

function seqAtOf(record: Uint8Array): number {
  return SALT_AT + (record[BODY_AT] ?? 0)
}

function isWellFormed(record: Uint8Array): boolean {
  const saltBytes = record[BODY_AT]
  if (saltBytes === undefined || saltBytes > SALT_BYTES_MAX) return false
  const valueAt = SALT_AT + saltBytes + SEQ_BYTES + VALUE_LENGTH_BYTES
  const valueBytes = record.length - valueAt
  return valueBytes <= VALUE_BYTES_MAX && readU16(record, valueAt - VALUE_LENGTH_BYTES) === valueBytes
}

/** A total order of all byte arrays: the one that merge needs to depend on no order of arrival. */
function compareMutable(a: Uint8Array, b: Uint8Array): number {
  const [seqA, seqB] = [seq(a), seq(b)]
  if (seqA !== seqB) return seqA < seqB ? -1 : 1
  // The whole record last: where the bodies are equal, that is the order of the signatures.
  return compareBytes(a.subarray(BODY_AT), b.subarray(BODY_AT)) || compareBytes(a, b)
}
