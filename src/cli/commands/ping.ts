import { setTimeout as delay } from 'node:timers/promises'
import type { DhtErrorCode } from '../../index.js'
import { DhtError, toHex } from '../../index.js'
import type { Call, Command } from '../command.js'
import { formatMs, shown } from '../formats.js'
import { describeError } from '../output.js'
import { CLIENT_OPTIONS, withNode } from '../session.js'
import { STATUS } from '../status.js'

/** What the other side answered, or that it did not: the next request may fare better. */
const FROM_OUTSIDE: readonly DhtErrorCode[] = [
  'ERR_TIMEOUT',
  'ERR_REMOTE',
  'ERR_RATE_LIMITED',
  'ERR_UNKNOWN_METHOD',
  'ERR_UNKNOWN_VERSION',
  'ERR_MALFORMED_MESSAGE',
]

/** Asks a node for a sign of life. */
export const pingCommand: Command = {
  name: 'ping',
  operands: [{ name: 'HOST:PORT' }],
  summary: 'asks one node for a sign of life',
  details: [
    'Prints the id of the node that answers and how long it took, once for each request. Exit status 4: no answer at all.',
  ],
  options: {
    count: { value: 'NUMBER', short: 'c', says: 'how many requests (default: 1)' },
    interval: { value: 'TIME', short: 'i', says: 'from one to the next (default: 1s)' },
    ...CLIENT_OPTIONS,
  },
  examples: [['xorbit ping dht.example.org:7400 --count 3', 'tells whether a bootstrap node can be reached from here']],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const address = given.operands[0] as string
    const count = given.integer('count', 1, 1_000_000) ?? 1
    const intervalMs = given.durationMs('interval', 0) ?? 1000
    return withNode(call, [], async (dht) => {
      await dht.start({ signal })
      const times: number[] = []
      let isRefused = false
      for (let i = 0; i < count; i++) {
        if (i > 0) await delay(intervalMs, undefined, { signal }).catch(() => signal.throwIfAborted())
        try {
          const answer = await dht.ping(address, { signal })
          times.push(answer.elapsedMs)
          if (output.isJson) await output.json(answer)
          else await output.line(`${answer.address}  ${toHex(answer.id)}  ${formatMs(answer.elapsedMs)}`)
        } catch (error) {
          if (!(error instanceof DhtError) || !FROM_OUTSIDE.includes(error.code) || signal.aborted) throw error
          isRefused ||= error.code !== 'ERR_TIMEOUT'
          if (output.isJson) await output.json({ address, error: describeError(error) })
          else await output.line(`${address}  ${error.code === 'ERR_TIMEOUT' ? 'no answer' : shown(error.message)}`)
        }
      }
      if (count > 1) output.say(summary(count, times))
      if (times.length > 0) return STATUS.done
      return isRefused ? STATUS.failed : STATUS.noAnswer
    })
  },
}

function summary(count: number, times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const shown = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((ms) => ms && formatMs(ms))
  const range = sorted.length > 0 ? `: ${shown.join(', ')} (least, median, most)` : ''
  return `${times.length} of ${count} answered${range}`
}
