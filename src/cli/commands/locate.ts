import { toHex } from '../../index.js'
import { integer, pointFrom } from '../arguments.js'
import type { Call, Command } from '../command.js'
import { counted, shown } from '../formats.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'

/** Finds the peers of a topic. */
export const locateCommand: Command = {
  name: 'locate',
  operands: [{ name: 'TOPIC' }],
  summary: 'finds who announced itself under a topic',
  details: [
    'TOPIC is 64 hex digits, or any other text, whose SHA-256 is taken. Prints a line for each peer as soon as it is found: where it is, its public key, and what it told beside, in quotes where that is text, else as hex digits. Nobody checks that a peer can be reached. Exit status 3: nobody is there.',
  ],
  options: {
    limit: { value: 'NUMBER', short: 'n', says: 'stop after so many peers (default: when no more are found)' },
    ...SESSION_OPTIONS,
  },
  examples: [['xorbit locate my-app/room/1', 'prints who is there']],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const topic = pointFrom(given.operands[0] as string)
    const text = given.text('limit')
    const limit = text === undefined ? Number.POSITIVE_INFINITY : integer('--limit', text, 1, 1_000_000)
    return withSession(call, async (dht) => {
      let count = 0
      for await (const peer of dht.locate(topic, { signal })) {
        count++
        if (output.isJson) await output.json(peer)
        else await output.line(`${peer.address}  ${toHex(peer.publicKey)}  ${dataOf(peer.data)}`.trimEnd())
        if (count >= limit) break
      }
      if (count === 0) {
        output.warn('nobody is announced there')
        return STATUS.notFound
      }
      output.say(counted(count, 'peer'))
      return STATUS.done
    })
  },
}

/** Bytes of somebody else, for a terminal. */
function dataOf(data: Uint8Array): string {
  if (data.length === 0) return ''
  try {
    return shown(JSON.stringify(new TextDecoder('utf-8', { fatal: true }).decode(data)))
  } catch {
    return toHex(data)
  }
}
