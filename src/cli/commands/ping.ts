import { setTimeout as delay } from 'node:timers/promises'
import { DhtError, toHex } from '../../index.js'
import type { Call, Command } from '../command.js'
import { formatMs } from '../formats.js'
import { describeError } from '../output.js'
import { SESSION_OPTIONS, withNode } from '../session.js'
import { STATUS } from '../status.js'

const { bootstrap: _, ...OWN_SESSION_OPTIONS } = SESSION_OPTIONS

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
    ...OWN_SESSION_OPTIONS,
  },
  examples: [['xorbit ping dht.example.org:7400 --count 3', 'tells whether a bootstrap node can be reached from here']],
  async run(call: Call): Promise<number> {
    const { given, output } = call
    const address = given.operands[0] as string
    const count = given.integer('count', 1, 1_000_000) ?? 1
    const intervalMs = given.durationMs('interval', 0) ?? 1000
    return withNode(call, [], async (dht, signal) => {
      await dht.start({ signal })
      const times: number[] = []
      for (let i = 0; i < count; i++) {
        if (i > 0) await delay(intervalMs, undefined, { signal }).catch(() => signal.throwIfAborted())
        try {
          const answer = await dht.ping(address, { signal })
          times.push(answer.elapsedMs)
          if (output.isJson) await output.json(answer)
          else await output.line(`${answer.address}  ${toHex(answer.id)}  ${formatMs(answer.elapsedMs)}`)
        } catch (error) {
          if (!(error instanceof DhtError) || error.code !== 'ERR_TIMEOUT' || signal.aborted) throw error
          if (output.isJson) await output.json({ address, error: describeError(error) })
          else await output.line(`${address}  no answer`)
        }
      }
      if (count > 1) output.say(summary(count, times))
      return times.length > 0 ? STATUS.done : STATUS.noAnswer
    })
  },
}

function summary(count: number, times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const shown = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((ms) => ms && formatMs(ms))
  const range = sorted.length > 0 ? `: ${shown.join(', ')} (least, median, most)` : ''
  return `${times.length} of ${count} answered${range}`
}
