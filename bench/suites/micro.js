// @ts-check
// What single operations of a node take: messages, ids, the routing table, write tokens, signatures, the store,
// addresses, and the limits by address.

import { createHash } from 'node:crypto'
import * as noble from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { Packr } from 'msgpackr/index-no-eval'
import { Bench } from 'tinybench'
import { generateKeyPair, keyOf, MemoryStore, sign, verify } from 'xorbit'
import { udp } from 'xorbit/udp'
import { compareDistance, idInRegion, mapKey } from '../../dist/keyspace/index.js'
import { WriteTokens } from '../../dist/node/write-tokens.js'
import { resolveOptions } from '../../dist/options.js'
import { RoutingTable } from '../../dist/routing/index.js'
import { Rpc } from '../../dist/rpc/index.js'
import { encodeEndpoint, parseEndpoint } from '../../dist/transport/ip.js'
import KBucket from '../../dist/vendor/k-bucket.js'
import { createCodec, createContactPacker, FIND_NODE, networkTag, PING } from '../../dist/wire/index.js'
import { readNumber } from '../tool/options.js'

const CONTACTS = 320
const K = 20
const CLOSEST_TARGET = 1_000_000

/** @typedef {{ name: string, group: string, batch: number, run: (i: number) => unknown }} Operation */

const options = resolveOptions({ transport: udp() })
const { clock, transport } = options
let seedsUsed = 0

/** Bytes that are the same in every run, up to 32. */
function someBytes(length = 32) {
  return new Uint8Array(createHash('sha256').update(String(seedsUsed++)).digest().subarray(0, length))
}

/** Networks of their own, so that no limit by network refuses one; documentation and private ranges left out. */
function publicAddress(/** @type {number} */ i) {
  return `${20 + (i >> 16)}.${(i >> 8) & 0xff}.${i & 0xff}.7:7400`
}

function privateAddress(/** @type {number} */ i) {
  return `10.${(i >> 16) & 0xff}.${(i >> 8) & 0xff}.${i & 0xff}:7400`
}

/** @returns {Operation[]} */
function messages() {
  const codec = createCodec('xorbit')
  const packr = new Packr({ useRecords: false, mapsAsObjects: false, int64AsType: 'auto' })
  const header = { tid: someBytes(8), flags: 2, sender: someBytes() }
  const contacts = Array.from({ length: K }, (_, i) => ({ id: someBytes(), address: publicAddress(i) }))
  const packed = createContactPacker(transport).pack(contacts, 1000).bytes
  const network = networkTag('xorbit')
  const observed = transport.encodeAddress(publicAddress(1))
  const ping = { type: /** @type {const} */ ('request'), ...header, method: PING.code, params: [] }
  const find = {
    ...{ type: /** @type {const} */ ('request'), ...header },
    ...{ method: FIND_NODE.code, params: FIND_NODE.writeParams({ target: someBytes(), skip: 0 }) },
  }
  const reply = {
    ...{ type: /** @type {const} */ ('response'), ...header },
    ...{ observed, result: FIND_NODE.writeResult({ contacts: packed }) },
  }
  const { tid, flags, sender } = header
  const padding = new Map([[0, new Uint8Array(400 - codec.encode(find).length - 5)]])
  const cases = [
    { name: 'PING', message: ping, padTo: 0, fields: [1, 0, tid, network, flags, sender, ping.method, ping.params] },
    {
      ...{ name: 'FIND_NODE, padded', message: find, padTo: FIND_NODE.paddedBytes },
      fields: [1, 0, tid, network, flags, sender, find.method, find.params, padding],
    },
    {
      ...{ name: 'reply with 20 contacts', message: reply, padTo: 0 },
      fields: [1, 1, tid, network, flags, sender, observed, reply.result],
    },
  ]
  return cases.flatMap(({ name, message, padTo, fields }) => {
    const datagram = new Uint8Array(codec.encode(message, padTo))
    return [
      { name: `encode ${name}`, group: 'messages', batch: 200, run: () => codec.encode(message, padTo) },
      { name: `encode ${name}, msgpackr alone`, group: 'messages', batch: 200, run: () => packr.pack(fields) },
      { name: `decode ${name}`, group: 'messages', batch: 200, run: () => codec.decode(datagram) },
      { name: `decode ${name}, msgpackr alone`, group: 'messages', batch: 200, run: () => packr.unpack(datagram) },
    ]
  })
}

/** A table of 320 contacts, 20 in each of 16 buckets, as that of a node in a network of a million. */
function filledTable() {
  const ownId = someBytes()
  const describe = (/** @type {string} */ address) => transport.describe(address)
  const table = new RoutingTable({ ...options, k: K, ownId, now: () => clock.now(), describe })
  const tree = new KBucket({ localNodeId: ownId, numberOfNodesPerKBucket: K })
  for (let i = 0; i < CONTACTS; i++) {
    const contact = { id: idInRegion(ownId, i % (CONTACTS / K), someBytes()), address: publicAddress(i) }
    table.answered(contact)
    tree.add(contact)
  }
  if (table.size !== CONTACTS) throw new Error(`the table took only ${table.size} contacts`)
  return { table, tree, contacts: table.entries() }
}

/** @returns {Operation[]} */
function idsAndTable() {
  const { contacts, table, tree } = filledTable()
  const targets = Array.from({ length: 256 }, () => someBytes())
  const target = (/** @type {number} */ i) => /** @type {Uint8Array} */ (targets[i & 0xff])
  const contact = (/** @type {number} */ i) => /** @type {(typeof contacts)[number]} */ (contacts[i % CONTACTS])
  const group = 'ids and the routing table'
  return [
    {
      ...{ name: 'compare two distances', group, batch: 1000 },
      run: (i) => compareDistance(target(i), target(i + 1), target(i + 2)),
    },
    { name: 'id as a key of a Map', group, batch: 1000, run: (i) => mapKey(target(i)) },
    { name: `closest ${K} of ${CONTACTS}`, group, batch: 100, run: (i) => table.nearest(target(i), K) },
    { name: `closest ${K} of ${CONTACTS}, k-bucket alone`, group, batch: 20, run: (i) => tree.closest(target(i), K) },
    { name: 'contact of the table by its id', group, batch: 500, run: (i) => table.get(contact(i).id) },
    { name: 'contact of the table answered', group, batch: 200, run: (i) => table.answered(contact(i)) },
  ]
}

/** @returns {Operation[]} */
function tokensAndSignatures() {
  noble.hashes.sha512 = sha512
  const tokens = new WriteTokens(options)
  const address = publicAddress(3)
  const key = someBytes()
  const token = tokens.issue(address, key)
  const keys = generateKeyPair()
  const message = someBytes(32)
  const signature = sign(message, keys.secretKey)
  const { publicKey, secretKey } = keys
  const group = 'tokens and signatures'
  return [
    { name: 'write token, make', group, batch: 50, run: () => tokens.issue(address, key) },
    { name: 'write token, check', group, batch: 50, run: () => tokens.isValid(token, address, key) },
    { name: 'Ed25519 sign', group, batch: 5, run: () => sign(message, secretKey) },
    { name: 'Ed25519 sign, @noble/ed25519 alone', group, batch: 1, run: () => noble.sign(message, secretKey) },
    { name: 'Ed25519 verify', group, batch: 5, run: () => verify(signature, message, publicKey) },
    {
      ...{ name: 'Ed25519 verify, @noble/ed25519 alone', group, batch: 1 },
      run: () => noble.verify(signature, message, publicKey),
    },
  ]
}

/** @returns {Operation[]} */
function storeAndAddresses() {
  const recordsMax = 4096
  const store = new MemoryStore({ bytesMax: 64 * 1024 * 1024, recordsMax })
  const nowMs = clock.wallNow()
  const record = someBytes()
  const records = Array.from({ length: 2 * recordsMax }, (_, i) => ({
    ...{ key: keyOf(String(i)), kind: 0, slot: new Uint8Array(0), record, storedAtMs: nowMs },
    ...{ expiresAtMs: nowMs + 3_600_000 + i, source: transport.describe(publicAddress(i % 512)).group },
  }))
  const at = (/** @type {number} */ i) => /** @type {(typeof records)[number]} */ (records[i % recordsMax])
  for (const each of records.slice(0, recordsMax)) store.put(each)
  const addresses = Array.from({ length: 512 }, (_, i) => publicAddress(i))
  const address = (/** @type {number} */ i) => /** @type {string} */ (addresses[i & 511])
  const encoded = addresses.map((each) => transport.encodeAddress(each))
  const group = 'the store and addresses'
  return [
    { name: 'store, put again', group, batch: 100, run: (i) => store.put(at(i)) },
    {
      ...{ name: 'store, put into a full one', group, batch: 100 },
      run: (i) => store.put(/** @type {(typeof records)[number]} */ (records[i % records.length])),
    },
    { name: 'store, get', group, batch: 500, run: (i) => store.list(at(i).key, 0) },
    { name: 'address to bytes, known', group, batch: 500, run: (i) => transport.encodeAddress(address(i)) },
    {
      ...{ name: 'address to bytes, new', group, batch: 200 },
      run: (i) => encodeEndpoint(/** @type {any} */ (parseEndpoint(address(i)))),
    },
    {
      ...{ name: 'address from bytes', group, batch: 200 },
      run: (i) => transport.decodeAddress(/** @type {Uint8Array} */ (encoded[i & 511])),
    },
  ]
}

/** A PING of one of 4,096 hosts, from the datagram to the reply, where limits by address apply and where not. */
function limits() {
  const group = 'limits by address'
  const operation = (/** @type {string} */ name, /** @type {(i: number) => string} */ addressOf) => {
    let nowMs = 0
    const id = someBytes()
    const codec = createCodec('xorbit')
    const ownClock = { now: () => nowMs, wallNow: () => nowMs, after: () => () => {} }
    const ignore = () => {}
    const observer = { onAnswer: ignore, onSilence: ignore, onNonsense: ignore, onGivenUp: ignore, onWrongId: ignore }
    const sender = {
      ...{ maxDatagramBytes: 65_507, start: transport.start, resolve: transport.resolve, close: transport.close },
      encodeAddress: (/** @type {string} */ address) => transport.encodeAddress(address),
      decodeAddress: (/** @type {Uint8Array} */ bytes) => transport.decodeAddress(bytes),
      describe: (/** @type {string} */ address) => transport.describe(address),
      send: ignore,
    }
    const rpc = new Rpc({
      ...{
        ...options,
        clock: ownClock,
        codec,
        transport: sender,
        identity: () => ({ id, flags: 2 }),
        mayClaim: () => true,
      },
      observer: { ...observer, onRequest: ignore },
    })
    rpc.serve(PING, (_params, _request, reply) => reply.result({}))
    const ping = { type: /** @type {const} */ ('request'), tid: someBytes(8), flags: 2, sender: someBytes() }
    const datagram = new Uint8Array(codec.encode({ ...ping, method: PING.code, params: [] }))
    const addresses = Array.from({ length: 4096 }, (_, i) => addressOf(i))
    return {
      ...{ name, group, batch: 200 },
      run: (/** @type {number} */ i) => {
        // A host's turn comes every 4,096 ms, so none ever reaches its limit.
        nowMs += 1
        rpc.receive(/** @type {string} */ (addresses[i & 4095]), datagram)
        if (rpc.counters.dropped.rateLimited > 0) throw new Error('a request was limited')
      },
    }
  }
  return [
    operation('PING answered, private address: no limits', privateAddress),
    operation('PING answered, public address: limited', publicAddress),
  ]
}

const GROUPS = {
  messages,
  'ids and the routing table': idsAndTable,
  'tokens and signatures': tokensAndSignatures,
  'the store and addresses': storeAndAddresses,
  'limits by address': limits,
}

export default {
  name: 'micro',
  summary: 'single operations: codec, distances, routing table, tokens, signatures, store, addresses, limits',
  page: 'docs/benchmarks/micro.md',
  options: {
    taskMs: { value: '500', quick: '100', help: 'how long each operation is measured, in ms' },
  },

  /** @param {Record<string, string>} own */
  cases(own) {
    readNumber(own, 'taskMs', { min: 1 })
    return Object.keys(GROUPS).map((group) => ({ id: group }))
  },

  /**
   * @param {{ id: keyof typeof GROUPS }} theCase
   * @param {{ options: { taskMs: string }, progress(text: string, share?: number): void }} context
   */
  async run({ id }, { options: { taskMs }, progress }) {
    const operations = GROUPS[id]()
    const bench = new Bench({ time: Number(taskMs), warmupTime: Number(taskMs) / 2, throws: true })
    /** @type {unknown[]} Of what each operation returned something is kept, so that none can be optimised away. */
    const kept = []
    for (const { name, batch, run } of operations) {
      let i = 0
      bench.add(name, () => {
        let last
        for (let n = 0; n < batch; n++) last = run(i++)
        kept[0] = last
      })
    }
    progress(`${operations.length} operations`)
    await bench.run()
    return {
      operations: operations.map(({ batch, name }, at) => {
        const { result } = /** @type {import('tinybench').Task} */ (bench.tasks[at])
        const { latency } = /** @type {import('tinybench').TaskResultCompleted} */ (result)
        return {
          name,
          batch,
          p50Nanos: (1e6 * /** @type {number} */ (latency.p50)) / batch,
          p99Nanos: (1e6 * /** @type {number} */ (latency.p99)) / batch,
          samples: latency.samplesCount ?? 0,
        }
      }),
    }
  },

  /** @param {{ case: { id: string }, result: any }[]} results */
  report(results) {
    const closest = results
      .flatMap(({ result }) => result.operations)
      .find(({ name }) => name === `closest ${K} of ${CONTACTS}`)
    const closestPerSecond = closest && Math.round(1e9 / closest.p50Nanos)
    return {
      tables: results.map(({ case: { id }, result }) => ({
        title: id,
        columns: ['', 'ns, p50', 'ns, p99', 'a second'],
        rows: result.operations.map((/** @type {any} */ { name, p50Nanos, p99Nanos }) => [
          ...[name, significant(p50Nanos), significant(p99Nanos)],
          significant(1e9 / p50Nanos),
        ]),
      })),
      plots: [],
      checks: closest
        ? [
            {
              name: `exact closest(${K}) of ${CONTACTS} contacts a second`,
              value: closestPerSecond,
              bound: `>= ${CLOSEST_TARGET}`,
              met: closestPerSecond >= CLOSEST_TARGET,
            },
          ]
        : [],
      notes: [
        'each sample is a batch of calls, divided by their number; p99 shows collections of garbage and the machine',
        "'alone' is the library without our checks and copies: the lower bound of what stands above it",
      ],
    }
  },
}

/** Three significant figures, without an exponent. */
function significant(/** @type {number} */ value) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(value)))
  return digits > 0 ? value.toFixed(Math.min(digits, 3)) : String(Number(value.toPrecision(3)))
}
