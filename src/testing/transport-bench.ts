import type { Address, Transport } from '../platform/transport.js'
import { assert } from './conformance.js'

/** How `transportConformance` gets at the transport that it checks. */
export interface TransportConformanceOptions {
  /** A new transport, not started, that reaches the others that were made here. The tests close it. */
  create(): Transport | Promise<Transport>

  /**
   * A new transport, not started, that wants exactly this address, which another one has or had.
   *
   * @defaultValue none: what happens to a taken address is not checked
   */
  createAt?(address: Address): Transport | Promise<Transport>

  /**
   * Another address of the same host, to which nobody listens.
   *
   * @defaultValue none: what two addresses of one host have in common is not checked
   */
  sibling?(address: Address): Address

  /**
   * Lets time pass, called again and again while a test waits. With a virtual clock: runs what is due next.
   *
   * @defaultValue 5 real ms
   */
  turn?(): Promise<void>

  /**
   * How many turns something may take before its test fails. Loss is legal, so meanwhile datagrams are sent
   * again and again.
   *
   * @defaultValue 400
   */
  turnsMax?: number

  /**
   * How many turns without a datagram show that none will come.
   *
   * @defaultValue 10
   */
  quietTurns?: number
}

/** One datagram that arrived, copied. */
export interface Arrival {
  readonly from: Address
  readonly bytes: Uint8Array
}

/** A started transport and what it received. */
export interface Peer {
  readonly transport: Transport
  readonly address: Address
  readonly arrivals: Arrival[]
}

/** What each test works with. */
export interface Bench {
  readonly options: TransportConformanceOptions
  /** Made here, so closed after the test. */
  create(): Promise<Transport>
  /** The same for `createAt`. */
  createAt(address: Address): Promise<Transport>
  /** Starts the transport, or a new one. */
  peer(transport?: Transport): Promise<Peer>
  /** Turns until the condition holds, calling `again` before every tenth turn. */
  until(condition: () => boolean, what: string, again?: () => void): Promise<void>
  /** Turns as often as shows that nothing more comes, calling `again` before each turn. */
  quiet(again?: () => void): Promise<void>
}

/** Runs a rule on a bench of its own, and closes every transport that was made on it. */
export async function withBench(
  options: TransportConformanceOptions,
  rule: (bench: Bench) => Promise<void>,
): Promise<void> {
  const made: Transport[] = []
  const keep = (transport: Transport): Transport => {
    made.push(transport)
    return transport
  }
  const turn = options.turn ?? (() => new Promise<void>((resolve) => setTimeout(resolve, 5)))
  let fault: string | undefined
  const bench: Bench = {
    options,
    create: async () => keep(await options.create()),
    createAt: async (address) => {
      assert(options.createAt !== undefined, 'this rule needs createAt')
      return keep(await options.createAt(address))
    },
    peer: async (transport) => {
      transport ??= await bench.create()
      const arrivals: Arrival[] = []
      const address = await transport.start((from, bytes) => {
        const copy = bytes.slice()
        // The slice of a Node.js Buffer does not copy, so a transport must not hand one out.
        if (bytes.length > 0 && copy.buffer === bytes.buffer) fault = 'slice() of a delivered datagram does not copy'
        arrivals.push({ from, bytes: copy })
      })
      return { transport, address, arrivals }
    },
    until: async (condition, what, again) => {
      for (let turns = 0; !condition(); turns++) {
        assert(fault === undefined, `${fault}`)
        assert(turns < (options.turnsMax ?? 400), `waited in vain until ${what}`)
        if (turns % 10 === 0) again?.()
        await turn()
      }
    },
    quiet: async (again) => {
      for (let turns = 0; turns < (options.quietTurns ?? 10); turns++) {
        again?.()
        await turn()
      }
    },
  }
  try {
    await rule(bench)
    assert(fault === undefined, `${fault}`)
  } finally {
    await Promise.all(made.map((transport) => transport.close()))
  }
}
