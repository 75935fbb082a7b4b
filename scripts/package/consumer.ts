// Compiled, not run: what a strict TypeScript program sees of the installed package.
import type {
  Announcement,
  AnnounceOptions,
  Dht,
  DhtErrorCode,
  DhtEvents,
  KeyPair,
  LocatedPeer,
  PublishOptions,
  PublishResult,
  PutOptions,
  QueryReply,
  RecordKind,
  ResolveResult,
  StoreContext,
} from 'xorbit'
import { createDht, DhtError, generateKeyPair, keyOf, sign, verify } from 'xorbit'
import type { LevelDatabase, LevelStore } from 'xorbit/level'
import { openLevelStore } from 'xorbit/level'
import type { ConformanceTest, RecordKindSample } from 'xorbit/testing'
import { recordKindConformance, Simulator } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

export async function store(value: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const dht: Dht = createDht({ transport: udp({ port: 0, host: '127.0.0.1' }), bootstrap: ['203.0.113.7:7400'] })
  await dht.start({ signal })
  try {
    const { key } = await dht.put(value, { signal })
    const found = await dht.get(key, { signal })
    return found?.value
  } finally {
    await dht.close()
  }
}

export async function publish(
  dht: Dht,
  value: Uint8Array,
  options: PublishOptions,
): Promise<ResolveResult | undefined> {
  const keys: KeyPair = generateKeyPair()
  const { seq, key }: PublishResult = await dht.publish(keys, value, { ...options, cas: 0n })
  const off = dht.on('republishFailed', (event: DhtEvents['republishFailed']) => event.error.code)
  if (dht.forget(key)) off()
  const next: bigint = seq + 1n
  await dht.publish(keys, value, { seq: next, salt: keyOf('salt'), lifetimeMs: 60_000, republish: false })
  return dht.resolve(keys.publicKey, { salt: keyOf('salt') })
}

export async function query(dht: Dht, options: PutOptions): Promise<QueryReply[]> {
  const { key } = await dht.put(keyOf('value'), { ...options, acknowledgements: 3 })
  dht.handle('load', (payload, { from, target }) =>
    target === undefined ? undefined : payload.subarray(from.id.length),
  )
  const replies: QueryReply[] = []
  for await (const reply of dht.query(key, 'load', new Uint8Array(8), options)) replies.push(reply)
  return replies.filter(({ from, payload }) => from.address.length + payload.length > 0)
}

export async function announce(dht: Dht, options: AnnounceOptions, signal: AbortSignal): Promise<LocatedPeer[]> {
  const announcement: Announcement = await dht.announce(keyOf('topic'), { ...options, port: 80, signal })
  const peers: LocatedPeer[] = []
  for await (const peer of dht.locate(announcement.topic, { signal })) {
    const host: string | undefined = peer.host
    if (host !== undefined && peer.port !== undefined) peers.push(peer)
  }
  const { removedAt } = await announcement.stop({ signal })
  return removedAt.length > 0 ? peers : []
}

export class Notes implements RecordKind {
  readonly code = 64
  readonly name = 'note'
  readonly recordBytesMax = 300
  readonly slotsPerKeyMax = 1
  readonly isRelayed = true
  readonly isFirstEnough = false
  isValid(key: Uint8Array, record: Uint8Array): boolean {
    return verify(record.subarray(32), key, record.subarray(0, 32))
  }
  merge(a: Uint8Array, b: Uint8Array): Uint8Array {
    return a.length >= b.length ? a : b
  }
  accept(_key: Uint8Array, record: Uint8Array, context: StoreContext): Uint8Array | undefined {
    return context.token.length > 0 ? record : undefined
  }
}

export async function note(kind: RecordKind, { publicKey, secretKey }: KeyPair): Promise<readonly Uint8Array[]> {
  const { transport, clock, randomBytes } = new Simulator({ seed: 1 }).host()
  const dht = createDht({ transport, clock, randomBytes, records: [kind], peerLifetimeMs: 60_000, repair: false })
  const key = keyOf('note')
  await dht.storeRecord(kind, key, Uint8Array.of(...publicKey, ...sign(key, secretKey)), { lifetimeMs: 60_000 })
  const { records } = await dht.findRecords(kind, key)
  const fill: number = dht.stats().storage.fill
  return fill < 1 ? records : []
}

export function conformance(kind: RecordKind, samples: readonly RecordKindSample[]): ConformanceTest[] {
  return recordKindConformance({ kind, samples })
}

export function simulate(seed: number): Dht {
  const { transport, clock, randomBytes } = new Simulator({ seed }).host()
  return createDht({ transport, clock, randomBytes, bootstrap: [] })
}

export async function keep(database: LevelDatabase): Promise<Dht> {
  const storage: LevelStore = await openLevelStore(database, { recordsMax: 1_000 })
  return createDht({ transport: udp(), storage })
}

export function codeOf(error: unknown): DhtErrorCode | undefined {
  return error instanceof DhtError ? error.code : undefined
}

// @ts-expect-error a port is a number: were the types lost, this line would compile and the check fail.
udp({ port: '7400' })

// @ts-expect-error a sequence number is a bigint.
export const wrong: PublishOptions = { seq: 1 }
