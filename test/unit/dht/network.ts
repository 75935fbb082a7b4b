import { expect } from 'vitest'
import type { Contact, Dht, DhtErrorCode, DhtOptions } from '../../../src/index.js'
import { createDht, DhtError, toHex } from '../../../src/index.js'
import type { SimulatedHost } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'

/** How much virtual time one test may take: two days. */
const LIMIT_MS = 48 * 3_600_000

/** How long a datagram takes here, in ms. */
export const ONE_WAY_MS = 20

/** A node and the machine that it runs on. */
export interface Member {
  readonly dht: Dht
  readonly host: SimulatedHost
}

/** Runs the work in a fresh simulated network. */
export function simulate<T>(seed: string, work: (simulator: Simulator) => Promise<T>): Promise<T> {
  const simulator = new Simulator({ seed, latency: fixedLatency(ONE_WAY_MS), trace: false })
  return simulator.run(() => work(simulator), { limitMs: LIMIT_MS })
}

/** Runs the work, and then expects that nothing is left to happen: no timer, and no datagram that leads to another. */
export async function simulateToTheEnd(seed: string, work: (simulator: Simulator) => Promise<void>): Promise<void> {
  const simulator = new Simulator({ seed, latency: fixedLatency(ONE_WAY_MS), trace: false })
  await simulator.run(() => work(simulator), { limitMs: LIMIT_MS })
  const endedAtMs = simulator.nowMs
  const waiting = simulator.run(() => new Promise<never>(() => {}))
  await expect(waiting).rejects.toMatchObject({ reason: 'deadlock' })
  // What was on its way may still have arrived.
  expect(simulator.nowMs - endedAtMs).toBeLessThanOrEqual(ONE_WAY_MS)
}

/** A node that was not started yet, on a machine of its own. */
export function newcomer(simulator: Simulator, options: Partial<DhtOptions> = {}): Member {
  const host = simulator.host()
  const { transport, clock, randomBytes } = host
  return { host, dht: createDht({ transport, clock, randomBytes, ...options }) }
}

/** A network of so many nodes, all joined and quiet. */
export async function grow(
  simulator: Simulator,
  count: number,
  optionsOf: (index: number) => Partial<DhtOptions> = () => ({}),
): Promise<Member[]> {
  const members: Member[] = []
  for (let i = 0; i < count; i++) {
    const bootstrap = members.slice(0, 1).map(({ host }) => host.address)
    const member = newcomer(simulator, { bootstrap, ...optionsOf(i) })
    await member.dht.start()
    members.push(member)
  }
  await simulator.delay(5000)
  return members
}

/** The node of a member as others know it. */
export function contactOf({ dht, host }: Member): Contact {
  return { id: dht.id, address: host.address }
}

/** Ids as text, which can be sorted and told apart. */
export function idsOf(contacts: readonly Contact[]): string[] {
  return contacts.map(({ id }) => toHex(id))
}

/** Stops machines without a word. */
export function kill(members: readonly Member[]): void {
  for (const { host } of members) host.kill()
}

/** Expects a DhtError with this code, and returns it. */
export async function failure(promise: Promise<unknown>, code: DhtErrorCode): Promise<DhtError> {
  const error: unknown = await promise.then(
    (value) => expect.fail(`resolved with ${String(value)} instead of ${code}`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(DhtError)
  expect(error).toMatchObject({ code })
  return error as DhtError
}

/** Bytes that tell apart where they came from. */
export function bytes(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff)
}

/** The same thing with some of its methods replaced. */
export function changed<T extends object>(original: T, methods: Partial<T>): T {
  return new Proxy(original, {
    get(target, property) {
      const value: unknown = Reflect.get(property in methods ? methods : target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
