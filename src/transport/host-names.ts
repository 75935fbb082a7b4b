import type { IpKind } from './ip.js'

/** Where the addresses of a host name come from. Both reject with an error that has the system's code. */
export interface NameSources {
  /** Asks the DNS servers for the addresses of one family. */
  askDns(hostname: string, kind: IpKind): Promise<readonly string[]>
  /** Ends what `askDns` waits for. */
  cancelDns(): void
  /** Asks the system, which knows the hosts file and the names of the local network. Can't be cancelled. */
  askSystem(hostname: string, kinds: readonly IpKind[]): Promise<readonly string[]>
}

/**
 * Codes that say nothing of the name: nobody answered, or nobody waits any more. The system would ask the same
 * silent servers, and keep the process alive until it gives up.
 */
const NO_ANSWER = new Set(['ETIMEOUT', 'ECANCELLED', 'EDESTRUCTION'])

/**
 * Finds the addresses of a host, IPv4 first: in DNS, and what DNS does not know by asking the system.
 *
 * @throws `signal.reason` at once when aborted
 * @throws the error of the source that was asked last
 */
export function findAddresses(
  hostname: string,
  kinds: readonly IpKind[],
  sources: NameSources,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      reject(signal.reason)
      sources.cancelDns()
    }
    signal.addEventListener('abort', cancel, { once: true })
    search(hostname, kinds, sources, signal)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', cancel))
  })
}

async function search(
  hostname: string,
  kinds: readonly IpKind[],
  sources: NameSources,
  signal: AbortSignal,
): Promise<readonly string[]> {
  // RFC 6761, 6.3: these names are the loopback addresses, and DNS is not to be asked for them.
  if (/^(?:.+\.)?localhost\.?$/i.test(hostname)) return kinds.map((kind) => (kind === 4 ? '127.0.0.1' : '::1'))
  const answers = await Promise.allSettled(kinds.map((kind) => sources.askDns(hostname, kind)))
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  if (found.length > 0) return found
  for (const answer of answers) {
    if (answer.status === 'rejected' && NO_ANSWER.has(answer.reason?.code)) throw answer.reason
  }
  signal.throwIfAborted()
  return sources.askSystem(hostname, kinds)
}
