import { expect } from 'vitest'
import type { Dht, DhtErrorCode, DhtOptions } from '../../../src/index.js'
import { createDht, DhtError } from '../../../src/index.js'
import type { SimulatedHost } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'

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
  return simulator.run(() => work(simulator))
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
