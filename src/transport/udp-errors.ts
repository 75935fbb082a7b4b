import { DhtError } from '../errors.js'
import type { UdpConfig } from './udp-options.js'

/** The system's code of an error, such as `EADDRINUSE`, or `Other`. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^E[A-Z0-9]{2,24}(?:_[A-Z]+)?$/.test(code) ? code : 'Other'
}

/** Whatever was thrown, as an error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** What a start ends with that was overtaken by a close. */
export function closedWhileStarting(): DhtError {
  return new DhtError('ERR_CLOSED', 'the transport was closed while it started')
}

/** What a start that failed rejects with. */
export function asDhtError(error: unknown, { hosts, port }: UdpConfig): DhtError {
  const where = `UDP port ${port} of ${hosts.map(({ host }) => host).join(' and ')}`
  if (codeOf(error) === 'EADDRINUSE') return new DhtError('ERR_ADDRESS_IN_USE', `${where} is in use`, { cause: error })
  return new DhtError('ERR_TRANSPORT', `can't listen at ${where}: ${asError(error).message}`, { cause: error })
}
