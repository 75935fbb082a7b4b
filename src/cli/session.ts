import type { Dht, DhtErrorCode } from '../index.js'
import { createDht, DhtError } from '../index.js'
import { udp } from '../transport/udp.js'
import { quoted } from './arguments.js'
import type { Call, OptionSpec, OptionSpecs } from './command.js'
import { UsageError } from './status.js'

/** Where the node of this machine is, unless it was told otherwise. */
export const DEFAULT_PORT = 7400

/** Options of every command. */
export const COMMON_OPTIONS: OptionSpecs = {
  json: { says: 'data for machines: JSON, one object a line' },
  quiet: { short: 'q', says: 'no summary and no progress' },
  help: { short: 'h', says: 'this help' },
}

/** Options of every command that opens a node. */
export const NODE_OPTIONS: OptionSpecs = {
  network: { value: 'NAME', says: 'the network; nodes of others are not heard (default: xorbit)' },
  host: { value: 'ADDRESS', says: 'the IP address to listen at (default: every one of this machine)' },
}

/** Options of the commands that take part for a moment. */
export const CLIENT_OPTIONS: OptionSpecs = {
  ...NODE_OPTIONS,
  timeout: { value: 'TIME', says: 'give up after that, such as 10 or 2m (default: when nobody is left to ask)' },
}

/** Options of the commands that join, do something, and leave. */
export const SESSION_OPTIONS: OptionSpecs = {
  bootstrap: bootstrapOption(`127.0.0.1:${DEFAULT_PORT}`),
  ...CLIENT_OPTIONS,
}

/** @param otherwise - whom the command asks when nobody is named */
export function bootstrapOption(otherwise: string): OptionSpec {
  return {
    value: 'HOST:PORT',
    short: 'b',
    multiple: true,
    says: `a node of the network; may be given several times (default: what XORBIT_BOOTSTRAP lists, else ${otherwise})`,
  }
}

/** The nodes to begin with: those that were given, else those of the environment. */
export function bootstrapOf({ given, surroundings }: Call): string[] {
  const addresses = given.texts('bootstrap')
  if (addresses.length > 0) return mustBeAddresses('--bootstrap', addresses)
  const listed = (surroundings.env.XORBIT_BOOTSTRAP ?? '').split(/[\s,]+/).filter((address) => address !== '')
  return mustBeAddresses('XORBIT_BOOTSTRAP', listed)
}

/** Before anything is opened: a node with some good addresses would go on without the wrong one. */
function mustBeAddresses(source: string, addresses: string[]): string[] {
  const wrong = addresses.find((address) => !/^(?:\[[^\]]+\]|[^:[\]]+):\d{1,5}$/.test(address))
  if (wrong !== undefined)
    throw new UsageError(`${source} takes HOST:PORT, as dht.example.org:7400, not ${quoted(wrong)}`)
  return addresses
}

/** Joins as a client, does the work, and leaves. */
export async function withSession<T>(call: Call, work: (dht: Dht) => Promise<T>): Promise<T> {
  const addresses = bootstrapOf(call)
  const isDefault = addresses.length === 0
  const bootstrap = isDefault ? [`127.0.0.1:${DEFAULT_PORT}`] : addresses
  return withNode(call, bootstrap, async (dht) => {
    try {
      await dht.start({ signal: call.signal })
    } catch (error) {
      throw withAdvice('ERR_BOOTSTRAP_FAILED', error, ({ message }) =>
        isDefault
          ? `no node of this machine answers at port ${DEFAULT_PORT}: name one with --bootstrap HOST:PORT, or run one with: xorbit node`
          : `${message}${reasonOf(error)}: is the address right, the same --network, and the UDP port open?`,
      )
    }
    return work(dht)
  })
}

/** Why a name was not even asked, if that is it. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return cause instanceof DhtError && cause.code === 'ERR_UNRESOLVED' ? ` (${cause.message})` : ''
}

/** Makes a client that is not started yet, does the work, and closes it. */
export async function withNode<T>(
  call: Call,
  bootstrap: readonly string[],
  work: (dht: Dht) => Promise<T>,
): Promise<T> {
  const dht = fromArguments(() =>
    createDht({
      transport: udp({ host: call.given.text('host') }),
      bootstrap: [...bootstrap],
      network: call.given.text('network'),
      client: true,
    }),
  )
  try {
    return await work(dht)
  } catch (error) {
    throw asUsage(error)
  } finally {
    await dht.close()
  }
}

/** The same error in words for the user of the program, where it has this code. */
export function withAdvice(code: DhtErrorCode, error: unknown, advice: (error: DhtError) => string): unknown {
  if (!(error instanceof DhtError) || error.code !== code) return error
  return new DhtError(code, advice(error), { cause: error })
}

/** What the library says of wrong arguments is for the user, who gave them. */
export function fromArguments<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw asUsage(error)
  }
}

/** Of the library's own errors these two are for wrong arguments. */
export function asUsage(error: unknown): unknown {
  const isMisuse = (error instanceof TypeError || error instanceof RangeError) && !(error instanceof DhtError)
  return isMisuse ? new UsageError(error.message, { cause: error }) : error
}
