import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../../../src/keyspace/index.js'
import type { RecordKind } from '../../../src/records/index.js'
import {
  createMutableKind,
  createPeerKind,
  encodeMutable,
  encodePeer,
  mutableKey,
  readMutable,
  readPeer,
} from '../../../src/records/index.js'
import { networkTag } from '../../../src/wire/index.js'
import { forgeMutable, forgePeer, noble, node } from './record-fixture.js'

interface Merge {
  readonly name: string
  readonly winner: string
  readonly loser: string
}
interface Vectors {
  readonly mutable: {
    readonly kind: number
    readonly network: string
    readonly networkTag: string
    readonly valid: readonly Record<
      'name' | 'seed' | 'publicKey' | 'salt' | 'seq' | 'value' | 'key' | 'signed' | 'record',
      string
    >[]
    readonly invalid: readonly Record<'name' | 'key' | 'record', string>[]
    readonly merge: readonly Merge[]
  }
  readonly peer: {
    readonly kind: number
    readonly network: string
    readonly networkTag: string
    readonly valid: readonly (Record<
      'name' | 'seed' | 'publicKey' | 'topic' | 'seq' | 'data' | 'holder' | 'token' | 'observed',
      string
    > &
      Record<'lifetimeSeconds' | 'port', number> &
      Record<'signed' | 'sent' | 'kept', string>)[]
    readonly refused: readonly Record<'name' | 'topic' | 'holder' | 'token' | 'observed' | 'sent', string>[]
    readonly invalid: readonly Record<'name' | 'topic' | 'holder' | 'kept', string>[]
    readonly merge: readonly Merge[]
  }
}

const vectors = JSON.parse(readFileSync(new URL('../../vectors/records.json', import.meta.url), 'utf8')) as Vectors

const holder = new Uint8Array(32)

function expectWinner(kind: RecordKind, { winner, loser }: Merge): void {
  const [better, worse] = [fromHex(winner), fromHex(loser)]
  expect(toHex(kind.merge(better, worse))).toBe(winner)
  expect(toHex(kind.merge(worse, better))).toBe(winner)
}

describe.each([
  ['node:crypto', node],
  ['noble', noble],
])('with the signatures of %s', (_, signatures) => {
  describe('mutable records', () => {
    const { mutable } = vectors
    const network = fromHex(mutable.networkTag)
    const kind = createMutableKind({ network, signatures })

    test('are of their kind and network', () => {
      expect(kind.code).toBe(mutable.kind)
      expect(toHex(networkTag(mutable.network))).toBe(mutable.networkTag)
    })

    test.each(mutable.valid)('$name: the fields make the key and the record', (vector) => {
      const keys = signatures.generate(fromHex(vector.seed))
      const [salt, seq, value] = [fromHex(vector.salt), BigInt(vector.seq), fromHex(vector.value)]
      const { key, record } = encodeMutable({ network, keys, salt, seq, value }, signatures)
      expect(toHex(keys.publicKey)).toBe(vector.publicKey)
      expect({ key: toHex(key), record: toHex(record) }).toEqual({ key: vector.key, record: vector.record })
      expect(toHex(mutableKey(keys.publicKey, salt))).toBe(vector.key)
      expect(toHex(forgeMutable({ network, keys, salt, seq, value }, signatures).signed)).toBe(vector.signed)
    })

    test.each(mutable.valid)('$name: the record is valid and holds the fields', (vector) => {
      const record = fromHex(vector.record)
      expect(kind.isValid(fromHex(vector.key), record, holder)).toBe(true)
      const { publicKey, salt, seq, value } = readMutable(record)
      const read = { publicKey: toHex(publicKey), salt: toHex(salt), seq: String(seq), value: toHex(value) }
      expect(vector).toMatchObject(read)
      expect(kind.seq?.(record)).toBe(seq)
    })

    test.each(mutable.invalid)('$name is invalid', ({ key, record }) => {
      expect(kind.isValid(fromHex(key), fromHex(record), holder)).toBe(false)
    })

    test.each(mutable.merge)('merge: $name wins', (merge) => expectWinner(kind, merge))
  })

  describe('peer records', () => {
    const { peer } = vectors
    const network = fromHex(peer.networkTag)
    const kind = createPeerKind({ network, signatures })
    const contextOf = (vector: Record<'holder' | 'token' | 'observed', string>) => ({
      holder: fromHex(vector.holder),
      token: fromHex(vector.token),
      observed: fromHex(vector.observed),
    })

    test('are of their kind and network', () => {
      expect(kind.code).toBe(peer.kind)
      expect(toHex(networkTag(peer.network))).toBe(peer.networkTag)
    })

    test.each(peer.valid)('$name: the fields make what is sent, and the holder keeps what it says', (vector) => {
      const keys = signatures.generate(fromHex(vector.seed))
      const [topic, context] = [fromHex(vector.topic), contextOf(vector)]
      const { lifetimeSeconds, port } = vector
      const made = { network, topic, keys, seq: BigInt(vector.seq), lifetimeSeconds, port, data: fromHex(vector.data) }
      const sent = encodePeer({ ...made, ...context }, signatures)
      expect(toHex(keys.publicKey)).toBe(vector.publicKey)
      expect(toHex(sent)).toBe(vector.sent)
      expect(toHex(forgePeer({ ...made, ...context }, signatures).signed)).toBe(vector.signed)
      expect(toHex(kind.accept?.(topic, sent, context) ?? holder)).toBe(vector.kept)
    })

    test.each(peer.valid)('$name: the record is valid and holds the fields', (vector) => {
      const kept = fromHex(vector.kept)
      expect(kind.isValid(fromHex(vector.topic), kept, fromHex(vector.holder))).toBe(true)
      const { publicKey, seq, lifetimeSeconds, port, data, observed } = readPeer(kept)
      expect(vector).toMatchObject({
        publicKey: toHex(publicKey),
        seq: String(seq),
        lifetimeSeconds,
        port,
        data: toHex(data),
        observed: toHex(observed),
      })
      expect(kind.seq?.(kept)).toBe(seq)
      expect(kind.isTombstone?.(kept)).toBe(lifetimeSeconds === 0)
      expect(kind.lifetimeMs?.(kept)).toBe(lifetimeSeconds === 0 ? 7_200_000 : lifetimeSeconds * 1000)
    })

    test.each(peer.refused)('$name is not accepted', (vector) => {
      expect(kind.accept?.(fromHex(vector.topic), fromHex(vector.sent), contextOf(vector))).toBeUndefined()
    })

    test.each(peer.invalid)('$name is invalid', (vector) => {
      const [key, kept] = [fromHex(vector.topic), fromHex(vector.kept)]
      expect(kind.isValid(key, kept, fromHex(vector.holder))).toBe(false)
    })

    test.each(peer.merge)('merge: $name wins', (merge) => expectWinner(kind, merge))
  })
})

test('the vectors show each kind from all sides', () => {
  const { mutable, peer } = vectors
  const counts = [mutable.valid, mutable.invalid, mutable.merge, peer.valid, peer.refused, peer.invalid, peer.merge]
  for (const list of counts) expect(list.length).toBeGreaterThan(3)
})
