import type { NodeId } from '../keyspace/index.js'
import { ID_BYTES } from '../keyspace/index.js'
import type { KeyPair, Signatures } from '../platform/signatures.js'
import {
  compareBytes,
  concat,
  copy,
  mustBeInteger,
  mustBeSeq,
  mustBeShort,
  readU16,
  readU32,
  readU64,
  signedPrefix,
} from './bytes.js'
import type { RecordKind } from './record-kind.js'
import { KindCode } from './record-kind.js'

// Sent: publicKey 32 | signature 64 | seq u64 | lifetime u32, in seconds | port u16 | data length u8 | data
// Kept: what was sent | token length u8 | token | observed address, up to the end
// Numbers are big-endian.
const SIGNATURE_AT = 32
const SEQ_AT = 96
const LIFETIME_AT = 104
const PORT_AT = 108
const DATA_LENGTH_AT = 110
const DATA_AT = 111
const TOKEN_BYTES_MAX = 32
const OBSERVED_BYTES_MAX = 64

/** What stands before the network where a record is signed. */
const LABEL = 'xorbit/peer/1'

const LIFETIME_SECONDS_MAX = 0xffff_ffff
const PORT_MAX = 0xffff

/** The longest data of a peer record, in bytes. */
export const PEER_DATA_BYTES_MAX = 200

/** The longest that a holder keeps a peer record, in ms: 2 h. */
export const PEER_LIFETIME_MAX_MS: number = 2 * 60 * 60 * 1000

/** What a peer puts into a record for one holder, see {@link encodePeer}. */
export interface PeerContent {
  /** The 4-byte tag of the network: a record of one network is not valid in another. */
  readonly network: Uint8Array
  /** The key that the peer wants to be found under. */
  readonly topic: NodeId
  readonly keys: KeyPair
  /** 0 to 2^64 - 1. The record with the highest one wins. */
  readonly seq: bigint
  /** For how long the record is meant to be kept, in seconds; 0 makes it a tombstone. */
  readonly lifetimeSeconds: number
  /** Where the peer listens; 0 stands for the port that the holder observes. */
  readonly port: number
  /** The application's own, 0 to {@link PEER_DATA_BYTES_MAX} bytes. */
  readonly data: Uint8Array
  /** The id of the node that the record is sent to. */
  readonly holder: NodeId
  /** The write token that this node gave for the topic: 1 to 32 bytes. */
  readonly token: Uint8Array
}

/** What a kept peer record says, see {@link readPeer}. */
export interface PeerFields {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  readonly seq: bigint
  /** 0 for a tombstone. */
  readonly lifetimeSeconds: number
  /** 0 stands for the port of `observed`. */
  readonly port: number
  readonly data: Uint8Array
  /** The peer's address as the holder saw it, encoded. Only the holder vouches for it: nobody signed it. */
  readonly observed: Uint8Array
}

/** What {@link createPeerKind} needs. */
export interface PeerKindConfig {
  /** The 4-byte tag of the network. */
  readonly network: Uint8Array
  readonly signatures: Pick<Signatures, 'verify'>
}

/**
 * A signed record as it is sent to one holder.
 *
 * @throws RangeError when a field is too long or too large for its place
 */
export function encodePeer(content: PeerContent, signatures: Pick<Signatures, 'sign'>): Uint8Array {
  const { network, topic, keys, seq, lifetimeSeconds, port, data, holder, token } = content
  mustBeSeq(seq)
  mustBeInteger(lifetimeSeconds, LIFETIME_SECONDS_MAX, 'lifetimeSeconds')
  mustBeInteger(port, PORT_MAX, 'port')
  mustBeShort(data, PEER_DATA_BYTES_MAX, 'data')
  const numbers = new Uint8Array(DATA_AT - SEQ_AT)
  const view = new DataView(numbers.buffer)
  view.setBigUint64(0, seq)
  view.setUint32(LIFETIME_AT - SEQ_AT, lifetimeSeconds)
  view.setUint16(PORT_AT - SEQ_AT, port)
  view.setUint8(DATA_LENGTH_AT - SEQ_AT, data.length)
  const signed = concat(signedPrefix(LABEL, network), topic, keys.publicKey, numbers, data, holder, token)
  return concat(keys.publicKey, signatures.sign(signed, keys.secretKey), numbers, data)
}

/** What a valid record, as a holder keeps it, says; as copies. */
export function readPeer(record: Uint8Array): PeerFields {
  return {
    publicKey: copy(record, 0, SIGNATURE_AT),
    seq: readU64(record, SEQ_AT),
    lifetimeSeconds: readU32(record, LIFETIME_AT),
    port: readU16(record, PORT_AT),
    data: copy(record, DATA_AT, tokenLengthAtOf(record)),
    observed: copy(record, observedAtOf(record)),
  }
}

/**
 * Peer records: who is there under a topic, one record for each public key. A record is signed for one holder and
 * its write token, so it proves that the peer itself reached this holder, and nobody can pass it on to another one,
 * put it under another topic or store it again later.
 *
 * @throws RangeError when the network's tag is not of 4 bytes
 */
export function createPeerKind({ network, signatures }: PeerKindConfig): RecordKind {
  const prefix = signedPrefix(LABEL, network)

  function isValid(key: NodeId, record: Uint8Array, holder: NodeId): boolean {
    // Of fixed lengths, or the end of one signed field could pass for the beginning of the next.
    if (key.length !== ID_BYTES || holder.length !== ID_BYTES || !isWellFormed(record)) return false
    const publicKey = record.subarray(0, SIGNATURE_AT)
    const tokenLengthAt = tokenLengthAtOf(record)
    const token = record.subarray(tokenLengthAt + 1, observedAtOf(record))
    const signed = concat(prefix, key, publicKey, record.subarray(SEQ_AT, tokenLengthAt), holder, token)
    return signatures.verify(record.subarray(SIGNATURE_AT, SEQ_AT), signed, publicKey)
  }

  return {
    code: KindCode.peer,
    name: 'peer',
    recordBytesMax: DATA_AT + PEER_DATA_BYTES_MAX + 1 + TOKEN_BYTES_MAX + OBSERVED_BYTES_MAX,
    slotsPerKeyMax: 1024,
    lifetimeMaxMs: PEER_LIFETIME_MAX_MS,
    isRelayed: false,
    isFirstEnough: false,
    isValid,
    slot: (record) => copy(record, 0, SIGNATURE_AT),
    seq,
    merge: (a, b) => (comparePeer(a, b) >= 0 ? a : b),
    accept(key, record, { holder, token, observed }) {
      // Else bytes that were sent could pass for the token.
      if (record.length !== tokenLengthAtOf(record)) return undefined
      const kept = concat(record, Uint8Array.of(token.length), token, observed)
      return isValid(key, kept, holder) ? kept : undefined
    },
    // A tombstone has to outlive any record that it ends.
    lifetimeMs: (record) => (isTombstone(record) ? PEER_LIFETIME_MAX_MS : readU32(record, LIFETIME_AT) * 1000),
    isTombstone,
  }
}

function seq(record: Uint8Array): bigint {
  return readU64(record, SEQ_AT)
}

function isTombstone(record: Uint8Array): boolean {
  return readU32(record, LIFETIME_AT) === 0
}

/** Where what was sent ends and the token's length stands. */
function tokenLengthAtOf(record: Uint8Array): number {
  return DATA_AT + (record[DATA_LENGTH_AT] ?? 0)
}

function observedAtOf(record: Uint8Array): number {
  const tokenLengthAt = tokenLengthAtOf(record)
  return tokenLengthAt + 1 + (record[tokenLengthAt] ?? 0)
}

/** Whether these bytes have the form that a holder keeps. */
function isWellFormed(record: Uint8Array): boolean {
  const dataBytes = record[DATA_LENGTH_AT]
  if (dataBytes === undefined || dataBytes > PEER_DATA_BYTES_MAX) return false
  const tokenBytes = record[DATA_AT + dataBytes]
  if (tokenBytes === undefined || tokenBytes < 1 || tokenBytes > TOKEN_BYTES_MAX) return false
  const observedBytes = record.length - observedAtOf(record)
  return observedBytes >= 1 && observedBytes <= OBSERVED_BYTES_MAX
}

/** A total order of all byte arrays: seq, then what is signed, then all that is kept. */
function comparePeer(a: Uint8Array, b: Uint8Array): number {
  const [seqA, seqB] = [seq(a), seq(b)]
  if (seqA !== seqB) return seqA < seqB ? -1 : 1
  return compareBytes(signedPart(a), signedPart(b)) || compareBytes(a, b)
}

function signedPart(record: Uint8Array): Uint8Array {
  return record.subarray(SEQ_AT, observedAtOf(record))
}
