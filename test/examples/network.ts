import { createSocket } from 'node:dgram'
import { onTestFinished } from 'vitest'
import type { Program } from './processes.js'
import { end, start } from './processes.js'

/** A network of nodes that are processes of their own. */
export interface Network {
  /** Where its nodes listen, the first one first. */
  readonly addresses: readonly string[]
  /** Its nodes, in the same order. */
  readonly nodes: readonly Program[]
  /** What a program takes to join it through its first node: `--bootstrap HOST:PORT --host 127.0.0.1`. */
  readonly arguments: readonly string[]
  /** Kills all of its nodes without a word, and waits until they are gone. */
  cut(): Promise<void>
}

const LOOPBACK = ['--host', '127.0.0.1']

/**
 * Starts a network; it ends with the test that started it, or with the file.
 *
 * @param size - how many nodes
 */
export async function network(size: number): Promise<Network> {
  const first = await startNode([])
  const others = await Promise.all(Array.from({ length: size - 1 }, () => startNode([first.address])))
  for (const { node } of others) await node.waitFor(/^joined, \d+ contacts$/m)
  const nodes = [first, ...others].map(({ node }) => node)
  return {
    addresses: [first, ...others].map(({ address }) => address),
    nodes,
    arguments: argumentsFor(first.address),
    cut: () => end(...nodes),
  }
}

/** What a program takes to join through nodes at these addresses. */
export function argumentsFor(...addresses: readonly string[]): string[] {
  return [...addresses.flatMap((address) => ['--bootstrap', address]), ...LOOPBACK]
}

/** An address of this machine where everything arrives and nothing is answered, until the test ends. */
export async function silentAddress(): Promise<string> {
  const socket = createSocket('udp4')
  onTestFinished(() => {
    socket.close()
  })
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound))
  return `127.0.0.1:${socket.address().port}`
}

async function startNode(bootstrap: readonly string[]): Promise<{ node: Program; address: string }> {
  const node = await start('bootstrap-node/bootstrap-node.js', ['--port', '0', ...argumentsFor(...bootstrap)])
  const [, address] = await node.waitFor(/^listening at (\S+)$/m)
  return { node, address: address as string }
}
