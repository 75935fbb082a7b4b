import type { NodeId } from '../../../src/keyspace/index.js'
import { sameBytes } from '../../../src/keyspace/index.js'
import { resolveOptions } from '../../../src/options.js'
import type { CallEvents, RpcConfig } from '../../../src/rpc/index.js'
import { Rpc } from '../../../src/rpc/index.js'
import type { SimulatedHost, SimulatorOptions } from '../../../src/testing/index.js'
import { fixedLatency, Simulator } from '../../../src/testing/index.js'
import { createCodec, Flag } from '../../../src/wire/index.js'
import { RawPeer } from './raw-peer.js'

/** Calls and requests on a host, open, with the settings of a node; what was observed of contacts is kept as text. */
export async function openRpc(
  host: SimulatedHost,
  options: Partial<RpcConfig> = {},
): Promise<{ rpc: Rpc; id: NodeId; observed: string[] }> {
  const { transport, clock, randomBytes } = host
  const config = resolveOptions({ transport, clock, randomBytes })
  const { id } = config
  const observed: string[] = []
  const rpc = new Rpc({
    ...config,
    codec: createCodec(config.network),
    identity: () => ({ id, flags: Flag.ipv4 }),
    mayClaim: (claimed) => !sameBytes(claimed, id),
    observer: {
      onAnswer: ({ address }) => observed.push(`answer ${address}`),
      onSilence: ({ address }) => observed.push(`silence ${address}`),
      onNonsense: ({ address }) => observed.push(`nonsense ${address}`),
      onGivenUp: ({ address }) => observed.push(`given up ${address}`),
      onWrongId: ({ address }) => observed.push(`wrong id ${address}`),
      onRequest: ({ address }) => observed.push(`request ${address}`),
    },
    ...options,
  })
  await transport.start((from, bytes) => rpc.receive(from, bytes))
  return { rpc, id, observed }
}

/** An rpc and a peer that says nothing of itself, 10 ms apart unless said otherwise. */
export async function rpcAndPeer(options: Partial<SimulatorOptions> = {}, config: Partial<RpcConfig> = {}) {
  const simulator = new Simulator({ seed: 1, latency: fixedLatency(10), ...options })
  const host = simulator.host()
  const opened = await openRpc(host, config)
  const peer = await RawPeer.on(simulator.host())
  return { simulator, host, address: host.address, peer, ...opened }
}

/** Writes down what a call tells, each with its time from now on in whole milliseconds. */
export function writtenDown(simulator: Simulator): { events: CallEvents<unknown>; log: string[] } {
  const startMs = simulator.nowMs
  const log: string[] = []
  const note = (what: string): void => {
    log.push(`${Math.round(simulator.nowMs - startMs)} ${what}`)
  }
  const events: CallEvents<unknown> = {
    sent: () => note('sent'),
    slow: () => note('slow'),
    done: (error) => note(error?.code ?? 'answered'),
  }
  return { events, log }
}
