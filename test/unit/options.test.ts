import { describe, expect, test } from 'vitest'
import type { RecordKind } from '../../src/index.js'
import { createDht } from '../../src/index.js'
import type { DhtOptions } from '../../src/options.js'
import { resolveOptions } from '../../src/options.js'
import { MemoryStore } from '../../src/storage/index.js'
import { Simulator } from '../../src/testing/index.js'

const { transport } = new Simulator({ seed: 'options' }).host()
const HOUR_MS = 3_600_000

const INTEGERS: Record<string, readonly [min: number, max: number]> = {
  k: [1, 20],
  alpha: [1, 100],
  requestTimeoutMs: [10, 60_000],
  valueLifetimeMs: [1000, 48 * HOUR_MS],
  peerLifetimeMs: [10_000, 2 * HOUR_MS],
  refreshIntervalMs: [1000, 24 * HOUR_MS],
  bootstrapRetryMs: [10, 60_000],
  requestsPerSecondMax: [1, 1_000_000],
}

/** A contact of an earlier run. */
const CONTACT = { id: new Uint8Array(32), address: '9.9.9.9:9' }

/** A kind of records that a node can work with. */
const KIND: RecordKind = {
  code: 64,
  name: 'anything',
  recordBytesMax: 100,
  slotsPerKeyMax: 1,
  isRelayed: true,
  isFirstEnough: false,
  isValid: () => true,
  merge: (a) => a,
}

/** Each integer of a kind, the name that its error gives it, and its limits. */
const KIND_INTEGERS: [member: keyof RecordKind, named: string, min: number, max: number][] = [
  ['code', 'code', 64, 255],
  ['recordBytesMax', 'recordBytesMax', 1, 1051],
  ['slotsPerKeyMax', 'slotsPerKeyMax', 1, 65_535],
  ['lifetimeMaxMs', 'lifetimeMaxMs', 1000, 48 * HOUR_MS],
]

function resolve(options: Record<string, unknown>): unknown {
  return resolveOptions({ transport, ...options } as DhtOptions)
}

/** The same with some of its members replaced. */
function changedKeys(object: object, changes: Record<string, unknown>): object {
  return Object.assign(Object.create(object), changes)
}

describe('a wrong option is told at once', () => {
  const wrong: [string, Record<string, unknown>, typeof TypeError | typeof RangeError][] = [
    ...Object.entries(INTEGERS).flatMap(([name, [min, max]]): typeof wrong => [
      ...['5', {}, true, 5n].map((value): (typeof wrong)[number] => [name, { [name]: value }, TypeError]),
      ...[min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY].map((value): (typeof wrong)[number] => [
        name,
        { [name]: value },
        RangeError,
      ]),
    ]),
    ...[undefined, null, {}, 'udp', () => {}].map((value): (typeof wrong)[number] => [
      'transport',
      { transport: value },
      TypeError,
    ]),
    ...['9.9.9.9:9', [7], { 0: 'a' }, [undefined]].map((value): (typeof wrong)[number] => [
      'bootstrap',
      { bootstrap: value },
      TypeError,
    ]),
    ...['9.9.9.9:9', {}, [undefined], [7], ['9.9.9.9:9'], [{}], [{ ...CONTACT, id: 'id' }]].map(
      (value): (typeof wrong)[number] => ['contacts', { contacts: value }, TypeError],
    ),
    ...[undefined, 7, '', 'nowhere', '9.9.9.9', 'dht.example.org:7400'].map((address): (typeof wrong)[number] => [
      'contacts',
      { contacts: [{ ...CONTACT, address }] },
      TypeError,
    ]),
    ['contacts', { contacts: [{ ...CONTACT, id: new Uint8Array(31) }] }, RangeError],
    ['contacts', { contacts: Array(4097).fill(CONTACT) }, RangeError],
    ['network', { network: 7 }, TypeError],
    ['network', { network: '' }, RangeError],
    ['id', { id: 'id' }, TypeError],
    ['id', { id: [1, 2, 3] }, TypeError],
    ['id', { id: new Uint8Array(31) }, RangeError],
    ['id', { id: new Uint8Array(33) }, RangeError],
    ['client', { client: 1 }, TypeError],
    ['client', { client: 'no' }, TypeError],
    ['storage', { storage: {} }, TypeError],
    ['storage', { storage: new Map() }, TypeError],
    ...[null, {}, { loaded: {} }, { save: () => {} }, { loaded: null, save: () => {} }].map(
      (nodeState): (typeof wrong)[number] => [
        'storage',
        { storage: Object.assign(new MemoryStore({ bytesMax: 9, recordsMax: 9 }), { nodeState }) },
        TypeError,
      ],
    ),
    [
      'storage',
      { storage: changedKeys(new MemoryStore({ bytesMax: 9, recordsMax: 9 }), { entries: undefined }) },
      TypeError,
    ],
    ['repair', { repair: 1 }, TypeError],
    ['repair', { repair: 'no' }, TypeError],
    ...[KIND, 'kinds', { 0: KIND }, new Set([KIND])].map((value): (typeof wrong)[number] => [
      'records',
      { records: value },
      TypeError,
    ]),
    ...[undefined, null, 7, 'tally', {}, { ...KIND, merge: undefined }, { ...KIND, isValid: true }].map(
      (kind): (typeof wrong)[number] => ['records', { records: [kind] }, TypeError],
    ),
    ...KIND_INTEGERS.flatMap(([member, name, min, max]): typeof wrong => [
      ...['5', {}, 5n, null].map((value): (typeof wrong)[number] => [
        name,
        { records: [{ ...KIND, [member]: value }] },
        TypeError,
      ]),
      ...[min - 1, max + 1, min + 0.5, Number.NaN].map((value): (typeof wrong)[number] => [
        name,
        { records: [{ ...KIND, [member]: value }] },
        RangeError,
      ]),
    ]),
    ...['isRelayed', 'isFirstEnough'].flatMap((name): typeof wrong =>
      [undefined, 1, 'no'].map((value) => [name, { records: [{ ...KIND, [name]: value }] }, TypeError]),
    ),
    ['name', { records: [{ ...KIND, name: '' }] }, RangeError],
    ['name', { records: [{ ...KIND, name: 7 }] }, TypeError],
    ['code 64', { records: [KIND, { ...KIND, name: 'another' }] }, RangeError],
    ['code 64', { records: [KIND, KIND] }, RangeError],
    ['clock', { clock: { now: () => 0 } }, TypeError],
    ['randomBytes', { randomBytes: 7 }, TypeError],
    ['id', { randomBytes: () => new Uint8Array(8) }, RangeError],
    ['limitedScopes', { limitedScopes: 'public' }, TypeError],
    ['limitedScopes', { limitedScopes: ['world'] }, RangeError],
    ['bootstap', { bootstap: [] }, TypeError],
    ['port', { port: 7400 }, TypeError],
  ]

  test.each(wrong)('%s: %o', (name, options, error) => {
    expect(() => resolve(options)).toThrow(error)
    // The message names the option.
    expect(() => resolve(options)).toThrow(name)
    expect(() => createDht({ transport, ...options } as DhtOptions)).toThrow(error)
  })

  test.each([undefined, null, 7, 'udp'])('options that are %s', (options) => {
    expect(() => createDht(options as never)).toThrow(TypeError)
  })

  test('a kind that has several records a key and says that the first is enough', () => {
    const options = { transport, records: [{ ...KIND, isFirstEnough: true, slotsPerKeyMax: 2 }] }
    for (const make of [resolveOptions, createDht]) {
      expect(() => make(options)).toThrow(RangeError)
      expect(() => make(options)).toThrow('enough')
    }
    expect(() => resolve({ records: [{ ...KIND, isFirstEnough: true }] })).not.toThrow()
  })

  test('a transport that can not carry the longest datagram', () => {
    const short = new Proxy(transport, {
      get(target, property) {
        if (property === 'maxDatagramBytes') return 1199
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    expect(() => resolve({ transport: short })).toThrow(RangeError)
  })
})

test.each(Object.entries(INTEGERS))('%s takes its least and its greatest value', (name, [min, max]) => {
  for (const value of [min, max]) expect(() => resolve({ [name]: value })).not.toThrow()
})

test('a kind of records takes its least and its greatest values, and each has its own code', () => {
  for (const [member, , min, max] of KIND_INTEGERS) {
    for (const value of [min, max]) expect(() => resolve({ records: [{ ...KIND, [member]: value }] })).not.toThrow()
  }
  expect(() => resolve({ records: [KIND, { ...KIND, code: 65 }, { ...KIND, code: 66 }] })).not.toThrow()
})

test('the defaults are those that are documented', () => {
  const config = resolveOptions({ transport })
  expect(config).toMatchObject({
    bootstrap: [],
    network: 'xorbit',
    client: false,
    k: 20,
    alpha: 4,
    requestTimeoutMs: 2000,
    valueLifetimeMs: 24 * HOUR_MS,
    valueLifetimeMaxMs: 48 * HOUR_MS,
    peerLifetimeMs: HOUR_MS,
    records: [],
    repair: true,
    refreshIntervalMs: HOUR_MS,
    bootstrapRetryMinMs: 1000,
    bootstrapRetryMaxMs: 60_000,
    requestsPerSecondMax: 256,
    requestsBurstMax: 512,
    limitedScopes: ['public'],
  })
  expect(config.storage).toBeInstanceOf(MemoryStore)
  expect(config.id).toHaveLength(32)
  expect(resolveOptions({ transport }).id).not.toEqual(config.id)
})

test('an option that is undefined is one that was not given', () => {
  const names = [...Object.keys(INTEGERS), 'bootstrap', 'network', 'client', 'limitedScopes', 'records', 'repair']
  const given = resolve(Object.fromEntries(names.map((name) => [name, undefined])))
  const id = new Uint8Array(32)
  expect({ ...(given as object), id, storage: 0 }).toEqual({ ...resolveOptions({ transport }), id, storage: 0 })
})

test('the config is frozen and shares no array with what was given', () => {
  const options = {
    transport,
    bootstrap: ['9.9.9.9:9'],
    id: new Uint8Array(32),
    limitedScopes: ['private' as const],
    records: [KIND],
  }
  const config = resolveOptions(options)
  options.bootstrap.push('8.8.8.8:8')
  options.id.fill(7)
  options.limitedScopes.pop()
  options.records.pop()
  expect(config.bootstrap).toEqual(['9.9.9.9:9'])
  expect(config.id).toEqual(new Uint8Array(32))
  expect(config.limitedScopes).toEqual(['private'])
  expect(config.records).toEqual([KIND])
  for (const part of [config, config.bootstrap, config.limitedScopes, config.records])
    expect(Object.isFrozen(part)).toBe(true)
})

test('the waits of a call fit into its time-out, however short that is', () => {
  for (const requestTimeoutMs of [10, 15, 100, 2000, 60_000]) {
    const config = resolveOptions({ transport, requestTimeoutMs })
    expect(config.softTimeoutMinMs).toBeLessThanOrEqual(config.softTimeoutFirstMs)
    expect(config.softTimeoutFirstMs).toBeLessThanOrEqual(config.softTimeoutMaxMs)
    expect(config.softTimeoutMaxMs).toBeLessThanOrEqual(config.resendMaxMs)
    expect(config.resendMinMs).toBeLessThanOrEqual(config.resendMaxMs)
    expect(config.resendMaxMs).toBeLessThan(requestTimeoutMs)
  }
})
